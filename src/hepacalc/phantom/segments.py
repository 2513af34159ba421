"""Couinaud segments of a digital liver, true by construction: the planes first, then veins and fossa along them.

A plan is drawn before anything of the liver is: where the three hepatic veins meet the cava, how the planes that run
through them are turned and tilted, at which level the portal vein parts. The veins, the gallbladder and the fissure
are then laid along these planes, each a little off, and the liver itself is turned and stretched on its own. So the
truth is that of the veins, and neither the shape of the liver nor its shares of volume give it away.

All of this happens in the coordinates of the standard body; the patient's own warp bends the planes.

Reference: Couinaud 1957, Le foie; Bismuth 1982, World J Surg 6:3 (planes and segments).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom.fields import Field, Grid
from hepacalc.phantom.vessels import to_patient

__all__ = ["SEGMENTS", "LiverPlan", "SegmentTruth", "draw_plan"]

FloatArray = NDArray[np.float64]
Array = NDArray[np.float32]

SEGMENTS = ("I", "II", "III", "IVa", "IVb", "V", "VI", "VII", "VIII")
CAVA_ZYX = (-28.0, 32.0, -16.0)


@dataclass(frozen=True, eq=False, slots=True)
class LiverPlan:
    """How one liver is divided, in the standard body; planes are ``(point, unit normal)``, both ``(z, y, x)``.

    Args:
        main: through the middle hepatic vein, normal to the left.
        right: through the right hepatic vein, normal to the back.
        fissure: the umbilical fissure, normal to the left.
        right_level: through the right portal branch, normal up.
        medial_level: between IVa and IVb, normal up.
        left_level: through the left hepatic vein, between II (normal) and III.
        veins: polylines of the right, middle and left hepatic vein, from the cava.
        portal: trunk, right branch, left branch to the umbilical end.
        gall_shift_mm: how far gallbladder and fossa are moved to the left.
        fissure_x_mm: where the notch of the round ligament is.
        turn: ``(3, 3)`` rotation of the liver about the confluence, ``(z, y, x)``.
        stretch: size of the left lobe to the left, and of the liver downwards, relative to the usual.
        caudate: half the size of the caudate lobe ``(z, y, x)``.
    """

    main: tuple[FloatArray, FloatArray]
    right: tuple[FloatArray, FloatArray]
    fissure: tuple[FloatArray, FloatArray]
    right_level: tuple[FloatArray, FloatArray]
    medial_level: tuple[FloatArray, FloatArray]
    left_level: tuple[FloatArray, FloatArray]
    veins: tuple[tuple[FloatArray, ...], ...]
    portal: tuple[tuple[FloatArray, ...], ...]
    gall_shift_mm: float
    fissure_x_mm: float
    turn: FloatArray
    stretch: tuple[float, float]
    caudate: tuple[float, float, float]

    def liver_grid(self, grid: Grid) -> Grid:
        """Return the coordinates in which the liver is drawn: turned about the confluence and stretched."""
        centre = np.array(CAVA_ZYX, np.float32)
        off = [c - centre[k] for k, c in enumerate((grid.z, grid.y, grid.x))]
        t = self.turn.astype(np.float32)
        z, y, x = (t[0, k] * off[0] + t[1, k] * off[1] + t[2, k] * off[2] + centre[k] for k in range(3))
        x = np.where(x > 0, x / np.float32(self.stretch[0]), x)
        z = np.where(z < -60, -60 + (z + 60) / np.float32(self.stretch[1]), z)
        return replace(grid, z=z, y=y, x=x)

    def gall_grid(self, liver_grid: Grid) -> Grid:
        """Return the coordinates in which the gallbladder is drawn."""
        return replace(liver_grid, x=liver_grid.x - np.float32(self.gall_shift_mm))


def draw_plan(rng: np.random.Generator) -> LiverPlan:
    """Return a division of the liver drawn by ``rng``; its spread is about that between people.

    Args:
        rng: the only source of randomness.
    """
    cava = np.array(CAVA_ZYX) + rng.normal(0, (4.0, 1.0, 1.0))
    drop = float(rng.normal(0, 7.0))
    main = _upright(cava, float(rng.normal(27, 8)), float(rng.normal(0, 6)), "left")
    right = _upright(cava, float(rng.normal(81, 9)), float(rng.normal(0, 8)), "back")
    split = np.array([-94.0 + drop, -30.0, float(rng.normal(3, 6))])
    fissure = _upright(split, float(rng.normal(-4, 6)), float(rng.normal(0, 5)), "left")
    fork = np.array([-104.0 + drop, 2.0, -24.0]) + rng.normal(0, 3.0, 3)
    # the right branch parts in front of the right plane, so that both sectors are reached
    forward = _down(np.array([-102.0 + drop, 4.0, -60.0]), right) - 6 * right[1]
    umbilical = _down(np.array([-92.0 + drop, -40.0, 3.0]), fissure) - 2 * fissure[1]
    bend = _down(np.array([-90.0 + drop, -20.0, 0.0]), fissure) - 5 * fissure[1]
    level = _flat(forward, rng, 4.0)
    medial = _flat((bend + umbilical) / 2, rng, 4.0)
    far_left = _down(np.array([-66.0 + drop / 2, -38.0, 20.0]), fissure) + 14 * fissure[1]
    along = far_left - cava
    # II lies above and behind III
    between = np.array([0.83, float(rng.normal(0.5, 0.15)), float(rng.normal(0, 0.12))])
    left_level = (far_left, between / np.linalg.norm(between))

    def vein(plane: tuple[FloatArray, FloatArray], middle: FloatArray, end: FloatArray) -> tuple[FloatArray, ...]:
        return (cava, _down(middle, plane) + rng.normal(0, 1.5) * plane[1], _down(end, plane))

    azimuth = np.array([0, main[1][2], -main[1][1]])
    ahead = azimuth * -np.sign(azimuth[1])
    outward = np.array([0, right[1][2], -right[1][1]])
    outward = outward * -np.sign(outward[2])
    dip = float(rng.normal(0, 5))
    middle_vein = vein(
        main, cava + 33 * ahead + np.array([-16.0 + dip, 0, 0]), cava + 74 * ahead + np.array([-56.0 + dip, 0, 0])
    )
    right_vein = vein(
        right, cava + 32 * outward + np.array([-20.0, 0, 0]), cava + 78 * outward + np.array([-62.0 + dip, 0, 0])
    )
    near = cava + 0.5 * along + np.array([7.0, 0, 0])
    left_vein = (cava, near, far_left)
    if rng.random() < 0.6:
        # a common trunk of middle and left vein
        left_vein = (cava + 0.45 * (middle_vein[1] - cava), near, far_left)
    trunk = (np.array([-136.0 + drop, 14.0, 10.0]), np.array([-122.0 + drop, 8.0, -6.0]), fork)
    fossa = np.array([-146.0, -42.0, -52.0])
    shift = float(_gap(fossa, main) / main[1][2])
    turn = _rotation(*np.deg2rad(rng.normal(0, (5.0, 6.0, 4.0))))
    return LiverPlan(
        main, right, fissure, level, medial, left_level, (right_vein, middle_vein, left_vein),
        (trunk, (fork, forward), (fork, bend, umbilical)), -shift + float(rng.normal(0, 5)),
        float(umbilical[2]), turn, (float(rng.uniform(0.7, 1.35)), float(rng.uniform(0.9, 1.12))),
        (float(rng.uniform(24, 34)), float(rng.uniform(9, 15)), float(rng.uniform(11, 19))),
    )  # fmt: skip


def _upright(point: FloatArray, azimuth: float, tilt: float, towards: str) -> tuple[FloatArray, FloatArray]:
    """Return a plane through a point; ``azimuth`` degrees from straight ahead to the right, tilted off the vertical."""
    a, t = np.deg2rad(azimuth), np.deg2rad(tilt)
    normal = np.array([np.sin(t), -np.cos(t) * np.sin(a), np.cos(t) * np.cos(a)])
    if towards == "back":
        normal = np.array([np.sin(t), np.cos(t) * np.sin(a), -np.cos(t) * np.cos(a)])
    return point, normal


def _flat(point: FloatArray, rng: np.random.Generator, sd: float) -> tuple[FloatArray, FloatArray]:
    """Return a nearly horizontal plane through a point."""
    a, b = np.deg2rad(rng.normal(0, sd, 2))
    normal = np.array([1.0, np.tan(a), np.tan(b)])
    return point, normal / np.linalg.norm(normal)


def _gap(point: FloatArray, plane: tuple[FloatArray, FloatArray]) -> float:
    return float((point - plane[0]) @ plane[1])


def _down(point: FloatArray, plane: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the nearest point on a plane."""
    return point - _gap(point, plane) * plane[1]


def _rotation(about_z: float, about_y: float, about_x: float) -> FloatArray:
    def turn(i: int, j: int, angle: float) -> FloatArray:
        out = np.eye(3)
        out[i, i] = out[j, j] = np.cos(angle)
        out[i, j], out[j, i] = -np.sin(angle), np.sin(angle)
        return out

    return turn(1, 2, about_z) @ turn(0, 2, about_y) @ turn(0, 1, about_x)


@dataclass(frozen=True, eq=False, slots=True)
class SegmentTruth:
    """Which segment each place of a digital liver belongs to.

    Args:
        plan: its division.
        coordinates: standard-body ``(z, y, x)`` at every place of the patient.
        liver: distance to the outline.
        fork_mm: LPS place where the portal vein parts.
    """

    plan: LiverPlan
    coordinates: tuple[Field, Field, Field]
    liver: Field
    fork_mm: tuple[float, float, float]

    @classmethod
    def of(cls, plan: LiverPlan, liver_grid: Grid, liver: Field) -> SegmentTruth:
        """Return the truth of a liver drawn by a plan on :meth:`LiverPlan.liver_grid`."""
        o, step = liver_grid.origin_mm, liver_grid.step_mm
        fields = (Field(liver_grid.z, o, step), Field(liver_grid.y, o, step), Field(liver_grid.x, o, step))
        z, y, x = (float(v) for v in to_patient(liver_grid, plan.portal[0][-1]))
        return cls(plan, fields, liver, (x, y, z))

    def index_at(self, points_mm: FloatArray) -> NDArray[np.int8]:
        """Return the index into :data:`SEGMENTS` at LPS points ``(n, 3)`` as ``(x, y, z)``."""
        zyx = np.asarray(points_mm, float).reshape(-1, 3)[:, ::-1]
        place = np.stack([ndimage.map_coordinates(f.values, (zyx - f.origin_mm).T / f.step_mm, order=1, mode="nearest")
                          for f in self.coordinates], axis=1)  # fmt: skip
        plan = self.plan

        def beyond(plane: tuple[FloatArray, FloatArray]) -> NDArray[np.bool_]:
            return np.asarray((place - plane[0]) @ plane[1] > 0)

        # behind the confluence there is only the right lobe, and the caudate
        ahead = place[:, 1] < plan.veins[0][0][1] + 8
        is_left, is_lateral, is_back = beyond(plan.main) & ahead, beyond(plan.fissure) & ahead, beyond(plan.right)
        right = np.where(beyond(plan.right_level), np.where(is_back, 7, 8), np.where(is_back, 6, 5))
        medial = np.where(beyond(plan.medial_level), 3, 4)
        lateral = np.where(beyond(plan.left_level), 1, 2)
        out = np.where(is_lateral, lateral, np.where(is_left, medial, right))
        # the caudate: behind the line from the left portal branch to the root of the veins, about the cava's left
        z, y, x = place.T
        fork, cava = plan.portal[1][0], plan.veins[0][0]
        front = np.interp(z, [fork[0] - 4, cava[0] - 6], [fork[1] + 1, cava[1] - 12])
        is_caudate = (y > front) & (y < cava[1] + 8) & (x > cava[2] - 17) & (z < cava[0] - 4) & (z > fork[0] - 24)
        return np.asarray(np.where(is_caudate, 0, out), np.int8)

    def at(self, points_mm: FloatArray) -> list[str]:
        """Return the segments of LPS points ``(n, 3)``."""
        return [SEGMENTS[k] for k in self.index_at(points_mm)]

    def margin_mm(self, points_mm: FloatArray, *, most: float = 20.0) -> FloatArray:
        """Return how far the nearest place of another segment inside the liver is, up to ``most``, in steps of 1 mm."""
        points = np.asarray(points_mm, float).reshape(-1, 3)
        own = self.index_at(points)
        index = np.arange(120) + 0.5
        tilt, turn = np.arccos(1 - index / 60), np.pi * (1 + 5**0.5) * index
        ways = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)], axis=1)
        out = np.full(len(points), most)
        for radius in np.arange(most - 1, 0.5, -1.0):
            around = (points[:, None] + radius * ways[None]).reshape(-1, 3)
            other = self.index_at(around).reshape(len(points), -1) != own[:, None]
            inside = (self.liver.at(around[:, ::-1]) < 0).reshape(len(points), -1)
            out[(other & inside).any(axis=1)] = radius
        return out
