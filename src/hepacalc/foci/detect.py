"""Where something brighter than this liver sits: peaks at several scales, and the region at half their height.

The threshold comes from the noise of this liver at the scale of the focus, never from one constant, so that a
small speck whose HU partial volume has brought down is still a candidate.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci.blocks import any_of_blocks, block_max, block_mean, enlarge, spread, tight_box
from hepacalc.foci.scene import F32, Mask, Scene, bulk
from hepacalc.geometry import Slices3
from hepacalc.threads import thread_pool

T = TypeVar("T")

__all__ = ["Candidate", "detect", "slow_background"]

DETECTION_STEP_MM = 1.3
SIGNIFICANCE = 5.0
LOWEST_CONTRAST_HU = 28.0
REACH_MM = 2.5
RIM_MM = 1.3
FILTER_MM = 8.0
"""How far from the liver HU can matter to what is detected in it."""
NOISY = 8.0
TREE_FILL = 0.12
LEAST_HEIGHT_HU = 12.0
MOST_CANDIDATES = 400
AHEAD = 3
"""Peaks that are flooded at a time."""


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A bright peak and the region at half its height.

    Args:
        peak: ``(z, y, x)`` index of the brightest voxel in the scene.
        peak_hu: its height, lightly smoothed.
        background_hu: liver around it, from the map of slow changes.
        significance: contrast over the noise of its scale.
        box: where ``region`` lies in the scene.
        region: bool, face/edge/corner-connected voxels above half height.
        inside: share of the whole bright structure at half height that lies in the liver.
        depth_mm: how deep below the surface of the liver mask the region reaches.
        capsule_mm: how deep the brightest voxel lies.
        is_cut: whether the structure goes on outside the liver and only its part in the liver is kept in ``region``.
        at_scan_edge: whether it touches the first or last plane of the scan.
    """

    peak: tuple[int, int, int]
    peak_hu: float
    background_hu: float
    significance: float
    box: Slices3
    region: Mask
    inside: float
    depth_mm: float
    capsule_mm: float
    is_cut: bool
    at_scan_edge: bool


def detect(
    scene: Scene, *, floor_hu: float = 0.0, vessel_hu: float | None = None
) -> tuple[tuple[Candidate, ...], bool]:
    """Return bright candidates in and at the liver, brightest first.

    Args:
        scene: the liver.
        floor_hu: contrast above liver below which nothing is looked at (enhanced scans: to pass over small vessels).
        vessel_hu: brightest blood of an enhanced scan; what is no brighter and long is not followed to its end.

    Returns:
        Candidates with disjoint regions, at most :data:`MOST_CANDIDATES`; whether that left further peaks unlooked at.
    """
    factor = tuple(max(round(DETECTION_STEP_MM / d), 1) for d in scene.spacing_mm)
    step = tuple(d * f for d, f in zip(scene.spacing_mm, factor, strict=True))
    box = _around(scene, factor)
    first = np.array([b.start // f for b, f in zip(box, factor, strict=True)])
    with thread_pool(1) as pool:
        # NumPy and SciPy let go of the interpreter: what does not need one another is made at the same time
        beside = pool.submit(lambda: (block_max(scene.hu[box], factor), _Surface(scene)))
        mean = block_mean(scene.hu[box], factor)
        liver = block_mean(scene.liver[box], factor) >= 0.5
        slow = slow_background(mean, liver, step, scene.parenchyma_hu, scene.spread_hu)
        brightest, surface = beside.result()
    core = ~_grow(~liver, step, 4.0)
    if np.count_nonzero(core) < 500:
        core = liver
    contrast = mean - slow
    blur = ndimage.gaussian_filter(contrast, [1.1 / max(d, 1.1) if d > 2.5 else 1.5 / d * 0.8 for d in step])
    sd_one, sd_blur = bulk(contrast[core])[1], bulk(blur[core])[1]
    # from here on voxel by voxel: most of the box is not liver
    near = _grow(liver, step, RIM_MM)
    above, bright = contrast[near], brightest[near] - slow[near]
    score = np.maximum(above / sd_one, blur[near] / sd_blur * 0.95)
    # a speck smaller than the detection voxel shows in the brightest native voxel only
    score = np.maximum(score, bright / (scene.noise_hu + 1.0) - 2.0)
    hot = (score > SIGNIFICANCE) & (np.maximum(above, 0.8 * bright) > max(floor_hu, LOWEST_CONTRAST_HU))
    where = np.argwhere(near)[hot]
    height, score = np.maximum(above, 0.6 * bright)[hot], score[hot]
    tops = _tops(where, height, near.shape, tuple(max(round(2.0 / d), 1) for d in step))
    order = tops[np.argsort(-height[tops])]
    return _regions(_Field(scene, surface, slow, first, factor, vessel_hu), where[order], score[order])


def _around(scene: Scene, factor: tuple[int, ...]) -> Slices3:
    """Return a box of whole detection voxels around the liver, wide enough for every filter."""
    z, y, x = (
        slice(max((b.start - int(FILTER_MM / d)) // f * f, 0), min(b.stop + int(FILTER_MM / d), n))
        for b, d, f, n in zip(tight_box(scene.liver), scene.spacing_mm, factor, scene.liver.shape, strict=True)
    )
    return z, y, x


def _tops(
    where: NDArray[np.intp], height: NDArray[np.floating], shape: tuple[int, ...], half: tuple[int, ...]
) -> NDArray[np.intp]:
    """Return which of some voxels are the highest of them in a box of ``2 half + 1`` around each."""
    field = np.full([n + 2 * h for n, h in zip(shape, half, strict=True)], -np.inf, np.float32)
    at = np.ravel_multi_index(tuple((where + half).T), field.shape)
    flat = field.ravel()
    flat[at] = height
    left = np.arange(len(at))
    for shift in itertools.product(*(range(-h, h + 1) for h in half)):
        beside = at[left] + int(np.dot(shift, np.array(field.strides) // field.itemsize))
        left = left[height[left] >= flat[beside]]
    return left


def slow_background(
    hu: F32, liver: Mask, step: tuple[float, ...], mean: float, spread: float, scale_mm: float = 11.0
) -> F32:
    """Return the slow changes of liver HU over ``hu``'s grid: outliers left out, blurred, continued outwards."""
    factor = tuple(max(round(4.0 / d), 1) for d in step)
    usable = liver & (np.abs(hu - mean) < 2.5 * spread + 10)
    coarse_hu = block_mean(np.where(usable, hu - np.float32(mean), np.float32(0)), factor)
    coarse_n = block_mean(usable, factor)
    sigma = [scale_mm / (d * f) for d, f in zip(step, factor, strict=True)]
    total = ndimage.gaussian_filter(coarse_hu, sigma, mode="constant", truncate=3)
    count = ndimage.gaussian_filter(coarse_n, sigma, mode="constant", truncate=3)
    field = (total / (count + 0.02)).astype(np.float32)
    return np.asarray(enlarge(field, factor, hu.shape) + mean, np.float32)


def _grow(mask: Mask, step: tuple[float, ...], mm: float) -> Mask:
    """Dilate by ``mm`` along each axis and its diagonals (box)."""
    return spread(mask, [int(np.ceil(mm / d - 0.25)) for d in step])


class _Surface:
    """Where the surface of the liver is, on blocks of about 2.6 mm: depth below it, and what is near."""

    def __init__(self, scene: Scene) -> None:
        self._coarse = tuple(max(round(2.6 / d), 1) for d in scene.spacing_mm)
        box = _around(scene, self._coarse)
        self._start = np.array([b.start // f for b, f in zip(box, self._coarse, strict=True)])
        liver = block_mean(scene.liver[box], self._coarse) >= 0.5
        step = tuple(d * f for d, f in zip(scene.spacing_mm, self._coarse, strict=True))
        padded = np.pad(liver, 1, mode="edge")
        depth = ndimage.distance_transform_edt(padded, sampling=step)[1:-1, 1:-1, 1:-1] - min(step) / 2
        self._depth = np.clip(depth, 0, None)
        self._near = _grow(liver, step, REACH_MM)

    def _cells(self, index: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return blocks ``(n, 3)``; what is far from the liver counts as at the edge of the box."""
        return np.asarray(np.clip(index - self._start, 0, np.array(self._depth.shape) - 1), np.intp)

    def depth_mm(self, box: Slices3, region: Mask) -> float:
        """Return how deep below the liver's surface a region reaches."""
        touched = any_of_blocks(region, [b.start for b in box], self._coarse)
        first = [b.start // f for b, f in zip(box, self._coarse, strict=True)]
        return float(self._depth[tuple(self._cells(np.argwhere(touched) + first).T)].max())

    def near_liver(self, start: list[int], region: Mask) -> Mask:
        """Return the part of a region, whose first voxel lies at ``start``, that lies in the liver or close to it."""
        near = self._near
        for axis, (s, n, f) in enumerate(zip(start, region.shape, self._coarse, strict=True)):
            cells = np.clip(np.arange(s, s + n) // f - self._start[axis], 0, near.shape[axis] - 1)
            near = np.take(near, cells, axis)
        return near & region

    def depth_at(self, index: tuple[int, int, int]) -> float:
        """Return how deep a voxel lies below the liver's surface."""
        z, y, x = self._cells(np.array(index, np.intp) // np.array(self._coarse, np.intp))
        return float(self._depth[z, y, x])


class _Field:
    """What flooding needs of the whole scene, made once: slow background, the liver's surface."""

    def __init__(
        self,
        scene: Scene,
        surface: _Surface,
        slow: F32,
        first: NDArray[np.intp],
        factor: tuple[int, ...],
        vessel_hu: float | None,
    ) -> None:
        self.scene, self.surface, self.slow, self.first, self.factor = scene, surface, slow, first, factor
        self.follow_above = -np.inf if vessel_hu is None else vessel_hu + max(40.0, 2.5 * scene.noise_hu)


def _regions(field: _Field, tops: NDArray[np.intp], scores: NDArray[np.floating]) -> tuple[tuple[Candidate, ...], bool]:
    """Flood each peak down to half its height; a peak inside an earlier region belongs to that one.

    The next peak is flooded by a second thread meanwhile; when it turns out to be claimed that is thrown away.
    """
    scene, factor = field.scene, field.factor
    claimed = np.zeros(scene.hu.shape, bool)
    out: list[Candidate] = []
    is_capped = False

    def free() -> Iterator[tuple[tuple[slice, ...], tuple[int, int, int], float, float]]:
        for top, score in zip(tops, scores, strict=True):
            start = [int(t * f) for t, f in zip(top + field.first, factor, strict=True)]
            block = tuple(slice(s, s + f) for s, f in zip(start, factor, strict=True))
            if not claimed[block].any():
                yield block, _climb(scene, block), float(score), float(field.slow[tuple(top)])

    with thread_pool(2) as pool:
        for block, peak, score, background, asked in _ahead(
            (*one, pool.submit(_flood, field, one[1], one[3])) for one in free()
        ):
            if claimed[block].any() or claimed[peak]:
                continue
            found = asked.result()
            if found is None:
                continue
            taken = claimed[found.box] & found.region
            if taken.sum() > 0.5 * found.region.sum():
                continue
            is_capped = len(out) >= MOST_CANDIDATES
            if is_capped:
                break
            if taken.any():
                found = replace(found, region=found.region & ~taken)
            claimed[found.box] |= found.region
            out.append(
                Candidate(
                    peak,
                    found.height,
                    background,
                    score,
                    found.box,
                    found.region,
                    found.inside,
                    found.depth_mm,
                    field.surface.depth_at(peak),
                    found.is_cut,
                    _at_edge(scene, found.box),
                )
            )
    return tuple(sorted(out, key=lambda c: -c.peak_hu)), is_capped


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Give items in their order, each when the next :data:`AHEAD` less one have been made."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) >= AHEAD:
            yield waiting.popleft()
    yield from waiting


def _climb(scene: Scene, block: tuple[slice, ...]) -> tuple[int, int, int]:
    """Return the brightest native voxel in a detection voxel."""
    part = scene.hu[block]
    at = np.unravel_index(int(np.argmax(part)), part.shape)
    z, y, x = (int(a) + s.start for a, s in zip(at, block, strict=True))
    return z, y, x


@dataclass(frozen=True, eq=False, slots=True)
class _Flooded:
    """A region at half height, as :class:`Candidate` has it."""

    box: Slices3
    region: Mask
    height: float
    inside: float
    depth_mm: float
    is_cut: bool


def _flood(field: _Field, peak: tuple[int, int, int], background: float) -> _Flooded | None:
    """Return the region at half height; the window grows until the region fits into it."""
    scene = field.scene
    for reach_mm in (9.0, 25.0, 70.0):
        box = tuple(
            slice(max(p - int(np.ceil(reach_mm / d)), 0), min(p + int(np.ceil(reach_mm / d)) + 1, n))
            for p, d, n in zip(peak, scene.spacing_mm, scene.hu.shape, strict=True)
        )
        hu = scene.hu[box]
        at = tuple(p - s.start for p, s in zip(peak, box, strict=True))
        height = _height(hu, at, scene.spacing_mm)
        if height - background < NOISY * scene.noise_hu:
            # the top of a faint focus is mostly noise: look at it at the scale of the resolution
            hu, at, height = _calmed(hu, at, scene.spacing_mm)
        bright = hu > background + 0.5 * (height - background)
        if not bright[at] or height - background < LEAST_HEIGHT_HU:
            return None
        region = _part_with(bright, at) if reach_mm < 30 else _coarse_part_with(bright, at)
        touching = [
            axis
            for axis in range(3)
            for side, free in ((0, box[axis].start > 0), (-1, box[axis].stop < scene.hu.shape[axis]))
            if free and np.take(region, side, axis=axis).any()
        ]
        if not touching:
            break
        if height < field.follow_above and (reach_mm > 20 or region.mean() < TREE_FILL):
            # no brighter than blood and thin: a vessel, which need not be followed to its end
            break
        if reach_mm > 20 and not scene.liver[peak]:
            # it peaks beside the liver and is larger than a focus: a rib or bowel
            break
    tight = tight_box(region)
    region, liver = region[tight], scene.liver[box][tight]
    start = [b.start + t.start for b, t in zip(box, tight, strict=True)]
    inside = float(liver[region].mean())
    is_cut = False
    if inside < 0.8:
        # it goes on outside (a rib that touches the liver, a vessel that leaves it): keep what belongs to the liver
        kept = field.surface.near_liver(start, region)
        here = tuple(a - t.start for a, t in zip(at, tight, strict=True))
        if kept[here]:
            near = tight_box(kept)
            is_cut, region = True, _part_with(kept[near], tuple(a - n.start for a, n in zip(here, near, strict=True)))
            tight = tight_box(region)
            region = region[tight]
            start = [s + n.start + t.start for s, n, t in zip(start, near, tight, strict=True)]
    place = tuple(slice(s, s + n) for s, n in zip(start, region.shape, strict=True))
    where: Slices3 = (place[0], place[1], place[2])
    body = np.ascontiguousarray(region)
    return _Flooded(where, body, height, inside, field.surface.depth_mm(where, body), is_cut)


def _calmed(hu: F32, at: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[F32, tuple[int, ...], float]:
    """Return a smoothed window, the highest voxel near ``at`` in it, and its height."""
    smooth = ndimage.gaussian_filter(hu, [1.0 / d if d < 2.5 else 0.0 for d in spacing], truncate=3)
    near = tuple(slice(max(a - 1, 0), a + 2) for a in at)
    part = smooth[near]
    top = np.unravel_index(int(np.argmax(part)), part.shape)
    where = tuple(int(t) + n.start for t, n in zip(top, near, strict=True))
    return smooth, where, float(smooth[where])


def _part_with(mask: Mask, at: tuple[int, ...]) -> Mask:
    """Return the connected part of a mask that holds a voxel."""
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return np.asarray(labels == labels[at])


def _coarse_part_with(mask: Mask, at: tuple[int, ...]) -> Mask:
    """Return the connected part of a large mask that holds a voxel, parts one voxel apart taken as connected."""
    pad = [(0, n % 2) for n in mask.shape]
    wide = np.pad(mask, pad)
    small = np.zeros([n // 2 for n in wide.shape], bool)
    for z in range(2):
        for y in range(2):
            for x in range(2):
                small |= wide[z::2, y::2, x::2]
    part = _part_with(small, tuple(a // 2 for a in at))
    for axis in range(3):
        part = np.repeat(part, 2, axis=axis)
    return np.asarray(part[tuple(slice(0, n) for n in mask.shape)] & mask)


def _at_edge(scene: Scene, box: Slices3) -> bool:
    """Whether a box touches the first or last plane of the scan."""
    low = [start + b.start for start, b in zip(scene.start, box, strict=True)]
    high = [start + b.stop for start, b in zip(scene.start, box, strict=True)]
    return any(a <= 0 or b >= n for a, b, n in zip(low, high, scene.scan_shape, strict=True))


def _height(hu: F32, at: tuple[int, ...], spacing: tuple[float, ...]) -> float:
    """Return the height of a peak: its voxel and its in-plane neighbours, weighted 2:1, never far below the voxel."""
    z, y, x = at
    ys, xs = slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)
    patch = hu[z, ys, xs]
    if min(spacing[1:]) > 1.2 or patch.size < 9:
        return float(hu[at])
    return float(0.5 * hu[at] + 0.5 * np.sort(patch.ravel())[-4:].mean())
