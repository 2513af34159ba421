"""No focus is counted twice: what lies in or around another candidate's region is joined to it, or kept out of it.

A peak is flooded down to half of its own height. A lower peak of the same rim floods further down: its region holds the
higher peak's region too, or, where that has been taken out, lies around it like a skin. Measured as they are, both
would count the same calcium.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci.blocks import tight_box
from hepacalc.foci.detect import Candidate
from hepacalc.foci.mimics import METAL_HU
from hepacalc.geometry import Slices3

__all__ = ["distinct"]

WITHIN = 0.5
"""Share of a region that must lie in another one, or next to it, for it to count as part of it."""
ALIKE = 2.5
"""How many times higher one of them may be and still be the same thing (metal in a calcification is another)."""
ALIKE_CALCIUM = 6.0
"""The same for a peak and what lies around it like a skin, where none is as bright as metal: thick slices do that."""
FAR_LARGER = 10.0
"""Of a vessel so many times larger, calcium is no part: it lies in or along it."""
INSIDE_APART = 0.3
"""Largest difference of the shares in the liver: a focus beside a rib is no part of the rib."""

Mask = NDArray[np.bool_]


def distinct(
    candidates: Sequence[Candidate],
    *,
    vessel_hu: float | None = None,
    is_vessel: Callable[[Candidate], bool] = lambda _: False,
) -> tuple[Candidate, ...]:
    """Return candidates none of which lies mostly in or along another one, brightest first.

    A part of about the same height is joined to the whole: both regions, the brighter peak. A part that is far higher
    or lower, or that lies in something no brighter than blood, is kept out of it instead.

    Args:
        candidates: of one scene.
        vessel_hu: brightest blood of an enhanced scan; None on a plain one.
        is_vessel: whether a structure is plainly a vessel; its peak alone does not tell, since the brightest of
            thousands of voxels is brighter than blood by noise.
    """
    kept: list[Candidate] = []
    boxes = np.empty((len(candidates), 2, 3), int)

    def keep(k: int, candidate: Candidate) -> None:
        kept[k : k + 1] = [candidate]
        boxes[k] = _ends(candidate)

    for part in sorted(candidates, key=lambda c: -np.count_nonzero(c.region)):
        first, last = _ends(part)
        others = boxes[: len(kept)]
        for k in map(int, np.flatnonzero(((first <= others[:, 1]) & (last >= others[:, 0])).all(axis=1))):
            whole = kept[k]
            within, beside = _shares(part, whole)
            if max(within, beside) <= WITHIN:
                continue
            if (
                (_alike(part, whole) or _is_skin(part, whole))
                and (vessel_hu is None or min(part.peak_hu, whole.peak_hu) > vessel_hu)
                and not (_is_far_larger(whole, part) and is_vessel(whole))
            ):
                keep(k, _joined(whole, part))
                break
            if within <= WITHIN:
                continue
            rest = _cut(whole, part)
            if rest is None:
                # nothing is left of it but the part
                keep(k, part)
                break
            keep(k, rest)
        else:
            keep(len(kept), part)
    return tuple(sorted(kept, key=lambda c: -c.peak_hu))


def _ends(candidate: Candidate) -> NDArray[np.intp]:
    """Return the first index and the one after the last along each axis, ``(2, 3)``."""
    return np.array([[b.start for b in candidate.box], [b.stop for b in candidate.box]])


def _height(candidate: Candidate) -> float:
    return max(candidate.peak_hu - candidate.background_hu, 1e-3)


def _alike(part: Candidate, whole: Candidate, most: float = ALIKE) -> bool:
    """Whether two candidates can be one thing: of about the same height, and in the liver to about the same share."""
    ratio = _height(part) / _height(whole)
    return 1 / most <= ratio <= most and part.inside - whole.inside < INSIDE_APART


def _is_skin(part: Candidate, whole: Candidate) -> bool:
    """Whether the larger of two candidates lies around the smaller one, and is what is left of the same calcium."""
    if max(part.peak_hu, whole.peak_hu) >= METAL_HU or not _alike(part, whole, ALIKE_CALCIUM):
        return False
    return max(_shares(whole, part)) > WITHIN


def _is_far_larger(whole: Candidate, part: Candidate) -> bool:
    return bool(np.count_nonzero(whole.region) >= FAR_LARGER * np.count_nonzero(part.region))


def _shares(part: Candidate, whole: Candidate) -> tuple[float, float]:
    """Return the share of a region that lies in another one, and the share that lies in it or next to it."""
    # only what lies in the part's own box and one voxel around it matters, however large the other one is
    low = [a.start - 1 for a in part.box]
    other = np.zeros([n + 2 for n in part.region.shape], bool)
    common = [(max(b.start, s), min(b.stop, s + n)) for b, s, n in zip(whole.box, low, other.shape, strict=True)]
    if any(first >= last for first, last in common):
        return 0.0, 0.0
    here = tuple(slice(first - s, last - s) for (first, last), s in zip(common, low, strict=True))
    there = tuple(slice(first - b.start, last - b.start) for (first, last), b in zip(common, whole.box, strict=True))
    other[here] = whole.region[there]
    if not other.any():
        return 0.0, 0.0
    inner = (slice(1, -1), slice(1, -1), slice(1, -1))
    grown = ndimage.maximum_filter(other, size=3)[inner]
    size = max(float(part.region.sum()), 1.0)
    return float((part.region & other[inner]).sum()) / size, float((part.region & grown).sum()) / size


def _laid(candidate: Candidate, low: Sequence[int], shape: Sequence[int]) -> Mask:
    """Return a region in a frame that begins at ``low``."""
    out = np.zeros(shape, bool)
    out[tuple(slice(b.start - s, b.stop - s) for b, s in zip(candidate.box, low, strict=True))] = candidate.region
    return out


def _joined(whole: Candidate, part: Candidate) -> Candidate:
    """Return both as one candidate."""
    low = [min(a.start, b.start) for a, b in zip(part.box, whole.box, strict=True)]
    high = [max(a.stop, b.stop) for a, b in zip(part.box, whole.box, strict=True)]
    shape = [b - a for a, b in zip(low, high, strict=True)]
    sizes = float(whole.region.sum()), float(part.region.sum())
    top = part if part.peak_hu > whole.peak_hu else whole
    box: Slices3 = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    return replace(
        whole,
        peak=top.peak,
        peak_hu=top.peak_hu,
        capsule_mm=top.capsule_mm,
        significance=max(part.significance, whole.significance),
        box=box,
        region=_laid(whole, low, shape) | _laid(part, low, shape),
        inside=(sizes[0] * whole.inside + sizes[1] * part.inside) / sum(sizes),
        depth_mm=max(part.depth_mm, whole.depth_mm),
        is_cut=part.is_cut or whole.is_cut,
        at_scan_edge=part.at_scan_edge or whole.at_scan_edge,
    )


def _cut(whole: Candidate, part: Candidate) -> Candidate | None:
    """Return a candidate without a part of it: what still hangs on its own peak; None when its peak goes too."""
    low = [min(a.start, b.start) for a, b in zip(part.box, whole.box, strict=True)]
    high = [max(a.stop, b.stop) for a, b in zip(part.box, whole.box, strict=True)]
    shape = [b - a for a, b in zip(low, high, strict=True)]
    region = _laid(whole, low, shape) & ~_laid(part, low, shape)
    at = tuple(p - s for p, s in zip(whole.peak, low, strict=True))
    if not region[at]:
        return None
    labels, _ = ndimage.label(region, np.ones((3, 3, 3)))
    region = np.asarray(labels == labels[at])
    tight = tight_box(region)
    box = tuple(slice(s + t.start, s + t.stop) for s, t in zip(low, tight, strict=True))
    return replace(whole, box=(box[0], box[1], box[2]), region=np.ascontiguousarray(region[tight]))
