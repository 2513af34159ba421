"""The FHIR bundle: valid R4 for two validators, whole in itself, and with the numbers of the JSON."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from hepacalc.errors import UsageError
from hepacalc.interop.codes import MEASUREMENT_CODES, UNITS
from hepacalc.interop.fhir import fhir_bundle
from hepacalc.interop.fhir.elements import BAND, INTERVAL
from hepacalc.interop.fhir.risk import LEAST_SHOWN
from hepacalc.records import Assessment
from hepacalc.report import document
from reason_example import BLANK, CYST, SIMPLE, assessed
from report_example import BALLS, make_example
from report_strategies import SETTINGS, assessments

Json = dict[str, Any]

SCANS: dict[str, Callable[[], Assessment]] = {
    "plan": assessed,
    "flags": lambda: assessed(CYST),
    "stop": lambda: assessed(SIMPLE, lesions=0),
    "nothing known": lambda: assessed(BLANK),
    "lesions": make_example,
    "not measured": lambda: make_example(unmeasured=True),
    "nothing found": lambda: make_example(balls=()),
    "mimics": lambda: make_example(balls=BALLS[4:]),
    "joined": lambda: make_example(per_lesion=3),
    "NIfTI": lambda: replace(
        make_example(),
        acquisition=replace(make_example().acquisition, study_instance_uid=None, series_instance_uid=None),
    ),
}


@pytest.fixture(params=[*SCANS], scope="module")
def scan(request: pytest.FixtureRequest) -> Assessment:
    return SCANS[request.param]()


@pytest.fixture(scope="module")
def flagged() -> Json:
    return fhir_bundle(assessed(CYST))


def resources(bundle: Json, kind: str = "") -> list[Json]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in found if one["resourceType"] == kind or not kind]


def inside(value: Any) -> Iterator[Json]:
    """Every object of a resource, however deep."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from inside(one)


def faults(bundle: Json) -> list[str]:
    """What the two validators say against a bundle."""
    fhirkit = pytest.importorskip("fhirkit", reason="fhirkit-rs is not installed; the rules below are still checked")
    engine = pytest.importorskip("pyfhircheck.core.engine", reason="pyfhircheck is not installed")
    ours = json.loads(json.dumps(bundle))
    theirs = engine.Validator().validate_resource(ours).issues
    return [str(issue) for issue in fhirkit.validate(ours)] + [f"{i.code}: {i.message}" for i in theirs]


def broken_rules(bundle: Json) -> list[str]:
    """Invariants of R4 that the validators pass over, and references that lead nowhere."""
    out = []
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    out += ["two entries of one fullUrl"] if len(set(urls)) < len(urls) else []
    for one in inside(bundle):
        if isinstance(one.get("reference"), str) and kinds.get(one["reference"]) != one["type"]:
            out.append(f"reference to {one}")
        if {"start", "end"} <= set(one) and one["start"] > one["end"]:
            out.append("per-1")
        low_high = [one[end]["value"] for end in ("low", "high") if end in one]
        if len(low_high) == 2 and low_high[0] > low_high[1]:
            out.append("rng-2")
        if "dataAbsentReason" in one and any(key.startswith("value") for key in one):
            out.append("obs-6")
    for one in resources(bundle, "Observation"):
        codes = {c["code"] for part in one.get("component", []) for c in part["code"]["coding"]}
        if any(k.startswith("value") for k in one) and one["code"]["coding"][0]["code"] in codes:
            out.append("obs-7")
        if not any(k.startswith("value") or k in ("dataAbsentReason", "component", "hasMember") for k in one):
            out.append("an observation of nothing")
    for one in resources(bundle, "RiskAssessment"):
        for guess in one["prediction"]:
            ends = guess["extension"][0]["valueRange"].values()
            if any(end["code"] != "%" or not 0 <= end["value"] <= 100 for end in ends):
                out.append("ras-1")
            if guess["probabilityDecimal"] > 100:
                out.append("ras-2")
    out += ["cpl-3" for plan in resources(bundle, "CarePlan") for a in plan["activity"] if len(a) != 1]
    out += ["prr-1" for one in resources(bundle, "ServiceRequest") if "orderDetail" in one and "code" not in one]
    return out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_validators_and_the_rules_they_pass_over(scan: Assessment, language: str) -> None:
    bundle = fhir_bundle(scan, language=language)
    assert broken_rules(bundle) == []
    assert faults(bundle) == []


@SETTINGS
@given(assessments())
def test_whatever_was_measured_it_is_valid(scan: Assessment) -> None:
    bundle = fhir_bundle(scan)
    assert broken_rules(bundle) == []
    assert faults(bundle) == []


BREAKS: dict[str, Callable[[Json], object]] = {
    "Observation": lambda one: one.pop("code"),
    "ServiceRequest": lambda one: one.update(priority="now"),
    "RiskAssessment": lambda one: one.update(method="x"),
    "CarePlan": lambda one: one.pop("intent"),
    "DetectedIssue": lambda one: one.update(severity="huge"),
    "DiagnosticReport": lambda one: one.update(status="finished"),
    "BodyStructure": lambda one: one.update(includedStructure=[{"structure": {"text": "R5"}}]),
    "Provenance": lambda one: one.pop("recorded"),
    "ImagingStudy": lambda one: one.update(status="done"),
    "Device": lambda one: one.update(deviceName=[{"name": "x"}]),
    "Patient": lambda one: one.update(birthDate="yesterday"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_bundle_would_be_seen(flagged: Json, kind: str) -> None:
    bundle = copy.deepcopy(flagged)
    BREAKS[kind](resources(bundle, kind)[0])
    assert faults(bundle)


def test_a_lost_entry_would_be_seen(flagged: Json) -> None:
    for k in range(len(flagged["entry"]) - 1):
        rest = {"entry": flagged["entry"][:k] + flagged["entry"][k + 1 :]}
        assert any(fault.startswith("reference") for fault in broken_rules(rest)), flagged["entry"][k]["resource"]


def test_every_kind_is_there(flagged: Json) -> None:
    kinds = {one["resourceType"] for one in resources(flagged)}
    assert kinds == set(BREAKS)
    assert flagged["type"] == "transaction"
    assert all(
        e["request"]
        == {"method": "POST", "url": e["resource"]["resourceType"]}
        | ({"ifNoneExist": e["request"]["ifNoneExist"]} if "ifNoneExist" in e["request"] else {})
        for e in flagged["entry"]
    )


def by_code(bundle: Json) -> dict[str, list[Json]]:
    """Observations and components by code."""
    out: dict[str, list[Json]] = {}
    for one in resources(bundle, "Observation"):
        for part in (one, *one.get("component", [])):
            out.setdefault(part["code"]["coding"][0]["code"], []).append(part)
    return out


def told(one: Json) -> tuple[Any, ...]:
    """Value, unit, ends and method of an Observation or component; or why not."""
    if "dataAbsentReason" in one:
        assert one["dataAbsentReason"]["coding"][0]["code"] == "unknown"
        return (one["dataAbsentReason"]["text"],)
    if "extension" in one:
        parts = {p["url"]: p for p in one["extension"][0]["extension"]}
        ends = [parts["range"]["valueRange"][end] for end in ("low", "high")]
        assert one["extension"][0]["url"] == INTERVAL
        method = parts["method"]["valueString"]
    else:
        ends = [part["valueQuantity"] for part in one["component"]]
        method = one["method"]["text"]
    assert {end["code"] for end in ends} == {one["valueQuantity"]["code"]}
    return (one["valueQuantity"]["value"], one["valueQuantity"]["code"], *(end["value"] for end in ends), method)


def wanted(measured: Json) -> tuple[Any, ...]:
    if "reason" in measured:
        return (measured["reason"],)
    unit = UNITS[measured["unit"]].value
    value, low, high = (float(measured[part]) for part in ("value", "low", "high"))
    return (value, unit, low, high, measured["method"])


def test_the_numbers_are_those_of_the_json(scan: Assessment) -> None:
    doc, found = document(scan), by_code(fhir_bundle(scan))
    numbers = {"volume_mm3": [doc["burden"]["total_volume_mm3"]], "mass_mg": [doc["burden"]["total_mass_mg"]]}
    numbers["mean_hu"] = [doc["liver"]["parenchyma_hu"]]
    for focus in doc["foci"]:
        for name, measured in focus["measurements"].items():
            numbers.setdefault(name, []).append(measured)
    for lesion in doc["lesions"]:
        numbers["volume_mm3"].append(lesion["volume_mm3"])
        numbers["mass_mg"].append(lesion["mass_mg"])
    numbers["volume_mm3"].append(doc["liver"]["volume_ml"])
    for name, measured in numbers.items():
        ours = sorted(map(repr, map(told, found[MEASUREMENT_CODES[name].value])))
        assert ours == sorted(map(repr, map(wanted, measured))), name
    assert [told(one) for one in found["smallest-trusted"]] == [wanted(doc["burden"]["smallest_trusted_mm"])]
    for name in ("calcifications", "certain", "indeterminate", "mimics"):
        assert [one["valueInteger"] for one in found[f"count-{name}"]] == [doc["burden"][name]]


def test_the_differential_is_that_of_the_json_with_its_bands(flagged: Json) -> None:
    doc = document(assessed(CYST))["reasoning"]
    risks = resources(flagged, "RiskAssessment")
    for risk, differential in zip(
        risks, [doc["differential"], *(one["differential"] for one in doc["lesions"])], strict=True
    ):
        ours = {}
        for guess in risk["prediction"]:
            band = guess["extension"][0]
            assert band["url"] == BAND
            ends = [band["valueRange"][end]["value"] for end in ("low", "high")]
            assert ends[0] <= guess["probabilityDecimal"] <= ends[1]
            ours[guess["outcome"]["coding"][0]["code"]] = (guess["probabilityDecimal"], *ends)
        for cause in (*differential["causes"], *differential["harms"]):
            key = cause.get("cause", f"harm-{cause['harm']}")
            if key.startswith("harm-") or cause["high"] >= LEAST_SHOWN:
                theirs = [100 * cause[part] for part in ("probability", "low", "high")]
                assert ours.pop(key) == pytest.approx(theirs, rel=1e-5)
            else:
                assert key not in ours
        assert not ours


def test_the_plan_is_there_with_its_dates_and_what_is_forbidden(flagged: Json) -> None:
    plan = document(assessed(CYST))["reasoning"]["plan"]
    requests = resources(flagged, "ServiceRequest")
    steps = {one["identifier"][0]["value"]: one for one in requests if not one.get("doNotPerform")}
    assert len(steps) == len(plan["items"]) > 3
    for item in plan["items"]:
        step = steps[item["rule"]]
        assert [step["occurrencePeriod"]["start"], step["occurrencePeriod"]["end"]] == item["due"]
        assert step["code"]["text"] == item["action"]["en"]
        assert [d["coding"][0]["code"] for d in step["orderDetail"]] == item["tests"]
        assert all(f"[{source}]" in " ".join(n["text"] for n in step["note"]) for source in item["sources"])
    forbidden = {one["code"]["coding"][0]["code"] for one in requests if one.get("doNotPerform")}
    assert forbidden == {test["test"] for test in plan["tests"] if test["forbidden"]}
    assert "biopsy" in forbidden
    issues = {one["identifier"][0]["value"]: one["severity"] for one in resources(flagged, "DetectedIssue")}
    assert issues == {flag["flag"]: "high" for flag in plan["flags"]}


def test_nothing_is_final_and_nothing_is_ordered(flagged: Json) -> None:
    final = [
        one
        for one in resources(flagged)
        if one.get("status") in ("final", "active") and one["resourceType"] != "Device"
    ]
    assert not final
    assert {one["intent"] for one in resources(flagged) if "intent" in one} == {"proposal"}


def test_texts_are_in_the_language_asked_for() -> None:
    english, chinese = (fhir_bundle(assessed(CYST), language=one) for one in ("en", "zh"))
    assert {one["language"] for one in resources(english)} == {"en"}
    assert {one["language"] for one in resources(chinese)} == {"zh-CN"}
    for kind in ("ServiceRequest", "RiskAssessment", "DetectedIssue"):
        for one in resources(chinese, kind):
            texts = (
                [o["outcome"]["text"] for o in one["prediction"][:3]] if "prediction" in one else [one["code"]["text"]]
            )
            assert all(re.search("[\u4e00-\u9fff]|^[A-Z0-9 ]+$", text) for text in texts), texts


def test_a_name_never_goes_in_and_a_number_only_when_given() -> None:
    scan = assessed()
    (patient,) = resources(fhir_bundle(scan), "Patient")
    assert set(patient) == {"resourceType", "language", "identifier"}
    assert scan.acquisition.study_instance_uid not in json.dumps(patient)
    given_ = fhir_bundle(scan, patient_id="urn:oid:1.2.36.146|70 00")
    assert resources(given_, "Patient")[0]["identifier"] == [{"system": "urn:oid:1.2.36.146", "value": "70 00"}]
    assert given_["entry"][0]["request"]["ifNoneExist"] == "identifier=urn:oid:1.2.36.146|70%2000"
    assert resources(fhir_bundle(scan, patient_id="77"), "Patient")[0]["identifier"] == [{"value": "77"}]
    for wrong in ("", " ", "urn:oid:1.2|", "Hospital A|7", "no uri|7"):
        with pytest.raises(UsageError, match="identifier of the patient"):
            fhir_bundle(scan, patient_id=wrong)


def test_the_same_assessment_gives_the_same_bundle_and_another_other_ids() -> None:
    one, again, other = (fhir_bundle(s) for s in (make_example(), make_example(), make_example(severe=True)))
    assert one == again
    assert not {e["fullUrl"] for e in one["entry"]} & {e["fullUrl"] for e in other["entry"]}


def test_own_sentences_are_there_in_each_language_with_the_same_fields() -> None:
    from string import Formatter

    from hepacalc.interop.fhir.texts import TEXTS
    from hepacalc.report.language import LANGUAGES

    def of(sentence: str) -> list[str]:
        return sorted(f"{name}:{form}" for _, name, form, _ in Formatter().parse(sentence) if name)

    assert set(TEXTS) == set(LANGUAGES)
    for key, english in TEXTS["en"].items():
        assert of(TEXTS["zh"][key]) == of(english)
        assert re.search("[\u4e00-\u9fff]", TEXTS["zh"][key]) or key == "band"
    assert set(TEXTS["zh"]) == set(TEXTS["en"])


def test_codes_are_the_same_in_each_language() -> None:
    def codes(language: str) -> list[tuple[str, str]]:
        return [
            (one["system"], one["code"])
            for one in inside(fhir_bundle(assessed(CYST), language=language))
            if "code" in one and "system" in one
        ]

    assert codes("en") == codes("zh")
    assert len(codes("en")) > 500
