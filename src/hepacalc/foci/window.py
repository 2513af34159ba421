"""A focus and its surroundings, cut out of the scene, with the liver's HU continued under it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from hepacalc.foci.blocks import block_mean, distance_within, enlarge, tight_box
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.geometry import Slices3

__all__ = ["REACH", "Window", "background_field", "crop_window", "open_window", "share_out"]

SHELL_MM = 7.0
LEAST_SIGMA_MM = 0.85
OUTSKIRTS_MM = 7.0
REACH = 3.5
"""How far the signal of a focus is followed, in units of the point spread."""
FARTHEST_MM = 8.0
"""Distances are told up to this."""
OTHER_SPREAD = 2.5
"""How far above the liver, in its own spread, something else must be for its place not to count as liver."""
ARM_SHARE = 0.15
ARM_NOISE = 6.0
ARM_REACH = 2.0


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
        distance_mm: distance from the region; infinity where it is more than :data:`FARTHEST_MM`.
        reach: distance from the region and its faint outskirts in units of the point spread; infinity beyond
            :data:`REACH` and a half; after :func:`share_out` also where another calcification is nearer.
        vessel_hu: brightest blood of an enhanced scan: what is no brighter around a focus may be a vessel.
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
    vessel_hu: float | None


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
    distance = distance_within(mask, scene.spacing_mm, FARTHEST_MM)
    if other.any():
        other &= _calmed(scene, hu) > scene.parenchyma_hu + OTHER_SPREAD * scene.spread_hu
    support = mask | (_outskirts(scene, hu, mask, distance, height_hu, vessel_hu) & ~other)
    units = _psf_distance(support, scene)
    reached = units <= 3.3
    if other.any():
        reached |= _psf_distance(other, scene) <= 2.5
    clean = ~reached
    liver = scene.liver[window]
    background = background_field(hu, clean, liver, scene)
    height = float(height_hu - np.median(background[mask]))
    return Window(window, hu, mask, clean, liver, background, height, distance, units, vessel_hu)


def share_out(scene: Scene, window: Window, calcium: Mask) -> Window:
    """Return a window that reaches only what is nearer to its focus than to another one that is summed as well.

    Two peaks of one cloud of grains would both count the grains between them.

    Args:
        scene: the liver.
        window: the focus.
        calcium: bool on the scene's grid: all foci that have a mass.
    """
    other = calcium[window.box] & ~window.region
    if not other.any():
        return window
    # from the regions themselves: outskirts of both hold the grains between them
    nearer = distance_within(other, scene.spacing_mm, FARTHEST_MM) < window.distance_mm
    return replace(window, reach=np.where(nearer, np.float32(np.inf), window.reach))


def _outskirts(scene: Scene, hu: F32, region: Mask, distance: F32, height_hu: float, vessel_hu: float | None) -> Mask:
    """Return what hangs on a focus above the noise but below half its height: thin arms, faint walls, grains.

    Their signal belongs to the focus. On an enhanced scan only what is brighter than blood counts, since vessels hang
    on foci too.
    """
    smooth = _calmed(scene, hu)
    noise = scene.curve.at(4.0 * float(np.prod(scene.spacing_mm)))
    floor = scene.parenchyma_hu + max(ARM_SHARE * (height_hu - scene.parenchyma_hu), ARM_NOISE * noise)
    if vessel_hu is not None:
        floor = max(floor, vessel_hu)
    labels, _ = ndimage.label((smooth > floor) & (distance <= OUTSKIRTS_MM) | region, np.ones((3, 3, 3)))
    kept = np.unique(labels[region])
    grown = np.isin(labels, kept[kept > 0])
    # a rim of blur is no outskirts: what is further from the half-height region than blur reaches is
    beyond = grown & (_psf_distance(region, scene) > ARM_REACH)
    return grown if beyond.any() else region


def _calmed(scene: Scene, hu: F32) -> F32:
    """Return HU smoothed in the plane to about the resolution."""
    sigma = [0.0 if axis == scene.slice_axis and d > 1.5 else 0.8 / d for axis, d in enumerate(scene.spacing_mm)]
    return np.asarray(ndimage.gaussian_filter(hu, sigma), np.float32)


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
    small_value = block_mean((weight * (value - middle)).astype(np.float32), factor)
    small_weight = block_mean(weight, factor)
    top = np.zeros(small_value.shape, np.float64)
    bottom = np.full(small_value.shape, 1e-12)
    for scale_mm, trust in ((2.5, 1.0), (6.0, 3e-3), (16.0, 1e-5)):
        sigma = [scale_mm / (d * f) for d, f in zip(scene.spacing_mm, factor, strict=True)]
        top += trust * ndimage.gaussian_filter(small_value, sigma, mode="constant", truncate=3)
        bottom += trust * ndimage.gaussian_filter(small_weight, sigma, mode="constant", truncate=3)
    field = enlarge((top / bottom).astype(np.float32), factor, hu.shape)
    return np.asarray(field + middle, np.float32)


def crop_window(window: Window) -> Window:
    """Return the part of a window that the signal can reach."""
    part = tight_box(window.reach <= REACH + 0.5)
    whole = tuple(slice(outer.start + s.start, outer.start + s.stop) for outer, s in zip(window.box, part, strict=True))
    return Window(
        (whole[0], whole[1], whole[2]),
        np.ascontiguousarray(window.hu[part]),
        np.ascontiguousarray(window.region[part]),
        window.clean[part],
        window.liver[part],
        np.ascontiguousarray(window.background[part]),
        window.height,
        window.distance_mm[part],
        np.ascontiguousarray(window.reach[part]),
        window.vessel_hu,
    )


def _psf_distance(mask: Mask, scene: Scene) -> F32:
    """Return the distance from a mask in units of the point spread, taken for no sharper than is usual."""
    units = [d / max(s, 0.4 * d, LEAST_SIGMA_MM) for d, s in zip(scene.spacing_mm, scene.sigma_mm, strict=True)]
    return distance_within(mask, units, REACH + 0.5)
