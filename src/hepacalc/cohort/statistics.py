"""The few statistics that a cohort's report and a comparison of readers need; small, exact, each with its reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Estimate", "Limits", "bland_altman", "cohen_kappa", "icc_agreement", "wilson"]

Z95 = 1.959963984540054


class Estimate(NamedTuple):
    """A number with its 95 % confidence interval, from ``n`` observations; NaN where these do not give one."""

    value: float
    low: float
    high: float
    n: int


class Limits(NamedTuple):
    """Mean difference (second less first), and the limits of agreement with their intervals."""

    bias: Estimate
    lower: Estimate
    upper: Estimate


def wilson(count: int, n: int) -> Estimate:
    """Return a share with its Wilson score interval at 95 %.

    Reference: Wilson 1927, J Am Stat Assoc 22:209-212.
    """
    if n <= 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share, z2 = count / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # the ends are 0 and 1 exactly when nothing, or all, was counted
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == n else min(1.0, middle + half)
    return Estimate(share, low, high, n)


def cohen_kappa(first: Sequence[object], second: Sequence[object], *, ordered: bool = False) -> Estimate:
    """Return Cohen's kappa of two readers, with its large-sample interval.

    Args:
        first: category of each case by one reader.
        second: by the other, in the same order.
        ordered: weigh disagreements by the square of the distance between the sorted categories.

    Reference: Cohen 1960, Educ Psychol Meas 20:37-46; Fleiss, Cohen, Everitt 1969, Psychol Bull 72:323-327.
    """
    n = len(first)
    names = sorted({*first, *second}, key=lambda one: (str(type(one)), one))
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    place = {name: k for k, name in enumerate(names)}
    size = len(names)
    table = np.zeros((size, size))
    for a, b in zip(first, second, strict=True):
        table[place[a], place[b]] += 1
    table /= n
    steps = np.subtract.outer(np.arange(size), np.arange(size))
    weights = 1 - (steps / max(size - 1, 1)) ** 2 if ordered else (steps == 0).astype(float)
    rows, columns = table.sum(1), table.sum(0)
    observed, expected = float((weights * table).sum()), float((weights * np.outer(rows, columns)).sum())
    if expected >= 1 - 1e-12:
        return Estimate(math.nan, math.nan, math.nan, n)  # one category only: chance explains all
    kappa = (observed - expected) / (1 - expected)
    by_row, by_column = weights @ columns, weights.T @ rows
    spread = float((table * (weights - np.add.outer(by_row, by_column) * (1 - kappa)) ** 2).sum())
    error = math.sqrt(max(0.0, spread - (kappa - expected * (1 - kappa)) ** 2) / n) / (1 - expected)
    return Estimate(kappa, max(-1.0, kappa - Z95 * error), min(1.0, kappa + Z95 * error), n)


def icc_agreement(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the intraclass correlation ICC(A,1): two-way random effects, absolute agreement, single reader.

    Reference: McGraw and Wong 1996, Psychol Methods 1:30-46.
    """
    data: NDArray[np.float64] = np.column_stack([np.asarray(first, float), np.asarray(second, float)])
    n, k = data.shape
    if n < 2 or float(np.ptp(data)) == 0:
        return Estimate(math.nan, math.nan, math.nan, n)
    grand = data.mean()
    between = k * float(((data.mean(1) - grand) ** 2).sum()) / (n - 1)
    readers = n * float(((data.mean(0) - grand) ** 2).sum()) / (k - 1)
    rest = data - data.mean(1, keepdims=True) - data.mean(0, keepdims=True) + grand
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    below = between + (k - 1) * error + k * (readers - error) / n
    if below <= 0:
        return Estimate(math.nan, math.nan, math.nan, n)
    icc = (between - error) / below
    if error == 0 and readers == 0:
        return Estimate(1.0, 1.0, 1.0, n)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    freedom = (a * readers + b * error) ** 2 / ((a * readers) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    upper_f, lower_f = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    shared = k * readers + (k * n - k - n) * error
    low = n * (between - upper_f * error) / (upper_f * shared + n * between)
    high = n * (lower_f * between - error) / (shared + n * lower_f * between)
    return Estimate(icc, float(low), float(high), n)


def bland_altman(first: Sequence[float], second: Sequence[float]) -> Limits:
    """Return the mean difference (second less first) and the 95 % limits of agreement, with intervals.

    Reference: Bland and Altman 1986, Lancet 1:307-310.
    """
    differences = np.asarray(second, float) - np.asarray(first, float)
    n = len(differences)
    if n < 2:
        nothing = Estimate(math.nan, math.nan, math.nan, n)
        return Limits(nothing, nothing, nothing)
    bias, spread, t = float(differences.mean()), float(differences.std(ddof=1)), float(stats.t.ppf(0.975, n - 1))
    about_bias = t * spread / math.sqrt(n)
    about_limit = t * spread * math.sqrt(1 / n + Z95**2 / (2 * (n - 1)))

    def limit(value: float) -> Estimate:
        return Estimate(value, value - about_limit, value + about_limit, n)

    return Limits(
        Estimate(bias, bias - about_bias, bias + about_bias, n),
        limit(bias - Z95 * spread),
        limit(bias + Z95 * spread),
    )
