"""Rules that hold for every patient file: units go round, unknown changes nothing, order does not matter."""

import contextlib
import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hepacalc.errors import HepacalcError
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.analytes import ANALYTES, convert, units_of
from hepacalc.patient.fhir_in import patient_from_fhir
from hepacalc.patient.read import patient_from_data, read_patient
from hepacalc.patient.schema_history import Conditions, Exposures, Symptoms, Treatments
from hepacalc.patient.several import several_weights
from hepacalc.patient.to_findings import PatientFindings, patient_findings
from hepacalc.patient.units import parse_unit
from hepacalc.patient.vocabulary import SEROLOGY
from patient_files import TODAY

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def found(data: dict[str, Any]) -> PatientFindings:
    return patient_findings(patient_from_data(copy.deepcopy(data), today=TODAY), load_knowledge(), today=TODAY)


def same(left: PatientFindings, right: PatientFindings) -> bool:
    pairs = [(left.evidence, right.evidence), *zip(left.lesions, right.lesions, strict=True)]
    return left.setting == right.setting and all(
        a.weights.keys() == b.weights.keys()
        and all(np.allclose(a.weights[k], b.weights[k], atol=1e-12) for k in a.weights)
        for a, b in pairs
    )


def names(model: Any) -> list[str]:
    return [name for name in model.model_fields if name != "others"]


answer = st.sampled_from(["yes", "no", "not_asked"])


def section(model: Any) -> Any:
    return st.dictionaries(st.sampled_from(names(model)), answer, max_size=6)


def amounts(name: str) -> Any:
    low, high = ANALYTES[name].possible
    return st.floats(low, high, allow_nan=False).map(
        lambda value: {"name": name, "value": value, "unit": ANALYTES[name].unit}
    )


weights = st.dictionaries(st.sampled_from(["cyst", "parenchyma", "solid_mass"]), st.floats(0.1, 1), min_size=1)
lesions = st.fixed_dictionaries({}, optional={"host": weights, "size_mm": st.floats(1, 200)})
exams = st.fixed_dictionaries(
    {"modality": st.sampled_from(["ultrasound", "ct", "mri"])},
    optional={
        "lesions": st.lists(lesions, max_size=2), "ducts": st.sampled_from(["normal", "dilated", "stricture"]),
        "spleen": st.sampled_from(["normal", "granulomas"]), "date": st.sampled_from(["2024", "2025-03", "2025-03-02"]),
    },
)  # fmt: skip
priors = st.fixed_dictionaries(
    {"modality": st.sampled_from(["ultrasound", "ct"]), "date": st.sampled_from(["2010", "2020-05", "2023"])},
    optional={"change": st.sampled_from(["stable", "grown", "shrunk"]), "seen": st.just("yes")},
)
patients = st.fixed_dictionaries(
    {},
    optional={
        "age": st.floats(20, 90), "sex": st.sampled_from(["female", "male"]), "exposures": section(Exposures),
        "conditions": section(Conditions), "treatments": section(Treatments), "symptoms": section(Symptoms),
        "laboratory": st.lists(st.sampled_from(list(ANALYTES)).flatmap(amounts), max_size=6),
        "serology": st.lists(
            st.fixed_dictionaries(
                {"test": st.sampled_from(list(SEROLOGY)), "result": st.sampled_from(["positive", "negative"])}
            ), max_size=4,
        ),
        "examinations": st.lists(exams, max_size=3), "prior_examinations": st.lists(priors, max_size=3),
    },
)  # fmt: skip


@given(st.sampled_from(list(ANALYTES)).flatmap(lambda n: st.tuples(st.just(n), st.sampled_from(units_of(n)))),
       st.floats(1e-3, 1e3))  # fmt: skip
@QUICK
def test_units_go_round(which: tuple[str, str], value: float) -> None:
    name, unit = which
    parsed = parse_unit(unit)
    if parsed.log10:
        back = np.log10(convert(name, value % 12, unit))
        assert back == pytest.approx(value % 12, abs=1e-9)
        return
    one = convert(name, 1.0, unit)
    there = convert(name, value, unit)
    assert there == pytest.approx(value * one, rel=1e-12)
    assert there / one == pytest.approx(value, rel=1e-12)


@given(st.lists(st.tuples(st.sampled_from("kmun"), st.sampled_from(["g", "mol", "L", "U"])), min_size=1, max_size=3))
@QUICK
def test_a_prefix_scales(parts: list[tuple[str, str]]) -> None:
    factor = {"k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9}
    plain = parse_unit("/".join(atom for _, atom in parts))
    scaled = parse_unit("/".join(prefix + atom for prefix, atom in parts))
    expected = plain.scale
    for k, (prefix, _) in enumerate(parts):
        expected *= factor[prefix] ** (-1 if k else 1)
    assert scaled.dimension == plain.dimension
    assert scaled.scale == pytest.approx(expected)


@given(patients)
@QUICK
def test_unknown_changes_nothing(data: dict[str, Any]) -> None:
    before = found(data)
    more = copy.deepcopy(data)
    for key, model in (
        ("exposures", Exposures), ("conditions", Conditions), ("treatments", Treatments), ("symptoms", Symptoms)
    ):  # fmt: skip
        more[key] = {**dict.fromkeys(names(model), "not_asked"), **data.get(key, {}), "others": "not_asked"}
    more |= {"virus": {"hbsag": "not_done", "anti_hcv": None}, "old_images": "not_asked", "cancers": {"had": None}}
    more["serology"] = [*data.get("serology", []), {"test": "igra", "result": "indeterminate"}]
    more["laboratory"] = [*data.get("laboratory", []), {"name": "cea", "result": "not_done"}]
    assert same(before, found(more))


@given(patients, st.randoms(use_true_random=False))
@QUICK
def test_order_does_not_matter(data: dict[str, Any], rng: Any) -> None:
    ids = copy.deepcopy(data)
    for exam in ids.get("examinations", []):
        for k, lesion in enumerate(exam.get("lesions", [])):
            lesion["id"] = f"L{k}"
    turned = copy.deepcopy(ids)
    for key in ("laboratory", "serology", "examinations", "prior_examinations"):
        if key in turned:
            rng.shuffle(turned[key])
    for key, value in list(turned.items()):
        if isinstance(value, dict):
            turned[key] = dict(reversed(value.items()))
    assert same(found(ids), found(dict(reversed(turned.items()))))


@given(patients, st.sampled_from(names(Exposures)))
@QUICK
def test_an_exposure_that_was_had_speaks_for_its_causes(data: dict[str, Any], name: str) -> None:
    assume(data.get("exposures", {}).get(name, "not_asked") == "not_asked")
    states = load_knowledge().blocks["exposure"].states
    base = load_knowledge().blocks["exposure"].base
    k = states.index(name)

    def share(told: dict[str, Any]) -> float:
        weights = found(told).evidence.weights.get("exposure", np.ones(len(states)))
        return float(weights[k] * base[k] / (weights @ base))

    had = {**data, "exposures": {**data.get("exposures", {}), name: "yes"}}
    denied = {**data, "exposures": {**data.get("exposures", {}), name: "no"}}
    assert share(had) > share(data) > share(denied) == 0


@given(st.lists(st.sampled_from([None, 0.0, 0.3, 1.0]), min_size=4, max_size=4),
       st.lists(st.floats(0.001, 0.3), min_size=4, max_size=4))  # fmt: skip
@QUICK
def test_weights_are_weights(said: list[float | None], rates: list[float]) -> None:
    states = ("none", "a", "b", "c", "d")
    base = np.array([1.0, *rates])
    got = several_weights(states, base, "none", {s: v for s, v in zip(states[1:], said, strict=True) if v is not None})
    if got is None:
        assert said == [None] * 4
        return
    assert got.max() == 1
    assert got.min() >= 0
    assert got[0] == (0 if 1.0 in said else 1)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=15,
)
fields = st.sampled_from(
    ["age", "sex", "exposures", "laboratory", "virus", "fetus", "examinations", "overrule", "resourceType", "entry"]
)


@given(st.dictionaries(fields, json_like, max_size=4))
@QUICK
def test_whatever_is_sent_is_read_or_refused(data: dict[str, Any]) -> None:
    with contextlib.suppress(HepacalcError):
        patient_from_data(data, today=TODAY)


@given(st.text(max_size=60))
@QUICK
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(HepacalcError):
        read_patient(text, today=TODAY)


resource = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(
        ["Patient", "Observation", "Condition", "Procedure", "MedicationStatement", "Claim"]
    )},
    optional={
        "status": json_like, "birthDate": json_like, "gender": json_like, "code": json_like | st.just(
            {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}
        ),
        "valueQuantity": json_like | st.fixed_dictionaries({"value": json_like, "unit": json_like, "code": json_like}),
        "subject": json_like, "effectiveDateTime": json_like, "referenceRange": json_like, "interpretation": json_like,
        "clinicalStatus": json_like, "verificationStatus": json_like, "valueCodeableConcept": json_like,
    },
)  # fmt: skip


@given(st.lists(st.fixed_dictionaries({"resource": resource | json_like}) | json_like, max_size=4))
@QUICK
def test_whatever_bundle_is_read_or_refused(entries: list[Any]) -> None:
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            entry["resource"].setdefault("status", "final")
    with contextlib.suppress(HepacalcError):
        patient_from_fhir({"resourceType": "Bundle", "entry": entries}, today=TODAY)
    with contextlib.suppress(HepacalcError):
        patient_from_fhir(json.dumps({"resourceType": "Bundle", "entry": entries}, allow_nan=True), today=TODAY)
