"""The plan: red flags as DetectedIssues, each step as a ServiceRequest with its date, all in one CarePlan.

Everything is a proposal: ``draft`` or ``preliminary``, intent ``proposal``. What must not be done is a ServiceRequest
with ``doNotPerform``.
"""

from __future__ import annotations

from collections.abc import Iterable

from hepacalc.interop.codes import RED_FLAG, URGENCIES
from hepacalc.interop.fhir.elements import IDENTIFIERS, Json, coding, concept, notes, own
from hepacalc.interop.fhir.observations import Frame
from hepacalc.interop.fhir.texts import text
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import Names, NextTest, PlanItem, RedFlag
from hepacalc.report.reason_words import said, status_text

__all__ = ["add_flags", "add_plan"]

_PRIORITY = {"emergency": "stat", "urgent": "asap", "soon": "urgent", "routine": "routine", "none": "routine"}
_SEVERITY = {"emergency": "high", "urgent": "high", "soon": "moderate"}


def add_flags(frame: Frame, reasoning: Reasoning, basis: list[Json]) -> list[Json]:
    """Add the red flags and return references to them."""
    return [_flag(frame, flag, reasoning, basis) for flag in reasoning.plan.flags]


def add_plan(frame: Frame, reasoning: Reasoning, report: Json, basis: list[Json]) -> list[Json]:
    """Add the plan and return references to its resources.

    Args:
        frame: what all resources share.
        reasoning: the answer.
        report: reference to the DiagnosticReport.
        basis: references to the RiskAssessments.
    """
    plan = reasoning.plan
    names = {test.test: test.name for test in plan.tests}
    steps, activities = [], []
    for item in plan.items:
        if item.tests or item.due is not None:
            made = _request(frame, item, reasoning, names, report, basis)
            steps.append(made)
            activities.append({"reference": made})
        else:
            words = [said(item.action), said(item.modality), said(item.interval)]
            detail = {
                "code": concept(own(item.rule, dict(item.action).get("en", "")), words[0]),
                "status": "not-started",
            }
            detail["description"] = "; ".join(filter(None, words))
            activities.append({"detail": detail})
    steps += [_forbidden(frame, test, report) for test in plan.tests if test.forbidden]
    questions = [said(question.text) for question in plan.questions]
    content = {
        "status": "draft",
        "intent": "proposal",
        "title": "hepacalc",
        "description": said(plan.stop),
        "subject": frame.subject,
        "created": frame.assessment.run.created,
        "author": frame.device,
        "supportingInfo": [report, *basis],
        "activity": activities,
        "note": notes([*(said(note) for note in plan.notes), *questions]),
    }
    return [*steps, frame.entries.add("plan", "CarePlan", content)]


def _request(
    frame: Frame,
    item: PlanItem,
    reasoning: Reasoning,
    names: dict[str, Names],
    report: Json,
    basis: list[Json],
) -> Json:
    provided = [said(one) for one in item.provided]
    remarks = [
        said(item.modality),
        said(item.interval),
        *([text("provided", questions="; ".join(provided))] if provided else []),
        *(said(one) for one in item.forbidden),
        *(said(one.action) for one in item.also),
        _basis(item.sources, item.status, reasoning),
    ]
    tests = [concept(own(t, dict(names.get(t, ())).get("en", t)), said(names.get(t, ())) or t) for t in item.tests]
    content = {
        "identifier": [{"system": IDENTIFIERS, "value": item.rule}],
        "status": "draft",
        "intent": "proposal",
        "category": [{"coding": [coding(URGENCIES[item.urgency])]}],
        "priority": _PRIORITY[item.urgency],
        "code": concept(own(item.rule, dict(item.action).get("en", "")), said(item.action)),
        "orderDetail": tests,
        "subject": frame.subject,
        "occurrencePeriod": None if item.due is None else {"start": item.due[0], "end": item.due[1]},
        "authoredOn": frame.assessment.run.created,
        "requester": frame.device,
        "reasonCode": [{"text": said(one)} for one in item.because],
        "reasonReference": [report],
        "supportingInfo": basis,
        "note": notes(remarks),
    }
    return frame.entries.add(f"step {item.rule}", "ServiceRequest", content)


def _forbidden(frame: Frame, test: NextTest, report: Json) -> Json:
    content = {
        "status": "draft",
        "intent": "proposal",
        "doNotPerform": True,
        "code": concept(own(test.test, dict(test.name).get("en", "")), said(test.name)),
        "subject": frame.subject,
        "authoredOn": frame.assessment.run.created,
        "requester": frame.device,
        "reasonCode": [{"text": reason} for reason in dict.fromkeys(test.forbidden)],
        "reasonReference": [report],
    }
    return frame.entries.add(f"forbidden {test.test}", "ServiceRequest", content)


def _flag(frame: Frame, flag: RedFlag, reasoning: Reasoning, basis: list[Json]) -> Json:
    words = [said(flag.text), said(flag.why), *(said(one) for one in flag.because)]
    content = {
        "identifier": [{"system": IDENTIFIERS, "value": flag.flag}],
        "status": "preliminary",
        "code": {"coding": [coding(own(flag.flag, dict(flag.text).get("en", ""))), coding(RED_FLAG)], "text": words[0]},
        "severity": _SEVERITY.get(flag.urgency, "low"),
        "patient": frame.subject,
        "identifiedDateTime": frame.assessment.run.created,
        "author": frame.device,
        "evidence": [{"detail": basis}],
        "detail": "\n".join([*words[1:], _basis(flag.sources, flag.status, reasoning)]),
    }
    return frame.entries.add(f"flag {flag.flag}", "DetectedIssue", content)


def _basis(sources: Iterable[str], status: str, reasoning: Reasoning) -> str:
    """Return what a claim rests on: how firm it is, and its sources; a judgement is never shown as published."""
    cited = {note.id: note.citation for note in reasoning.sources}
    return " ".join([f"{status_text(status)}.", *(f"[{s}] {cited.get(s, '')}".strip() for s in sources)])
