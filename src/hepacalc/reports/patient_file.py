"""Findings of a report -> a patient file for ``hepacalc explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hepacalc.errors import InvalidReport
from hepacalc.records import NotMeasured
from hepacalc.reports.records import Mention, ReportFindings

__all__ = ["examination_of", "patient_data"]

COURSE = {"new": "new", "grown": "growing", "shrunk": "shrinking", "denser": "denser_under_treatment"}
"""What a report says of the course. "Unchanged" without a year is left out: it may mean last month."""
_NUMBERS = {"single", "few", "many", "diffuse"}
_ABDOMEN = {
    "vessel": "arterial_calcification", "pancreas": "pancreas_calcification", "node": "nodes", "bowel":
    "colon_calcification", "peritoneum": "surface_calcification", "kidney": "organ_calcification", "adrenal":
    "organ_calcification",
}  # fmt: skip
_MASS = ("solid_mass", "cyst", "solid_cystic_mass")


def patient_data(found: ReportFindings, *, date: str | None = None) -> dict[str, Any]:
    """Return the content of a patient file with this report as its one examination.

    Args:
        found: of :func:`hepacalc.reports.read_report`.
        date: of the examination, ``YYYY-MM-DD`` or shorter; a report's own dates are not read.

    Raises:
        InvalidReport: the report does not state calcification of the liver; a file without it would explain nothing.
    """
    if not found.asserted:
        raise InvalidReport(
            "wanted a report that states calcification of the liver, found: "
            f"{found.liver_calcification.replace('_', ' ')}.",
            hint="Fill in a patient file by hand: hepacalc patient --new.",
        )
    exam = examination_of(found, date=date)
    data: dict[str, Any] = {"schema_version": "1.0", "examinations": [exam]}
    since = [m.change.since for m in found.liver_mentions if m.change and m.change.kind == "stable" and m.change.since]
    if date and since and min(since) < date[:4]:
        prior = {"date": min(since), "modality": exam["modality"], "seen": "yes", "change": "stable"}
        data |= {"prior_examinations": [prior], "old_images": "yes"}
    return data


def examination_of(found: ReportFindings, *, date: str | None = None) -> dict[str, Any]:
    """Return the examination of a patient file that a report gives: only what it states."""
    said = [m for m in found.liver_mentions if m.state in ("present", "probable", "possible")]
    exam: dict[str, Any] = {
        "modality": "other" if isinstance(found.modality, NotMeasured) else found.modality,
        **({"date": date} if date else {}),
        "said_by": "report",
    }
    numbers = [m.number for m in said if m.number]
    if (one := next((n for n in numbers if n.count or n.word in _NUMBERS), None)) is not None:
        exam["number"] = one.count or one.word
    exam["lesions"] = [_lesion(m, exam["modality"]) for m in _lesions(said)]
    stated = [m for m in found.mentions if m.state in ("present", "probable")]
    calcified = {organ for m in stated if m.kind == "calcification" for organ in m.organs}
    if "spleen" in calcified:
        exam["spleen"] = {"granulomas": "yes"}
    if "lung" in calcified:
        exam["chest"] = {"calcified_granulomas": "yes"}
    abdomen = {_ABDOMEN[organ]: "yes" for organ in sorted(calcified) if organ in _ABDOMEN}
    if any(m.kind == "stone" and {"gallbladder", "duct", "liver_duct", "liver"} & set(m.organs) for m in stated):
        abdomen["biliary_stones"] = "yes"
    if abdomen:
        exam["abdomen"] = abdomen
    return exam


def _lesions(said: Sequence[Mention]) -> list[Mention]:
    """One mention for each place and size: those of the findings, before those that the impression repeats."""
    body = [m for m in said if m.section != "impression"] or list(said)
    rich = [m for m in body if m.sizes or m.sites] or body
    kept: dict[tuple[object, ...], Mention] = {}
    for m in rich:
        places = tuple(s for site in m.sites for s in (*site.segments, *site.lobes))
        kept.setdefault((places, tuple(size.diameters_mm for size in m.sizes)), m)
    return list(kept.values())[:20]


def _lesion(m: Mention, modality: str) -> dict[str, Any]:
    lesion: dict[str, Any] = {}
    hosts = [state for state, _ in m.hosts]
    if hosts:
        mass = [h for h in hosts if h in _MASS]
        lesion["host"] = dict.fromkeys(mass or hosts, 1.0)
    if m.patterns:
        lesion["morphology"] = dict.fromkeys((state for state, _ in m.patterns), 1.0)
    if m.sizes:
        lesion["size_mm"] = m.sizes[0].diameters_mm[0]
    if m.density_hu is not None and modality in ("ct", "ct_non_contrast"):
        lesion["density_hu"] = m.density_hu[0]
    if m.change is not None and m.change.kind in COURSE:
        lesion["course"] = {COURSE[m.change.kind]: 1.0}
    return lesion
