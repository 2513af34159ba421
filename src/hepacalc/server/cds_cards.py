"""Cards of CDS Hooks: the finding, how sure it is and what was not known, the next step with its date."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from hepacalc.interop.fhir.elements import IDENTIFIERS, coding, concept, own
from hepacalc.knowledge import Knowledge
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import NextTest, PlanItem
from hepacalc.records import Assessment
from hepacalc.report import summary
from hepacalc.report.reason_words import item_line, said, status_text, summary_lines
from hepacalc.server.cds_phrases import say
from hepacalc.server.cds_prefetch import Told

__all__ = ["REASONS", "Matter", "cards_of", "concerns_liver", "is_needle", "needle_cards"]

MOST_SUMMARY = 140
"""Characters that a card's summary has at most (CDS Hooks 2.0, "Card Attributes")."""
MOST_STEPS, MOST_LINKS, MOST_QUESTIONS = 2, 4, 3
REASONS = ("done", "planned", "declined", "not-fitting", "disagree")
"""Codes of the reasons for which a card is overridden."""
_PRIORITY = {"emergency": "stat", "urgent": "asap", "soon": "urgent", "routine": "routine"}
_INDICATOR = {"emergency": "critical", "urgent": "warning"}
_LIVER = re.compile(r"liver|hepat|abdom|biliar|肝|腹|胆", re.I)
_NEEDLE = re.compile(r"biops|aspirat|puncture|needle|drain|\bfna\b|活检|穿刺|引流|抽吸", re.I)
_NEEDLE_CODES = {("http://snomed.info/sct", "86259008"), ("http://www.ama-assn.org/go/cpt", "47000")}


@dataclass(frozen=True)
class Matter:
    """What cards are about.

    Args:
        patient_id: id of the FHIR patient.
        study_id: our own id of the study.
        study_day: ``YYYY-MM-DD`` of the scan, or empty.
        assessment: what the scan showed; None for a study without a scan.
        reasoning: what it may be, with what the record told.
        told: what the record told, and what it did not.
        is_joined: whether the record's facts could be used.
        url: where this server is reached.
        today: ``YYYY-MM-DD``.
    """

    patient_id: str
    study_id: str
    study_day: str
    assessment: Assessment | None
    reasoning: Reasoning
    told: Told
    is_joined: bool
    url: str
    today: str


def cards_of(matter: Matter, knowledge: Knowledge) -> list[dict[str, Any]]:
    """Return the card of the finding, and one for each of the most pressing steps."""
    steps = [item for item in matter.reasoning.plan.items if item.urgency in _PRIORITY and item.tests]
    return [_finding(matter), *(_step(matter, item, knowledge) for item in steps[:MOST_STEPS])]


def _card(matter: Matter, words: str, detail: list[str], indicator: str) -> dict[str, Any]:
    return {
        "uuid": str(uuid.uuid4()),
        "summary": _cut(words),
        "detail": "\n\n".join([*detail, f"_{say('disclaimer')}_"]),
        "indicator": indicator,
        "source": {"label": "hepacalc", "url": matter.url},
        "links": [{"label": say("open"), "url": f"{matter.url}/studies/{matter.study_id}", "type": "absolute"}],
    }


def _cut(words: str) -> str:
    return words if len(words) < MOST_SUMMARY else words[: MOST_SUMMARY - 2].rstrip() + "…"


def _finding(matter: Matter) -> dict[str, Any]:
    """Return what was found, how sure it is, and what the answer rests on."""
    reasoning, today = matter.reasoning, matter.today
    flags, causes, _ = summary_lines(reasoning, today)
    detail, headline = [], say("form")
    if matter.assessment is not None:
        found = summary(matter.assessment)
        headline = found.headline
        detail += [say("scan", day=matter.study_day or say("unknown-day")), *found.limits[:3]]
    detail = [headline, *([flags] if reasoning.plan.flags else []), f"**{causes}** {say('bands')}", *detail]
    questions = sorted(reasoning.plan.questions, key=lambda one: not one.for_stop)[:MOST_QUESTIONS]
    if questions:
        detail.append(f"**{say('open-questions')}** " + " ".join(said(one.text) for one in questions))
    detail += _unseen(matter)
    urgencies = {flag.urgency for flag in reasoning.plan.flags}
    indicator = next((_INDICATOR[one] for one in ("emergency", "urgent") if one in urgencies), "info")
    return {**_card(matter, headline, detail, indicator), "overrideReasons": _reasons()}


def _unseen(matter: Matter) -> list[str]:
    """Return what the answer does not rest on: prefetch that failed, and reports later than the scan."""
    told = matter.told
    out = [
        say(f"prefetch.{state}", what=say(f"what.{key}"))
        for key, state in dict.fromkeys(told.problems)
    ]  # fmt: skip
    if not matter.is_joined:
        out.append(say("not-joined"))
    if told.passed_over:
        out.append(say("passed-over", count=told.passed_over))
    later = [day for day in told.report_days if matter.study_day and day > matter.study_day]
    if later:
        out.append(say("later-report", day=later[0]))
    return [f"**{say('unseen')}** " + " ".join(out)] if out else []


def _step(matter: Matter, item: PlanItem, knowledge: Knowledge) -> dict[str, Any]:
    """Return one step of the plan, to be ordered or not."""
    cited = [knowledge.sources[s] for s in item.sources if s in knowledge.sources]
    detail = [said(item.action), *(said(one) for one in item.because)]
    if item.provided:
        detail.append(f"**{say('provided')}** " + "; ".join(said(one) for one in item.provided))
    detail += [said(one) for one in item.forbidden]
    detail.append(f"**{say('basis')}** {status_text(item.status)}. " + " · ".join(one.citation for one in cited))
    card = _card(matter, item_line(item, matter.today), detail, _INDICATOR.get(item.urgency, "info"))
    addressed = [(one.citation, _address(one.address)) for one in cited]
    card["links"] += [
        {"label": _cut(citation), "url": address, "type": "absolute"} for citation, address in addressed if address
    ][:MOST_LINKS]
    card["suggestions"] = [
        {
            "label": _cut(said(item.modality)),
            "uuid": str(uuid.uuid4()),
            "isRecommended": not item.provided,
            "actions": [
                {"type": "create", "description": said(item.action), "resource": _request(matter, item, knowledge)}
            ],
        }
    ]
    card["selectionBehavior"] = "at-most-one"
    card["overrideReasons"] = _reasons()
    return card


def _address(address: str) -> str:
    if address.startswith(("https://", "http://")):
        return address
    return f"https://doi.org/{address}" if address.startswith("10.") else ""


def _request(matter: Matter, item: PlanItem, knowledge: Knowledge) -> dict[str, Any]:
    """Return the order that a step amounts to: a draft, which a person signs or not."""
    names = {test: said(tuple(knowledge.tests[test].name.items())) for test in item.tests if test in knowledge.tests}
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": IDENTIFIERS, "value": item.rule}],
        "status": "draft",
        "intent": "proposal",
        "priority": _PRIORITY[item.urgency],
        "code": concept(own(item.rule, dict(item.modality).get("en", "")), said(item.modality)),
        "orderDetail": [concept(own(test, test), names.get(test, test)) for test in item.tests],
        "subject": {"reference": f"Patient/{matter.patient_id}"},
        **({"occurrencePeriod": {"start": item.due[0], "end": item.due[1]}} if item.due else {}),
        "reasonCode": [{"text": said(one)} for one in (item.action, *item.because)],
        "note": [{"text": f"{said(item.interval)} {say('disclaimer')}"}],
    }


def _reasons() -> list[dict[str, str]]:
    return [{**coding(own(reason, say(f"reason.{reason}"))), "display": say(f"reason.{reason}")} for reason in REASONS]


def _words(order: Any) -> str:
    """Return the words of a draft order's code."""
    code = order.get("code") if isinstance(order, dict) else None
    if not isinstance(code, dict):
        return ""
    listed = code.get("coding")
    shown = [one.get("display") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return " ".join(str(one) for one in (code.get("text"), *shown) if isinstance(one, str))[:2000]


def concerns_liver(order: Any) -> bool:
    """Whether a draft order is about the liver or the abdomen, by the words of its code."""
    return bool(_LIVER.search(_words(order))) or is_needle(order)


def is_needle(order: Any) -> bool:
    """Whether a draft order puts a needle into something."""
    code = order.get("code") if isinstance(order, dict) else None
    listed = code.get("coding") if isinstance(code, dict) else None
    codes = {(one.get("system"), one.get("code")) for one in listed if isinstance(one, dict)} if listed else set()
    return bool(_NEEDLE.search(_words(order))) or bool(codes & _NEEDLE_CODES)


def needle_cards(matter: Matter, knowledge: Knowledge) -> list[dict[str, Any]]:
    """Return a card that warns of a needle where the plan forbids one."""
    tests = [test for test in matter.reasoning.plan.tests if test.forbidden and knowledge.tests[test.test].needle]
    if not tests:
        return []
    reasons = dict.fromkeys(reason for test in tests for reason in test.forbidden)
    detail = [*reasons, "; ".join(_test_name(test) for test in tests)]
    return [{**_card(matter, say("needle"), detail, "critical"), "overrideReasons": _reasons()}]


def _test_name(test: NextTest) -> str:
    return said(test.name)
