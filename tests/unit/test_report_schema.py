import dataclasses
import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from hepacalc import records
from hepacalc.errors import OutputError
from hepacalc.reason import reasoning
from hepacalc.reason import records as told
from hepacalc.records import Assessment
from hepacalc.report.schema import SCHEMA_VERSION, document, document_json, load_schema, plain_text
from report_example import BALLS, make_example

RECORDS = {
    "measured": records.Measured, "not_measured": records.NotMeasured, "run": records.Run,
    "series_summary": records.SeriesSummary, "series_choice": records.SeriesChoice, "acquisition": records.Acquisition,
    "quality_finding": records.QualityFinding, "phase": records.Phase, "calibration": records.Calibration,
    "liver": records.Liver, "pattern": records.Pattern, "segment": records.Segment, 
    "surroundings": records.Surroundings,
    "focus": records.Focus, "lesion": records.Lesion, "burden": records.Burden,
    "reasoning": reasoning.Reasoning, "finding": told.Finding, "cause_probability": told.CauseProbability,
    "harm_probability": told.HarmProbability, "differential": told.Differential,
    "lesion_reasoning": reasoning.LesionReasoning, "weight_of_evidence": told.WeightOfEvidence,
    "explanation": told.Explanation, "change": told.Change, "next_test": told.NextTest, "red_flag": told.RedFlag,
    "also_asked": told.AlsoAsked, "plan_item": told.PlanItem, "open_question": told.OpenQuestion, "plan": told.Plan,
    "source_note": reasoning.SourceNote, "term": reasoning.Term,
}  # fmt: skip
ARRAYS = {"volume", "liver_mask", "labels"}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = load_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"contrast": True, "severe": True, "complete": False},
        {"unmeasured": True},
        {"balls": ()},
        {"balls": BALLS[4:]},
        {"per_lesion": 3},
    ],
)
def test_every_example_is_valid(validator: Any, kwargs: dict[str, Any]) -> None:
    doc = json.loads(document_json(document(make_example(**kwargs))))
    assert [e.message for e in validator.iter_errors(doc)] == []


def test_an_empty_list_of_pairs_is_an_object(validator: Any) -> None:
    scan = make_example(balls=())
    scan = dataclasses.replace(
        scan,
        series=dataclasses.replace(scan.series, passed_over=()),
        run=dataclasses.replace(scan.run, versions=(), settings=(), seconds=()),
    )
    doc = document(scan)
    assert doc["series"]["passed_over"] == {}
    assert [e.message for e in validator.iter_errors(doc)] == []


def test_the_schema_refuses_what_is_not_measured_without_a_reason(validator: Any) -> None:
    doc = document(make_example())
    for bad in (None, 0, {"reason": ""}, {"value": 1.0}):
        doc["burden"]["total_mass_mg"] = bad
        assert not validator.is_valid(doc)


@pytest.mark.parametrize("name", list(RECORDS))
def test_schema_and_records_have_the_same_fields(name: str) -> None:
    part = load_schema()["$defs"][name]
    fields = [f.name for f in dataclasses.fields(RECORDS[name])]
    assert list(part["properties"]) == fields
    assert part["required"] == fields
    assert part["additionalProperties"] is False


def test_schema_and_assessment_have_the_same_fields() -> None:
    schema = load_schema()
    apart = {"followup"}  # written to comparison.json
    fields = [f.name for f in dataclasses.fields(Assessment) if f.name not in ARRAYS | apart]
    assert list(schema["properties"]) == fields
    assert schema["required"] == [name for name in fields if name != "reasoning"]
    assert list(schema["$defs"]["measurements"]["properties"]) == list(records.MEASUREMENTS)
    assert schema["$defs"]["focus"]["properties"]["kind"]["enum"] == list(records.KINDS)
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_field_is_described_and_every_number_has_a_unit() -> None:
    schema = load_schema()
    for name, part in {"assessment": schema, **schema["$defs"]}.items():
        assert part["description"], name
        for field, about in part.get("properties", {}).items():
            said = about.get("description", "")
            assert said, f"{name}.{field}"
            if about.get("type") in ("number", ["number", "null"]) and name != "measured":
                units = ("mm", "HU", "mg", "mL", "kV", "degrees", "no unit", "stored value")
                assert any(u in said for u in units), f"{name}.{field}"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_a_number_that_is_not_finite_is_refused(bad: float) -> None:
    scan = make_example(balls=BALLS[:1])
    mass = dataclasses.replace(scan.burden.total_mass_mg, value=bad)
    with pytest.raises(OutputError, match="/burden/total_mass_mg/value"):
        document(dataclasses.replace(scan, burden=dataclasses.replace(scan.burden, total_mass_mg=mass)))


def test_numbers_have_six_digits_and_the_grid_keeps_its_own() -> None:
    doc = document(make_example(balls=BALLS[:1]))
    assert doc["run"]["seconds"]["read"] == 1.23457
    assert doc["geometry"]["affine_zyx_to_lps_mm"][2][3] == -420.0


def test_measurements_stand_in_the_order_of_the_records() -> None:
    scan = make_example(balls=BALLS[:1])
    turned = dataclasses.replace(scan.foci[0], measurements=dict(reversed(scan.foci[0].measurements.items())))
    doc = document(dataclasses.replace(scan, foci=(turned,)))
    assert tuple(doc["foci"][0]["measurements"]) == records.MEASUREMENTS


def test_texts_hold_no_control_characters_and_valid_unicode() -> None:
    assert plain_text("a\x00b\x1b[31mc\u202ed\ud800e") == "ab[31mcd?e"
    scan = make_example(balls=(), text="x\x07\udcff")
    assert document(scan)["acquisition"]["series_description"] == "x?"
    document_json(document(scan)).encode("utf-8")
