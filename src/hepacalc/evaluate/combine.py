"""Several phrases about one block to one line of weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hepacalc.evaluate.cues import REST, Hit

__all__ = ["DEFAULTS", "combined"]

Floats = NDArray[np.float64]

DEFAULTS: Mapping[str, str] = {
    "spleen": "normal", "chest": "normal", "abdomen": "normal", "primary": "none", "symptoms": "none",
    "history": "none", "exposure": "none", "fetal_anomalies": "none", "ducts": "normal",
    "liver_background": "healthy",
}  # fmt: skip
"""The state of a block that gives way when something else is told as well."""
SECOND = 0.3
"""Weight of what a second place tells beside the field that is meant for it."""


def combined(
    states: Sequence[str], hits: Iterable[Hit], *, default: str = "", main: Iterable[str] = ()
) -> Floats | None:
    """Return the weights ``(states,)``; None when the phrases say nothing.

    Clear phrases add up: each state has the largest weight that one of them gives it. Hints multiply. What is denied
    loses weight unless a clear phrase tells it.

    Args:
        states: of the block.
        hits: what was read.
        default: state that gives way when a clear phrase tells another one.
        main: fields that are meant for the block; where they tell something, clear phrases of others count less and
            hints of others not at all.
    """
    main = set(main)
    found = list({_key(hit, main): hit for hit in reversed(list(hits))}.values())[::-1]
    clear = [hit for hit in found if not hit.ruled_out and not hit.is_hint]
    others = [hit for hit in clear if default not in _tops(hit)]
    if default and others:
        clear = others
    first = [hit for hit in clear if hit.field in main]
    rest = [hit for hit in clear if hit not in first]
    line = np.ones(len(states))
    if first:
        line = _union(states, first)
        if rest:
            line = np.maximum(line, SECOND * _union(states, rest))
    elif rest:
        line = _union(states, rest)
    named = {state for hit in clear for state, weight in hit.weights.items() if weight >= 0.5}
    for hit in found:
        if hit.ruled_out:
            line = line * [hit.weights.get(s, 1.0) if s not in named else 1.0 for s in states]
        elif hit.is_hint and (hit.field in main or not first):
            line = line * [hit.weights.get(s, hit.rest) for s in states]
    if line.max() <= 0 or np.ptp(line) < 1e-9:
        return None
    out: Floats = np.maximum(line / line.max(), 1e-3)
    return out


def _key(hit: Hit, main: set[str]) -> tuple[object, ...]:
    """What makes two hints the same: one that is told twice counts once."""
    place = (hit.field in main,) if hit.is_hint or hit.ruled_out else (hit.phrase, hit.field)
    return tuple(sorted(hit.weights.items())), hit.rest, hit.ruled_out, place


def _tops(hit: Hit) -> list[str]:
    top = max(hit.weights.values())
    return [state for state, weight in hit.weights.items() if weight >= top]


def _union(states: Sequence[str], hits: Sequence[Hit]) -> Floats:
    """Largest weight of each state; a state that nobody names gets the smallest rest."""
    rest = min((hit.rest for hit in hits), default=REST)
    return np.array([max([hit.weights[s] for hit in hits if s in hit.weights] or [rest]) for s in states])
