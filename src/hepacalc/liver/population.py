"""Many anatomies of one liver: drawn from what is usual, kept as far as the scan bears them out.

A sequential Monte Carlo sampler with its own fixed seed moves a population of anatomies from broad priors to those
whose veins lie on tubes of the scan, wide tubes first, which are met from farther off. Where the scan shows nothing the
population stays as wide as people are: that is the doubt that is reported.

References: Del Moral et al. 2006, J R Stat Soc B 68:411 (sampler); Cotter et al. 2013, Stat Sci 28:424, and ter Braak
2006, Stat Comput 16:239 (its moves).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hepacalc.liver.coverage import Coverage
from hepacalc.liver.landmarks import Landmarks
from hepacalc.liver.likelihood import GROUPS, SHARED, TERMS, evidence, fit_terms
from hepacalc.liver.planes import (
    BLOCKS,
    PLANE_BLOCKS,
    POINT_BLOCKS,
    SEGMENTS,
    SIZE,
    Frame,
    Planes,
    Points,
    build,
    named,
    parts,
)
from hepacalc.records import Phase

__all__ = ["Population", "draw_population"]

F64 = NDArray[np.float64]

_FIRST, _TRIES, _KEPT, _SWEEPS = 1100, 8, 240, 11
# how much the fit counts, and to what share it is that to the wide tubes, which are met from farther off
_STAGES = ((0.10, 1.0), (0.25, 1.0), (0.50, 1.0), (0.50, 0.5), (0.80, 0.5), (0.80, 0.0), (1.0, 0.0), (1.0, 0.0))
# share of moves along the difference of two other anatomies, and about how far for each of so many numbers
_ALONG, _ALONG_REACH = 0.4, 2.38
_PARTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("main",), ("middle hepatic vein", "gallbladder")),
    (("right",), ("right hepatic vein",)),
    (("fissure",), ("left hepatic vein", "cleft")),
    (
        ("fork", "right branch", "left branch", "trunk"),
        ("right portal branch", "left portal branch", "portal trunk", "fissure", "hollow"),
    ),
)
_VESSELS = TERMS[:7]
_HELD_BY = {
    "main": ("middle hepatic vein",), "right": ("right hepatic vein",), "fissure": ("left portal branch",),
    "right level": ("right portal branch", "portal trunk"), "medial level": ("left portal branch",),
    "left level": ("left hepatic vein",),
}  # fmt: skip
_CLEARLY = 1.0
_SHIFT_MM, _TURN_DEGREES = 5.0, 7.0
_BLOOD_HU = 42.0
# hepatic, portal: both brighter than liver, both darker, only the portal veins brighter (arterial phase)
_SIGNS = np.array([[1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0]])


@dataclass(frozen=True, eq=False, slots=True)
class Population:
    """Equally likely anatomies of one liver; coordinates LPS mm.

    Args:
        points: ``name -> (n, 3)``.
        planes: ``name -> ((n, 3) point, (n, 3) unit normal)``.
        seen: ``name -> `` mean log likelihood ratio per sample point of a vessel, at full clarity.
        signs: ``(n, 2)`` 1 where hepatic, portal veins are brighter than liver, -1 where darker.
    """

    points: Points
    planes: Planes
    seen: dict[str, float]
    signs: F64

    def shares(self, points_mm: F64) -> F64:
        """Return the probability of each segment at LPS points ``(n, 3)``, as ``(n, 9)``."""
        out = np.zeros((len(points_mm), len(SEGMENTS)))
        size = max(20000 // len(self.signs), 1)
        for start in range(0, len(points_mm), size):
            block = points_mm[start : start + size]
            out[start : start + size] = parts(block, self.points, self.planes).mean(axis=0)
        return out


def draw_population(marks: Landmarks, coverage: Coverage, phase: Phase | None = None, *, seed: int = 4) -> Population:
    """Return anatomies that fit what is seen; the same seed gives the same answer.

    Args:
        marks: what is seen.
        coverage: where the liver is cut.
        phase: whether blood is likely brighter than liver; None leaves it to the tubes alone.
        seed: of the sampler.
    """
    frame = Frame.of(marks, coverage)
    rng = np.random.default_rng(seed)
    state, signs = _sampled(frame, marks, phase, rng)
    drawn = build(state, frame)
    ratio = evidence(_VESSELS, drawn[0], signs, marks).mean(axis=1) / marks.clarity
    seen = {name: float(value) for name, value in zip(_VESSELS, ratio, strict=True)}
    points, planes = named(*drawn)
    return Population(points, _doubted(planes, seen, rng) if marks.liver_hu is not None else planes, seen, signs)


def _sampled(frame: Frame, marks: Landmarks, phase: Phase | None, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return anatomies and the signs of their veins."""
    seen = {wide: replace(marks, tube=(1 - wide) * marks.tube + wide * marks.cava_tube) for _, wide in _STAGES}
    power, wide = _STAGES[0]
    signs = _SIGNS[rng.choice(len(_SIGNS), _FIRST, p=_sign_chances(marks.liver_hu, phase))]
    state, weight = _first(signs, frame, seen[wide], power, rng)
    terms = np.zeros((len(TERMS), len(state)))
    for number, (next_power, wide) in enumerate(_STAGES):
        fit = terms.sum(axis=0)
        drawn = build(state, frame)
        terms = fit_terms(*drawn, signs, seen[wide])
        if number:
            weight = next_power * terms.sum(axis=0) - power * fit
        pick = _picked(weight, _KEPT, rng)
        state, signs, terms = state[pick], signs[pick], terms[:, pick]
        drawn = drawn[0][..., pick], drawn[1][..., pick]
        power = next_power
        for _ in range(_SWEEPS):
            for moves in (_PARTED, _ROOT):
                state, drawn, terms = _moved(moves, state, drawn, signs, terms, frame, seen[wide], power, rng)
    return state, signs


def _first(signs: F64, frame: Frame, marks: Landmarks, power: float, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return anatomies drawn part by part, the fit counting by ``power``, and their log weights.

    For every confluence some candidates of each part are tried, and one is drawn by how well its vessels fit.
    """
    count = len(signs)
    state = rng.standard_normal((count, SIZE))
    many = np.repeat(signs, _TRIES, axis=0)
    weight = np.zeros(count)
    for blocks, names in _PARTS:
        tried = np.repeat(state, _TRIES, axis=0)
        for low, high in (BLOCKS[block] for block in blocks):
            tried[:, low:high] = rng.standard_normal((len(tried), high - low))
        fit = fit_terms(*build(tried, frame), many, marks, names).sum(axis=0)
        share = power * fit.reshape(count, _TRIES)
        top = share.max(axis=1, keepdims=True)
        chance = np.exp(share - top)
        weight += top[:, 0] + np.log(chance.mean(axis=1))
        chance = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
        best = (chance < rng.random((count, 1))).sum(axis=1).clip(0, _TRIES - 1)
        state = tried.reshape(count, _TRIES, SIZE)[np.arange(count), best]
    rest = fit_terms(*build(state, frame), signs, marks, ("cava", "edge", "shares", "sectors"))
    return state, weight + power * rest.sum(axis=0)


def _picked(log_weight: F64, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``count`` indices drawn by weight, evenly spread."""
    edges = np.cumsum(np.exp(log_weight - log_weight.max()))
    at = np.searchsorted(edges / edges[-1], (np.arange(count) + rng.random()) / count)
    return np.asarray(np.clip(at, 0, len(log_weight) - 1), np.intp)


def _doubted(planes: Planes, seen: dict[str, float], rng: np.random.Generator) -> Planes:
    """Return planes turned and shifted at random where their vessels were hardly seen.

    Among many anatomies some line up with noise; a population that follows them is narrower than what is known.
    """
    out = {}
    for name, vessels in _HELD_BY.items():
        point, normal = planes[name]
        lack = float(np.clip(1 - max(seen[v] for v in vessels) / _CLEARLY, 0, 1))
        shift = lack * _SHIFT_MM * rng.standard_normal((len(point), 1)) * normal
        turned = normal + lack * np.tan(np.deg2rad(_TURN_DEGREES)) * rng.standard_normal(normal.shape)
        out[name] = (point + shift, turned / np.linalg.norm(turned, axis=1, keepdims=True))
    return out


def _sign_chances(liver_hu: float | None, phase: Phase | None) -> F64:
    """Return the chances of :data:`_SIGNS`: which veins are brighter than liver."""
    unknown = np.array([0.45, 0.40, 0.15])
    if phase is None or liver_hu is None or phase.name == "undetermined":
        return unknown
    if phase.name == "non-contrast":
        bright = float(ndtr((_BLOOD_HU - liver_hu) / 7))
        usual = np.array([bright, 1 - bright, 0.02])
    elif phase.name == "arterial":
        usual = np.array([0.35, 0.05, 0.60])
    else:
        usual = np.array([0.93, 0.02, 0.05])
    trust = 0.9 * phase.probability
    return np.asarray(trust * usual / usual.sum() + (1 - trust) * unknown)


@dataclass(frozen=True, eq=False, slots=True)
class _Moves:
    """Which numbers of an anatomy move together, and what decides on it.

    Args:
        group: ``(SIZE,)`` group of each number, -1 for those that stay.
        block: ``(SIZE,)`` its block within the group.
        blocks: ``(groups,)`` how many blocks each has.
        own: ``(terms, groups)`` 1 for the terms that depend on a group alone (and on what stays).
        shared: ``(terms,)`` the terms that several groups share.
        points: ``(points,)`` the group that moves each point; -1 for those that stay.
        planes: ``(planes, 2)`` likewise for point and normal of each plane.
    """

    group: NDArray[np.intp]
    block: NDArray[np.intp]
    blocks: NDArray[np.intp]
    own: F64
    shared: NDArray[np.bool_]
    points: NDArray[np.intp]
    planes: NDArray[np.intp]

    @classmethod
    def of(cls, groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...], together: tuple[str, ...]) -> _Moves:
        """Return the moves of groups of blocks with their terms."""
        group, block = np.full(SIZE, -1), np.zeros(SIZE, int)
        for number, (blocks, _) in enumerate(groups):
            for index, name in enumerate(blocks):
                group[slice(*BLOCKS[name])], block[slice(*BLOCKS[name])] = number, index
        own = np.array([[float(term in names) for _, names in groups] for term in TERMS])
        sizes = np.array([len(names) for names, _ in groups])
        of = {name: number for number, (names, _) in enumerate(groups) for name in names}
        points = np.array([of.get(name, -1) for name in POINT_BLOCKS])
        planes = np.array([[of.get(name, -1) for name in pair] for pair in PLANE_BLOCKS])
        return cls(group, block, sizes, own, np.isin(TERMS, together), points, planes)


_PARTED = _Moves.of(GROUPS, SHARED)
_ROOT = _Moves.of(((("confluence", "fork"), TERMS),), ())


def _moved(
    moves: _Moves, state: F64, drawn: tuple[F64, F64], signs: F64, terms: F64, frame: Frame, marks: Landmarks,
    power: float, rng: np.random.Generator,
) -> tuple[F64, tuple[F64, F64], F64]:  # fmt: skip
    """Move one block of each group of every anatomy where the scan agrees; return anatomies, what
    :func:`~hepacalc.liver.planes.build` makes of them, and terms.

    Each group is moved or left by its own terms; then all that moved stay or go back by the terms that they share.
    """
    groups = len(moves.blocks)
    member = (moves.group[:, None] == np.arange(groups)).astype(float)
    tried = _proposed(moves, member, state, power, rng)
    built = build(tried, frame)
    fit = fit_terms(*built, signs, marks)
    gain = 0.5 * (state**2 - tried**2) @ member + power * (fit - terms).T @ moves.own
    no = np.log(rng.random(gain.shape)) >= gain
    tried = np.where(no[:, moves.group] & (moves.group >= 0), state, tried)
    fit = np.where(no @ moves.own.T > 0, terms.T, fit.T).T
    if moves.shared.any():
        names = tuple(np.array(TERMS)[moves.shared])
        back = no.T
        points = np.where((back[moves.points] & (moves.points >= 0)[:, None])[:, None], drawn[0], built[0])
        planes = np.where((back[moves.planes] & (moves.planes >= 0)[..., None])[:, :, None], drawn[1], built[1])
        fit[moves.shared] = fit_terms(points, planes, signs, marks, names)
        stay = np.log(rng.random(len(state))) >= power * (fit - terms)[moves.shared].sum(axis=0)
        tried, fit = np.where(stay[:, None], state, tried), np.where(stay, terms, fit)
        built = np.where(stay, drawn[0], points), np.where(stay, drawn[1], planes)
    else:
        stay = no[:, 0]
        built = np.where(stay, drawn[0], built[0]), np.where(stay, drawn[1], built[1])
    return tried, built, fit


def _proposed(moves: _Moves, member: F64, state: F64, power: float, rng: np.random.Generator) -> F64:
    """Return other numbers for one block of each group: a step at random, or along what differs between two others.

    What differs between anatomies that fit is a way to move that fits.
    """
    count, groups = len(state), len(moves.blocks)

    def spread(of_group: NDArray[Any]) -> NDArray[Any]:
        return of_group[:, moves.group]

    picked = spread(rng.integers(0, moves.blocks, (count, groups))) == moves.block
    picked &= moves.group >= 0
    step = spread((0.5 if power < 0.3 else 0.25) * np.exp(rng.normal(0, 0.6, (count, groups))))
    step = step * rng.standard_normal(state.shape, np.float32)
    one, other = rng.integers(0, count, (2, count, groups))
    some = rng.random(state.shape, np.float32) < spread(np.where(rng.random((count, groups)) < 0.5, 0.4, 1.0))
    some &= picked
    far = _ALONG_REACH / np.sqrt(2 * np.maximum(some @ member, 1)) * np.exp(rng.normal(0, 0.4, (count, groups)))
    column = np.arange(state.shape[1])
    along = spread(far) * some * (state[spread(one), column] - state[spread(other), column])
    move = np.where(spread(rng.random((count, groups)) < _ALONG), along, step)
    return np.asarray(state + picked * move)
