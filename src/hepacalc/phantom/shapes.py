"""Calcified shapes with a known volume, and their deposit on a scan's grid without loss of mass.

A shape is a signed distance in a local frame. :func:`sample` turns it into an occupancy on a fine grid that belongs
to the shape, not to any scan, so that the same focus can be scanned on every grid. The sampled occupancy is scaled to
the closed-form volume where there is one; otherwise the fine occupancy *is* the object and its sum its volume.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = [
    "Deposit",
    "Occupancy",
    "Rod",
    "Shape",
    "deposit",
    "random_rotation",
    "rod_distance",
    "sample",
    "sample_cavity",
    "spread",
]

Array = NDArray[np.float32]
Distance = Callable[[Array, Array, Array], Array]
Rod = tuple[NDArray[np.float64], NDArray[np.float64], float, float]
"""A rod: ``(z, y, x)`` of both ends in mm and the radius at each."""
Slices3 = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """One calcified shape around its local origin.

    Args:
        distance: signed distance in mm (negative inside) of local ``(z, y, x)`` coordinates in mm, or a list of
            rods whose union is the shape.
        reach_mm: no part is farther from the origin than this.
        thinnest_mm: smallest thickness anywhere; sets the sampling step.
        exact_mm3: closed-form volume; None when there is none.
        cavity: signed distance of what the shape encloses or sits in; None when there is no such thing.
        cavity_reach_mm: as ``reach_mm``, for ``cavity``.
    """

    distance: Distance | list[Rod]
    reach_mm: float
    thinnest_mm: float
    exact_mm3: float | None = None
    cavity: Distance | None = None
    cavity_reach_mm: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Occupancy:
    """A shape on its own fine grid.

    Args:
        values: share of each fine cell that is calcified, float32 ``(z, y, x)``.
        origin_mm: ``(z, y, x)`` centre of cell ``(0, 0, 0)`` relative to the centre of the shape.
        step_mm: edge of a cell.
    """

    values: Array
    origin_mm: tuple[float, float, float]
    step_mm: float

    @property
    def volume_mm3(self) -> float:
        """Volume of the calcified substance."""
        return float(self.values.sum(dtype=np.float64)) * self.step_mm**3

    @property
    def centroid_mm(self) -> NDArray[np.float64]:
        """Centre of mass ``(z, y, x)`` relative to the centre of the shape."""
        total = self.values.sum(dtype=np.float64)
        marginals = (self.values.sum(axis=axes, dtype=np.float64) for axes in ((1, 2), (0, 2), (0, 1)))
        return np.array(
            [
                start + self.step_mm * float(m @ np.arange(len(m))) / total
                for start, m in zip(self.origin_mm, marginals, strict=True)
            ]
        )

    @property
    def diameter_mm(self) -> float:
        """Largest distance between two of its points, by its width in 400 directions."""
        inside = np.argwhere(self.values > 0.5)
        if len(inside) == 0:
            inside = np.argwhere(self.values >= self.values.max())
        index = np.arange(400) + 0.5
        tilt, turn = np.arccos(1 - index / 400), np.pi * (1 + 5**0.5) * index
        ways = np.stack([np.cos(tilt), np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn)])
        along = inside[:: max(1, len(inside) // 40000)] @ ways
        return float((along.max(axis=0) - along.min(axis=0)).max() + 1) * self.step_mm


@dataclass(frozen=True, eq=False, slots=True)
class Deposit:
    """What a shape adds to a scan: a box of its grid, and the share of the full contrast in each voxel."""

    box: Slices3
    share: Array


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a uniformly random ``(3, 3)`` rotation."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def sample(shape: Shape, rotation: NDArray[np.float64] | None = None) -> Occupancy:
    """Return the occupancy of a shape, turned by ``rotation``, on its own fine grid.

    Args:
        shape: what to sample.
        rotation: ``(3, 3)``; columns are the local ``(z, y, x)`` axes in the scan's ``(z, y, x)``. None: not turned.
    """
    step = float(np.clip(shape.thinnest_mm / 5, 0.08, 0.45))
    step = max(step, shape.reach_mm / 110)
    values, start = _grid(shape.distance, shape.reach_mm, step, rotation)
    if shape.exact_mm3 is not None:
        values *= shape.exact_mm3 / (float(values.sum(dtype=np.float64)) * step**3)
    used = [np.flatnonzero(values.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in used)
    z, y, x = (start + step * s.start for s in box)
    return Occupancy(np.ascontiguousarray(values[box]), (z, y, x), step)


def sample_cavity(shape: Shape, rotation: NDArray[np.float64] | None = None) -> Occupancy | None:
    """Return the occupancy of what the shape encloses or sits in; None when there is no such thing."""
    if shape.cavity is None:
        return None
    step = max(0.5, shape.cavity_reach_mm / 60)
    values, start = _grid(shape.cavity, shape.cavity_reach_mm, step, rotation)
    return Occupancy(values, (start, start, start), step)


def _grid(
    distance: Distance | list[Rod], reach: float, step: float, rotation: NDArray[np.float64] | None
) -> tuple[Array, float]:
    """Return the occupancy on a cube of cells about the origin, and the coordinate of its first cell."""
    half = int(np.ceil(reach / step)) + 2
    line = (np.arange(-half, half + 1) * step).astype(np.float32)
    turn = np.eye(3) if rotation is None else rotation
    if isinstance(distance, list):
        gap = np.full((line.size,) * 3, np.float32(1e3))
        for a, b, ra, rb in distance:
            a, b = turn @ a, turn @ b
            low = np.floor((np.minimum(a, b) - max(ra, rb) - 2 * step - line[0]) / step).astype(int)
            high = np.ceil((np.maximum(a, b) + max(ra, rb) + 2 * step - line[0]) / step).astype(int) + 1
            box = tuple(slice(max(int(p), 0), int(q)) for p, q in zip(low, high, strict=True))
            z, y, x = np.meshgrid(*(line[s] for s in box), indexing="ij", sparse=True)
            gap[box] = np.minimum(gap[box], rod_distance(z, y, x, (a, b, ra, rb)))
        return np.clip(0.5 - gap / np.float32(step), 0, 1), float(line[0])
    turn = turn.astype(np.float32)
    values = np.zeros((line.size,) * 3, np.float32)
    size = 28
    starts = range(0, line.size, size)
    for corner in itertools.product(starts, starts, starts):
        z, y, x = np.meshgrid(*(line[s : s + size] for s in corner), indexing="ij", sparse=True)
        nearest = np.sqrt(sum(float(np.abs(c).min()) ** 2 for c in (z, y, x)))
        if nearest > reach + step:
            continue
        local = [turn[0, k] * z + turn[1, k] * y + turn[2, k] * x for k in range(3)]
        box = tuple(slice(s, s + size) for s in corner)
        values[box] = np.clip(0.5 - distance(local[0], local[1], local[2]) / np.float32(step), 0, 1)
    return values, float(line[0])


def rod_distance(z: Array, y: Array, x: Array, rod: Rod) -> Array:
    """Return the signed distance in mm to a rod with round ends."""
    a, b, ra, rb = rod
    way = (b - a).astype(np.float32)
    dz, dy, dx = (c - np.float32(s) for c, s in zip((z, y, x), a, strict=True))
    t = np.clip((dz * way[0] + dy * way[1] + dx * way[2]) / max(float(way @ way), 1e-6), 0, 1)
    gap = np.sqrt((dz - t * way[0]) ** 2 + (dy - t * way[1]) ** 2 + (dx - t * way[2]) ** 2)
    out: Array = gap - (np.float32(ra) + t * np.float32(rb - ra))
    return out


def spread(offset_mm: NDArray[np.float64], *, width_mm: float, sigma_mm: float, cell_mm: float) -> NDArray[np.float64]:
    """Return the share of a cell that a voxel sees, per mm of voxel, when their centres are ``offset_mm`` apart.

    The voxel's profile is a box of ``width_mm`` blurred by a Gaussian; the cell is a box of ``cell_mm``. The integral
    of one over the other has a closed form.
    """
    sigma = max(sigma_mm, 1e-3)
    outer, inner = (width_mm + cell_mm) / 2, (width_mm - cell_mm) / 2
    total = np.zeros_like(offset_mm)
    for edge, sign in ((outer, 1), (-inner, -1), (inner, -1), (-outer, 1)):
        u = (offset_mm + edge) / sigma
        total += sign * (u * ndtr(u) + np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi))
    return np.asarray(total * sigma / width_mm)


def deposit(
    occupancy: Occupancy,
    centre_mm: NDArray[np.float64],
    *,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    width_mm: tuple[float, float, float],
    sigma_mm: tuple[float, float, float],
) -> Deposit:
    """Return what a shape adds to each voxel of a grid, as a share of its full contrast.

    The point spread of each array axis is a box (pixel or slice) blurred by a Gaussian. Where the box is as wide as
    a whole number of steps of the grid, the sum over the grid is the volume of the shape exactly.

    Args:
        occupancy: the shape.
        centre_mm: ``(z, y, x)`` of its centre, from the centre of voxel ``(0, 0, 0)``, along the array axes.
        shape: ``(z, y, x)`` of the grid.
        spacing_mm: of the grid.
        width_mm: width of the box, per array axis.
        sigma_mm: standard deviation of the Gaussian, per array axis.
    """
    values: NDArray[np.float32] = occupancy.values
    box: list[slice] = []
    weights: list[Array] = []
    for axis in range(3):
        fine = centre_mm[axis] + occupancy.origin_mm[axis] + occupancy.step_mm * np.arange(values.shape[axis])
        reach = width_mm[axis] / 2 + 4.5 * sigma_mm[axis]
        first = max(0, int(np.floor((fine[0] - reach) / spacing_mm[axis])))
        last = min(shape[axis], int(np.ceil((fine[-1] + reach) / spacing_mm[axis])) + 1)
        last = max(first, last)
        voxels = np.arange(first, last) * spacing_mm[axis]
        weight = spread(
            voxels[:, None] - fine[None], width_mm=width_mm[axis], sigma_mm=sigma_mm[axis], cell_mm=occupancy.step_mm
        )
        weights.append(weight.astype(np.float32))
        box.append(slice(first, last))
    part = np.tensordot(weights[0], values, axes=(1, 0))
    part = np.einsum("yf,zfx->zyx", weights[1], part, optimize=True)
    part = part @ weights[2].T
    return Deposit((box[0], box[1], box[2]), np.ascontiguousarray(part, np.float32))
