"""An assessment and an answer with their free sentences in the language that is spoken, at the edge of the report.

Numbers, ids and keys stay as they are, so pointers into the JSON stay true. Texts that hold every language themselves
(``Names``) are chosen where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np

from hepacalc import records
from hepacalc.followup import records as followups
from hepacalc.reason import reasoning
from hepacalc.reason import records as reasons
from hepacalc.report.language import spoken
from hepacalc.report.sentences import say, say_if_known

__all__ = ["localised"]

_Record = TypeVar("_Record")

_SENTENCES: Mapping[type, tuple[str, ...]] = {
    records.Measured: ("method",),
    records.NotMeasured: ("reason",),
    records.Calibration: ("source",),
    records.SeriesSummary: ("reasons",),
    records.SeriesChoice: ("passed_over",),
    records.QualityFinding: ("text", "fix"),
    records.Phase: ("evidence",),
    records.Liver: ("warnings",),
    records.Pattern: ("probabilities", "reasons"),
    records.Segment: ("method",),
    records.Surroundings: ("reasons",),
    records.Focus: ("mimic", "reasons"),
    records.Lesion: ("reasons",),
    records.Assessment: ("transforms", "limits"),
    followups.LesionChange: ("reasons",),
    followups.Comparison: ("method", "limits"),
    reasons.Finding: ("text",),
    reasons.Differential: ("notes",),
    reasons.WeightOfEvidence: ("said",),
    reasons.NextTest: ("forbidden",),
    reasoning.Reasoning: ("setting_because", "warnings", "notes"),
}
"""Fields that hold sentences of the rooms: a text, several, or pairs that begin with one."""

_LEFT = (str, int, float, records.Volume, records.LiverMask, np.ndarray)


def localised(record: _Record) -> _Record:
    """Return a record with its sentences translated; the same record where English is spoken."""
    if spoken() == "en":
        return record
    found: _Record = _walk(record)
    return found


def _walk(value: Any) -> Any:
    if value is None or isinstance(value, _LEFT):
        return value
    if isinstance(value, tuple):
        walked = tuple(map(_walk, value))
        return walked if any(new is not old for new, old in zip(walked, value, strict=True)) else value
    if isinstance(value, dict):
        return {key: _walk(entry) for key, entry in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    if isinstance(value, records.Run):
        # names of methods and files are kept
        settings = tuple((say(name), say_if_known(told)) for name, told in value.settings)
        return replace(value, settings=settings, seconds=_translated(value.seconds))
    if isinstance(value, reasoning.SourceNote):
        return replace(value, citation=say_if_known(value.citation))
    changed = {}
    for name, holds_sentences in _fields(type(value)):
        old = getattr(value, name)
        new = _translated(old) if holds_sentences else _walk(old)
        if new is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@cache
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a record, and whether each holds sentences."""
    sentences = _SENTENCES.get(kind, ())
    return tuple((field.name, field.name in sentences) for field in fields(kind))


def _translated(value: Any) -> Any:
    """Return a text, several texts, or pairs whose texts are translated."""
    if isinstance(value, str):
        return say(value)
    if isinstance(value, tuple):
        return tuple(_translated(entry) for entry in value)
    return value
