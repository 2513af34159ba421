"""Figures of the validation: from numbers and words beside the truth to small tables, each a block of the page.

A table is ``{"columns": [...], "rows": [[...]]}`` of plain values, so that page and stored JSON hold the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hepacalc.evaluate.run import CaseResult
from hepacalc.evaluate.score import METHODS, reliability, scores
from hepacalc.evaluate.without import MovedBy
from hepacalc.knowledge.model import Knowledge
from plots import Focus, has_rival, wilson
from validation_patients import ALL_CALCIUM, NOT_LISTED, Number, Word

Table = dict[str, Any]
RELATIVE = {"mass_mg", "volume_mm3", "total_hu_mm3", "liver volume_ml", "burden total_mass_mg", ALL_CALCIUM}
"""Told in percent of the truth; all others in their own unit."""
UNITS = {
    "diameter_mm": "mm", "diameter_2_mm": "mm", "diameter_3_mm": "mm", "capsule_distance_mm": "mm",
    "hilum_distance_mm": "mm", "vessel_distance_mm": "mm", "max_hu": "HU", "mean_hu": "HU", "background_hu": "HU",
    "liver parenchyma_hu": "HU", "liver noise_hu": "HU", "burden calcifications": "lesions", "parts": "parts",
}  # fmt: skip
WITHOUT_INTERVAL = {"parts", "burden calcifications", ALL_CALCIUM}
PROBABILITIES = ("pattern", "segment", "surroundings", "phase")
BINS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01))
SOURCES_SHOWN = 12


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of plain values."""
    return {"columns": list(columns), "rows": [[_plain(cell) for cell in row] for row in rows]}


def _plain(cell: Any) -> Any:
    if isinstance(cell, bool) or cell is None or isinstance(cell, str):
        return cell
    return int(cell) if isinstance(cell, int | np.integer) else float(f"{float(cell):.3g}")


def markdown(made: Table) -> str:
    """Return a table as Markdown; what has no value is a dash."""
    lines = [made["columns"], ["---"] * len(made["columns"]), *made["rows"]]
    return "\n".join("| " + " | ".join(_shown(cell) for cell in line) + " |" for line in lines)


def _shown(cell: Any) -> str:
    if cell is None:
        return "-"
    return (f"{cell:g}" if isinstance(cell, float) else str(cell)).replace("|", "\\|")


# ------------------------------------------------------------------ numbers


def unit_of(quantity: str) -> str:
    """Return the unit in which the error of a quantity is told."""
    return "%" if quantity in RELATIVE else UNITS.get(quantity, "1")


def error_of(number: Number) -> float | None:
    """Return value minus truth, in percent of the truth where :data:`RELATIVE`; None when not measured."""
    if number.value is None:
        return None
    if number.quantity in RELATIVE:
        return 100 * (number.value / number.truth - 1) if number.truth else None
    return number.value - number.truth


def holds(number: Number) -> bool | None:
    """Return whether the interval holds the truth; None where there is none."""
    if number.low is None or number.high is None or number.quantity in WITHOUT_INTERVAL:
        return None
    return number.low <= number.truth <= number.high


def groups(numbers: Iterable[Number]) -> dict[tuple[str, str], list[Number]]:
    """Return numbers by quantity and setting, in the order in which they come."""
    out: dict[tuple[str, str], list[Number]] = {}
    for number in numbers:
        out.setdefault((number.quantity, number.setting), []).append(number)
    return out


def quantities(numbers: Iterable[Number]) -> Table:
    """Return the distribution of the error of every quantity."""
    columns = ["quantity", "where", "measured", "not measured", "error in", "median, signed", "median size",
               "90 % within", "largest", "90 % intervals hold, %"]  # fmt: skip
    rows: list[list[Any]] = []
    for (quantity, setting), part in groups(numbers).items():
        errors = np.array([e for n in part if (e := error_of(n)) is not None])
        held = [h for n in part if (h := holds(n)) is not None]
        row: list[Any] = [f"`{quantity}`", setting, len(errors), len(part) - len(errors), unit_of(quantity)]
        size = np.abs(errors)
        told = [np.median(errors), np.median(size), np.quantile(size, 0.9), size.max()] if len(errors) else [None] * 4
        rows.append([*row, *told, 100 * float(np.mean(held)) if held else None])
    return table(columns, rows)


# ------------------------------------------------------------------ words


def classes(words: Iterable[Word]) -> Table:
    """Return how often each class was named right, and what it was mistaken for."""
    found: dict[str, list[Word]] = {}
    for word in words:
        found.setdefault(word.quantity, []).append(word)
    rows = []
    for quantity, part in found.items():
        right = sum(w.said == w.truth for w in part)
        low, high = wilson(right, len(part))
        wrong = Counter(f"{w.truth} as {w.said}" for w in part if w.said != w.truth)
        told = "; ".join(f"{what} ({n})" for what, n in wrong.most_common(3)) or None
        rows.append([quantity, len(part), 100 * right / len(part), f"{100 * low:.0f}-{100 * high:.0f}", told])
    return table(["what", "asked", "right, %", "90 % interval", "most often wrong"], rows)


def mimics_called(words: Iterable[Word]) -> tuple[int, int, int]:
    """Return how many mimics there were, how many were called calcification, and how many were not listed."""
    said = [w.said for w in words if w.quantity == "kind of a mimic"]
    return len(said), said.count("calcification"), said.count(NOT_LISTED)


def stated(words: Iterable[Word], quantity: str) -> list[tuple[float, float, int]]:
    """Return mean stated probability, share right and number of the answers in each of :data:`BINS`."""
    part = [w for w in words if w.quantity == quantity and w.probability is not None]
    out = []
    for low, high in BINS:
        inside = [w for w in part if w.probability is not None and low <= w.probability < high]
        if inside:
            mean = float(np.mean([w.probability for w in inside]))
            out.append((mean, float(np.mean([w.said == w.truth for w in inside])), len(inside)))
    return out


def calibration(words: Sequence[Word], counted: Sequence[CaseResult]) -> Table:
    """Return how often an answer is right, by how probable it was said to be."""
    rows: list[list[Any]] = []
    found = {"first cause, published cases": of_cases(counted)} if counted else {}
    for name, bins in (found | {name: stated(words, name) for name in PROBABILITIES}).items():
        for mean, right, n in bins:
            low, high = wilson(round(right * n), n)
            rows.append([name, n, 100 * mean, 100 * right, f"{100 * low:.0f}-{100 * high:.0f}"])
    return table(["answer", "answers", "said, %", "right, %", "90 % interval"], rows)


def of_cases(counted: Sequence[CaseResult]) -> list[tuple[float, float, int]]:
    """Return the same of the first cause."""
    return [(b.probability, b.right, b.n) for b in reliability(counted)]


# ------------------------------------------------------------------ beside simpler answers


def rivals(foci: Sequence[Focus]) -> Table:
    """Return the error of mass and volume beside a fixed threshold, on the same foci without contrast medium."""
    rows = []
    for source, name in (("patient", "digital patients"), ("phantom", "phantoms"), ("inserted", "real scans")):
        mine = [f for f in foci if f["source"] == source and has_rival(f)]
        for what, key, true in (
            ("mass, integrated (ours)", "mass_mg", "true_mg"),
            ("mass, Agatston type", "agatston_type_mg", "true_mg"),
            ("volume at half maximum (ours)", "volume_mm3", "true_mm3"),
            ("volume over a fixed 130 HU", "fixed_130_mm3", "true_mm3"),
        ):
            if mine:
                errors = np.array([100 * (f[key] / f[true] - 1) for f in mine])
                size = np.abs(errors)
                rows.append([what, name, len(mine), np.median(errors), np.median(size), np.quantile(size, 0.9)])
    return table(["what", "where", "foci", "median error, %", "median size, %", "90 % within, %"], rows)


def methods(counted: Sequence[CaseResult]) -> Table:
    """Return the scores of the differential beside prior alone and naive Bayes, with 90 % bootstrap bands."""
    columns = ["method", "cases", "first right", "in the first three", "in the first five", "1 / rank", "Brier, 0-2",
               "log loss"]  # fmt: skip
    rows = []
    for method in METHODS if counted else ():
        found = scores(counted, method)
        kept = [found[name] for name in ("top1", "top3", "top5", "mrr", "brier", "log_loss")]
        told = [f"{s.value:.2f} ({s.low:.2f}-{s.high:.2f})" for s in kept]
        rows.append([method, len(counted), *told])
    return table(columns, rows)


def sources(found: Sequence[tuple[str, MovedBy]], knowledge: Knowledge) -> Table:
    """Return what moves most when a work is taken away."""
    rows = []
    for work, moved in found[:SOURCES_SHOWN]:
        citation = knowledge.sources[moved.sources[0]].citation
        title = citation if len(citation) <= 70 else citation[:67].rsplit(" ", 1)[0] + " ..."
        rows.append([f"{work}: {title}", moved.touched, len(moved.first), len(moved.plan), 100 * moved.largest])
    return table(["without", "numbers and rules", "first cause moves", "plan moves", "largest shift, points"], rows)


def wanted(rows: Iterable[dict[str, Any]]) -> Table:
    """Return the rows of the benches for which a mark was set beforehand."""
    marked = [r for r in rows if r.get("target") and r.get("ok") is not None and r.get("value") is not None]
    return table(
        ["what", "measured", "unit", "wanted", ""],
        [[r["name"], r["value"], r["unit"], r["target"], "reached" if r["ok"] else "**missed**"] for r in marked],
    )
