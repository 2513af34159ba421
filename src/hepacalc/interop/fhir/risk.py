"""The differential as RiskAssessments: one for each lesion, and one for a lesion of this patient picked at random.

R4 lets a prediction hold one probability, a decimal or a range, in per cent. The decimal is the posterior; its 5-95 %
band stands in an extension for programs and in ``rationale`` for people, so that it is never shown without its doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

from hepacalc.interop.codes import cause_code
from hepacalc.interop.fhir.elements import BAND, Json, notes, own, said
from hepacalc.interop.fhir.elements import concept as concept_of
from hepacalc.interop.fhir.observations import Frame
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import CauseProbability, Differential, HarmProbability
from hepacalc.report.numbers import percent, significant
from hepacalc.report.reason_words import harm_text

__all__ = ["LEAST_SHOWN", "add_risks"]

LEAST_SHOWN = 0.01
"""A cause is left out when the upper end of its band lies below this; the number left out is told."""

_DIFFERENTIAL = own("differential", "Causes of calcification of the liver")


def add_risks(frame: Frame, reasoning: Reasoning, language: str, lesions: dict[int, Json]) -> list[Json]:
    """Add the differentials and return references to them.

    Args:
        frame: what all resources share.
        reasoning: the answer.
        language: of texts.
        lesions: lesion id -> reference to its Observation.
    """
    made = [_risk(frame, "risk", reasoning, reasoning.differential, language, list(lesions.values()))]
    for one in reasoning.lesions:
        basis = [lesions[one.lesion]] if one.lesion in lesions else []
        made.append(_risk(frame, f"risk {one.lesion}", reasoning, one.differential, language, basis, lesion=one.lesion))
    return made


def _risk(
    frame: Frame,
    key: str,
    reasoning: Reasoning,
    found: Differential,
    language: str,
    basis: Sequence[Json],
    *,
    lesion: int | None = None,
) -> Json:
    shown = [cause for cause in found.causes if max(cause.high, cause.probability) >= LEAST_SHOWN]
    left_out = len(found.causes) - len(shown)
    about = "a lesion of this patient picked at random" if lesion is None else f"lesion {lesion}"
    remarks = [
        f"Causes of {about}; their probabilities sum to 1. Those of the groups of harm are sums over causes.",
        f"{left_out} causes whose band ends below {percent(LEAST_SHOWN)} are not listed." if left_out else "",
        f"{found.draws} parameter draws." if found.draws else "No parameter draws: the bands are not known.",
        *found.notes,
        *(reasoning.notes if lesion is None else ()),
    ]
    content = {
        "status": "preliminary",
        "method": {"text": f"Bayesian network of hepacalc, knowledge {reasoning.knowledge_version}, {found.network}"},
        "code": concept_of(_DIFFERENTIAL),
        "subject": frame.subject,
        "occurrenceDateTime": frame.assessment.run.created,
        "performer": frame.device,
        "basis": basis,
        "prediction": [_cause(c, language) for c in shown] + [_harm(h) for h in found.harms],
        "note": notes(remarks),
    }
    return frame.entries.add(key, "RiskAssessment", content)


def _cause(cause: CauseProbability, language: str) -> Json:
    code = cause_code(cause.cause, said(cause.name, "en"))
    return _prediction(concept_of(code, said(cause.name, language)), cause)


def _harm(harm: HarmProbability) -> Json:
    outcome = concept_of(own(f"harm-{harm.harm}", f"Any cause of this harm: {harm.harm}"), harm_text(harm.harm))
    return _prediction(outcome, harm)


def _prediction(outcome: Json, chance: CauseProbability | HarmProbability) -> Json:
    band = {"low": _percent(chance.low), "high": _percent(chance.high)}
    return {
        "extension": [{"url": BAND, "valueRange": band}],
        "outcome": outcome,
        "probabilityDecimal": significant(100 * chance.probability),
        "rationale": f"{percent(chance.probability)} (5-95 %: {percent(chance.low)} - {percent(chance.high)})",
    }


def _percent(share: float) -> Json:
    return {"value": significant(100 * share), "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
