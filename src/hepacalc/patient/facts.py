"""Facts and laboratory values in the words of the knowledge's ``facts.yaml``, for the rules of the plan.

What is not known is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast, get_args

from hepacalc.patient import imaging
from hepacalc.patient.laboratory import LabFact
from hepacalc.patient.schema import Patient
from hepacalc.patient.vocabulary import SEROLOGY
from hepacalc.patient.words import Fact
from hepacalc.reason.situation import FactValue, LabValue, LabWord

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["history_of", "lab_values", "page_b", "rule_facts"]

_CHOICES = ("ancestry", "fibrosis", "ce_stage")
_YES_NO = (
    "contrast_allergy", "mri_unsafe_implant", "bleeding_risk", "family_liver_cancer", "hbv_other_risk",
    "ce_complicated", "ae_resectable", "schisto_active", "noncontrast_phase",
)  # fmt: skip


def history_of(patient: Patient, answered: Mapping[str, Fact]) -> dict[str, bool]:
    """Return every question that was answered, by its name, and whether a cancer is known."""
    found = {name.split(".")[-1]: fact.had == "yes" for name, fact in answered.items() if fact.had != "not_asked"}
    if patient.cancers.known or patient.cancers.had != "not_asked":
        found["cancer"] = bool(patient.cancers.known) or patient.cancers.had == "yes"
    return dict(sorted(found.items()))


def rule_facts(
    patient: Patient, answered: Mapping[str, Fact], labs: Mapping[str, LabFact], *, scanned: bool
) -> dict[str, FactValue]:
    """Return the facts of ``facts.yaml`` that the patient file tells.

    Args:
        patient: the file.
        answered: its questions, ``section.name``.
        labs: its results.
        scanned: True when a CT is assessed along with it; what is known of the CT is then not taken from the file.
    """
    found: dict[str, FactValue] = {"network": patient.network}
    plain: dict[str, FactValue | None] = {"age": patient.age, "sex": patient.sex, "reason": patient.reason}
    plain["modality"] = "ct" if scanned else imaging.modality_of(patient.examinations)
    plain |= {name: getattr(patient.further, name) for name in _CHOICES}
    plain["older_images"] = _older_images(patient)
    plain["page_b"] = page_b(patient.age, patient.sex, labs.get("platelets"))
    if not scanned:
        plain |= _sizes(patient)
    found |= {name: value for name, value in plain.items() if value is not None}
    three = {name: getattr(patient.further, name) for name in _YES_NO}
    three["pregnant"] = patient.pregnant
    if three["bleeding_risk"] == "not_asked" and answered["treatments.anticoagulants"].had == "yes":
        three["bleeding_risk"] = "yes"
    if three["noncontrast_phase"] == "not_asked" and not scanned:
        three["noncontrast_phase"] = _noncontrast(patient)
    if patient.fetus:
        three |= {"fetal_referral": patient.fetus.referral, "echogenic_bowel": patient.fetus.echogenic_bowel}
        found["network"] = "fetal"
    found |= {name: word == "yes" for name, word in three.items() if word != "not_asked"}
    return dict(sorted(found.items()))


def _older_images(patient: Patient) -> str | None:
    if any(p.change or p.seen != "not_asked" or p.size_mm is not None for p in patient.prior_examinations):
        return "compared"
    if patient.prior_examinations or patient.old_images == "yes":
        return "available"
    return "none" if patient.old_images == "no" else None


def _sizes(patient: Patient) -> dict[str, FactValue | None]:
    """Largest focus and largest host. The size of a focus in plain liver is that of its calcium."""
    focus, host = [], []
    for exam in imaging.best_first(patient.examinations):
        for lesion in exam.lesions:
            bare = set(lesion.host or {}) == {"parenchyma"}
            if lesion.calcium_mm is not None or (bare and lesion.size_mm is not None):
                focus.append(lesion.calcium_mm or lesion.size_mm or 0.0)
            if lesion.size_mm is not None and lesion.host is not None and not bare:
                host.append(lesion.size_mm)
        if focus or host:
            break
    return {"focus_mm": max(focus, default=None), "host_mm": max(host, default=None)}


def _noncontrast(patient: Patient) -> str:
    kinds = {exam.modality for exam in patient.examinations if imaging.modality_of([exam]) == "ct"}
    if "ct_non_contrast" in kinds:
        return "yes"
    return "no" if kinds == {"ct_contrast"} else "not_asked"


def page_b(age: float | None, sex: str | None, platelets: LabFact | None) -> float | None:
    """Return the PAGE-B score of liver cancer in hepatitis B, 0-25; None when a part of it is not known.

    Reference: Papatheodoridis et al., J Hepatol 2016;64:800; points from memory, not checked.
    """
    if age is None or age < 16 or sex not in ("female", "male") or platelets is None or platelets.value is None:
        return None
    if platelets.comparator:
        return None
    years = next(points for limit, points in ((30, 0), (40, 2), (50, 4), (60, 6), (70, 8), (200, 10)) if age < limit)
    count = 0 if platelets.value >= 200 else 6 if platelets.value >= 100 else 9
    return float(years + (6 if sex == "male" else 0) + count)


def lab_values(patient: Patient, labs: Mapping[str, LabFact], knowledge: Knowledge) -> dict[str, LabValue]:
    """Return the laboratory values that rules ask for, in the units of ``facts.yaml``."""
    found: dict[str, LabValue] = {}
    for name, lab in labs.items():
        if name not in knowledge.labs:
            continue
        if lab.value is not None and knowledge.labs[name].unit:
            found[name] = LabValue(lab.value, lab.upper, lab.comparator)
        elif lab.value is None and lab.result in get_args(LabWord):
            found[name] = LabValue(cast("LabWord", lab.result))
    for name in SEROLOGY:
        results = {test.result for test in patient.serology if test.test == name}
        if name in knowledge.labs and results & {"positive", "negative"}:
            found[name] = LabValue("positive" if "positive" in results else "negative")
    return dict(sorted(found.items()))
