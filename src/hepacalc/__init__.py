"""Find calcification in the liver on CT, tell it from its mimics and measure it.

The whole walk, and what it writes::

    import hepacalc

    assessment = hepacalc.assess("ct-folder")
    hepacalc.write_outputs(assessment, "out")

Each stage by itself: :func:`open_study`, :func:`get_segmenter` or :func:`read_liver_mask`,
:func:`detect_phase`, :func:`assess_quality`, :func:`find_foci`, :func:`render_html`, :func:`render_pdf`,
:func:`report_text`, :func:`render_sheet`. A digital patient with known truth: :func:`make_patient`,
:func:`insert_foci`.

Further formats, of a stored assessment too (a FHIR bundle alone: :func:`fhir_bundle`)::

    stored = hepacalc.read_stored("out")
    hepacalc.write_exports(stored, "out", hepacalc.get_writers("fhir,ics"), hepacalc.ExportContext(language="zh"))

What it may be and what to do next, with a scan or without one::

    from datetime import date

    today = date.today()
    patient = hepacalc.read_patient_file("patient.yaml", today=today)
    answer = hepacalc.consult(patient, hepacalc.load_knowledge(), today=today)
    print(hepacalc.explanation_text(answer))
    hepacalc.write_explanation(answer, "out")  # or render_explanation(answer)

Is it the same, has it grown since an earlier scan::

    followup = hepacalc.compare("earlier", "ct-folder")  # scans, or folders that write_outputs made
    hepacalc.write_comparison(followup, "out")

The stages of the reasoning: :func:`patient_findings`, :func:`differential` (or :func:`posterior_many` for a million
patients), :func:`explain`, :func:`what_would_change`, :func:`next_tests`, :func:`make_plan`. What the text of an old report says:
:func:`read_report`. Over time: :class:`Registry`. Names are loaded when first used, so the import is quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepacalc.assess import assess
    from hepacalc.compare import compare
    from hepacalc.consult import consult
    from hepacalc.errors import HepacalcError
    from hepacalc.foci.calibration import calibration_for
    from hepacalc.foci.find import find_foci
    from hepacalc.followup.records import Comparison, FollowUp, LesionChange
    from hepacalc.geometry import Geometry
    from hepacalc.interop.fhir import fhir_bundle
    from hepacalc.knowledge import Knowledge, load_knowledge
    from hepacalc.liver import detect_phase, get_segmenter, read_liver_mask, segmenter_names
    from hepacalc.patient import Patient, patient_findings, read_patient_file
    from hepacalc.phantom import FocusSpec, insert_foci, make_patient
    from hepacalc.reason.change import what_would_change
    from hepacalc.reason.differential import differential
    from hepacalc.reason.evidence import Evidence
    from hepacalc.reason.explain import explain
    from hepacalc.reason.many import posterior_many
    from hepacalc.reason.next_test import next_tests
    from hepacalc.reason.plan import make_plan
    from hepacalc.reason.reasoning import Reasoning
    from hepacalc.records import (
        Acquisition,
        Assessment,
        Burden,
        Calibration,
        Focus,
        Lesion,
        Liver,
        LiverMask,
        Measured,
        NotMeasured,
        Pattern,
        Phase,
        QualityFinding,
        Segment,
        SeriesChoice,
        Surroundings,
        Volume,
    )
    from hepacalc.registry.store import Registry
    from hepacalc.report import (
        load_schema,
        render_explanation,
        render_html,
        render_pdf,
        render_sheet,
        report_text,
        summary_text,
        write_explanation,
        write_outputs,
    )
    from hepacalc.report.comparison import write_comparison
    from hepacalc.report.explanation_text import explanation_text
    from hepacalc.report.stored import read_stored
    from hepacalc.report.write import write_exports
    from hepacalc.report.writers import ExportContext, get_writers
    from hepacalc.reports import ReportFindings, read_report
    from hepacalc.study import open_study
    from hepacalc.study.calibration_file import read_calibration
    from hepacalc.study.quality import assess_quality

    __version__: str

__all__ = [
    "Acquisition",
    "Assessment",
    "Burden",
    "Calibration",
    "Comparison",
    "Evidence",
    "ExportContext",
    "Focus",
    "FocusSpec",
    "FollowUp",
    "Geometry",
    "HepacalcError",
    "Knowledge",
    "Lesion",
    "LesionChange",
    "Liver",
    "LiverMask",
    "Measured",
    "NotMeasured",
    "Patient",
    "Pattern",
    "Phase",
    "QualityFinding",
    "Reasoning",
    "Registry",
    "ReportFindings",
    "Segment",
    "SeriesChoice",
    "Surroundings",
    "Volume",
    "__version__",
    "assess",
    "assess_quality",
    "calibration_for",
    "compare",
    "consult",
    "detect_phase",
    "differential",
    "explain",
    "explanation_text",
    "fhir_bundle",
    "find_foci",
    "get_segmenter",
    "get_writers",
    "insert_foci",
    "load_knowledge",
    "load_schema",
    "make_patient",
    "make_plan",
    "next_tests",
    "open_study",
    "patient_findings",
    "posterior_many",
    "read_calibration",
    "read_liver_mask",
    "read_patient_file",
    "read_report",
    "read_stored",
    "render_explanation",
    "render_html",
    "render_pdf",
    "render_sheet",
    "report_text",
    "segmenter_names",
    "summary_text",
    "what_would_change",
    "write_comparison",
    "write_explanation",
    "write_exports",
    "write_outputs",
]

_HOMES = {
    "assess": ("assess",),
    "compare": ("compare",),
    "consult": ("consult",),
    "errors": ("HepacalcError",),
    "foci.calibration": ("calibration_for",),
    "foci.find": ("find_foci",),
    "followup.records": ("Comparison", "FollowUp", "LesionChange"),
    "geometry": ("Geometry",),
    "interop.fhir": ("fhir_bundle",),
    "knowledge": ("Knowledge", "load_knowledge"),
    "liver": ("detect_phase", "get_segmenter", "read_liver_mask", "segmenter_names"),
    "patient": ("Patient", "patient_findings", "read_patient_file"),
    "phantom": ("FocusSpec", "insert_foci", "make_patient"),
    "reason.change": ("what_would_change",),
    "reason.differential": ("differential",),
    "reason.evidence": ("Evidence",),
    "reason.explain": ("explain",),
    "reason.many": ("posterior_many",),
    "reason.next_test": ("next_tests",),
    "reason.plan": ("make_plan",),
    "reason.reasoning": ("Reasoning",),
    "registry.store": ("Registry",),
    "report": (
        "explanation_text",
        "load_schema",
        "render_explanation",
        "render_html",
        "render_pdf",
        "render_sheet",
        "report_text",
        "summary_text",
        "write_explanation",
        "write_outputs",
    ),
    "report.comparison": ("write_comparison",),
    "report.stored": ("read_stored",),
    "report.write": ("write_exports",),
    "report.writers": ("ExportContext", "get_writers"),
    "reports": ("ReportFindings", "read_report"),
    "study": ("open_study",),
    "study.calibration_file": ("read_calibration",),
    "study.quality": ("assess_quality",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Keeps the function :func:`assess` from being hidden by the module of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("hepacalc")
    elif name in __all__:
        value = getattr(import_module(f"hepacalc.{_HOME_OF.get(name, 'records')}"), name)
    else:
        raise AttributeError(f"module 'hepacalc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
