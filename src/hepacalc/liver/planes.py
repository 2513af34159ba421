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

__all__ = ["BLOCKS", "SEGMENTS", "SIZE", "Frame", "build", "parts"]

F64 = NDArray[np.float64]
Points = dict[str, F64]
Planes = dict[str, tuple[F64, F64]]

SEGMENTS = ("I", "II", "III", "IVa", "IVb", "V", "VI", "VII", "VIII")
_WAVY_MM = 4.0

BLOCKS = {
    "confluence": (0, 6), "main": (6, 12), "right": (12, 18), "fissure": (18, 28), "fork": (28, 31),
    "branches": (31, 43), "levels": (43, 49),
}  # fmt: skip
"""Parts of the vector that are about the same thing."""
SIZE = 49


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
            spread = np.array([8.0, 14.0, 12.0])
        spread[2] *= 1.8 if is_cut else 1.0
        return cls(np.array([x, y, z]), spread, scale)


def _upright(azimuth: F64, tilt: F64) -> F64:
    """Return unit normals ``(n, 3)`` to the left of steep planes; ``azimuth`` in degrees from ahead to the right."""
    a, t = np.deg2rad(azimuth), np.deg2rad(tilt)
    return np.stack([np.cos(a) * np.cos(t), -np.sin(a) * np.cos(t), np.sin(t)], axis=1)


def _onto(points: F64, plane: tuple[F64, F64], share: float = 1.0) -> F64:
    gap = ((points - plane[0]) * plane[1]).sum(axis=1, keepdims=True)
    return np.asarray(points - share * gap * plane[1])


def build(u: F64, frame: Frame) -> tuple[dict[str, F64], dict[str, tuple[F64, F64]]]:
    """Return points and planes of the anatomies that the standard normals ``(n, size)`` stand for."""
    s = frame.scale
    n = len(u)
    zero = np.zeros(n)
    c = frame.confluence + frame.spread * u[:, :3]
    cava = c + s * np.stack([-2 + 7 * u[:, 3], 11 + 8 * u[:, 4], -48 + 4 * u[:, 5]], axis=1)
    main_az = 27 + 11 * u[:, 6]
    main = (c, _upright(main_az, 8 * u[:, 7]))
    right_az = 76 + 12 * u[:, 12]
    right = (c, -_upright(right_az, 9 * u[:, 13]))
    at = np.deg2rad(main_az)
    ahead = np.stack([-np.sin(at), -np.cos(at), zero], axis=1)
    rt = np.deg2rad(right_az)
    outward = np.stack([-np.sin(rt), -np.cos(rt), zero], axis=1)

    def along(way: F64, plane: tuple[F64, F64], reach: float, drop: F64, off: F64) -> F64:
        out = c + s * (reach * way - drop[:, None] * np.array([0, 0, 1.0]))
        return _onto(out, plane) + s * off[:, None] * plane[1]

    middle_mid = along(ahead, main, 34, 15 + 8 * u[:, 8], 4 * u[:, 10])
    middle_end = along(ahead, main, 72, 50 + 13 * u[:, 9], 2.5 * u[:, 11])
    right_mid = along(outward, right, 33, 19 + 9 * u[:, 14], 4 * u[:, 16])
    right_end = along(outward, right, 76, 58 + 15 * u[:, 15], 2.5 * u[:, 17])
    split = c + s * np.stack([8 + 14 * u[:, 18], -58 + zero, -55 + zero], axis=1)
    fissure = (split, _upright(-2 + 9 * u[:, 19], 7 * u[:, 20]))
    lt = np.deg2rad(-30 + 13 * u[:, 21])
    leftward = np.stack([-np.sin(lt), -np.cos(lt), zero], axis=1)
    down = np.array([0, 0, 1.0])
    left_mid = (
        c
        + s * (36 * leftward - (11 + 7 * u[:, 22])[:, None] * down)
        + s * np.stack([5 * u[:, 24], 3 * u[:, 24], zero], axis=1)
    )
    left_end = c + s * (70 * leftward - (36 + 12 * u[:, 23])[:, None] * down)
    fork = c + s * np.stack([-8 + 11 * u[:, 28], -31 + 10 * u[:, 29], -66 + 13 * u[:, 30]], axis=1)
    right_fork = fork + s * np.stack([-34 + 9 * u[:, 31], 6 + 12 * u[:, 32], 1 + 8 * u[:, 33]], axis=1)
    bend = fork + s * np.stack([20 + 8 * u[:, 34], -22 + 8 * u[:, 35], 13 + 8 * u[:, 36]], axis=1)
    umbilical = bend + s * np.stack([3 + 6 * u[:, 37], -20 + 6 * u[:, 38], -2 + 8 * u[:, 39]], axis=1)
    umbilical = _onto(umbilical, fissure, 0.8)
    trunk = fork + s * np.stack([16 + 7 * u[:, 40], 6 + 7 * u[:, 41], -16 + 8 * u[:, 42]], axis=1)

    def level(point: F64, a: F64, b: F64, sd: float) -> tuple[F64, F64]:
        normal = np.stack([np.tan(np.deg2rad(sd * a)), np.tan(np.deg2rad(sd * b)), zero + 1], axis=1)
        return point, normal / np.linalg.norm(normal, axis=1, keepdims=True)

    # II lies above and behind III
    between = np.stack([0.15 * u[:, 47], 0.5 + 0.2 * u[:, 48], zero + 0.83], axis=1)
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    points = {
        "confluence": c, "cava": cava, "right mid": right_mid, "right end": right_end, "middle mid": middle_mid,
        "middle end": middle_end, "left mid": left_mid, "left end": left_end, "fork": fork, "right fork": right_fork,
        "bend": bend, "umbilical": umbilical, "trunk": trunk,
    }  # fmt: skip
    planes = {
        "main": main, "right": right, "fissure": fissure,
        "right level": level(right_fork, u[:, 43], u[:, 44], 7.0),
        "medial level": level((bend + umbilical) / 2, u[:, 45], u[:, 46], 6.0),
        "left level": (left_end, between),
    }  # fmt: skip
    return points, planes


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
