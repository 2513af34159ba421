"""A comparison as the study page shows it: what became of each lesion, where to look, and its mass over time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hepacalc.records import Measured, Measurement, NotMeasured
from hepacalc.report.comparison_page import Plot, mass_plot, status_text
from hepacalc.report.marks import mark
from hepacalc.report.sentences import say
from hepacalc.report.tables import Cell, cell
from hepacalc.server.stored import read_json
from hepacalc.server.work.earlier import LINK

__all__ = ["ChangeRow", "PriorView", "priors_shown"]


class ChangeRow(NamedTuple):
    """One lesion; places are LPS mm, ``foci`` the ids of its foci at the current and at the earlier exam."""

    status: str
    word: str
    lesions: tuple[str, str]
    prior_mass: Cell
    current_mass: Cell
    percent: Cell
    reasons: str
    places: tuple[str, str]
    foci: tuple[str, str]
    plot: Plot | None


class PriorView(NamedTuple):
    """One earlier exam; ``back`` is the affine from the current exam to it, as JSON."""

    study_id: str
    assessment_id: str
    day: str
    interval_days: int | None
    back: str
    rows: tuple[ChangeRow, ...]
    limits: tuple[str, ...]


Foci = Mapping[int, list[int]]
"""Ids of the foci of each lesion of an exam."""


def priors_shown(
    folder: Path, pairs: Sequence[Mapping[str, Any]], now: Foci, before: Sequence[Foci]
) -> list[PriorView]:
    """Return the earlier exams of a comparison in the language that is spoken, the latest first.

    Args:
        folder: of the comparison's files.
        pairs: ``study_id`` and ``assessment_id`` of the earlier exams, in the order in which they were given.
        now: foci of the current exam.
        before: foci of each earlier exam.
    """
    document, backs = read_json(folder / "comparison.json"), read_json(folder / LINK)
    plots = {one["lesion"]: _plot(one) for one in document["timelines"]}
    return [
        PriorView(
            pair["study_id"], pair["assessment_id"], one["prior"]["study_date"] or "", one["interval_days"],
            json.dumps(back), tuple(_row(change, plots, now, held) for change in one["lesions"]),
            tuple(map(say, one["limits"])),
        )
        for pair, one, back, held in zip(pairs, document["comparisons"], backs, before, strict=True)
    ]  # fmt: skip


def _row(change: dict[str, Any], plots: dict[int, Plot | None], now: Foci, before: Foci) -> ChangeRow:
    names = [mark("list").join(f"L{k}" for k in change[side]) or "–" for side in ("prior", "current")]
    places = [" ".join(map(str, change[name])) for name in ("current_place_mm", "prior_place_mm")]
    foci = [
        " ".join(str(focus) for lesion in change[side] for focus in held.get(lesion, []))
        for side, held in (("current", now), ("prior", before))
    ]
    earlier, later, percent = (
        cell(_number(change[name]), "") for name in ("prior_mass_mg", "current_mass_mg", "mass_change_percent")
    )
    return ChangeRow(
        change["status"], status_text(change["status"]), (names[0], names[1]), earlier, later, percent,
        mark("semicolon").join(map(say, change["reasons"])), (places[0], places[1]), (foci[0], foci[1]),
        next((plots[k] for k in change["current"] if plots.get(k) is not None), None),
    )  # fmt: skip


def _plot(told: dict[str, Any]) -> Plot | None:
    return mass_plot(told["lesion"], [(one["study_date"], _number(one["mass_mg"])) for one in told["points"]])


def _number(told: dict[str, Any]) -> Measurement:
    return Measured(**told) if "value" in told else NotMeasured(**told)
