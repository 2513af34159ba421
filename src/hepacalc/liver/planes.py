"""The model of a liver's inner anatomy: confluence, planes, veins in the planes, portal fork, levels.

A vector of standard normals stands for one anatomy; zeros are the textbook, and one unit is about one standard
deviation between people, wide on purpose. Lengths scale with the cube root of the liver's volume.

References: Couinaud 1957, Le foie; Bismuth 1982, World J Surg 6:3 (planes and segments).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hepacalc.liver.coverage import Coverage
from hepacalc.liver.landmarks import Landmarks

__all__ = [
    "BLOCKS",
    "PLANES",
    "PLANE_BLOCKS",
    "POINTS",
    "POINT_BLOCKS",
    "SEGMENTS",
    "SIZE",
    "Frame",
    "Planes",
    "Points",
    "build",
    "named",
    "parts",
]

F64 = NDArray[np.float64]
Points = dict[str, F64]
Planes = dict[str, tuple[F64, F64]]

SEGMENTS = ("I", "II", "III", "IVa", "IVb", "V", "VI", "VII", "VIII")
_WAVY_MM = 4.0

BLOCKS = {
    "confluence": (0, 6), "main": (6, 13), "right": (13, 20), "fissure": (20, 31), "fork": (31, 34),
    "right branch": (34, 37), "left branch": (37, 43), "trunk": (43, 46), "levels": (46, 52),
}  # fmt: skip
"""Parts of the vector that are about the same thing."""
SIZE = 52
POINTS = (
    "confluence", "cava", "right mid", "right end", "middle mid", "middle end", "left mid", "left end", "fork",
    "right fork", "bend", "umbilical", "trunk",
)  # fmt: skip
POINT_BLOCKS = (
    "confluence", "confluence", "right", "right", "main", "main", "fissure", "fissure", "fork", "right branch",
    "left branch", "left branch", "trunk",
)  # fmt: skip
"""The block that moves each point last: those before it in the vein carry it along."""
PLANES = ("main", "right", "fissure", "right level", "medial level", "left level")
PLANE_BLOCKS = (
    ("confluence", "main"), ("confluence", "right"), ("fissure", "fissure"), ("right branch", "levels"),
    ("left branch", "levels"), ("fissure", "levels"),
)  # fmt: skip
"""The blocks that move point and normal of each plane last."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """Where the anatomy starts from: the likely place of the confluence and the size of the liver."""

    confluence: F64
    spread: F64
    scale: float

    @classmethod
    def of(cls, marks: Landmarks, coverage: Coverage) -> Frame:
        """Return where to start from: the spine and the top of the liver, or the outline alone."""
        place = marks.sample_mm
        top = float(np.quantile(place[:, 2], 0.995))
        is_cut = any(c.side == "top" for c in coverage.cuts)
        ml = coverage.seen_ml / (1 - min(coverage.missing_share, 0.5))
        scale = float(np.clip((ml / 1500) ** (1 / 3), 0.75, 1.3))
        z = top - (2 if is_cut else 34) * scale
        upper = place[place[:, 2] > top - 75]
        if marks.spine_mm is None:
            x = float(np.quantile(upper[:, 0], 0.62))
            y = float(np.quantile(upper[:, 1], 0.62))
            spread = np.array([14.0, 14.0, 13.0])
        else:
            x, y = marks.spine_mm[0] - 23, marks.spine_mm[1] - 28
            spread = np.array([12.0, 17.0, 15.0])
        spread[2] *= 1.8 if is_cut else 1.0
        return cls(np.array([x, y, z]), spread, scale)


def _upright(azimuth: F64, tilt: F64) -> F64:
    """Return unit normals ``(3, n)`` to the left of steep planes; ``azimuth`` in degrees from ahead to the right."""
    a, t = np.deg2rad(azimuth), np.deg2rad(tilt)
    return np.stack([np.cos(a) * np.cos(t), -np.sin(a) * np.cos(t), np.sin(t)])


def build(u: F64, frame: Frame) -> tuple[F64, F64]:
    """Return the anatomies that standard normals ``(n, size)`` stand for.

    Returns:
        Points ``(13, 3, n)`` in the order of :data:`POINTS`; planes ``(6, 2, 3, n)``, a point and the unit normal each,
        in the order of :data:`PLANES`.
    """
    s, n = frame.scale, len(u)
    v = np.ascontiguousarray(u.T)
    points, planes = np.empty((len(POINTS), 3, n)), np.empty((len(PLANES), 2, 3, n))
    c = points[0]
    c[:] = frame.confluence[:, None] + frame.spread[:, None] * v[:3]

    def beside(
        name: str, of: F64, usual: tuple[float, float, float], spread: tuple[float, float, float], by: F64
    ) -> F64:
        out: F64 = points[POINTS.index(name)]
        out[:] = of + s * (np.array(usual)[:, None] + np.array(spread)[:, None] * by)
        return out

    def plane(name: str, point: F64, normal: F64) -> F64:
        planes[PLANES.index(name)] = point, normal
        return normal

    def along(name: str, way: F64, normal: F64, reach: F64, drop: F64, off: F64) -> None:
        out = c + s * (reach * way + (drop * normal[2] + off) * normal)
        out[2] -= s * drop
        points[POINTS.index(name)] = out

    def ahead(azimuth: F64) -> F64:
        a = np.deg2rad(azimuth)
        return np.stack([-np.sin(a), -np.cos(a), np.zeros(n)])

    beside("cava", c, (-2, 11, -48), (7, 8, 4), v[3:6])
    middle, outer, front = (v[slice(*BLOCKS[name])] for name in ("main", "right", "fissure"))
    main_az, right_az = 27 + 11 * middle[0], 77 + 14 * outer[0]
    main = plane("main", c, _upright(main_az, 8 * middle[1]))
    right = plane("right", c, -_upright(right_az, 9 * outer[1]))
    along("middle mid", ahead(main_az), main, 33 + 5 * middle[6], 15 + 8 * middle[2], 4 * middle[4])
    along("middle end", ahead(main_az), main, 70 + 10 * middle[6], 50 + 13 * middle[3], 2.5 * middle[5])
    along("right mid", ahead(right_az), right, 31 + 5 * outer[6], 19 + 9 * outer[2], 4 * outer[4])
    along("right end", ahead(right_az), right, 72 + 11 * outer[6], 58 + 15 * outer[3], 2.5 * outer[5])
    split = c + s * np.array([8.0, -58.0, -55.0])[:, None]
    split[0] += s * 14 * front[0]
    fissure = plane("fissure", split, _upright(-2 + 9 * front[1], 7 * front[2]))
    leftward = ahead(-28 + 15 * front[3])
    left_mid, left_end = points[POINTS.index("left mid")], points[POINTS.index("left end")]
    left_mid[:] = c + s * 35 * leftward
    left_mid += s * np.stack([5 * front[6], 3 * front[6], -11 - 7 * front[4]])
    left_end[:] = c + s * (68 + 9 * front[10]) * leftward
    left_end[2] -= s * (36 + 12 * front[5])
    tilts = v[slice(*BLOCKS["levels"])]
    fork = beside("fork", c, (-8, -31, -66), (11, 10, 13), v[slice(*BLOCKS["fork"])])
    right_fork = beside("right fork", fork, (-34, 6, 1), (9, 12, 8), v[slice(*BLOCKS["right branch"])])
    left = v[slice(*BLOCKS["left branch"])]
    bend = beside("bend", fork, (20, -22, 13), (8, 8, 8), left[:3])
    umbilical = beside("umbilical", bend, (3, -20, -2), (6, 6, 8), left[3:])
    umbilical -= 0.8 * ((umbilical - split) * fissure).sum(axis=0) * fissure
    beside("trunk", fork, (16, 6, -16), (7, 7, 8), v[slice(*BLOCKS["trunk"])])
    up = np.ones((3, 3, n))
    up[0, :2], up[1, :2] = np.tan(np.deg2rad(7.0 * tilts[:2])), np.tan(np.deg2rad(6.0 * tilts[2:4]))
    # II lies above and behind III
    up[2] = 0.15 * tilts[4], 0.5 + 0.2 * tilts[5], np.full(n, 0.83)
    up /= np.sqrt((up**2).sum(axis=1, keepdims=True))
    plane("right level", right_fork, up[0])
    plane("medial level", (bend + umbilical) / 2, up[1])
    plane("left level", left_end, up[2])
    return points, planes


def named(points: F64, planes: F64) -> tuple[Points, Planes]:
    """Return what :func:`build` returned by name: points ``(n, 3)``, planes as ``(n, 3)`` point and normal."""
    return (
        {name: place.T.copy() for name, place in zip(POINTS, points, strict=True)},
        {name: (point.T.copy(), normal.T.copy()) for name, (point, normal) in zip(PLANES, planes, strict=True)},
    )


def parts(place: F64, points: dict[str, F64], planes: dict[str, tuple[F64, F64]]) -> F64:
    """Return probabilities ``(anatomies, places, 9)``, planes being wavy by some millimetres."""

    def beyond(name: str) -> F64:
        point, normal = planes[name]
        gap = normal @ place.T - (point * normal).sum(axis=1)[:, None]
        return np.asarray(ndtr(gap / _WAVY_MM))

    left, lateral, posterior = beyond("main"), beyond("fissure"), beyond("right")
    upper_right, upper_medial, upper_left = beyond("right level"), beyond("medial level"), beyond("left level")
    z = place[None, :, 2]
    c, fork = points["confluence"], points["fork"]
    rise = np.clip((z - fork[:, 2, None]) / np.maximum(c[:, 2] - fork[:, 2], 10)[:, None], 0, 1)
    front = fork[:, 1, None] + rise * (c[:, 1] - 12 - fork[:, 1])[:, None]
    caudate = ndtr((place[None, :, 1] - front) / 5) * ndtr((place[None, :, 0] - c[:, 0, None] + 17) / 6)
    caudate *= ndtr((c[:, 2, None] - 4 - z) / 6) * ndtr((z - fork[:, 2, None] + 22) / 7)
    caudate *= ndtr((c[:, 1, None] + 12 - place[None, :, 1]) / 6)
    rest = 1 - caudate
    # behind the confluence there is only the right lobe, and the caudate
    ahead = ndtr((c[:, 1, None] + 6 - place[None, :, 1]) / 6)
    left, lateral = left * ahead, lateral * ahead
    side, medial = rest * lateral, rest * (1 - lateral) * left
    right = rest * (1 - lateral) * (1 - left)
    return np.stack(
        [
            caudate, side * upper_left, side * (1 - upper_left), medial * upper_medial, medial * (1 - upper_medial),
            right * (1 - posterior) * (1 - upper_right), right * posterior * (1 - upper_right),
            right * posterior * upper_right, right * (1 - posterior) * upper_right,
        ],
        axis=2,
    )  # fmt: skip
