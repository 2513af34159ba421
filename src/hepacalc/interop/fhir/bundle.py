"""The whole bundle: study, measurements, differential, plan, and where it all comes from."""

from __future__ import annotations

import hashlib
import json
from html import escape

from hepacalc.interop.codes import IMAGING_REPORT
from hepacalc.interop.fhir.elements import Entries, Json, concept, date_of
from hepacalc.interop.fhir.observations import Frame, add_burden, add_focus, add_lesion, add_liver
from hepacalc.interop.fhir.plan import add_flags, add_plan
from hepacalc.interop.fhir.risk import add_risks
from hepacalc.interop.fhir.study import add_device, add_patient, add_study
from hepacalc.interop.fhir.texts import text
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment
from hepacalc.report.language import speaking, whole
from hepacalc.report.localise import localised
from hepacalc.report.schema import document, plain_text
from hepacalc.report.words import summary_text

__all__ = ["fhir_bundle"]

_RADIOLOGY = {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"}
_ASSEMBLER = {
    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "code": "assembler",
    "display": "Assembler",
}
_XHTML = "http://www.w3.org/1999/xhtml"


def fhir_bundle(assessment: Assessment, *, language: str = "en", patient_id: str | None = None) -> Json:
    """Return an assessment as a transaction Bundle; the same assessment gives the same bundle.

    Args:
        assessment: what to send.
        language: of texts for readers, ``en`` or ``zh``.
        patient_id: ``value`` or ``system|value`` by which the server knows the patient; a pseudonym when None.

    Raises:
        UsageError: ``patient_id`` is no identifier.
    """
    with speaking(whole(language)):
        return _bundle(localised(assessment), assessment, patient_id)


def _bundle(assessment: Assessment, original: Assessment, patient_id: str | None) -> Json:
    """Fill the bundle; ``assessment`` has its sentences in the language that is spoken, ``original`` its codes."""
    entries = Entries(_origin(original))
    subject = add_patient(entries, patient_id, assessment)
    device = add_device(entries, assessment)
    study = add_study(entries, assessment, subject)
    day = date_of(assessment.acquisition.study_date)
    frame = Frame(entries, assessment, original, subject, device, study, day)
    lesions = {lesion.id: add_lesion(frame, lesion) for lesion in assessment.lesions}
    mimics = [add_focus(frame, focus) for focus in assessment.foci if focus.lesion is None]
    results = [add_burden(frame), *lesions.values(), *mimics, *add_liver(frame)]
    report = _report(frame, results)
    made = [report, *results]
    if isinstance(assessment.reasoning, Reasoning):
        risks = add_risks(frame, assessment.reasoning, lesions)
        made += [*risks, *add_flags(frame, assessment.reasoning, risks)]
        made += add_plan(frame, assessment.reasoning, report, risks)
    _provenance(frame, made)
    return entries.bundle(assessment.run.created)


def _origin(assessment: Assessment) -> str:
    """Return what tells this assessment from every other: its document."""
    text = json.dumps(document(assessment), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _report(frame: Frame, results: list[Json]) -> Json:
    """Add the DiagnosticReport: its conclusion is the summary of page one."""
    created = frame.assessment.run.created
    summary = plain_text(summary_text(frame.assessment))
    lines = "".join(f"<p>{escape(line, quote=False)}</p>" for line in summary.splitlines() if line.strip())
    content = {
        "text": {"status": "generated", "div": f'<div xmlns="{_XHTML}">{lines}</div>'},
        "status": "preliminary",
        "category": [{"coding": [_RADIOLOGY]}],
        "code": concept(IMAGING_REPORT),
        "subject": frame.subject,
        "effectiveDateTime": frame.effective,
        "issued": created,
        "result": results,
        "imagingStudy": [frame.study],
        "conclusion": summary,
    }
    return frame.entries.add("report", "DiagnosticReport", content)


def _provenance(frame: Frame, made: list[Json]) -> None:
    """Add what made the resources, when, and from which study."""
    entity = [{"role": "source", "what": frame.study}] if frame.study is not None else []
    content = {
        "target": made,
        "occurredDateTime": frame.assessment.run.created,
        "recorded": frame.assessment.run.created,
        "activity": {"text": text("activity")},
        "agent": [{"type": {"coding": [_ASSEMBLER]}, "who": frame.device}],
        "entity": entity,
    }
    frame.entries.add("provenance", "Provenance", content)
