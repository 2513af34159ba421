"""How rules, red flags, tests and reference cases must look, and the small language of their conditions.

A condition is a tree of plain data::

    {all: [...]}  {any: [...]}  {not: ...}
    {block: ducts, states: [dilated, stricture], least: 0.5}       evidence lies in these states
    {block: lesion, host: [solid_mass], morphology: [rim], least: 0.5}
    {cause: ce, upper: 0.05}                                       upper bound of a cause ...
    {cause: malignant, upper: action_malignant}                    ... of a harm word or group; or a threshold's id
    {lab: alt, above_uln: 1}   {lab: hbv_dna, above: 2000}   {lab: hbsag, is: positive}
    {fact: age, above: 40}     {fact: sex, is: female}
    {guideline: hbv, is: easl_2025}                                the guideline that the site applies
    {always: true}
    {unless: ...}                                                  true unless the condition is known to be met
    {term: simple_focus}                                           a named condition of ``terms`` in rules.yaml
    {flag: growth}   {flag: any}                                   a red flag that is raised (rules only)

``{ducts: [dilated], least: 0.5}`` is short for the third; ``least`` is 0.5 when left out. ``known: true`` asks only
whether something is known. ``cause`` is an id, a harm, a group (``metastasis``), or ``never`` (no needle allowed).
A condition on something unknown is not met, and its ``not`` is not met either: unknown is never negative. Only
``unless`` lets the unknown pass; it is for what need not be asked. Facts and laboratory values are those of facts.yaml.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from hepacalc.knowledge.schema_base import Identifier, Share, SourceRefs, Status, Strict, Words

__all__ = [
    "Condition",
    "ConditionIn",
    "FactIn",
    "FactsIn",
    "LabIn",
    "RedFlagIn",
    "ReferenceCaseIn",
    "ReferenceCasesIn",
    "RuleIn",
    "RulesIn",
    "TermIn",
    "TestIn",
    "TestsIn",
    "plain_condition",
]

Level = float | Identifier
"""A number, or the id of a threshold."""

_COMPARED = ("is_", "above", "below", "at_least", "at_most", "above_uln", "below_uln", "known")
_SUBJECTS = ("all_", "any_", "not_", "unless", "term", "flag", "block", "cause", "lab", "fact", "guideline", "always")
_FIELDS = {
    "all", "any", "not", "unless", "term", "flag", "block", "cause",
    "lab", "fact", "guideline", "always", "states", "host", "morphology",
    "least", "upper", "mean", "is", "above", "below", "at_least", "at_most", "above_uln", "below_uln", "known",
}  # fmt: skip


def _long_form(value: Any) -> Any:
    """Turn ``{ducts: [dilated]}`` into ``{block: ducts, states: [dilated]}``."""
    if isinstance(value, dict):
        short = [key for key in value if key not in _FIELDS]
        if len(short) == 1 and isinstance(value[short[0]], list) and not set(value) & {"block", "states"}:
            rest = {key: item for key, item in value.items() if key != short[0]}
            return {"block": short[0], "states": value[short[0]], **rest}
    return value


class ConditionIn(Strict):
    """One node of a condition, see the module's text."""

    all_: list[Condition] | None = Field(default=None, validation_alias="all", min_length=1)
    any_: list[Condition] | None = Field(default=None, validation_alias="any", min_length=1)
    not_: Condition | None = Field(default=None, validation_alias="not")
    unless: Condition | None = None
    term: Identifier | None = None
    flag: Identifier | None = None
    always: Literal[True] | None = None
    block: Identifier | None = None
    states: list[str] | None = Field(default=None, min_length=1)
    host: list[Identifier] | None = Field(default=None, min_length=1)
    morphology: list[Identifier] | None = Field(default=None, min_length=1)
    least: Share | None = None
    cause: str | None = None
    upper: Level | None = None
    mean: Level | None = None
    lab: Identifier | None = None
    fact: Identifier | None = None
    guideline: Identifier | None = None
    is_: str | bool | float | list[str] | None = Field(default=None, validation_alias=AliasChoices("is", "is_"))
    above: Level | None = None
    below: Level | None = None
    at_least: Level | None = None
    at_most: Level | None = None
    above_uln: float | None = Field(default=None, gt=0)
    below_uln: float | None = Field(default=None, gt=0)
    known: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        subjects = [name for name in _SUBJECTS if getattr(self, name) is not None]
        if len(subjects) != 1:
            raise ValueError(
                "a condition has exactly one of all, any, not, unless, term, flag, block, cause, lab, fact, "
                "guideline, always"
            )
        given = {name for name in type(self).model_fields if getattr(self, name) is not None} - set(subjects)
        allowed: dict[str, set[str]] = {
            "block": {"states", "host", "morphology", "least", "known"},
            "cause": {"upper", "mean"},
            "lab": set(_COMPARED),
            "fact": set(_COMPARED) - {"above_uln", "below_uln"},
            "guideline": {"is_"},
        }
        if odd := given - allowed.get(subjects[0], set()):
            raise ValueError(f"{subjects[0].rstrip('_')} does not go with {', '.join(sorted(odd))}")
        if subjects[0] in allowed and not given - {"least"}:
            raise ValueError(f"{subjects[0]} asks for nothing")
        return self


Condition = Annotated[ConditionIn, BeforeValidator(_long_form)]
ConditionIn.model_rebuild()


def plain_condition(condition: ConditionIn | None) -> dict[str, Any] | None:
    """Return a condition as plain data in its long form, with the key names of the files."""
    if condition is None:
        return None
    found: dict[str, Any] = {}
    for name in type(condition).model_fields:
        value = getattr(condition, name)
        if isinstance(value, ConditionIn):
            value = plain_condition(value)
        elif isinstance(value, list) and value and isinstance(value[0], ConditionIn):
            value = [plain_condition(part) for part in value]
        if value is not None:
            found[name.rstrip("_")] = value
    return found


RuleStatus = Literal["read", "unchecked", "recalled", "judgement", "ours"]
Span = float | Annotated[list[float], Field(min_length=2, max_length=2)]


class ModalityIn(Strict):
    """How to look: ids of tests (any one of them), or none and why."""

    tests: list[Identifier] | None = Field(default=None, min_length=1)
    none: Words | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.tests is None) == (self.none is None):
            raise ValueError("give tests, or none with the reason")
        return self


class IntervalIn(Strict):
    """When: now, once after a span (a number, or from-to), every span, or never and why.

    A span runs from today, or ``since`` another event, whose day is then not known.
    """

    now: Literal[True] | None = None
    days: Span | None = None
    weeks: Span | None = None
    months: Span | None = None
    years: Span | None = None
    every: bool = False
    since: Words | None = None
    none: Words | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        spans = [getattr(self, name) for name in ("days", "weeks", "months", "years")]
        if sum(item is not None for item in (*spans, self.now, self.none)) != 1:
            raise ValueError("give exactly one of now, days, weeks, months, years, none with the reason")
        for span in spans:
            low, high = span if isinstance(span, list) else (span, span)
            if low is not None and high is not None and not 0 < low <= high:
                raise ValueError("a span is above 0 and runs from low to high")
        if (self.every or self.since) and (self.now or self.none):
            raise ValueError("every and since need a span")
        return self


def _short_modality(value: Any) -> Any:
    if isinstance(value, str):
        return {"tests": [value]}
    return {"tests": value} if isinstance(value, list) else value


def _short_interval(value: Any) -> Any:
    return {"now": True} if value == "now" else value


Network = Literal["adult", "fetal"]
Urgency = Literal["emergency", "urgent", "soon", "routine", "none"]


class TermIn(Strict):
    """A condition with a name, used by several rules. It may use terms that stand above it."""

    id: Identifier
    name: Words
    when: Condition


class RedFlagIn(Strict):
    """A red flag."""

    id: Identifier
    network: Network = "adult"
    urgency: Urgency = "urgent"
    name: Words
    when: Condition
    why: Words
    source: SourceRefs
    status: RuleStatus


class RuleIn(Strict):
    """A rule of the plan. ``modality: mri`` and ``interval: now`` are short for the long forms.

    ``stop`` is what is said when the rule ends the work-up of the focus; such a rule gives way to red flags and to
    anything that is due soon. ``shown_if``: where ``when`` is open only because facts are not known, and this is
    met, the rule is shown for the case that they are as it wants, with the questions. ``fallback``: applies only
    when no other rule asks for anything. ``beside``: judged apart from the focus (hepatitis B), no bar to a stop.
    """

    id: Identifier
    network: Network = "adult"
    when: Condition
    action: Words
    modality: Annotated[ModalityIn, BeforeValidator(_short_modality)]
    interval: Annotated[IntervalIn, BeforeValidator(_short_interval)]
    urgency: Urgency
    source: SourceRefs
    status: RuleStatus
    stop: Words | None = None
    shown_if: Condition | None = None
    fallback: bool = False
    beside: bool = False


class RulesIn(Strict):
    """``rules.yaml``."""

    terms: list[TermIn] = Field(default=[])
    redflags: list[RedFlagIn] = Field(default=[])
    rules: list[RuleIn] = Field(default=[])


REVEALS = r"^(cause|[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*(\+[a-z0-9][a-z0-9_]*)*)?)$"
"""A block, ``block.state`` or ``block.state+state`` where the test tells only of these, or ``cause`` (histology)."""


class TestIn(Strict):
    """One test that can be done next. ``needs``: facts and laboratory values to know before it."""

    __test__ = False  # not a case for pytest

    id: Identifier
    name: Words
    reveals: list[Annotated[str, Field(pattern=REVEALS)]]
    minutes: float = Field(ge=0)
    radiation_msv: float = Field(ge=0, le=100)
    contrast: Literal["none", "iodine", "gadolinium", "microbubbles"]
    needle: bool
    cost_class: Literal["low", "medium", "high"]
    needs: list[Identifier] = Field(default=[])
    forbidden_if: Condition | None = None
    source: SourceRefs
    status: RuleStatus


class TestsIn(Strict):
    """``tests.yaml``."""

    __test__ = False

    tests: list[TestIn] = Field(default=[])


class FactIn(Strict):
    """A fact of the patient or the examination that conditions ask for. ``unknown`` is never a choice."""

    name: Words
    kind: Literal["number", "yes_no", "choice"]
    unit: str = ""
    choices: dict[Identifier, Words] = Field(default={})
    ask: Words | None = None

    @model_validator(mode="after")
    def _choices_belong(self) -> Self:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a choice has choices, nothing else has")
        if (self.kind == "number") != bool(self.unit):
            raise ValueError("a number has a unit (1 for none), nothing else has")
        return self


class LabIn(Strict):
    """A laboratory value: a number in ``unit``, or positive/negative where there is no unit."""

    name: Words
    unit: str = ""


class FactsIn(Strict):
    """``facts.yaml``."""

    facts: dict[Identifier, FactIn] = Field(default={})
    labs: dict[Identifier, LabIn] = Field(default={})


StateWeights = Annotated[dict[str, Share], Field(min_length=1)]


class ReferenceCaseIn(Strict):
    """A textbook scenario: what is found, and the cause that should come first.

    ``findings``: by block a state, a list of states, or weights by state; the lesion also as
    ``{host: [...], morphology: [...]}``.
    """

    id: Identifier
    network: Literal["adult", "fetal"] = "adult"
    setting: Identifier | None = None
    cause: Identifier
    findings: dict[Identifier, str | list[str] | StateWeights | dict[str, str | list[str]]] = Field(min_length=1)
    note: str = ""
    status: Status = "judgement"


class ReferenceCasesIn(Strict):
    """``reference_cases.yaml``."""

    cases: list[ReferenceCaseIn]
