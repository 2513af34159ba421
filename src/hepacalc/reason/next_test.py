"""Which test next: the one whose result is expected to spare the most loss, less what it costs.

Today one would take the action of least expected loss. After a result one would take another where the result moves
the causes far enough. The value of a test is the expected difference (expected value of sample information), in
units of one needless action; a test that cannot change the action is worth nothing, however much it tells, and one
whose value is below its cost is not worth doing. Tests that must not be done are never proposed, and the reason is
told.

What a test reveals is a list of blocks; ``block.state`` (or ``block.state+state``) where it tells only whether the
block is in this state, as a single antibody test does; ``cause`` where it shows the cause itself, as histology does
in 9 of 10.

Reference: Raiffa and Schlaifer 1961, Applied Statistical Decision Theory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.differential import differential, posterior, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.losses import Losses, action_thresholds, losses_of
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import Differential, Names, NextTest

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge, Test

__all__ = ["NEEDLE_LIMIT", "TestOption", "next_tests", "option_of", "value_of"]

Floats = NDArray[np.float64]

NEEDLE_LIMIT = 0.02
"""No blind needle where the upper bound of a never-needle cause reaches this (or the knowledge's ``needle_never``)."""
EXACT = 512
"""Up to so many joint outcomes are all gone through; beyond that a seeded sample is drawn."""
SAMPLE = 1024
CAUSE_SHOWN = 0.9
"""How often a test that reveals ``cause`` gives an answer; else it is not diagnostic. A judgement."""
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
        reveals: what it tells: ``block``, ``block.state``, ``block.state+state`` or ``cause``.
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
    told = {"cause", *network.states}
    options = [option for option in options if any(what.partition(".")[0] in told for what in option.reveals)]
    table = losses_of(network, action_thresholds(knowledge)) if losses is None else losses
    if found is None or found.draws == 0:
        found = differential(evidence, network, setting=place)
    needle = _no_needle(found, NEEDLE_LIMIT if isinstance(knowledge, Network) else _needle_limit(knowledge))
    outcomes = _Outcomes(evidence, network, place, table)
    now = table.actions[outcomes.best_now]
    out = []
    for option in options:
        value, change, bits = outcomes.value(option.reveals)
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
        reveals: as of :class:`TestOption`; blocks of another network, or known for certain, tell nothing.
        evidence: what is known now. Doubt about a block that is revealed is resolved by it.
        network: tables.
        setting: id.
        losses: of being wrong.

    Returns:
        Expected loss that is spared (never negative), probability that the best action changes, and expected
        information about the cause in bits.
    """
    return _Outcomes(evidence, network, setting, losses).value(reveals)


class _Outcomes:
    """What tests can show, from what is known; shared by all tests, so that their values can be compared."""

    def __init__(self, evidence: Evidence, network: Network, setting: str, losses: Losses) -> None:
        self.evidence, self.network, self.setting, self.losses = evidence, network, setting, losses
        self.point = posterior(evidence, network, setting)
        self.log_point = np.log(self.point)
        self.best_now = int((losses.table @ self.point).argmin())
        self._values: dict[tuple[str, ...], tuple[float, float, float]] = {}
        self._open: dict[str, Floats | None] = {}
        self._spoken: dict[str, NDArray[np.float32]] = {}
        # half of the sampled causes by how probable they are, half by how much it costs to miss them
        stake = self.point * np.ptp(losses.table, axis=0)
        proposal = 0.5 * self.point + 0.5 * (stake / stake.sum() if stake.sum() > 0 else self.point)
        # systematic: each cause comes up as often as it should, within one
        places = np.searchsorted(np.cumsum(proposal), (np.arange(SAMPLE) + 0.5) / SAMPLE * proposal.sum(), side="right")
        self.cause = np.minimum(places, len(self.point) - 1)
        weight = self.point[self.cause] / proposal[self.cause]
        self.weight = weight / weight.sum()

    def value(self, reveals: Sequence[str]) -> tuple[float, float, float]:
        """Return spared loss, probability of another action, bits."""
        keys = self.keys(reveals)
        if keys not in self._values:
            self._values[keys] = self._value(keys)
        return self._values[keys]

    def keys(self, reveals: Sequence[str]) -> tuple[str, ...]:
        """Return what of it is open, in the network's order, the same for whatever tells the same."""
        split: dict[str, set[str] | None] = {}
        for what in reveals:
            block, _, states = what.partition(".")
            if not states:
                split[block] = None
            elif (before := split.get(block, set())) is not None:
                split[block] = before | set(states.split("+"))
        order = ("cause", *self.network.states)
        keys = [
            block if states is None else f"{block}.{'+'.join(sorted(states))}"
            for block, states in sorted(
                split.items(), key=lambda item: order.index(item[0]) if item[0] in order else -1
            )
            if block in order
        ]
        return tuple(key for key in keys if self.open(key) is not None)

    def _value(self, blocks: tuple[str, ...]) -> tuple[float, float, float]:
        """Return the same for what is open."""
        if not blocks:
            return 0.0, 0.0, 0.0
        shares = [share for block in blocks if (share := self.open(block)) is not None]
        if np.prod([len(share) for share in shares], dtype=np.float64) <= EXACT:
            joint = self.point[None, :]
            for share in shares:
                joint = (joint[:, None, :] * share[None, :, :]).reshape(-1, len(self.point))
            weight = joint.sum(axis=1)
            then = joint / weight[:, None]
        else:
            weight, then = self.weight, np.repeat(self.point[None, :].astype(np.float32), SAMPLE, axis=0)
            ones = np.ones(len(self.point), np.float32)
            for k, block in enumerate(blocks):
                then *= self.spoken(block)
                # often enough for single precision
                if k % 2 or k == len(blocks) - 1:
                    then /= (then @ ones)[:, None]
        expected = then @ self.losses.table.T.astype(then.dtype)
        spared = expected[:, self.best_now] - expected.min(axis=1)
        # a tie is no change
        change = float(weight @ (spared > 1e-6))
        tiny = np.finfo(then.dtype).tiny
        nats = np.einsum("oc,oc->o", then, np.log(np.maximum(then, tiny))) - then @ self.log_point
        bits = float(weight @ nats) / float(np.log(2))
        return max(float(weight @ spared), 0.0), min(change, 1.0), max(bits, 0.0)

    def open(self, key: str) -> Floats | None:
        """Return ``P(outcome | cause, what is known)``, shape ``(outcomes, causes)``; None when nothing is open."""
        if key not in self._open:
            self._open[key] = self._open_cause() if key == "cause" else self._open_block(*key.split(".", 1))
        return self._open[key]

    def _open_cause(self) -> Floats:
        """One outcome for each cause, and one that is not diagnostic."""
        count = len(self.point)
        return np.vstack([CAUSE_SHOWN * np.eye(count), np.full(count, 1 - CAUSE_SHOWN)])

    def _open_block(self, block: str, states: str = "") -> Floats | None:
        """One outcome for each state that is not ruled out; those that the test cannot tell apart are one."""
        table = self.network.tables(self.setting)[block]
        weights = np.where(table.allowed, self.evidence.weights.get(block, 1.0), 0.0)
        names = self.network.states[block]
        told = states.split("+") if states else names
        if not set(told) <= set(names):
            raise UsageError(
                f"Wanted states of {block} that a test tells, found {states}.", hint=f"It has {', '.join(names)}."
            )
        share = weights[:, None] * table.p
        if states:
            mine = np.array([name in told for name in names])
            share = np.vstack([share[mine], share[~mine].sum(axis=0)])
        share = share[share[:, 0] > 0]
        return share / share.sum(axis=0) if len(share) > 1 else None

    def spoken(self, block: str) -> NDArray[np.float32]:
        """Return ``P(sampled state | cause)`` for each sampled outcome, shape ``(outcomes, causes)``."""
        if block not in self._spoken:
            share = self.open(block)
            assert share is not None, "only open blocks are sampled"
            drawn = np.random.default_rng([7, *block.encode()]).random(SAMPLE)
            rising = np.ascontiguousarray(np.cumsum(share, axis=0).T)
            state = np.empty(SAMPLE, np.intp)
            # sampled causes come in rising order
            starts = np.searchsorted(self.cause, np.arange(len(self.point) + 1))
            for cause in np.flatnonzero(np.diff(starts)):
                mine = slice(starts[cause], starts[cause + 1])
                state[mine] = np.searchsorted(rising[cause], drawn[mine], side="right")
            self._spoken[block] = share.astype(np.float32)[np.minimum(state, len(share) - 1)]
        return self._spoken[block]


def _needle_limit(knowledge: Knowledge) -> float:
    limit = knowledge.thresholds.get("needle_never")
    return NEEDLE_LIMIT if limit is None else float(limit.value)


def _no_needle(found: Differential, limit: float) -> tuple[str, ...]:
    """Say why there must be no blind needle, if so."""
    return tuple(
        f"no blind needle: {dict(cause.name).get('en', cause.cause)} is possible "
        f"(upper bound {cause.high:.1%}, limit {limit:.1%})"
        for cause in found.causes
        if cause.needle == "never" and cause.high >= limit
    )
