"""The large vessels near the liver, found by their shape: aorta and vessels inside the liver.

Works on a 3 mm copy of the scan around the liver, so that noise and kernel matter little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver.resample import iso_grid, shrink
from hepacalc.records import LiverMask, Volume

__all__ = ["CoarseScan", "LiverBlood", "Tube", "coarse_scan", "find_aorta", "liver_blood", "organs_hu", "spine_front"]

F32 = NDArray[np.float32]
STEP_MM = 3.0
_BELOW_MM, _ABOVE_MM = 45.0, 90.0
_RADII_MM = (8.0, 10.5, 13.5)
_SHORTEST_MM = 24.0


@dataclass(frozen=True, eq=False, slots=True)
class CoarseScan:
    """The scan around the liver at 3 mm, axes to head, back and left.

    Args:
        hu: ``(z, y, x)`` averaged HU.
        liver: bool ``(z, y, x)``.
        body: bool ``(z, y, x)``.
        geometry: grid of the three.
    """

    hu: F32
    liver: NDArray[np.bool_]
    body: NDArray[np.bool_]
    geometry: Geometry


@dataclass(frozen=True, eq=False, slots=True)
class Tube:
    """A round vessel tracked over slices.

    Args:
        centre_mm: LPS ``(n, 3)``, from foot to head.
        hu: median HU of its core in each of these slices, ``(n,)``.
        quality: 0-1, how much of its rim stands out and how even it is inside.
    """

    centre_mm: NDArray[np.float64]
    hu: NDArray[np.float64]
    quality: float


def coarse_scan(volume: Volume, liver_mask: LiverMask) -> CoarseScan:
    """Return the scan from 45 mm below to 90 mm above the liver, averaged to 3 mm.

    Args:
        volume: the scan.
        liver_mask: the liver on its grid, not empty.
    """
    turn = volume.geometry.canonical()
    hu, mask = turn.apply(volume.hu), turn.apply(liver_mask.mask)
    dz, dy, dx = turn.geometry.spacing_mm
    levels = np.flatnonzero(mask.any(axis=(1, 2)))
    first = max(int(levels[0] - _BELOW_MM / dz), 0)
    last = min(int(levels[-1] + _ABOVE_MM / dz) + 1, hu.shape[0])
    skip = max(int(2.1 / dz), 1)
    hu, mask = hu[first:last:skip], mask[first:last:skip]
    box = ((0.0, hu.shape[0] * dz * skip), *_body_box(hu, (dy, dx)))
    grid = iso_grid((hu.shape[0], hu.shape[1], hu.shape[2]), (dz * skip, dy, dx), STEP_MM, box)
    coarse = shrink(hu, grid)
    nearest = [
        np.minimum((start + np.arange(n) * STEP_MM) / spacing, size - 1).astype(int)
        for start, n, spacing, size in zip(grid.start_mm, grid.shape, grid.source_spacing_mm, hu.shape, strict=True)
    ]
    liver = mask[np.ix_(*nearest)]
    affine = turn.geometry.affine.copy()
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    edge = np.array([first * dz - dz * skip / 2, -dy / 2, -dx / 2])
    affine[:3, 3] += unit @ (edge + np.array(grid.start_mm))
    affine[:3, :3] = unit * STEP_MM
    return CoarseScan(coarse, liver, _body(coarse), Geometry(grid.shape, affine))


def _body_box(hu: NDArray[Any], spacing_mm: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Return the ranges ``(y, x)`` in mm from the edge that hold the patient, from a sparse sample of voxels."""
    steps = [max(int(6 / s), 1) for s in spacing_mm]
    dense = ndimage.binary_opening((hu[::4, :: steps[0], :: steps[1]] > -300).mean(0) > 0.2, iterations=2)
    ranges = []
    for axis in (0, 1):
        used = np.flatnonzero(dense.any(1 - axis))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, dense.shape[axis])
        step = steps[axis] * spacing_mm[axis]
        ranges.append((low * step - 18, high * step + 18))
    return tuple(ranges)


def _body(hu: F32) -> NDArray[np.bool_]:
    """Return the patient without table: the largest opened component in each slab."""
    opened = ndimage.binary_opening(hu > -300, np.ones((1, 3, 3)), iterations=2)
    labels, count = ndimage.label(opened)
    if not count:
        return np.zeros(hu.shape, dtype=bool)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    filled = [ndimage.binary_fill_holes(s) for s in labels == largest]
    return np.array(filled, dtype=bool)


def spine_front(scan: CoarseScan) -> NDArray[np.float64] | None:
    """Return ``(y, x)`` of the front of the vertebral body for each slice ``(z, 2)``; None without a spine.

    Bone is counted over slabs of 40 mm in the middle of the body, 30-150 mm in front of the skin of the back.
    """
    area = scan.body.sum((1, 2))
    if not area.max(initial=0):
        return None
    outline = scan.body[area >= 0.5 * area.max()].mean(0) >= 0.5
    columns = np.flatnonzero(outline.any(0))
    if not len(columns):
        return None
    middle, width = (columns[0] + columns[-1]) / 2, len(columns)
    y, x = np.mgrid[: outline.shape[0], : outline.shape[1]].astype(np.float32)
    back = np.median([np.flatnonzero(outline[:, c])[-1] for c in columns[width // 3 : -(width // 3) or None]])
    likely = np.exp(-0.5 * (((back - y) * STEP_MM - 80) / 28) ** 2 - 0.5 * ((x - middle) / (0.1 * width)) ** 2)
    # the spongy middle of a vertebra may be darker than its rim: close the rim, then fill it
    rim = ndimage.binary_closing((scan.hu > 140) & scan.body, np.ones((1, 3, 3)), iterations=2)
    bone = np.array([ndimage.binary_fill_holes(level) for level in rim], np.float32)
    slab = ndimage.uniform_filter1d(bone, int(40 / STEP_MM), axis=0, mode="nearest")
    density = ndimage.gaussian_filter(slab, (0, 12 / STEP_MM, 12 / STEP_MM)) * likely
    if density.max() < 0.05:
        return None
    peak = np.stack(np.unravel_index(density.reshape(len(density), -1).argmax(1), outline.shape), axis=1)
    centre = np.stack(
        [ndimage.median_filter(peak[:, i].astype(float), size=15, mode="nearest") for i in (0, 1)], axis=1
    )
    wide = ndimage.uniform_filter1d(slab, 5, axis=2)
    depth = []
    for level, (cy, cx) in zip(wide, centre.astype(int), strict=True):
        ahead = level[max(cy - 10, 0) : cy + 1, cx][::-1] < 0.5
        depth.append(float(np.argmax(ahead)) if ahead.any() else 10.0)
    centre[:, 0] = np.maximum(centre[:, 0] - np.clip(np.percentile(depth, 50), 3, 9), 0)
    return centre


def find_aorta(scan: CoarseScan, front: NDArray[np.float64] | None) -> Tube | None:
    """Return the aorta in front of the left side of the spine, or None when no even round tube is there.

    Every slice is searched for a disc of 8-13.5 mm radius that is even inside and stands out from its rim;
    the best path over the slices is found by dynamic programming.

    Args:
        scan: the scan around the liver.
        front: what :func:`spine_front` returned.
    """
    if front is None:
        return None
    smooth = ndimage.uniform_filter1d(scan.hu, 3, axis=0, mode="nearest")
    ry, rx = int(30 / STEP_MM), (int(15 / STEP_MM), int(42 / STEP_MM))
    pad = 10
    padded = np.pad(smooth, ((0, 0), (pad + ry, pad + ry), (pad + rx[0], pad + rx[1])), constant_values=-1000)
    n = len(smooth)
    window = np.empty((n, 2 * ry + 1 + 2 * pad, rx[0] + rx[1] + 1 + 2 * pad), np.float32)
    corner = np.rint(front).astype(int)
    for k in range(n):
        y0, x0 = corner[k]
        window[k] = padded[k, y0 : y0 + window.shape[1], x0 : x0 + window.shape[2]]
    score, mean = _disc_scores(window)
    score, mean = score[:, pad:-pad, pad:-pad], mean[:, pad:-pad, pad:-pad]
    dy = (np.arange(score.shape[1]) - ry)[:, None] * STEP_MM
    dx = (np.arange(score.shape[2]) - rx[0])[None, :] * STEP_MM
    odd = np.clip(np.hypot((dy + 6) / 16, (dx - 15) / 16) - 0.6, 0, None)
    score = score - 0.5 * odd.astype(np.float32)
    path = _best_path(score, corner)
    if path is None:
        return None
    levels, ys, xs, quality = path
    hu = mean[levels, ys, xs]
    index = np.stack([levels, ys - ry + corner[levels, 0], xs - rx[0] + corner[levels, 1]], axis=1)
    return Tube(scan.geometry.to_world(index), hu.astype(float), quality)


def _disc(radius_mm: float) -> F32:
    r = int(np.ceil(radius_mm / STEP_MM))
    y, x = np.mgrid[-r : r + 1, -r : r + 1] * STEP_MM
    kernel = (np.hypot(y, x) <= radius_mm).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _disc_scores(window: F32) -> tuple[F32, F32]:
    """Return the best disc score and the mean HU of its core for every voxel ``(z, y, x)``."""
    clipped = np.clip(window, -150, 700)
    best = np.full(window.shape, -9.0, np.float32)
    best_mean = np.zeros(window.shape, np.float32)
    for radius in _RADII_MM:
        kernel = _disc(radius - 2.0)[None]
        mean = ndimage.convolve(clipped, kernel, mode="nearest")
        square = ndimage.convolve(clipped**2, kernel, mode="nearest")
        sd = np.sqrt(np.clip(square - mean**2, 0, None))
        edges = np.zeros_like(mean)
        for angle in np.arange(12) * (np.pi / 6):
            y, x = ((radius + 3.5) / STEP_MM * np.array([np.sin(angle), np.cos(angle)])).round().astype(int)
            rim = np.roll(clipped, (-y, -x), axis=(1, 2))
            step = np.clip((mean - rim) / (25 + 0.2 * np.abs(mean)), -1, 1)
            edges += np.where(step < 0, -0.6 * step, step)
        score = edges / 12 - np.clip(sd / (14 + 0.08 * np.abs(mean)), 0, 3) * 0.35
        score[(mean < 10) | (mean > 650)] = -9
        better = score > best
        best[better], best_mean[better] = score[better], mean[better]
    return best, best_mean


def _best_path(
    score: F32, corner: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.int_], float] | None:
    """Return levels, y, x and quality of the stretch of slices with the best continuous path."""
    n = len(score)
    total = np.empty_like(score)
    back = np.zeros(score.shape, np.int8)
    total[0] = score[0]
    moves = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    for k in range(1, n):
        shift = corner[k] - corner[k - 1]
        before = np.stack(
            [_shifted(total[k - 1], a + shift[0], b + shift[1]) - 0.05 * (a * a + b * b) for a, b in moves]
        )
        back[k] = before.argmax(0)
        total[k] = score[k] + before.max(0)
    ys, xs = np.zeros(n, int), np.zeros(n, int)
    ys[-1], xs[-1] = np.unravel_index(total[-1].argmax(), total[-1].shape)
    for k in range(n - 1, 0, -1):
        a, b = moves[back[k, ys[k], xs[k]]]
        shift = corner[k] - corner[k - 1]
        ys[k - 1] = np.clip(ys[k] + a + shift[0], 0, score.shape[1] - 1)
        xs[k - 1] = np.clip(xs[k] + b + shift[1], 0, score.shape[2] - 1)
    along = score[np.arange(n), ys, xs]
    good = ndimage.uniform_filter1d(along, 5, mode="nearest") > 0.2
    levels = np.flatnonzero(good)
    if len(levels) < 3 or len(levels) * STEP_MM < min(_SHORTEST_MM, 0.75 * n * STEP_MM):
        return None
    quality = float(np.clip(along[levels].mean() / 0.7, 0, 1)) * min(1.0, len(levels) * STEP_MM / 60)
    return levels, ys[levels], xs[levels], quality


def _shifted(array: F32, dy: int, dx: int) -> F32:
    """Return ``out[y, x] = array[y + dy, x + dx]``, very low outside."""
    out = np.full_like(array, -1e6)
    h, w = array.shape
    y0, y1, x0, x1 = max(-dy, 0), min(h - dy, h), max(-dx, 0), min(w - dx, w)
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = array[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
    return out


@dataclass(frozen=True, slots=True)
class LiverBlood:
    """Parenchyma and what stands out brighter inside the liver.

    Args:
        liver_hu: median HU of the parenchyma.
        spread_hu: robust standard deviation of the 3 mm averages around it.
        bright_share: share of the inner liver that lies in larger bright structures.
        contrast_hu: how much brighter they are than the liver around them; 0 when there are none.
    """

    liver_hu: float
    spread_hu: float
    bright_share: float
    contrast_hu: float


def liver_blood(scan: CoarseScan) -> LiverBlood | None:
    """Return parenchyma and vessels inside the liver, or None when less than 20 mL lie off its edge.

    Bright structures need 0.25 mL each, so that noise and single calcified specks do not count; those that
    reach 250 HU above the liver are calcium or metal and are left out.
    """
    inside = ndimage.binary_erosion(scan.liver, iterations=2)
    if inside.sum() * STEP_MM**3 < 20e3:
        inside = ndimage.binary_erosion(scan.liver)
    if inside.sum() * STEP_MM**3 < 20e3:
        return None
    box = ndimage.find_objects(scan.liver.astype(np.uint8))[0]
    hu, inside = scan.hu[box], inside[box]
    smooth = ndimage.gaussian_filter(hu, 0.6)
    values = smooth[inside]
    low, middle = np.percentile(values, [16, 50])
    spread = max(float(middle - low), 2.0)
    calm = np.clip(smooth, middle - 2 * spread, middle + 2 * spread)
    weight = inside.astype(np.float32)
    around = ndimage.gaussian_filter(calm * weight, 18 / STEP_MM) / np.maximum(
        ndimage.gaussian_filter(weight, 18 / STEP_MM), 1e-3
    )
    above = smooth - around
    noise = max(float(np.median(above[inside]) - np.percentile(above[inside], 16)), 2.0)
    labels, count = ndimage.label(inside & (above > max(2.2 * noise, 7.0)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    peaks = ndimage.maximum(above, labels, np.arange(1, count + 1)) if count else np.zeros(0)
    kept = [i for i in range(1, count + 1) if sizes[i] * STEP_MM**3 >= 250 and peaks[i - 1] < 250]
    if not kept:
        return LiverBlood(float(middle), spread, 0.0, 0.0)
    bright = above[np.isin(labels, kept)]
    share = len(bright) / float(inside.sum())
    return LiverBlood(float(middle), spread, share, float(np.percentile(bright, 85)))


def organs_hu(scan: CoarseScan, front: NDArray[np.float64] | None) -> float | None:
    """Return the 90th percentile HU of even soft tissue beside the spine (spleen, kidneys), or None without.

    Even means that neighbours within 3 mm differ little, which leaves out ribs and bowel.

    Args:
        scan: the scan around the liver.
        front: what :func:`spine_front` returned.
    """
    if front is None or not scan.liver.any():
        return None
    y, x = np.mgrid[: scan.hu.shape[1], : scan.hu.shape[2]]
    beside = np.abs(x[None] - front[:, 1, None, None]) * STEP_MM
    behind = (y[None] - front[:, 0, None, None]) * STEP_MM
    near = ndimage.binary_dilation(scan.liver, iterations=3)
    deep = ndimage.binary_erosion(scan.body, np.ones((1, 3, 3)), iterations=5)
    mean = ndimage.uniform_filter(scan.hu, 3)
    sd = np.sqrt(np.clip(ndimage.uniform_filter(scan.hu**2, 3) - mean**2, 0, None))
    region = (beside > 28) & (beside < 130) & (behind > -25) & (behind < 60) & ~near & deep
    top = int(np.flatnonzero(scan.liver.any((1, 2)))[-1])
    region[top + 1 :] = False
    values = mean[region & (sd < 18 + 0.08 * mean) & (mean > 5) & (mean < 350)]
    return float(np.percentile(values, 90)) if len(values) * STEP_MM**3 > 20e3 else None
