"""From what files state to Dirichlet parameters: unnamed states, floors, published counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNT_CAP", "FLOOR", "FLOOR_AXIS", "Cohort", "blend", "complete", "fold_counts", "picture_shares"]

Floats = NDArray[np.float64]

FLOOR = 0.02
"""Part of every stated block that goes to a blend of base and even shares, so that no state is impossible."""

FLOOR_AXIS = 0.03
"""The same for each axis of a picture (host, morphology), before their product is taken."""

COUNT_CAP = 60.0
"""A published series counts as so many patients of ours at most: other places, other scanners, selected patients."""


class Cohort(NamedTuple):
    """One published count: which states (bool, shape ``(states,)``), ``n`` of ``N``, and whose patients they are."""

    mask: NDArray[np.bool_]
    n: int
    N: int
    key: str


def _scaled(shares: Floats) -> Floats:
    whole: Floats = shares / shares.sum()
    return whole


def blend(p: Floats, base: Floats, floor: float) -> Floats:
    """Return ``p`` with the part ``floor`` replaced by half base and half even shares; sums to 1."""
    raised: Floats = (1 - floor) * p / p.sum() + floor * 0.5 * (base + 1 / len(base))
    return _scaled(raised)


def complete(named: Mapping[str, float], states: Sequence[str], base: Floats) -> Floats:
    """Return a share for every state, shape ``(states,)``, summing to 1.

    States that are not named share what is left to 1, in proportion to ``base``. When every state is named the shares
    are scaled to sum to 1.
    """
    p = np.array([named.get(state, 0.0) for state in states], dtype=np.float64)
    missing = np.array([state not in named for state in states])
    left = 1.0 - p.sum()
    if missing.any() and left > 0:
        p[missing] = left * base[missing] / base[missing].sum()
    return _scaled(p)


def picture_shares(
    parts: Sequence[tuple[float, Mapping[str, float], Mapping[str, float]]],
    axes: Sequence[Sequence[str]],
    bases: Sequence[Floats],
) -> Floats:
    """Return the shares of a mixture of products, shape ``(first axis * second axis,)`` in C order.

    Args:
        parts: weight, shares on the first axis, shares on the second axis; weight left to 1 goes to the base.
        axes: state names of both axes.
        bases: base of both axes.
    """
    joint = max(0.0, 1.0 - sum(weight for weight, _, _ in parts)) * np.outer(bases[0], bases[1])
    for weight, first, second in parts:
        sides = [
            blend(complete(shares, states, base), base, FLOOR_AXIS)
            for shares, states, base in zip((first, second), axes, bases, strict=True)
        ]
        joint = joint + weight * np.outer(sides[0], sides[1])
    return _scaled(joint.ravel())


def fold_counts(alpha: Floats, counts: Sequence[Cohort]) -> Floats:
    """Return Dirichlet parameters with published counts added.

    A count speaks of a set of states as a whole: it is added to the set and to what lies outside of it, spread inside
    each as it was. ``N`` is capped at ``COUNT_CAP``. Counts of one cohort (same key and ``N``) are one sample: with
    sets that do not overlap they are added together; sets that overlap, or do not add up, count for a part of it each.
    The order of ``counts`` makes no difference.
    """
    cohorts: dict[tuple[str, int], list[Cohort]] = {}
    for count in sorted(counts, key=lambda c: (c.key, c.N, c.n, c.mask.tobytes())):
        cohorts.setdefault((count.key, count.N), []).append(count)
    for (_, size), group in cohorts.items():
        scale = min(1.0, COUNT_CAP / size)
        times = np.sum([count.mask for count in group], axis=0)
        told = sum(count.n for count in group)
        if times.max() > 1 or told > size or (times.min() == 1 and told != size):
            for count in group:
                alpha = _add(alpha, [(count.mask, count.n)], size, scale / len(group))
        else:
            alpha = _add(alpha, [(count.mask, count.n) for count in group], size, scale)
    return alpha


def _add(alpha: Floats, parts: list[tuple[NDArray[np.bool_], int]], size: int, scale: float) -> Floats:
    """Add one sample whose sets do not overlap; what is in none of them goes to the states outside."""
    outside = ~np.any([mask for mask, _ in parts], axis=0)
    rest = size - sum(n for _, n in parts)
    added = alpha.copy()
    for mask, n in [*parts, (outside, rest)]:
        if mask.any():
            held = alpha[mask].sum()
            added[mask] *= (held + n * scale) / held
    return added
