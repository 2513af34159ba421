"""The differential as RiskAssessments: one for each lesion, and one for a lesion of this patient picked at random.

R4 lets a prediction hold one probability, a decimal or a range, in per cent. The decimal is the posterior; its 5-95 %
band stands in an extension for programs and in ``rationale`` for people, so that it is never shown without its doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

from hepacalc.interop.codes import cause_code
from hepacalc.interop.fhir.elements import BAND, Json, concept, notes, own
from hepacalc.interop.fhir.observations import Frame
from hepacalc.interop.fhir.texts import text
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import CauseProbability, Differential, HarmProbability
from hepacalc.report.numbers import percent, significant
from hepacalc.report.reason_words import harm_text, said

__all__ = ["LEAST_SHOWN", "add_risks"]

LEAST_SHOWN = 0.01
"""A cause is left out when the upper end of its band lies below this; the number left out is told."""

_DIFFERENTIAL = own("differential", "Causes of calcification of the liver")


def add_risks(frame: Frame, reasoning: Reasoning, lesions: dict[int, Json]) -> list[Json]:
    """Add the differentials and return references to them.

    Args:
        frame: what all resources share.
        reasoning: the answer.
        lesions: lesion id -> reference to its Observation.
    """
    made = [_risk(frame, "risk", reasoning, reasoning.differential, list(lesions.values()))]
    for one in reasoning.lesions:
        basis = [lesions[one.lesion]] if one.lesion in lesions else []
        made.append(_risk(frame, f"risk {one.lesion}", reasoning, one.differential, basis, lesion=one.lesion))
    return made


def _risk(
    frame: Frame,
    key: str,
    reasoning: Reasoning,
    found: Differential,
    basis: Sequence[Json],
    *,
    lesion: int | None = None,
) -> Json:
    shown = [cause for cause in found.causes if max(cause.high, cause.probability) >= LEAST_SHOWN]
    left_out = len(found.causes) - len(shown)
    remarks = [
        text("risk-patient") if lesion is None else text("risk-lesion", id=lesion),
        text("risk-harms"),
        text("risk-left-out", count=left_out, least=percent(LEAST_SHOWN)) if left_out else "",
        text("risk-draws", count=found.draws) if found.draws else text("risk-no-draws"),
        *found.notes,
        *(reasoning.notes if lesion is None else ()),
    ]
    content = {
        "status": "preliminary",
        "method": {"text": text("risk-method", network=found.network, version=reasoning.knowledge_version)},
        "code": concept(_DIFFERENTIAL),
        "subject": frame.subject,
        "occurrenceDateTime": frame.assessment.run.created,
        "performer": frame.device,
        "basis": basis,
        "prediction": [_cause(c) for c in shown] + [_harm(h) for h in found.harms],
        "note": notes(remarks),
    }
    return frame.entries.add(key, "RiskAssessment", content)


def _cause(cause: CauseProbability) -> Json:
    return _prediction(concept(cause_code(cause.cause, dict(cause.name)["en"]), said(cause.name)), cause)


def _harm(harm: HarmProbability) -> Json:
    outcome = concept(own(f"harm-{harm.harm}", f"Any cause of this harm: {harm.harm}"), harm_text(harm.harm))
    return _prediction(outcome, harm)


def _prediction(outcome: Json, chance: CauseProbability | HarmProbability) -> Json:
    band = {"low": _percent(chance.low), "high": _percent(chance.high)}
    return {
        "extension": [{"url": BAND, "valueRange": band}],
        "outcome": outcome,
        "probabilityDecimal": significant(100 * chance.probability),
        "rationale": text(
            "band", value=percent(chance.probability), low=percent(chance.low), high=percent(chance.high)
        ),
    }


def _percent(share: float) -> Json:
    return {"value": significant(100 * share), "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
