"""In-plane resolution of a scan, learnt from the sharpest edges that are in it.

Reference: Samei and others 1998, A method for measuring the presampled MTF using an edge test device (the edge
idea); here the edges are the skin and gas of the patient, so the figure is an estimate with an upper bias.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UnsupportedGeometry
from hepacalc.foci.skin_edges import estimate_psf
from hepacalc.records import Volume

__all__ = ["TYPICAL_SIGMA_MM", "in_plane_sigma_mm"]

TYPICAL_SIGMA_MM = 0.75
FEWEST_SKIN_EDGES = 40
SKIN_SLICES = 8
SHARPEST_PIXELS = 0.36
BLUNTEST_MM = 1.5


def in_plane_sigma_mm(volume: Volume) -> float:
    """Return the standard deviation in mm of a Gaussian that describes the in-plane point spread.

    Two ways to ask the scan are averaged, since each errs in its own direction: the steepest gas edges (noise makes
    them look sharper) and the air side of the skin (clothes make it look blunter).

    A step of height A blurred by a Gaussian has the steepest slope A / (sigma sqrt(2 pi)). Edges between gas and
    soft tissue give many such slopes; the sharp ones among them are taken (oblique and soft edges look wider).

    Args:
        volume: the scan.

    Returns:
        Standard deviation in mm, pixel size included; a typical 0.75 mm where no edge is in view.
    """
    planes = np.moveaxis(volume.hu, volume.slice_axis, 0)
    in_plane = [s for axis, s in enumerate(volume.geometry.spacing_mm) if axis != volume.slice_axis]
    found: list[NDArray[np.float64]] = []
    for index in np.linspace(0, len(planes) - 1, min(len(planes), 12)).astype(int):
        plane = planes[index].astype(np.float32)
        for axis, pixel in enumerate(in_plane):
            found.append(_edges(plane if axis == 1 else plane.T, pixel))
    sigma = np.concatenate(found) if found else np.zeros(0)
    if len(sigma) < 200:
        return max(TYPICAL_SIGMA_MM, SHARPEST_PIXELS * max(in_plane))
    gas = float(np.clip(np.quantile(sigma, 0.25), SHARPEST_PIXELS * max(in_plane), max(BLUNTEST_MM, max(in_plane))))
    return float(np.sqrt(gas * _skin(volume, gas)))


def _skin(volume: Volume, otherwise: float) -> float:
    """Return what the skin says, where it can be asked (square pixels, enough edges)."""
    try:
        found = estimate_psf(volume, slices=SKIN_SLICES)
    except UnsupportedGeometry:
        return otherwise
    return found.sigma_mm if found.edges >= FEWEST_SKIN_EDGES else otherwise


def _edges(plane: NDArray[np.float32], pixel_mm: float) -> NDArray[np.float64]:
    """Return the blur in mm of every gas-to-tissue edge along the rows of one plane."""
    half = 5
    slope = np.diff(plane, axis=1)
    size = np.abs(slope)
    inner = size[:, half:-half]
    peak = inner > 120
    for shift in (-2, -1, 1, 2):
        peak &= inner >= size[:, half + shift : size.shape[1] - half + shift]
    rows, cols = np.nonzero(peak)
    cols = cols + half
    left = plane[rows[:, None], cols[:, None] - np.array([4, 3, 2])].mean(1) if len(rows) else np.zeros(0)
    right = plane[rows[:, None], cols[:, None] + np.array([3, 4, 5])].mean(1) if len(rows) else np.zeros(0)
    low, high = np.minimum(left, right), np.maximum(left, right)
    usable = (low < -850) & (high > -180) & (high < 150)
    step = (high - low)[usable]
    steepest = size[rows, cols][usable]
    # mean slope over one pixel of a Gaussian edge: A erf(p / (2 sqrt 2 sigma)) / p
    share = np.clip(steepest / step, 0.05, 0.995)
    from scipy.special import erfinv

    return np.asarray(pixel_mm / (2 * np.sqrt(2) * erfinv(share)), np.float64)
