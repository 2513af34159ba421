"""How much of the liver the scan shows: where it is cut, and about how much is missing.

The missing part is extrapolated from the cross-section at the cut: a dome gains about 5 cm2 of cross-section per mm
(cap of a ball of 80 mm radius), the lower edge tapers by about 2 cm2 per mm. It is an estimate within a factor of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hepacalc.records import LiverMask, Volume

__all__ = ["Coverage", "Cut", "liver_coverage"]

Side = Literal["top", "bottom", "right", "left", "front", "back"]
_TAPER_CM2_PER_MM = {"top": 5.0, "bottom": 2.0}
_SIDE_DEPTH_MM = 15.0
_LEAST_CM2 = 1.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One side at which the liver leaves the scan.

    Args:
        side: patient's side.
        area_cm2: cross-section of the liver in the last plane.
        share_of_largest: that area over the largest cross-section in view.
        missing_ml: about how much lies beyond it; at least this when ``is_at_least``.
        is_at_least: the cut goes through the thickest part in view, so more may be missing.
    """

    side: Side
    area_cm2: float
    share_of_largest: float
    missing_ml: float
    is_at_least: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """What part of the liver is in view.

    Args:
        cuts: sides at which it is cut, largest loss first.
        seen_ml: volume in view.
    """

    cuts: tuple[Cut, ...]
    seen_ml: float

    @property
    def is_complete(self) -> bool:
        """Whether no side is cut."""
        return not self.cuts

    @property
    def missing_share(self) -> float:
        """Estimated share of the whole liver that is not in view, 0-1."""
        missing = sum(cut.missing_ml for cut in self.cuts)
        return missing / (missing + self.seen_ml) if missing else 0.0


def liver_coverage(liver_mask: LiverMask, volume: Volume | None = None) -> Coverage:
    """Return where the liver is cut by the edge of the scan.

    Args:
        liver_mask: the liver, any axis order.
        volume: the scan on the same grid; adds cuts by the round field of view (padding), when it is padded.
    """
    turn = liver_mask.geometry.canonical()
    mask = turn.apply(liver_mask.mask)
    dz, dy, dx = turn.geometry.spacing_mm
    counts = mask.sum(axis=(1, 2))
    seen_ml = float(counts.sum()) * turn.geometry.voxel_mm3 / 1000
    if not counts.any():
        return Coverage((), 0.0)
    areas = counts * dy * dx / 100
    cuts = []
    ends: tuple[tuple[Side, int], ...] = (("bottom", 0), ("top", -1))
    for side, end in ends:
        area = float(areas[end])
        if area >= _LEAST_CM2:
            share = area / float(areas.max())
            missing_ml = 0.5 * area * (area / _TAPER_CM2_PER_MM[side]) / 10
            cuts.append(Cut(side, area, share, missing_ml, share > 0.85))
    planes: tuple[tuple[Side, int, int, float], ...] = (
        ("front", 1, 0, dz * dx),
        ("back", 1, -1, dz * dx),
        ("right", 2, 0, dz * dy),
        ("left", 2, -1, dz * dy),
    )
    outside = _outside_view(volume)
    for side, axis, end, pixel_mm2 in planes:
        voxels = int(np.take(mask, end, axis=axis).sum())
        if outside is not None:
            voxels += _beside(mask, outside, axis, end)
        area = voxels * pixel_mm2 / 100
        if area >= _LEAST_CM2:
            along = mask.sum(axis=axis)
            largest = max(float((along > 0).sum()) * pixel_mm2 / 100, area)
            cuts.append(Cut(side, area, area / largest, area * _SIDE_DEPTH_MM / 2 / 10, True))
    cuts.sort(key=lambda cut: -cut.missing_ml)
    return Coverage(tuple(cuts), seen_ml)


def _outside_view(volume: Volume | None) -> np.ndarray | None:
    """Return bool ``(z, y, x)`` of padding in the standard orientation; None when there is none."""
    if volume is None or volume.acquisition.padding_fraction < 0.01:
        return None
    hu = volume.geometry.canonical().apply(volume.hu)
    # the round field of view is the same in every slice
    constant = (hu[:: max(len(hu) // 8, 1)] <= -1024).all(axis=0)
    return np.asarray(constant)


def _beside(mask: np.ndarray, outside: np.ndarray, axis: int, end: int) -> int:
    """Return the number of mask voxels whose neighbour towards ``end`` of ``axis`` is outside the view."""
    shifted = np.zeros_like(outside)
    if axis == 1:
        shifted[1:] = outside[:-1]
        if end == -1:
            shifted[:] = False
            shifted[:-1] = outside[1:]
    else:
        shifted[:, 1:] = outside[:, :-1]
        if end == -1:
            shifted[:] = False
            shifted[:, :-1] = outside[:, 1:]
    return int(np.count_nonzero(mask & (shifted & ~outside)[None]))
