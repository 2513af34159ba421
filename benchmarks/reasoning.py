"""What the reasoning must show: published cases, textbook scenarios, simple foci, exactness, speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reasoning_speed
from hepacalc.evaluate.case_file import read_case_file
from hepacalc.evaluate.run import CaseResult, evaluate_cases
from hepacalc.evaluate.score import METHODS, Score, scored, scores
from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.cases import ReferenceCase, load_reference_cases
from hepacalc.knowledge.model import Knowledge
from hepacalc.reason.compare import case_evidence
from hepacalc.reason.differential import differential, posterior
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import network_of
from hepacalc.reason.plan import make_plan
from hepacalc.reason.situation import situation
from matching import row

CASES = Path(__file__).resolve().parents[2] / "shared" / "knowledge" / "cases.jsonl"
TARGETS = {"top3": 0.70, "top5": 0.80, "redflag_recall": 1.0}
SHARES = ("top1", "top3", "top5", "mrr", "brier", "mean_rank")
SAFETY = {
    "redflag_recall": "malignant or never-needle causes flagged or over the threshold",
    "wrong_needle": "malignant or never-needle causes: a needle proposed that must not be",
    "benign_burdened": "benign causes: a test with radiation, contrast or needle asked for",
    "band_width_right": "width of the 5-95 % band of the right cause",
}
NEEDED = {"prior_images", "ultrasound", "noncontrast_ct"}
"""All that a simple benign focus may be sent to."""


def rows() -> list[dict[str, Any]]:
    """Return the rows of the table."""
    knowledge = load_knowledge()
    return [*answer_rows(knowledge, published(knowledge)), *reasoning_speed.rows()]


def published(knowledge: Knowledge) -> list[CaseResult]:
    """Published cases that count, each with its answers; none where the cases are not there."""
    return scored(evaluate_cases(read_case_file(CASES), knowledge)) if CASES.exists() else []


def answer_rows(knowledge: Knowledge, counted: list[CaseResult]) -> list[dict[str, Any]]:
    """Rows of how right the answers are: published cases, textbook, simple foci."""
    return [*_published(counted), *_textbook(knowledge), *_simple(knowledge)]


def _published(counted: list[CaseResult]) -> list[dict[str, Any]]:
    """Rows of the published cases; without values where the cases are not there."""
    out = [row("published cases counted (tier A and B, calcification certain)", len(counted) or None, "1", "", None)]
    for method in METHODS:
        found = scores(counted, method) if counted else {}
        for name in SHARES:
            least = TARGETS.get(name) if method == "hepacalc" else None
            out.append(_row(f"published cases, {method}: {name}", found.get(name), least))
    found = scores(counted) if counted else {}
    out += [_row(f"published cases, {what}", found.get(name), TARGETS.get(name)) for name, what in SAFETY.items()]
    return out


def _row(name: str, score: Score | None, least: float | None) -> dict[str, Any]:
    """One figure, with its bootstrap band beside it."""
    if score is None or score.value is None:
        return row(name, None, "1", f">= {least:g}" if least else "", None)
    wanted = f">= {least:g}" if least else ""
    found = row(name, score.value, "1", wanted, score.value >= least if least else None)
    return found | {"low": score.low, "high": score.high, "n": score.n}


def _textbook(knowledge: Knowledge) -> list[dict[str, Any]]:
    """Textbook scenarios: the right cause first, or among the first three. One author wrote them and the causes."""
    cases = [case for case in load_reference_cases() if case.id.startswith("textbook_")]
    ranks = []
    for case, compared in zip(cases, case_evidence(cases, knowledge), strict=True):
        network = network_of(knowledge, case.network)
        found = posterior(compared.evidence, network, str(compared.evidence.setting))
        ranks.append(int((found > found[network.index[case.cause]]).sum()) + 1)
    first, three = sum(r == 1 for r in ranks) / len(ranks), sum(r <= 3 for r in ranks) / len(ranks)
    covered = len({case.cause for case in cases} & set(knowledge.causes)) / len(knowledge.causes)
    return [
        row("textbook scenarios: causes that have one", covered, "1", ">= 1", covered == 1),
        row(f"textbook scenarios ({len(cases)}): right cause first", first, "1", ">= 0.95", first >= 0.95),
        row("textbook scenarios: right cause in the first three", three, "1", ">= 1", three == 1),
    ]


def _simple(knowledge: Knowledge) -> list[dict[str, Any]]:
    """Simple benign foci: no treatment, at most one comparison or one re-look, then stop."""
    cases = [case for case in load_reference_cases() if case.id.startswith("benign_")]
    good = 0
    for case, compared in zip(cases, case_evidence(cases, knowledge), strict=True):
        good += _stops(case, compared.evidence, knowledge)
    share = good / len(cases)
    return [row(f"simple benign scenarios ({len(cases)}): stop without a needless test", share, "1", ">= 0.95",
                share >= 0.95)]  # fmt: skip


def _stops(case: ReferenceCase, evidence: Evidence, knowledge: Knowledge) -> bool:
    facts = {"modality": "ultrasound" if "_us" in case.id else "ct"}
    if "no older images" in case.note:
        facts["older_images"] = "none"
    at = situation(evidence, differential(evidence, knowledge), knowledge, facts=facts)
    plan = make_plan(at, knowledge)
    tests = {test for item in plan.items for test in item.tests}
    return bool(plan.stop) and not plan.flags and tests <= NEEDED
