"""Why a cause stands where it stands: the weight of evidence of each block, in decibans, with its sources.

The weight of evidence of a block is its share of the change of ``10 log10 odds`` of a cause against all others. "All
others" is a mixture whose make-up shifts as findings come in, so shares depend on the order in which one adds them. We
let all blocks grow together from 0 (not known) to 1 (known) and give each block what it adds on the way (the
Aumann-Shapley share of game theory). So no order is preferred, a block about which all causes say the same gets 0, and
the shares sum to posterior decibans minus prior decibans. Against one single rival this is the plain log likelihood
ratio.

References: Good 1950, Probability and the Weighing of Evidence; Aumann and Shapley 1974, Values of Non-Atomic Games.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.differential import block_log_likelihoods, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import Explanation, WeightOfEvidence

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["explain", "fair_shares", "leave_one_out"]

Floats = NDArray[np.float64]
NODES = np.polynomial.legendre.leggauss(12)
"""Points and weights of the integration along the path (Gauss-Legendre)."""
DECIBANS = 10 / np.log(10)
# from the firmest to the softest; the softest of several is shown
STATUSES = ("read", "unchecked", "recalled", "ours", "site", "judgement")


def explain(
    evidence: Evidence,
    knowledge: Knowledge | Network,
    *,
    setting: str | None = None,
    causes: int | Sequence[str] = 5,
) -> tuple[Explanation, ...]:
    """Return the weights of evidence for the leading causes.

    Args:
        evidence: what is known.
        knowledge: a loaded knowledge base; with a bare network the sources stay empty.
        setting: whose prior applies; the evidence's own when left out.
        causes: how many, from the most probable on, or which.

    Raises:
        UsageError: no setting, or a block that the network does not have.
    """
    network = network_of(knowledge, evidence.network)
    place = setting_of(network, evidence, setting)
    found = block_log_likelihoods(evidence, network, place)
    log_prior = network.log_prior(place)
    blocks = np.array(list(found.values())).reshape(len(found), len(log_prior))
    prior, point = _softmax(log_prior), _softmax(log_prior + blocks.sum(axis=0))
    without = leave_one_out(log_prior, blocks)
    if isinstance(causes, int):
        chosen = np.argsort(-point, kind="stable")[:causes].tolist()
    else:
        chosen = [network.index[cause] for cause in causes]
    out = []
    for k in chosen:
        shares = fair_shares(log_prior, blocks, k) * DECIBANS
        weights = [
            WeightOfEvidence(
                block,
                tuple(said.text for said in evidence.said.get(block, ())),
                float(shares[row]),
                float(without[row, k]),
                *_sources(knowledge, network.cause_ids[k], block),
            )
            for row, block in enumerate(found)
        ]
        out.append(
            Explanation(
                cause=network.cause_ids[k],
                probability=float(point[k]),
                prior=float(prior[k]),
                prior_decibans=float(_log_odds(log_prior, k) * DECIBANS),
                posterior_decibans=float(_log_odds(log_prior + blocks.sum(axis=0), k) * DECIBANS),
                weights=tuple(sorted(weights, key=lambda weight: -abs(weight.decibans))),
            )
        )
    return tuple(out)


def fair_shares(log_prior: Floats, blocks: Floats, cause: int) -> Floats:
    """Return each block's share of the change of the log odds of a cause against all others, shape ``(blocks,)``.

    With every log likelihood scaled by t, block b moves the log odds by ``l[b, cause] - sum over others of w(t) * l[b,
    other]``, w being the others' shares among themselves; the integral over t from 0 to 1 is taken by Gauss-Legendre
    panels that are short against the steepest change, so that the error is below 1e-9.

    Args:
        log_prior: ``(causes,)``.
        blocks: log likelihoods ``(blocks, causes)``.
        cause: index.
    """
    if len(blocks) == 0:
        return np.zeros(0)
    rest = np.arange(len(log_prior)) != cause
    total = blocks.sum(axis=0)[rest]
    panels = int(np.ceil(np.ptp(total) / 2)) + 2
    nodes, weights = NODES
    t = ((np.arange(panels)[:, None] + (nodes + 1) / 2) / panels).ravel()
    log_w = log_prior[rest] + t[:, None] * total
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    mean = np.tile(weights / 2 / panels, panels) @ w
    shares: Floats = blocks[:, cause] - blocks[:, rest] @ mean
    return shares


def leave_one_out(log_prior: Floats, blocks: Floats) -> Floats:
    """Return the posterior with one block taken away, shape ``(blocks, causes)``."""
    log_p = log_prior + blocks.sum(axis=0) - blocks
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True, initial=-np.inf))
    out: Floats = p / p.sum(axis=1, keepdims=True)
    return out


def _softmax(log_p: Floats) -> Floats:
    p = np.exp(log_p - log_p.max())
    out: Floats = p / p.sum()
    return out


def _log_odds(log_p: Floats, cause: int) -> float:
    """Log odds of a cause against all others, exact also where its probability rounds to 1."""
    rest = np.delete(log_p, cause)
    top = rest.max()
    return float(log_p[cause] - top - np.log(np.exp(rest - top).sum()))


def _sources(knowledge: Knowledge | Network, cause: str, block: str) -> tuple[tuple[str, ...], str]:
    """Return the sources of a cause's figures for a block, and the softest status among them."""
    if isinstance(knowledge, Network):
        return (), ""
    figures = knowledge.causes[cause].findings.get(block)
    # a cause that says nothing about a block has the figures of the vocabulary, all of them judgements
    sources = figures.sources if figures is not None else knowledge.blocks[block].sources
    statuses = [knowledge.sources[source].status for source in sources if source in knowledge.sources]
    statuses.append(figures.status if figures is not None else "judgement")
    return tuple(sources), max(statuses, key=lambda word: STATUSES.index(word) if word in STATUSES else len(STATUSES))
