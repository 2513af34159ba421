"""What the checks share: the scan in standard orientation, a thin sample of it, and the noise of the liver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.records import LiverMask, Phase, QualityFinding, Volume

__all__ = ["CannotJudge", "LiverNoise", "View", "note", "ok", "severe", "warning"]

PADDING_HU = -1024


class CannotJudge(Exception):
    """A check could not be run; the message says why and becomes a finding, it never leaves the battery."""


def ok(code: str, text: str) -> QualityFinding:
    """Return a finding of level ``ok``."""
    return QualityFinding(code, "ok", text)


def note(code: str, text: str, fix: str) -> QualityFinding:
    """Return a finding of level ``note``."""
    return QualityFinding(code, "note", text, fix)


def warning(code: str, text: str, fix: str) -> QualityFinding:
    """Return a finding of level ``warning``."""
    return QualityFinding(code, "warning", text, fix)


def severe(code: str, text: str, fix: str) -> QualityFinding:
    """Return a finding of level ``severe``: the measurement should not be trusted."""
    return QualityFinding(code, "severe", text, fix)


@dataclass(frozen=True, slots=True)
class LiverNoise:
    """Noise of one voxel of parenchyma.

    Args:
        mean_hu: median of the parenchyma.
        sd_hu: robust standard deviation after removal of slow changes.
        correlation: of neighbours 1, 2 and 3 pixels apart in the plane.
        pixel_mm: in-plane voxel size.
    """

    mean_hu: float
    sd_hu: float
    correlation: tuple[float, float, float]
    pixel_mm: float

    @property
    def grain_mm(self) -> float:
        """Pixel times the sum of the correlations along a line: the side over which noise is alike."""
        return self.pixel_mm * max(1 + 2 * sum(self.correlation), 1.0)

    @property
    def half_correlation_mm(self) -> float:
        """Distance at which the correlation falls to one half, in mm."""
        before = 1.0
        for lag, value in enumerate(self.correlation):
            if value < 0.5:
                return (lag + (before - 0.5) / (before - value)) * self.pixel_mm
            before = value
        return 3 * self.pixel_mm


@dataclass(frozen=True, eq=False)
class View:
    """A scan as the checks look at it.

    Args:
        volume: the scan.
        liver_mask: the liver, or None.
        phase: the contrast phase, or None.
    """

    volume: Volume
    liver_mask: LiverMask | None
    phase: Phase | None

    @cached_property
    def hu(self) -> NDArray[Any]:
        """HU ``(z, y, x)`` with axes to head, back and left (a view)."""
        return self.volume.geometry.canonical().apply(self.volume.hu)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing of :attr:`hu`."""
        return self.volume.geometry.canonical().geometry.spacing_mm

    @cached_property
    def liver(self) -> NDArray[np.bool_]:
        """Liver ``(z, y, x)`` in the orientation of :attr:`hu`."""
        if self.liver_mask is None:
            raise CannotJudge("there is no liver mask")
        if self.liver_mask.mask.shape != self.volume.hu.shape:
            raise CannotJudge("the liver mask lies on another grid than the scan")
        if not self.liver_mask.mask.any():
            raise CannotJudge("the liver mask is empty")
        return self.volume.geometry.canonical().apply(self.liver_mask.mask)

    @cached_property
    def steps(self) -> tuple[int, int, int]:
        """Voxels from one sampled voxel to the next: about 4 mm, at most 60 slices."""
        dz, dy, dx = self.spacing_mm
        return max(len(self.hu) // 60, int(4 / dz), 1), max(int(4 / dy), 1), max(int(4 / dx), 1)

    @cached_property
    def top_hu(self) -> float:
        """Highest value of the scan."""
        return float(self.volume.hu.max())

    @cached_property
    def sample(self) -> NDArray[np.float32]:
        """Every n-th voxel of :attr:`hu`."""
        z, y, x = self.steps
        return np.asarray(self.hu[::z, ::y, ::x], np.float32)

    @cached_property
    def body(self) -> NDArray[np.bool_]:
        """The patient in :attr:`sample`, lungs filled, table left out."""
        dense = ndimage.binary_opening(self.sample > -300, np.ones((1, 3, 3)))
        labels, count = ndimage.label(dense)
        if not count:
            raise CannotJudge("no body was found in the scan")
        largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
        return np.array([ndimage.binary_fill_holes(level) for level in largest], dtype=bool)

    @cached_property
    def noise(self) -> LiverNoise:
        """Noise of the inner liver in a dozen slices."""
        levels = np.flatnonzero(self.liver.any(axis=(1, 2)))
        chosen = np.unique(np.linspace(levels[0], levels[-1], 14).astype(int)[1:-1])
        _, dy, dx = self.spacing_mm
        columns = np.flatnonzero(self.liver[chosen].any(axis=(0, 1)))
        rows = np.flatnonzero(self.liver[chosen].any(axis=(0, 2)))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        residues, centres, products, counts = [], [], np.zeros(4), np.zeros(4)
        for z in chosen:
            inner = ndimage.distance_transform_edt(self.liver[z][box], sampling=(dy, dx)) > 6
            if inner.sum() < 200:
                continue
            hu = np.asarray(self.hu[z][box], np.float32)
            residue, inner, centre = _detrended(hu, inner, (dy, dx))
            residues.append(residue[inner])
            centres.append(centre)
            for lag in range(4):
                end = inner.shape[1] - lag
                pair = inner[:, :end] & inner[:, lag:]
                products[lag] += float((residue[:, :end] * residue[:, lag:])[pair].sum())
                counts[lag] += float(pair.sum())
        if not residues or counts.min() < 100 or products[0] <= 0:
            raise CannotJudge("too little liver lies off its edge")
        values = np.concatenate(residues)
        sd = 1.4826 * float(np.median(np.abs(values - np.median(values))))
        ratio = products / counts / (products[0] / counts[0])
        return LiverNoise(float(np.median(centres)), sd, (float(ratio[1]), float(ratio[2]), float(ratio[3])), dx)


def _detrended(
    hu: NDArray[np.float32], inner: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Return residues ``(y, x)`` without slow changes, where they count, and the median of the slice."""
    centre = float(np.median(hu[inner]))
    spread = max(1.4826 * float(np.median(np.abs(hu[inner] - centre))), 0.5)
    inner = inner & (np.abs(hu - centre) < 4 * spread)
    weight = inner.astype(np.float32)
    width = tuple(5 / s for s in spacing_mm)
    slow = ndimage.gaussian_filter((hu - centre) * weight, width) / np.maximum(
        ndimage.gaussian_filter(weight, width), 1e-3
    )
    residue: NDArray[np.float32] = np.where(inner, hu - centre - slow, 0).astype(np.float32)
    return residue, inner, centre
