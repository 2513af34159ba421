"""How much signal a focus holds above the liver around it, and what the aperture that is summed misses.

The sum of HU above background is what calcium mass follows from. A wide region catches the blurred tails but also
noise; a narrow one loses tails. Here the region follows the focus: a model of the focus, blurred as this
scan blurs, says which voxels carry its signal and what share of it they hold. A small focus is also fitted as a
blurred ellipsoid, which noise moves less, and counts by how much surer that is.

Reference: Black and others 2023, Integrated intensity-based technique for coronary artery calcium mass measurement,
Med Phys 50:4930; the model-based correction of the tails is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from hepacalc.foci.blocks import tight_box
from hepacalc.foci.bodies import BlurredBody, fit_bodies
from hepacalc.foci.diameters import ModelExtents, model_extents
from hepacalc.foci.faint import faint_signal
from hepacalc.foci.scene import F32, Mask, Scene
from hepacalc.foci.solid import Solid, fit_solid
from hepacalc.foci.window import REACH, Window, crop_window

__all__ = ["Signal", "measure_signal"]

OTHER_BLUR = 1.35
CUTS = (0.04, 0.07, 0.1)
CORRELATED_VOXELS = 6.0
NOISE_FACTOR = 1.25
EDGE_SHARE = 0.014
SPARSE_SHARE = 0.1
LEFT_OVER_SHARE = 0.3
"""How far what fades below the models is known, as a share of it."""
MISFIT_SHARE = 0.8
"""What part of the misfit of an ellipsoid is taken for an error of its total."""
SOLID_SHARE = 0.03
"""Least error of an ellipsoid's total, as a share of it."""
BEYOND = 2.0
"""How many times what stands out beyond an ellipsoid is taken for an error of its total: as much again does not."""


@dataclass(frozen=True, eq=False, slots=True)
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
        extents: of the models before blurring.
        solid: the ellipsoid that fits it; None where it is too large for one.
    """

    total_hu_mm3: float
    noise_sd: float
    edge_sd: float
    aperture_mm3: float
    tail_share: float
    size_level: float
    true_volume_mm3: float
    extents: ModelExtents
    solid: Solid | None


def measure_signal(scene: Scene, window: Window) -> Signal:
    """Return the integrated signal of a focus with its uncertainty.

    Args:
        scene: the liver.
        window: the focus.
    """
    window = crop_window(window)
    excess = window.hu - window.background
    allowed = window.reach <= REACH
    bodies = fit_bodies(scene, window, excess)
    best = min(bodies, key=lambda m: m.left)
    energy = float((excess[allowed] ** 2).sum()) + 1e-9
    misfit = min(float(np.sqrt(max(best.left - float(allowed.sum()) * scene.noise_hu**2, 0.0) / energy)), 0.5)

    def sum_up(body: BlurredBody, cut: float) -> tuple[float, float, float, float]:
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
    psf_sd = abs(_seen_blunter(scene, window, excess, best, CUTS[chosen]) - total) / 1.645
    beside = [sum_up(best, CUTS[k])[0] for k in (chosen - 1, chosen + 1) if 0 <= k < len(CUTS)]
    drift = max(abs(t - total) for t in beside)
    tail = (1 - share) * max(misfit, 0.08) * abs(total)
    left_over, left_sd = _left_over(scene, window, excess, best, CUTS[chosen])
    average += left_over
    edge = float(
        np.sqrt(
            tail**2
            + left_sd**2
            + shape_sd**2
            + psf_sd**2
            + (max(drift - 0.5 * noise, 0.0) / 2) ** 2
            + ((EDGE_SHARE + SPARSE_SHARE * _sparseness(window.region)) * total) ** 2
        )
    )
    solid = fit_solid(scene, window, excess)
    signal = Signal(
        average, NOISE_FACTOR * noise, edge, mm3, 1 - share, best.level, best.volume_mm3,
        model_extents(bodies, weights), solid,
    )  # fmt: skip
    return signal if solid is None else _weighed(signal, solid)


def _weighed(signal: Signal, solid: Solid) -> Signal:
    """Return the mean of what an aperture and an ellipsoid hold, each weighed by how sure it is.

    Both stand on the same noise, so that their errors from it add up, and do not average out.
    """
    shape_sd = float(np.hypot(MISFIT_SHARE * solid.misfit, SOLID_SHARE)) * abs(solid.total_hu_mm3)
    shape_sd = float(np.hypot(shape_sd, BEYOND * solid.beyond_hu_mm3))
    doubt = signal.noise_sd**2 + signal.edge_sd**2
    part = doubt / (doubt + solid.sd**2 + shape_sd**2)
    return replace(
        signal,
        total_hu_mm3=part * solid.total_hu_mm3 + (1 - part) * signal.total_hu_mm3,
        noise_sd=part * solid.sd + (1 - part) * signal.noise_sd,
        edge_sd=float(np.hypot(part * shape_sd, (1 - part) * signal.edge_sd)),
    )


def _seen_blunter(scene: Scene, window: Window, excess: F32, body: BlurredBody, cut: float) -> float:
    """Return the total with a blunter point spread: how sharp the scan is, is known to about this."""
    sigma = [
        0.0 if axis == scene.slice_axis else s * np.sqrt(OTHER_BLUR**2 - 1) / d
        for axis, (s, d) in enumerate(zip(scene.sigma_mm, scene.spacing_mm, strict=True))
    ]
    blunt = ndimage.gaussian_filter(body.blurred, sigma, mode="constant", truncate=3)
    model = np.where(window.reach <= REACH, blunt, 0)
    aperture = model > cut * model.max()
    share = float(model[aperture].sum()) / float(blunt.sum() + 1e-9)
    return float(excess[aperture].sum()) * scene.voxel_mm3 / share


def _left_over(scene: Scene, window: Window, excess: F32, body: BlurredBody, cut: float) -> tuple[float, float]:
    """Return the signal around a focus that its model does not explain, and its doubt.

    Thin arms and grains fade below what the model follows. On an enhanced scan only what is brighter than blood counts.
    """
    model = np.where(window.reach <= REACH, body.blurred, 0)
    zone = (window.reach <= REACH) & (model <= cut * model.max()) & window.liver
    floor = 0.0 if window.vessel_hu is None else window.vessel_hu - window.background
    total, sd = faint_signal(scene, excess - model, zone, floor)
    return total, float(np.hypot(sd, LEFT_OVER_SHARE * total))


def _sparseness(region: Mask) -> float:
    """Return how much of the ellipsoid about a focus it leaves empty: 0 for a ball, near 1 for arms and grains."""
    spread = tight_box(region)
    ellipsoid = float(np.prod([s.stop - s.start for s in spread])) * np.pi / 6
    return float(np.clip(1.0 - float(region.sum()) / ellipsoid, 0.0, 1.0))
