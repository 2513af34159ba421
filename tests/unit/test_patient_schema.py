import copy
import json
from typing import Any

import jsonschema
import pytest

from hepacalc.knowledge import load_knowledge
from hepacalc.patient import schema_exam, schema_history
from hepacalc.patient.published import patient_schema
from hepacalc.patient.read import patient_from_data
from hepacalc.patient.vocabulary import NONE_STATES, QUESTIONS, SEROLOGY, SITES
from patient_files import FULL, TODAY


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = patient_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "data", [{}, FULL, {"age": 3}, {"fetus": {"gestational_weeks": 22, "anomalies": {"others": "no"}}}]
)
def test_what_is_read_fits_the_schema(validator: Any, data: dict[str, Any]) -> None:
    patient_from_data(copy.deepcopy(data), today=TODAY)
    assert [error.message for error in validator.iter_errors(json.loads(json.dumps(data)))] == []


def test_what_is_written_back_fits_and_says_the_same(validator: Any) -> None:
    patient = patient_from_data(copy.deepcopy(FULL), today=TODAY)
    written = patient.model_dump(mode="json", exclude_unset=True)
    assert [error.message for error in validator.iter_errors(written)] == []
    again = patient_from_data(written, today=TODAY)
    assert again == patient
    assert again.exposures.answers() == patient.exposures.answers()


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "x"}, {"age": -1}, {"age": 126}, {"age": "40"}, {"sex": "f"}, {"exposures": {"pasture": "maybe"}},
        {"exposures": {"others": "yes"}}, {"laboratory": [{"name": "altt", "result": "normal"}]},
        {"serology": [{"test": "igra"}]}, {"examinations": [{"modality": "x-ray"}]}, {"virus": {"hbsag": "pos"}},
        {"examinations": [{"modality": "ct", "spleen": "gone"}]}, {"assessed_on": "31.1.2026"},
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_refused(validator: Any, bad: dict[str, Any]) -> None:
    from hepacalc.errors import InvalidPatient

    assert not validator.is_valid(bad)
    with pytest.raises(InvalidPatient):
        patient_from_data(bad, today=TODAY)


def test_every_field_is_described() -> None:
    schema = patient_schema()
    for name, part in {"patient": schema, **schema["$defs"]}.items():
        for field, about in part.get("properties", {}).items():
            assert about.get("description"), f"{name}.{field}"


def test_every_state_can_be_said() -> None:
    """Each state of the vocabulary that a patient can tell has its question, and each question its state."""
    knowledge = load_knowledge()
    questions = {f"{section}.{name}" for section, model in (
        ("exposures", schema_history.Exposures), ("conditions", schema_history.Conditions),
        ("treatments", schema_history.Treatments), ("symptoms", schema_history.Symptoms),
        ("fetus.anomalies", schema_exam.FetusAnomalies),
    ) for name in model.model_fields if name != "others"}  # fmt: skip
    used = {one for states in QUESTIONS.values() for these in states.values() for one in these}
    own_rules = {"conditions.cirrhosis", "conditions.chronic_hepatitis_b", "conditions.chronic_hepatitis_c"}
    assert used | own_rules == questions
    for block, states in QUESTIONS.items():
        known = set(knowledge.blocks[block].states) - {NONE_STATES[block]}
        assert set(states) <= known
        assert block == "abdomen" or set(states) == known
    for block, named in (
        ("spleen", schema_exam.SPLEEN),
        ("chest", schema_exam.CHEST),
        ("abdomen", schema_exam.ABDOMEN),
    ):
        assert {*named, NONE_STATES[block]} == set(knowledge.blocks[block].states)
    assert {test.state for test in SEROLOGY.values()} == set(knowledge.blocks["serology"].states) - {"negative"}
    assert set(filter(None, SITES.values())) == set(knowledge.blocks["primary"].states) - {"none"}
    for block, none in NONE_STATES.items():
        assert none in knowledge.blocks[block].states


def test_names_of_questions_are_unique() -> None:
    names = [one.split(".")[-1] for states in QUESTIONS.values() for these in states.values() for one in these]
    assert len(names) == len(set(names))
