"""What every assessment leaves: the files of ``hepacalc assess`` in both languages, arrays to view, a headline."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from hepacalc.consult import consult
from hepacalc.knowledge import Knowledge, load_knowledge
from hepacalc.patient.read import patient_from_data
from hepacalc.patient.schema import Patient
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment, LiverMask, Measured, Volume
from hepacalc.report import render_html, summary, write_outputs
from hepacalc.report.language import speaking
from hepacalc.report.pdf import pdf_is_available
from hepacalc.report.reason_views import reasoning_of
from hepacalc.report.reason_words import headline
from hepacalc.report.write import write_exports
from hepacalc.report.writers import ExportContext, SegmentationType, SourceStudy, get_writers
from hepacalc.server.headers import instance_of
from hepacalc.server.work import Tell
from hepacalc.server.work.storing import LABELS, LIVER_BIT, RESULTS, SCAN
from hepacalc.study.source import read_headers

__all__ = [
    "answered",
    "headline_of",
    "knowledge_of",
    "patient_of",
    "reason_about",
    "write_arrays",
    "write_result",
]

_TEXTS = ("text", "sheet", "ics")
_OBJECTS = ("seg", "sr", "ko", "fhir")


def knowledge_of(request: dict[str, Any]) -> Knowledge:
    """Return the knowledge base, with the site's own laid over it."""
    path = request.get("knowledge")
    return load_knowledge(Path(path) if path else None)


def patient_of(request: dict[str, Any], today: datetime.date) -> Patient:
    """Return what is known of the patient; a patient of whom nothing was asked when there is nothing."""
    return patient_from_data(request.get("facts") or {"schema_version": "1.0"}, today=today)


def write_result(
    assessment: Assessment,
    out: Path,
    *,
    study: Path | None,
    seg_type: SegmentationType = "LABELMAP",
    deidentify: bool = False,
    tell: Tell,
) -> dict[str, Any]:
    """Write all files of an assessment into ``out/results`` and return its headline and the DICOM objects among them.

    Args:
        assessment: with its scan.
        out: folder of the job.
        study: the received files, for objects that refer to them.
        seg_type: SegmentationType of the DICOM SEG.
        deidentify: whether identity is left out.
        tell: told of the progress.
    """
    tell("writing the report", 0.0)
    results = out / RESULTS
    pdf = ("pdf",) if pdf_is_available() else ()
    source = read_headers(study, assessment.volume) if study is not None else ()
    formats = (*(name for name in _OBJECTS if source or name == "fhir"), *pdf, *_TEXTS)
    context = ExportContext("en", SourceStudy(source) if source else None, deidentify, seg_type)
    write_outputs(assessment, results, writers=get_writers(formats), context=context)
    tell("writing the report", 0.6)
    (results / "zh").mkdir()
    write_exports(assessment, results / "zh", get_writers((*pdf, *_TEXTS)), ExportContext("zh", None, deidentify))
    (results / "zh" / "report.html").write_text(render_html(assessment, language="zh"), "utf-8")
    (results / "view.json").write_text(json.dumps(view_of(assessment.volume)), "utf-8")
    tell("writing the report", 1.0)
    return {"headline": headline_of(assessment), "objects": _objects(results),
            "series_uid": assessment.acquisition.series_instance_uid or ""}  # fmt: skip


def write_arrays(volume: Volume, liver: LiverMask, labels: Any, out: Path) -> None:
    """Write scan and masks for the viewer: axes to head, back and left; int16 HU, and labels with the liver's bit."""
    turn = volume.geometry.canonical()
    np.save(out / SCAN, np.ascontiguousarray(turn.apply(np.clip(np.rint(volume.hu), -32768, 32767).astype("<i2"))))
    both = labels.astype("<u2") | np.where(liver.mask, LIVER_BIT, 0).astype("<u2")
    np.save(out / LABELS, np.ascontiguousarray(turn.apply(both)))


def view_of(volume: Volume) -> dict[str, Any]:
    """Return the grid of the viewer's arrays: shape and spacing ``(z, y, x)``, and the affine to LPS mm."""
    grid = volume.geometry.canonical().geometry
    return {"shape": list(grid.shape), "spacing_mm": list(grid.spacing_mm), "affine": grid.affine.tolist()}


def headline_of(assessment: Assessment) -> dict[str, Any]:
    """Return what the worklist shows of an assessment, in each language."""
    out: dict[str, Any] = {"foci": len(assessment.foci), "lesions": len(assessment.lesions)}
    for language in ("en", "zh"):
        with speaking(language):
            words = summary(assessment)
            out[language] = words.headline
    out["tone"] = words.tone
    mass = assessment.burden.total_mass_mg
    out["mass_mg"] = round(mass.value, 1) if isinstance(mass, Measured) else None
    reasoning = reasoning_of(assessment)
    return out | (reasoned(reasoning) if reasoning is not None else {})


def reasoned(reasoning: Reasoning) -> dict[str, Any]:
    """Return what the worklist shows of a reasoning."""
    due = sorted(item.due[1] for item in reasoning.plan.items if item.due is not None)
    first = reasoning.differential.first
    return {
        "cause": {"id": first.cause, "name": dict(first.name), "probability": round(first.probability, 4)},
        "flags": len(reasoning.plan.flags),
        "due": due[0] if due else "",
    }


def answered(reasoning: Reasoning) -> dict[str, Any]:
    """Return what the worklist shows of an answer without a scan, in each language."""
    out: dict[str, Any] = {"foci": 0, "lesions": len(reasoning.lesions), "tone": "answer", "mass_mg": None}
    for language in ("en", "zh"):
        with speaking(language):
            out[language] = headline(reasoning)
    return out | reasoned(reasoning)


def reason_about(assessment: Assessment, request: dict[str, Any], today: datetime.date) -> Reasoning:
    """Return the reasoning of an assessment with the facts of a request."""
    return consult(patient_of(request, today), knowledge_of(request), today=today, assessment=assessment)


def _objects(results: Path) -> list[dict[str, Any]]:
    """Return the columns of ``instances`` for the DICOM objects that were written."""
    found = []
    for path in sorted(results.glob("*.dcm")):
        data = pydicom.dcmread(path, stop_before_pixels=True)
        digest = _sha256(path)
        found.append({**instance_of(data, {"bytes": path.stat().st_size, "sha256": digest}), "name": path.name})
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
