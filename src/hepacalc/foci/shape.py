"""The outer shape of a focus: its body at half height on a fine isotropic grid, and what is measured on it.

A scan's voxels are often three to ten times longer along the patient than across. All shapes are therefore measured
on an isotropic grid to which the HU above background are interpolated; where a rim or a line varies in brightness, half
height means half of the height nearby.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from hepacalc.errors import MeasurementError
from hepacalc.foci.blocks import distance_within

__all__ = [
    "Body",
    "Shape",
    "describe_shape",
    "directions",
    "extents",
    "fine_body",
    "hull_volume",
    "outline",
    "resample",
    "support",
]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

FINEST_MM = 0.6
SKIN = 0.25
"""How far the surface lies outside the outermost voxel centres, in voxels (a ball's stick out most)."""
NEIGHBOURHOOD_MM = 8.0
LOWEST_LOCAL_HEIGHT = 0.3
FAINT_LEVEL = 0.25
FAINT_REACH_MM = 6.0


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """A focus on a fine isotropic grid.

    Args:
        mask: bool ``(z, y, x)``, above half of the height nearby.
        step_mm: edge of a voxel.
        origin_mm: ``(z, y, x)`` of the centre of voxel ``(0, 0, 0)`` relative to the centre of voxel ``(0, 0, 0)`` of
            the array it was made from.
        relative: float32 ``(z, y, x)``, HU above background as a share of the height nearby.
        faint: bool ``(z, y, x)``, the body and what hangs on it above a quarter of the height (walls that thick
            slices have brought down).
    """

    mask: Mask
    step_mm: float
    origin_mm: tuple[float, float, float]
    relative: F32
    faint: Mask


@dataclass(frozen=True, slots=True)
class Shape:
    """What is measured on a body.

    Args:
        volume_mm3: above half height.
        diameter_mm: largest distance between two points of the surface (largest Feret diameter).
        diameter_2_mm: largest extent at right angles to it.
        diameter_3_mm: extent at right angles to both.
        sphericity: area of the sphere of the same volume over the area; 1 for a sphere.
        elongation: ``1 - diameter_2 / diameter``; 0 for what is as broad as long, near 1 for a line.
        hollowness: ``1 - volume / volume of the convex hull``; 0 for a ball, near 1 for a thin shell.
        parts: connected parts.
    """

    volume_mm3: float
    diameter_mm: float
    diameter_2_mm: float
    diameter_3_mm: float
    sphericity: float
    elongation: float
    hollowness: float
    parts: int


def fine_body(
    hu_above: F32,
    region: Mask,
    spacing_mm: tuple[float, float, float],
    *,
    level: float = 0.5,
    largest: int = 150_000,
) -> Body:
    """Return the body of a focus on an isotropic fine grid.

    Args:
        hu_above: ``(z, y, x)`` HU above background; the focus and some surroundings.
        region: bool ``(z, y, x)``, the focus at half height on the same grid; one part or several.
        spacing_mm: ``(z, y, x)``.
        level: share of the height nearby at which the surface lies.
        largest: most voxels of the fine grid; large foci get coarser ones.

    Raises:
        MeasurementError: the region is empty, or its shape is not that of ``hu_above``.
    """
    if region.shape != hu_above.shape or not region.any():
        raise MeasurementError(
            f"a focus was wanted to measure its shape, found a region {region.shape} of {int(region.sum())} voxels in "
            f"an array {hu_above.shape}.",
            hint="Pass the region on the grid of the window.",
        )
    native = ndimage.find_objects(region.view(np.int8))[0]
    pad = [max(2.5, min(1.2 * d, FAINT_REACH_MM)) for d in spacing_mm]
    low = [max(s.start * d - p, -0.5 * d) for s, d, p in zip(native, spacing_mm, pad, strict=True)]
    high = [
        min((s.stop - 1) * d + p, (n - 0.5) * d)
        for s, d, p, n in zip(native, spacing_mm, pad, region.shape, strict=True)
    ]
    size = [b - a for a, b in zip(low, high, strict=True)]
    step = max(float(np.prod([s + 0.6 for s in size]) / largest) ** (1 / 3), FINEST_MM)
    origin = (low[0], low[1], low[2])
    shape = tuple(int(s / step) + 1 for s in size)
    field = resample(hu_above, origin, shape, step, spacing_mm)
    near = resample(_near(region, spacing_mm), origin, shape, step, spacing_mm)
    soft = ndimage.gaussian_filter(field, 0.35 / step) if step < 0.9 else field
    inside = near > 0.45
    top = float(np.quantile(soft[inside], 1 - min(12 / inside.sum(), 0.5))) if inside.any() else float(soft.max())
    relative = np.asarray(soft / _height_nearby(soft, inside, step, top), np.float32)
    mask = inside & (relative > level)
    if not mask.any():
        mask = relative >= relative.max()
    noise = 1.4826 * float(np.median(np.abs(hu_above[~region]))) if not region.all() else 0.0
    faint_level = max(FAINT_LEVEL, 3.0 * noise / max(top, 1e-3))
    faint = mask
    if faint_level < level:
        labels, _ = ndimage.label(mask | (relative > faint_level), np.ones((3, 3, 3)))
        keep = np.zeros(int(labels.max()) + 1, bool)
        keep[np.unique(labels[mask])] = True
        keep[0] = False
        faint = keep[labels]
    return Body(mask, step, origin, relative, faint)


def describe_shape(body: Body) -> Shape:
    """Return volume, diameters, sphericity, elongation, hollowness and number of parts of a body.

    The surface is taken to lie a quarter of a fine voxel outside the outermost voxel centres. The area comes
    from how often lines in 13 directions cross the surface, which has no staircase.

    Reference: Wadell 1935, J Geol 43:250 (sphericity); Lang, Ohser, Hilfer 2001, J Microsc 203:303 (area).
    """
    step = body.step_mm
    volume = float(body.mask.sum()) * step**3
    corners = outline(body.mask)
    most, least, extent = support(corners, _WAYS)
    grow = 2 * SKIN
    first, second, third = ((float(e) + grow) * step for e in _extents(corners, most, least, extent)[0])
    hull = hull_volume(np.concatenate([corners[most], corners[least]])) * step**3
    area = _area(body.mask) * step**2
    sphericity = float(np.clip(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area, 0, 1))
    hollow = float(np.clip(1 - volume / max(hull, volume), 0, 1))
    parts = int(ndimage.label(body.mask, np.ones((3, 3, 3)))[1])
    return Shape(volume, first, second, third, sphericity, 1 - second / first, hollow, parts)


def outline(mask: Mask) -> F64:
    """Return the voxels of a mask that may be corners of its convex hull, ``(n, 3)`` as ``(z, y, x)`` indices.

    They are the first or last of their row along every axis.
    """
    kept = mask.copy()
    for axis in range(3):
        line = np.moveaxis(mask, axis, -1)
        index = np.arange(line.shape[-1])
        first, last = line.argmax(axis=-1), line.shape[-1] - 1 - line[..., ::-1].argmax(axis=-1)
        ends = (index == first[..., None]) | (index == last[..., None])
        kept &= np.moveaxis(ends, -1, axis)
    return np.argwhere(kept).astype(np.float64)


def directions(count: int) -> F64:
    """Return ``(count, 3)`` unit vectors spread evenly over the half sphere."""
    index = np.arange(count) + 0.5
    height, turn = 1 - index / count, np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    return np.stack([height, flat * np.cos(turn), flat * np.sin(turn)], axis=1)


_WAYS = directions(240)
_WEIGHT = {1: 0.0915558, 2: 0.0739612, 3: 0.0703912}
"""Share of the sphere of directions that each axis, face diagonal and space diagonal stands for."""
_LINES = [
    (way, _WEIGHT[sum(abs(w) for w in way)]) for way in itertools.product((-1, 0, 1), repeat=3) if way > (0, 0, 0)
]


def support(points: F64, ways: F64) -> tuple[NDArray[np.intp], NDArray[np.intp], F64]:
    """Return, for each direction, the farthest point, the farthest backwards and the extent between them."""
    along = points @ ways.T
    most, least = along.argmax(axis=0), along.argmin(axis=0)
    every = np.arange(len(ways))
    return most, least, np.asarray(along[most, every] - along[least, every])


def _near(region: Mask, spacing: tuple[float, float, float]) -> F32:
    """Return the region grown by about a voxel, as numbers."""
    reach = max(1.0, 1.01 * max(spacing)) if max(spacing) < FAINT_REACH_MM else FAINT_REACH_MM
    return np.isfinite(distance_within(region, spacing, reach)).astype(np.float32)


def resample(
    array: F32,
    low: tuple[float, float, float],
    shape: tuple[int, ...],
    step: float,
    spacing: tuple[float, float, float],
) -> F32:
    """Interpolate linearly, axis by axis, on ``shape`` points ``step`` mm apart, the first ``low`` mm from voxel 0."""
    out = array
    for axis, count in enumerate(shape):
        n = out.shape[axis]
        position = np.clip((low[axis] + step * np.arange(count)) / spacing[axis], 0, n - 1)
        base = np.minimum(position.astype(int), max(n - 2, 0))
        part = (position - base).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        out = np.take(out, base, axis) * (1 - part) + np.take(out, np.minimum(base + 1, n - 1), axis) * part
    return np.asarray(out, np.float32)


def _height_nearby(soft: F32, inside: Mask, step: float, top: float) -> F32 | float:
    """Return the height of the focus nearby: its ridge varies along a rim or a line."""
    if max(soft.shape) * step < 2 * NEIGHBOURHOOD_MM:
        return top
    size = 2 * int(0.5 * NEIGHBOURHOOD_MM / step) + 1
    highest = ndimage.maximum_filter(np.where(inside, soft, 0), size=size)
    smooth = ndimage.uniform_filter(highest, size)
    return np.asarray(np.clip(smooth, LOWEST_LOCAL_HEIGHT * top, top), np.float32)


def extents(mask: Mask, step_mm: tuple[float, float, float]) -> tuple[F64, F64]:
    """Return the largest Feret diameter of a mask, the largest extent at right angles to it, and that to both.

    Args:
        mask: bool ``(z, y, x)``, not empty.
        step_mm: ``(z, y, x)`` edges of its voxels.

    Returns:
        Extents ``(3,)`` in mm, as :func:`describe_shape` takes them, and their directions ``(3, 3)``, one a row.
    """
    step = np.asarray(step_mm)
    points = outline(mask) * step
    most, least, extent = support(points, _WAYS)
    found, axes = _extents(points, most, least, extent)
    return found + 2 * SKIN * np.linalg.norm(axes * step, axis=1), axes


def _extents(points: F64, most: NDArray[np.intp], least: NDArray[np.intp], extent: F64) -> tuple[F64, F64]:
    """Return the largest distance between points, the extents at right angles to it, and the three directions."""
    best = int(extent.argmax())
    # the two ends are known now: the line between them is the diameter
    axis = points[most[best]] - points[least[best]]
    length = float(np.linalg.norm(axis))
    axis = axis / length if length > 0 else np.array([1.0, 0, 0])
    helper = np.eye(3)[int(np.abs(axis).argmin())]
    side = np.cross(axis, helper)
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    turn = np.arange(60) * np.pi / 60
    fan = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
    across = support(points, fan)[2]
    wide = int(across.argmax())
    narrow = (wide + 30) % 60
    found = np.array([max(length, float(extent[best])), float(across[wide]), float(across[narrow])])
    return np.minimum.accumulate(found), np.stack([axis, fan[wide], fan[narrow]])


def hull_volume(corners: F64) -> float:
    """Return the volume of the convex hull of voxels, in voxels, from the centres ``(n, 3)`` of its corners."""
    points = np.unique(corners, axis=0)
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):
        # flat: a plate or a line of single voxels
        return float(len(points))
    return float(hull.volume + SKIN * hull.area)


def _area(mask: Mask) -> float:
    """Return the surface area in squared voxel edges: crossings of lines in 13 directions (Crofton formula)."""
    wide = np.pad(mask, 1)
    total = 0.0
    for way, weight in _LINES:
        first = tuple(slice(max(-w, 0), n - max(w, 0)) for w, n in zip(way, wide.shape, strict=True))
        second = tuple(slice(max(w, 0), n - max(-w, 0)) for w, n in zip(way, wide.shape, strict=True))
        crossings = int(np.count_nonzero(wide[first] != wide[second]))
        total += weight * 0.5 * crossings / float(np.linalg.norm(way))
    return 4 * total
