"""Scores over many cases, with bootstrap bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepacalc.evaluate.run import Answer, CaseResult

__all__ = ["METHODS", "Bin", "Score", "paired", "reliability", "scored", "scores", "summary"]

Floats = NDArray[np.float64]
METHODS = ("hepacalc", "prior only", "naive Bayes")
DRAWS = 2000
SEED = 20240
BAND = (0.05, 0.95)
"""Quantiles of the bootstrap band: 90 % of the draws lie inside."""


class Score(NamedTuple):
    """A figure with its bootstrap band, and how many cases are behind it; None where there is no such case."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Bin(NamedTuple):
    """Cases whose first cause has a probability between two limits: how many, mean probability, share right."""

    low: float
    high: float
    n: int
    probability: float
    right: float


def scored(results: Sequence[CaseResult], *, tiers: str = "AB", certain: bool = True) -> list[CaseResult]:
    """Return the cases that count: diagnosis a known cause, tier among ``tiers``, calcification certain if asked."""
    return [
        result
        for result in results
        if result.truth and result.case.tier in tuple(tiers) and (result.case.calcified or not certain)
    ]


def scores(results: Sequence[CaseResult], method: str = "hepacalc") -> dict[str, Score]:
    """Return all figures of one method.

    ``top1 top3 top5``: share with the right cause among so many. ``mrr``: mean of 1 / rank (0 when the network does not
    have the cause). ``brier``: mean multiclass Brier score, 0-2. ``mean_rank``. ``log_loss``: mean of minus the natural
    logarithm of the right cause's probability (at least 1e-6). The rest is of ``hepacalc`` alone: see :func:`_safety`.
    """
    answers = [result.answers[method] for result in results]
    rank = np.array([a.rank for a in answers], float)
    here = np.array([a.probability > 0 for a in answers])
    found = {f"top{k}": _band(np.where(here, rank <= k, False)) for k in (1, 3, 5)}
    found["mrr"] = _band(np.where(here, 1 / np.maximum(rank, 1), 0.0))
    found["brier"] = _band(np.array([a.brier for a in answers]))
    found["mean_rank"] = _band(rank)
    found["log_loss"] = _band(np.array([-np.log(max(a.probability, 1e-6)) for a in answers]))
    return found | (_safety(results) if method == "hepacalc" else {})


def paired(results: Sequence[CaseResult], other: str) -> dict[str, Score]:
    """Return by how much hepacalc differs from another method, case by case: above 0 it has more."""

    def difference(what: Callable[[Answer], float]) -> Score:
        pairs = [(what(r.answers["hepacalc"]), what(r.answers[other])) for r in results]
        return _band(np.array([float(a) - float(b) for a, b in pairs]))

    found = {f"top{k}": difference(lambda a, k=k: a.probability > 0 and a.rank <= k) for k in (1, 3, 5)}  # type: ignore[misc]
    return found | {"brier": difference(lambda a: a.brier)}


def _safety(results: Sequence[CaseResult]) -> dict[str, Score]:
    """``redflag_recall``: share of malignant or never-needle causes that are flagged or over their threshold."""

    def share(keep: Callable[[CaseResult], bool], what: Callable[[CaseResult], float]) -> Score:
        return _band(np.array([float(what(result)) for result in results if keep(result)]))

    return {
        "redflag_recall": share(lambda r: r.grave, lambda r: r.is_caught),
        "redflag_recall_flags_alone": share(lambda r: r.grave, lambda r: bool(r.flags)),
        "redflag_recall_bounds_alone": share(lambda r: r.grave, lambda r: bool(r.over)),
        "benign_caught": share(lambda r: r.benign, lambda r: r.is_caught),
        "benign_burdened": share(lambda r: r.benign, lambda r: bool(r.burden)),
        "wrong_needle": share(lambda r: r.grave, lambda r: r.needle),
        "band_width_right": share(lambda r: True, lambda r: r.width[0]),
        "band_width_first": share(lambda r: True, lambda r: r.width[1]),
    }


def _band(values: Floats) -> Score:
    """Mean and the band of the mean over resampled cases; the same numbers every time."""
    values = np.asarray(values, float)
    if not len(values):
        return Score(None, None, None, 0)
    rng = np.random.default_rng(SEED)
    drawn = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, BAND)
    return Score(float(values.mean()), float(low), float(high), len(values))


def reliability(results: Sequence[CaseResult], edges: Sequence[float] = (0, 0.3, 0.5, 0.7, 0.9, 1.0)) -> list[Bin]:
    """Return how often the first cause is right, by how probable it was said to be; empty bins are left out."""
    first = np.array([result.answers["hepacalc"].first for result in results])
    right = np.array([result.answers["hepacalc"].is_right for result in results])
    bins = []
    for low, high in pairwise(edges):
        inside = (first >= low) & ((first < high) | (high == edges[-1]))
        if inside.any():
            bins.append(Bin(low, high, int(inside.sum()), float(first[inside].mean()), float(right[inside].mean())))
    return bins


def summary(results: Sequence[CaseResult]) -> dict[str, float | int | None]:
    """Return ``n, top1, top3, top5, mrr, brier, redflag_recall`` of the cases given."""
    found = scores(results)
    names = ("top1", "top3", "top5", "mrr", "brier", "redflag_recall")
    return {"n": len(results)} | {
        name: None if (value := found[name].value) is None else round(value, 4) for name in names
    }
