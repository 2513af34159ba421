"""What it costs to be wrong, in units of one needless action (a needless work-up of something benign).

One rule makes all losses: *act* where the probability of harm reaches the action threshold t of that harm, *watch* from
one fifth of it. Missing a cause of threshold t then costs what makes both indifferent there::

                 leave             watch          act
    benign       0                 0.1            1
    watch        0.5               0              0.7
    dangerous    as computed       0.9 (1-t)/t    0
    malignant    as computed       0.9 (1-t)/t    0

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

__all__ = ["ACTIONS", "DEFAULT_THRESHOLDS", "Losses", "action_thresholds", "losses_of"]

Floats = NDArray[np.float64]

ACTIONS = ("leave", "watch", "act")
DEFAULT_THRESHOLDS: Mapping[str, float] = {"dangerous": 0.10, "malignant": 0.05}
"""Probability of a harm from which one acts, where the knowledge base has no ``action_HARM``. A judgement."""
WATCH_COST = 0.1
WATCH_FROM = 0.2
# leave, watch, act for causes that are neither harmful nor worth no look at all
_MILD = {"benign": (0.0, WATCH_COST, 1.0), "watch": (0.5, 0.0, 0.7)}


@dataclass(frozen=True, eq=False)
class Losses:
    """Loss of each action under each cause.

    Args:
        actions: names.
        table: shape ``(actions, causes)``, not negative.
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
        columns[harm] = (watched + WATCH_COST * (1 - start) / start, watched, 0.0)
    missing = sorted({label.harm for label in network.labels} - set(columns))
    if missing:
        raise UsageError(f"Wanted a loss for each harm, found none for {', '.join(missing)}.", hint="Give a threshold.")
    return Losses(ACTIONS, np.array([columns[label.harm] for label in network.labels]).T)
