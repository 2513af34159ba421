"""Two simpler answers to the same input, to judge the differential against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import Network

__all__ = ["naive_posterior", "prior_only"]

Floats = NDArray[np.float64]


def prior_only(network: Network, setting: str) -> Floats:
    """Return ``P(cause | setting)``, shape ``(causes,)``: the answer of one who does not look."""
    return network.prior_mean(setting)


def naive_posterior(evidence: Evidence, network: Network, setting: str) -> Floats:
    """Return the answer of plain naive Bayes without blocks, shape ``(causes,)``.

    Every state of every block, and every value of every axis, is a finding of its own that is there or not there, as
    if they were independent: seeing one state counts once for itself and again against each of the others, and
    host and morphology of a lesion are counted apart. Doubt is a share of "there". ``given`` is used as in the
    differential.
    """
    network.checked(evidence)
    tables = network.tables(setting)
    log_p = network.log_prior(setting)
    for block, weights in evidence.weights.items():
        table = tables[block]
        inside = np.where(table.allowed, weights, 0.0)
        if not inside.any() or inside[table.allowed].min() == inside[table.allowed].max():
            continue
        share = inside / inside.sum()
        for there, p in _features(share, table.p, network.axes.get(block)):
            known = p.max(axis=1) > 0
            log_p += there[known] @ np.log(p[known]) + (1 - there[known]) @ np.log(np.maximum(1 - p[known], 1e-9))
    p = np.exp(log_p - log_p.max())
    out: Floats = p / p.sum()
    return out


def _features(share: Floats, p: Floats, axes: Mapping[str, tuple[str, ...]] | None) -> list[tuple[Floats, Floats]]:
    """Return ``(how far each value is there, P(value | cause))`` for the block, or for each of its axes."""
    if not axes:
        return [(share, p)]
    shape = tuple(len(values) for values in axes.values())
    out = []
    for axis in range(len(shape)):
        others = tuple(k for k in range(len(shape)) if k != axis)
        out.append((share.reshape(shape).sum(axis=others), p.reshape(*shape, -1).sum(axis=others)))
    return out
