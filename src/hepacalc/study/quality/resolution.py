"""The smallest calcified focus that a scan can show, from noise, pixel and slice thickness."""

from __future__ import annotations

import numpy as np

from hepacalc.errors import MeasurementError

__all__ = ["LARGEST_MM", "smallest_trusted_mm"]

LARGEST_MM = 40.0
_FWHM_PER_SD = 2.3548
_LEAST_THRESHOLD_HU = 40.0
_NOISE_FACTOR = 5.0
_MEAN_OVER_PEAK = 0.7


def smallest_trusted_mm(
    noise_hu: float,
    slice_thickness_mm: float,
    pixel_mm: float,
    contrast_hu: float = 250.0,
    threshold_hu: float | None = None,
    in_plane_fwhm_mm: float | None = None,
    noise_grain_mm: float | None = None,
) -> float:
    """Return the diameter in mm of the smallest solid ball that still stands out.

    The ball is blurred by a Gaussian point spread in the plane and by the slice profile (a Gaussian whose full
    width at half maximum is the slice thickness); its centre lies a quarter of a slice and of a pixel off the
    nearest voxel. It is trusted when its peak is 40 HU above the liver and either the peak is five times the
    noise of a voxel or its mean (0.7 of the peak) five times the noise averaged over its cross-section.

    Args:
        noise_hu: standard deviation of one voxel of liver.
        slice_thickness_mm: full width of the slice profile.
        pixel_mm: in-plane voxel size.
        contrast_hu: HU of the focus above the liver.
        threshold_hu: peak that counts as seen, in place of both rules.
        in_plane_fwhm_mm: in-plane resolution; None takes 1.6 pixels, at least 1.2 mm.
        noise_grain_mm: side of the square over which noise is alike (pixel times the sum of its correlations along a
            line); None takes 2.3 pixels, as soft kernels leave it.

    Raises:
        MeasurementError: an input is not a positive number, or no focus up to 40 mm would stand out.
    """
    given = {"noise_hu": noise_hu, "slice_thickness_mm": slice_thickness_mm, "pixel_mm": pixel_mm}
    for name, value in {**given, "contrast_hu": contrast_hu}.items():
        if not np.isfinite(value) or value < 0 or (value == 0 and name != "noise_hu"):
            raise MeasurementError(
                f"the smallest focus was asked for with {name} = {value}.", hint="Give a positive number."
            )
    fwhm = max(1.2, 1.6 * pixel_mm) if in_plane_fwhm_mm is None else in_plane_fwhm_mm
    grain = 2.3 * pixel_mm if noise_grain_mm is None else noise_grain_mm
    diameters = np.geomspace(0.2, LARGEST_MM, 160)
    plane_sd, slice_sd = fwhm / _FWHM_PER_SD, slice_thickness_mm / _FWHM_PER_SD
    off = np.exp(-0.5 * (pixel_mm / 4 / plane_sd) ** 2)
    shares = [_peak_share(d / 2, plane_sd, slice_sd, slice_thickness_mm / 4, off) for d in diameters]
    peak = contrast_hu * np.array(shares)
    averaged = noise_hu * np.minimum(1.0, grain / (np.sqrt(np.pi) / 2 * np.hypot(diameters, fwhm)))
    needed = np.minimum(_NOISE_FACTOR * noise_hu, _NOISE_FACTOR * averaged / _MEAN_OVER_PEAK)
    threshold = np.maximum(needed, _LEAST_THRESHOLD_HU) if threshold_hu is None else np.full(len(peak), threshold_hu)
    margin = peak - threshold
    seen = np.flatnonzero(margin >= 0)
    if not len(seen):
        raise MeasurementError(
            f"no focus of {contrast_hu:.0f} HU stands out in this noise ({noise_hu:.0f} HU).",
            hint="Use a softer kernel, thicker slices or a higher dose.",
        )
    first = int(seen[0])
    if first == 0:
        return float(diameters[0])
    rise = -margin[first - 1] / (margin[first] - margin[first - 1])
    return float(diameters[first - 1] + rise * (diameters[first] - diameters[first - 1]))


def _peak_share(radius: float, plane_sd: float, slice_sd: float, offset: float, off: float) -> float:
    """Return the blurred peak of a unit ball: discs of its cross-section, weighted along the slice axis."""
    z = np.linspace(-radius, radius, 41)
    disc = 1 - np.exp(-0.5 * (radius**2 - z**2) / plane_sd**2)
    weight = np.exp(-0.5 * ((z - offset) / slice_sd) ** 2) / (slice_sd * np.sqrt(2 * np.pi))
    large = min(1.0, (radius / (2 * plane_sd)) ** 2)
    return float(np.trapezoid(disc * weight, z)) * (off + (1 - off) * large)
