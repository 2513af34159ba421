"""One plot of where the time goes, and of what more slices and more foci cost.

    scripts/bench speed --json > rows.jsonl
    scripts/quote speed rows.jsonl
    python benchmarks/speed_plots.py rows.jsonl

writes ``docs/img/speed.png``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import ROOT, save

COLOURS = ("#999999", "#56b4e9", "#0072b2", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#444444")
Row = dict[str, Any]


def draw(rows: list[Row]) -> Figure:
    """Draw the rows of ``speed_cost`` that carry stages: two bars by phase, then cost against slices and foci."""
    staged = [r for r in rows if "stages" in r]
    names = list(dict.fromkeys(name for r in staged for name in r["stages"]))
    colour = dict(zip(names, COLOURS * 2, strict=False))
    figure = Figure(figsize=(11, 3.8), dpi=100, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.3, 1.3))
    bars = [r for r in staged if "phase" in r]
    for place, r in enumerate(bars):
        low = 0.0
        for name, used in r["stages"].items():
            left.bar(place, used, bottom=low, color=colour[name], width=0.6)
            low += used
        left.annotate(f"{r['value']:.1f} s", (place, low), ha="center", va="bottom", fontsize=8)
    left.set_xticks(range(len(bars)), [r["phase"] for r in bars])
    _plain(left, "512x512x300, folder to report")
    for ax, what in ((middle, "slices"), (right, "foci")):
        _area(ax, sorted((r for r in staged if what in r), key=lambda r: r[what]), what, colour)
    handles = [left.bar(0, 0, color=colour[name]) for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _area(ax: Axes, rows: list[Row], what: str, colour: dict[str, str]) -> None:
    if rows:
        x = [r[what] for r in rows]
        used = np.array([[r["stages"].get(name, 0.0) for r in rows] for name in colour])
        ax.stackplot(x, np.maximum(used, 0), colors=list(colour.values()))
        ax.plot(x, [r["value"] for r in rows], "k.", ms=4)
        ax.set_xlim(x[0], x[-1])
    ax.set_xlabel(what, fontsize=8)
    _plain(ax, f"against {what}")


def _plain(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=9)
    ax.set_ylabel("seconds", fontsize=8)
    ax.set_ylim(0, None)
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)


def main() -> int:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description="Where the time goes; cost against slices and foci.")
    parser.add_argument("rows", type=Path, help="what scripts/bench speed --json printed")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "speed.png", help="the picture")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.rows.read_text("utf-8").splitlines() if line.strip()]
    if not any("stages" in r for r in rows):
        sys.stderr.write(f"benchmarks/speed_plots.py: wanted rows with stages in {given.rows}, found none.\n")
        return 1
    save(draw(rows), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
