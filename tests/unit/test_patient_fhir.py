import json
from typing import Any

import pytest

from hepacalc.errors import InvalidPatient
from hepacalc.knowledge import load_knowledge
from hepacalc.patient import fhir_codes, fhir_in
from hepacalc.patient.analytes import ANALYTES
from hepacalc.patient.fhir_codes import target_of
from hepacalc.patient.fhir_in import patient_from_fhir
from hepacalc.patient.schema import Patient
from hepacalc.patient.to_findings import patient_findings
from hepacalc.patient.vocabulary import SEROLOGY, SITES
from patient_files import TODAY

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ICD, ATC = "http://hl7.org/fhir/sid/icd-10", "http://www.whocc.no/atc"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": "Jane Doe"}], "text": "Jane Doe"}


def observation(code: str, **more: Any) -> dict[str, Any]:
    base = {"resourceType": "Observation", "status": "final", "code": coded(LOINC, code)}
    return base | {"effectiveDateTime": "2026-01-20T08:30:00+08:00"} | more


def quantity(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {
        "valueQuantity": {"value": value, "unit": "shown", "code": unit, "system": "http://unitsofmeasure.org"} | more
    }


def condition(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": coded(system, code)} | more


def person(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1968-06-01",
            "name": [{"family": "Doe"}]} | more  # fmt: skip


def read(*resources: dict[str, Any]) -> fhir_in.FhirPatient:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}
    return patient_from_fhir(json.dumps(bundle), today=TODAY)


def test_a_bundle_becomes_a_patient_file() -> None:
    status = {"clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "remission")}
    got = read(
        person(),
        observation("1742-6", **quantity(1.0, "ukat/L"), referenceRange=[{"high": {"value": 0.6, "code": "ukat/L"}}]),
        observation("29615-2", **quantity(20, "[IU]/mL", comparator="<")),
        observation("5196-1", valueCodeableConcept=coded(SNOMED, "10828004")),
        observation("13955-0", valueString="Not detected"),
        observation("71773-6", interpretation=[coded("http://terminology.hl7.org/CodeSystem/v3-x", "NEG")]),
        condition(ICD, "C18.7", onsetDateTime="2019-03", **status), condition(SNOMED, "34742003"),
        condition(ICD, "A15.0"), condition(ICD, "E11.9"),
        {"resourceType": "Procedure", "status": "completed", "code": coded(SNOMED, "38102005"),
         "performedDateTime": "2010-02-03"},
        {"resourceType": "MedicationStatement", "status": "active", "medicationCodeableConcept": coded(ATC, "C01BD01")},
    )  # fmt: skip
    patient = got.patient
    assert patient.age == pytest.approx(57.67, abs=0.01)
    assert patient.sex == "female"
    assert [(x.name, x.value, x.unit, x.upper_limit, x.comparator) for x in patient.laboratory] == [
        ("alt", 1.0, "ukat/L", 0.6, None), ("hbv_dna", 20.0, "[IU]/mL", None, "<")
    ]  # fmt: skip
    assert patient.virus.hbsag is not None
    assert patient.virus.hbsag.result == "positive"
    assert patient.virus.anti_hcv is not None
    assert patient.virus.anti_hcv.result == "negative"
    assert [(x.test, x.result) for x in patient.serology] == [("igra", "negative")]
    assert [(c.site, c.year, c.remission) for c in patient.cancers.known] == [("colon", "2019-03", "yes")]
    assert patient.conditions.portal_hypertension.had == patient.conditions.diabetes.had == "yes"
    assert patient.exposures.tuberculosis.had == "yes"
    assert patient.treatments.cholecystectomy.since == "2010-02-03"
    assert patient.treatments.amiodarone.had == "yes"
    # a silent record denies nothing
    assert patient.conditions.cirrhosis.had == patient.conditions.others == "not_asked"
    assert got.passed_over == ()
    assert patient_findings(patient, load_knowledge(), today=TODAY).setting.id == "oncology"
    assert "Doe" not in patient.model_dump_json()


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (observation("99999-9", **quantity(1, "U/L")), "loinc 99999-9"),
        (observation("1742-6", **quantity(1, "mg/dL")), "wanted a unit"),
        (observation("1742-6", **quantity(-3, "U/L")), "not possible"),
        (observation("1742-6", **quantity(3, "furlong")), "wanted a unit"),
        (observation("1742-6", valueString="Jane Doe"), "no value"),
        (observation("5196-1", valueQuantity={"value": 3}), "positive or negative"),
        (observation("1742-6", **quantity(3, "U/L")) | {"status": "entered-in-error"}, "not final"),
        (observation("1742-6", **quantity(3, "U/L"), subject={"reference": "Patient/other"}), "another subject"),
        (observation("1742-6", **quantity(3, "U/L")) | {"effectiveDateTime": "2027-01-01"}, "future"),
        (condition("http://example.org", "x1"), "unknown system x1"),
        (condition(ICD, "Z99.9"), "icd10 Z99.9"), (condition(ICD, "C44.3"), "icd10 C44.3"),
        (condition(ICD, "C78.7"), "icd10 C78.7"),
        (condition(SNOMED, "34742003", verificationStatus=coded("x", "provisional")), "provisional"),
        (condition(ICD, "R17", clinicalStatus=coded("x", "resolved")), "resolved"),
        ({"resourceType": "Condition", "code": {"text": "Jane Doe"}}, "no code"),
        ({"resourceType": "Procedure", "status": "not-done", "code": coded(SNOMED, "38102005")}, "status"),
        ({"resourceType": "DiagnosticReport"}, "not read"), ({"resourceType": "<Jane Doe>"}, "a resource"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_listed_not_guessed(resource: dict[str, Any], reason: str) -> None:
    got = read(person(), resource)
    assert len(got.passed_over) == 1
    assert reason in got.passed_over[0]
    assert "Jane" not in got.passed_over[0]
    alone = read(person()).patient
    assert got.patient.model_dump(exclude={"laboratory"}) == alone.model_dump(exclude={"laboratory"})
    assert got.patient.laboratory == []


def test_a_refuted_condition_is_a_no_and_a_yes_wins() -> None:
    no = condition(SNOMED, "19943007", verificationStatus=coded("x", "refuted"))
    assert read(no).patient.conditions.cirrhosis.had == "no"
    yes = condition(ICD, "K74.6")
    assert read(no, yes).patient.conditions.cirrhosis.had == read(yes, no).patient.conditions.cirrhosis.had == "yes"


def test_a_range_in_another_unit_is_no_limit() -> None:
    odd = observation("1742-6", **quantity(80, "U/L"), referenceRange=[{"high": {"value": 0.6, "code": "ukat/L"}}])
    assert read(odd).patient.laboratory[0].upper_limit is None
    two = observation(
        "1742-6", **quantity(80, "U/L"), referenceRange=[{"high": {"value": 40}}, {"high": {"value": 60}}]
    )
    assert read(two).patient.laboratory[0].upper_limit is None


@pytest.mark.parametrize(
    "bundle",
    ["", "[]", "3", '{"resourceType": "Patient"}', '{"resourceType": "Bundle", "entry": 3}',
     '{"resourceType": "Bundle", "entry": ' + "[" * 60 + "]" * 60 + "}",
     '{"resourceType": "Bundle", "resourceType": "Bundle"}',
     json.dumps({"resourceType": "Bundle", "entry": [{"resource": person()}, {"resource": person(id="q")}]}),
     json.dumps({"resourceType": "Bundle", "entry": [{"resource": person(birthDate="1.6.68")}]}),
     json.dumps({"resourceType": "Bundle", "entry": [{"resource": person(birthDate="2030-01-01")}]}),
     json.dumps({"resourceType": "Bundle", "entry": [{"resource": person(birthDate="1850")}]})],
)  # fmt: skip
def test_a_bundle_that_cannot_be_used_is_refused(bundle: str) -> None:
    with pytest.raises(InvalidPatient):
        patient_from_fhir(bundle, today=TODAY)


def test_size_and_number_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidPatient, match="at most"):
        patient_from_fhir({"resourceType": "Bundle", "entry": [{}] * (fhir_in.MOST_ENTRIES + 1)}, today=TODAY)
    monkeypatch.setattr(fhir_in, "LARGEST_BUNDLE", 10)
    with pytest.raises(InvalidPatient, match="characters"):
        read()


@pytest.mark.parametrize(
    ("system", "code", "target"),
    [
        ("icd10", "C18.1", "cancer:appendix"), ("icd10", "C181", "cancer:appendix"), ("icd10", "C18.9", "cancer:colon"),
        ("icd10", "C22.1", "cancer:bile_duct"), ("icd10", "C22.0", "cancer:liver"),
        ("icd10", "C85.9", "cancer:lymphoma"),
        ("icd10", "C78.7", ""), ("icd10", "K83.01", "conditions.primary_sclerosing_cholangitis"),
        ("icd10", "K83.09", "conditions.cholangitis"), ("icd10", "K74.0", ""), ("atc", "B01AC06", ""),
        ("atc", "B01AF01", "treatments.anticoagulants"), ("snomed", "1", ""), ("loinc", "1742-6", "lab:alt"),
    ],
)  # fmt: skip
def test_codes(system: str, code: str, target: str) -> None:
    assert target_of(system, code) == target


def test_every_code_leads_to_a_field() -> None:
    for table in (fhir_codes.LOINC, fhir_codes.ICD10, fhir_codes.SNOMED, fhir_codes.ATC):
        for target in filter(None, table.values()):
            kind, _, name = target.partition(":")
            if name:
                places = {"lab": ANALYTES, "cancer": SITES, "serology": SEROLOGY,
                          "virus": type(Patient().virus).model_fields}  # fmt: skip
                assert name in places[kind], target
            else:
                section, question = target.split(".")
                assert question in type(getattr(Patient(), section)).model_fields, target
