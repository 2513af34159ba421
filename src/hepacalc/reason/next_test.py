"""Which test next: the one whose result is expected to spare the most loss, less what it costs.

Today one would take the action of least expected loss. After a result one would take another where the result moves
the causes far enough. The value of a test is the expected difference (expected value of sample information), in
units of one needless action; a test that cannot change the action is worth nothing, however much it tells. Tests that
must not be done are never proposed, and the reason is told.

Reference: Raiffa and Schlaifer 1961, Applied Statistical Decision Theory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.differential import differential, posterior, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.losses import Losses, action_thresholds, losses_of
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import Differential, Names, NextTest

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge, Test

__all__ = ["NEEDLE_LIMIT", "TestOption", "next_tests", "option_of", "value_of"]

Floats = NDArray[np.float64]

NEEDLE_LIMIT = 0.01
"""No blind needle where the upper bound of a never-needle cause reaches this (or the knowledge's ``never_needle``)."""
EXACT = 2048
"""Up to so many joint outcomes are all gone through; beyond that a seeded sample is drawn."""
SAMPLE = 1024
COST_CLASS = {"low": 0.01, "medium": 0.03, "high": 0.10}
CONTRAST_COST = {"none": 0.0, "microbubbles": 0.01, "gadolinium": 0.02, "iodine": 0.03}
MINUTE_COST, MSV_COST, NEEDLE_COST = 0.0005, 0.004, 0.25
"""In needless actions; judgements of ours: an hour 0.03, a CT of 8 mSv 0.03, a needle 0.25."""


@dataclass(frozen=True)
class TestOption:
    """A test as the reckoning needs it.

    Args:
        id: of the test.
        name: in each language.
        reveals: blocks whose state it tells.
        cost: of doing it, in units of one needless action.
        needle: whether it puts a needle into the lesion.
        sources: ids.
    """

    __test__ = False  # not a case for pytest

    id: str
    name: Names
    reveals: tuple[str, ...]
    cost: float
    needle: bool = False
    sources: tuple[str, ...] = ()


def option_of(test: Test) -> TestOption:
    """Return a test of the knowledge base with time, money, radiation, contrast and needle brought to one cost."""
    cost = (
        COST_CLASS[test.cost_class]
        + CONTRAST_COST[test.contrast]
        + MINUTE_COST * test.minutes
        + MSV_COST * test.radiation_msv
        + NEEDLE_COST * test.needle
    )
    return TestOption(test.id, tuple(test.name.items()), tuple(test.reveals), cost, test.needle, tuple(test.sources))


def next_tests(
    evidence: Evidence,
    knowledge: Knowledge | Network,
    *,
    setting: str | None = None,
    options: Sequence[TestOption] | None = None,
    losses: Losses | None = None,
    forbidden: Mapping[str, Sequence[str]] | None = None,
    found: Differential | None = None,
) -> tuple[NextTest, ...]:
    """Return the tests, of the highest net value first, the forbidden ones last.

    Deterministic: the same input gives the same numbers.

    Args:
        evidence: what is known.
        knowledge: a loaded knowledge base, or one network of it.
        setting: whose prior applies; the evidence's own when left out.
        options: tests to weigh; all of the knowledge base that tell something about this network when left out.
        losses: of being wrong; from the action thresholds of the knowledge base when left out.
        forbidden: test id to why it must not be done (rules that look at more than causes, e.g. pregnancy).
        found: the differential with its bands, where it is there already; a needle is judged on its upper bounds.

    Raises:
        UsageError: no setting, a block that the network does not have.
    """
    network = network_of(knowledge, evidence.network)
    place = setting_of(network, evidence, setting)
    if options is None:
        options = [] if isinstance(knowledge, Network) else [option_of(test) for test in knowledge.tests.values()]
    options = [option for option in options if set(option.reveals) & set(network.states)]
    table = losses_of(network, action_thresholds(knowledge)) if losses is None else losses
    if found is None or found.draws == 0:
        found = differential(evidence, network, setting=place)
    needle = _no_needle(found, NEEDLE_LIMIT if isinstance(knowledge, Network) else _needle_limit(knowledge))
    point = posterior(evidence, network, place)
    now = table.actions[int((table.table @ point).argmin())]
    out = []
    for option in options:
        value, change, bits = value_of(option.reveals, evidence, network, place, table)
        reasons = (*(forbidden or {}).get(option.id, ()), *(needle if option.needle else ()))
        net = value - option.cost
        out.append(
            NextTest(option.id, option.name, value, option.cost, net, change, bits, now, reasons, option.sources)
        )
    return tuple(sorted(out, key=lambda test: (bool(test.forbidden), -test.net, -test.bits, test.test)))


def value_of(
    reveals: Sequence[str], evidence: Evidence, network: Network, setting: str, losses: Losses
) -> tuple[float, float, float]:
    """Return what knowing the state of some blocks is worth.

    Args:
        reveals: blocks; those of another network, and those that are known for certain, tell nothing.
        evidence: what is known now. Doubt about a block that is revealed is resolved by it.
        network: tables.
        setting: id.
        losses: of being wrong.

    Returns:
        Expected loss that is spared (never negative), probability that the best action changes, and expected
        information about the cause in bits.
    """
    point = posterior(evidence, network, setting)
    shares = [
        share
        for block in network.states
        if block in reveals
        if (share := _open(block, evidence, network, setting)) is not None
    ]
    if not shares:
        return 0.0, 0.0, 0.0
    count = int(np.prod([len(share) for share in shares], dtype=np.float64))
    if count <= EXACT:
        joint = point[None, :]
        for share in shares:
            joint = (joint[:, None, :] * share[None, :, :]).reshape(-1, len(point))
        weight = joint.sum(axis=1)
        then = joint / weight[:, None]
    else:
        weight, then = _sampled(point, shares, losses)
    expected = then @ losses.table.T
    best_now = int((losses.table @ point).argmin())
    spared = expected[:, best_now] - expected.min(axis=1)
    # a tie is no change
    changes = spared > 1e-12
    bits = np.sum(then * (np.log2(np.maximum(then, 1e-300)) - np.log2(point)), axis=1)
    return float(weight @ spared), float(weight @ changes), max(float(weight @ bits), 0.0)


def _open(block: str, evidence: Evidence, network: Network, setting: str) -> Floats | None:
    """Return ``P(state | cause, what is known of the block)``, ``(states, causes)``; None when nothing is open."""
    table = network.tables(setting)[block]
    weights = np.where(table.allowed, evidence.weights.get(block, 1.0), 0.0)
    if not weights.any():
        return None
    seen = np.flatnonzero(weights)
    if len(seen) < 2:
        return None
    share = weights[seen, None] * table.p[seen]
    out: Floats = share / share.sum(axis=0)
    return out


def _sampled(point: Floats, shares: Sequence[Floats], losses: Losses) -> tuple[Floats, Floats]:
    """Draw joint outcomes: half of them by how probable the causes are, half by how much it costs to miss them.

    Returns:
        Weight of each outcome, summing to 1, and the posterior after it, shape ``(outcomes, causes)``.
    """
    rng = np.random.default_rng(7)
    stake = point * np.ptp(losses.table, axis=0)
    proposal = 0.5 * point + 0.5 * (stake / stake.sum() if stake.sum() > 0 else point)
    # systematic: each cause comes up as often as it should, within one
    cause = np.searchsorted(np.cumsum(proposal), (np.arange(SAMPLE) + 0.5) / SAMPLE * proposal.sum(), side="right")
    cause = np.minimum(cause, len(point) - 1)
    weight = point[cause] / proposal[cause]
    log_p = np.repeat(np.log(point)[None, :], SAMPLE, axis=0)
    for share in shares:
        rising = np.cumsum(share, axis=0)
        state = (rng.random(SAMPLE)[None, :] > rising[:, cause]).sum(axis=0)
        log_p += np.log(np.maximum(share, 1e-300))[np.minimum(state, len(share) - 1)]
    then = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return weight / weight.sum(), then / then.sum(axis=1, keepdims=True)


def _needle_limit(knowledge: Knowledge) -> float:
    limit = knowledge.thresholds.get("never_needle")
    return NEEDLE_LIMIT if limit is None else float(limit.value)


def _no_needle(found: Differential, limit: float) -> tuple[str, ...]:
    """Say why there must be no blind needle, if so."""
    return tuple(
        f"no blind needle: {cause.cause} is possible (upper bound {cause.high:.1%}, limit {limit:.1%})"
        for cause in found.causes
        if cause.needle == "never" and cause.high >= limit
    )
