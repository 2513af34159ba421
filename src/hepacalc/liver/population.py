"""Many anatomies of one liver: drawn from what is usual, kept as far as the scan bears them out.

A sequential Monte Carlo sampler with its own fixed seed moves a population of anatomies from broad priors to those
whose veins lie on tubes of the scan. Where the scan shows nothing the population stays as wide as people are: that is
the doubt that is reported.

References: Del Moral et al. 2006, J R Stat Soc B 68:411 (sampler); Cotter et al. 2013, Stat Sci 28:424 (its moves).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hepacalc.liver.coverage import Coverage
from hepacalc.liver.landmarks import Landmarks
from hepacalc.liver.likelihood import AFFECTED, TERMS, evidence, fit_terms
from hepacalc.liver.planes import BLOCKS, SEGMENTS, SIZE, Frame, Planes, Points, build, parts
from hepacalc.records import Phase

__all__ = ["Population", "draw_population"]

F64 = NDArray[np.float64]

_RUNS, _FIRST, _TRIES, _KEPT, _SWEEPS = 3, 1100, 8, 220, 1
_START = 0.06
# share of moves that draw a block anew
_ANEW = 0.2
_PARTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("main",), ("middle hepatic vein", "gallbladder")),
    (("right",), ("right hepatic vein",)),
    (("fissure",), ("left hepatic vein", "cleft")),
    (("fork", "branches"), ("right portal branch", "left portal branch", "portal trunk", "fissure", "hollow")),
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
    runs = [_run(frame, marks, phase, np.random.default_rng([seed, k])) for k in range(_RUNS)]
    rng = np.random.default_rng([seed, _RUNS])
    # a run that found better fitting anatomies counts for more; by half, since its evidence is itself a guess
    weight = np.repeat([0.5 * run[2] for run in runs], _KEPT)
    pick = _picked(weight, _KEPT, rng)
    state = np.concatenate([run[0] for run in runs])[pick]
    signs = np.concatenate([run[1] for run in runs])[pick]
    points, planes = build(state, frame)
    seen = {name: float(evidence(name, points, signs, marks).mean()) / marks.clarity for name in _VESSELS}
    return Population(points, _doubted(planes, seen, rng) if marks.liver_hu is not None else planes, seen, signs)


def _run(frame: Frame, marks: Landmarks, phase: Phase | None, rng: np.random.Generator) -> tuple[F64, F64, float]:
    """Return anatomies, signs of their veins, and the log evidence of one run of the sampler."""
    signs = _SIGNS[rng.choice(len(_SIGNS), _FIRST, p=_sign_chances(marks.liver_hu, phase))]
    state, weight = _first(signs, frame, marks, rng)
    found = float(np.log(np.mean(np.exp(weight - weight.max()))) + weight.max())
    pick = _picked(weight, _KEPT, rng)
    state, signs = state[pick], signs[pick]
    terms = fit_terms(*build(state, frame), signs, marks)
    power = _START
    while power < 1.0:
        fit = np.sum(list(terms.values()), axis=0)
        step = _next_power(fit, power)
        found += float(np.log(np.mean(np.exp((step - power) * (fit - fit.max())))) + (step - power) * fit.max())
        pick = _picked((step - power) * fit, _KEPT, rng)
        state, signs, terms = state[pick], signs[pick], {name: value[pick] for name, value in terms.items()}
        power = step
        for _ in range(_SWEEPS):
            for block in BLOCKS:
                _move(block, state, signs, terms, frame, marks, power, rng)
    return state, signs, found


def _first(signs: F64, frame: Frame, marks: Landmarks, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return anatomies drawn part by part at the first temperature, and their log weights.

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
        share = _START * fit.reshape(count, _TRIES)
        top = share.max(axis=1, keepdims=True)
        chance = np.exp(share - top)
        weight += top[:, 0] + np.log(chance.mean(axis=1))
        chance = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
        best = (chance < rng.random((count, 1))).sum(axis=1).clip(0, _TRIES - 1)
        state = tried.reshape(count, _TRIES, SIZE)[np.arange(count), best]
    rest = fit_terms(*build(state, frame), signs, marks, ("cava", "edge", "shares"))
    return state, weight + _START * np.sum(list(rest.values()), axis=0)


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


def _next_power(fit: F64, power: float) -> float:
    """Return the next temperature: as high as leaves half of the population in effect."""

    def effective(at: float) -> float:
        weight = np.exp((at - power) * (fit - fit.max()))
        return float(weight.sum() ** 2 / (weight**2).sum())

    goal = 0.5 * _KEPT
    if effective(1.0) >= goal:
        return 1.0
    low, high = power, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(middle) >= goal else (low, middle)
    return max(low, power + 1e-3)


def _move(
    block: str, state: F64, signs: F64, terms: dict[str, F64], frame: Frame, marks: Landmarks, power: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Move one block of every anatomy by a step that keeps the prior, where the scan agrees; in place."""
    low, high = BLOCKS[block]
    reach = np.minimum((0.35 if power < 0.3 else 0.22) * np.exp(rng.normal(0, 0.6, (len(state), 1))), 1.0)
    reach[rng.random(len(state)) < _ANEW] = 1.0
    moved = state.copy()
    noise = rng.standard_normal((len(state), high - low))
    moved[:, low:high] = np.sqrt(1 - reach**2) * state[:, low:high] + reach * noise
    names = AFFECTED[block]
    again = fit_terms(*build(moved, frame), signs, marks, names)
    gain = np.sum([again[name] - terms[name] for name in names], axis=0)
    yes = np.log(rng.random(len(state))) < power * gain
    state[yes] = moved[yes]
    for name in names:
        terms[name][yes] = again[name][yes]
