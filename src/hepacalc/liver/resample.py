"""Resampling between a scan's grid and an isotropic grid, axis by axis.

Working along one axis at a time with dense weights keeps memory at a few slices: a 512x512x300 scan is never
turned into floating point as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["IsoGrid", "average_weights", "iso_grid", "linear_weights", "shrink", "spread"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IsoGrid:
    """An isotropic grid laid over an array whose axes are orthogonal.

    Args:
        shape: voxel counts ``(z, y, x)`` of the isotropic grid.
        step_mm: its spacing.
        start_mm: position of the centre of its first voxel along each axis, in mm from the outer
            edge of the source array.
        source_shape: ``(z, y, x)`` of the source array.
        source_spacing_mm: its spacing ``(z, y, x)``.
    """

    shape: tuple[int, int, int]
    step_mm: float
    start_mm: tuple[float, float, float]
    source_shape: tuple[int, int, int]
    source_spacing_mm: tuple[float, float, float]


def iso_grid(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    step_mm: float,
    box_mm: tuple[tuple[float, float], ...] | None = None,
) -> IsoGrid:
    """Return the isotropic grid of ``step_mm`` that covers an array, or a box of it.

    Args:
        shape: ``(z, y, x)`` of the array.
        spacing_mm: ``(z, y, x)``.
        step_mm: wanted spacing.
        box_mm: for each axis the range in mm from the outer edge; whole array when None.
    """
    counts: list[int] = []
    starts: list[float] = []
    for axis in range(3):
        extent = shape[axis] * spacing_mm[axis]
        low, high = (0.0, extent) if box_mm is None else box_mm[axis]
        low, high = max(low, 0.0), min(high, extent)
        counts.append(max(int(np.ceil((high - low) / step_mm - 1e-6)), 1))
        starts.append(low + step_mm / 2)
    return IsoGrid((counts[0], counts[1], counts[2]), step_mm, (starts[0], starts[1], starts[2]), shape, spacing_mm)


def average_weights(grid: IsoGrid, axis: int) -> F32:
    """Return ``(new, old)`` weights that average the source over each new voxel along one axis.

    Where the source is coarser than the new grid, they interpolate linearly instead.
    """
    old_step = grid.source_spacing_mm[axis]
    if old_step >= grid.step_mm:
        return linear_weights(grid, axis)
    edges = np.arange(grid.source_shape[axis] + 1) * old_step
    centre = grid.start_mm[axis] + np.arange(grid.shape[axis]) * grid.step_mm
    low, high = centre - grid.step_mm / 2, centre + grid.step_mm / 2
    overlap = np.minimum(high[:, None], edges[None, 1:]) - np.maximum(low[:, None], edges[None, :-1])
    weights = np.clip(overlap, 0, None)
    total = weights.sum(1, keepdims=True)
    empty = total[:, 0] <= 0
    weights[empty, -1] = 1
    total[empty] = 1
    return np.asarray(weights / total, np.float32)


def linear_weights(grid: IsoGrid, axis: int) -> F32:
    """Return ``(new, old)`` weights of linear interpolation along one axis, held constant beyond the ends."""
    n = grid.source_shape[axis]
    centre = grid.start_mm[axis] + np.arange(grid.shape[axis]) * grid.step_mm
    position = np.clip(centre / grid.source_spacing_mm[axis] - 0.5, 0, n - 1)
    low = np.minimum(np.floor(position).astype(int), max(n - 2, 0))
    part = position - low
    weights = np.zeros((grid.shape[axis], n), np.float32)
    rows = np.arange(grid.shape[axis])
    weights[rows, low] = 1 - part
    weights[rows, np.minimum(low + 1, n - 1)] += part
    return weights


def shrink(array: NDArray[np.generic], grid: IsoGrid) -> F32:
    """Average an array ``(z, y, x)`` onto ``grid``, one source slice at a time.

    Each slice is reduced to ``(y, x)`` of the grid and then added to the new slices that it overlaps.
    """
    wz = average_weights(grid, 0)
    wy, wx = average_weights(grid, 1), average_weights(grid, 2)
    ys, xs = _support(wy), _support(wx)
    # sparse products: as few operations as there are voxels, and no threads that fight each other
    rows, columns = csr_array(wy[:, ys]), csr_array(wx[:, xs])
    out = np.zeros(grid.shape, np.float32)
    for k in np.flatnonzero(wz.any(0)):
        plane = np.ascontiguousarray(array[k, ys, xs], np.float32)
        small = (columns @ (rows @ plane).T).T
        for new in np.flatnonzero(wz[:, k]):
            out[new] += wz[new, k] * small
    return out


def _support(weights: F32) -> slice:
    """Return the range of source indices that carry weight."""
    used = np.flatnonzero(weights.any(0))
    return slice(int(used[0]), int(used[-1]) + 1)


def spread(array: F32, grid: IsoGrid, threshold: float) -> NDArray[np.bool_]:
    """Carry an array on ``grid`` back to the source grid by linear interpolation and cut it.

    Args:
        array: ``grid.shape``; taken as 0 outside the grid.
        grid: where it lies.
        threshold: the mask is where the interpolated value is above this.

    Returns:
        bool ``(z, y, x)`` of ``grid.source_shape``.
    """
    out = np.zeros(grid.source_shape, bool)
    weights, ranges = [], []
    for axis in range(3):
        n_old, n_new = grid.source_shape[axis], grid.shape[axis]
        centre = (np.arange(n_old) + 0.5) * grid.source_spacing_mm[axis]
        position = (centre - grid.start_mm[axis]) / grid.step_mm
        inside = np.flatnonzero((position > -1) & (position < n_new))
        position = position[inside]
        low = np.floor(position).astype(int)
        part = position - low
        w = np.zeros((len(inside), n_new), np.float32)
        rows = np.arange(len(inside))
        for index, share in ((low, 1 - part), (low + 1, part)):
            ok = (index >= 0) & (index < n_new)
            np.add.at(w, (rows[ok], index[ok]), share[ok])
        weights.append(w)
        ranges.append(inside)
    wz, wy, wx = weights
    if any(len(r) == 0 for r in ranges):
        return out
    rows_y, rows_x = slice(ranges[1][0], ranges[1][-1] + 1), slice(ranges[2][0], ranges[2][-1] + 1)
    rows, columns = csr_array(wy), csr_array(wx)
    for k, weight in zip(ranges[0], wz, strict=True):
        used = np.flatnonzero(weight)
        if len(used) == 0:
            continue
        plane = (weight[used, None, None] * array[used]).sum(0)
        if plane.max(initial=0) > threshold:
            wide = (columns @ (rows @ plane).T).T
            out[k, rows_y, rows_x] = wide > threshold
    return out
