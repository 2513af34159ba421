"""What it costs to be wrong, in units of one needless action (a needless work-up of something benign).

One rule makes the losses of missing: *act* where the probability of harm reaches the action threshold t of that harm,
*watch* from one fifth of it. Another makes those of naming: *act on* one harmful cause, without further work-up, where
it reaches :data:`NAMED_FROM`. Above the loss of acting, where that is the right thing to do::

                 leave             watch          act     act on it      act on another
    benign       0                 0.1            1       -              5.5
    watch        0.5               0              0.7     -              5.2
    dangerous    0.5 + computed    0.5 + 0.9 r    0.5     0              5
    malignant    0.5 + computed    0.5 + 0.9 r    0.5     0              5           r = (1 - t) / t

With t = 0.05: watching what should be acted on costs 17, leaving it 27 needless actions. These are stated values of
ours, not measured ones; a site sets its thresholds in the knowledge base, and a caller may pass a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.network import Network

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["DEFAULT_THRESHOLDS", "NAMED_FROM", "Losses", "action_thresholds", "losses_of"]

Floats = NDArray[np.float64]

DEFAULT_THRESHOLDS: Mapping[str, float] = {"dangerous": 0.10, "malignant": 0.05}
"""Probability of a harm from which one acts, where the knowledge base has no ``action_HARM``. A judgement."""
WATCH_COST = 0.1
WATCH_FROM = 0.2
NAMED_FROM = 0.9
"""Probability of one harmful cause from which one acts on it without looking further. A judgement."""
WORK_UP = 0.5
# leave, watch, act for causes that are neither harmful nor worth no look at all
_MILD = {"benign": (0.0, WATCH_COST, 1.0), "watch": (0.5, 0.0, 0.7)}


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss of each action under each cause.

    Args:
        actions: names; ours are ``leave``, ``watch``, ``act`` and ``act:CAUSE`` for each harmful cause.
        table: shape ``(actions, causes)``.
    """

    actions: tuple[str, ...]
    table: Floats


def action_thresholds(knowledge: Knowledge | Network) -> dict[str, float]:
    """Return for each harm the probability from which one acts: ``action_HARM`` of the knowledge base, else ours."""
    limits = dict(DEFAULT_THRESHOLDS)
    if not isinstance(knowledge, Network):
        for harm in limits:
            if f"action_{harm}" in knowledge.thresholds:
                limits[harm] = float(knowledge.thresholds[f"action_{harm}"].value)
    return limits


def losses_of(network: Network, thresholds: Mapping[str, float]) -> Losses:
    """Return the losses that follow from action thresholds.

    Args:
        network: whose causes.
        thresholds: harm to probability, above 0 and below 1.

    Raises:
        UsageError: a threshold that is none, or a harm that has neither a threshold nor a stated loss.
    """
    columns: dict[str, tuple[float, float, float]] = dict(_MILD)
    for harm, t in thresholds.items():
        if not 0 < t < 1:
            raise UsageError(f"Wanted a threshold between 0 and 1 for {harm}, found {t:g}.", hint="0.05 is 5 %.")
        watched = (1 - WATCH_COST) * (1 - t) / t
        start = WATCH_FROM * t
        left = watched + WATCH_COST * (1 - start) / start
        columns[harm] = (left + WORK_UP, watched + WORK_UP, WORK_UP)
    missing = sorted({label.harm for label in network.labels} - set(columns))
    if missing:
        raise UsageError(f"Wanted a loss for each harm, found none for {', '.join(missing)}.", hint="Give a threshold.")
    table = np.array([columns[label.harm] for label in network.labels]).T
    named = [k for k, label in enumerate(network.labels) if label.harm in thresholds]
    # acting on one cause: spares the work-up where it is right, costs so much where it is wrong that 0.9 is the limit
    wrong = table[2] + WORK_UP * NAMED_FROM / (1 - NAMED_FROM)
    on_one = np.where(np.arange(len(wrong)) == np.array(named, int)[:, None], 0.0, wrong)
    actions = ("leave", "watch", "act", *(f"act:{network.cause_ids[k]}" for k in named))
    return Losses(actions, np.vstack([table, on_one]))
