"""No focus is counted twice: what lies within another candidate's region is joined to it, or cut out of it.

A peak is flooded down to half of its own height. A lower peak of the same rim floods further down, and its region then
holds the higher peak's region too. Measured as they are, both would count the same calcium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci.detect import Candidate
from hepacalc.geometry import Slices3

__all__ = ["distinct"]

WITHIN = 0.5
"""Share of a region that must lie in another one for it to count as part of it."""
ALIKE = 2.5
"""How many times higher a part may be and still be the same thing (metal in a calcification is another)."""

Mask = NDArray[np.bool_]


def distinct(candidates: Sequence[Candidate], *, vessel_hu: float | None = None) -> tuple[Candidate, ...]:
    """Return candidates none of which lies mostly within another one, brightest first.

    A part that is not much higher than the whole is joined to it: the whole keeps its region and takes the brighter
    peak. A part that is far higher, or that lies in something no brighter than blood, is cut out of it instead.

    Args:
        candidates: of one scene.
        vessel_hu: brightest blood of an enhanced scan; None on a plain one.
    """
    kept: list[Candidate] = []
    for part in sorted(candidates, key=lambda c: -int(c.region.sum())):
        for k, whole in enumerate(kept):
            if _share(part, whole) <= WITHIN:
                continue
            if _height(part) <= ALIKE * _height(whole) and (vessel_hu is None or whole.peak_hu > vessel_hu):
                kept[k] = _joined(whole, part)
                break
            rest = _cut(whole, part)
            if rest is None:
                # nothing is left of it but the part
                kept[k] = part
                break
            kept[k] = rest
        else:
            kept.append(part)
    return tuple(sorted(kept, key=lambda c: -c.peak_hu))


def _height(candidate: Candidate) -> float:
    return max(candidate.peak_hu - candidate.background_hu, 1e-3)


def _overlap(part: Slices3, whole: Slices3) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Return where two boxes meet, in the frame of each."""
    low = [max(a.start, b.start) for a, b in zip(part, whole, strict=True)]
    high = [min(a.stop, b.stop) for a, b in zip(part, whole, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None
    first, second = (
        tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, box, strict=True)) for box in (part, whole)
    )
    return first, second


def _share(part: Candidate, whole: Candidate) -> float:
    """Return the share of a region that lies in another one."""
    meet = _overlap(part.box, whole.box)
    if meet is None:
        return 0.0
    return float((part.region[meet[0]] & whole.region[meet[1]]).sum()) / max(float(part.region.sum()), 1.0)


def _joined(whole: Candidate, part: Candidate) -> Candidate:
    if part.peak_hu <= whole.peak_hu:
        return whole
    at = tuple(p - b.start for p, b in zip(part.peak, whole.box, strict=True))
    inside = all(0 <= i < n for i, n in zip(at, whole.region.shape, strict=True)) and bool(whole.region[at])
    return replace(
        whole,
        peak=part.peak if inside else whole.peak,
        peak_hu=part.peak_hu,
        significance=max(part.significance, whole.significance),
        capsule_mm=part.capsule_mm if inside else whole.capsule_mm,
    )


def _cut(whole: Candidate, part: Candidate) -> Candidate | None:
    """Return a candidate without a part of it: what still hangs on its own peak; None when its peak goes too."""
    meet = _overlap(part.box, whole.box)
    assert meet is not None
    region = whole.region.copy()
    region[meet[1]] &= ~part.region[meet[0]]
    at = tuple(p - b.start for p, b in zip(whole.peak, whole.box, strict=True))
    if not region[at]:
        return None
    labels, _ = ndimage.label(region, np.ones((3, 3, 3)))
    region = np.asarray(labels == labels[at])
    tight = ndimage.find_objects(region.astype(np.int8))[0]
    box = tuple(slice(b.start + t.start, b.start + t.stop) for b, t in zip(whole.box, tight, strict=True))
    return replace(whole, box=(box[0], box[1], box[2]), region=np.ascontiguousarray(region[tight]))
