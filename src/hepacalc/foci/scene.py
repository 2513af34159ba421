"""What the foci room works on: the liver cut out of the scan, with its grey values, noise and resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import MeasurementError
from hepacalc.foci.blocks import spread, tight_box
from hepacalc.foci.median import median_filter
from hepacalc.foci.resolution import in_plane_sigma_mm
from hepacalc.geometry import Geometry, Reorientation, Slices3
from hepacalc.records import LiverMask, Volume
from hepacalc.threads import thread_pool

__all__ = ["NoiseCurve", "Scene", "bulk", "look_at"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
MARGIN_MM = 22.0
SHELL_MM = 5.0
"""How much of the liver's outside is no part of its core."""
FEWEST = 2000
SIZES_MM = (0.0, 2.5, 5.0, 8.0, 12.0)
"""Edges of the boxes in which noise is measured; 0 is one voxel."""
EVERY = (2, 4, 4)
"""Every so many voxels ``(z, y, x)`` stand for all of them, where that leaves enough."""
ENOUGH = 10_000
_THINNED = (slice(None, None, EVERY[0]), slice(None, None, EVERY[1]), slice(None, None, EVERY[2]))


@dataclass(frozen=True, eq=False, slots=True)
class NoiseCurve:
    """How far the mean HU of a compact region strays from its surroundings where there is no focus.

    Measured in this scan's parenchyma, so that it holds correlated noise, texture and the error of the background
    estimate together.

    Args:
        volume_mm3: region sizes, rising.
        sd_hu: standard deviation of (mean of the region - mean of the shell around it).
    """

    volume_mm3: NDArray[np.float64]
    sd_hu: NDArray[np.float64]

    def at(self, volume_mm3: float) -> float:
        """Return the standard deviation in HU for a region of ``volume_mm3`` (log-log interpolation)."""
        x = np.log(np.clip(volume_mm3, self.volume_mm3[0], self.volume_mm3[-1]))
        return float(np.exp(np.interp(x, np.log(self.volume_mm3), np.log(self.sd_hu))))


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """The liver and what surrounds it, in standard orientation (z up, y back, x left).

    Args:
        hu: CT numbers ``(z, y, x)`` of the crop.
        liver: bool ``(z, y, x)``.
        geometry: grid of the crop.
        turn: from the scan's own axes to the standard ones.
        start: index of the crop's first voxel in the reoriented scan.
        scan_shape: ``(z, y, x)`` of the whole reoriented scan.
        slice_axis: axis along which the scanner took slices.
        sigma_mm: standard deviation of the scan's point spread ``(z, y, x)`` in mm.
        slice_thickness_mm: along ``slice_axis``.
        parenchyma_hu: robust mean of the liver.
        spread_hu: robust standard deviation of the liver at the scale of a voxel.
        noise_hu: standard deviation of one voxel against its close neighbourhood.
        curve: noise at the scale of a focus.
        clip_hu: highest CT number that this scan can hold, when it is cut off; else infinity.
    """

    hu: F32
    liver: Mask
    geometry: Geometry
    turn: Reorientation
    start: tuple[int, int, int]
    scan_shape: tuple[int, int, int]
    slice_axis: int
    sigma_mm: tuple[float, float, float]
    slice_thickness_mm: float
    parenchyma_hu: float
    spread_hu: float
    noise_hu: float
    curve: NoiseCurve
    clip_hu: float

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing ``(z, y, x)`` in mm."""
        return self.geometry.spacing_mm

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm^3."""
        return self.geometry.voxel_mm3


def look_at(volume: Volume, liver: LiverMask, sigma_in_plane_mm: float | None = None) -> Scene:
    """Cut the liver out of a scan and learn its grey values and noise.

    Args:
        volume: the scan.
        liver: mask on the same grid.
        sigma_in_plane_mm: standard deviation of the in-plane point spread; the scan is asked where it is not given.

    Raises:
        MeasurementError: the mask is empty.
    """
    turn = volume.geometry.canonical()
    mask = turn.apply(liver.mask)
    if not mask.any():
        raise MeasurementError(
            "a liver mask was wanted to look for foci in, but it is empty.", hint="Give another mask."
        )
    spacing = turn.geometry.spacing_mm
    box = tuple(
        slice(max(s.start - int(np.ceil(MARGIN_MM / d)), 0), min(s.stop + int(np.ceil(MARGIN_MM / d)), n))
        for s, d, n in zip(tight_box(mask), spacing, mask.shape, strict=True)
    )
    crop: Slices3 = (box[0], box[1], box[2])
    hu = np.ascontiguousarray(turn.apply(volume.hu)[crop], dtype=np.float32)
    inside = np.ascontiguousarray(mask[crop])
    slice_axis = turn.axes.index(volume.slice_axis)
    thickness = volume.slice_thickness_mm
    sigma = [in_plane_sigma_mm(volume) if sigma_in_plane_mm is None else sigma_in_plane_mm] * 3
    sigma[slice_axis] = float(np.hypot(thickness / np.sqrt(12), 0.22 * thickness))
    shell, core = _shell(inside, spacing)
    values = hu[_THINNED][core]
    mean, spread_hu = bulk(values if len(values) > ENOUGH else hu[_eroded(inside, shell)])
    noise, curve = _noise(hu, inside, shell, np.argwhere(core) * EVERY, spacing, mean, spread_hu)
    top = float(volume.hu.max())
    # what is cut off is cut off at the highest number of the scan, and many voxels have it
    is_cut_off = top < 3000 and hu.max() >= top and np.count_nonzero(volume.hu == top) > 20
    return Scene(
        hu, inside, turn.geometry.crop(crop), turn, (crop[0].start, crop[1].start, crop[2].start),
        turn.geometry.shape, slice_axis,
        (sigma[0], sigma[1], sigma[2]), thickness, mean, spread_hu, noise, curve, top if is_cut_off else np.inf,
    )  # fmt: skip


def bulk(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return mean and standard deviation of the bulk of some values: median and MAD, trimmed at 2.5 sd.

    Of very many values every so many are taken.
    """
    values = values[:: max(len(values) // 200_000, 1)]
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle))) + 1e-3
    kept = values[np.abs(values - middle) < 2.5 * spread]
    return float(kept.mean()), float(kept.std() / 0.955)


def _shell(liver: Mask, spacing: tuple[float, float, float]) -> tuple[tuple[int, int, int], Mask]:
    """Return by how many voxels the liver is thinned to its core (less where that leaves too little), and the core."""
    for mm in (SHELL_MM, SHELL_MM / 2):
        z, y, x = (round(mm / d) for d in spacing)
        core = _eroded(liver, (z, y, x), EVERY)
        if np.count_nonzero(core) * np.prod(EVERY) > FEWEST:
            return (z, y, x), core
    return (0, 0, 0), liver[_THINNED]


def _eroded(liver: Mask, steps: tuple[int, ...], every: tuple[int, ...] = (1, 1, 1)) -> Mask:
    """Return every so many voxels of the liver thinned by a box; beyond the array there is no liver."""
    out = ~liver
    for axis, (n, f) in enumerate(zip(steps, every, strict=True)):
        out = spread(out, [n if a == axis else 0 for a in range(3)])
        line = np.moveaxis(out, axis, 0)
        line[:n] = line[len(line) - n :] = True
        out = np.moveaxis(line[::f], 0, axis)
    return ~out


def _noise(
    hu: F32,
    liver: Mask,
    shell: tuple[int, int, int],
    points: NDArray[np.intp],
    spacing: tuple[float, float, float],
    mean: float,
    spread_hu: float,
    blocks: int = 10,
) -> tuple[float, NoiseCurve]:
    """Measure noise in blocks of parenchyma: of one voxel, and of compact regions against their surroundings."""
    rng = np.random.default_rng(20260101)
    half = [max(round(16 / d), 2) for d in spacing]
    low, high = mean - 4 * spread_hu - 40, mean + 4 * spread_hu + 60
    boxes = [[max(round(size / d) // 2 * 2 + 1, 1) for d in spacing] for size in SIZES_MM]

    def measure(point: NDArray[np.intp]) -> tuple[list[NDArray[np.floating]], NDArray[np.floating]] | None:
        box = tuple(slice(max(p - h, 0), p + h + 1) for p, h in zip(point, half, strict=True))
        block, inside = np.clip(hu[box], low, high), _core(liver, box, shell)
        if np.count_nonzero(inside) < 30:
            return None
        weight = inside.astype(np.float32)
        compact: list[NDArray[np.floating]] = []
        usable: list[Mask] = []
        for steps in boxes:
            wide = [s + 2 * max(round(4.0 / d), 1) for s, d in zip(steps, spacing, strict=True)]
            near = ndimage.uniform_filter(block, steps, mode="nearest")
            far, share = (ndimage.uniform_filter(a, wide, mode="constant") for a in (block * weight, weight))
            ring_share = share * np.prod(wide) - np.prod(steps)
            ok = inside & (share > 0.7) & (ndimage.uniform_filter(weight, steps, mode="constant") > 0.99)
            ring = (far * np.prod(wide) - near * np.prod(steps)) / np.maximum(ring_share, 1)
            compact.append((near - ring)[ok])
            usable.append(ok)
        # every other plane is enough
        middle = median_filter(block[::2], (1, 5, 5))
        return compact, (block[::2] - middle)[usable[0][::2]]

    with thread_pool(2) as pool:
        chosen = points[rng.permutation(len(points))[:blocks]]
        found = [f for f in pool.map(measure, chosen) if f is not None]
    volumes = np.array([float(np.prod(steps) * np.prod(spacing)) for steps in boxes])
    fine = np.concatenate([f[1] for f in found]) if found else np.zeros(0)
    # the 90 % range, since that is what intervals are made of: vessels and texture have long tails
    pooled = [np.abs(np.concatenate([f[0][n] for f in found])) if found else np.zeros(0) for n in range(len(boxes))]
    sd = np.array([np.quantile(p, 0.9) / 1.645 if len(p) > 50 else np.nan for p in pooled])
    good = np.isfinite(sd)
    one = bulk(fine)[1] if len(fine) > 50 else spread_hu
    if not good.any():
        return one, NoiseCurve(np.array([1.0, 1e4]), np.array([spread_hu, spread_hu / 3 + 1]))
    keep, where = np.unique(volumes[good], return_index=True)
    # texture never averages away completely
    return one, NoiseCurve(keep, np.maximum(sd[good][where], 0.8))


def _core(liver: Mask, box: tuple[slice, ...], steps: tuple[int, int, int]) -> Mask:
    """Return the core of the liver in a box."""
    wide = tuple(slice(max(b.start - n, 0), b.stop + n) for b, n in zip(box, steps, strict=True))
    inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    return _eroded(liver[wide], steps)[inner]
