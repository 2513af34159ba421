"""Whose scan it is, which study, what looked at it, and where each lesion lies."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from hepacalc.errors import UsageError
from hepacalc.interop.codes import LIVER, SEGMENT_CODES, Code, segment_site
from hepacalc.interop.fhir.elements import IDENTIFIERS, Entries, Json, coding, concept, date_of
from hepacalc.interop.fhir.texts import text
from hepacalc.interop.identity import derived_uid, lesion_tracking
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment, Lesion, NotMeasured, Segment
from hepacalc.report.words import segment_text

__all__ = ["add_device", "add_lesion_site", "add_patient", "add_study", "patient_identifier", "site"]

_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_CT = Code("CT", "DCM", "Computed Tomography")
_SOFTWARE = Code("706689003", "SCT", "Application program software")


def patient_identifier(given: str | None, assessment: Assessment) -> tuple[str, str]:
    """Return system and value of the identifier of the patient.

    Args:
        given: ``value`` or ``system|value``; None for a pseudonym, which is that of the study.
        assessment: whose patient it is.

    Raises:
        UsageError: no value, or a system that is no absolute URI.
    """
    if given is None:
        known = assessment.acquisition
        return IDENTIFIERS, derived_uid("patient of", known.study_instance_uid or assessment.run.created)[5:]
    system, bar, value = given.rpartition("|")
    if not value.strip() or (bar and not urlsplit(system).scheme) or re.search(r"\s", system):
        raise UsageError(
            "the identifier of the patient has no value, or its system is no URI.",
            hint="Give --patient-id VALUE, or SYSTEM|VALUE such as urn:oid:1.2.36.146|7000135.",
        )
    return system, value.strip()


def add_patient(entries: Entries, given: str | None, assessment: Assessment) -> Json:
    """Add the patient: an identifier, nothing else; a server that knows it keeps its own resource."""
    system, value = patient_identifier(given, assessment)
    unless = (system, value) if system else None
    return entries.add("patient", "Patient", {"identifier": [{"system": system, "value": value}]}, unless=unless)


def add_device(entries: Entries, assessment: Assessment) -> Json:
    """Add this program with the versions that decide the numbers."""
    run = assessment.run
    versions = [("hepacalc", run.hepacalc_version), *run.versions]
    if isinstance(assessment.reasoning, Reasoning):
        versions.append(("knowledge base", assessment.reasoning.knowledge_version))
    mark = "hepacalc " + "; ".join(f"{name} {value}" for name, value in versions)
    return entries.add(
        "device",
        "Device",
        {
            "identifier": [{"system": IDENTIFIERS, "value": mark}],
            "status": "active",
            "deviceName": [{"name": "hepacalc", "type": "model-name"}],
            "type": concept(_SOFTWARE),
            "version": [{"type": {"text": name}, "value": value} for name, value in versions],
            "note": [{"text": text("device")}],
        },
        unless=(IDENTIFIERS, mark),
    )


def add_study(entries: Entries, assessment: Assessment, subject: Json) -> Json | None:
    """Add the study with the series that was measured; None for a scan without UIDs (NIfTI)."""
    known, chosen = assessment.acquisition, assessment.series.chosen
    study, series = known.study_instance_uid or "", known.series_instance_uid or ""
    if not _UID.fullmatch(study) or not _UID.fullmatch(series):
        return None
    identifier = ("urn:dicom:uid", f"urn:oid:{study}")
    one = {
        "uid": series,
        "modality": coding(_CT),
        "description": known.series_description,
        "numberOfInstances": chosen.instances,
    }
    content = {
        "identifier": [{"system": identifier[0], "value": identifier[1]}],
        "status": "available",
        "modality": [coding(_CT)],
        "subject": subject,
        "started": date_of(known.study_date),
        "series": [one],
    }
    return entries.add("study", "ImagingStudy", content, unless=identifier)


def site(segment: Segment | NotMeasured) -> Json:
    """Return where something lies: the Couinaud segment, in words with its doubt; the liver where it is not known."""
    if isinstance(segment, NotMeasured):
        return concept(LIVER, segment_text(segment))
    return concept(segment_site(segment.dominant), segment_text(segment))


def add_lesion_site(entries: Entries, assessment: Assessment, lesion: Lesion, subject: Json) -> Json:
    """Add the place of a lesion; its identifier is the tracking UID of the DICOM objects."""
    tracking = lesion_tracking(assessment, lesion)
    code = SEGMENT_CODES[lesion.kind].type
    x, y, z = lesion.centroid_mm
    content = {
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{tracking.uid}"}],
        "morphology": concept(code),
        "location": site(lesion.segment),
        "description": text("site", id=lesion.id, x=x, y=y, z=z),
        "patient": subject,
    }
    return entries.add(f"site {lesion.id}", "BodyStructure", content)
