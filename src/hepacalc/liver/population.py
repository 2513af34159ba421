"""Many anatomies of one liver: drawn from what is usual, kept as far as the scan bears them out.

A sequential Monte Carlo sampler with its own fixed seed moves a population of anatomies from broad priors to those
whose veins lie on tubes of the scan, wide tubes first, which are met from farther off. Where the scan shows nothing the
population stays as wide as people are: that is the doubt that is reported.

References: Del Moral et al. 2006, J R Stat Soc B 68:411 (sampler); Cotter et al. 2013, Stat Sci 28:424, and ter Braak
2006, Stat Comput 16:239 (its moves).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hepacalc.liver.coverage import Coverage
from hepacalc.liver.landmarks import Landmarks
from hepacalc.liver.likelihood import GROUPS, TERMS, evidence, fit_terms
from hepacalc.liver.planes import BLOCKS, SEGMENTS, SIZE, Frame, Planes, Points, build, parts
from hepacalc.records import Phase

__all__ = ["Population", "draw_population"]

F64 = NDArray[np.float64]

_FIRST, _TRIES, _KEPT, _SWEEPS = 1100, 8, 240, 12
# how much the fit counts, and to what share it is that to the wide tubes, which are met from farther off
_STAGES = ((0.10, 1.0), (0.25, 1.0), (0.50, 1.0), (0.50, 0.5), (0.80, 0.5), (0.80, 0.0), (1.0, 0.0), (1.0, 0.0))
# share of moves along the difference of two other anatomies, and about how far for each of so many numbers
_ALONG, _ALONG_REACH = 0.4, 2.38
_PARTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("main",), ("middle hepatic vein", "gallbladder")),
    (("right",), ("right hepatic vein",)),
    (("fissure",), ("left hepatic vein", "cleft")),
    (("fork", "branches"), ("right portal branch", "left portal branch", "portal trunk", "fissure", "hollow")),
)
_ROOT = ((("confluence",), TERMS),)
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
    points, planes = build(state, frame)
    seen = {name: float(evidence(name, points, signs, marks).mean()) / marks.clarity for name in _VESSELS}
    return Population(points, _doubted(planes, seen, rng) if marks.liver_hu is not None else planes, seen, signs)


def _sampled(frame: Frame, marks: Landmarks, phase: Phase | None, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return anatomies and the signs of their veins."""
    seen = {wide: replace(marks, tube=(1 - wide) * marks.tube + wide * marks.cava_tube) for _, wide in _STAGES}
    power, wide = _STAGES[0]
    signs = _SIGNS[rng.choice(len(_SIGNS), _FIRST, p=_sign_chances(marks.liver_hu, phase))]
    state, weight = _first(signs, frame, seen[wide], power, rng)
    fit = np.zeros(len(state))
    for number, (next_power, wide) in enumerate(_STAGES):
        terms = fit_terms(*build(state, frame), signs, seen[wide])
        if number:
            weight = next_power * np.sum(list(terms.values()), axis=0) - power * fit
        pick = _picked(weight, _KEPT, rng)
        state, signs, terms = state[pick], signs[pick], {name: value[pick] for name, value in terms.items()}
        power = next_power
        for sweep in range(_SWEEPS):
            _move(GROUPS, ("shares", "sectors"), state, signs, terms, frame, seen[wide], power, rng)
            if sweep % 2:
                _move(_ROOT, (), state, signs, terms, frame, seen[wide], power, rng)
        fit = np.sum(list(terms.values()), axis=0)
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
        fit = np.sum(list(fit_terms(*build(tried, frame), many, marks, names).values()), axis=0)
        share = power * fit.reshape(count, _TRIES)
        top = share.max(axis=1, keepdims=True)
        chance = np.exp(share - top)
        weight += top[:, 0] + np.log(chance.mean(axis=1))
        chance = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
        best = (chance < rng.random((count, 1))).sum(axis=1).clip(0, _TRIES - 1)
        state = tried.reshape(count, _TRIES, SIZE)[np.arange(count), best]
    rest = fit_terms(*build(state, frame), signs, marks, ("cava", "edge", "shares", "sectors"))
    return state, weight + power * np.sum(list(rest.values()), axis=0)


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


def _move(
    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...], together: tuple[str, ...], state: F64, signs: F64,
    terms: dict[str, F64], frame: Frame, marks: Landmarks, power: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Move one block of each group of every anatomy where the scan agrees; in place.

    Each group is moved or left by its own terms; then all that moved stay or go back by the terms that they share.
    """
    count = len(state)
    moved = state.copy()
    stays = []
    for blocks, _ in groups:
        picked = rng.integers(0, len(blocks), count)
        for number, block in enumerate(blocks):
            rows, own = np.flatnonzero(picked == number), slice(*BLOCKS[block])
            moved[rows, own] = _proposed(state[:, own], rows, power, rng)
        gain = np.zeros(count)
        for block in blocks:
            own = slice(*BLOCKS[block])
            gain += 0.5 * ((state[:, own] ** 2).sum(axis=1) - (moved[:, own] ** 2).sum(axis=1))
        stays.append(gain)
    again = fit_terms(*build(moved, frame), signs, marks, tuple(name for _, names in groups for name in names))
    for (blocks, names), prior in zip(groups, stays, strict=True):
        gain = prior + power * np.sum([again[name] - terms[name] for name in names], axis=0)
        no = np.log(rng.random(count)) >= gain
        for block in blocks:
            own = slice(*BLOCKS[block])
            moved[no, own] = state[no, own]
        for name in names:
            again[name][no] = terms[name][no]
    if together:
        again |= fit_terms(*build(moved, frame), signs, marks, together)
        gain = power * np.sum([again[name] - terms[name] for name in together], axis=0)
        no = np.log(rng.random(count)) >= gain
        moved[no] = state[no]
        for name, value in again.items():
            value[no] = terms[name][no]
    state[:] = moved
    terms |= again


def _proposed(of: F64, rows: NDArray[np.intp], power: float, rng: np.random.Generator) -> F64:
    """Return other numbers for some anatomies of a block: a step at random, or along what differs between two others.

    What differs between anatomies that fit is a way to move that fits.
    """
    old = of[rows]
    step = (0.5 if power < 0.3 else 0.25) * np.exp(rng.normal(0, 0.6, (len(rows), 1))) * rng.standard_normal(old.shape)
    one, other = rng.integers(0, len(of), (2, len(rows)))
    some = rng.random(old.shape) < np.where(rng.random((len(rows), 1)) < 0.5, 0.4, 1.0)
    far = _ALONG_REACH / np.sqrt(2 * np.maximum(some.sum(axis=1, keepdims=True), 1))
    along = far * np.exp(rng.normal(0, 0.4, far.shape)) * some * (of[one] - of[other])
    return np.asarray(old + np.where(rng.random((len(rows), 1)) < _ALONG, along, step))
