"""The nouns of the reasoning: frozen records that the plan, the report and the JSON are made of.

Texts for readers are pairs ``(language, text)``. A probability carries its 5-95 % band. Source ids are those of
``sources.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

__all__ = [
    "AlsoAsked",
    "CauseProbability",
    "Change",
    "Differential",
    "Explanation",
    "Finding",
    "HarmProbability",
    "LesionDifferentials",
    "NextTest",
    "OpenQuestion",
    "Plan",
    "PlanItem",
    "RedFlag",
    "WeightOfEvidence",
    "as_plain",
]

Names = tuple[tuple[str, str], ...]
"""``(language, text)`` pairs, e.g. ``(("en", "Simple cyst"), ("zh", "..."))``."""

By = Literal["measured", "person", "laboratory", "report", "history"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was said about one block, and by whom.

    Args:
        block: block of ``findings.yaml``.
        weights: ``(state, weight)`` for every state whose weight is above zero.
        text: what was said, one line, no identity.
        by: ``measured`` (on the scan), ``person`` (confirmed or typed in), ``laboratory``, ``report`` or ``history``.
        lesion: id of the lesion that it is about; None when it is about the patient.
        overruled: True when a person said otherwise: kept, shown, not used.
    """

    block: str
    weights: tuple[tuple[str, float], ...]
    text: str
    by: By
    lesion: int | None = None
    overruled: bool = False


# ---------------------------------------------------------------- differential


@dataclass(frozen=True, slots=True)
class CauseProbability:
    """One cause with its probability.

    Args:
        cause: id.
        name: in each language.
        probability: 0-1, the exact posterior.
        low: 5 % point over the parameter draws, never above ``probability``; 0 when nothing was drawn.
        high: 95 % point, never below ``probability``; 1 when nothing was drawn.
        harm: what it means to miss it.
        needle: whether a needle may be put into it.
    """

    cause: str
    name: Names
    probability: float
    low: float
    high: float
    harm: str
    needle: str


@dataclass(frozen=True, slots=True)
class HarmProbability:
    """Probability that the cause is any one of this harm, with its band as in :class:`CauseProbability`."""

    harm: str
    probability: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Differential:
    """Ranked causes of one calcification or of one patient.

    Args:
        network: ``adult`` or ``fetal``.
        setting: id of the setting whose prior was used.
        causes: every cause of the network, most probable first; their probabilities sum to 1.
        harms: one for each harm that the network knows.
        known: blocks that said something, in the order of the network.
        draws: number of parameter draws behind the bands; 0 when none were asked for, then bands are ``[0, 1]``.
        seed: of the draws.
        notes: what a reader must know of how it came about (facts that contradict the setting ...).
    """

    network: str
    setting: str
    causes: tuple[CauseProbability, ...]
    harms: tuple[HarmProbability, ...]
    known: tuple[str, ...]
    draws: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> CauseProbability:
        """The most probable cause."""
        return self.causes[0]

    def __getitem__(self, cause: str) -> CauseProbability:
        for entry in self.causes:
            if entry.cause == cause:
                return entry
        raise KeyError(cause)


@dataclass(frozen=True, slots=True)
class LesionDifferentials:
    """Several lesions in one liver.

    Args:
        lesions: one differential each, in the order given.
        patient: of a lesion picked at random: what most of them are.
        highest: for every cause its highest probability and band over the lesions, most probable first; a harmful
            cause of one lesion is not diluted by the others. Does not sum to 1.
    """

    lesions: tuple[Differential, ...]
    patient: Differential
    highest: tuple[CauseProbability, ...]


# ---------------------------------------------------------------- why


@dataclass(frozen=True, slots=True)
class WeightOfEvidence:
    """How much one block speaks for or against one cause.

    Args:
        block: id.
        said: what was said about it, in words.
        decibans: its share of the change of ``10 log10 odds`` of the cause against all others; above 0 is for it.
        without: probability of the cause if this block were not known (leave-one-out).
        sources: ids behind the cause's figures for this block.
        status: of these figures: read, unchecked, recalled or judgement.
    """

    block: str
    said: tuple[str, ...]
    decibans: float
    without: float
    sources: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a cause stands where it stands: prior decibans plus all weights is posterior decibans.

    Args:
        cause: id.
        probability: posterior.
        prior: probability before any finding.
        prior_decibans: ``10 log10`` of the prior odds.
        posterior_decibans: ``10 log10`` of the posterior odds.
        weights: one for each known block, strongest first.
    """

    cause: str
    probability: float
    prior: float
    prior_decibans: float
    posterior_decibans: float
    weights: tuple[WeightOfEvidence, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One finding that would change the answer.

    Args:
        block: id.
        axis: of a block with two axes, else empty.
        state: the state that would have to be seen.
        known: True when the block is known and the finding would have to be another one than was said.
        chance: probability of seeing it, from what is known; 0 for what was ruled out.
        first: cause that would then be first.
        probability: of that cause then.
        over: harmful causes that would then pass their threshold, with their probability.
    """

    block: str
    axis: str
    state: str
    known: bool
    chance: float
    first: str
    probability: float
    over: tuple[tuple[str, float], ...]


# ---------------------------------------------------------------- what next


@dataclass(frozen=True, slots=True)
class NextTest:
    """What one test is expected to be worth.

    Losses are in units of one needless action; see ``docs/concepts/differential.md``.

    Args:
        test: id.
        name: in each language.
        value: expected loss that knowing its result would avoid.
        cost: of doing it: time, money, radiation, contrast, needle.
        net: value less cost.
        chance_of_change: probability that the action after it differs from the action now.
        bits: expected information about the cause.
        action_now: best action without it: ``leave``, ``watch``, ``act`` (work up) or ``act:CAUSE``.
        forbidden: why it must not be done, in words; empty when it may. Forbidden tests are never ranked above others.
        sources: ids.
    """

    test: str
    name: Names
    value: float
    cost: float
    net: float
    chance_of_change: float
    bits: float
    action_now: str
    forbidden: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def is_worth_it(self) -> bool:
        """Whether it may be done and spares more than it costs; a test that is not is not to be proposed."""
        return not self.forbidden and self.net > 0


@dataclass(frozen=True, slots=True)
class RedFlag:
    """A fact that overrides the ranking and is shown above it.

    Args:
        flag: id of the rule.
        text: in each language.
        why: why it overrides, in each language.
        because: the findings or causes that raised it, in words, each in each language.
        urgency: ``emergency``, ``urgent``, ``soon``, ``routine`` or ``none``.
        sources: ids.
        status: read, unchecked, recalled, ours or judgement.
    """

    flag: str
    text: Names
    why: Names
    because: tuple[Names, ...]
    urgency: str
    sources: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class AlsoAsked:
    """A rule that asks for the same thing as a more urgent one, and so is done with it."""

    rule: str
    action: Names
    sources: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One thing to do, or not to do.

    Args:
        rule: id.
        action: in each language.
        modality: how (``CT without contrast``, ``ultrasound`` ...), or ``none needed`` and why.
        tests: ids of the tests that would do, any one of them; empty where none is needed or none may be done.
        interval: when, in words (``once in 6-12 months``), or ``none needed`` and why.
        due: earliest and latest date ``YYYY-MM-DD`` (of the first time, where it is repeated); None where today or
            the event that it runs from is not known, or nothing is due.
        urgency: ``emergency``, ``urgent``, ``soon``, ``routine`` or ``none``.
        because: what it rests on, in words, each in each language.
        sources: ids.
        status: read, unchecked, recalled, ours or judgement.
        provided: questions that are open: the item holds when each is answered as the rule wants.
        forbidden: tests that the rule names and that must not be done here, with the reason.
        also: less urgent rules that ask for the same.
    """

    rule: str
    action: Names
    modality: Names
    tests: tuple[str, ...]
    interval: Names
    due: tuple[str, str] | None
    urgency: str
    because: tuple[Names, ...]
    sources: tuple[str, ...]
    status: str
    provided: tuple[Names, ...] = ()
    forbidden: tuple[Names, ...] = ()
    also: tuple[AlsoAsked, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Something that is not known and would change the plan.

    Args:
        asks: ``block:ducts``, ``fact:age``, ``lab:alt``.
        text: the question in each language.
        rules: ids of the rules that it keeps open.
        for_stop: True when the stop rule waits for it: one of the few things to ask now.
    """

    asks: str
    text: Names
    rules: tuple[str, ...]
    for_stop: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next: flags first, then the items, most urgent first.

    Args:
        flags: raised red flags.
        items: what to do.
        tests: next best tests, best first; forbidden ones last with their reason.
        stop: where the work-up of the focus ends, in each language; empty when it does not end yet.
        questions: what is not known and would change the plan; those that the stop rule needs first.
        notes: which guideline was applied, what is not evidence-based, each in each language.
    """

    flags: tuple[RedFlag, ...]
    items: tuple[PlanItem, ...]
    tests: tuple[NextTest, ...]
    stop: Names = ()
    questions: tuple[OpenQuestion, ...] = ()
    notes: tuple[Names, ...] = ()


_PAIRS = ("Names", "tuple[tuple[str, float], ...]")


def as_plain(value: Any) -> Any:
    """Turn records into plain Python values for JSON: records and pairs into objects, tuples into lists.

    Pairs are told by the declared type of their field, so other tuples of two texts stay lists.
    """
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain_field(str(f.type), getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): as_plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [as_plain(entry) for entry in value]
    return value


def _plain_field(kind: str, value: Any) -> Any:
    if kind in _PAIRS:
        return dict(value)
    return [dict(pairs) for pairs in value] if kind == "tuple[Names, ...]" else as_plain(value)
