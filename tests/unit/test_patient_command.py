import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hepacalc.cli_patient import patient
from hepacalc.errors import InvalidPatient, OutputError, UsageError
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from hepacalc.patient.template import patient_template
from hepacalc.patient.to_findings import patient_findings
from patient_files import FULL, TODAY

app = typer.Typer()
app.command()(patient)


def run(*args: str) -> str:
    result = CliRunner().invoke(app, [*args], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("kind", ["adult", "fetal"])
def test_the_template_says_nothing_and_every_line_can_be_used(kind: str) -> None:
    text = patient_template("fetal" if kind == "fetal" else "adult")
    said = patient_findings(read_patient(text, today=TODAY), load_knowledge(), today=TODAY)
    assert said.network == kind
    assert not said.evidence.weights
    assert not said.findings
    assert not said.warnings
    assert max(map(len, text.splitlines())) <= 120


def test_lines_of_the_template_can_be_taken_in() -> None:
    text = patient_template()
    for commented, filled in (
        ("# age: 57", "age: 57"), ("  # pasture: ", "  pasture: yes"), ("  # - {name: alt,", "  - {name: alt,"),
        ("  # hbsag: negative", "  hbsag: negative"), ("  # - {date: 2022,", "  - {date: 2022,"),
        ("  # contrast_allergy: ", "  contrast_allergy: no"),
        ("  # - {test: echinococcus,", "  - {test: echinococcus,"),
        ("  # known:\n  #   - {site: colon", "  known:\n    - {site: colon"),
    ):  # fmt: skip
        assert text.count(commented) == 1, commented
        text = text.replace(commented, filled)
    got = read_patient(text.replace("  # - modality", "  - modality").replace("2026-01-25", "2026-01-25"), today=TODAY)
    assert got.age == 57
    assert got.exposures.pasture.had == "yes"
    assert got.laboratory[0].upper_limit == 40
    assert got.virus.hbsag is not None
    assert got.prior_examinations[0].change == "stable"
    assert got.further.contrast_allergy == "no"
    assert got.cancers.known[0].site == "colon"
    assert got.examinations[0].modality == "ultrasound"


def test_new_writes_once(tmp_path: Path) -> None:
    assert run("--new") == patient_template()
    target = tmp_path / "patient.yaml"
    run("--new", "--fetus", "--out", str(target))
    assert target.read_text("utf-8") == patient_template("fetal")
    with pytest.raises(OutputError, match="exists"):
        run("--new", "--out", str(target))


def test_check_tells_what_a_file_says(tmp_path: Path) -> None:
    path = tmp_path / "patient.json"
    path.write_text(json.dumps(FULL), "utf-8")
    text = run(str(path))
    assert "Setting: oncology" in text
    assert "exposure: pasture: yes (1985-1999-06" in text
    assert "Warning: a cancer in remission" in text
    told = json.loads(run(str(path), "--json"))
    assert told["setting"]["id"] == "oncology"
    assert told["laboratory"]["alp"]["unit"] == "U/L"
    assert any(item["block"] == "lesion" and item["overruled"] for item in told["findings"])
    path.write_text("age: 400", "utf-8")
    with pytest.raises(InvalidPatient, match="age"):
        run(str(path))


def test_fhir_in_file_out(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    entries = [{"resource": {"resourceType": "Patient", "gender": "male", "birthDate": "1970-01-01"}},
               {"resource": {"resourceType": "Claim"}}]  # fmt: skip
    bundle.write_text(json.dumps({"resourceType": "Bundle", "entry": entries}), "utf-8")
    target = tmp_path / "patient.json"
    run("--fhir", str(bundle), "--out", str(target))
    assert read_patient(target.read_text("utf-8"), today=TODAY).sex == "male"
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InvalidPatient, match="cannot be read"):
            run("--fhir", str(path))


@pytest.mark.parametrize("args", [[], ["x.yaml", "--new"], ["--new", "--fhir", "x"]])
def test_one_thing_at_a_time(args: list[str]) -> None:
    with pytest.raises(UsageError):
        run(*args)
