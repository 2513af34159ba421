"""Foci as rows: ``foci.csv`` for programs, a short table for a terminal, cells for the page.

The CSV is made from the document of ``assessment.json``, so the two cannot differ.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any, NamedTuple

from hepacalc.records import MEASUREMENTS, Assessment, Measurement, NotMeasured
from hepacalc.report import words
from hepacalc.report.numbers import shown, significant
from hepacalc.report.schema import document

__all__ = ["CSV_COLUMNS", "FOCI_TABLE_HEADER", "Cell", "cell", "foci_csv", "foci_csv_of", "foci_table_rows"]

_WITH_INTERVAL = ("mass_mg", "volume_mm3", "diameter_mm")

FOCI_TABLE_HEADER = ("id", "lesion", "taken for", "certainty", "segment", "mass mg", "90 % interval", "diameter mm",
                     "max HU", "pattern")  # fmt: skip


class Cell(NamedTuple):
    """A measurement on the page: what is printed, and where in ``assessment.json`` it stands.

    Args:
        path: JSON pointer of the measurement.
        value: digits printed; empty when it was not measured.
        low: lower end as printed; empty without an interval.
        high: upper end as printed.
        unit: unit as printed.
        raw: value, low, high as in the JSON; empty when it was not measured.
        method: how it was measured.
        reason: why it was not measured; empty when it was.
    """

    path: str
    value: str
    low: str
    high: str
    unit: str
    raw: tuple[float, ...]
    method: str
    reason: str


def cell(number: Measurement, path: str) -> Cell:
    """Return the cell of a measurement that stands at ``path`` in ``assessment.json``."""
    if isinstance(number, NotMeasured):
        return Cell(path, "", "", "", "", (), "", number.reason)
    raw = tuple(significant(v) for v in (number.value, number.low, number.high))
    return Cell(path, *shown(number), raw, number.method, "")


def foci_csv(assessment: Assessment) -> str:
    """Return ``foci.csv``: a header and one row per candidate, mimics included."""
    return foci_csv_of(document(assessment))


def foci_csv_of(doc: dict[str, Any]) -> str:
    """Return ``foci.csv`` of a document made by :func:`hepacalc.report.schema.document`."""
    held = io.StringIO()
    out = csv.writer(held, lineterminator="\n")
    out.writerow(CSV_COLUMNS)
    out.writerows([_printed(read(focus)) for read in _COLUMNS.values()] for focus in doc["foci"])
    return held.getvalue()


def foci_table_rows(assessment: Assessment) -> list[tuple[str, ...]]:
    """Return rows under :data:`FOCI_TABLE_HEADER` for a terminal; a dash where nothing was measured."""
    rows: list[tuple[str, ...]] = []
    for focus in assessment.foci:
        mass = cell(focus.measurements.get("mass_mg", NotMeasured("")), "")
        across = cell(focus.measurements.get("diameter_mm", NotMeasured("")), "")
        peak = cell(focus.measurements.get("max_hu", NotMeasured("")), "")
        segment = "-" if isinstance(focus.segment, NotMeasured) else focus.segment.dominant
        pattern = "-" if isinstance(focus.pattern, NotMeasured) else focus.pattern.dominant
        rows.append(
            (
                str(focus.id),
                "-" if focus.lesion is None else str(focus.lesion),
                words.kind_text(focus.kind),
                words.certainty_text(focus.certainty),
                segment,
                mass.value or "-",
                words.text("range", low=mass.low, high=mass.high) if mass.low else "-",
                across.value or "-",
                peak.value or "-",
                pattern,
            )
        )
    return rows


def _printed(value: Any) -> str:
    """Return a cell of the CSV; a text that a spreadsheet would run as a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    out = str(value)
    return f"'{out}" if isinstance(value, str) and out[:1] in ("=", "+", "-", "@", "\t", "\r") else out


def _measured(name: str, part: str = "value") -> Callable[[dict[str, Any]], Any]:
    return lambda focus: focus["measurements"].get(name, {}).get(part)


def _first(name: str, part: int) -> Callable[[dict[str, Any]], Any]:
    def read(focus: dict[str, Any]) -> Any:
        found = focus[name].get("probabilities")
        return next(iter(found.items()))[part] if found else None

    return read


def _centroid(axis: int) -> Callable[[dict[str, Any]], Any]:
    return lambda focus: focus["centroid_mm"][axis]


def _around(name: str) -> Callable[[dict[str, Any]], Any]:
    def read(focus: dict[str, Any]) -> Any:
        found = focus["surroundings"].get(name)
        return found.get("value") if isinstance(found, dict) else found

    return read


def _surroundings(focus: dict[str, Any]) -> Any:
    found = focus["surroundings"]
    names = ("parenchyma", "fluid", "soft_tissue_mass")
    return max(names, key=lambda n: found[n]) if "parenchyma" in found else None


def _second_segment(focus: dict[str, Any]) -> Any:
    """Return the second likeliest segment when it is possible, as words of the report call it."""
    ranked = list(focus["segment"].get("probabilities", {}).items())
    return ranked[1][0] if len(ranked) > 1 and ranked[1][1] >= words.POSSIBLE_SEGMENT else None


_COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "id": lambda f: f["id"],
    "lesion": lambda f: f["lesion"],
    "kind": lambda f: f["kind"],
    "certainty": lambda f: f["certainty"],
    "x_mm": _centroid(0),
    "y_mm": _centroid(1),
    "z_mm": _centroid(2),
    "volume_mm3": _measured("volume_mm3"),
    "mass_mg": _measured("mass_mg"),
    "mass_mg_low": _measured("mass_mg", "low"),
    "mass_mg_high": _measured("mass_mg", "high"),
    "max_hu": _measured("max_hu"),
    "mean_hu": _measured("mean_hu"),
    "diameter_mm": _measured("diameter_mm"),
    "pattern": _first("pattern", 0),
    "segment": _first("segment", 0),
    "score": lambda f: f["score"],
    "mimic": lambda f: "; ".join(f["mimic"]),
    "pattern_probability": _first("pattern", 1),
    "segment_probability": _first("segment", 1),
}
_COLUMNS |= {
    f"{name}_{end}": _measured(name, end)
    for name in _WITH_INTERVAL
    for end in ("low", "high")
    if f"{name}_{end}" not in _COLUMNS
}
_COLUMNS |= {name: _measured(name) for name in MEASUREMENTS if name not in _COLUMNS}
_COLUMNS |= {
    "surroundings": _surroundings,
    "surroundings_parenchyma": _around("parenchyma"),
    "surroundings_fluid": _around("fluid"),
    "surroundings_soft_tissue_mass": _around("soft_tissue_mass"),
    "shell_hu": _around("shell_hu"),
    "reasons": lambda f: "; ".join(f["reasons"]),
    "segment_possible": _second_segment,
    "segment_basis": lambda f: f["segment"].get("method"),
}

CSV_COLUMNS: tuple[str, ...] = tuple(_COLUMNS)
"""Columns of ``foci.csv`` in order; described in ``docs/reference/foci-csv.md``."""
