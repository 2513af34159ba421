"""Pictures of the validation; every one is drawn from the figures of the same run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hepacalc.evaluate.run import CaseResult
from hepacalc.evaluate.score import METHODS, scores
from hepacalc.evaluate.without import MovedBy
from plots import OTHER, wilson
from validation_figures import PROBABILITIES, error_of, groups, holds, of_cases, stated, unit_of
from validation_patients import Number, Word

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"
COLOURS = {"digital patients": BLUE, "phantoms, true liver": GREY}
METHOD_COLOURS = dict(zip(METHODS, (BLUE, GREY, ORANGE), strict=True))
COLUMNS = 4
LEAST_REACH = {"%": 10.0, "mm": 2.0, "HU": 10.0, "1": 0.2, "parts": 2.0, "lesions": 2.0}


def errors(numbers: Sequence[Number]) -> Figure:
    """Draw every error: a panel a quantity, a line a setting; what lies off the axis stands at its edge."""
    parts = groups(numbers)
    names = list(dict.fromkeys(quantity for quantity, _ in parts))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(11, 1.75 * rows), dpi=100, layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, COLUMNS)).ravel()
    for ax, name in zip(axes, names, strict=False):
        mine = [(setting, part) for (quantity, setting), part in parts.items() if quantity == name]
        _error_panel(ax, name, mine)
    for ax in axes[len(names) :]:
        ax.axis("off")
    return figure


def _error_panel(ax: Axes, name: str, mine: list[tuple[str, list[Number]]]) -> None:
    found = [(setting, [e for n in part if (e := error_of(n)) is not None]) for setting, part in mine]
    every = np.abs([e for _, part in found for e in part])
    unit = unit_of(name)
    reach = max(LEAST_REACH[unit], 1.15 * float(np.quantile(every, 0.9))) if len(every) else LEAST_REACH[unit]
    ax.axvline(0, color="black", lw=0.6)
    for level, (setting, part) in enumerate(found):
        colour = COLOURS.get(setting, ORANGE)
        inside = [(e, level + 0.5 * ((k * 0.618) % 1) - 0.25) for k, e in enumerate(part) if abs(e) <= reach]
        if inside:
            ax.scatter(*zip(*inside, strict=True), s=4, color=colour, alpha=0.5, lw=0)
        for side, marker in ((-1, "<"), (1, ">")):
            off = sum(side * e > reach for e in part)
            if off:
                ax.scatter(side * reach, level, marker=marker, color=colour, s=18, clip_on=False)
                ax.annotate(f"{off}", (side * reach, level), fontsize=6, xytext=(0, 4), textcoords="offset points")
        if len(part) >= 5:
            low, middle, high = np.clip(np.quantile(part, [0.05, 0.5, 0.95]), -reach, reach)
            ax.plot([low, high], [level, level], color="black", lw=1.2)
            ax.plot(middle, level, "|", color="black", ms=9, mew=1.6)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_yticks(range(len(found)), [setting.replace(", ", ",\n") for setting, _ in found])
    ax.set_title(f"{name}, error in {unit}" if unit != "1" else f"{name}, error", fontsize=8)
    ax.tick_params(labelsize=6)
    ax.spines[["top", "right"]].set_visible(False)


def coverage(numbers: Sequence[Number]) -> Figure:
    """Draw the share of 90 % intervals that hold the truth, by quantity and setting."""
    rows = []
    for (quantity, setting), part in groups(numbers).items():
        held = [h for n in part if (h := holds(n)) is not None]
        if held:
            rows.append((quantity, setting, sum(held), len(held)))
    figure = Figure(figsize=(8, 0.8 + 0.2 * len(rows)), dpi=100, layout="constrained")
    ax = figure.add_subplot()
    ax.axvspan(85, 95, color=OTHER, alpha=0.2, lw=0)
    for level, (_, setting, hits, n) in enumerate(rows):
        low, high = wilson(hits, n)
        colour = COLOURS.get(setting, ORANGE)
        ax.plot([100 * low, 100 * high], [level, level], color=colour, lw=1)
        ax.plot(100 * hits / n, level, "o", color=colour, ms=4)
    ax.set_yticks(range(len(rows)), [f"{q}, {s} ({n})" for q, s, _, n in rows], fontsize=7)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 100.5)
    ax.set_xlabel("share of 90 % intervals that hold the truth, % (bar: 90 % interval of the share)", fontsize=8)
    _bare(ax, "Do the intervals hold the truth? Wanted: 85-95 %")
    return figure


def reliability(words: Sequence[Word], counted: Sequence[CaseResult]) -> Figure:
    """Draw how often an answer is right against how probable it was said to be."""
    shown = {"first cause, published cases": of_cases(counted)} | {name: stated(words, name) for name in PROBABILITIES}
    shown = {name: bins for name, bins in shown.items() if bins}
    figure = Figure(figsize=(2.5 * max(len(shown), 1), 2.9), dpi=100, layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, max(len(shown), 1))).ravel()
    for ax, (name, bins) in zip(axes, shown.items(), strict=False):
        ax.plot([0, 100], [0, 100], color="black", lw=0.6, ls=":")
        for mean, right, n in bins:
            low, high = wilson(round(right * n), n)
            ax.plot([100 * mean] * 2, [100 * low, 100 * high], color=BLUE, lw=1)
            ax.plot(100 * mean, 100 * right, "o", color=BLUE, ms=4)
            ax.annotate(f"{n}", (100 * mean, 100 * right), fontsize=6, xytext=(4, -8), textcoords="offset points")
        ax.set_xlim(0, 103)
        ax.set_ylim(0, 103)
        ax.set_xlabel("said, %", fontsize=8)
        _bare(ax, name, size=8)
    axes[0].set_ylabel("right, %", fontsize=8)
    return figure


def methods(counted: Sequence[CaseResult]) -> Figure:
    """Draw the scores of the three methods on the same cases, with their bootstrap bands."""
    figure = Figure(figsize=(8, 3), dpi=100, layout="constrained")
    ax = figure.add_subplot()
    names = {"top1": "first right", "top3": "in first three", "top5": "in first five", "mrr": "1 / rank",
             "brier": "Brier, 0-2\n(less is better)"}  # fmt: skip
    for shift, method in enumerate(METHODS):
        found = scores(counted, method)
        for place, name in enumerate(names):
            score, x = found[name], place + 0.18 * (shift - 1)
            colour = METHOD_COLOURS[method]
            ax.plot([x, x], [score.low, score.high], color=colour, lw=1.2)
            ax.plot(x, score.value, "o", color=colour, ms=5, label=method if place == 0 else "_")
    ax.set_xticks(range(len(names)), list(names.values()))
    ax.set_ylim(0, None)
    ax.legend(fontsize=7, frameon=False)
    _bare(ax, f"{len(counted)} published cases: ours beside two simpler answers (bar: 90 % bootstrap band)")
    return figure


def cases(counted: Sequence[CaseResult]) -> Figure:
    """Draw the probability of the right cause of every published case, worst first; failures are named."""
    rows = sorted(counted, key=lambda r: (-r.answers["hepacalc"].rank, r.answers["hepacalc"].probability))
    figure = Figure(figsize=(8, 0.8 + 0.17 * len(rows)), dpi=100, layout="constrained")
    ax = figure.add_subplot()
    for level, result in enumerate(rows):
        for method in METHODS:
            ax.plot(100 * result.answers[method].probability, level, "o" if method == "hepacalc" else "x", ms=4,
                    color=METHOD_COLOURS[method], label=method if level == 0 else "_")  # fmt: skip
    ours = [r.answers["hepacalc"] for r in rows]
    places = ["first" if a.is_right else f"{a.rank}., after {a.top[0][0]}" for a in ours]
    names = [f"{', '.join(r.truth)}: {place}" for r, place in zip(rows, places, strict=True)]
    ax.set_yticks(range(len(rows)), names, fontsize=6)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(-1, 101)
    ax.set_xlabel("probability given to the right cause, %", fontsize=8)
    ax.legend(fontsize=7, frameon=False, loc="upper right")
    _bare(ax, "Every published case, worst first")
    return figure


def sources(found: Sequence[tuple[str, MovedBy]], shown: int = 20) -> Figure:
    """Draw the largest shift of any cause's probability when a work is taken away."""
    rows = sorted(found, key=lambda pair: -pair[1].largest)[:shown]
    figure = Figure(figsize=(8, 0.8 + 0.18 * len(rows)), dpi=100, layout="constrained")
    ax = figure.add_subplot()
    for level, (_, moved) in enumerate(rows):
        ax.barh(level, 100 * moved.largest, color=ORANGE if moved.first else BLUE, height=0.6)
    ax.set_yticks(range(len(rows)), [work for work, _ in rows], fontsize=7)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xscale("symlog", linthresh=0.1)
    ax.set_xlim(0, 110)
    ticks = (0.1, 1, 10, 100)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xlabel("largest shift of any cause in any reference case, points (orange: a first cause moves)", fontsize=8)
    _bare(ax, "What moves without one source")
    return figure


def _bare(ax: Axes, title: str, size: int = 10) -> None:
    ax.set_title(title, fontsize=size)
    ax.tick_params(axis="x", labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
