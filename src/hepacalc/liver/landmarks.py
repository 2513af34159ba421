"""What a scan shows of the liver's inner anatomy: tubes, the gallbladder, the fissure, and how much liver is in view.

Works on a 3 mm copy of the scan around the liver, turned to head, back and left. Whether blood is brighter or darker
than liver is left open: both kinds of tube are kept, with their sign.

Reference: Frangi et al. 1998, MICCAI, LNCS 1496:130 (tubes by the eigenvalues of the Hessian).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver.coverage import Coverage
from hepacalc.liver.resample import iso_grid, shrink
from hepacalc.records import LiverMask, Volume

__all__ = ["STEP_MM", "Landmarks", "find_landmarks", "lies_left", "middle_eigenvalue"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_MM = 3.0
_MARGIN_MM, _NEAR_MM = 24.0, 20.0
_FAT_HU, _BILE_HU = -15.0, (-15.0, 28.0)
_MOST_ABOVE_HU = 180.0
_FINEST_MM = 1.3
_OFF_MIDLINE_MM = 12.0
_CLEFT_VOXELS = 9
# a point of a vein looks like plain liver with probability _PLAIN, else its rank is beta distributed
_PLAIN, _SHARPNESS = 0.3, 0.3
_KNOTS = np.concatenate([np.linspace(0, 0.98, 197), np.linspace(0.981, 1, 40)])
# strongest hundredth over median of pure noise
_NOISE_RATIO = 3.4


@dataclass(frozen=True, eq=False, slots=True)
class Landmarks:
    """What can be seen, on a 3 mm grid.

    Args:
        geometry: the grid; axes to head, back and left.
        depth_mm: distance to the outline of the liver, positive inside ``(z, y, x)``.
        tube: log likelihood ratio of blood against plain liver by tubularity, for vessels brighter than liver
            (first) and darker; 0 where the scan says nothing ``(2, z, y, x)``.
        cava_tube: the same for a vessel as wide as the inferior vena cava.
        sample_mm: LPS ``(n, 3)`` places spread evenly over the liver.
        gall_mm: LPS ``(n, 3)`` of the part of the gallbladder at the liver; empty when none was found.
        fissure_mm: LPS ``(n, 3)`` of fat in clefts of the front half; may be empty.
        hollow: 0-1, nearness to a hollow of the visceral side ``(z, y, x)``.
        spine_mm: LPS ``(x, y)`` of the front of the spine; None when bone was not found.
        liver_hu: median of the inner liver; None when only the outline is known.
        clarity: 0.3-1, how much the strongest tubes stand out.
        hu: the scan on the grid ``(z, y, x)``; None when only the outline is known.
    """

    geometry: Geometry
    depth_mm: F32
    tube: F32
    cava_tube: F32
    sample_mm: F64
    gall_mm: F64
    fissure_mm: F64
    hollow: F32
    spine_mm: tuple[float, float] | None
    liver_hu: float | None
    clarity: float
    hu: F32 | None

    def lookup(self, array: F32, points_mm: F64, outside: float) -> F64:
        """Return the nearest values of a ``(z, y, x)`` array on the grid at LPS points ``(..., 3)``."""
        where, inside = self.index(points_mm[..., 0], points_mm[..., 1], points_mm[..., 2])
        return np.where(inside, array.ravel()[where], outside)

    def index(self, *xyz_mm: NDArray[np.floating]) -> tuple[NDArray[np.int32], Mask]:
        """Return the flat index of the voxel nearest to each place, and whether it lies in the grid.

        Args:
            xyz_mm: LPS x, y and z, arrays of one shape.
        """
        start = self.geometry.affine[:3, 3]
        where = np.zeros(xyz_mm[0].shape, np.int32)
        inside = np.ones(where.shape, bool)
        for axis in (2, 1, 0):
            n = self.geometry.shape[2 - axis]
            # shifted by one, so that rounding towards zero rounds down
            cell = (xyz_mm[axis] * (1 / STEP_MM) + (1.5 - start[axis] / STEP_MM)).astype(np.int32) - 1
            inside &= cell.view(np.uint32) < n
            where *= n
            where += np.clip(cell, 0, n - 1)
        return where, inside


def find_landmarks(liver_mask: LiverMask, coverage: Coverage, volume: Volume | None) -> Landmarks:
    """Return what is seen of the anatomy.

    Args:
        liver_mask: the liver, not empty, any axis order.
        coverage: where it is cut.
        volume: the scan on the same grid; None when only the outline is known.
    """
    hu, mask, geometry = _iso(liver_mask, volume)
    midline = 0.0 if volume is None else _midline_mm(liver_mask, volume)
    cut = {c.side for c in coverage.cuts}
    depth = _depth(mask, cut)
    place = np.argwhere(mask)
    spread = place[np.linspace(0, len(place) - 1, min(len(place), 70)).astype(int)]
    closed = _closed(mask)
    hollow = ndimage.gaussian_filter((closed & ~mask).astype(np.float32), 8 / STEP_MM, truncate=2.5)
    hollow /= max(float(hollow.max()), 0.05)
    empty = np.zeros((0, 3))
    if hu is None:
        zeros = np.zeros((2, *mask.shape), np.float32)
        return Landmarks(
            geometry, depth, zeros, zeros, geometry.to_world(spread), empty, empty, hollow, None, None, 1.0, None
        )
    inner = depth > 6
    liver_hu = float(np.median(hu[inner])) if inner.sum() > 200 else float(np.median(hu[mask]))
    near = depth > -_NEAR_MM - 3
    calm = np.where(near & (hu > min(_FAT_HU, liver_hu - 45)) & (hu < liver_hu + _MOST_ABOVE_HU), hu, liver_hu)
    calm = np.clip(calm, liver_hu - 45, liver_hu + 110).astype(np.float32)
    close = depth > -_NEAR_MM
    (tube, clarity), (cava, _) = _tubes(calm, 1.4, inner, close), _tubes(calm, 2.6, inner, close)
    smooth = ndimage.gaussian_filter(hu, 0.7)
    gall = _gallbladder(smooth, liver_hu, depth, geometry)
    # narrow clefts of the front half, from side to side: the umbilical fissure is one
    between = ndimage.binary_closing(mask & (hu > liver_hu - 35), np.ones((1, 1, _CLEFT_VOXELS), bool))
    fat = (hu < min(_FAT_HU, liver_hu - 50)) & between & _front(mask)
    return Landmarks(
        geometry, depth, tube, cava, geometry.to_world(spread), gall, _places(fat, geometry, 60), hollow,
        _spine(hu, mask, geometry, midline), liver_hu, clarity, hu,
    )  # fmt: skip


def _iso(liver_mask: LiverMask, volume: Volume | None) -> tuple[F32 | None, Mask, Geometry]:
    """Return HU, mask and grid at 3 mm around the liver."""
    turn = liver_mask.geometry.canonical()
    mask = turn.apply(liver_mask.mask)
    spacing = turn.geometry.spacing_mm
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        margin = int(_MARGIN_MM / spacing[axis])
        box.append(slice(max(int(used[0]) - margin, 0), min(int(used[-1]) + margin + 1, mask.shape[axis])))
    skip = max(int(_FINEST_MM / spacing[0] + 1e-6), 1)
    part = (slice(box[0].start, box[0].stop, skip), box[1], box[2])
    small = mask[part]
    steps = (spacing[0] * skip, spacing[1], spacing[2])
    grid = iso_grid((small.shape[0], small.shape[1], small.shape[2]), steps, STEP_MM)
    affine = turn.geometry.affine.copy()
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    corner = turn.geometry.to_world([b.start for b in box])
    affine[:3, 3] = corner + unit @ (np.array(grid.start_mm) - np.array(steps) / 2)
    affine[:3, :3] = unit * STEP_MM
    coarse = shrink(small, grid) > 0.5
    hu = None if volume is None else shrink(turn.apply(volume.hu)[part], grid)
    return hu, coarse, Geometry(grid.shape, affine)


def _depth(mask: Mask, cut: Collection[str]) -> F32:
    """Return the signed distance to the outline, on every other voxel; where the scan cuts the liver is no outline."""
    half = mask[::2, ::2, ::2]
    pads = [(8 if low in cut else 0, 8 if high in cut else 0)
            for low, high in (("bottom", "top"), ("front", "back"), ("right", "left"))]  # fmt: skip
    longer = np.pad(half, pads, mode="edge")
    full = np.pad(longer, 1)
    sampling = 2 * STEP_MM
    inside = ndimage.distance_transform_edt(full, sampling=sampling)
    outside = ndimage.distance_transform_edt(~full, sampling=sampling)
    start = [1 + low for low, _ in pads]
    signed = (inside - outside)[tuple(slice(a, a + n) for a, n in zip(start, half.shape, strict=True))]
    return _doubled(np.asarray(signed, np.float32), mask.shape)


def _closed(mask: Mask) -> Mask:
    """Return the liver with its clefts and hollows filled, by a ball of 27 mm."""
    padded = np.pad(mask[::2, ::2, ::2], 6)
    grown = ndimage.distance_transform_edt(~padded) <= 4.5
    closed = ndimage.distance_transform_edt(grown)[6:-6, 6:-6, 6:-6] > 4.5
    filled = _doubled(np.asarray(closed, np.float32), mask.shape) > 0.5
    return np.logical_or(filled, mask)


def _doubled(half: F32, shape: tuple[int, ...]) -> F32:
    """Return an array of every other voxel on all voxels, by linear interpolation."""
    for axis, n in enumerate(shape):
        at = np.minimum(np.arange(n) / 2, half.shape[axis] - 1)
        low = np.minimum(at.astype(int), max(half.shape[axis] - 2, 0))
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, half.shape[axis] - 1)
        half = np.take(half, low, axis) * (1 - part) + np.take(half, high, axis) * part
    return half


def _front(mask: Mask) -> Mask:
    """Return the front half of the liver's box, left of its right third and below its dome."""
    low, high = (np.quantile(np.argwhere(mask), q, axis=0) for q in (0.02, 0.98))
    z, y, x = ((np.arange(n) - a) / max(b - a, 1.0) for n, a, b in zip(mask.shape, low, high, strict=True))
    near = (z < 0.8)[:, None, None] & (y < 0.5)[None, :, None] & ((x > 0.35) & (x < 0.95))[None, None]
    return np.asarray(near, bool)


def _places(where: Mask, geometry: Geometry, most: int) -> F64:
    index = np.argwhere(where)
    if len(index) > most:
        index = index[np.linspace(0, len(index) - 1, most).astype(int)]
    return geometry.to_world(index)


def middle_eigenvalue(hu: F32, sigma: float, near: Mask) -> F32:
    """Return the middle eigenvalue of the Hessian of a smoothed scan where ``near``, ``(n,)``: below 0 in bright tubes.

    Args:
        hu: CT numbers ``(z, y, x)``.
        sigma: of the smoothing, voxels.
        near: which voxels ``(z, y, x)``.
    """
    smooth = ndimage.gaussian_filter(hu, sigma, truncate=3)
    gz, gy, gx = np.gradient(smooth)
    a, d, e = (part[near] for part in np.gradient(gz))
    b, f = (part[near] for part in np.gradient(gy, axis=(1, 2)))
    c = np.gradient(gx, axis=2)[near]
    # eigenvalues of a symmetric matrix in closed form
    mean = (a + b + c) / 3
    a, b, c = a - mean, b - mean, c - mean
    size = np.sqrt(np.maximum((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6, 1e-12))
    half = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / (2 * size**3)
    angle = np.arccos(np.clip(half, -1, 1)) / 3
    return np.asarray(mean - 2 * size * (np.cos(angle) + np.cos(angle + 2 * np.pi / 3)))


def _tubes(hu: F32, sigma: float, inner: Mask, near: Mask) -> tuple[F32, float]:
    """Return log likelihood ratios ``(2, z, y, x)`` of bright and of dark tubes, 0 where not ``near``.

    Tubularity is minus the middle eigenvalue of the Hessian, whose sign tells bright from dark. It is judged by its
    rank among all voxels deep in the liver, whatever their sign: the few per cent that stand out most are likely
    vessels, the more so the more they stand out against the usual voxel. That factor, 0.3-1, is returned too.
    """
    middle = middle_eigenvalue(hu, sigma, near)
    deep = inner[near]
    strength = np.abs(middle)
    knots = np.quantile(strength[deep] if deep.sum() > 200 else strength, _KNOTS)
    rank = 1 - np.interp(strength, knots, _KNOTS)
    clarity = float(np.clip((np.interp(0.99, _KNOTS, knots) / max(knots[100], 1e-6) - _NOISE_RATIO) / 3.5, 0.3, 1.0))
    ratio = np.log(_PLAIN + (1 - _PLAIN) * _SHARPNESS * (rank + 1e-4) ** (_SHARPNESS - 1)).clip(None, 2.5) * clarity
    against = np.log(_PLAIN) * clarity
    out = np.zeros((2, *hu.shape), np.float32)
    out[0][near] = np.where(middle < 0, ratio, against)
    out[1][near] = np.where(middle > 0, ratio, against)
    return out, clarity


def _gallbladder(smooth: F32, liver_hu: float, depth: F32, geometry: Geometry) -> F64:
    """Return the part next to the liver of the likeliest gallbladder: bile under the front of the right lobe."""
    bile = (smooth > _BILE_HU[0]) & (smooth < min(_BILE_HU[1], liver_hu - 14)) & (depth < 9) & (depth > -25)
    bile = ndimage.binary_opening(bile)
    labels, count = ndimage.label(bile)
    if not count:
        return np.zeros((0, 3))
    inside = np.argwhere(depth > 0)
    low, high = np.quantile(inside, 0.05, axis=0), np.quantile(inside, 0.95, axis=0)
    best, place = 0.0, np.zeros((0, 3))
    sizes = np.bincount(labels.ravel())
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        ml = sizes[number] * STEP_MM**3 / 1000
        if not 4 < ml < 200:
            continue
        own = np.argwhere(labels[box] == number) + [s.start for s in box]
        touch = own[depth[tuple(own.T)] > -10]
        share = len(touch) / len(own)
        z, y, x = (touch.mean(axis=0) - low) / (high - low) if len(touch) else (0.0, 0.0, 0.0)
        usual = np.exp(-0.5 * (((z - 0.2) / 0.22) ** 2 + ((y - 0.25) / 0.25) ** 2 + ((x - 0.4) / 0.2) ** 2))
        score = float(usual * min(share / 0.25, 1.0) * min(ml / 10, 1.0))
        if score > max(best, 0.2):
            best, place = (
                score,
                geometry.to_world(touch[np.linspace(0, len(touch) - 1, min(len(touch), 80)).astype(int)]),
            )
    return place


def _spine(hu: F32, mask: Mask, geometry: Geometry, midline_mm: float) -> tuple[float, float] | None:
    """Return the front of the spine at the height of the upper liver, by bone near the midline of the body."""
    levels = np.flatnonzero(mask.any(axis=(1, 2)))
    upper = hu[levels[len(levels) // 3] : levels[-1] + 1]
    bone = ndimage.gaussian_filter((upper > 120).mean(axis=0).astype(np.float32), 3.0)
    y, x = np.mgrid[: bone.shape[0], : bone.shape[1]]
    off = geometry.affine[0, 3] + STEP_MM * x - midline_mm
    bone = bone * np.exp(-0.5 * (off / 25) ** 2) * (y > 0.45 * bone.shape[0])
    if bone.max() < 0.1:
        return None
    row, column = np.unravel_index(int(bone.argmax()), bone.shape)
    ahead = bone[: row + 1, column][::-1] < 0.5 * bone[row, column]
    front = row - (int(np.argmax(ahead)) if ahead.any() else 6)
    world = geometry.to_world([0, front, column])
    return float(world[0]), float(world[1])


def lies_left(liver_mask: LiverMask, volume: Volume) -> bool:
    """Return whether most of the liver lies to the left of the body's midline, as in situs inversus."""
    turn = liver_mask.geometry.canonical()
    mask = turn.apply(liver_mask.mask)
    columns = mask.sum(axis=(0, 1))
    middle = float(columns @ np.arange(len(columns)) / columns.sum())
    x = turn.geometry.affine[0, 3] + middle * turn.geometry.affine[0, 2]
    return bool(x > _midline_mm(liver_mask, volume) + _OFF_MIDLINE_MM)


def _midline_mm(liver_mask: LiverMask, volume: Volume) -> float:
    """Return LPS x of the middle of the body at the height of the liver, by the soft tissue of some slices."""
    turn = liver_mask.geometry.canonical()
    mask, hu = turn.apply(liver_mask.mask), turn.apply(volume.hu)
    levels = np.flatnonzero(mask.any(axis=(1, 2)))
    picked = hu[np.linspace(levels[0], levels[-1], 5).astype(int)]
    _, dy, dx = turn.geometry.spacing_mm
    steps = [max(int(6 / d), 1) for d in (dy, dx)]
    dense = ndimage.binary_opening((picked[:, :: steps[0], :: steps[1]] > -300).mean(axis=0) > 0.5, iterations=2)
    columns = np.flatnonzero(dense.sum(axis=0) > 4)
    if not len(columns):
        columns = np.flatnonzero(mask.any(axis=(0, 1))) // steps[1]
    middle = (columns[0] + columns[-1]) / 2 * steps[1]
    return float(turn.geometry.affine[0, 3] + middle * turn.geometry.affine[0, 2])
