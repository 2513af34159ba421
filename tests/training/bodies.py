"""A small body in network order for tests: two lungs, a liver at the right, a spleen, a spine, fat about it all."""

from __future__ import annotations

import numpy as np
from training.cases import LABELS
from training.prepare import Source

SHAPE = (112, 96, 72)


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n, dtype=float) for n in SHAPE], indexing="ij")
    return sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)) < 1


def small_body(name: str = "small", weight: float = 1.0) -> Source:
    labels = np.zeros(SHAPE, np.uint8)
    hu = np.full(SHAPE, -1000.0)
    parts = [
        ("fat", (56, 48, 36), (52, 44, 1e6), -100.0),
        ("other", (56, 48, 36), (46, 38, 1e6), 45.0),
        ("lung", (80, 46, 72), (18, 28, 36), -800.0),
        ("lung", (32, 46, 72), (18, 28, 36), -800.0),
        ("liver", (76, 50, 28), (24, 26, 22), 60.0),
        ("spleen", (28, 36, 28), (9, 13, 14), 50.0),
        ("bone", (56, 18, 36), (8, 8, 1e6), 250.0),
    ]
    for label, centre, radii, value in parts:
        inside = ellipsoid(centre, radii)
        labels[inside], hu[inside] = LABELS.index(label), value
    hu += np.random.default_rng(0).normal(0, 5, SHAPE)
    liver = np.where(labels == 1, 255, 0).astype(np.uint8)
    missing = (LABELS.index("heart"),)
    return Source(name, np.rint(hu).astype(np.int16), labels, liver, missing, weight)
