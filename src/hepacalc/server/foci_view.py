"""The table of foci as the study page shows it, with where each lies in the viewer's arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

from hepacalc.records import Assessment, Focus, NotMeasured
from hepacalc.report.localise import localised
from hepacalc.report.tables import Cell, cell

__all__ = ["FocusRow", "foci_by_lesion", "foci_of"]


class FocusRow(NamedTuple):
    """One focus; ``at`` is the viewer's index ``(z, y, x)`` of its peak."""

    focus: Focus
    at: tuple[int, int, int]
    mass: Cell
    diameter: Cell
    max_hu: Cell
    pattern: str


def foci_of(assessment: Assessment) -> list[FocusRow]:
    """Return the foci in the language that is spoken, lesions first, as they are numbered."""
    turn = assessment.geometry.canonical()
    rows = []
    for focus in assessment.foci:
        rows.append(
            FocusRow(
                focus=localised(focus),
                at=_turned(turn, focus.peak_index),
                mass=_of(focus, "mass_mg"),
                diameter=_of(focus, "diameter_mm"),
                max_hu=_of(focus, "max_hu"),
                pattern="" if isinstance(focus.pattern, NotMeasured) else focus.pattern.dominant,
            )
        )
    return rows


def foci_by_lesion(assessment: Assessment | None) -> dict[int, list[int]]:
    """Return the ids of the foci of each lesion."""
    out: dict[int, list[int]] = {}
    for focus in assessment.foci if assessment is not None else ():
        if focus.lesion is not None:
            out.setdefault(focus.lesion, []).append(focus.id)
    return out


def _of(focus: Focus, name: str) -> Cell:
    return cell(focus.measurements[name], "")


def _turned(turn: Any, index: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return an index of the scan's array in the viewer's."""
    shape = turn.source.shape
    z, y, x = (
        shape[old] - 1 - index[old] if flip else index[old] for old, flip in zip(turn.axes, turn.flips, strict=True)
    )
    return int(z), int(y), int(x)
