"""How well anatomies fit what a scan shows: veins on tubes, fissures on fat and bile, usual shares of volume."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepacalc.liver.landmarks import Landmarks
from hepacalc.liver.planes import PLANES, POINTS, Points

__all__ = ["GROUPS", "TERMS", "evidence", "fit_terms", "path"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_Places = dict[str, F64]

# stops, hepatic (0) or portal (1), sample points on each stretch
_LINES: dict[str, tuple[tuple[str, ...], int, int]] = {
    "right hepatic vein": (("confluence", "right mid", "right end"), 0, 6),
    "middle hepatic vein": (("confluence", "middle mid", "middle end"), 0, 6),
    "left hepatic vein": (("confluence", "left mid", "left end"), 0, 6),
    "right portal branch": (("fork", "right fork"), 1, 4),
    "left portal branch": (("fork", "bend", "umbilical"), 1, 4),
    "portal trunk": (("trunk", "fork"), 1, 4),
    "cava": (("confluence", "cava"), 0, 5),
}
TERMS = (*_LINES, "edge", "fissure", "sectors", "shares", "gallbladder", "cleft", "hollow")
GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("main",), ("middle hepatic vein", "gallbladder")),
    (("right",), ("right hepatic vein",)),
    (("fissure", "left branch"), ("left hepatic vein", "cleft", "left portal branch", "fissure")),
    (("right branch",), ("right portal branch",)),
    (("trunk",), ("portal trunk",)),
    (("levels",), ()),
)
"""Blocks of the anatomy and the terms that depend on no other block than these, the confluence and the fork."""
SHARED = ("sectors", "shares")
"""Terms that depend on several groups."""
# points 6 mm apart on one vessel are not independent
_TUBE_WEIGHT = 0.75
_CLEFT_WEIGHT = 3.0
_ALONG = 8
# chance that a vessel does not show where it runs: squeezed, unfilled, or too small
_HIDDEN = 0.1
# mean and spread of shares of volume between people
_SHARES = {"left": (0.34, 0.08), "lateral": (0.18, 0.07), "posterior": (0.42, 0.11), "upper right": (0.60, 0.13),
           "upper medial": (0.55, 0.20), "upper left": (0.5, 0.2)}  # fmt: skip


def path(name: str, points: Points) -> F64:
    """Return sample points ``(n, k, 3)`` along a vessel of every anatomy, LPS mm."""
    t = (np.arange(_ALONG)[:, None] + 0.5) / _ALONG
    stretches = [points[a][:, None] * (1 - t) + points[b][:, None] * t for a, b in itertools.pairwise(_LINES[name][0])]
    return np.concatenate(stretches, axis=1)


@dataclass(frozen=True, eq=False, slots=True)
class _Lines:
    """Sample points along vessels; K points on V vessels.

    Args:
        stops: ``(K, points)`` shares of the stops in each sample point.
        portal: ``(K,)`` whether of the portal vein.
        cava: ``(K,)`` whether of the vena cava.
        least_mm: ``(K, 1)`` how deep in the liver it lies at least.
        mean: ``(V, K)`` means over each vessel.
        count: ``(V, 1)`` sample points of each vessel.
    """

    stops: F32
    portal: NDArray[np.bool_]
    cava: NDArray[np.bool_]
    least_mm: F32
    mean: F32
    count: F32

    @staticmethod
    @cache
    def of(names: tuple[str, ...]) -> _Lines:
        """Return the sample points of some vessels."""
        stops, portal, least, owner = [], [], [], []
        for name in names:
            ends, which, count = _LINES[name]
            outside = np.full(count * (len(ends) - 1), -18.0 if which else 1.0)
            # near the cava the hepatic veins leave the outline of the liver, in hilum and fissure the portal branches
            if which == 0:
                outside[:2] = -14.0
            if name == "right portal branch":
                outside[2:] = 0.0
            if name in ("cava", "portal trunk"):
                outside[:] = -np.inf
            least += list(outside)
            owner += [name] * len(outside)
            portal += [which == 1] * len(outside)
            for a, b in itertools.pairwise(ends):
                for t in (np.arange(count) + 0.5) / count:
                    share = np.zeros(len(POINTS), np.float32)
                    share[[POINTS.index(a), POINTS.index(b)]] = 1 - t, t
                    stops.append(share)
        own = np.array(names)[:, None] == np.array(owner)[None]
        count_of = own.sum(axis=1, keepdims=True)
        return _Lines(
            np.array(stops, np.float32), np.array(portal), np.array(owner) == "cava",
            np.array(least, np.float32)[:, None], (own / count_of).astype(np.float32), count_of.astype(np.float32),
        )  # fmt: skip


def evidence(names: tuple[str, ...], points: F64, signs: F64, marks: Landmarks) -> F32:
    """Return the mean log likelihood ratio per sample point, vessel against plain liver, as ``(vessels, n)``.

    Args:
        names: of vessels.
        points: the anatomies, as :func:`~hepacalc.liver.planes.build` returns them.
        signs: ``(n, 2)`` 1 where hepatic, portal veins are brighter than liver, -1 where darker.
        marks: what the scan shows.
    """
    lines = _Lines.of(names)
    place = (lines.stops @ points.astype(np.float32).reshape(len(points), -1)).reshape(len(lines.stops), 3, -1)
    where, inside = marks.index(place[:, 0], place[:, 1], place[:, 2])
    dark = (signs.T < 0).astype(np.int32)[lines.portal.astype(int)]
    dark *= marks.depth_mm.size
    dark += where
    ratio = marks.tube.ravel()[dark]
    if lines.cava.any():
        ratio[lines.cava] = marks.cava_tube.ravel()[dark[lines.cava]]
    beyond = np.clip((marks.depth_mm.ravel()[where] - lines.least_mm) / 5, -2.0, 0)
    ratio = np.where(beyond < 0, np.minimum(ratio, 0) + beyond, ratio)
    ratio *= inside
    return np.asarray(lines.mean @ ratio, np.float32)


def fit_terms(points: F64, planes: F64, signs: F64, marks: Landmarks, names: tuple[str, ...] = TERMS) -> F64:
    """Return terms of the log likelihood ``(len(names), n)``; vessels stand first in ``names``."""
    vessels = tuple(name for name in names if name in _LINES)
    out = np.empty((len(names), points.shape[2]))
    if vessels:
        seen = _TUBE_WEIGHT * _Lines.of(vessels).count * evidence(vessels, points, signs, marks)
        out[: len(vessels)] = np.log((1 - _HIDDEN) * np.exp(seen) + _HIDDEN)
    for row, name in enumerate(names[len(vessels) :], len(vessels)):
        out[row] = _OTHERS[name](dict(zip(POINTS, points, strict=True)), dict(zip(PLANES, planes, strict=True)), marks)
    return out


def _gap(place: F64, plane: F64) -> F64:
    """Return signed distances ``(n,)`` of one place per anatomy ``(3, n)`` from its plane."""
    return np.asarray(((place - plane[0]) * plane[1]).sum(axis=0))


def _gaps(places: F64, plane: F64) -> F64:
    """Return signed distances ``(n, k)`` of places ``(k, 3)`` from the plane of each anatomy."""
    return np.asarray(plane[1].T @ places.T - (plane[0] * plane[1]).sum(axis=0)[:, None])


def _edge(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The confluence lies at the edge of the liver, which may close around the cava, neither deeper nor far off."""
    depth = marks.lookup(marks.depth_mm, points["confluence"].T, -20.0)
    depth = np.where(np.isnan(depth), 0.0, depth)
    return np.asarray(-0.5 * (np.clip(depth - 15, 0, None) / 6) ** 2 - 0.5 * (np.clip(-depth - 12, 0, None) / 6) ** 2)


def _fissure(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The left vein ends to the left of the umbilical fissure; the left portal branch bends up in it."""
    end, bend = _gap(points["left end"], planes["fissure"]), _gap(points["bend"], planes["fissure"])
    return np.asarray(-0.5 * ((end - 12) / 11) ** 2 - 0.5 * ((bend + 2) / 8) ** 2)


def _sectors(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The right portal branch parts between the sectors in front of and behind the right hepatic vein."""
    return np.asarray(-0.5 * ((_gap(points["right fork"], planes["right"]) + 5) / 9) ** 2)


def _shares(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The parts have usual shares of volume."""
    place = marks.sample_mm.astype(np.float32)
    count = len(place)
    point, normal = (np.stack([planes[name][k] for name in PLANES]).astype(np.float32) for k in (0, 1))
    gap = np.swapaxes(normal, 1, 2) @ place.T
    beyond = (gap > (point * normal).sum(axis=1)[:, :, None]).astype(np.float32)
    left, posterior, lateral, upper_right, upper_medial, upper_left = beyond
    lateral *= left
    right, medial = 1 - left, left - lateral

    def part(of: F32, whole: F32) -> F32:
        some = 0.03 * count
        return np.asarray(((of * whole).sum(axis=1) + 0.5 * some) / (whole.sum(axis=1) + some))

    found = {
        "left": left.mean(axis=1), "lateral": lateral.mean(axis=1), "posterior": part(posterior, right),
        "upper right": part(upper_right, right), "upper medial": part(upper_medial, medial),
        "upper left": part(upper_left, lateral),
    }  # fmt: skip
    terms = [-0.5 * ((found[name] - mean) / sd) ** 2 for name, (mean, sd) in _SHARES.items()]
    return np.asarray(np.sum(terms, axis=0), float)


def _gallbladder(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The main plane runs through the fossa of the gallbladder, give or take a centimetre."""
    if not len(marks.gall_mm):
        return np.zeros(points["fork"].shape[1])
    gap = _gap(marks.gall_mm.mean(axis=0)[:, None], planes["main"])
    return np.asarray(np.log(0.08 + np.exp(-0.5 * (gap / 9) ** 2)))


def _cleft(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """Fat of clefts in front of the confluence and below it lies in the umbilical fissure."""
    if not len(marks.fissure_mm):
        return np.zeros(points["fork"].shape[1])
    gap = _gaps(marks.fissure_mm, planes["fissure"])
    near = np.exp(-0.5 * (gap / 6) ** 2).mean(axis=1)
    return np.asarray(_CLEFT_WEIGHT * np.log(near + 0.1))


def _hollow(points: _Places, planes: _Places, marks: Landmarks) -> F64:
    """The portal fork lies in the hollow of the visceral side."""
    return np.asarray(0.7 * np.log(marks.lookup(marks.hollow, points["fork"].T, 0.0) + 0.03))


_OTHERS = {
    "edge": _edge, "fissure": _fissure, "sectors": _sectors, "shares": _shares, "gallbladder": _gallbladder,
    "cleft": _cleft, "hollow": _hollow,
}  # fmt: skip
