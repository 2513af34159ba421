"""The differential: exact posterior of every cause, with its band.

``P(cause | evidence, setting)`` is proportional to ``P(cause | setting)`` times the product over blocks of ``sum over
states of weight * P(state | cause)``. Since the laws of all tables are independent of each other and each row enters
once, the posterior at the mean figures is also the posterior with the figures' doubt integrated out. The band
is how far it moves when the figures are drawn from their laws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import CauseProbability, Differential, HarmProbability
from hepacalc.reason.uncertainty import DRAWS, SEED, bands, draw_bank, drawn_posterior

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = [
    "block_log_likelihoods",
    "differential",
    "posterior",
    "ranked",
    "setting_notes",
    "setting_of",
]

Floats = NDArray[np.float64]


@overload
def differential(
    evidence: Evidence, knowledge: Knowledge | Network, *, setting: str | None = ..., draws: int = ..., seed: int = ...
) -> Differential: ...
@overload
def differential(
    evidence: Sequence[Evidence],
    knowledge: Knowledge | Network,
    *,
    setting: str | None = ...,
    draws: int = ...,
    seed: int = ...,
) -> list[Differential]: ...
def differential(
    evidence: Evidence | Sequence[Evidence],
    knowledge: Knowledge | Network,
    *,
    setting: str | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Differential | list[Differential]:
    """Return the ranked causes of one patient, or of each of several.

    For many thousands of patients see :func:`hepacalc.reason.many.posterior_many`.

    Args:
        evidence: what is known.
        knowledge: a loaded knowledge base, or one network of it.
        setting: whose prior applies; the evidence's own when left out.
        draws: parameter draws for the bands, 100 or more; 0 for none, then every band is ``[0, 1]``.
        seed: of the draws; the same seed gives the same bands.

    Raises:
        UsageError: no setting, a block or state count that the network does not have.
    """
    if isinstance(evidence, Evidence):
        return _one(evidence, network_of(knowledge, evidence.network), setting, draws, seed)
    return [_one(e, network_of(knowledge, e.network), setting, draws, seed) for e in evidence]


def _one(evidence: Evidence, network: Network, setting: str | None, draws: int, seed: int) -> Differential:
    place = setting_of(network, evidence, setting)
    spoken = block_log_likelihoods(evidence, network, place)
    point = _softmax(network.log_prior(place), spoken)
    drawn = drawn_posterior(draw_bank(network, draws, seed), evidence, place) if draws else None
    return ranked(network, place, point, drawn, seed, tuple(spoken), setting_notes(network, evidence, place))


def setting_of(network: Network, evidence: Evidence, setting: str | None) -> str:
    """Return the setting that applies: the one given, else the evidence's own."""
    if setting is None and evidence.setting is None:
        raise UsageError(
            "Wanted a setting, found none.", hint=f"The {network.name} network has {', '.join(network.setting_ids)}."
        )
    return network.known_setting(setting if setting is not None else evidence.setting)


def block_log_likelihoods(evidence: Evidence, network: Network, setting: str) -> dict[str, Floats]:
    """Return ``log P(evidence of the block | cause)``, shape ``(causes,)``, for each block, in the network's order.

    Blocks whose evidence says nothing are left out.
    """
    network.checked(evidence)
    tables = network.tables(setting)
    found = {}
    for block in network.states:
        if block in evidence.weights:
            spoken = tables[block].log_likelihood(evidence.weights[block])
            if spoken is not None:
                found[block] = spoken
    return found


def posterior(evidence: Evidence, network: Network, setting: str) -> Floats:
    """Return ``P(cause | evidence, setting)``, shape ``(causes,)``."""
    return _softmax(network.log_prior(setting), block_log_likelihoods(evidence, network, setting))


def _softmax(log_prior: Floats, spoken: Mapping[str, Floats]) -> Floats:
    log_p = log_prior + sum(spoken.values(), np.zeros(len(log_prior)))
    p = np.exp(log_p - log_p.max())
    out: Floats = p / p.sum()
    return out


def ranked(
    network: Network,
    setting: str,
    point: Floats,
    drawn: NDArray[np.float32] | None,
    seed: int,
    known: tuple[str, ...],
    notes: tuple[str, ...] = (),
) -> Differential:
    """Make the record from arrays.

    Args:
        network: whose causes.
        setting: id.
        point: probabilities ``(causes,)``.
        drawn: the same under each draw, ``(causes, draws)``, used up; None when nothing was drawn.
        seed: of the draws.
        known: blocks that said something.
        notes: for the reader.
    """
    harm_point = np.array([point[members].sum() for members in network.harms.values()])
    if drawn is None:
        low, high = np.zeros_like(point), np.ones_like(point)
        harm_low, harm_high = np.zeros_like(harm_point), np.ones_like(harm_point)
    else:
        sums = np.stack([drawn[members].sum(axis=0) for members in network.harms.values()])
        harm_low, harm_high = bands(sums, harm_point)
        low, high = bands(drawn, point)
    # the sort is stable: causes of equal probability keep the order of the network
    order = np.argsort(-point, kind="stable").tolist()
    p, lo, hi = point.tolist(), low.tolist(), high.tolist()
    ids, labels = network.cause_ids, network.labels
    return Differential(
        network=network.name,
        setting=setting,
        causes=tuple(
            CauseProbability(ids[k], labels[k].name, p[k], lo[k], hi[k], labels[k].harm, labels[k].needle)
            for k in order
        ),
        harms=tuple(
            HarmProbability(harm, float(a), float(b), float(c))
            for harm, a, b, c in zip(network.harms, harm_point, harm_low, harm_high, strict=True)
        ),
        known=known,
        draws=0 if drawn is None else drawn.shape[1],
        seed=seed,
        notes=notes,
    )


def setting_notes(network: Network, evidence: Evidence, setting: str) -> tuple[str, ...]:
    """Say which facts contradict what the setting takes as given; they were not used."""
    tables = network.tables(setting)
    given = network.given.get(setting, {})
    return tuple(
        f"What is said about {block} contradicts the setting {setting}, which takes as given: "
        f"{', '.join(given[block])}. It was not used; check the setting."
        for block in network.states
        if block in given and block in evidence.weights and tables[block].contradicts(evidence.weights[block])
    )
