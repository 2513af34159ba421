"""Slices in order, and whether they form a regular grid.

Spacing comes from ImagePositionPatient alone: SliceThickness and SpacingBetweenSlices are often stale.

Reference: DICOM PS3.3 C.7.6.2.1.1 (image position and orientation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import HepacalcError, InconsistentSlices, TooFewSlices, UnsupportedGeometry
from hepacalc.geometry import Geometry
from hepacalc.study.slices import Slice

__all__ = ["MIN_SLICES", "Stack", "build_stack", "largest_block", "order_slices", "same_place_mm"]

MIN_SLICES = 3
"""Fewest slices of a volume: two gaps, so that their regularity can be seen at all."""
_STEP_TOLERANCE = 0.12
"""Largest departure of a slice from the line through all, as a share of the slice distance."""
_JUMP_TOLERANCE = 0.1
"""Largest difference between two gaps, as a share of the typical gap."""
_ROUNDING_MM = 0.055
"""Error of a position that is always forgiven: written with one decimal."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Stack:
    """Slices that form a regular grid.

    Args:
        slices: in the order of array axis 0, towards the normal of the slices.
        geometry: grid ``(slices, rows, columns)``; sheared when the gantry was tilted.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry

    @property
    def step_mm(self) -> float:
        """Distance of the slice planes in mm, along their normal."""
        return float(abs(_axes(self.slices[0])[2] @ self.geometry.affine[:3, 0]))

    @property
    def extent_mm(self) -> float:
        """Distance from the first to the last slice plane, and one slice more, in mm."""
        return self.step_mm * len(self.slices)


def _axes(one: Slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return unit vectors along the x index, the y index and the normal of a slice."""
    along_x = np.asarray(one.orientation[:3], float)
    along_y = np.asarray(one.orientation[3:], float)
    sizes = np.linalg.norm(along_x), np.linalg.norm(along_y)
    if min(sizes) < 0.9 or max(sizes) > 1.1 or abs(along_x @ along_y) > 0.02 * sizes[0] * sizes[1]:
        raise InconsistentSlices(
            f"Series {one.head.label} gives directions of rows and columns that are not at right angles.",
            hint="Send the series again from the scanner or the archive.",
        )
    along_x = along_x / sizes[0]
    along_y = along_y - (along_y @ along_x) * along_x
    along_y = along_y / np.linalg.norm(along_y)
    return along_x, along_y, np.cross(along_x, along_y)


def order_slices(slices: Sequence[Slice]) -> tuple[list[Slice], FloatArray]:
    """Sort slices along their normal; return them and their depth in mm.

    Raises:
        InconsistentSlices: the orientation is no orientation.
    """
    normal = _axes(slices[0])[2]
    depths = np.array([normal @ np.asarray(one.position) for one in slices])
    order = np.lexsort((np.array([one.instance for one in slices]), depths))
    return [slices[i] for i in order], depths[order]


def same_place_mm(depths: FloatArray) -> float:
    """Return the distance in mm below which two slices lie at the same place: 5 % of the typical gap."""
    gaps = np.diff(depths)
    gaps = gaps[gaps > 1e-3]
    return 0.05 * float(np.median(gaps)) if gaps.size else 1e-3


def build_stack(slices: Sequence[Slice]) -> Stack:
    """Return the regular grid of slices that share orientation, matrix and pixel spacing.

    Raises:
        TooFewSlices: fewer than :data:`MIN_SLICES`.
        InconsistentSlices: two slices at one place, or slices shifted sideways.
        UnsupportedGeometry: slices are missing or unevenly spaced.
    """
    name = slices[0].head.label
    if len(slices) < MIN_SLICES:
        raise TooFewSlices(
            f"Series {name} has {len(slices)} slice{'s' if len(slices) != 1 else ''}; a volume needs at least "
            f"{MIN_SLICES}.",
            hint="Send the whole series.",
        )
    ordered, depths = order_slices(slices)
    gaps = np.diff(depths)
    same = np.flatnonzero(gaps <= same_place_mm(depths))
    if same.size:
        first = ordered[int(same[0])], ordered[int(same[0]) + 1]
        raise InconsistentSlices(
            f"Series {name} cannot be measured: {same.size + 1} or more different images lie at the same place "
            f"(first: instances {first[0].instance} and {first[1].instance}), and no tag tells them apart.",
            hint="Send one reconstruction or phase at a time.",
        )
    bad = _first_jump(depths)
    if bad is not None:
        raise _uneven(name, ordered, depths, bad)
    return Stack(tuple(ordered), _geometry(name, ordered))


def _first_jump(depths: FloatArray) -> int | None:
    """Return the index of the slice before the first gap that breaks the grid; None when there is none."""
    gaps = np.diff(depths)
    typical = float(np.median(gaps))
    allowed = max(_JUMP_TOLERANCE * typical, 2 * _ROUNDING_MM)
    if np.ptp(gaps) > allowed:
        return int(np.flatnonzero(np.abs(gaps - typical) > allowed / 2)[0])
    index = np.arange(len(depths)) - (len(depths) - 1) / 2
    middle = depths.mean()
    slope = float(index @ (depths - middle) / (index @ index))
    off = np.abs(depths - middle - slope * index)
    if off.max() > max(_STEP_TOLERANCE * typical, 1.5 * _ROUNDING_MM):
        return int(np.argmax(off))
    return None


def _uneven(name: str, ordered: list[Slice], depths: FloatArray, bad: int) -> HepacalcError:
    gaps = np.diff(depths)
    start, stop = largest_block(depths)
    kept = stop - start
    where = "below" if stop <= bad + 1 else "above"
    if kept >= MIN_SLICES:
        block = f"or pass --allow-gaps to measure only the {kept} slices {where} the jump"
    else:
        block = "there is no regular block to measure in its place"
    return UnsupportedGeometry(
        f"series {name} cannot be measured: slice gaps range {gaps.min():.2f}-{gaps.max():.2f} mm over "
        f"{len(ordered)} slices (first jump after instance {ordered[bad].instance}, at {depths[bad]:.1f} mm).",
        hint=f"Send the missing slices again, {block}.",
    )


def largest_block(depths: FloatArray) -> tuple[int, int]:
    """Return the half-open range of the longest run of evenly spaced slices."""
    gaps = np.diff(depths)
    best = (0, min(1, len(depths)))
    start = 0
    for stop in range(2, len(depths) + 1):
        if gaps[stop - 2] <= 1e-3:
            start = stop - 1
        elif _first_jump(depths[start:stop]) is not None:
            start = stop - 2
        if stop - start > best[1] - best[0]:
            best = (start, stop)
    return best


def _geometry(name: str, ordered: list[Slice]) -> Geometry:
    along_x, along_y, normal = _axes(ordered[0])
    first = ordered[0]
    positions = np.array([one.position for one in ordered])
    count = len(ordered)
    step = (positions[-1] - positions[0]) / (count - 1)
    line = positions[0] + np.arange(count)[:, None] * step
    off = positions - line
    sideways = np.abs(off - np.outer(off @ normal, normal)).max()
    dy, dx = first.spacing
    if sideways > max(0.5 * min(dy, dx), 0.1):
        raise InconsistentSlices(
            f"Series {name} cannot be measured: its slices are shifted sideways by up to {sideways:.1f} mm.",
            hint="Send the series again from the scanner or the archive.",
        )
    drift = (step - (step @ normal) * normal) * (count - 1)
    if np.linalg.norm(drift) < 0.5 * min(dy, dx):
        step = (step @ normal) * normal  # rounding of the positions, not a tilt
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = along_y * dy
    affine[:3, 2] = along_x * dx
    affine[:3, 3] = positions[0]
    return Geometry((count, first.head.rows, first.head.columns), affine)
