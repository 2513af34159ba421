"""``comparison.json`` and ``comparison.csv``: what became of each lesion; and the writer of all three files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hepacalc.errors import UsageError
from hepacalc.followup.records import STATUSES, Comparison, ExamNote, FollowUp, LesionChange
from hepacalc.records import Assessment, Measured, Measurement, NotMeasured
from hepacalc.report.schema import clean, document_json
from hepacalc.report.write import write_files
from hepacalc.report.writers import ExportContext

__all__ = [
    "COMPARISON_COLUMNS",
    "COMPARISON_OUTPUTS",
    "COMPARISON_VERSION",
    "ComparisonWriter",
    "comparison_csv",
    "comparison_document",
    "load_comparison_schema",
    "write_comparison",
]

COMPARISON_VERSION = "1.0"
"""Version of ``comparison.json``: the first number changes when a field goes or changes its meaning."""
COMPARISON_OUTPUTS = ("comparison.json", "comparison.csv", "comparison.html")
NUMBERS = (
    "prior_mass_mg", "current_mass_mg", "mass_change_mg", "mass_change_percent", "prior_volume_mm3",
    "current_volume_mm3", "volume_change_mm3", "volume_change_percent", "smallest_change_percent", "gap_mm",
)  # fmt: skip
_PLACES = ("prior_place_mm", "current_place_mm")
COMPARISON_COLUMNS = (
    "prior_date", "current_date", "interval_days", "id", "status", "prior_lesions", "current_lesions",
    *(f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high")),
    *(f"{name}_{axis}" for name in _PLACES for axis in "xyz"), "reasons",
)  # fmt: skip
"""Columns of ``comparison.csv`` in order."""


def comparison_document(followup: FollowUp, *, deidentify: bool = False) -> dict[str, Any]:
    """Return ``comparison.json`` as Python values, in a stable order of keys.

    Args:
        followup: what to tell.
        deidentify: leave out dates and UIDs.

    Raises:
        OutputError: a number is NaN or infinite.
    """
    run = followup.run
    told: dict[str, Any] = clean(
        {
            "schema_version": COMPARISON_VERSION,
            "run": {
                "hepacalc_version": run.hepacalc_version, "created": run.created, "versions": dict(run.versions),
                "settings": {}, "seconds": {},
            },
            "current": _exam(followup.current.note, deidentify),
            "notes": list(followup.notes),
            "comparisons": [
                _comparison(comparison, prior.tracking, deidentify)
                for comparison, prior in zip(followup.comparisons, followup.priors, strict=True)
            ],
            "timelines": [_timeline(lesion, points, deidentify) for lesion, points in timelines(followup)],
        },
        "",
    )  # fmt: skip
    return told


def timelines(followup: FollowUp) -> list[tuple[int, list[tuple[ExamNote, Measurement]]]]:
    """Return for each current lesion its mass at every exam, earliest first."""
    out = []
    for seen in followup.current.exam.lesions:
        points: list[tuple[ExamNote, Measurement]] = []
        for comparison in reversed(followup.comparisons):
            change = comparison.of_current(seen.id)
            if change is not None:
                points.append((comparison.prior, change.prior_mass_mg))
        points.append((followup.current.note, seen.mass_mg))
        out.append((seen.id, points))
    return out


def _exam(note: ExamNote, deidentify: bool) -> dict[str, Any]:
    hidden = {"study_date", "study_instance_uid", "series_instance_uid"} if deidentify else set()
    return {name: None if name in hidden else getattr(note, name) for name in ExamNote.__dataclass_fields__}


def _comparison(comparison: Comparison, tracking: dict[int, str], deidentify: bool) -> dict[str, Any]:
    counts = Counter(change.status for change in comparison.lesions)
    return {
        "prior": _exam(comparison.prior, deidentify),
        "interval_days": comparison.interval_days,
        "liver_overlap": comparison.liver_overlap,
        "surface_gap_mm": comparison.surface_gap_mm,
        "method": comparison.method,
        "counts": {status: counts.get(status, 0) for status in STATUSES},
        "lesions": [_change(change, {} if deidentify else tracking) for change in comparison.lesions],
        "limits": list(comparison.limits),
    }


def _change(change: LesionChange, tracking: dict[int, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in LesionChange.__dataclass_fields__:
        value = getattr(change, name)
        if name == "foci":
            out[name] = [{"prior": a, "current": b, "tracking_uid": tracking.get(a)} for a, b in value]
        elif isinstance(value, Measured | NotMeasured):
            out[name] = _number(value)
        else:
            out[name] = list(value) if isinstance(value, tuple) else value
    return out


def _number(number: Measurement) -> dict[str, Any]:
    return {name: getattr(number, name) for name in type(number).__dataclass_fields__}


def _timeline(lesion: int, points: list[tuple[ExamNote, Measurement]], deidentify: bool) -> dict[str, Any]:
    return {
        "lesion": lesion,
        "points": [
            {"study_date": None if deidentify else note.study_date, "mass_mg": _number(mass)} for note, mass in points
        ],
    }


def comparison_csv(document: dict[str, Any]) -> str:
    """Return ``comparison.csv`` of a :func:`comparison_document`: one row a lesion and earlier exam."""
    held = io.StringIO()
    out = csv.writer(held, lineterminator="\n")
    out.writerow(COMPARISON_COLUMNS)
    for comparison in document["comparisons"]:
        for change in comparison["lesions"]:
            row = [
                comparison["prior"]["study_date"], document["current"]["study_date"], comparison["interval_days"],
                change["id"], change["status"], " ".join(map(str, change["prior"])),
                " ".join(map(str, change["current"])),
            ]  # fmt: skip
            for name in NUMBERS:
                row += [change[name].get(end) for end in ("value", "low", "high")]
            for name in _PLACES:
                row += change[name]
            row.append("; ".join(change["reasons"]))
            out.writerow(["" if value is None else value for value in row])
    return held.getvalue()


@cache
def _schema_text() -> str:
    return (resources.files("hepacalc.report") / "comparison.schema.json").read_text("utf-8")


def load_comparison_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``comparison.json``."""
    schema: dict[str, Any] = json.loads(_schema_text())
    return schema


def write_comparison(
    followup: FollowUp, out_dir: str | os.PathLike[str], *, language: str = "en", deidentify: bool = False
) -> dict[str, Path]:
    """Write ``comparison.json``, ``.csv`` and ``.html`` to ``out_dir``, all or none; return their paths by name.

    Args:
        followup: what to write.
        out_dir: folder; made when it is not there.
        language: of the page; JSON and CSV are in English.
        deidentify: leave out dates and UIDs.

    Raises:
        OutputError: the folder cannot be written to, or holds files of somebody else under these names.
    """
    return write_files(
        out_dir, COMPARISON_OUTPUTS, lambda stage: _write(followup, stage, language=language, deidentify=deidentify)
    )


def _write(followup: FollowUp, stage: Path, *, language: str, deidentify: bool) -> None:
    from hepacalc.report.comparison_page import render_comparison

    document = comparison_document(followup, deidentify=deidentify)
    texts = {
        "comparison.json": document_json(document),
        "comparison.csv": comparison_csv(document),
        "comparison.html": render_comparison(followup, language=language, deidentify=deidentify),
    }
    for name, text in texts.items():
        (stage / name).write_text(text, "utf-8", newline="\n")


class ComparisonWriter:
    """The three files of a comparison beside an assessment that was made with earlier exams."""

    name = "comparison"
    needs_source = False

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the names of the files; none for an assessment without earlier exams."""
        return COMPARISON_OUTPUTS if isinstance(assessment.followup, FollowUp) else ()

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write them.

        Raises:
            UsageError: the assessment was made without earlier exams.
        """
        if not isinstance(assessment.followup, FollowUp):
            raise UsageError("there is no earlier exam to compare with.", hint="Give one with --prior.")
        _write(assessment.followup, folder, language=context.language, deidentify=context.deidentify)
