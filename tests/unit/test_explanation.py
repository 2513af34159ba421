"""explanation.json and its schema, and the files without a scan: both or none."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hepacalc.errors import OutputError
from hepacalc.report import (
    EXPLANATION_OUTPUTS,
    document,
    document_json,
    explanation_document,
    load_reasoning_schema,
    load_schema,
    write_explanation,
)
from reason_example import BLANK, CYST, FETUS, NOW, SIMPLE, answer, assessed


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = load_reasoning_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", [CYST, SIMPLE, FETUS, BLANK])
def test_every_explanation_is_valid(validator: Any, text: str) -> None:
    told = json.loads(document_json(explanation_document(answer(text), now=NOW)))
    assert [error.message for error in validator.iter_errors(told)] == []
    assert told["reasoning"]["network"] == answer(text).network


@pytest.mark.parametrize("lesions", [0, 4])
def test_an_assessment_with_a_patient_is_valid(lesions: int) -> None:
    told = json.loads(document_json(document(assessed(lesions=lesions))))
    assert [error.message for error in jsonschema.Draft202012Validator(load_schema()).iter_errors(told)] == []
    assert list(told)[-1] == "reasoning"


def test_both_documents_hold_the_same_reasoning() -> None:
    told = document(assessed())["reasoning"]
    assert told == explanation_document(assessed().reasoning, now=NOW)["reasoning"]


def test_the_schema_refuses_a_step_without_a_date_or_an_unknown_urgency(validator: Any) -> None:
    for field, bad in (("due", ["2026-01-01"]), ("urgency", "later"), ("interval", None)):
        told = explanation_document(answer(CYST), now=NOW)
        told["reasoning"]["plan"]["items"][0][field] = bad
        assert not validator.is_valid(told)


def test_files_are_written_and_written_again(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    paths = write_explanation(answer(CYST), out, now=NOW)
    assert sorted(p.name for p in out.iterdir()) == sorted(EXPLANATION_OUTPUTS) == sorted(paths)
    first = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / "mine.txt").write_text("mine")
    write_explanation(answer(CYST), out, now=NOW)
    assert {name: (out / name).read_bytes() for name in EXPLANATION_OUTPUTS} == first
    assert sorted(p.name for p in out.iterdir()) == sorted((*EXPLANATION_OUTPUTS, "mine.txt"))
    assert json.loads((out / "explanation.json").read_text("utf-8"))["run"]["created"].startswith("2026-11-2")


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "explanation.html").write_text("mine")
    with pytest.raises(OutputError, match=r"explanation\.html"):
        write_explanation(answer(CYST), tmp_path, now=NOW)
    assert [p.name for p in tmp_path.iterdir()] == ["explanation.html"]
    assert (tmp_path / "explanation.html").read_text() == "mine"
