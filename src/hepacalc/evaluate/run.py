"""One case after the other: read, reason, compare with the diagnosis."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.evaluate.case_file import Case
from hepacalc.evaluate.people import stated_age
from hepacalc.evaluate.reader import read_case
from hepacalc.evaluate.text import normalised
from hepacalc.evaluate.told import ReadCase
from hepacalc.reason.baseline import naive_posterior, prior_only
from hepacalc.reason.differential import differential
from hepacalc.reason.network import network_of
from hepacalc.reason.next_test import next_tests
from hepacalc.reason.plan import make_plan
from hepacalc.reason.records import Differential, Plan
from hepacalc.reason.redflags import forbidden_tests
from hepacalc.reason.situation import FactValue, Situation, situation

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["Answer", "CaseResult", "evaluate_case", "evaluate_cases"]

Floats = NDArray[np.float64]
SHOWN = 5


@dataclass(frozen=True)
class Answer:
    """How one method ranks the causes of a case.

    Args:
        rank: of the right cause, 1 for first; one more than there are causes when the network does not have it.
        probability: of the right cause.
        brier: sum over causes of (probability - truth) squared, 0-2.
        first: probability of the cause that comes first.
        top: the first five causes with their probabilities.
    """

    rank: int
    probability: float
    brier: float
    first: float
    top: tuple[tuple[str, float], ...]

    @property
    def is_right(self) -> bool:
        """Whether the right cause comes first."""
        return self.rank == 1


@dataclass(frozen=True)
class CaseResult:
    """What came out for one case.

    Args:
        case: as in the file.
        truth: its cause ids; empty when the diagnosis is no cause of the knowledge base, then it is left out.
        read: evidence and what was not understood.
        answers: by method: ``hepacalc``, ``prior only``, ``naive Bayes``.
        width: width of the band of the right cause (0 when it is not in the network), and of the first one.
        grave: the cause is malignant or must not be punctured.
        benign: the cause is harmless.
        flags: red flags raised.
        over: which thresholds the upper bounds pass: ``malignant``, ``dangerous``, ``never`` (needle).
        burden: tests the plan asks for that cost radiation, contrast or a needle.
        needle: a needle that is forbidden for this cause was proposed.
    """

    case: Case
    truth: tuple[str, ...]
    read: ReadCase
    answers: Mapping[str, Answer]
    width: tuple[float, float]
    grave: bool
    benign: bool
    flags: tuple[str, ...]
    over: tuple[str, ...]
    burden: tuple[str, ...]
    needle: bool

    @property
    def is_caught(self) -> bool:
        """Whether a red flag was raised, or an upper bound passes the threshold that fits the cause."""
        return bool(self.flags or self.over)


def evaluate_cases(cases: Iterable[Case], knowledge: Knowledge) -> list[CaseResult]:
    """Return the result of every case, also of those whose diagnosis is no known cause."""
    return [evaluate_case(case, knowledge) for case in cases]


def evaluate_case(case: Case, knowledge: Knowledge) -> CaseResult:
    """Return the result of one case. The diagnosis is used only after the differential is there."""
    read = read_case(case.text, knowledge)
    evidence = read.evidence
    network, setting = network_of(knowledge, evidence.network), str(evidence.setting)
    found = differential(evidence, knowledge)
    posterior = np.array([found[cause].probability for cause in network.cause_ids])
    at = situation(evidence, found, knowledge, facts=_facts(case.text, found.network))
    plan, proposed = _plan(at, knowledge)
    truth = case.causes(knowledge.causes)
    methods = {
        "hepacalc": posterior,
        "prior only": prior_only(network, setting),
        "naive Bayes": naive_posterior(evidence, network, setting),
    }
    causes = [knowledge.causes[cause] for cause in truth]
    never = bool(causes) and all(cause.needle == "never" for cause in causes)
    malignant = bool(causes) and all(cause.harm == "malignant" for cause in causes)
    over = _over(found, knowledge)
    fits = {"malignant"} if malignant and not never else {"malignant", "never", "dangerous"}
    return CaseResult(
        case=case,
        truth=truth,
        read=read,
        answers={name: _answer(p, network.cause_ids, truth) for name, p in methods.items()},
        width=_widths(found, truth),
        grave=malignant or never,
        benign=bool(causes) and all(cause.harm == "benign" for cause in causes),
        flags=tuple(flag.flag for flag in plan.flags),
        over=tuple(name for name in over if name in fits),
        burden=_burden(plan, knowledge),
        needle=never and any(knowledge.tests[test].needle for test in proposed),
    )


def _answer(p: Floats, ids: tuple[str, ...], truth: tuple[str, ...]) -> Answer:
    """Rank, probability and Brier score; of several right causes the best placed one counts."""
    order = np.argsort(-p, kind="stable")
    top = tuple((ids[k], float(p[k])) for k in order[:SHOWN])
    places = [int(np.flatnonzero(order == ids.index(cause))[0]) for cause in truth if cause in ids]
    if not places:
        return Answer(len(ids) + 1, 0.0, float((p**2).sum()) + 1.0, float(p.max()), top)
    right = order[min(places)]
    return Answer(min(places) + 1, float(p[right]), float((p**2).sum() - 2 * p[right] + 1), float(p.max()), top)


def _widths(found: Differential, truth: tuple[str, ...]) -> tuple[float, float]:
    there = [entry for entry in found.causes if entry.cause in truth]
    first = found.first
    return (there[0].high - there[0].low if there else 0.0), first.high - first.low


def _over(found: Differential, knowledge: Knowledge) -> tuple[str, ...]:
    """Which action thresholds the upper bounds pass."""
    high = {entry.harm: entry.high for entry in found.harms}
    never = max((entry.high for entry in found.causes if entry.needle == "never"), default=0.0)
    levels = (
        ("malignant", high.get("malignant", 0.0), "action_malignant"),
        ("dangerous", high.get("dangerous", 0.0), "action_dangerous"),
        ("never", never, "needle_never"),
    )
    return tuple(name for name, value, level in levels if value >= knowledge.thresholds[level].value)


def _plan(at: Situation, knowledge: Knowledge) -> tuple[Plan, tuple[str, ...]]:
    """The plan, and every test that it or the value of information proposes."""
    barred = forbidden_tests([at], knowledge)
    reasons = {test: [dict(words)["en"] for words in told] for test, told in barred.items()}
    tests = next_tests(at.evidence, knowledge, forbidden=reasons, found=at.differential)
    plan = make_plan(at, knowledge, tests=tests)
    worth = [test.test for test in tests if test.is_worth_it]
    return plan, tuple(dict.fromkeys([*(t for item in plan.items for t in item.tests), *worth]))


def _burden(plan: Plan, knowledge: Knowledge) -> tuple[str, ...]:
    """Tests with radiation, contrast or a needle that the plan asks for without any "if"."""
    asked = [test for item in plan.items if item.urgency != "none" and not item.provided for test in item.tests]
    known = {test: knowledge.tests[test] for test in asked}
    return tuple(t for t, one in known.items() if one.radiation_msv > 0 or one.contrast != "none" or one.needle)


def _facts(text: Mapping[str, Any], network: str) -> dict[str, FactValue]:
    """Age, sex and how it was found; all else of a case is in the evidence."""
    facts: dict[str, FactValue] = {}
    age = stated_age(text.get("age"))
    if network == "adult" and age is not None and age[1] - age[0] <= 1:
        facts["age"] = age[0]
    sex = normalised(str(text.get("sex") or ""))
    if network == "adult" and re.match(r"[fm]", sex):
        facts["sex"] = "female" if sex[0] == "f" else "male"
    modality = normalised(str(text.get("modality") or ""))
    for name, pattern in (("ct", r"\b\w*ct\b|tomogr"), ("mri", r"\bmr"), ("ultrasound", r"\bu/?s\b|ultraso|sonogr"),
                          ("plain_film", r"film|radiogr|x-?ray")):  # fmt: skip
        if re.search(pattern, modality):
            facts["modality"] = name
            break
    return facts
