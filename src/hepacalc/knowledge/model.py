"""What a loaded knowledge base is made of: frozen records with NumPy tables, nothing from YAML or pydantic left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Block",
    "Cause",
    "CauseBlock",
    "Correction",
    "Count",
    "Fact",
    "Guideline",
    "Knowledge",
    "Lab",
    "NetworkTables",
    "Prior",
    "PriorShare",
    "RedFlag",
    "Rule",
    "Setting",
    "Source",
    "Statement",
    "Term",
    "Test",
    "Threshold",
]

Floats = NDArray[np.float64]
Words = Mapping[str, str]
"""The same words by language: ``en`` and ``zh``."""
Condition = Mapping[str, Any]
"""A small tree of plain data, see ``schema_rules.ConditionIn``."""


@dataclass(frozen=True)
class Source:
    """Where a number or a sentence comes from.

    ``status``: ``read`` (the figure was seen in the source), ``unchecked`` (from memory, or a word turned into a
    number), ``judgement`` (a working estimate of ours, never shown as published), ``recalled``, ``site`` (said by a
    site's own file).
    """

    id: str
    citation: str
    year: int | None
    address: str
    status: str
    confidence: float
    kind: str
    about: str
    says: str
    value: float | None
    n: int | None
    N: int | None
    population: str
    work: str


@dataclass(frozen=True)
class Block:
    """One variable of a network.

    ``states`` of a block with ``axes`` (lesion) are ``host/morphology`` in C order: the last axis runs fastest.
    ``base`` has shape ``(states,)`` and sums to 1; ``ess`` is its effective sample size.
    """

    id: str
    network: str
    name: Words
    states: tuple[str, ...]
    state_names: Mapping[str, Words]
    base: Floats
    ess: float
    axes: Mapping[str, tuple[str, ...]] | None
    axis_names: Mapping[str, Mapping[str, Words]] | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Count:
    """A published ``n`` of ``N``: how many had one of ``states``."""

    states: tuple[str, ...]
    n: int
    N: int
    source: str
    status: str


@dataclass(frozen=True)
class CauseBlock:
    """What one cause says of one block.

    ``alpha`` are Dirichlet parameters, shape ``(states,)``: the stated shares times their effective sample size, plus
    the published counts. ``p`` is their mean. ``status`` is that of the stated shares; ``counts`` carry their own.
    """

    p: Floats
    alpha: Floats
    sources: tuple[str, ...]
    status: str
    stated: Floats
    ess: float
    counts: tuple[Count, ...]
    note: str


@dataclass(frozen=True)
class Statement:
    """A sentence with its sources: a trap, a piece of management."""

    text: Words
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Cause:
    """One cause. ``harm``: benign, watch, dangerous, malignant; ``needle``: allowed, caution, never."""

    id: str
    network: str
    group: str
    name: Words
    other_names: Mapping[str, tuple[str, ...]]
    icd10: str
    icd11: str | None
    harm: str
    needle: str
    summary: Words
    traps: tuple[Statement, ...]
    next_tests: tuple[str, ...]
    management: tuple[Statement, ...]
    findings: Mapping[str, CauseBlock]


class PriorShare(NamedTuple):
    """Share of a cause in a setting, its effective sample size, and where both come from."""

    share: float
    ess: float
    source: str


class Prior(NamedTuple):
    """Prior of one setting over the causes of its network, both of shape ``(causes,)``.

    ``alpha`` is the effective sample size of each share by itself, the shape of a Gamma law with mean ``shares``. It
    is NOT ``shares * ess``: a Dirichlet law of so small a size would put nearly every draw of a rare cause at
    nothing, and the upper bound of a rare and dangerous cause below its mean. With 3, the 5-95 % band of a share runs
    from 0.27 to 2.1 times its mean. Use :meth:`draw`.
    """

    shares: Floats
    alpha: Floats

    def draw(self, rng: np.random.Generator, size: int) -> Floats:
        """Return ``size`` draws of the shares, shape ``(size, causes)``, each summing to 1."""
        drawn: Floats = rng.gamma(self.alpha, self.shares / self.alpha, (size, len(self.shares)))
        drawn = np.maximum(drawn, np.finfo(np.float64).tiny)
        drawn /= drawn.sum(axis=1, keepdims=True)
        return drawn


@dataclass(frozen=True)
class Setting:
    """A place or question that sets the prior.

    ``given``: facts that the setting is already conditional on; inside such a block the likelihood of each cause is
    renormalised within the given states, so that the fact is not counted twice. ``derived_from``: the condition on a
    patient's facts under which the setting applies (None: when no other does); ``rank``: the lowest that applies wins.
    """

    id: str
    network: str
    name: Words
    prior: Mapping[str, PriorShare]
    given: Mapping[str, tuple[str, ...]]
    derived_from: Condition | None
    rank: int
    why: Words


@dataclass(frozen=True)
class NetworkTables:
    """The arrays of one network, ready for inference.

    ``alpha``: for each block Dirichlet parameters, shape ``(causes, states)``; P(state | cause) is a row over its sum.
    ``prior``: for each setting of this network its :class:`Prior`.
    """

    name: str
    cause_ids: tuple[str, ...]
    block_ids: tuple[str, ...]
    alpha: Mapping[str, Floats]
    prior: Mapping[str, Prior]


@dataclass(frozen=True)
class Threshold:
    """A number that decides something, with its unit."""

    id: str
    value: float
    unit: str
    name: Words
    source: str
    status: str


@dataclass(frozen=True)
class Guideline:
    """A question on which guidelines disagree; ``chosen`` is the one that a site applies."""

    id: str
    name: Words
    choices: Mapping[str, Words]
    sources: Mapping[str, str]
    chosen: str
    chosen_because: str


@dataclass(frozen=True)
class RedFlag:
    """A fact that overrides any ranked list."""

    id: str
    name: Words
    when: Condition
    why: Words
    sources: tuple[str, ...]
    status: str
    network: str = "adult"
    urgency: str = "urgent"


@dataclass(frozen=True)
class Term:
    """A condition with a name, used by several rules."""

    id: str
    name: Words
    when: Condition


@dataclass(frozen=True)
class Rule:
    """One rule of the plan. ``modality`` and ``interval`` are data, or ``{"none": reason}``.

    ``stop``, ``shown_if``, ``fallback`` and ``beside``: see ``schema_rules.RuleIn``.
    """

    id: str
    when: Condition
    action: Words
    modality: Mapping[str, Any]
    interval: Mapping[str, Any]
    urgency: str
    sources: tuple[str, ...]
    status: str
    stop: Words | None
    network: str = "adult"
    shown_if: Condition | None = None
    fallback: bool = False
    beside: bool = False


@dataclass(frozen=True)
class Fact:
    """A fact that conditions ask for: ``number`` in ``unit``, ``yes_no``, or one of ``choices``."""

    id: str
    name: Words
    kind: str
    unit: str
    choices: Mapping[str, Words]
    ask: Words | None


@dataclass(frozen=True)
class Lab:
    """A laboratory value that conditions ask for: a number in ``unit``, or ``positive``/``negative``."""

    id: str
    name: Words
    unit: str


@dataclass(frozen=True)
class Test:
    """A test that can be done next, with its costs and harms and the blocks it tells about."""

    __test__ = False  # not a case for pytest

    id: str
    name: Words
    reveals: tuple[str, ...]
    minutes: float
    radiation_msv: float
    contrast: str
    needle: bool
    cost_class: str
    needs: tuple[str, ...]
    forbidden_if: Condition | None
    sources: tuple[str, ...]
    status: str


@dataclass(frozen=True)
class Correction:
    """A statement of the lay article that is wrong or garbled, and what is right."""

    id: str
    article: str
    right: Words
    sources: tuple[str, ...]
    status: str


@dataclass(frozen=True)
class Knowledge:
    """The whole knowledge base, checked and ready for use.

    ``version``: the version of the data and a digest of every file in it, the site's overlay included.
    """

    networks: Mapping[str, NetworkTables]
    blocks: Mapping[str, Block]
    causes: Mapping[str, Cause]
    settings: Mapping[str, Setting]
    redflags: Mapping[str, RedFlag]
    rules: Mapping[str, Rule]
    tests: Mapping[str, Test]
    sources: Mapping[str, Source]
    corrections: Mapping[str, Correction]
    thresholds: Mapping[str, Threshold]
    guidelines: Mapping[str, Guideline]
    version: str
    site: str | None
    terms: Mapping[str, Term] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    labs: Mapping[str, Lab] = field(default_factory=dict)
