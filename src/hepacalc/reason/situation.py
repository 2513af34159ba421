"""What conditions are asked about: a lesion or patient with its evidence, differential, facts and laboratory values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from hepacalc.errors import UsageError
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.records import Differential

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Fact, Knowledge, Lab

__all__ = ["FactValue", "LabValue", "Situation", "situation"]

FactValue = float | bool | str
LabWord = Literal["positive", "negative", "normal", "raised", "low"]
WORDS = ("positive", "negative", "normal", "raised", "low")
BOUNDS = ("", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class LabValue:
    """A laboratory value in the unit of ``facts.yaml``.

    Args:
        value: number, or a word where the laboratory gave no number.
        uln: upper limit of normal in the same unit; None when it is not known.
        bound: ``<``, ``<=``, ``>`` or ``>=`` where the number is only a bound; else empty.
    """

    value: float | LabWord
    uln: float | None = None
    bound: str = ""


@dataclass(frozen=True, eq=False)
class Situation:
    """All that a condition can ask for. Make it with :func:`situation`.

    Args:
        evidence: what was found, as weights over states.
        differential: with bands.
        facts: id of a fact to its value; what is not there is not known.
        labs: id of a laboratory value to it.
        answers: what single conditions were answered, by their id, so that none is reckoned twice.
        bounds: probability and upper bound of causes and of what they are together, so that none is reckoned twice.
    """

    evidence: Evidence
    differential: Differential
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    labs: Mapping[str, LabValue] = field(default_factory=dict)
    answers: dict[int, tuple[Any, Any, Any]] = field(default_factory=dict, init=False, repr=False)
    bounds: dict[str, tuple[Any, tuple[float, float]]] = field(default_factory=dict, init=False, repr=False)


def situation(
    evidence: Evidence,
    differential: Differential,
    knowledge: Knowledge,
    *,
    facts: Mapping[str, FactValue] | None = None,
    labs: Mapping[str, LabValue] | None = None,
) -> Situation:
    """Return what conditions are asked about, checked against the vocabulary of ``facts.yaml``.

    Args:
        evidence: what was found.
        differential: of this evidence, with bands (``draws`` above 0): rules act on upper bounds.
        knowledge: whose vocabulary.
        facts: of the patient and the examination, e.g. ``{"modality": "ultrasound", "focus_mm": 6.0}``. Leave out
            what is not known. ``network`` is set from the differential.
        labs: values in the units of ``facts.yaml``.

    Raises:
        UsageError: no bands, evidence of another network, a fact or value that does not exist or cannot be.
    """
    if differential.draws == 0:
        raise UsageError("Wanted a differential with bands, found none.", hint="Rules act on upper bounds: draws=1000.")
    if differential.network != evidence.network:
        raise UsageError(
            f"Wanted evidence and differential of one network, found {evidence.network} and {differential.network}.",
            hint="Make the differential from this evidence.",
        )
    told: dict[str, FactValue] = {}
    for key, fact_value in (facts or {}).items():
        if key not in knowledge.facts:
            raise UsageError(f"Wanted a fact, found {key}.", hint=f"There is {', '.join(knowledge.facts)}.")
        told[key] = _fact(knowledge.facts[key], fact_value)
    if "network" in knowledge.facts:
        told["network"] = differential.network
    for key, lab_value in (labs or {}).items():
        if key not in knowledge.labs:
            raise UsageError(f"Wanted a laboratory value, found {key}.", hint=f"There is {', '.join(knowledge.labs)}.")
        _check_lab(knowledge.labs[key], lab_value)
    return Situation(evidence, differential, MappingProxyType(told), MappingProxyType(dict(labs or {})))


def _fact(fact: Fact, value: FactValue) -> FactValue:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "yes_no": isinstance(value, bool),
        "choice": isinstance(value, str) and value in fact.choices,
        "number": number and math.isfinite(float(value)) and float(value) >= 0,
    }
    if not fits[fact.kind]:
        wanted = (
            ", ".join(fact.choices) if fact.choices else {"yes_no": "true or false"}.get(fact.kind, "a number >= 0")
        )
        raise UsageError(f"Wanted {wanted} for the fact {fact.id}, found {value}.", hint="Leave out what is not known.")
    return float(value) if number else value


def _check_lab(lab: Lab, value: LabValue) -> None:
    if isinstance(value.value, str):
        good = value.value in WORDS and not value.bound
    else:
        good = bool(lab.unit) and math.isfinite(value.value) and value.value >= 0 and value.bound in BOUNDS
    if not good or (value.uln is not None and not (math.isfinite(value.uln) and value.uln > 0)):
        raise UsageError(
            f"Wanted a value of {lab.id}{f' in {lab.unit}' if lab.unit else ''}, found {value}.",
            hint=f"A number from 0 on with a limit above 0, or one of {', '.join(WORDS)}.",
        )
