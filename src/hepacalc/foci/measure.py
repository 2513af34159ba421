"""The numbers of one focus, each with its interval or the reason why it has none."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hepacalc.foci.aperture import Signal
from hepacalc.foci.blocks import tight_box
from hepacalc.foci.detect import Candidate
from hepacalc.foci.diameters import measure_diameters
from hepacalc.foci.form import measure_form
from hepacalc.foci.scene import Scene
from hepacalc.foci.shape import Body, Shape, describe_shape, fine_body
from hepacalc.foci.window import Window
from hepacalc.records import MEASUREMENTS, Calibration, Measured, Measurement, NotMeasured, Surroundings

__all__ = ["integrated_mass", "measure_focus", "measure_roughly", "measure_surroundings"]

DIAMETERS = ("diameter_mm", "diameter_2_mm", "diameter_3_mm")
Z90 = 1.645
FIXED_HU = 130.0
LARGEST_CLIPPED_SHARE = 0.05
LEVEL_STEP, LEVEL_SD = 0.1, 0.06
"""The mean HU is taken this share of the height further in and out; the other is how surely half height is known."""


def integrated_mass(signal: Signal, calibration: Calibration) -> Measured:
    """Return the calcium hydroxyapatite mass of a focus in mg, with a 90 % interval.

    Mass is the sum of HU above background times volume, times the slope of the calibration line. Partial volume moves
    signal about but does not lose it. The interval joins noise (as measured in this scan), the edge of
    the region and the calibration.

    Args:
        signal: integrated signal in HU mm^3.
        calibration: HU to mg/mL.

    Returns:
        Mass in mg; small negative values from noise are kept, never clipped.

    Reference: Black and others 2023, Med Phys 50:4930.
    """
    scale = calibration.mg_per_ml_per_hu / 1000.0
    mass = signal.total_hu_mm3 * scale
    sd = scale * float(np.sqrt(signal.noise_sd**2 + signal.edge_sd**2))
    sd = float(np.hypot(sd, calibration.relative_sd * mass))
    return Measured(mass, "mg", mass - Z90 * sd, mass + Z90 * sd, f"integrated above background; {calibration.source}")


def measure_focus(
    scene: Scene,
    candidate: Candidate,
    window: Window,
    signal: Signal,
    calibration: Calibration,
    *,
    is_contrast: bool,
    agatston: bool = False,
) -> tuple[dict[str, Measurement], Body, Shape]:
    """Return every measurement of one focus, its body on a fine grid, and the shape of that.

    Args:
        scene: the liver.
        candidate: the bright peak.
        window: it and its surroundings.
        signal: its integrated signal.
        calibration: HU to mg/mL.
        is_contrast: whether contrast medium is in the scan.
        agatston: whether the Agatston-like score was asked for.
    """
    body = fine_body(window.hu - window.background, window.region, scene.spacing_mm)
    shape = describe_shape(body)
    diameters = measure_diameters(scene, body, shape, signal.extents, signal.solid)
    out: dict[str, Measurement] = {"volume_mm3": _volume(scene, window, shape)}
    out |= dict(zip(DIAMETERS, diameters.measured(), strict=True))
    out |= _densities(scene, window, signal, calibration) | measure_form(scene, body, shape, diameters)
    out["capsule_distance_mm"] = _capsule(candidate)
    out["fixed_130_volume_mm3"] = _fixed_threshold(scene, window, is_contrast)
    out["agatston"] = _agatston(scene, window, is_contrast, agatston)
    if candidate.at_scan_edge:
        reason = NotMeasured("the focus is cut by the edge of the scan")
        for name in ("volume_mm3", "mass_mg", "total_hu_mm3", *DIAMETERS):
            out[name] = reason
        for name in ("sphericity", "elongation", "hollowness", "fixed_130_volume_mm3"):
            out[name] = reason
    return out, body, shape


def measure_roughly(scene: Scene, candidate: Candidate, reason: NotMeasured) -> dict[str, Measurement]:
    """Return size and HU of what is not taken for calcium; everything else is not measured, with the reason.

    Args:
        scene: the liver.
        candidate: the bright structure.
        reason: why the rest is not measured.
    """
    out: dict[str, Measurement] = dict.fromkeys(MEASUREMENTS, reason)
    values = scene.hu[candidate.box][candidate.region]
    mm3 = float(len(values)) * scene.voxel_mm3
    out["volume_mm3"] = Measured(mm3, "mm3", 0.7 * mm3, 1.3 * mm3, "voxels at half maximum")
    out["max_hu"] = _around(float(values.max()), scene.noise_hu, "HU", "voxel")
    out["mean_hu"] = _around(float(values.mean()), scene.curve.at(mm3), "HU", "region at half maximum")
    out["background_hu"] = _around(candidate.background_hu, scene.curve.at(500.0), "HU", "slow changes of the liver")
    extent = max(n * d for n, d in zip(candidate.region.shape, scene.spacing_mm, strict=True))
    out["diameter_mm"] = Measured(extent, "mm", 0.7 * extent, 1.1 * extent, "edge of its box")
    out["capsule_distance_mm"] = _capsule(candidate)
    return out


def _capsule(candidate: Candidate) -> Measured:
    """Return how deep the peak lies below the surface of the liver mask."""
    depth = candidate.capsule_mm
    return Measured(depth, "mm", max(depth - 3.0, 0.0), depth + 3.0, "peak to the surface of the liver mask")


def _volume(scene: Scene, window: Window, shape: Shape) -> Measured:
    """Volume at half maximum."""
    noise = scene.noise_hu / max(window.height, 1.0)
    # the surface moves by the noise of the level over the slope of the edge, and by a part of a voxel
    shift = float(np.hypot(0.12 * float(np.mean(scene.spacing_mm)), 0.35 * noise * max(scene.sigma_mm)))
    surface = np.pi ** (1 / 3) * (6 * shape.volume_mm3) ** (2 / 3) / max(shape.sphericity, 0.05)
    sd = shift * surface
    low = max(shape.volume_mm3 - Z90 * sd, 0.0)
    return Measured(shape.volume_mm3, "mm3", low, shape.volume_mm3 + Z90 * sd, "half maximum")


def _densities(scene: Scene, window: Window, signal: Signal, calibration: Calibration) -> dict[str, Measurement]:
    """HU and mass; not measured where the scan cuts HU off."""
    values = window.hu[window.region]
    mm3 = float(window.region.sum()) * scene.voxel_mm3
    background = float(np.median(window.background[window.region]))
    sd_mean, sd_back = float(np.hypot(scene.curve.at(mm3), _edge_sd(window))), scene.curve.at(8 * mm3 + 200)
    top = float(values.max())
    # the largest of n noisy voxels lies above the truth
    lift = scene.noise_hu * float(np.sqrt(2 * np.log(max(len(values), 2)))) * 0.5
    out: dict[str, Measurement] = {
        "max_hu": Measured(top, "HU", top - lift - Z90 * 0.7 * scene.noise_hu, top + 0.5 * scene.noise_hu, "voxel"),
        "mean_hu": _around(float(values.mean()), sd_mean, "HU", "region at half maximum"),
        "background_hu": _around(background, sd_back, "HU", "liver around it"),
        "total_hu_mm3": _around(
            signal.total_hu_mm3,
            float(np.hypot(signal.noise_sd, signal.edge_sd)),
            "HU.mm3",
            "integrated above background",
        ),
        "mass_mg": integrated_mass(signal, calibration),
    }
    clipped = float((values >= scene.clip_hu).mean())
    if clipped > 0:
        out["max_hu"] = NotMeasured(f"HU are cut off at {scene.clip_hu:.0f} in this scan")
    if clipped > LARGEST_CLIPPED_SHARE:
        reason = NotMeasured(
            f"{clipped:.0%} of its voxels are cut off at {scene.clip_hu:.0f} HU: more than that is not known"
        )
        out["mean_hu"] = out["total_hu_mm3"] = out["mass_mg"] = reason
    return out


def _around(value: float, sd: float, unit: str, method: str) -> Measured:
    """Return a measured value with a symmetric 90 % interval."""
    return Measured(value, unit, value - Z90 * sd, value + Z90 * sd, method)


def _edge_sd(window: Window) -> float:
    """Return by how many HU the mean of a focus is uncertain since it is not known where it ends."""
    part = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in tight_box(window.region))
    hu = window.hu[part]
    above = hu - window.background[part]
    near = ndimage.binary_dilation(window.region[part], np.ones((3, 3, 3)))
    inner, outer = (hu[near & (above > (0.5 + step) * window.height)] for step in (LEVEL_STEP, -LEVEL_STEP))
    if not len(inner) or not len(outer):
        return LEVEL_SD * window.height
    return LEVEL_SD / (2 * LEVEL_STEP) * abs(float(inner.mean() - outer.mean()))


def _fixed_threshold(scene: Scene, window: Window, is_contrast: bool) -> Measurement:
    """Volume over 130 HU, only for comparison with other programs."""
    if is_contrast:
        return NotMeasured("130 HU means nothing with contrast medium in the scan")
    grown = ndimage.binary_dilation(window.region, iterations=2)
    volume = float(((window.hu >= FIXED_HU) & grown & (window.clean | grown)).sum()) * scene.voxel_mm3
    return Measured(volume, "mm3", volume, volume, "voxels over 130 HU, no interval known")


def _agatston(scene: Scene, window: Window, is_contrast: bool, asked: bool) -> Measurement:
    """Agatston-like score: area over 130 HU times a weight by the peak of each slice, scaled to 3 mm slices."""
    if not asked:
        return NotMeasured("not asked for")
    if is_contrast:
        return NotMeasured("refused: contrast medium is in the scan")
    grown = ndimage.binary_dilation(window.region, iterations=2)
    score = 0.0
    pixel = scene.voxel_mm3 / scene.spacing_mm[scene.slice_axis]
    for hu, part in zip(
        np.moveaxis(window.hu, scene.slice_axis, 0), np.moveaxis(grown, scene.slice_axis, 0), strict=True
    ):
        bright = part & (hu >= FIXED_HU)
        area = float(bright.sum()) * pixel
        if area >= 1.0:
            score += area * min(int(hu[bright].max() // 100), 4)
    score *= scene.spacing_mm[scene.slice_axis] / 3.0
    return Measured(score, "1", score, score, "Agatston-like, not validated in the liver, no interval known")


def measure_surroundings(scene: Scene, window: Window) -> Surroundings | NotMeasured:
    """Return what lies 3-8 mm around a focus: parenchyma, fluid or another soft tissue.

    The shell's mean and texture are compared with the rest of this liver, at the noise of that volume in this scan.
    """
    distance = window.distance_mm
    shell = (distance > 3.0) & (distance <= 8.0) & window.clean & window.liver
    mm3 = float(shell.sum()) * scene.voxel_mm3
    if mm3 < 150.0:
        return NotMeasured("less than 150 mm3 of liver lie 3-8 mm around it")
    values = window.hu[shell]
    mean = float(values.mean())
    noise = scene.curve.at(min(mm3, 1500.0)) + 2.0
    difference = mean - scene.parenchyma_hu
    smooth = ndimage.gaussian_filter(window.hu, [1.2 / d if d < 2.5 else 0.0 for d in scene.spacing_mm])[shell]
    dark = float(((smooth > -20) & (smooth < min(25.0, scene.parenchyma_hu - 18))).mean())
    like = np.exp(-0.5 * (difference / (2.0 * noise + 3.0)) ** 2) + 0.02
    fluid = dark**1.5 * 2.0 + 0.01
    other = (1 - np.exp(-0.5 * (difference / (2.5 * noise + 5.0)) ** 2)) * (1 - dark) + 0.03
    total = like + fluid + other
    return Surroundings(
        float(like / total), float(fluid / total), float(other / total),
        Measured(mean, "HU", mean - Z90 * noise, mean + Z90 * noise, "shell of 3-8 mm inside the liver"),
        (f"shell {difference:+.0f} HU against the rest of this liver, {dark:.0%} of it as dark as fluid",),
    )  # fmt: skip
