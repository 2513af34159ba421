"""Pictures without a liver: test objects, heads, legs, noise. They teach the network to say no."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cases import LABELS
from training.disease import Scene
from training.geometry import CROP, CROP_MM

__all__ = ["draw_negative"]

_OTHER, _BONE, _FAT = (LABELS.index(n) for n in ("other", "bone", "fat"))


def draw_negative(rng: np.random.Generator) -> Scene:
    """Return a sample in which nothing is liver: a cylinder, a head, two legs, smooth noise or plain noise."""
    hu = np.full(CROP, -1000.0, np.float32)
    labels = np.zeros(CROP, np.uint8)
    x, y, z = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2).reshape([-1 if a == k else 1 for k in range(3)]) * CROP_MM
        for a, n in enumerate(CROP)
    )

    def tube(cx: float, cy: float, rx: float, ry: float) -> NDArray[np.bool_]:
        tilt = float(rng.normal(0, 0.05)) * z
        return np.asarray((np.hypot((x - cx - tilt) / rx, (y - cy) / ry) < 1) & (z < 1e9))

    kind = rng.choice(5)
    if kind == 0:
        inside = tube(0, 0, rng.uniform(60, 160), rng.uniform(60, 140))
        hu[inside], labels[inside] = rng.uniform(-20, 160), _OTHER
        for _ in range(int(rng.integers(0, 6))):
            rod = inside & tube(rng.normal(0, 50), rng.normal(0, 50), *rng.uniform(6, 45, 2))
            hu[rod] = rng.uniform(-150, 300)
    elif kind == 1:
        wide, deep = rng.uniform(65, 85), rng.uniform(80, 105)
        base = -CROP[2] * CROP_MM / 2
        dome = np.sqrt(np.clip(1 - np.clip((z - rng.uniform(-40, 40)) / 95, 0, 1) ** 2, 0.0, 1))
        radius = np.hypot(x / wide, y / deep) / np.maximum(dome, 1e-3) + 0 * (z - base)
        for edge, value, label in ((1.0, 30.0, _OTHER), (0.93, 700.0, _BONE), (0.84, rng.uniform(20, 45), _OTHER)):
            hu[radius < edge], labels[radius < edge] = value, label
        if rng.random() < 0.5:
            vent = np.hypot(x / 22, y / 35) + np.abs(z) / 40 < 1
            hu[vent & (radius < 0.84)] = 5
    elif kind == 2:
        for side in (-1, 1):
            cx, r = side * rng.uniform(75, 100), rng.uniform(45, 75)
            for share, value, label in (
                (1.0, -100.0, _FAT),
                (0.85, 55.0, _OTHER),
                (0.25, 500.0, _BONE),
                (0.15, 0.0, _BONE),
            ):
                part = tube(cx, 0, r * share, r * share)
                hu[part], labels[part] = value, label
    else:
        smooth = (
            ndimage.gaussian_filter(rng.normal(0, 1, CROP), float(rng.uniform(1, 6)))
            if kind == 3
            else rng.normal(0, 1, CROP)
        )
        smooth /= max(float(smooth.std()), 1e-6)
        hu[:] = rng.uniform(-100, 150) + rng.uniform(5, 300) * smooth
        labels[:] = _OTHER
    hu += rng.normal(0, rng.uniform(0, 20), CROP).astype(np.float32)
    return Scene(hu, labels, np.zeros(CROP, np.float32))
