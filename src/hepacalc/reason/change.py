"""What would change the answer: the single findings that would bring another cause on top, or a harmful one over its
threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.differential import block_log_likelihoods, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.losses import action_thresholds
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import Change

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["what_would_change"]

Floats = NDArray[np.float64]


def what_would_change(
    evidence: Evidence,
    knowledge: Knowledge | Network,
    *,
    setting: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    most: int = 12,
) -> tuple[Change, ...]:
    """Return single findings that would change the answer: first those not known yet, the likelier the earlier.

    Every state of every block is tried in turn in place of what is known of that block (of a block with axes, every
    value of an axis, together with what is known of the other axes).

    Args:
        evidence: what is known.
        knowledge: a loaded knowledge base, or one network of it.
        setting: whose prior applies; the evidence's own when left out.
        thresholds: harm to the probability of a cause from which one acts; the knowledge base's own when left out.
        most: how many to return at most.

    Raises:
        UsageError: no setting, or a block that the network does not have.
    """
    network = network_of(knowledge, evidence.network)
    place = setting_of(network, evidence, setting)
    known = block_log_likelihoods(evidence, network, place)
    total = network.log_prior(place) + sum(known.values(), np.zeros(len(network.cause_ids)))
    point = _posterior(total[None, :])[0]
    limits = action_thresholds(knowledge) if thresholds is None else thresholds
    limit = np.array([limits.get(label.harm, np.inf) for label in network.labels])
    found: list[Change] = []
    for block in network.states:
        rest = total - known.get(block, 0.0)
        tried = list(_hypotheses(network, evidence, place, block, is_known=block in known))
        if not tried:
            continue
        then = _posterior(rest + np.array([line for _, _, line, _ in tried]))
        for (axis, state, _, chances), p in zip(tried, then, strict=True):
            first = int(p.argmax())
            over = np.flatnonzero((p >= limit) & (point < limit))
            if first == int(point.argmax()) and not len(over):
                continue
            passing = tuple((network.cause_ids[k], float(p[k])) for k in over[np.argsort(-p[over], kind="stable")])
            chance = float(chances @ point)
            found.append(
                Change(block, axis, state, block in known, chance, network.cause_ids[first], float(p[first]), passing)
            )
    found.sort(key=lambda change: (change.known, -change.chance))
    return tuple(found[:most])


def _hypotheses(
    network: Network, evidence: Evidence, setting: str, block: str, *, is_known: bool
) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Yield axis, state, ``log P(state | cause)`` and ``P(state | cause, what is known of the block)``."""
    table = network.tables(setting)[block]
    weights = np.where(table.allowed, evidence.weights[block] if is_known else 1.0, 0.0)
    share = weights[:, None] * table.p
    share = share / share.sum(axis=0)
    axes = network.axes.get(block)
    if not axes:
        for k in np.flatnonzero(table.allowed).tolist():
            yield "", network.states[block][k], table.log_p[k], share[k]
        return
    places = np.indices([len(values) for values in axes.values()]).reshape(len(axes), -1)
    for row, (axis, values) in enumerate(axes.items()):
        for k, value in enumerate(values):
            member = (places[row] == k) & table.allowed
            if not member.any():
                continue
            # with what is known of the other axes, unless that leaves nothing
            kept = _other_axes(weights, places, row) * member
            kept = kept if kept.any() else member.astype(np.float64)
            yield axis, value, np.log(kept / kept.max() @ table.p), share[member].sum(axis=0)


def _other_axes(weights: Floats, places: NDArray[np.int_], row: int) -> Floats:
    """Return for each state the greatest weight of any state that agrees with it on all other axes."""
    others = np.delete(places, row, axis=0)
    _, group = np.unique(others, axis=1, return_inverse=True)
    group = group.ravel()
    top = np.zeros(int(group.max()) + 1)
    np.maximum.at(top, group, weights)
    out: Floats = top[group]
    return out


def _posterior(log_p: Floats) -> Floats:
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    out: Floats = p / p.sum(axis=1, keepdims=True)
    return out
