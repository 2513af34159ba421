"""Models of a focus, blurred as the scan blurs: which voxels carry its signal, and how much lies beyond them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import erf

from hepacalc.foci.blocks import tight_box
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.foci.window import Window

__all__ = ["BlurredBody", "fit_bodies"]

SLICE_SOFTNESS = 0.22
LARGEST_FINE = 120_000
LEVELS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.67, 0.75, 0.82, 0.87, 0.92, 0.95)
RIDGE = 0.93
THINNINGS = (0.0, 0.15, 0.3)
NEAR = 3.0
LOCAL_FROM_MM = 6.0
LOCAL_MM = 6.0


@dataclass(frozen=True, eq=False, slots=True)
class BlurredBody:
    """One blurred model of a focus.

    Args:
        blurred: ``(z, y, x)`` its samples on the grid of the window.
        level: share of the height nearby above which it is the focus.
        volume_mm3: before blurring.
        integral: of the model in HU mm^3.
        left: squared misfit.
        body: bool ``(z, y, x)``, before blurring, on a fine grid.
        step_mm: ``(z, y, x)`` edges of the fine voxels.
    """

    blurred: F32
    level: float
    volume_mm3: float
    integral: float
    left: float
    body: Mask
    step_mm: tuple[float, float, float]


def fit_bodies(scene: Scene, window: Window, excess: F32, blur: float = 1.0) -> list[BlurredBody]:
    """Fit blurred bodies to a focus: a body is where the focus, finely interpolated, exceeds a level.

    Levels near 1 leave only the ridge of the focus, which after blurring is a point or a thin sheet; levels near
    a half leave a body larger than the resolution. The integral of a body is known before it is sampled, so that slices
    that overlap or leave gaps do not falsify it.
    """
    factor = _fine_factor(scene, window.hu.shape)
    z, y, x = (d / f for d, f in zip(scene.spacing_mm, factor, strict=True))
    near = window.reach <= NEAR
    source = np.where(near, excess, np.minimum(excess, 0.25 * window.height))
    fine = _upsample(source, factor)
    reach = _upsample(near.astype(np.float32), factor) > 0.5
    reference = _local_height(fine, window, factor, scene)
    ridge = (fine > RIDGE * reference) & reach
    out: list[BlurredBody] = []
    for thinner in _thinnings(scene, factor):
        part: list[BlurredBody] = []
        for level in LEVELS:
            body = _thinned((fine > level * reference) & reach, ridge, scene.slice_axis, thinner)
            if not body.any():
                continue
            blurred = _blur(body.astype(np.float32), scene, factor, window.hu.shape, blur)
            norm = float((blurred[near] ** 2).sum())
            scale = float((blurred[near] * excess[near]).sum()) / norm if norm > 0 else 0.0
            if scale <= 0:
                continue
            left = float(((excess - scale * blurred)[near] ** 2).sum())
            volume = float(body.sum()) * scene.voxel_mm3 / float(np.prod(factor))
            part.append(BlurredBody(scale * blurred, level, volume, scale * volume, left, body, (z, y, x)))
            if len(part) >= 3 and part[-1].left > part[-2].left > part[-3].left:
                break
        out += part
    if not out:
        flat = np.where(near, np.maximum(excess, 0), 0).astype(np.float32)
        mm3 = float(window.region.sum()) * scene.voxel_mm3
        total, left = float(flat.sum()) * scene.voxel_mm3, float((excess[near] ** 2).sum())
        out.append(BlurredBody(flat, 1.0, mm3, total, left, window.region, scene.spacing_mm))
    return out


def _thinnings(scene: Scene, factor: tuple[int, int, int]) -> tuple[int, ...]:
    """Return by how many fine samples a body is thinned on both sides along the slice axis.

    Between thick slices interpolation shows a small focus longer than it is; how long it is, the fit decides.
    """
    fine_mm = scene.spacing_mm[scene.slice_axis] / factor[scene.slice_axis]
    steps = [round(share * scene.slice_thickness_mm / fine_mm) for share in THINNINGS]
    return tuple(sorted(set(steps)))


def _thinned(body: Mask, ridge: Mask, axis: int, steps: int) -> Mask:
    """Return a body without its outer samples along one axis, its ridge kept."""
    if steps == 0:
        return body
    thin = ndimage.minimum_filter1d(body.view(np.uint8), 2 * steps + 1, axis=axis, mode="constant").view(bool)
    return np.asarray(thin | (ridge & body))


def _fine_factor(scene: Scene, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return how often each axis is divided so that a fine voxel is below the resolution."""
    target = max(0.6 * min(scene.sigma_mm), 0.45)
    while True:
        factor = [max(int(np.ceil(d / target - 0.3)), 1) for d in scene.spacing_mm]
        if np.prod(factor) * np.prod(shape) <= LARGEST_FINE or max(factor) == 1:
            return factor[0], factor[1], factor[2]
        target *= 1.3


def _upsample(array: F32, factor: tuple[int, int, int]) -> F32:
    """Interpolate linearly so that each voxel is divided into ``factor`` parts (centres kept)."""
    out = array
    for axis, f in enumerate(factor):
        if f == 1:
            continue
        n = out.shape[axis]
        position = np.clip((np.arange(n * f) + 0.5) / f - 0.5, 0, n - 1)
        low = np.minimum(position.astype(int), max(n - 2, 0))
        part = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        out = np.take(out, low, axis) * (1 - part) + np.take(out, np.minimum(low + 1, n - 1), axis) * part
    return np.asarray(out, np.float32)


def _local_height(fine: F32, window: Window, factor: tuple[int, int, int], scene: Scene) -> NDArray[np.float32] | float:
    """Return the height of the focus nearby: its ridge varies along a rim or a line."""
    spread = tight_box(window.region)
    extent = [(s.stop - s.start) * d for s, d in zip(spread, scene.spacing_mm, strict=True)]
    if max(extent) < LOCAL_FROM_MM:
        return float(np.quantile(fine[fine >= fine.max() * 0.9], 0.5))
    size = [max(round(LOCAL_MM / d * f) | 1, 3) for d, f in zip(scene.spacing_mm, factor, strict=True)]
    top = ndimage.maximum_filter(fine, size=size)
    return np.asarray(np.maximum(ndimage.uniform_filter(top, size), 0.3 * float(fine.max())), np.float32)


def _blur(body: F32, scene: Scene, factor: tuple[int, int, int], shape: tuple[int, ...], blur: float) -> F32:
    """Blur a fine body as the scan does (``blur`` times as much in the plane) and sample it at the voxel centres."""
    out = body
    for axis, (f, d, s) in enumerate(zip(factor, scene.spacing_mm, scene.sigma_mm, strict=True)):
        if axis == scene.slice_axis:
            width = scene.slice_thickness_mm / d * f
            kernel = _slice_kernel(width, SLICE_SOFTNESS * width)
            out = ndimage.convolve1d(out, kernel, axis=axis, mode="constant")
        else:
            out = ndimage.gaussian_filter1d(out, blur * s / d * f, axis=axis, mode="constant", truncate=3.5)
    for axis, (f, n) in enumerate(zip(factor, shape, strict=True)):
        if f == 1:
            continue
        # value at the centre of each voxel: mean of the middle one or two fine samples
        low = np.arange(n) * f + (f - 1) // 2
        high = np.arange(n) * f + f // 2
        out = np.asarray((np.take(out, low, axis) + np.take(out, high, axis)) / 2, np.float32)
    return np.asarray(out, np.float32)


def _slice_kernel(width: float, soft: float) -> NDArray[np.float64]:
    """Return a box of ``width`` samples with softened ends, summing to 1."""
    half = int(np.ceil(width / 2 + 3 * soft)) + 1
    x = np.arange(-half, half + 1)
    if soft < 0.2:
        low, high = np.maximum(x - 0.5, -width / 2), np.minimum(x + 0.5, width / 2)
        kernel = np.clip(high - low, 0, None)
    else:
        kernel = erf((x + width / 2) / (soft * np.sqrt(2))) - erf((x - width / 2) / (soft * np.sqrt(2)))
    return np.asarray(kernel / kernel.sum(), np.float64)
