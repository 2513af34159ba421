"""Spine, ribs with their cartilage, and sternum."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.phantom.fields import Grid, smooth_min
from hepacalc.phantom.organs import Layer, layer
from hepacalc.phantom.shapes import Rod
from hepacalc.phantom.tissue import Tissue
from hepacalc.phantom.vessels import rods_field, to_patient

if TYPE_CHECKING:
    from hepacalc.phantom.anatomy import Build

__all__ = ["build"]

Array = NDArray[np.float32]
LEVEL_MM = 29.0


def build(
    grid: Grid,
    body: Array,
    cavity: Array,
    build: Build,
    rng: np.random.Generator,
    tissue: dict[str, Tissue],
    *,
    calcified_cartilage: bool,
) -> tuple[list[Layer], list[tuple[tuple[float, float, float], float]]]:
    """Return the layers of the bones, and LPS centroid and extent of calcium in costal cartilage."""
    layers = _spine(grid, tissue)
    bone: list[Rod] = []
    cartilage: list[Rod] = []
    for level in range(9):
        top = 100.0 - level * LEVEL_MM
        for sign in (-1, 1):
            points, last_bone = _rib(top, sign, float(rng.uniform(-4, 4)), level)
            line = [to_patient(grid, p) for p in points]
            pieces = list(itertools.pairwise(line))
            # taller than thick: two rods side by side
            for shift in (np.array([2.6, 0.0, 0.0]), np.array([-2.6, 0.0, 0.0])):
                bone += [(a + shift, b + shift, 3.7, 3.7) for a, b in pieces[:last_bone]]
                cartilage += [(a + shift, b + shift, 3.9, 3.9) for a, b in pieces[last_bone:]]
    ribs = rods_field(bone, 2.0)
    layers.append(Layer("rib cortex", ribs, tissue["cortical bone"]))
    inner = rods_field([(a, b, ra - 1.6, rb - 1.6) for a, b, ra, rb in bone], 2.4)
    layers.append(Layer("rib marrow", inner, tissue["marrow"]))
    layers.append(Layer("costal cartilage", rods_field(cartilage, 2.4), tissue["cartilage"]))
    spots: list[tuple[tuple[float, float, float], float]] = []
    if calcified_cartilage:
        right = [r for r in cartilage if -150 < r[0][0] < -20 and r[0][2] < -20]
        chosen = rng.choice(len(right), size=min(6, len(right)), replace=False)
        rods = []
        for k in chosen:
            a, b, _, _ = right[int(k)]
            start, size = a + (b - a) * 0.3, float(rng.uniform(1.2, 2.4))
            end = start + (b - a) * float(rng.uniform(0.2, 0.5))
            shift = np.array([rng.normal(0, 1), rng.normal(0, 1), rng.normal(0, 1)])
            rods.append((start + shift, end + shift, size, size))
            z, y, x = (start + end) / 2 + shift
            spots.append(((float(x), float(y), float(z)), float(np.linalg.norm(end - start)) + 2 * size))
        layers.append(Layer("costal calcium", rods_field(rods, 1.2), tissue["cartilage calcium"]))
    sternum = np.maximum(np.abs(grid.x) - 17, np.abs(grid.y + np.interp(grid.z, [-60, 60], [108, 100])) - 5)
    sternum = np.maximum(sternum, -grid.z - 20).astype(np.float32)
    layers += layer("sternum", grid, sternum, tissue["sternum"])
    return layers, spots


def _rib(top: float, sign: int, jitter: float, level: int) -> tuple[list[tuple[float, float, float]], int]:
    """Return points of one rib in the standard body from the spine forward, and how many pieces are bone."""
    reach = 1.0 if level < 6 else (0.8, 0.66, 0.5)[level - 6]
    t = np.linspace(0, reach, int(34 * reach))
    angle = np.deg2rad(62 - 148 * t)  # from beside the spine (back) to beside the sternum (front)
    c, s = np.abs(np.cos(angle)) / 143, np.abs(np.sin(angle)) / 98
    radius = (c**2.35 + s**2.35) ** (-1 / 2.35) + 6.5
    fall = top + jitter - 115 * np.clip(t, 0, 0.72) ** 1.1 + np.clip(t - 0.76, 0, 1) * (190 + 12 * level)
    x, y = sign * radius * np.cos(angle), radius * np.sin(angle)
    points = [(float(fz), float(py), float(px)) for fz, py, px in zip(fall, y, x, strict=True)]
    points.insert(0, (top + 3, 76.0, 27.0 * sign))
    return points, int(np.searchsorted(t, 0.7)) + 1


def _spine(grid: Grid, tissue: dict[str, Tissue]) -> list[Layer]:
    local = np.mod(grid.z + 8, LEVEL_MM) - LEVEL_MM / 2
    waist = 1.5 * np.cos(2 * np.pi * local / LEVEL_MM)
    body = np.hypot(grid.x / 1.22, grid.y - 64) - np.float32(17.5) + waist
    disc = np.abs(local) - LEVEL_MM / 2 + 3.5
    vertebra = np.maximum(body, disc)
    arch = np.maximum(np.hypot(grid.x, grid.y - 88) - 15.5, np.abs(local + 3) - 11)
    spinous = np.maximum(np.maximum(np.abs(grid.x) - 3.5, np.abs(grid.y - 103) - 12), np.abs(local + 7) - 8)
    across = np.maximum(np.hypot(grid.y - 84, local) - 4.5, np.abs(grid.x) - 31)
    bone = smooth_min(smooth_min(vertebra, arch, 4), smooth_min(spinous, across, 4), 4).astype(np.float32)
    canal = (np.hypot(grid.x / 1.15, grid.y - 89) - 9.5).astype(np.float32)
    out = layer("disc", grid, body.astype(np.float32), tissue["disc"])
    out += layer("vertebra cortex", grid, bone, tissue["cortical bone"])
    out += layer("vertebra marrow", grid, bone + 2.2, tissue["marrow"])
    return out + layer("canal", grid, canal, tissue["canal"])
