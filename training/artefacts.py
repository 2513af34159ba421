"""What the scanner does to a picture: blur, noise, streaks, bias, a scan that ends too early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.disease import Scene

__all__ = ["add_artefacts", "cut_off"]

F32 = NDArray[np.float32]


def _correlated(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...], sd: float) -> F32:
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape).astype(np.float32), sigma)
    return np.asarray(noise * np.float32(sd / max(float(noise.std()), 1e-6)), np.float32)


def _streaks(rng: np.random.Generator, hu: F32) -> F32:
    """Return dark and bright bands from side to side, as arms beside the body or metal make them."""
    x, y = (np.arange(n, dtype=np.float32) - n / 2 for n in hu.shape[:2])
    angle = float(rng.normal(0, 0.25))
    across = y[None, :] * np.cos(angle) + x[:, None] * np.sin(angle)
    bands = ndimage.gaussian_filter1d(rng.normal(0, 1, 256), float(rng.uniform(0.6, 2.5)))
    bands *= rng.uniform(5, 28) / max(float(bands.std()), 1e-6)
    middle, width = rng.uniform(-12, 12), rng.uniform(8, 30)
    plane = np.interp(across, np.arange(256) - 128, bands) * np.exp(-(((across - middle) / width) ** 2))
    along = ndimage.gaussian_filter1d(rng.normal(1, 1, hu.shape[2]), 3.0)
    return (plane[:, :, None] * along[None, None, :]).astype(np.float32)


def add_artefacts(rng: np.random.Generator, hu: F32) -> F32:
    """Return blurred, noisy, streaky HU.

    Args:
        rng: randomness.
        hu: ``(x, y, z)``; not changed.
    """
    body = hu > -400
    if rng.random() < 0.5:
        hu = ndimage.gaussian_filter(hu, float(rng.uniform(0.25, 0.9)))
    if rng.random() < 0.25:
        hu = ndimage.gaussian_filter1d(hu, float(rng.uniform(0.4, 1.5)), axis=2)
    noise_sd = rng.uniform(18, 45) if rng.random() < 0.06 else abs(rng.normal(0, 9))
    added = rng.normal(0, noise_sd, hu.shape).astype(np.float32)
    if rng.random() < 0.2:
        sigma = (float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.0, 1.0)))
        added += _correlated(rng, hu.shape, sigma, float(rng.uniform(3, 16)))
    if rng.random() < 0.3:
        small = rng.normal(0, 8, (4, 4, 4))
        added += ndimage.zoom(small, [n / 4 for n in hu.shape], order=1).astype(np.float32)
    if rng.random() < 0.12:
        added += _streaks(rng, hu)
    return np.where(body, hu + added, hu + 0.2 * added).astype(np.float32)


def cut_off(rng: np.random.Generator, scene: Scene) -> None:
    """End the scan early: below in 25 %, above in 25 %, at a side in 5 %; what is beyond is air, as in the padding."""
    nx, ny, nz = scene.hu.shape
    slices: list[tuple[slice, ...]] = []
    full = slice(None)
    if rng.random() < 0.25:
        slices.append((full, full, slice(0, int(rng.integers(1, nz // 2)))))
    if rng.random() < 0.25:
        slices.append((full, full, slice(nz - int(rng.integers(1, nz // 2)), nz)))
    if rng.random() < 0.05:
        slices.append((slice(0, int(rng.integers(4, nx // 3))), full, full))
    if rng.random() < 0.05:
        slices.append((slice(nx - int(rng.integers(4, nx // 3)), nx), full, full))
    if rng.random() < 0.03:
        slices.append((full, slice(ny - int(rng.integers(4, ny // 4)), ny), full))
    for part in slices:
        scene.hu[part], scene.labels[part], scene.liver[part] = -1000.0, 0, 0.0
