"""Portal and hepatic veins as trees in the liver: branches that reach every region, thick by Murray's law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.phantom.fields import Field, Grid
from hepacalc.phantom.shapes import Rod, rod_distance

if TYPE_CHECKING:
    from hepacalc.phantom.segments import SegmentTruth

__all__ = ["LiverTrees", "grow_trees", "rods_field", "to_patient"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class LiverTrees:
    """The veins of one liver.

    Args:
        portal: distance to the portal vein and its branches.
        hepatic: distance to the hepatic veins.
        portal_rods: branches of the portal vein in LPS mm, ``(z, y, x)``.
        hepatic_rods: likewise.
    """

    portal: Field
    hepatic: Field
    portal_rods: tuple[Rod, ...]
    hepatic_rods: tuple[Rod, ...]


def grow_trees(liver: Field, grid: Grid, rng: np.random.Generator, segments: SegmentTruth | None = None) -> LiverTrees:
    """Return veins that fill the liver.

    Args:
        liver: distance to its outline.
        grid: standard-body coordinates, for where the trunks enter.
        rng: draws the branches.
        segments: when given the veins follow its planes: hepatic veins run along them, portal branches between them.
    """
    targets = _targets(liver, rng)
    if segments is not None:
        return _along_planes(liver, grid, rng, segments, targets)
    portal_trunk = [to_patient(grid, p) for p in ((-136, 14, 10), (-122, 8, -6), (-108, 2, -20), (-104, 0, -34))]
    left_trunk = [to_patient(grid, p) for p in ((-108, 2, -20), (-94, -22, -2), (-88, -38, 2))]
    right_trunk = [to_patient(grid, p) for p in ((-104, 0, -34), (-102, 4, -58))]
    portal = _tree([portal_trunk, left_trunk, right_trunk], targets[::2], leaf_mm=0.95, rng=rng)
    cava = to_patient(grid, (-28, 32, -16))
    veins = [
        [cava, to_patient(grid, end), to_patient(grid, far)]
        for end, far in (
            ((-44, 28, -50), (-80, 22, -95)),
            ((-48, 0, -34), (-85, -34, -50)),
            ((-46, -4, -4), (-62, -36, 22)),
        )
    ]
    hepatic = _tree(veins, targets[1::2], leaf_mm=1.0, rng=rng)
    return LiverTrees(rods_field(portal, 1.6), rods_field(hepatic, 1.6), tuple(portal), tuple(hepatic))


def _along_planes(
    liver: Field, grid: Grid, rng: np.random.Generator, segments: SegmentTruth, targets: FloatArray
) -> LiverTrees:
    """Return veins laid along the planes of a plan, twigs of the portal vein kept to their own segment."""
    plan = segments.plan
    trunk, right, left = ([to_patient(grid, p) for p in line] for line in plan.portal)
    cells = np.argwhere(liver.values < -6)
    places = np.array(liver.origin_mm) + liver.step_mm * cells
    zone = segments.index_at(places[:, ::-1])
    trunks = [trunk, right, left]
    # each segment's branch leaves where its pedicle does and ends in its middle
    for number, start in ((1, left[1]), (2, left[2]), (3, left[2]), (4, left[2]), (5, right[1]), (6, right[1]),
                          (7, right[1]), (8, right[1])):  # fmt: skip
        own = places[zone == number]
        if len(own) > 20:
            middle = np.median(own, axis=0)
            trunks.append([start, start + 0.65 * (middle - start)])
    twigs = targets[::2]
    portal = _tree(trunks, twigs, leaf_mm=0.95, rng=rng, zone_of=lambda points: segments.index_at(points[:, ::-1]))
    veins = [[to_patient(grid, p) for p in line] for line in plan.veins]
    order = [veins[0], veins[1], veins[2]]
    hepatic = _tree(order, targets[1::2], leaf_mm=1.0, rng=rng)
    return LiverTrees(rods_field(portal, 1.6), rods_field(hepatic, 1.6), tuple(portal), tuple(hepatic))


def to_patient(grid: Grid, standard: Sequence[float] | FloatArray) -> FloatArray:
    """Return LPS ``(z, y, x)`` in the patient of a point of the standard body, to the grid's accuracy."""
    index = np.array([n // 2 for n in grid.z.shape])
    size = np.array(grid.z.shape)
    fields = (grid.z, grid.y, grid.x)
    fraction = index.astype(float)
    for _ in range(12):
        cell = np.clip(np.round(fraction).astype(int), 1, size - 2)
        step = np.zeros(3)
        for axis in range(3):
            lower, upper = cell.copy(), cell.copy()
            lower[axis] -= 1
            upper[axis] += 1
            here = float(fields[axis][tuple(cell)])
            slope = float(fields[axis][tuple(upper)] - fields[axis][tuple(lower)]) / 2
            step[axis] = (standard[axis] - here) / slope
        moved = np.clip(cell + step, 0, size - 1)
        done = bool(np.abs(moved - fraction).max() < 0.02)
        fraction = moved
        if done:
            break
    return np.asarray(np.array(grid.origin_mm) + grid.step_mm * fraction)


def rods_field(rods: list[Rod], step_mm: float, *, reach_mm: float = 6.0) -> Field:
    """Return the distance to a union of rods given in LPS mm, on a grid of its own."""
    ends = np.array([p for a, b, _, _ in rods for p in (a, b)])
    low, high = ends.min(axis=0) - 16, ends.max(axis=0) + 16
    lines = [np.arange(lo, hi + step_mm, step_mm).astype(np.float32) for lo, hi in zip(low, high, strict=True)]
    values = np.full([line.size for line in lines], np.float32(reach_mm))
    for a, b, ra, rb in rods:
        wide = max(ra, rb) + reach_mm
        spans = [
            slice(max(0, int((lo - wide - line[0]) / step_mm)), int((hi + wide - line[0]) / step_mm) + 2)
            for lo, hi, line in zip(np.minimum(a, b), np.maximum(a, b), lines, strict=True)
        ]
        box = (spans[0], spans[1], spans[2])
        z, y, x = np.meshgrid(*(line[s] for line, s in zip(lines, box, strict=True)), indexing="ij", sparse=True)
        values[box] = np.minimum(values[box], rod_distance(z, y, x, (a, b, ra, rb)))
    return Field(values, (float(lines[0][0]), float(lines[1][0]), float(lines[2][0])), step_mm)


def _targets(liver: Field, rng: np.random.Generator, count: int = 300) -> FloatArray:
    inside = np.argwhere(liver.values < -5)
    picked = inside[rng.choice(len(inside), size=min(len(inside), 6 * count), replace=False)]
    points = np.array(liver.origin_mm) + liver.step_mm * (picked + rng.uniform(-0.5, 0.5, picked.shape))
    kept = np.empty((0, 3))
    for p in points:
        if not len(kept) or float(((kept - p) ** 2).sum(axis=1).min()) > 81:
            kept = np.vstack([kept, p])
        if len(kept) == count:
            break
    return kept


def _tree(
    trunks: list[list[FloatArray]],
    targets: FloatArray,
    *,
    leaf_mm: float,
    rng: np.random.Generator,
    zone_of: Callable[[FloatArray], NDArray[np.int8]] | None = None,
) -> list[Rod]:
    """Join every target to the nearest part of the tree, main branches first; then thicken.

    With ``zone_of`` a twig that would leave its zone costs 40 mm more.
    """
    nodes: list[FloatArray] = []
    parent: list[int] = []
    path: list[float] = []

    def add(point: FloatArray, above: int) -> int:
        nodes.append(point)
        parent.append(above)
        path.append(0.0 if above < 0 else path[above] + float(np.linalg.norm(point - nodes[above])))
        return len(nodes) - 1

    def line(points: list[FloatArray], start: int) -> None:
        at = start
        for p in points:
            gap = p - nodes[at]
            pieces = max(1, int(np.linalg.norm(gap) / 7))
            begin = nodes[at]
            for k in range(1, pieces + 1):
                at = add(begin + gap * k / pieces + (rng.normal(0, 0.5, 3) if k < pieces else 0), at)

    for trunk in trunks:
        near = int(np.argmin([np.linalg.norm(trunk[0] - n) for n in nodes])) if nodes else add(trunk[0], -1)
        line(trunk[1:], near)
    root = nodes[0]
    for target in targets[np.argsort(np.linalg.norm(targets - root, axis=1))]:
        cost = np.linalg.norm(np.array(nodes) - target, axis=1) + 0.12 * np.array(path)
        cost[0] += 30
        if zone_of is not None:
            cost += 40.0 * (zone_of(np.array(nodes)) != zone_of(target[None])[0])
        line([target], int(np.argmin(cost)))
    flow = np.zeros(len(nodes))
    has_child = np.zeros(len(nodes), bool)
    has_child[[p for p in parent if p >= 0]] = True
    flow[~has_child] = 1.0
    for k in range(len(nodes) - 1, 0, -1):
        flow[parent[k]] += flow[k]
    radius = np.minimum(leaf_mm * flow**0.41, 7.0)
    return [(nodes[parent[k]], nodes[k], float(radius[k]), float(radius[k])) for k in range(1, len(nodes))]
