"""How much signal a focus holds above the liver around it: background, aperture and what the aperture misses.

The sum of HU above background is what calcium mass follows from. A wide region catches the blurred tails but also
noise; a narrow one loses tails. Here the region follows the focus: a model of the focus, blurred as this
scan blurs, says which voxels carry its signal and what share of it they hold.

Reference: Black and others 2023, Integrated intensity-based technique for coronary artery calcium mass measurement,
Med Phys 50:4930; the model-based correction of the tails is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci.blocks import enlarge, reduce_blocks
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.geometry import Slices3

__all__ = ["Signal", "Window", "background_field", "measure_signal", "open_window"]

SHELL_MM = 7.0
SLICE_SOFTNESS = 0.22
LARGEST_FINE = 120_000
LEVELS = (0.45, 0.6, 0.75, 0.87, 0.95)
OTHER_BLUR = 1.35
LEAST_SIGMA_MM = 0.85
OUTSKIRTS_MM = 7.0
CUTS = (0.04, 0.10, 0.20, 0.35, 0.5)
CORRELATED_VOXELS = 6.0
NOISE_FACTOR = 1.25
EDGE_SHARE = 0.014


@dataclass(frozen=True, eq=False, slots=True)
class Window:
    """A focus and its surroundings, cut out of the scene.

    Args:
        box: where it lies in the scene.
        hu: ``(z, y, x)``.
        region: the focus at half height.
        clean: voxels that hold neither this focus nor another one.
        liver: bool.
        background: HU that would be there without the focus.
        height: peak height above background.
        distance_mm: distance from the region.
        reach: distance from the region and its faint outskirts in units of the point spread.
    """

    box: Slices3
    hu: F32
    region: Mask
    clean: Mask
    liver: Mask
    background: F32
    height: float
    distance_mm: F32
    reach: F32


@dataclass(frozen=True, slots=True)
class Signal:
    """Integrated signal of one focus.

    Args:
        total_hu_mm3: HU above background times volume.
        noise_sd: its standard deviation from noise and background.
        edge_sd: from where the region ends.
        aperture_mm3: volume that was summed.
        tail_share: share of the signal that the model places outside of it.
        size_level: level at which the model fits: near 1 means smaller than the resolution.
        true_volume_mm3: volume of the model before blurring.
    """

    total_hu_mm3: float
    noise_sd: float
    edge_sd: float
    aperture_mm3: float
    tail_share: float
    size_level: float
    true_volume_mm3: float


def open_window(
    scene: Scene, box: Slices3, region: Mask, others: Mask, height_hu: float, *, vessel_hu: float | None = None
) -> Window:
    """Cut a focus out with enough surroundings, and estimate the background under it.

    Args:
        scene: the liver.
        box: where ``region`` lies.
        region: bool, the focus at half height.
        others: bool on the scene's grid: every other focus.
        height_hu: HU of the peak.
        vessel_hu: brightest blood of an enhanced scan; fainter outskirts are taken for vessels, not for the focus.
    """
    reach = [SHELL_MM + OUTSKIRTS_MM / 2 + 3 * max(s, LEAST_SIGMA_MM) for s in scene.sigma_mm]
    wide = tuple(
        slice(max(b.start - int(np.ceil(r / d)), 0), min(b.stop + int(np.ceil(r / d)), n))
        for b, r, d, n in zip(box, reach, scene.spacing_mm, scene.hu.shape, strict=True)
    )
    window: Slices3 = (wide[0], wide[1], wide[2])
    mask = np.zeros([s.stop - s.start for s in window], bool)
    mask[tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window, strict=True))] = region
    hu = scene.hu[window]
    other = others[window] & ~mask
    distance = np.asarray(ndimage.distance_transform_edt(~mask, sampling=scene.spacing_mm), np.float32)
    support = mask | (_outskirts(scene, hu, mask, distance, height_hu, vessel_hu) & ~other)
    units = _psf_distance(support, scene)
    reached = units <= 3.3
    if other.any():
        reached |= _psf_distance(other, scene) <= 2.5
    clean = ~reached
    liver = scene.liver[window]
    background = background_field(hu, clean, liver, scene)
    height = float(height_hu - np.median(background[mask]))
    return Window(window, hu, mask, clean, liver, background, height, distance, units)


def _outskirts(scene: Scene, hu: F32, region: Mask, distance: F32, height_hu: float, vessel_hu: float | None) -> Mask:
    """Return what hangs on a focus above the noise but below half its height: thin arms, faint walls, grains.

    Their signal belongs to the focus. On an enhanced scan only what is brighter than blood counts, since vessels hang
    on foci too.
    """
    sigma = [0.0 if axis == scene.slice_axis and d > 1.5 else 0.8 / d for axis, d in enumerate(scene.spacing_mm)]
    smooth = ndimage.gaussian_filter(hu, sigma)
    noise = scene.curve.at(4.0 * float(np.prod(scene.spacing_mm)))
    floor = scene.parenchyma_hu + max(0.22 * (height_hu - scene.parenchyma_hu), 5.0 * noise)
    if vessel_hu is not None:
        floor = max(floor, vessel_hu)
    labels, _ = ndimage.label((smooth > floor) & (distance <= OUTSKIRTS_MM) | region, np.ones((3, 3, 3)))
    kept = np.unique(labels[region])
    grown = np.isin(labels, kept[kept > 0])
    # a rim of blur is no outskirts
    return grown if grown.sum() > 2.5 * region.sum() else region


def background_field(hu: F32, clean: Mask, liver: Mask, scene: Scene) -> F32:
    """Return HU under a focus, continued inwards from the clean voxels around it.

    Liver counts fully, what lies outside the liver only where no liver is near. Single outliers (small vessels,
    noise) are clipped to the bulk of the surroundings.

    Args:
        hu: ``(z, y, x)``.
        clean: voxels that may be used.
        liver: bool.
        scene: gives spacing and the fall-back (mean parenchyma).
    """
    values = hu[clean & liver]
    if len(values) < 20:
        values = hu[clean]
    if len(values) < 5:
        return np.full(hu.shape, scene.parenchyma_hu, np.float32)
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle))) + 2.0
    clipped = np.clip(hu, middle - 2.5 * spread, middle + 2.5 * spread)
    soft = clean & (hu > -250) & (hu < scene.parenchyma_hu + 350)
    weight = np.where(clean & liver, 1.0, np.where(soft, 0.003, 0.0)).astype(np.float32)
    value = np.where(liver, clipped, hu)
    factor = tuple(max(round(1.6 / d), 1) for d in scene.spacing_mm)
    small_value = reduce_blocks((weight * (value - middle)).astype(np.float32), factor)[0]
    small_weight = reduce_blocks(weight, factor)[0]
    top = np.zeros(small_value.shape, np.float64)
    bottom = np.full(small_value.shape, 1e-12)
    for scale_mm, trust in ((2.5, 1.0), (6.0, 3e-3), (16.0, 1e-5)):
        sigma = [scale_mm / (d * f) for d, f in zip(scene.spacing_mm, factor, strict=True)]
        top += trust * ndimage.gaussian_filter(small_value, sigma, mode="constant", truncate=3)
        bottom += trust * ndimage.gaussian_filter(small_weight, sigma, mode="constant", truncate=3)
    field = enlarge((top / bottom).astype(np.float32), factor, hu.shape)
    return np.asarray(field + middle, np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class _Body:
    """One blurred model of a focus: its samples, level, volume before blurring, integral and squared misfit."""

    blurred: F32
    level: float
    volume_mm3: float
    integral: float
    left: float


def measure_signal(scene: Scene, window: Window) -> Signal:
    """Return the integrated signal of a focus with its uncertainty.

    Args:
        scene: the liver.
        window: the focus.
    """
    excess = window.hu - window.background
    allowed = window.reach <= 3.5
    bodies = _models(scene, window, excess)
    best = min(bodies, key=lambda m: m.left)
    energy = float((excess[allowed] ** 2).sum()) + 1e-9
    misfit = min(float(np.sqrt(max(best.left - float(allowed.sum()) * scene.noise_hu**2, 0.0) / energy)), 0.5)

    def sum_up(body: _Body, cut: float) -> tuple[float, float, float, float]:
        model = np.where(allowed, body.blurred, 0)
        aperture = model > cut * model.max()
        share = float(model[aperture].sum()) * scene.voxel_mm3 / (body.integral + 1e-9)
        mm3 = float(aperture.sum()) * scene.voxel_mm3
        total = float(excess[aperture].sum()) * scene.voxel_mm3 / share
        return total, scene.curve.at(mm3) * mm3 / share, mm3, share

    def risk(cut: float) -> float:
        total, noise, _, share = sum_up(best, cut)
        # the tails are right to about the misfit of the model, at best 8 %
        return noise**2 + ((1 - share) * max(misfit, 0.08) * total) ** 2

    costs = [risk(cut) for cut in CUTS]
    chosen = int(np.argmin(costs))
    total, noise, mm3, share = sum_up(best, CUTS[chosen])
    # average over the models that the noise cannot tell apart
    unit = 2 * CORRELATED_VOXELS * scene.noise_hu**2
    weights = np.array([np.exp(-(m.left - best.left) / unit) for m in bodies])
    weights /= weights.sum()
    totals = np.array([sum_up(m, CUTS[chosen])[0] for m in bodies])
    average = float(weights @ totals)
    shape_sd = float(np.sqrt(weights @ (totals - average) ** 2))
    # the same with a blunter point spread: how sharp the scan is, is known to about this
    blunt = min(_models(scene, window, excess, OTHER_BLUR), key=lambda m: m.left)
    psf_sd = abs(sum_up(blunt, CUTS[chosen])[0] - total) / 1.645
    beside = [sum_up(best, CUTS[k])[0] for k in (chosen - 1, chosen + 1) if 0 <= k < len(CUTS)]
    drift = max(abs(t - total) for t in beside)
    tail = (1 - share) * max(misfit, 0.08) * abs(total)
    edge = float(
        np.sqrt(
            tail**2 + shape_sd**2 + psf_sd**2 + (max(drift - 0.5 * noise, 0.0) / 2) ** 2 + (EDGE_SHARE * total) ** 2
        )
    )
    return Signal(average, NOISE_FACTOR * noise, edge, mm3, 1 - share, best.level, best.volume_mm3)


def _psf_distance(mask: Mask, scene: Scene) -> F32:
    """Return the distance from a mask in units of the point spread, taken for no sharper than is usual."""
    units = [d / max(s, 0.4 * d, LEAST_SIGMA_MM) for d, s in zip(scene.spacing_mm, scene.sigma_mm, strict=True)]
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=units), np.float32)


def _models(scene: Scene, window: Window, excess: F32, blur: float = 1.0) -> list[_Body]:
    """Fit blurred bodies to a focus: a body is where the focus, finely interpolated, exceeds a level.

    Levels near 1 leave only the ridge of the focus, which after blurring is a point or a thin sheet; levels near
    a half leave a body larger than the resolution. The integral of a body is known before it is sampled, so that slices
    that overlap or leave gaps do not falsify it.
    """
    factor = _fine_factor(scene, window.hu.shape)
    near = window.reach <= 3.0
    source = np.where(near, excess, np.minimum(excess, 0.25 * window.height))
    fine = _upsample(source, factor)
    reach = _upsample(near.astype(np.float32), factor) > 0.5
    reference = _local_height(fine, window, factor, scene)
    out: list[_Body] = []
    for level in LEVELS:
        body = (fine > level * reference) & reach
        if not body.any():
            continue
        blurred = _blur(body.astype(np.float32), scene, factor, window.hu.shape, blur)
        norm = float((blurred[near] ** 2).sum())
        scale = float((blurred[near] * excess[near]).sum()) / norm if norm > 0 else 0.0
        if scale <= 0:
            continue
        left = float(((excess - scale * blurred)[near] ** 2).sum())
        volume = float(body.sum()) * scene.voxel_mm3 / float(np.prod(factor))
        out.append(_Body(scale * blurred, level, volume, scale * volume, left))
        if len(out) >= 2 and out[-1].left > out[-2].left:
            break
    if not out:
        flat = np.where(near, np.maximum(excess, 0), 0).astype(np.float32)
        mm3 = float(window.region.sum()) * scene.voxel_mm3
        out.append(_Body(flat, 1.0, mm3, float(flat.sum()) * scene.voxel_mm3, float((excess[near] ** 2).sum())))
    return out


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
    extent = [n * d for n, d in zip(window.region.shape, scene.spacing_mm, strict=True)]
    if max(extent) < 2 * SHELL_MM + 6 * max(scene.sigma_mm) + 8:
        return float(np.quantile(fine[fine >= fine.max() * 0.9], 0.5))
    size = [max(round(5.0 / d * f) | 1, 3) for d, f in zip(scene.spacing_mm, factor, strict=True)]
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
        from scipy.special import erf

        kernel = erf((x + width / 2) / (soft * np.sqrt(2))) - erf((x - width / 2) / (soft * np.sqrt(2)))
    return np.asarray(kernel / kernel.sum(), np.float64)
