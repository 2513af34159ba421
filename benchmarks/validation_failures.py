"""The worst failures as pictures: each scan is made and assessed anew, and shown where the failure is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from accuracy import PHANTOM_SEEDS, inserted_scan, insertion_liver, pattern_phantom, with_true_liver
from hepacalc.phantom import make_body
from hepacalc.records import Assessment, Focus, Volume
from liver_pictures import picture
from liver_runs import Run, segmented
from matching import Match, real_scan, walk
from validation_patients import FIRST_SEED, patient
from warped import LIVER, Case, warped

HALF_MM = 32.0
WINDOW_HU = (-100.0, 500.0)
OF_A_KIND = 4
NOT_SHOWN = "IRCAD"
"""Its licence forbids to ship anything made from it."""


@dataclass(frozen=True)
class Failure:
    """Where something went wrong, and what.

    Args:
        source: ``patient``, ``phantom`` or ``inserted``.
        scan: its name and seed, as matches carry them.
        at_mm: LPS.
        title: what was there and what was said.
    """

    source: str
    scan: str
    at_mm: tuple[float, float, float]
    title: str


def worst(matches: Iterable[Match], extra: Iterable[tuple[str, str, Focus]]) -> list[Failure]:
    """Return the heaviest missed foci, the worst masses, and the heaviest false calcifications, some of each.

    Args:
        matches: all of them; only scans that may be shown and that can be made anew count.
        extra: calcifications where none is, as (source, scan, focus).
    """
    shown = [m for m in matches if NOT_SHOWN not in m.scan and _can_be_made(m.source, m.scan)]
    missed = sorted((m for m in shown if m.found is None), key=lambda m: -m.truth.mass_mg)
    wrong = [(e, m) for m in shown if not m.truth.clipped and (e := m.mass_error) is not None]
    wrong.sort(key=lambda pair: -abs(pair[0]))
    out = [_failure(m, "not found, or taken for a mimic") for m in missed[:OF_A_KIND]]
    out += [_failure(m, f"mass {100 * e:+.0f} %") for e, m in wrong[:OF_A_KIND]]
    false = [(s, scan, f) for s, scan, f in extra if NOT_SHOWN not in scan and _can_be_made(s, scan)]
    false.sort(key=lambda call: -getattr(call[2].measurements["mass_mg"], "value", 0.0))
    out += [
        Failure(source, scan, f.centroid_mm, f"{_short(scan)}\nnothing is there\ncalled calcification, {f.certainty}")
        for source, scan, f in false[:OF_A_KIND]
    ]
    return out


def _failure(m: Match, said: str) -> Failure:
    t = m.truth
    what = f"{t.pattern} {t.diameter_mm:.0f} mm, {t.delta_hu:.0f} HU"
    return Failure(m.source, m.scan, t.centroid_mm, f"{_short(m.scan)}\n{what}\n{said}")


def _short(scan: str) -> str:
    return scan.replace("TotalSegmentator", "TotalSeg.")


def _can_be_made(source: str, scan: str) -> bool:
    return source != "phantom" or int(scan.rpartition(" ")[2]) in PHANTOM_SEEDS


def _made(source: str, scan: str) -> tuple[Volume, np.ndarray, Assessment]:
    """Return a scan, its true labels, and what is found in it."""
    name, _, number = scan.rpartition(", seed ")
    seed = int(number)
    if source == "patient":
        seen = patient(seed - FIRST_SEED)
        return seen.made.volume, seen.made.labels, seen.found
    if source == "phantom":
        made = pattern_phantom(seed)
        return made.volume, made.labels, with_true_liver(made)
    volume = real_scan(name)
    inserted = inserted_scan(name, seed, volume, insertion_liver(name, volume))
    return inserted.volume, inserted.labels, walk(inserted.volume)


def pictures(failures: Sequence[Failure]) -> Figure | None:
    """Draw each failure: the scan, true foci green, listed foci orange, the liver blue."""
    if not failures:
        return None
    rows = -(-len(failures) // OF_A_KIND)
    figure = Figure(figsize=(2.3 * OF_A_KIND, 2.9 * rows), dpi=100, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)
    axes = np.atleast_1d(figure.subplots(rows, OF_A_KIND)).ravel()
    for ax in axes:
        ax.axis("off")
    at = dict(zip(failures, axes, strict=False))
    for source, scan in dict.fromkeys((f.source, f.scan) for f in failures):
        volume, labels, found = _made(source, scan)
        turn = volume.geometry.canonical()
        arrays = [turn.apply(a) for a in (volume.hu, labels > 0, found.labels > 0, found.liver_mask.mask)]
        step = turn.geometry.spacing_mm
        for failure in failures:
            if (failure.source, failure.scan) != (source, scan):
                continue
            z, y, x = (round(float(v)) for v in turn.geometry.to_index(failure.at_mm))
            z = min(max(z, 0), len(arrays[0]) - 1)
            box = (z, *(slice(max(c - round(HALF_MM / d), 0), c + round(HALF_MM / d) + 1)
                        for c, d in ((y, step[1]), (x, step[2]))))  # fmt: skip
            ax = at[failure]
            hu, true, listed, liver = (a[box] for a in arrays)
            ax.imshow(hu, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], aspect=step[1] / step[2])
            for mask, colour, width in ((liver, "#56b4e9", 0.6), (true, "#2ca02c", 1.4), (listed, "#ff9d00", 0.9)):
                if mask.any() and not mask.all():
                    ax.contour(mask.astype(float), [0.5], colors=colour, linewidths=width)
            ax.set_title(failure.title, fontsize=7)
    return figure


# ------------------------------------------------------------------ the liver


def worst_livers(runs: Iterable[Run], count: int = 3) -> list[tuple[Run, Image.Image]]:
    """Return the bodies on which the liver was worst, and a picture of each: red ours, green the truth."""
    return [(run, _liver_picture(run)) for run in sorted(runs, key=lambda r: r.dice)[:count]]


def _liver_picture(run: Run) -> Image.Image:
    if run.source == "phantom":
        made = make_body(run.body, run.seed)
        turn = made.volume.geometry.canonical()
        volume = replace(made.volume, hu=turn.apply(made.volume.hu), geometry=turn.geometry, sop_instance_uids=())
        case = Case(run.body, volume, np.where(turn.apply(made.liver), LIVER, 0).astype(np.uint8))
    else:
        case = warped(run.source, run.body, run.seed)
    found = segmented(case.volume, 1)
    return picture(case, getattr(found, "mask", np.zeros(case.labels.shape, bool)))
