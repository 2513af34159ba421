"""The network as arrays: setting -> cause -> one table for each block.

``P(cause | setting)`` and ``P(state | cause)`` are the means of their laws, floored so that nothing is ever impossible:
a share :data:`PRIOR_FLOOR` of each prior is spread evenly over the causes, and a share :data:`STATE_FLOOR` of each
row of a table evenly over the states. One block with a binary answer can so shift the odds of two causes by 33
decibans at most, and no number of blocks can make a cause's probability zero.

Where a setting is already conditional on a fact (``given``), each row is restricted to the given states and
renormalised, so that the fact is not counted twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.records import Names

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["PRIOR_FLOOR", "STATE_FLOOR", "CauseLabel", "Network", "Table", "network_of"]

PRIOR_FLOOR = 1e-3
"""Share of each prior that is spread evenly over all causes (1.6e-5 for each of 62)."""
STATE_FLOOR = 1e-3
"""Share of each row of a table that is spread evenly over its states (5e-4 for each of 2, 6.5e-6 for each of 154)."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CauseLabel:
    """What a result says of a cause beside its probability."""

    name: Names = ()
    harm: str = "watch"
    needle: str = "caution"


@dataclass(frozen=True, eq=False)
class Table:
    """One block under one setting.

    Args:
        p: ``P(state | cause)``, shape ``(states, causes)``; zero outside the given states, each column sums to 1.
        log_p: the same as logarithm with one row more, shape ``(states + 1, causes)``. The last row, and rows outside
            the given states, are zero: they say nothing.
        allowed: given states, shape ``(states,)``.
    """

    p: Floats
    log_p: Floats
    allowed: Bools

    def log_likelihood(self, weights: Floats) -> Floats | None:
        """Return ``log P(evidence | cause)``, shape ``(causes,)``, up to a constant; None when it says nothing.

        Weights that leave no given state contradict the setting; they too say nothing (:meth:`contradicts`).
        """
        inside = weights[self.allowed]
        top = inside.max()
        if inside.min() == top:
            return None
        seen = np.flatnonzero(inside)
        if len(seen) == 1:
            row: Floats = self.log_p[np.flatnonzero(self.allowed)[seen[0]]]
            return row
        likelihood: Floats = np.log(weights @ self.p / top)
        return likelihood

    def contradicts(self, weights: Floats) -> bool:
        """Whether the weights rule out every state that the setting takes as given."""
        return not weights[self.allowed].any()


@dataclass(frozen=True, eq=False)
class Network:
    """Tables of one network. Make it with :func:`network_of`; a caller never changes it.

    Args:
        name: ``adult`` or ``fetal``.
        cause_ids: in the order of every ``(causes,)`` axis.
        labels: one for each cause.
        states: block id to its states; their order is the order of the blocks.
        alpha: block id to Dirichlet parameters, shape ``(causes, states)``, not negative, each row above zero.
        prior: setting id to ``(shares, shape)``, both ``(causes,)``: each share follows a Gamma law with this mean
            and this shape parameter (above 0), and the shares are then brought to sum to 1.
        given: setting id to the states it is already conditional on, ``{block: states}``.
        axes: of blocks that have them: ``{block: {axis: values}}``; states are then ``a/b`` in C order.
    """

    name: str
    cause_ids: tuple[str, ...]
    labels: tuple[CauseLabel, ...]
    states: Mapping[str, tuple[str, ...]]
    alpha: Mapping[str, Floats]
    prior: Mapping[str, tuple[Floats, Floats]]
    given: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    axes: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    _tables: dict[str, dict[str, Table]] = field(default_factory=dict, repr=False)

    @property
    def block_ids(self) -> tuple[str, ...]:
        """Blocks in the order of the vocabulary."""
        return tuple(self.states)

    @property
    def setting_ids(self) -> tuple[str, ...]:
        """Settings that have a prior here."""
        return tuple(self.prior)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each cause."""
        return {cause: k for k, cause in enumerate(self.cause_ids)}

    @cached_property
    def harms(self) -> dict[str, Bools]:
        """For each harm of this network, which causes have it, shape ``(causes,)``."""
        words = [label.harm for label in self.labels]
        return {harm: np.array([word == harm for word in words]) for harm in sorted(set(words))}

    def prior_mean(self, setting: str) -> Floats:
        """Return ``P(cause | setting)`` with its floor, shape ``(causes,)``."""
        shares = self.prior[self.known_setting(setting)][0]
        mean: Floats = (1 - PRIOR_FLOOR) * shares / shares.sum() + PRIOR_FLOOR / len(shares)
        return mean

    def log_prior(self, setting: str) -> Floats:
        """Return the logarithm of :meth:`prior_mean`."""
        log_p: Floats = np.log(self.prior_mean(setting))
        return log_p

    def tables(self, setting: str) -> dict[str, Table]:
        """Return the tables under one setting; built once."""
        if self.known_setting(setting) not in self._tables:
            self._tables[setting] = {block: self._table(block, setting) for block in self.states}
        return self._tables[setting]

    def allowed(self, block: str, setting: str) -> Bools:
        """Return which states of a block the setting leaves, shape ``(states,)``."""
        given = self.given.get(setting, {}).get(block)
        names = self.states[block]
        if given is None:
            return np.ones(len(names), bool)
        if not given or not set(given) <= set(names):
            raise UsageError(
                f"Wanted given states of {block} in the setting {setting}, found {', '.join(given) or 'none'}.",
                hint=f"It has {', '.join(names)}.",
            )
        return np.isin(names, given)

    def known_setting(self, setting: str | None) -> str:
        """Return the setting if this network has it, else refuse."""
        if setting is None or setting not in self.prior:
            raise UsageError(
                f"Wanted a setting of the {self.name} network, found {setting or 'none'}.",
                hint=f"It has {', '.join(self.prior)}.",
            )
        return setting

    def checked(self, evidence: Evidence) -> Evidence:
        """Return the evidence if every block of it fits this network, else refuse."""
        if evidence.network != self.name:
            raise UsageError(
                f"Wanted evidence of the {self.name} network, found {evidence.network}.",
                hint="A fetus and an adult are assessed apart.",
            )
        for block, weights in evidence.weights.items():
            wanted = len(self.states.get(block, ()))
            if wanted != len(weights):
                found = f"{len(weights)} weights for the block {block}, which has {wanted} states"
                raise UsageError(
                    f"Wanted one weight for each state, found {found if wanted else f'the unknown block {block}'}.",
                    hint=f"Blocks are {', '.join(self.states)}.",
                )
        return evidence

    def _table(self, block: str, setting: str) -> Table:
        """Restrict to the given states, normalise, floor."""
        allowed = self.allowed(block, setting)
        alpha = np.where(allowed, self.alpha[block], 0.0)
        total = alpha.sum(axis=1, keepdims=True)
        flat = allowed / allowed.sum()
        p = np.where(total > 0, alpha / np.where(total > 0, total, 1.0), flat)
        p = np.ascontiguousarray(((1 - STATE_FLOOR) * p + STATE_FLOOR * flat).T)
        log_p = np.zeros((len(allowed) + 1, p.shape[1]))
        log_p[:-1][allowed] = np.log(p[allowed])
        for array in (p, log_p, allowed):
            array.setflags(write=False)
        return Table(p, log_p, allowed)


_CACHE: list[tuple[Knowledge, str, Network]] = []
_LOCK = threading.Lock()
_KEPT = 4


def network_of(knowledge: Knowledge | Network, name: str) -> Network:
    """Return one network of a knowledge base as arrays; the last few are kept.

    Args:
        knowledge: a loaded knowledge base, or a network, which is returned as it is.
        name: ``adult`` or ``fetal``.

    Raises:
        UsageError: the knowledge base has no such network, or the network is another one.
    """
    if isinstance(knowledge, Network):
        if knowledge.name != name:
            raise UsageError(f"Wanted the {name} network, found {knowledge.name}.", hint="Pass the other one.")
        return knowledge
    with _LOCK:
        for known, called, network in _CACHE:
            if known is knowledge and called == name:
                return network
        network = _build(knowledge, name)
        _CACHE.insert(0, (knowledge, name, network))
        del _CACHE[_KEPT:]
        return network


def _build(knowledge: Knowledge, name: str) -> Network:
    """Take from a knowledge base what one network needs."""
    if name not in knowledge.networks:
        raise UsageError(
            f"Wanted a network of the knowledge base, found {name}.", hint=f"It has {', '.join(knowledge.networks)}."
        )
    source = knowledge.networks[name]
    causes = [knowledge.causes[cause] for cause in source.cause_ids]
    blocks = {block: knowledge.blocks[block] for block in source.block_ids}
    return Network(
        name=name,
        cause_ids=tuple(source.cause_ids),
        labels=tuple(CauseLabel(tuple(cause.name.items()), cause.harm, cause.needle) for cause in causes),
        states={block: tuple(found.states) for block, found in blocks.items()},
        alpha={block: np.asarray(source.alpha[block], np.float64) for block in blocks},
        prior={
            setting: (np.asarray(p.shares, float), np.asarray(p.alpha, float)) for setting, p in source.prior.items()
        },
        given={setting: dict(knowledge.settings[setting].given) for setting in source.prior},
        axes={block: dict(found.axes) for block, found in blocks.items() if found.axes},
    )
