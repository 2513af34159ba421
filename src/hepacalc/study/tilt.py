"""Gantry tilt: a sheared stack of slices to an orthogonal grid, and label maps back.

A tilted gantry moves each slice sideways by the same step. The planes themselves stay where they are, so only
the pixels within a plane are shifted (by linear interpolation, which keeps the sum of HU), and rows or columns
are added so that nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import GridMismatch, UnsupportedGeometry
from hepacalc.geometry import Geometry
from hepacalc.study.hounsfield import AIR_HU

__all__ = ["Straight", "labels_from_source", "labels_to_source", "straighten"]

_HALF = 1e-3
FloatArray = NDArray[np.float64]
Hu = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Straight:
    """How a sheared grid is laid out on an orthogonal one.

    Args:
        geometry: the orthogonal grid.
        axis: array axis along which slices were taken.
        planes: the two array axes within a slice.
        shifts: pixels ``(slices, 2)``; pixel ``p`` of slice ``k`` lies at ``p + shifts[k]`` of the orthogonal grid.
        degrees: angle between the slice direction and the normal of the slices.
    """

    geometry: Geometry
    axis: int
    planes: tuple[int, int]
    shifts: FloatArray
    degrees: float


def plan(source: Geometry, axis: int) -> Straight:
    """Lay out the orthogonal grid for a sheared one.

    Raises:
        UnsupportedGeometry: the axes within a slice are not at right angles.
    """
    first, second = (a for a in range(3) if a != axis)
    step = source.affine[:3, axis]
    u, v = source.affine[:3, first], source.affine[:3, second]
    nu, nv = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if abs(u @ v) > 0.02 * nu * nv:
        raise UnsupportedGeometry(
            "The axes within a slice are not at right angles, which no CT scanner makes.",
            hint="Resample the image to an orthogonal grid, or give the original DICOM files.",
        )
    drift = np.array([step @ u / nu**2, step @ v / nv**2])
    straight_step = step - drift[0] * u - drift[1] * v
    count = source.shape[axis]
    offsets = np.arange(count)[:, None] * drift
    low = np.floor(offsets.min(axis=0) + 1e-6)
    grow = np.ceil(offsets.max(axis=0) - 1e-6) - low
    shape = list(source.shape)
    shape[first] += int(grow[0])
    shape[second] += int(grow[1])
    affine = source.affine.copy()
    affine[:3, axis] = straight_step
    affine[:3, 3] = source.affine[:3, 3] + low[0] * u + low[1] * v
    degrees = float(np.degrees(np.arccos(np.clip(np.linalg.norm(straight_step) / np.linalg.norm(step), -1, 1))))
    return Straight(Geometry((shape[0], shape[1], shape[2]), affine), axis, (first, second), offsets - low, degrees)


def straighten(hu: Hu, source: Geometry, axis: int) -> tuple[Hu, Straight]:
    """Resample a sheared volume to an orthogonal grid.

    Args:
        hu: ``(z, y, x)`` on ``source``.
        source: sheared grid.
        axis: array axis along which slices were taken.

    Returns:
        HU on the orthogonal grid (same type; new places hold -1024), and the layout.

    Raises:
        UnsupportedGeometry: the axes within a slice are not at right angles.
    """
    layout = plan(source, axis)
    out = np.full(layout.geometry.shape, AIR_HU, hu.dtype)
    for k, (target, plane) in enumerate(zip(np.moveaxis(out, axis, 0), np.moveaxis(hu, axis, 0), strict=True)):
        moved = plane.astype(np.float32)
        for along in (0, 1):
            moved = _shift(moved, float(layout.shifts[k, along]), along, target.shape[along])
        target[...] = np.rint(moved) if hu.dtype == np.int16 else moved
    return out, layout


def _shift(plane: NDArray[np.float32], shift: float, along: int, size: int) -> NDArray[np.float32]:
    """Shift a plane by a fraction of pixels into a larger one."""
    whole = int(np.floor(shift + 1e-6))
    part = max(shift - whole, 0.0)
    source = np.moveaxis(plane, along, 0)
    out = np.full((size, *source.shape[1:]), AIR_HU, np.float32)
    n = len(source)
    if part < 1e-4:
        out[whole : whole + n] = source
    else:
        edge = np.full((1, *source.shape[1:]), AIR_HU, np.float32)
        padded = np.concatenate([edge, source, edge])
        out[whole : whole + n + 1] = (1 - part) * padded[1:] + part * padded[:-1]
    return np.moveaxis(out, 0, along)


def labels_to_source(labels: NDArray[Any], source: Geometry, axis: int) -> NDArray[Any]:
    """Carry a label map from the orthogonal grid back to the sheared one, nearest neighbour.

    Args:
        labels: ``(z, y, x)`` on the grid that :func:`straighten` made from ``source``.
        source: sheared grid.
        axis: array axis along which slices were taken.

    Raises:
        GridMismatch: ``labels`` has another shape.
    """
    layout = plan(source, axis)
    if labels.shape != layout.geometry.shape:
        raise GridMismatch(
            f"A label map of shape {layout.geometry.shape} is wanted, but it has shape {labels.shape}.",
            hint="Give the map on the grid of the volume that was read.",
        )
    out = np.zeros(source.shape, labels.dtype)
    first, second = layout.planes
    for k, (target, plane) in enumerate(zip(np.moveaxis(out, axis, 0), np.moveaxis(labels, axis, 0), strict=True)):
        a, b = (_nearest(float(s)) for s in layout.shifts[k])
        target[...] = plane[a : a + source.shape[first], b : b + source.shape[second]]
    return out


def labels_from_source(labels: NDArray[Any], source: Geometry, straight: Geometry, axis: int) -> NDArray[Any]:
    """Carry a label map from a sheared grid to the orthogonal one; undoes :func:`labels_to_source`.

    Args:
        labels: ``(z, y, x)`` on ``source``.
        source: sheared grid.
        straight: the grid that :func:`straighten` made from it.
        axis: array axis along which slices were taken.

    Raises:
        GridMismatch: ``labels`` has another shape, or the slices of one grid do not lie in those of the other.
    """
    if labels.shape != source.shape:
        raise GridMismatch(
            f"A label map of shape {source.shape} is wanted, but it has shape {labels.shape}.",
            hint="Give the map on the grid of the scan's files.",
        )
    count = source.shape[axis]
    first, second = (a for a in range(3) if a != axis)
    index = np.zeros((count, 3))
    index[:, axis] = np.arange(count)
    corners = straight.to_index(source.to_world(index))
    room = np.array([straight.shape[a] - source.shape[a] for a in (first, second)])
    shifts = np.array([[_nearest(float(corner[a])) for a in (first, second)] for corner in corners])
    fits = straight.shape[axis] == count and np.abs(corners[:, axis] - index[:, axis]).max() < 0.1
    if not fits or (shifts < 0).any() or (shifts > room).any():
        raise GridMismatch("The slices of the two grids do not lie in each other.", hint="Give masks of this scan.")
    out = np.zeros(straight.shape, labels.dtype)
    for k, (target, plane) in enumerate(zip(np.moveaxis(out, axis, 0), np.moveaxis(labels, axis, 0), strict=True)):
        a, b = shifts[k]
        target[a : a + source.shape[first], b : b + source.shape[second]] = plane
    return out


def _nearest(shift: float) -> int:
    """Round to whole pixels, halves down even where a file kept fewer digits, so that both ways agree."""
    return math.ceil(shift - 0.5 - _HALF)
