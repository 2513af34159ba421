"""How each pattern of calcification looks: one builder a pattern, all from :data:`hepacalc.records.PATTERNS`.

Local frame: ``(z, y, x)`` in mm about the origin; the placing turns it. Sizes are outer diameters (or lengths).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.phantom.shapes import Rod, Shape
from hepacalc.phantom.truth import Host
from hepacalc.records import PATTERNS

__all__ = ["SIZES_MM", "build_shape", "usual_host"]

Array = NDArray[np.float32]
Rng = np.random.Generator

SIZES_MM: dict[str, tuple[float, float]] = {
    "punctate": (1, 3), "nodular solid": (3, 20), "rim complete": (8, 60), "rim incomplete": (10, 60),
    "curvilinear": (8, 40), "septal": (30, 80), "central stellate": (8, 30), "amorphous": (8, 30),
    "branching duct": (15, 50), "linear vascular": (20, 50), "capsular plaque": (10, 40), "comma": (5, 15),
}  # fmt: skip
"""Diameters that are usual for a pattern, smallest and largest."""


def usual_host(pattern: str, rng: Rng) -> Host:
    """Return what usually surrounds or fills a pattern."""
    if pattern in ("rim complete", "rim incomplete"):
        return "fluid"
    if pattern == "central stellate":
        return "soft-tissue mass"
    if pattern == "amorphous":
        return "soft-tissue mass" if rng.random() < 0.5 else "parenchyma"
    return "parenchyma"


def build_shape(pattern: str, diameter_mm: float, rng: Rng) -> Shape:
    """Return a shape of a pattern.

    Args:
        pattern: one of :data:`hepacalc.records.PATTERNS`.
        diameter_mm: largest outer diameter, or length.
        rng: draws what varies within the pattern.

    Raises:
        UsageError: unknown pattern or a size that is not positive.
    """
    if pattern not in _BUILDERS or not 0.3 <= diameter_mm <= 150:
        raise UsageError(
            f"wanted a pattern of calcification 0.3 to 150 mm wide, found {pattern!r} of {diameter_mm} mm.",
            hint="Patterns are: " + ", ".join(PATTERNS) + ".",
        )
    return _BUILDERS[pattern](float(diameter_mm), rng)


def _ellipsoid(radii: tuple[float, float, float]) -> Callable[[Array, Array, Array], Array]:
    rz, ry, rx = (np.float32(r) for r in radii)

    def distance(z: Array, y: Array, x: Array) -> Array:
        unit = np.sqrt((z / rz) ** 2 + (y / ry) ** 2 + (x / rx) ** 2)
        slope = np.sqrt((z / rz**2) ** 2 + (y / ry**2) ** 2 + (x / rx**2) ** 2)
        out: Array = np.where(slope > 1e-6, unit * (unit - 1) / np.maximum(slope, 1e-6), -min(rz, ry, rx))
        return out

    return distance


def _rods_shape(rods: list[Rod]) -> Shape:
    reach = max(float(np.linalg.norm(p)) + r for a, b, ra, rb in rods for p, r in ((a, ra), (b, rb)))
    return Shape(rods, reach, 2 * min(min(ra, rb) for _, _, ra, rb in rods))


def _direction(rng: Rng) -> NDArray[np.float64]:
    v = rng.normal(size=3)
    return np.asarray(v / np.linalg.norm(v))


def _punctate(diameter: float, rng: Rng) -> Shape:
    r = diameter / 2
    radii = (r, r * rng.uniform(0.8, 1), r * rng.uniform(0.75, 1))
    return Shape(_ellipsoid(radii), r, 2 * min(radii), 4 / 3 * np.pi * float(np.prod(radii)))


def _nodular(diameter: float, rng: Rng) -> Shape:
    r = diameter / 2
    radii = (r, r * rng.uniform(0.75, 1), r * rng.uniform(0.65, 1))
    if diameter < 6 or rng.random() < 0.6:
        return Shape(_ellipsoid(radii), r, 2 * min(radii), 4 / 3 * np.pi * float(np.prod(radii)))
    lobes = [(_direction(rng) * 0.4 * np.array(radii), rng.uniform(0.45, 0.6) * min(radii)) for _ in range(5)]
    rods = [(np.zeros(3), c, 0.6 * min(radii), s) for c, s in lobes]
    return _rods_shape(rods)


def _shell(diameter: float, rng: Rng, present: float) -> Shape:
    wall = float(rng.uniform(1.0, 2.0)) if diameter > 6 else diameter / 5
    r = diameter / 2
    radii = (r, r * rng.uniform(0.85, 1), r * rng.uniform(0.8, 1)) if diameter > 12 else (r, r, r)
    outer = _ellipsoid(radii)
    inner_radii = (radii[0] - wall, radii[1] - wall, radii[2] - wall)
    inner = _ellipsoid(inner_radii)
    exact = 4 / 3 * np.pi * float(np.prod(radii) - np.prod(inner_radii))

    def whole(z: Array, y: Array, x: Array) -> Array:
        out: Array = np.maximum(outer(z, y, x), -inner(z, y, x))
        return out

    if present >= 1:
        return Shape(whole, r, wall, exact, inner, max(inner_radii))
    axis = _direction(rng).astype(np.float32)
    # a cut at height h of a sphere of radius r leaves (1 + h / r) / 2 of its surface
    height = np.float32(2 * present - 1)

    def part(z: Array, y: Array, x: Array) -> Array:
        along = z / np.float32(radii[0]) * axis[0] + y / np.float32(radii[1]) * axis[1]
        along = along + x / np.float32(radii[2]) * axis[2]
        out: Array = np.maximum(whole(z, y, x), (along - height) * np.float32(min(radii)))
        return out

    return Shape(part, r, wall, None, inner, max(inner_radii))


def _rim_complete(diameter: float, rng: Rng) -> Shape:
    return _shell(diameter, rng, 1.0)


def _rim_incomplete(diameter: float, rng: Rng) -> Shape:
    return _shell(diameter, rng, float(rng.uniform(0.45, 0.8)))


def _band(length: float, width: float, thick: float, radius: float) -> Shape:
    """A curved plate: part of a spherical shell, ``length`` along x, ``width`` along z, bulging to -y."""
    half_l, half_w, half_t = (np.float32(v / 2) for v in (length, width, thick))
    rad = np.float32(radius)

    def distance(z: Array, y: Array, x: Array) -> Array:
        yc = y - rad
        gap = np.abs(np.sqrt(z**2 + yc**2 + x**2) - rad) - half_t
        along = np.abs(np.arctan2(x, -yc)) * rad - half_l
        across = np.abs(np.arctan2(z, -yc)) * rad - half_w
        side = np.maximum(along, across)
        out: Array = np.minimum(np.maximum(gap, side), 0) + np.hypot(np.maximum(gap, 0), np.maximum(side, 0))
        return out

    return Shape(distance, float(np.hypot(length, width)) / 2 + thick, thick)


def _curvilinear(diameter: float, rng: Rng) -> Shape:
    turn = rng.uniform(1.2, 2.6)
    radius = diameter / (2 * np.sin(turn / 2)) if turn < np.pi else diameter / 2
    thick = min(rng.uniform(1.0, 1.8), diameter / 5)
    return _band(turn * radius, min(rng.uniform(2, 5), diameter / 3), thick, radius)


def _plaque(diameter: float, rng: Rng) -> Shape:
    thick = min(rng.uniform(1.2, 2.5), diameter / 5)
    return _band(diameter, diameter * rng.uniform(0.4, 0.8), thick, max(80.0, diameter))


def _septal(diameter: float, rng: Rng) -> Shape:
    r = diameter / 2
    wall = float(np.clip(rng.uniform(1.0, 1.8), 0.4, diameter / 12))
    seeds: list[NDArray[np.float64]] = []
    cell = max(diameter / 4.5, 8 * wall)
    for _ in range(4000):
        p = rng.uniform(-1.05 * r, 1.05 * r, 3)
        if np.linalg.norm(p) < 1.05 * r and all(np.linalg.norm(p - s) > cell * 0.75 for s in seeds):
            seeds.append(p)
    points = np.array(seeds, np.float32)  # (n, 3)
    axis = _direction(rng).astype(np.float32)
    keep = np.float32(r * rng.uniform(-0.2, 0.5))

    def distance(z: Array, y: Array, x: Array) -> Array:
        here = np.array([z.mean(), y.mean(), x.mean()])
        half = float(np.sqrt(((z - here[0]) ** 2 + (y - here[1]) ** 2 + (x - here[2]) ** 2).max()))
        gaps = np.linalg.norm(points - here, axis=1)
        near = points[gaps <= np.partition(gaps, 1)[1] + 2 * half]
        square = np.stack([(z - pz) ** 2 + (y - py) ** 2 + (x - px) ** 2 for pz, py, px in near])
        order = np.argpartition(square, 1, axis=0)[:2]
        first, second = np.take_along_axis(square, order, axis=0)
        best, other = order
        # distance to the plane half-way between the two nearest seeds
        apart = np.linalg.norm(near[best] - near[other], axis=-1)
        plate = (second - first) / (2 * np.maximum(apart, np.float32(1e-3))) - np.float32(wall / 2)
        radius = np.sqrt(z**2 + y**2 + x**2)
        plate = np.maximum(plate, radius - np.float32(r))
        capsule = np.abs(radius - np.float32(r - wall / 2)) - np.float32(wall / 2)
        capsule = np.maximum(capsule, z * axis[0] + y * axis[1] + x * axis[2] - keep)
        out: Array = np.minimum(plate, capsule)
        return out

    return Shape(distance, r, wall)


def _stellate(diameter: float, rng: Rng) -> Shape:
    r = diameter / 2
    thick = float(np.clip(diameter / 12, 0.4, 1.2))
    rods: list[Rod] = []
    for k in range(int(rng.integers(5, 9))):
        way = _direction(rng)
        if k < 2:
            way = np.array([0.2 * way[0], np.cos(2.5 * k), np.sin(2.5 * k)])
            way /= np.linalg.norm(way)
        rods.append((np.zeros(3), way * (r - 0.4 * thick) * rng.uniform(0.75, 1), thick, 0.4 * thick))
    core = _rods_shape(rods)
    mass = max(1.6 * r, r + 8)
    return Shape(core.distance, r + thick, core.thinnest_mm, None, _ellipsoid((mass, mass, 0.9 * mass)), mass)


def _amorphous(diameter: float, rng: Rng) -> Shape:
    r = diameter / 2
    count = int(np.clip(diameter**1.3 * 1.5, 8, 140))
    rods: list[Rod] = []
    for _ in range(count):
        size = rng.uniform(0.35, 0.8)
        centre = _direction(rng) * (r - size) * rng.random() ** 0.45 * np.array([0.8, 1, 1])
        rods.append((centre, centre + 0.3 * _direction(rng), size, size))
    mass = r + 4
    return Shape(rods, r + 0.6, 0.9, None, _ellipsoid((0.8 * mass, mass, mass)), mass)


def _branching(diameter: float, rng: Rng) -> Shape:
    half = diameter / 2
    rods: list[Rod] = []

    def grow(start: NDArray[np.float64], way: NDArray[np.float64], length: float, r: float, depth: int) -> None:
        at = start
        for _ in range(2):
            way = way + 0.18 * rng.normal(size=3)
            way /= np.linalg.norm(way)
            end = at + way * length / 2
            rods.append((at, end, r, r * 0.92))
            at = end
        if depth:
            side = np.cross(way, _direction(rng))
            side /= np.linalg.norm(side)
            for sign in (-1, 1):
                turned = way + sign * side * rng.uniform(0.45, 0.8)
                grow(at, turned / np.linalg.norm(turned), length * rng.uniform(0.6, 0.8), r * 0.8, depth - 1)

    thick = float(np.clip(diameter / 18, 0.5, 1.5))
    grow(np.array([0.0, 0.0, -half]), np.array([0.0, 0.0, 1.0]), 0.42 * diameter, thick, 2)
    return _fit(rods, diameter)


def _fit(rods: list[Rod], diameter: float) -> Shape:
    """Centre rods on the origin and scale their length to ``diameter``; thickness stays."""
    ends = np.array([p for a, b, _, _ in rods for p in (a, b)])
    centre = (ends.max(axis=0) + ends.min(axis=0)) / 2
    span = max(float(np.linalg.norm(p - q)) for p in ends for q in ends)
    thick = max(max(ra, rb) for _, _, ra, rb in rods)
    scale = (diameter - 2 * thick) / span
    return _rods_shape([((a - centre) * scale, (b - centre) * scale, ra, rb) for a, b, ra, rb in rods])


def _linear(diameter: float, rng: Rng) -> Shape:
    half = diameter / 2
    bend = rng.uniform(0.05, 0.2) * half
    r = float(np.clip(rng.uniform(0.5, 0.9), 0.3, diameter / 12))
    t = np.linspace(-1, 1, 7)
    line = np.stack([bend * (1 - t**2), 0.1 * bend * np.sin(2 * t), half * t], axis=1)
    if rng.random() < 0.5 or diameter < 15:
        return _fit([(a, b, r, r) for a, b in itertools.pairwise(line)], diameter)
    apart = np.array([0.0, rng.uniform(2.0, 3.0), 0.0])
    rods = [(a + s * apart, b + s * apart, r, r) for s in (-1, 1) for a, b in itertools.pairwise(line)]
    return _fit(rods, diameter)


def _comma(diameter: float, rng: Rng) -> Shape:
    head, tail = diameter * rng.uniform(0.22, 0.3), diameter * 0.06
    turn = np.linspace(0, rng.uniform(1.6, 2.3), 8)
    arc = 0.55 * diameter
    line = np.stack([np.zeros(8), arc * np.cos(turn), arc * np.sin(turn)], axis=1)
    radii = head + (max(tail, 0.3) - head) * np.linspace(0, 1, 8) ** 0.6
    rods = [(line[k], line[k + 1], float(radii[k]), float(radii[k + 1])) for k in range(7)]
    return _fit(rods, diameter)


_BUILDERS: dict[str, Callable[[float, Rng], Shape]] = {
    "punctate": _punctate,
    "nodular solid": _nodular,
    "rim complete": _rim_complete,
    "rim incomplete": _rim_incomplete,
    "curvilinear": _curvilinear,
    "septal": _septal,
    "central stellate": _stellate,
    "amorphous": _amorphous,
    "branching duct": _branching,
    "linear vascular": _linear,
    "capsular plaque": _plaque,
    "comma": _comma,
}
