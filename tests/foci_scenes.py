"""Small liver scenes with a known bright thing in them, for the tests of the foci room."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.records import Acquisition, LiverMask, Volume

LIVER_HU = 55.0


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
    """Axial grid: z up, y back, x left."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, spacing[2]], [0, spacing[1], 0], [spacing[0], 0, 0]])
    return Geometry(shape, affine)


def block_liver(
    *, spacing=(2.0, 0.8, 0.8), noise=8.0, seed=0, extent_mm=(80.0, 90.0, 100.0), liver_hu=LIVER_HU, background=-80.0
) -> tuple[np.ndarray, np.ndarray, Geometry]:
    """An ellipsoid of liver in fat with slightly correlated noise: HU, mask, grid."""
    shape = tuple(round((e + 30) / d) for e, d in zip(extent_mm, spacing, strict=True))
    mesh = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * d for n, d in zip(shape, spacing, strict=True)], indexing="ij")
    inside = sum((m / (e / 2)) ** 2 for m, e in zip(mesh, extent_mm, strict=True)) < 1
    rng = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(rng.normal(size=shape), (0, 0.6, 0.6))
    hu = np.where(inside, liver_hu, background) + grain / grain.std() * noise
    return hu.astype(np.float32), inside, grid((shape[0], shape[1], shape[2]), spacing)


def add_ball(
    hu: np.ndarray,
    geometry: Geometry,
    centre_mm,
    diameter_mm: float,
    delta_hu: float,
    *,
    sigma_mm=0.75,
    thickness_mm=None,
) -> float:
    """Add a ball blurred as a scanner does, in place; return its HU mm3."""
    dz, dy, dx = geometry.spacing_mm
    thickness = thickness_mm or dz
    step = 0.25 if diameter_mm < 8 else 0.5
    reach = diameter_mm / 2 + 4 * sigma_mm + thickness
    n = int(np.ceil(reach / step))
    axis = np.arange(-n, n + 1) * step
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    ball = np.clip((diameter_mm / 2 - radius) / step + 0.5, 0, 1)
    volume = np.pi / 6 * diameter_mm**3
    ball *= volume / (ball.sum() * step**3)
    ball = ndimage.gaussian_filter(ball, (0, sigma_mm / step, sigma_mm / step))
    ball = ndimage.uniform_filter1d(ball, max(round(thickness / step), 1), axis=0, mode="constant")
    z, y, x = np.indices(hu.shape)
    where = [z * dz - centre_mm[0], y * dy - centre_mm[1], x * dx - centre_mm[2]]
    hu += delta_hu * ndimage.map_coordinates(ball, [w / step + n for w in where], order=1, mode="constant")
    return delta_hu * volume


def as_volume(
    hu: np.ndarray, geometry: Geometry, *, kvp: float | None = 120.0, thickness: float | None = None
) -> Volume:
    """Wrap HU as a CT volume."""
    return Volume(
        np.round(hu).astype(np.int16), geometry, Acquisition(modality="CT", kvp=kvp, slice_thickness_mm=thickness)
    )


def as_liver(mask: np.ndarray, geometry: Geometry) -> LiverMask:
    """Wrap a mask as a liver."""
    return LiverMask(mask, geometry, "truth", "1", 1.0)
