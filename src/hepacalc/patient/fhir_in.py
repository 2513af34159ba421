"""FHIR R4 bundle -> patient file. What is not known is listed as passed over, never guessed.

Read are Patient (age, sex), Observation (LOINC), Condition (ICD-10, SNOMED CT), Procedure (SNOMED CT) and
MedicationStatement (ATC). Names, addresses and identifiers are not read. A condition that is not in the bundle was not
asked: a record that is silent is no denial.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hepacalc.errors import InvalidPatient
from hepacalc.patient.checks import value_fault
from hepacalc.patient.fhir_codes import RESULTS, SYSTEMS, target_of
from hepacalc.patient.read import load_json, patient_from_data
from hepacalc.patient.schema import Patient
from hepacalc.patient.words import earliest

__all__ = ["LARGEST_BUNDLE", "FhirPatient", "patient_from_fhir"]

LARGEST_BUNDLE = 20_000_000
"""Characters of JSON."""
MOST_ENTRIES = 20_000

Json = Mapping[str, Any]
_HINT = "Send one R4 Bundle with the resources of one patient."
_READ = ("Observation", "Condition", "Procedure", "MedicationStatement")
_FITS = {
    "Observation": ("lab:", "virus:", "serology:"),
    "Condition": ("cancer:", "conditions.", "treatments.", "exposures.", "symptoms."),
    "Procedure": ("treatments.",),
    "MedicationStatement": ("treatments.",),
}
_UNSURE = ("unconfirmed", "provisional", "differential", "entered-in-error")
_OVER = ("inactive", "remission", "resolved")


@dataclass(frozen=True)
class FhirPatient:
    """What a bundle says.

    Args:
        patient: the patient file that it amounts to.
        passed_over: what was not used, with the reason; resource types and codes only, no texts of the bundle.
    """

    patient: Patient
    passed_over: tuple[str, ...]


@dataclass
class _Draft:
    """A patient file in the making."""

    today: datetime.date
    data: dict[str, Any] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    def pass_over(self, what: str) -> None:
        self.passed[what] = self.passed.get(what, 0) + 1

    def listing(self) -> tuple[str, ...]:
        return tuple(f"{what} ({n} times)" if n > 1 else what for what, n in sorted(self.passed.items()))

    def answer(self, target: str, had: str, since: str | None) -> None:
        """A question answered; a yes wins, the earliest date stays."""
        section, name = target.split(".")
        held = self.data.setdefault(section, {}).get(name)
        if held and held["had"] == "yes" and had == "no":
            return
        dates = [d for d in (since if had == "yes" else None, held and held.get("since")) if d]
        first = min(dates, key=earliest) if dates else None
        self.data[section][name] = {"had": had, **({"since": first} if first else {})}


def patient_from_fhir(bundle: str | Json, *, today: datetime.date) -> FhirPatient:
    """Return what a FHIR R4 bundle says of one patient.

    Args:
        bundle: JSON text, or what it holds.
        today: gives the age; what is dated later is passed over.

    Raises:
        InvalidPatient: not a bundle, too large or too deep, more than one patient, or contradictory.
    """
    if isinstance(bundle, str):
        if len(bundle) > LARGEST_BUNDLE:
            raise InvalidPatient(
                f"the bundle has {len(bundle)} characters.", hint=f"At most {LARGEST_BUNDLE} are read."
            )
        bundle = load_json(bundle)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise InvalidPatient("wanted a FHIR Bundle.", hint=_HINT)
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise InvalidPatient(f"entry: wanted a list of at most {MOST_ENTRIES}.", hint=_HINT)
    resources = [(e.get("fullUrl"), e["resource"]) for e in entries if isinstance(e, dict) and _is(e.get("resource"))]
    draft = _Draft(today)
    people = [(url, r) for url, r in resources if r.get("resourceType") == "Patient"]
    if len(people) > 1:
        raise InvalidPatient(f"the bundle has {len(people)} patients.", hint=_HINT)
    known: set[str] = set()
    for url, person in people:
        _person(person, draft)
        known = {name for name in (url, f"Patient/{person.get('id')}") if isinstance(name, str)}
    for _, resource in resources:
        kind = str(resource.get("resourceType", ""))
        if kind == "Patient":
            continue
        if kind not in _READ:
            draft.pass_over(f"{kind if re.fullmatch('[A-Za-z]{1,40}', kind) else 'a resource'}: not read")
        elif not _same_person(resource, known):
            draft.pass_over(f"{kind}: about another subject")
        else:
            {"Observation": _observation, "Condition": _condition}.get(kind, _done)(resource, draft)
    draft.data["said_by"] = "record"
    patient = patient_from_data(draft.data, today=today)
    return FhirPatient(patient, draft.listing())


def _is(value: Any) -> bool:
    return isinstance(value, dict)


def _same_person(resource: Json, known: set[str]) -> bool:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not known or reference is None:
        return True
    return isinstance(reference, str) and any(reference == name or reference.endswith(f"/{name}") for name in known)


def _person(person: Json, draft: _Draft) -> None:
    gender = person.get("gender")
    if gender in ("female", "male", "other"):
        draft.data["sex"] = gender
    born = person.get("birthDate")
    if born is None:
        return
    if not isinstance(born, str) or (day := _date(born)) is None:
        raise InvalidPatient("Patient.birthDate: wanted YYYY, YYYY-MM or YYYY-MM-DD.", hint="Correct the date.")
    age = (draft.today - earliest(day)).days / 365.25
    if age < 0:
        raise InvalidPatient("Patient.birthDate: it lies in the future.", hint="Correct the date.")
    if age > 125:
        raise InvalidPatient(f"Patient.birthDate: an age of {age:.0f} years.", hint="Correct the date.")
    draft.data["age"] = round(age, 2)


# ---------------------------------------------------------------- codes


def _codings(concept: Any) -> Iterator[tuple[str, str]]:
    """System and code of a CodeableConcept, only well-formed ones."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9.\-+]{1,20}", code):
                yield SYSTEMS.get(system, "") if isinstance(system, str) else "", code


def _targets(concept: Any, kind: str, draft: _Draft) -> list[str]:
    """What the concept is in a patient file; notes it as passed over when it is nothing."""
    codings = list(_codings(concept))
    known = [target for system, code in codings if system and (target := target_of(system, code))]
    found = [target for target in known if target.startswith(_FITS[kind])]
    if not found:
        named = ", ".join(f"{system or 'unknown system'} {code}" for system, code in codings[:3])
        draft.pass_over(f"{kind}: {named or 'no code'}")
    return list(dict.fromkeys(found))


def _date(value: Any) -> str | None:
    """The date part of a FHIR date or dateTime; None when it is none."""
    match = re.match(r"\d{4}(-\d{2}(-\d{2})?)?(?=$|T)", value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        earliest(match[0])
    except ValueError:
        return None
    return match[0]


def _first_date(resource: Json, *names: str) -> str | None:
    for name in names:
        value = resource.get(name)
        if isinstance(value, dict):
            value = value.get("start")
        if found := _date(value):
            return found
    return None


def _code_of(resource: Json, name: str) -> str:
    codings = resource.get(name)
    first = codings.get("coding") if isinstance(codings, dict) else None
    code = first[0].get("code") if isinstance(first, list) and first and isinstance(first[0], dict) else None
    return code if isinstance(code, str) else ""


# ---------------------------------------------------------------- resources


def _condition(resource: Json, draft: _Draft) -> None:
    sure, now = _code_of(resource, "verificationStatus"), _code_of(resource, "clinicalStatus")
    targets = _targets(resource.get("code"), "Condition", draft)
    since = _first_date(resource, "onsetDateTime", "onsetPeriod", "recordedDate")
    if since and earliest(since) > draft.today:
        draft.pass_over("Condition: dated in the future")
        return
    for target in targets:
        if sure in _UNSURE:
            draft.pass_over(f"Condition {target}: {sure}")
        elif target.startswith("cancer:"):
            if sure == "refuted":
                draft.pass_over(f"Condition {target}: refuted")
                continue
            entry: dict[str, Any] = {"site": target.removeprefix("cancer:"), **({"year": since} if since else {})}
            if now in _OVER:
                entry["remission"] = "yes"
            cancers = draft.data.setdefault("cancers", {}).setdefault("known", [])
            if entry["site"] not in {cancer["site"] for cancer in cancers}:
                cancers.append(entry)
        elif now in _OVER and (target.startswith("symptoms.") or "chronic_hepatitis" in target):
            draft.pass_over(f"Condition {target}: {now}")
        else:
            had = "no" if sure == "refuted" else "yes"
            draft.answer(target, had, since)


def _done(resource: Json, draft: _Draft) -> None:
    """A procedure or a drug."""
    kind = str(resource["resourceType"])
    status = resource.get("status")
    field_name = "code" if kind == "Procedure" else "medicationCodeableConcept"
    targets = _targets(resource.get(field_name), kind, draft)
    good = ("completed", "in-progress") if kind == "Procedure" else ("active", "completed", "stopped", "on-hold")
    since = _first_date(resource, "performedDateTime", "performedPeriod", "effectiveDateTime", "effectivePeriod")
    for target in targets:
        if status not in good:
            draft.pass_over(f"{kind} {target}: status is not one of {', '.join(good)}")
        elif since and earliest(since) > draft.today:
            draft.pass_over(f"{kind} {target}: dated in the future")
        else:
            draft.answer(target, "yes", since)


def _observation(resource: Json, draft: _Draft) -> None:
    if resource.get("status") not in ("final", "amended", "corrected"):
        draft.pass_over("Observation: not final")
        return
    date = _first_date(resource, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
    if date and earliest(date) > draft.today:
        draft.pass_over("Observation: dated in the future")
        return
    for target in _targets(resource.get("code"), "Observation", draft):
        kind, _, name = target.partition(":")
        dated = {"date": date} if date else {}
        if kind == "lab":
            _laboratory(resource, name, dated, draft)
            continue
        result = _result(resource)
        if result not in ("positive", "negative", "indeterminate"):
            draft.pass_over(f"Observation {name}: no result that says positive or negative")
        elif kind == "virus":
            held = draft.data.setdefault("virus", {}).get(name)
            if held is None or str(dated.get("date", "")) >= str(held.get("date", "")):
                draft.data["virus"][name] = {"result": result, **dated}
        else:
            draft.data.setdefault("serology", []).append({"test": name, "result": result, **dated})


def _laboratory(resource: Json, name: str, dated: dict[str, str], draft: _Draft) -> None:
    quantity = resource.get("valueQuantity")
    labs = draft.data.setdefault("laboratory", [])
    if isinstance(quantity, dict) and (value := _number(quantity.get("value"))) is not None:
        unit = quantity.get("code") or quantity.get("unit")
        unit = unit if isinstance(unit, str) else "1" if name == "inr" else ""
        fault = value_fault(name, value, unit)
        if not fault:
            entry = {"name": name, "value": value, "unit": unit, **dated}
            if (sign := quantity.get("comparator")) in ("<", "<=", ">", ">="):
                entry["comparator"] = sign
            labs.append(entry | _limits(resource, name, unit))
            return
        draft.pass_over(f"Observation {name}: {fault}")
        return
    result = _result(resource)
    if result:
        labs.append({"name": name, "result": result, **dated})
    else:
        draft.pass_over(f"Observation {name}: no value that can be read")


def _number(value: Any) -> float | None:
    """A finite number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value)


def _limits(resource: Json, name: str, unit: str) -> dict[str, float]:
    """Limits of normal when there is exactly one range, in the unit of the value."""
    ranges = resource.get("referenceRange")
    if not isinstance(ranges, list) or len(ranges) != 1 or not isinstance(ranges[0], dict):
        return {}
    found = {}
    for key, limit in (("upper_limit", ranges[0].get("high")), ("lower_limit", ranges[0].get("low"))):
        if isinstance(limit, dict) and (value := _number(limit.get("value"))) is not None:
            own = limit.get("code") or limit.get("unit") or unit
            if own == unit and not value_fault(name, value, unit) and (value > 0 or key == "lower_limit"):
                found[key] = value
    if found.get("lower_limit", -1.0) >= found.get("upper_limit", float("inf")) or "upper_limit" not in found:
        return {}
    return found


def _result(resource: Json) -> str:
    """A result in a word: coded value, its text, or the interpretation; empty when none is clear."""
    coded = [RESULTS.get(code, "") for _, code in _codings(resource.get("valueCodeableConcept"))]
    concept = resource.get("valueCodeableConcept")
    texts = [resource.get("valueString"), concept.get("text") if isinstance(concept, dict) else None]
    words = [RESULTS.get(text.strip().lower(), "") for text in texts if isinstance(text, str)]
    listed = resource.get("interpretation")
    read = [RESULTS.get(code, "") for one in (listed if isinstance(listed, list) else []) for _, code in _codings(one)]
    for found in (coded, words, read):
        clear = {word for word in found if word}
        if len(clear) == 1:
            return clear.pop()
    return ""
