"""What the tests for mimics look at: place, height, surroundings and shape of one candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hepacalc.foci.detect import Candidate
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.foci.vessels import Blood, blood_margin, continues_mm, core_hu, is_compact
from hepacalc.foci.window import Window

__all__ = ["Signs", "look"]

GAS_HU = -250.0
POOL_MM3 = 3000.0
"""Least blood outside the liver, within 14 mm of a focus, that makes the vena cava or the heart of it."""
POOL_OVER_BLOOD = 1.5
"""How many times the known blood such a body may be: the vena cava can be fed by unmixed contrast medium."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the tests look at; a field ends in its unit, what has none is a share (0-1), yes or no, or said here.

    Args:
        peak_hu: brightest voxel, lightly smoothed.
        surely_hu: that without what noise adds to the brightest of so many voxels.
        core_hu: its peak after averaging over about the resolution in the plane.
        margin_hu: by how much calcium must be brighter than blood, in this noise.
        true_hu: what a compact focus would show without partial volume.
        above_hu: ``peak_hu`` above the liver behind it.
        total: HU mm^3 above background, with a rim.
        sureness: ``total`` in its own standard deviations.
        noise_hu: standard deviation of one voxel of liver.
        significance: contrast over the noise of its scale.
        inside: share of the whole bright structure that lies in the liver mask.
        depth_mm: how deep it reaches below the surface of the mask.
        at_scan_edge: whether it touches the end of the scan.
        leaves_liver: whether it is the tip of a larger bright structure outside.
        is_pool: whether that structure is as large, even and bright as blood.
        continues_mm: how far vessel-like brightness goes on beyond it; 0 without contrast medium.
        gas_mm: to the nearest gas; infinite where there is none.
        fluid_share: share of the rim around it that has HU of fluid.
        liver_share: the same for HU of liver.
        dark_share: the same for fat and gas.
        streak_hu: darkest 2 % of what is near, above liver; below it is negative.
        is_clipped: whether the scanner's largest number cut some of it off.
        volume_mm3: of its voxels above half height.
        is_compact: whether it is about as long as wide.
    """

    peak_hu: float
    surely_hu: float
    core_hu: float
    margin_hu: float
    true_hu: float
    above_hu: float
    total: float
    sureness: float
    noise_hu: float
    significance: float
    inside: float
    depth_mm: float
    at_scan_edge: bool
    leaves_liver: bool
    is_pool: bool
    continues_mm: float
    gas_mm: float
    fluid_share: float
    liver_share: float
    dark_share: float
    streak_hu: float
    is_clipped: bool
    volume_mm3: float
    is_compact: bool


def look(scene: Scene, candidate: Candidate, window: Window, blood: Blood) -> Signs:
    """Collect what the tests need."""
    region = window.region
    distance = window.distance_mm
    around = (distance > 1.5 * max(scene.sigma_mm[1:])) & (distance <= 6.0)
    shell = around & window.clean
    if shell.sum() < 20:
        around = shell = (distance > 0) & (distance <= 8.0)
    values = window.hu[shell]
    width = 1.0 if scene.noise_hu < 15 else 1.6
    smooth = ndimage.gaussian_filter(window.hu, [width / d if d < 2.5 else 0.0 for d in scene.spacing_mm])[shell]
    tolerance = 15.0 + 2.5 * scene.curve.at(5.0 * width**2 * max(scene.spacing_mm))
    liver_like = np.abs(smooth - scene.parenchyma_hu) < tolerance
    fluid_top = min(30.0, scene.parenchyma_hu - 20.0)
    gas = (window.hu < GAS_HU) & ~region
    gas_mm = float(distance[gas].min()) if gas.any() else np.inf
    near = values[distance[shell] <= 5.0] if (distance[shell] <= 5.0).any() else values
    behind = float(np.median(window.background[region]))
    total, total_sd = _rough_total(scene, window)
    leaves, is_pool = _beyond_liver(scene, candidate, blood)
    return Signs(
        peak_hu=candidate.peak_hu,
        surely_hu=candidate.peak_hu - _lift(scene, int(region.sum())),
        core_hu=core_hu(scene, candidate),
        margin_hu=blood_margin(scene),
        true_hu=_true_height(scene, window, total) + behind,
        above_hu=candidate.peak_hu - behind,
        total=total,
        sureness=total / total_sd,
        noise_hu=scene.noise_hu,
        significance=candidate.significance,
        inside=candidate.inside,
        depth_mm=candidate.depth_mm,
        at_scan_edge=candidate.at_scan_edge,
        leaves_liver=leaves,
        is_pool=is_pool,
        continues_mm=continues_mm(scene, candidate, blood) if blood.is_contrast else 0.0,
        gas_mm=gas_mm,
        fluid_share=float(((smooth > -25) & (smooth < fluid_top)).mean()),
        liver_share=float(liver_like.sum()) / max(int(around.sum()), 1),
        dark_share=float((smooth < -20).mean()),
        streak_hu=float(np.percentile(near, 2)) - scene.parenchyma_hu,
        is_clipped=bool((window.hu[region] >= scene.clip_hu).any()),
        volume_mm3=float(region.sum()) * scene.voxel_mm3,
        is_compact=is_compact(scene, candidate.region),
    )


def _lift(scene: Scene, voxels: int) -> float:
    """Return by how much noise lifts the peak of so many voxels, about."""
    return float(0.85 * scene.noise_hu * np.sqrt(2 * np.log(max(voxels, 2))))


def _rough_total(scene: Scene, window: Window) -> tuple[float, float]:
    """Return the sum of HU above background over the region and a rim, and its noise, in HU mm^3."""
    rim = ndimage.binary_dilation(window.region, ndimage.generate_binary_structure(3, 1)) & (
        window.clean | window.region
    )
    near = window.distance_mm <= 2.0 * max(scene.sigma_mm[1:])
    aperture = rim | (near & ~window.clean)
    mm3 = float(aperture.sum()) * scene.voxel_mm3
    total = float((window.hu - window.background)[aperture].sum()) * scene.voxel_mm3
    return total, scene.curve.at(mm3) * mm3


def _true_height(scene: Scene, window: Window, total: float) -> float:
    """Return HU above background before blurring, for a compact focus taken as long as it is wide.

    Partial volume lowers the peak of a small focus but keeps its sum; the sum over the volume that its width in the
    plane suggests (at least 2 mm) is what it would show on infinitely thin slices. Never below the measured height.
    """
    planes = np.moveaxis(window.region, scene.slice_axis, 0)
    pixel = scene.voxel_mm3 / scene.spacing_mm[scene.slice_axis]
    area = float(planes.sum((1, 2)).max()) * pixel
    seen = 2 * np.sqrt(area / np.pi)
    blur = 2.355 * max(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    width = max(np.sqrt(max(seen**2 - 0.9 * blur**2, 0.0)), 0.6 * seen, 2.0)
    return float(max(total / (np.pi / 6 * width**3), window.height))


def _beyond_liver(scene: Scene, candidate: Candidate, blood: Blood) -> tuple[bool, bool]:
    """Return whether a bright structure at the liver's edge is the tip of a larger one outside, and if blood goes on.

    A larger one: rib, cartilage, bowel, vena cava, heart. Blood: much of it outside, as bright as the tip, no brighter
    than blood can be in this scan, and even (bone and bowel are not).
    """
    if candidate.depth_mm > 9.0 and candidate.inside > 0.5:
        return False, False
    reach = 14.0
    box = tuple(
        slice(max(b.start - int(reach / d), 0), min(b.stop + int(reach / d), n))
        for b, d, n in zip(candidate.box, scene.spacing_mm, scene.hu.shape, strict=True)
    )
    hu, liver = scene.hu[box], scene.liver[box]
    low = candidate.background_hu + max(0.3 * (candidate.peak_hu - candidate.background_hu), 45.0, 3 * scene.noise_hu)
    smooth = ndimage.uniform_filter(hu, [1 if d > 2 else 3 for d in scene.spacing_mm])
    bright = smooth > low
    at = tuple(p - b.start for p, b in zip(candidate.peak, box, strict=True))
    bright[at] = True
    labels, _ = ndimage.label(bright, np.ones((3, 3, 3)))
    part = labels == labels[at]
    outside = float((part & ~liver).sum()) * scene.voxel_mm3
    within = float((part & liver).sum()) * scene.voxel_mm3
    own = float(candidate.region.sum()) * scene.voxel_mm3
    leaves = outside > max(1.2 * within, 0.8 * own, 60.0)
    return leaves, outside >= POOL_MM3 and _is_blood(scene, smooth, part & ~liver, core_hu(scene, candidate), blood)


def _is_blood(scene: Scene, smooth: F32, part: Mask, core: float, blood: Blood) -> bool:
    """Whether a body is even, as bright as ``core`` HU and no brighter than blood can be."""
    if not blood.is_contrast or blood.brightest_hu is None:
        return False
    inner = ndimage.binary_erosion(part, iterations=2)
    if float(inner.sum()) * scene.voxel_mm3 < 0.2 * POOL_MM3:
        return False
    low, middle, high = np.quantile(smooth[inner], (0.1, 0.5, 0.9))
    even = high - low <= 2.0 * blood_margin(scene) + scene.noise_hu
    return bool(even and core <= middle + 2.0 * blood_margin(scene) and high <= POOL_OVER_BLOOD * blood.brightest_hu)
