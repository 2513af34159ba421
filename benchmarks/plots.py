"""Plots and tables of every focus of the accuracy benchmark, failures included.

    python benchmarks/accuracy.py --details details.jsonl > rows.jsonl
    python benchmarks/plots.py details.jsonl --tables .
    scripts/quote accuracy-groups accuracy-groups.jsonl
    scripts/quote accuracy-failures accuracy-failures.jsonl

The first line takes many minutes. The pictures go to ``docs/img/accuracy-*.png``; ``--tables DIR`` writes rows for
``scripts/quote``: figures by group, and every failure by name.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
Focus = dict[str, Any]
Group = tuple[str, list[Focus]]

SIZES = (0.0, 3.0, 5.0, 8.0, 12.0, 20.0, math.inf)
CONTRASTS = (0.0, 250.0, 350.0, 500.0, 700.0, math.inf)
SHOWN = 0.5  # errors beyond +-50 % are drawn at the edge and named
FAILED = 0.30
MOST_NAMES = 12
COLOURS = {
    "phantom, non-contrast": "#777777",
    "real scan, non-contrast": "#0072b2",
    "real scan, portal": "#d55e00",
}
OTHER = "#009e73"


def judged(lines: list[Focus]) -> tuple[list[Focus], list[Focus]]:
    """Return true foci with their error and whether the interval holds, and false calcifications."""
    foci = [line for line in lines if line["source"] != "false"]
    for focus in foci:
        mass = focus["mass_mg"]
        focus["error"] = None if mass is None else mass / focus["true_mg"] - 1
        focus["covered"] = None if mass is None else focus["low"] <= focus["true_mg"] <= focus["high"]
    return foci, [line for line in lines if line["source"] == "false"]


def is_usable(focus: Focus) -> bool:
    """Whether a focus counts in the mass rows of the benchmark: 3-20 mm, nothing cut off."""
    return 3 <= focus["size_mm"] <= 20 and not focus["clipped"]


def setting(focus: Focus) -> str:
    """Where a focus was: phantom or real scan, and the phase."""
    return f"{'phantom' if focus['source'] == 'phantom' else 'real scan'}, {focus['phase']}"


# ------------------------------------------------------------------ groups


def binned(foci: Iterable[Focus], key: str, edges: Sequence[float], unit: str) -> list[Group]:
    """Foci by a number, empty groups left out."""
    foci = list(foci)
    out = []
    for low, high in itertools.pairwise(edges):
        name = f"under {high:g}" if low == 0 else f"{low:g} and more" if high == math.inf else f"{low:g}-{high:g}"
        part = [f for f in foci if low <= f[key] < high]
        if part:
            out.append((f"{name} {unit}", part))
    return out


def named(foci: Iterable[Focus], name: Callable[[Focus], Any], unit: str = "") -> list[Group]:
    """Foci by what ``name`` says of them, in order."""
    foci = list(foci)
    return [(f"{v:g}{unit}" if isinstance(v, float) else f"{v}{unit}", [f for f in foci if name(f) == v])
            for v in sorted({name(f) for f in foci})]  # fmt: skip


def thickness(focus: Focus) -> float:
    """Slice thickness in mm to a tenth."""
    return round(float(focus["slice_mm"]), 1)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 90 % Wilson interval of a share."""
    z = 1.645
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def group_rows(foci: list[Focus]) -> list[dict[str, Any]]:
    """Figures of each group as rows for ``scripts/quote``."""
    usable = [f for f in foci if is_usable(f)]
    whole = [f for f in foci if not f["clipped"]]
    parts = [
        *binned(whole, "size_mm", SIZES, "mm"),
        *binned(usable, "delta_hu", CONTRASTS, "HU above liver"),
        *named(usable, setting),
        *named(usable, thickness, " mm slices"),
        *named(usable, lambda f: f["pattern"]),
    ]
    return [{"name": f"{name} ({len(part)} foci)", "value": _figures(part)} for name, part in parts]


def _figures(part: list[Focus]) -> str:
    errors = np.array([f["error"] for f in part if f["error"] is not None])
    found = f"found {sum(f['found'] for f in part)} of {len(part)}"
    if not len(errors):
        return f"{found}; mass not measured"
    held = sum(f["covered"] for f in part if f["covered"] is not None)
    size = np.abs(errors)
    return (
        f"{found}; mass error median {np.median(size):.1%} (signed {np.median(errors):+.1%}), "
        f"90 % within {np.quantile(size, 0.9):.1%}; intervals hold {held} of {len(errors)}"
    )


# ------------------------------------------------------------------ failures


def failures(foci: list[Focus], false: list[Focus]) -> list[dict[str, Any]]:
    """Every focus missed, not measured or wrong by more than 30 %, and every false calcification."""
    out = []
    for f in foci:
        if not f["found"]:
            said = "not found, or taken for a mimic"
        elif f["error"] is None:
            said = f"mass not measured: {f['mass_reason']}"
        elif abs(f["error"]) > FAILED:
            said = f"{f['error']:+.0%}: {f['mass_mg']:.3g} mg ({f['low']:.3g} to {f['high']:.3g})"
        else:
            continue
        cut = ", HU cut off" if f["clipped"] else ""
        name = f"{_place(f)}, focus {f['true_id']}: {_what(f)}, {f['delta_hu']:.0f} HU{cut}"
        out.append({"name": name, "value": said, "target": f"{f['true_mg']:.3g} mg"})
    for f in false:
        mass = "mass not measured" if f["mass_mg"] is None else f"{f['mass_mg']:.3g} mg"
        said = f"calcification, {f['certainty']}, {mass}: {f['reasons'][0] if f['reasons'] else 'no reason'}"
        out.append({"name": f"{_place(f)}: nothing was put there", "value": said, "target": "nothing"})
    return out


def _place(f: Focus) -> str:
    return f"{f['scan']}, seed {f['seed']}, {f['phase']}, {thickness(f):g} mm"


def _what(f: Focus) -> str:
    return f"{f['pattern']} {f['size_mm']:.1f} mm"


# ------------------------------------------------------------------ pictures


def scatter(foci: list[Focus], key: str, label: str, title: str, edges: Sequence[float]) -> Figure:
    """Mass error of every focus against a number, with the median and the middle 80 % of each group."""
    figure, ax = _figure(title)
    ax.set_xscale("log")
    placed = [(f[key], f) for f in foci]
    _dots(ax, placed)
    _failed(ax, placed)
    for _, part in binned([f for f in foci if not f["clipped"]], key, edges, ""):
        errors = [f["error"] for f in part if f["error"] is not None]
        if len(errors) >= 5:
            low, middle, high = np.clip(np.quantile(errors, [0.1, 0.5, 0.9]), -SHOWN, SHOWN)
            ends = [min(f[key] for f in part), max(f[key] for f in part)]
            ax.fill_between(ends, low, high, color="#999999", alpha=0.25, lw=0)
            ax.plot(ends, [middle, middle], color="black", lw=1.5)
    low, high = min(f[key] for f in foci), max(f[key] for f in foci)
    ticks = [t for t in (1, 2, 3, 5, 8, 12, 20, 30, 60, 150, 250, 350, 500, 700, 1000) if low * 0.9 <= t <= high * 1.1]
    ax.set_xticks(ticks, [f"{t}" for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel(label)
    _error_axis(ax)
    return figure


def strips(groups: Sequence[Group], label: str, title: str) -> Figure:
    """Mass error of every focus, a column for each group, with the median and the middle 80 %."""
    figure, ax = _figure(title)
    placed = [(n + 0.5 * ((k * 0.618) % 1) - 0.25, f) for n, (_, part) in enumerate(groups) for k, f in enumerate(part)]
    _dots(ax, placed)
    _failed(ax, placed)
    for n, (_, part) in enumerate(groups):
        errors = [f["error"] for f in part if f["error"] is not None and not f["clipped"]]
        if len(errors) >= 5:
            low, middle, high = np.clip(np.quantile(errors, [0.1, 0.5, 0.9]), -SHOWN, SHOWN)
            ax.fill_between([n - 0.3, n + 0.3], low, high, color="#999999", alpha=0.25, lw=0)
            ax.plot([n - 0.3, n + 0.3], [middle, middle], color="black", lw=1.5)
    names = [f"{name}\n{len(part)} foci" for name, part in groups]
    is_long = len(names) > 5
    ax.set_xticks(range(len(names)), names, rotation=40 if is_long else 0, ha="right" if is_long else "center")
    ax.set_xlabel(label)
    _error_axis(ax)
    return figure


def coverage(foci: list[Focus]) -> Figure:
    """Share of 90 % intervals that hold the true mass, by size."""
    figure, ax = _figure("Do the 90 % intervals of mass hold the truth?")
    groups = binned([f for f in foci if not f["clipped"] and f["covered"] is not None], "size_mm", SIZES, "mm")
    ax.axhspan(0.85, 0.95, color="#009e73", alpha=0.2, lw=0, label="wanted: 85-95 %")
    _shares(ax, groups, lambda f: bool(f["covered"]), "#0072b2", 0.0, "share that holds it")
    _share_axis(ax, groups)
    ax.set_xlabel("largest diameter")
    return figure


def found_rate(foci: list[Focus], key: str, edges: Sequence[float], unit: str, title: str) -> Figure:
    """Share of foci found, and called calcification, by a number, in each setting."""
    figure, ax = _figure(title)
    groups = binned(foci, key, edges, unit)
    for n, name in enumerate(dict.fromkeys((*COLOURS, *map(setting, foci)))):
        colour = COLOURS.get(name, OTHER)
        mine = [(label, [f for f in part if setting(f) == name]) for label, part in groups]
        _shares(ax, mine, lambda f: bool(f["found"]), colour, 0.16 * (n - 1), f"{name}: found", marker="o")
        _shares(ax, mine, lambda f: f["kind"] == "calcification", colour, 0.16 * (n - 1) + 0.06,
                f"{name}: called calcification", marker="x")  # fmt: skip
    _share_axis(ax, groups)
    return figure


def has_rival(focus: Focus) -> bool:
    """Whether ours and the fixed threshold both gave a number."""
    return is_usable(focus) and None not in (focus["fixed_130_mm3"], focus["error"], focus["volume_mm3"])


def threshold(foci: list[Focus], *, source: str = "inserted", where: str = "real scans") -> Figure | None:
    """How many foci are within which error: ours beside a fixed threshold, same non-contrast foci."""
    mine = [f for f in foci if f["source"] == source and has_rival(f)]
    if not mine:
        return None
    figure, ax = _figure(f"Ours beside a fixed threshold of 130 HU ({len(mine)} foci, {where} without contrast)")
    for key, truth, name, colour, style in (
        ("mass_mg", "true_mg", "mass, integrated (ours)", "#0072b2", "-"),
        ("agatston_type_mg", "true_mg", "mass, Agatston type", "#d55e00", "-"),
        ("volume_mm3", "true_mm3", "volume at half maximum (ours)", "#0072b2", "--"),
        ("fixed_130_mm3", "true_mm3", "volume over 130 HU", "#d55e00", "--"),
    ):
        errors = np.sort([abs(f[key] / f[truth] - 1) for f in mine])
        ax.step(errors, np.arange(1, len(errors) + 1) / len(errors), style, color=colour, label=name, where="post")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.set_xlabel("error at most")
    ax.set_ylabel("share of foci")
    ax.legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.0, 3.8), dpi=100, layout="constrained")
    ax = figure.add_subplot()
    ax.set_title(title, fontsize=10)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def _dots(ax: Axes, placed: list[tuple[float, Focus]]) -> None:
    """Draw every focus: errors beyond the axis at its edge, those without a mass on lines of their own."""
    for name in dict.fromkeys((*COLOURS, *(setting(f) for _, f in placed))):
        colour = COLOURS.get(name, OTHER)
        inside = [(x, f) for x, f in placed if setting(f) == name and _is_inside(f)]
        for marker, is_clipped in ((".", False), ("1", True)):
            shown = [(x, f["error"]) for x, f in inside if f["clipped"] == is_clipped]
            if shown:
                ax.scatter(*zip(*shown, strict=True), s=18, marker=marker, color=colour, alpha=0.7,
                           label=name + (" (HU cut off)" if is_clipped else ""))  # fmt: skip


def _is_inside(focus: Focus) -> bool:
    return focus["error"] is not None and abs(focus["error"]) <= SHOWN


def _failed(ax: Axes, placed: list[tuple[float, Focus]]) -> None:
    """Draw the foci that are off the axis, numbered, and name the worst beside it: missed ones first."""
    off = [(x, f) for x, f in placed if not _is_inside(f)]
    off.sort(key=lambda item: (item[1]["found"], item[1]["error"] is not None, -abs(item[1]["error"] or 0)))
    names = []
    for n, (x, f) in enumerate(off, start=1):
        error = f["error"]
        if error is None:
            y, marker = (-1.24 if f["found"] else -1.4), "x"
        else:
            y, marker = (1, "^") if error > 0 else (-1, "v")
        ax.scatter(x, SHOWN * y, s=22, marker=marker, color=COLOURS.get(setting(f), OTHER), lw=1.2, clip_on=False)
        if n <= MOST_NAMES:
            ax.annotate(f"{n}", (x, SHOWN * y), fontsize=6, xytext=(3, 2), textcoords="offset points")
            said = "not found" if not f["found"] else "no mass" if error is None else f"{error:+.0%}"
            names.append(f"{n} {_what(f)}: {said}")
    if len(off) > MOST_NAMES:
        names.append(f"and {len(off) - MOST_NAMES} more, see the table")
    if names:
        empty = [Line2D([], [], linestyle="none") for _ in names]
        ax.figure.legend(empty, names, fontsize=6, frameon=False, loc="outside right upper", handlelength=0)


def _error_axis(ax: Axes) -> None:
    for limit, style in ((0.0, "-"), (-0.15, ":"), (0.15, ":")):
        ax.axhline(limit, color="black", lw=0.6, ls=style)
    ax.set_ylim(-1.5 * SHOWN, 1.25 * SHOWN)
    ticks = [-0.5, -0.3, -0.15, 0, 0.15, 0.3, 0.5]
    ax.set_yticks([-1.4 * SHOWN, -1.24 * SHOWN, *ticks], ["not found", "no mass", *(f"{t:+.0%}" for t in ticks)])
    ax.set_ylabel("error of mass")
    handles, labels = ax.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if once:
        ax.figure.legend(once.values(), once.keys(), fontsize=7, frameon=False, loc="outside lower center", ncols=3)


def _shares(
    ax: Axes, groups: Sequence[Group], test: Callable[[Focus], bool], colour: str, shift: float, label: str,
    marker: str = "o",
) -> None:  # fmt: skip
    """Draw the share of each group that passes a test, with its 90 % Wilson interval."""
    for n, (_, part) in enumerate(groups):
        if not part:
            continue
        hits = sum(test(f) for f in part)
        low, high = wilson(hits, len(part))
        ax.plot([n + shift] * 2, [low, high], color=colour, lw=1)
        ax.plot(n + shift, hits / len(part), marker, color=colour, ms=5, label=label)
        label = "_"


def _share_axis(ax: Axes, groups: Sequence[Group]) -> None:
    ax.set_xticks(range(len(groups)), [f"{name}\n{len(part)} foci" for name, part in groups])
    ax.set_ylim(0, 1.03)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.set_ylabel("share (bar: 90 % interval)")
    ax.legend(fontsize=7, frameon=False, loc="lower right")


def draw(foci: list[Focus]) -> dict[str, Figure]:
    """Return the pictures by name."""
    sized = [f for f in foci if 3 <= f["size_mm"] <= 20]
    out = {
        "mass-size": scatter(foci, "size_mm", "largest diameter in mm", "Error of mass by size, every focus", SIZES),
        "mass-hu": scatter(sized, "delta_hu", "HU of the solid part above what it lies in",
                           "Error of mass by HU above liver, foci of 3-20 mm", CONTRASTS),
        "mass-phase": strips(named(sized, setting), "", "Error of mass by phase, foci of 3-20 mm"),
        "mass-thickness": strips(named(sized, thickness), "slice thickness in mm",
                                 "Error of mass by slice thickness, foci of 3-20 mm"),
        "mass-pattern": strips(named(sized, lambda f: f["pattern"]), "", "Error of mass by pattern, foci of 3-20 mm"),
        "coverage-size": coverage(foci),
        "found-size": found_rate(foci, "size_mm", SIZES, "mm", "Found, by largest diameter"),
        "found-hu": found_rate(foci, "delta_hu", CONTRASTS, "HU", "Found, by HU of the solid part above liver"),
    }  # fmt: skip
    beside = threshold(foci)
    return out if beside is None else out | {"fixed-130": beside}


def save(figure: Figure, path: Path, colours: int = 64) -> None:
    """Write a PNG of few colours, the same bytes for the same picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    picture = Image.open(buffer).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def main() -> int:
    """Draw the pictures, write the tables."""
    parser = argparse.ArgumentParser(description="Plots and tables of every focus of the accuracy benchmark.")
    parser.add_argument("details", type=Path, help="what benchmarks/accuracy.py --details wrote")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img", help="folder for the pictures")
    parser.add_argument("--tables", type=Path, help="folder for the two files of rows")
    given = parser.parse_args()
    text = given.details.read_text("utf-8")
    foci, false = judged([json.loads(line) for line in text.splitlines() if line.strip()])
    if not foci:
        sys.stderr.write(f"benchmarks/plots.py: wanted foci in {given.details}, found none.\n")
        return 1
    for name, figure in draw(foci).items():
        path = given.out / f"accuracy-{name}.png"
        save(figure, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    if given.tables is not None:
        for name, rows in (("groups", group_rows(foci)), ("failures", failures(foci, false))):
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (given.tables / f"accuracy-{name}.jsonl").write_text(text, "utf-8")
            print(f"accuracy-{name}.jsonl: {len(rows)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
