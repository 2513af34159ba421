"""How well anatomies fit what a scan shows: veins on tubes, fissures on fat and bile, usual shares of volume."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from hepacalc.liver.landmarks import Landmarks
from hepacalc.liver.planes import Planes, Points

__all__ = ["GROUPS", "TERMS", "evidence", "fit_terms", "path"]

F64 = NDArray[np.float64]

# stops, hepatic (0) or portal (1), sample points on each stretch
_LINES: dict[str, tuple[tuple[str, ...], int, int]] = {
    "right hepatic vein": (("confluence", "right mid", "right end"), 0, 8),
    "middle hepatic vein": (("confluence", "middle mid", "middle end"), 0, 8),
    "left hepatic vein": (("confluence", "left mid", "left end"), 0, 8),
    "right portal branch": (("fork", "right fork"), 1, 6),
    "left portal branch": (("fork", "bend", "umbilical"), 1, 6),
    "portal trunk": (("trunk", "fork"), 1, 6),
    "cava": (("confluence", "cava"), 0, 6),
}
TERMS = (*_LINES, "edge", "fissure", "sectors", "shares", "gallbladder", "cleft", "hollow")
GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("main",), ("middle hepatic vein", "gallbladder")),
    (("right",), ("right hepatic vein",)),
    (
        ("fissure", "fork", "branches", "levels"),
        (
            "left hepatic vein",
            "cleft",
            "right portal branch",
            "left portal branch",
            "portal trunk",
            "fissure",
            "hollow",
        ),
    ),
)  # fmt: skip
"""Blocks of the anatomy and the terms that depend on no other block than these and the confluence."""
# points 4 mm apart on one vessel are not independent
_TUBE_WEIGHT = 0.55
_CLEFT_WEIGHT = 3.0
# chance that a vessel does not show where it runs: squeezed, unfilled, or too small
_HIDDEN = 0.1
# mean and spread of shares of volume between people
_SHARES = {"left": (0.34, 0.08), "lateral": (0.18, 0.07), "posterior": (0.42, 0.11), "upper right": (0.60, 0.13),
           "upper medial": (0.55, 0.20), "upper left": (0.5, 0.2)}  # fmt: skip


def path(name: str, points: Points) -> F64:
    """Return sample points ``(n, k, 3)`` along a vessel of every anatomy, LPS mm."""
    return np.stack(_line(name, points), axis=2)


def _line(name: str, points: Points) -> list[F64]:
    """Return x, y and z ``(n, k)`` of sample points along a vessel."""
    stops, _, count = _LINES[name]
    t = (np.arange(count) + 0.5) / count
    ends = [points[stop].T[:, :, None] for stop in stops]
    stretches = [a + t * (b - a) for a, b in itertools.pairwise(ends)]
    return list(np.concatenate(stretches, axis=2))


def evidence(name: str, points: Points, signs: F64, marks: Landmarks) -> F64:
    """Return the mean log likelihood ratio per sample point of a vessel, vessel against plain liver ``(n,)``.

    Args:
        name: of a vessel.
        points: the anatomies.
        signs: ``(n, 2)`` 1 where hepatic, portal veins are brighter than liver, -1 where darker.
        marks: what the scan shows.
    """
    which = _LINES[name][1]
    where, inside = marks.index(*_line(name, points))
    tube = marks.cava_tube if name == "cava" else marks.tube
    ratio = np.where(inside, tube.ravel()[where + (signs[:, which, None] < 0) * tube[0].size], np.float32(0))
    if name in ("cava", "portal trunk"):
        return np.asarray(ratio.mean(axis=1), float)
    depth = marks.depth_mm.ravel()[where]
    least = np.full(where.shape[1], 1.0, np.float32)
    if which == 0:
        # near the cava the veins leave the outline of the liver
        least[:3] = -14.0
    else:
        # so do the portal branches, in the hilum and in the umbilical fissure
        least[:] = -18.0
        if name == "right portal branch":
            least[3:] = 0.0
    beyond = np.clip((depth - least) / 5, -2.0, 0)
    ratio = np.where(beyond < 0, np.minimum(ratio, 0) + beyond, ratio)
    return np.asarray(np.where(inside, ratio, 0.0).mean(axis=1), float)


def fit_terms(
    points: Points, planes: Planes, signs: F64, marks: Landmarks, names: tuple[str, ...] = TERMS
) -> dict[str, F64]:
    """Return terms of the log likelihood, ``name -> (n,)``."""
    out: dict[str, F64] = {}
    for name in names:
        if name in _LINES:
            stops, _, count = _LINES[name]
            seen = _TUBE_WEIGHT * count * (len(stops) - 1) * evidence(name, points, signs, marks)
            out[name] = np.logaddexp(np.log(1 - _HIDDEN) + seen, np.log(_HIDDEN))
        else:
            out[name] = _OTHERS[name](points, planes, marks)
    return out


def _gap(place: F64, plane: tuple[F64, F64]) -> F64:
    """Return signed distances ``(n,)`` of one place per anatomy from its plane."""
    return np.asarray(((place - plane[0]) * plane[1]).sum(axis=1))


def _edge(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The confluence lies at the edge of the liver, which may close around the cava, neither deeper nor far off."""
    depth = marks.lookup(marks.depth_mm, points["confluence"], -20.0)
    depth = np.where(np.isnan(depth), 0.0, depth)
    return np.asarray(-0.5 * (np.clip(depth - 15, 0, None) / 6) ** 2 - 0.5 * (np.clip(-depth - 12, 0, None) / 6) ** 2)


def _fissure(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The left vein ends to the left of the umbilical fissure; the left portal branch bends up in it."""
    end, bend = _gap(points["left end"], planes["fissure"]), _gap(points["bend"], planes["fissure"])
    return np.asarray(-0.5 * ((end - 12) / 11) ** 2 - 0.5 * ((bend + 2) / 8) ** 2)


def _sectors(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The right portal branch parts between the sectors in front of and behind the right hepatic vein."""
    return np.asarray(-0.5 * ((_gap(points["right fork"], planes["right"]) + 5) / 9) ** 2)


def _shares(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The parts have usual shares of volume."""
    place = marks.sample_mm.astype(np.float32)
    count = len(place)

    def beyond(name: str) -> NDArray[np.float32]:
        point, normal = planes[name]
        gap = normal.astype(np.float32) @ place.T
        return np.asarray(gap > (point * normal).sum(axis=1)[:, None], np.float32)

    def part(of: NDArray[np.float32], whole: NDArray[np.float32]) -> F64:
        some = 0.03 * count
        return np.asarray(((of * whole).sum(axis=1) + 0.5 * some) / (whole.sum(axis=1) + some), float)

    left, lateral = beyond("main"), beyond("fissure")
    lateral *= left
    right, medial = 1 - left, left - lateral
    found = {
        "left": left.mean(axis=1), "lateral": lateral.mean(axis=1), "posterior": part(beyond("right"), right),
        "upper right": part(beyond("right level"), right), "upper medial": part(beyond("medial level"), medial),
        "upper left": part(beyond("left level"), lateral),
    }  # fmt: skip
    terms = [-0.5 * ((found[name] - mean) / sd) ** 2 for name, (mean, sd) in _SHARES.items()]
    return np.asarray(np.sum(terms, axis=0), float)


def _gallbladder(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The main plane runs through the fossa of the gallbladder, give or take a centimetre."""
    if not len(marks.gall_mm):
        return np.zeros(len(points["fork"]))
    gap = _gap(marks.gall_mm.mean(axis=0)[None], planes["main"])
    return np.asarray(np.log(0.08 + np.exp(-0.5 * (gap / 9) ** 2)))


def _cleft(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """Fat of clefts in front of the confluence and below it lies in the umbilical fissure."""
    if not len(marks.fissure_mm):
        return np.zeros(len(points["fork"]))
    point, normal = planes["fissure"]
    gap = normal @ marks.fissure_mm.T - (point * normal).sum(axis=1)[:, None]
    near = np.exp(-0.5 * (gap / 6) ** 2).mean(axis=1)
    return np.asarray(_CLEFT_WEIGHT * np.log(near + 0.1))


def _hollow(points: Points, planes: Planes, marks: Landmarks) -> F64:
    """The portal fork lies in the hollow of the visceral side."""
    return np.asarray(0.7 * np.log(marks.lookup(marks.hollow, points["fork"], 0.0) + 0.03))


_OTHERS = {
    "edge": _edge, "fissure": _fissure, "sectors": _sectors, "shares": _shares, "gallbladder": _gallbladder, "cleft": _cleft,
    "hollow": _hollow,
}  # fmt: skip
