"""Signal that hangs on a focus but fades below what its models follow: thin arms, grains, faint walls."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from hepacalc.foci.scene import F32, Mask, Scene

__all__ = ["faint_signal"]

CALM_MM = 0.8
CLEAR = 2.0
"""How far above its noise a smoothed voxel must be to count."""


def faint_signal(scene: Scene, rest: F32, zone: Mask, floor_hu: F32 | float = 0.0) -> tuple[float, float]:
    """Return the signal of what stands out of the noise, and its standard deviation, in HU mm^3.

    HU are smoothed in the plane to about the resolution; voxels count that are more than :data:`CLEAR` times the noise
    of that above 0. What noise alone brings over this limit is taken off: ``noise * normal density`` a voxel.

    Args:
        scene: the liver.
        rest: HU above background and above all models ``(z, y, x)``.
        zone: where to look.
        floor_hu: what does not exceed this either does not count, one number or ``(z, y, x)``.
    """
    widths = [0.0 if a == scene.slice_axis and d > 1.5 else CALM_MM for a, d in enumerate(scene.spacing_mm)]
    calm = ndimage.gaussian_filter(rest, [w / d for w, d in zip(widths, scene.spacing_mm, strict=True)])
    smoothed_mm3 = float(
        np.prod([max(2 * np.sqrt(np.pi) * w, d) for w, d in zip(widths, scene.spacing_mm, strict=True)])
    )
    noise = scene.curve.at(smoothed_mm3)
    limit = np.broadcast_to(np.maximum(CLEAR, np.asarray(floor_hu) / noise), zone.shape)[zone]
    values = calm[zone]
    by_noise = noise * float((np.exp(-0.5 * limit**2) / np.sqrt(2 * np.pi)).sum())
    total = (float(values[values > limit * noise].sum()) - by_noise) * scene.voxel_mm3
    density = np.exp(-0.5 * CLEAR**2) / np.sqrt(2 * np.pi)
    zone_mm3 = len(values) * scene.voxel_mm3
    sd = noise * float(np.sqrt(zone_mm3 * smoothed_mm3 * (ndtr(-CLEAR) + CLEAR * density)))
    return (total, sd) if total > 0 else (0.0, 0.0)
