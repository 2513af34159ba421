"""What cannot be true together, or not yet: errors that name the field, and warnings that stay in the output."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterator

from hepacalc.errors import InvalidPatient, UsageError
from hepacalc.patient.analytes import ANALYTES, COPIES_PER_IU, convert
from hepacalc.patient.schema import Patient
from hepacalc.patient.vocabulary import SEROLOGY
from hepacalc.patient.words import Fact, Section, earliest, latest

__all__ = ["assessment_day", "check_patient", "facts_of", "patient_warnings", "value_fault"]

OLD_DAYS = 365
"""A laboratory value older than this is named as old."""

WORDS_ONLY = ("liver_tests", "inflammation")
"""Names of laboratory results that stand for several tests and have only a word."""


def assessment_day(patient: Patient, today: datetime.date) -> datetime.date:
    """Return the day on which the patient is assessed: the last that ``assessed_on`` can mean, never after today."""
    return min(latest(patient.assessed_on), today) if patient.assessed_on else today


def facts_of(patient: Patient) -> dict[str, Fact]:
    """Return every question of the history as ``section.name``."""
    sections: dict[str, Section] = {
        "exposures": patient.exposures,
        "conditions": patient.conditions,
        "treatments": patient.treatments,
        "symptoms": patient.symptoms,
    }
    if patient.fetus:
        sections["fetus.anomalies"] = patient.fetus.anomalies
    return {f"{key}.{name}": fact for key, part in sections.items() for name, fact in part.answers().items()}


def check_patient(patient: Patient, *, today: datetime.date) -> None:
    """Refuse a patient that cannot be: dates in the future, impossible numbers, contradictions.

    Raises:
        InvalidPatient: with the field.
    """
    for field, text in [*_numbers(patient), *_contradictions(patient), *_dates(patient, today)]:
        raise InvalidPatient(f"{field}: {text}.", hint="Correct the field, or leave it out where it is not known.")


def _numbers(patient: Patient) -> Iterator[tuple[str, str]]:
    for k, item in enumerate(patient.laboratory):
        field = f"laboratory.{k}"
        if item.name not in ANALYTES and item.name not in WORDS_ONLY:
            near = difflib.get_close_matches(item.name, ANALYTES, 3, 0.5)
            yield f"{field}.name", "no such laboratory value" + (f"; close are {', '.join(near)}" if near else "")
        elif item.value is not None and item.name in WORDS_ONLY:
            yield f"{field}.value", f"{item.name} stands for several tests and has only a result in a word"
        elif item.value is not None and item.unit is not None:
            yield from _possible(field, item.name, item.value, item.unit, item.copies_per_iu or COPIES_PER_IU)
            for bound in ("upper_limit", "lower_limit"):
                if (limit := getattr(item, bound)) is not None:
                    yield from _possible(f"{field}.{bound}", item.name, limit, item.unit, COPIES_PER_IU)
    for k, test in enumerate(patient.serology):
        if test.test not in SEROLOGY:
            near = difflib.get_close_matches(test.test, SEROLOGY, 3, 0.5)
            yield f"serology.{k}.test", "no such test" + (f"; close are {', '.join(near)}" if near else "")


def _possible(field: str, name: str, value: float, unit: str, copies: float) -> Iterator[tuple[str, str]]:
    fault = value_fault(name, value, unit, copies_per_iu=copies)
    if fault:
        yield field if "limit" in field else f"{field}.{'unit' if fault.startswith('wanted') else 'value'}", fault


def value_fault(name: str, value: float, unit: str, *, copies_per_iu: float = COPIES_PER_IU) -> str:
    """Return what is wrong with a laboratory value, or nothing.

    Args:
        name: of the analyte.
        value: the number as given.
        unit: UCUM, or a usual spelling.
        copies_per_iu: of the HBV DNA assay.
    """
    try:
        found = convert(name, value, unit, copies_per_iu=copies_per_iu)
    except UsageError as fault:
        return f"{fault.message.rstrip('.')} ({fault.hint.rstrip('.')})"
    low, high = ANALYTES[name].possible
    if low <= found <= high:
        return ""
    about = ANALYTES[name]
    return f"{value:g} {unit} of {about.text} is not possible, it lies in {low:g} to {high:g} {about.unit}"


def _contradictions(patient: Patient) -> Iterator[tuple[str, str]]:
    if patient.fetus:
        for field in ("age", "sex", "reason"):
            if getattr(patient, field) is not None:
                yield field, "a fetus is assessed by itself; take this field of the mother out, or the section fetus"
        for field in (
            "exposures", "conditions", "treatments", "symptoms", "cancers", "examinations", "prior_examinations",
            "serology", "laboratory", "virus",
        ):  # fmt: skip
            if getattr(patient, field) != type(patient).model_fields[field].default:
                yield field, "a fetus is assessed by itself; this section belongs to an adult or child"
        if patient.pregnant != "not_asked":
            yield "pregnant", "take it out: the section fetus says so"
    if patient.pregnant == "yes" and patient.sex == "male":
        yield "pregnant", "a male is not pregnant"
    if patient.pregnant == "yes" and patient.age is not None and not 8 <= patient.age <= 65:
        yield "pregnant", f"not possible at an age of {patient.age:g}"
    if patient.cancers.had == "no" and patient.cancers.known:
        yield "cancers.had", "no, but a cancer is listed"
    for k, cancer in enumerate(patient.cancers.known):
        if (cancer.site, patient.sex) in {
            ("ovary", "male"),
            ("uterus", "male"),
            ("prostate", "female"),
            ("testis", "female"),
        }:
            yield f"cancers.known.{k}.site", f"not possible with sex {patient.sex} (use other if that is right)"
    for k, exam in enumerate(patient.examinations):
        scan = exam.modality in ("ct", "ct_non_contrast", "ct_contrast", "pet_ct")
        for n, lesion in enumerate(exam.lesions):
            if lesion.density_hu is not None and not scan:
                yield f"examinations.{k}.lesions.{n}.density_hu", f"{exam.modality} does not measure HU"
        if isinstance(exam.number, int) and exam.number < len(exam.lesions):
            yield f"examinations.{k}.number", f"{exam.number}, but {len(exam.lesions)} lesions are described"
        if exam.number == "single" and len(exam.lesions) > 1:
            yield f"examinations.{k}.number", f"single, but {len(exam.lesions)} lesions are described"
    for k, prior in enumerate(patient.prior_examinations):
        if prior.seen == "no" and (prior.change is not None or prior.size_mm is not None):
            yield f"prior_examinations.{k}.seen", "no, but a change or a size of it is given"
    if patient.prior_examinations and patient.old_images == "no":
        yield "old_images", "no, but prior_examinations are listed"
    lesions = max((len(exam.lesions) for exam in patient.examinations), default=0)
    for k, item in enumerate(patient.overrule):
        if item.lesion is not None and item.lesion > max(lesions, 1):
            yield f"overrule.{k}.lesion", f"there are {lesions} lesions"


def _when(patient: Patient) -> Iterator[tuple[str, str]]:
    """Every date of the file with its field."""
    if patient.assessed_on:
        yield "assessed_on", patient.assessed_on
    for name, fact in facts_of(patient).items():
        for part in ("since", "until"):
            if value := getattr(fact, part):
                yield f"{name}.{part}", value
    for k, cancer in enumerate(patient.cancers.known):
        if cancer.year:
            yield f"cancers.known.{k}.year", cancer.year
    for section in ("laboratory", "serology", "examinations", "prior_examinations"):
        for k, item in enumerate(getattr(patient, section)):
            if item.date:
                yield f"{section}.{k}.date", item.date
    for name in type(patient.virus).model_fields:
        test = getattr(patient.virus, name)
        if test is not None and test.date:
            yield f"virus.{name}.date", test.date
    if patient.fetus and patient.fetus.date:
        yield "fetus.date", patient.fetus.date


def _dates(patient: Patient, today: datetime.date) -> Iterator[tuple[str, str]]:
    dates = list(_when(patient))
    for field, when in dates:
        if earliest(when) > today:
            yield field, f"{when} lies in the future"
    day = assessment_day(patient, today)
    for field, when in dates:
        if earliest(when) > day:
            yield field, f"{when} lies after the day of the assessment"
    if patient.age is not None:
        born = day - datetime.timedelta(days=365.25 * (patient.age + 1) + 366)
        for field, when in dates:
            if latest(when) < born:
                yield field, f"{when} lies before the birth of a person of {patient.age:g} years"
        for name, fact in facts_of(patient).items():
            for part in ("from_age", "to_age"):
                if (value := getattr(fact, part)) is not None and value > patient.age + 1:
                    yield f"{name}.{part}", f"{value:g} years, but the person is {patient.age:g}"


def patient_warnings(patient: Patient, *, today: datetime.date) -> tuple[str, ...]:
    """Return what is odd but possible; it stays in the output."""
    found = []
    virus, facts = patient.virus, facts_of(patient)
    had = {name: fact.had for name, fact in facts.items()}
    results = {name: test.result for name in type(virus).model_fields if (test := getattr(virus, name))}
    dna = [lab for lab in patient.laboratory if lab.name == "hbv_dna"]
    dna_found = results.get("hbv_dna") == "positive" or any(
        lab.result == "positive" or ((lab.value or 0) > 0 and lab.comparator not in ("<", "<=")) for lab in dna
    )
    if results.get("hbsag") == "negative" and dna_found:
        found.append("HBsAg is negative and hepatitis B DNA is found: occult infection, or one of them is wrong")
    if results.get("hbsag") == "negative" and had["conditions.chronic_hepatitis_b"] == "yes":
        found.append("chronic hepatitis B is said, HBsAg is negative")
    if results.get("anti_hcv") == "negative" and results.get("hcv_rna") == "positive":
        found.append("anti-HCV is negative and hepatitis C RNA is found: early infection, or one of them is wrong")
    if results.get("hiv") == "positive" and had["conditions.hiv"] == "no":
        found.append("HIV infection is denied, the test is positive")
    if patient.cancers.had == "no" and "yes" in (had["treatments.chemotherapy"], had["treatments.radiotherapy"]):
        found.append("treatment of cancer is said, but no cancer: ask for which illness it was")
    if patient.cancers.known and all(cancer.remission == "yes" for cancer in patient.cancers.known):
        found.append("a cancer in remission still counts as a known cancer")
    if any(cancer.site in ("liver", "bile_duct") for cancer in patient.cancers.known):
        found.append(
            "a cancer of liver or bile ducts is known: it is kept as a fact, not taken for a primary elsewhere"
        )
    if patient.age is not None and patient.age < 12 and had["treatments.contraceptive_pill"] == "yes":
        found.append("contraceptive pill under 12 years")
    if patient.sex == "male" and had["treatments.contraceptive_pill"] == "yes":
        found.append("contraceptive pill in a male")
    for lab in dna:
        unit = (lab.unit or "").lower()
        if lab.value is not None and ("cop" in unit or "cp" in unit or unit.startswith("/")) and not lab.copies_per_iu:
            found.append(
                f"hepatitis B DNA in copies was divided by {COPIES_PER_IU:g} (COBAS TaqMan); by assay this is 3.41-5.82"
            )
    day = assessment_day(patient, today)
    for lab in patient.laboratory:
        if lab.date and (day - latest(lab.date)).days > OLD_DAYS:
            found.append(f"{lab.name} of {lab.date} is more than a year old")
    return tuple(dict.fromkeys(found))
