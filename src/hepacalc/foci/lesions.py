"""Which foci belong together: parts of one rim, of one septal grid, along one duct, grains of one cluster.

Each rule looks at what a reader would look at: how far apart the foci are, and whether one simple figure (a sphere, a
line, a grid) holds them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hepacalc.foci._figures import Line, fit_line, fit_sphere
from hepacalc.foci.shape import Body

__all__ = ["Group", "Placed", "group_foci", "placed"]

F64 = NDArray[np.float64]

TOUCH_MM = 3.0
GRAIN_MM = 5.0
GRAIN_GAP_MM = 6.5
FEWEST_GRAINS = 4
GRID_GAP_MM = 5.0
LINE_GAP_MM = 8.0
TRACK_GAP_MM = 6.5
RIM_GAP_MM = 12.0
MOST_POINTS = 400
HOLLOW = ("rim complete", "rim incomplete")
THIN = ("rim complete", "rim incomplete", "curvilinear", "capsular plaque", "linear vascular", "comma")
LONG = ("linear vascular", "branching duct", "curvilinear")


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """A focus at its place.

    Args:
        points_mm: ``(n, 3)`` points of its body as ``(z, y, x)`` in mm, all foci in the same frame.
        pattern: dominant pattern, one of :data:`hepacalc.records.PATTERNS`.
        size_mm: largest diameter.
        peak_hu: HU of its brightest voxel.
    """

    points_mm: F64
    pattern: str
    size_mm: float
    peak_hu: float


@dataclass(frozen=True, slots=True)
class Group:
    """Foci of one lesion: their indices in rising order, and why they were joined (empty for a single focus)."""

    members: tuple[int, ...]
    reasons: tuple[str, ...] = ()


def placed(body: Body, start_mm: tuple[float, float, float], *, pattern: str, size_mm: float, peak_hu: float) -> Placed:
    """Return a body at its place.

    Args:
        body: of :func:`hepacalc.foci.shape.fine_body`.
        start_mm: ``(z, y, x)`` in mm of the centre of voxel ``(0, 0, 0)`` of the array the body was made from.
        pattern: dominant pattern.
        size_mm: largest diameter.
        peak_hu: HU of its brightest voxel.
    """
    points = np.argwhere(body.mask)
    if len(points) > 4 * MOST_POINTS:
        points = points[:: len(points) // (4 * MOST_POINTS)]
    where: F64 = points * body.step_mm + np.array(body.origin_mm) + np.array(start_mm)
    return Placed(where, pattern, size_mm, peak_hu)


def group_foci(bodies: Sequence[Placed]) -> list[Group]:
    """Return which foci belong together, in the order of their first members; every focus is in one group.

    Args:
        bodies: foci of one liver, mimics left out.
    """
    if not bodies:
        return []
    join = _Join(len(bodies))
    near = _Near(bodies)
    _grains(bodies, join)
    for a, b in near.pairs(TOUCH_MM):
        join(a, b, f"surfaces within {TOUCH_MM:g} mm of each other")
    _grids(bodies, near, join)
    _rims(bodies, near, join)
    _lines(bodies, near, join)
    return join.groups()


class _Join:
    """Union of foci with the reasons for it."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._reasons: list[tuple[int, str]] = []

    def root(self, k: int) -> int:
        while self._parent[k] != k:
            self._parent[k] = self._parent[self._parent[k]]
            k = self._parent[k]
        return k

    def __call__(self, a: int, b: int, reason: str) -> None:
        first, second = sorted((self.root(a), self.root(b)))
        if first != second:
            self._parent[second] = first
            self._reasons.append((a, reason))

    def groups(self) -> list[Group]:
        members: dict[int, list[int]] = {}
        for k in range(len(self._parent)):
            members.setdefault(self.root(k), []).append(k)
        reasons: dict[int, list[str]] = {}
        for k, reason in self._reasons:
            told = reasons.setdefault(self.root(k), [])
            if reason not in told:
                told.append(reason)
        return [Group(tuple(m), tuple(reasons.get(r, ()))) for r, m in members.items()]


class _Near:
    """Distances between foci, worked out only for those whose surrounding balls come close."""

    def __init__(self, bodies: Sequence[Placed]) -> None:
        self._points = [b.points_mm for b in bodies]
        self._centres = np.array([(p.max(axis=0) + p.min(axis=0)) / 2 for p in self._points])
        self._reach = np.array(
            [np.linalg.norm(p - c, axis=1).max() for p, c in zip(self._points, self._centres, strict=True)]
        )
        self._trees: dict[int, cKDTree] = {}
        self._known: dict[tuple[int, int], float] = {}

    def pairs(self, limit_mm: float) -> Iterator[tuple[int, int]]:
        """Yield pairs whose points come within ``limit_mm``."""
        tree = cKDTree(self._centres)
        widest = float(self._reach.max())
        for a in range(len(self._points)):
            found = tree.query_ball_point(self._centres[a], self._reach[a] + widest + limit_mm)
            for b in found:
                if b > a and self._apart(a, b) <= limit_mm and self.gap(a, b) <= limit_mm:
                    yield a, b

    def _apart(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self._centres[a] - self._centres[b]) - self._reach[a] - self._reach[b])

    def gap(self, a: int, b: int) -> float:
        """Return the least distance between the points of two foci in mm."""
        key = (min(a, b), max(a, b))
        if key not in self._known:
            few, many = sorted(key, key=lambda k: len(self._points[k]))
            if many not in self._trees:
                self._trees[many] = cKDTree(self._points[many])
            self._known[key] = float(self._trees[many].query(self._points[few])[0].min())
        return self._known[key]


def _grains(bodies: Sequence[Placed], join: _Join) -> None:
    """Join many small foci that lie close together; two or three are no cluster."""
    small = [k for k, b in enumerate(bodies) if b.size_mm <= GRAIN_MM or b.pattern in ("punctate", "amorphous")]
    if len(small) < 2:
        return
    centres = np.array([bodies[k].points_mm.mean(axis=0) for k in small])
    reach = np.array([bodies[k].size_mm / 2 if bodies[k].pattern == "amorphous" else 0.0 for k in small])
    cluster = _Join(len(small))
    for a, b in cKDTree(centres).query_pairs(GRAIN_GAP_MM + 2 * float(reach.max())):
        if np.linalg.norm(centres[a] - centres[b]) - reach[a] - reach[b] <= GRAIN_GAP_MM:
            cluster(a, b, "")
    for group in cluster.groups():
        found = [small[k] for k in group.members]
        if len(found) >= FEWEST_GRAINS or any(bodies[k].pattern == "amorphous" for k in found):
            for k in found[1:]:
                join(found[0], k, f"{len(found)} foci at most {GRAIN_GAP_MM:g} mm apart, like sand")


def _grids(bodies: Sequence[Placed], near: _Near, join: _Join) -> None:
    """Join walls next to a septal grid, and what lies within it."""
    for a, grid in enumerate(bodies):
        if grid.pattern != "septal":
            continue
        low, high = grid.points_mm.min(axis=0), grid.points_mm.max(axis=0)
        for b, other in enumerate(bodies):
            if b == a:
                continue
            centre = other.points_mm.mean(axis=0)
            within = bool(((centre > low) & (centre < high)).all())
            if near.gap(a, b) <= GRID_GAP_MM and (within or other.pattern not in ("nodular solid", "punctate")):
                join(a, b, f"walls of one septal grid, at most {GRID_GAP_MM:g} mm apart")


def _rims(bodies: Sequence[Placed], near: _Near, join: _Join) -> None:
    """Join pieces that lie on one sphere, and what a rim encloses."""
    for a, piece in enumerate(bodies):
        if piece.pattern not in THIN or piece.size_mm < 6:
            continue
        ball = fit_sphere(piece.points_mm)
        if ball is None or ball.misfit > 0.2 or not 3.5 <= ball.radius_mm <= 45 or ball.radius_mm > 1.6 * piece.size_mm:
            continue
        wall = max(1.5, 0.12 * ball.radius_mm)
        for b, other in enumerate(bodies):
            if b == a or join.root(a) == join.root(b):
                continue
            away = np.linalg.norm(other.points_mm - ball.centre_mm, axis=1)
            if piece.pattern in HOLLOW and away.mean() < ball.radius_mm:
                join(a, b, f"inside a rim {2 * ball.radius_mm:.0f} mm wide")
                continue
            on_it = float((np.abs(away - ball.radius_mm) < wall).mean())
            if on_it < 0.8 or near.gap(a, b) > min(RIM_GAP_MM, ball.radius_mm):
                continue
            both = fit_sphere(np.concatenate([_even(piece.points_mm), _even(other.points_mm)]))
            if both is not None and both.misfit < 0.15 and abs(np.log(both.radius_mm / ball.radius_mm)) < 0.25:
                join(a, b, f"pieces of one rim {2 * both.radius_mm:.0f} mm wide")


def _even(points: F64) -> F64:
    return points[:: max(len(points) // MOST_POINTS, 1)]


def _lines(bodies: Sequence[Placed], near: _Near, join: _Join) -> None:
    """Join long foci that follow one another, or run side by side like the walls of a vessel."""
    lines: dict[int, Line] = {}
    for k, focus in enumerate(bodies):
        if focus.size_mm >= 5:
            line = fit_line(focus.points_mm)
            if line.ratio < 0.55 or focus.pattern in LONG:
                lines[k] = line
    keys = list(lines)
    for n, a in enumerate(keys):
        for b in keys[n + 1 :]:
            first, second = lines[a], lines[b]
            reach = first.half_mm + second.half_mm + LINE_GAP_MM
            if join.root(a) == join.root(b) or np.linalg.norm(first.centre_mm - second.centre_mm) > reach + 5:
                continue
            if near.gap(a, b) > LINE_GAP_MM:
                continue
            if first.follows(second):
                join(a, b, f"along one line, at most {LINE_GAP_MM:g} mm apart")
            elif first.beside(second) and near.gap(a, b) <= TRACK_GAP_MM:
                join(a, b, "two parallel tracks like the walls of a vessel")
