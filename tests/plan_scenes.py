"""Patients for the tests of conditions, red flags and plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from hepacalc.knowledge.cases import ReferenceCase, load_reference_cases
from hepacalc.knowledge.load import load_knowledge
from hepacalc.knowledge.model import Knowledge
from hepacalc.reason.compare import case_evidence
from hepacalc.reason.differential import differential
from hepacalc.reason.network import network_of
from hepacalc.reason.observe import observe
from hepacalc.reason.plan import make_plan
from hepacalc.reason.records import Plan
from hepacalc.reason.situation import LabValue, Situation, situation

KNOWLEDGE = load_knowledge()
TODAY = "2026-01-31"

# the article's rule made exact, each fact known
SIMPLE: dict[str, Any] = {
    "lesion": {"host": "parenchyma", "morphology": "punctate"}, "number": "single", "extent": "under_10",
    "contour": "sharp", "ducts": "normal", "primary": "none", "biochemistry": "normal", "history": "none",
    "exposure": "none", "symptoms": "none", "age_sex": "f_40_59",
}  # fmt: skip
CYST = {"lesion": {"host": "cyst", "morphology": "rim"}, "extent": "30_100", "exposure": "pasture", "ducts": "normal"}


def without(*blocks: str, **changes: Any) -> dict[str, Any]:
    """The simple focus with some facts unknown and others changed."""
    return {key: value for key, value in (SIMPLE | changes).items() if key not in blocks}


def scene(
    findings: Mapping[str, Any],
    *,
    setting: str = "general_ct",
    facts: Mapping[str, Any] | None = None,
    labs: Mapping[str, Any] | None = None,
    knowledge: Knowledge = KNOWLEDGE,
) -> Situation:
    """A situation from names of states; labs as numbers, words or LabValue."""
    network = network_of(knowledge, knowledge.settings[setting].network)
    evidence = observe(network, findings, setting=setting)
    values = {key: value if isinstance(value, LabValue) else LabValue(value) for key, value in (labs or {}).items()}
    return situation(evidence, differential(evidence, knowledge), knowledge, facts=facts, labs=values)


def plan_of(findings: Mapping[str, Any], **more: Any) -> Plan:
    """The plan of one scene."""
    knowledge = more.get("knowledge", KNOWLEDGE)
    return make_plan(scene(findings, **more), knowledge, today=TODAY)


def applying(choice: str) -> Knowledge:
    """The knowledge base of a site that applies another hepatitis B guideline."""
    hbv = replace(KNOWLEDGE.guidelines["hbv"], chosen=choice)
    return replace(KNOWLEDGE, guidelines={**KNOWLEDGE.guidelines, "hbv": hbv})


def rules_of(plan: Plan) -> set[str]:
    """Ids of the rules that apply surely, merged ones included."""
    sure = [item for item in plan.items if not item.provided]
    return {item.rule for item in sure} | {more.rule for item in sure for more in item.also}


@lru_cache(maxsize=1)
def reference_scenes() -> tuple[tuple[ReferenceCase, Situation], ...]:
    """Every reference case; a benign one with what its note says of ultrasound and older images."""
    cases = load_reference_cases()
    found = []
    for case, compared in zip(cases, case_evidence(cases, KNOWLEDGE), strict=True):
        facts: dict[str, Any] = {}
        if case.id.startswith("benign_"):
            facts["modality"] = "ultrasound" if "_us" in case.id else "ct"
            if "no older images" in case.note:
                facts["older_images"] = "none"
        found.append(
            (case, situation(compared.evidence, differential(compared.evidence, KNOWLEDGE), KNOWLEDGE, facts=facts))
        )
    return tuple(found)
