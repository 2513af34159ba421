"""``hepacalc explain`` and ``assess --patient`` as a user runs them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from cli_runs import hepacalc
from hepacalc.cli import main
from hepacalc.errors import STATUS
from hepacalc.report import EXPLANATION_OUTPUTS, OUTPUTS, load_reasoning_schema, load_schema
from reason_example import CYST, FETUS, PERSON

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "patient.yaml"
TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()

BAD = {
    "negative": ("laboratory: [{name: alt, value: -3, unit: U/L}]", "laboratory"),
    "unit": ("laboratory: [{name: alt, value: 3, unit: furlong}]", "laboratory"),
    "age": ("age: 400", "age"),
    "unknown": ("shoe_size: 44", "shoe_size"),
    "future": (f"laboratory: [{{name: alt, value: 30, unit: U/L, date: {TOMORROW}}}]", "laboratory"),
    "conflict": ("sex: male\npregnant: yes", "pregnant"),
    "choice": ("virus: {hbsag: maybe}", "hbsag"),
    "not a mapping": ("- 1", "fields"),
    "not YAML": ("a: [", "YAML"),
}


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    path = tmp_path / "patient.yaml"
    path.write_text(CYST, "utf-8")
    return path


def test_it_prints_and_writes_page_and_json(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = hepacalc("explain", patient, "-o", out)
    assert (done.status, done.err) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == sorted(EXPLANATION_OUTPUTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "patient.yaml"]
    assert done.out.index("RED FLAGS") < done.out.index("Cystic echinococcosis  ") < done.out.index("WHAT TO DO NEXT")
    assert f"Explanation: {out / 'explanation.html'}" in done.out
    assert "not a diagnosis" in done.out
    again = hepacalc("explain", patient, "-o", out)
    assert again.status == 0
    told = json.loads((out / "explanation.json").read_text("utf-8"))
    jsonschema.validate(told, load_reasoning_schema())


def test_json_is_one_document_and_nothing_is_written(patient: Path, tmp_path: Path) -> None:
    done = hepacalc("explain", patient, "--json", folder=tmp_path)
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    jsonschema.validate(told, load_reasoning_schema())
    assert told["reasoning"]["differential"]["causes"][0]["cause"] == "ce"
    assert [p.name for p in tmp_path.iterdir()] == ["patient.yaml"]


def test_a_fetus_and_the_tutorial_patient(tmp_path: Path) -> None:
    path = tmp_path / "fetus.yaml"
    path.write_text(FETUS, "utf-8")
    assert "fetus" in hepacalc("explain", path).out
    done = hepacalc("explain", EXAMPLE)
    assert done.status == 0
    assert "Echinococcosis area" in done.out


def test_the_site_may_lay_its_own_numbers_over_it(patient: Path, tmp_path: Path) -> None:
    own = tmp_path / "site.yaml"
    own.write_text("site: Here\nthresholds:\n  urgent_days: {value: 3, source: we are quick}\n", "utf-8")
    done = hepacalc("explain", patient, "--knowledge", own)
    assert done.status == 0, done.err
    assert "within 3 days" in done.out
    own.write_text("thresholds: {no_such: 3}\n", "utf-8")
    done = hepacalc("explain", patient, "--knowledge", own, "-o", tmp_path / "out")
    assert done.status == STATUS["KNO"].exit_status
    assert done.err.startswith("KNO-")
    assert not (tmp_path / "out").exists()


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    printed, told = capsys.readouterr()
    return int(leaving.value.code or 0), printed, told


@pytest.mark.parametrize("name", list(BAD))
@pytest.mark.parametrize("command", ["explain", "assess"])
def test_a_bad_patient_file_is_one_clear_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, name: str
) -> None:
    text, field = BAD[name]
    path = tmp_path / "patient.yaml"
    path.write_text(text, "utf-8")
    out = tmp_path / "out"
    given = ("explain", path) if command == "explain" else ("assess", tmp_path / "no-ct", "--patient", path)
    status, printed, told = _refused(capsys, *given, "-o", out)
    assert status == STATUS["IN"].exit_status
    assert told.startswith("IN-09 InvalidPatient: ")
    assert told.count("\n") == 1
    assert field in told
    assert printed == ""
    assert not out.exists()
    _, printed, _ = _refused(capsys, *given, "-o", out, "--json")
    assert json.loads(printed)["error"]["code"] == "IN-09"


def test_no_file_and_knowledge_without_patient(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, told = _refused(capsys, "explain", tmp_path / "none.yaml", "-o", tmp_path / "out")
    assert status == STATUS["IN"].exit_status
    assert "cannot be read" in told
    status, _, told = _refused(capsys, "assess", tmp_path, "-o", tmp_path / "out", "--knowledge", "x.yaml")
    assert status == STATUS["USE"].exit_status
    assert "--patient" in told
    assert not (tmp_path / "out").exists()


def test_assess_with_a_patient_adds_the_reasoning_everywhere(tmp_path: Path) -> None:
    made = hepacalc("phantom", "-o", tmp_path / "made", "--slice-mm", 5, "--pixel-mm", 1.8, "--seed", 3)
    assert made.status == 0, made.err
    path = tmp_path / "patient.yaml"
    path.write_text(PERSON, "utf-8")
    out = tmp_path / "out"
    done = hepacalc("assess", tmp_path / "made" / "dicom", "-o", out, "--patient", path, "--liver-mask",
                    tmp_path / "made" / "truth-liver.nii.gz")  # fmt: skip
    assert (done.status, done.err) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == sorted(OUTPUTS)
    told = json.loads((out / "assessment.json").read_text("utf-8"))
    jsonschema.validate(told, load_schema())
    assert [one["lesion"] for one in told["reasoning"]["lesions"]] == [lesion["id"] for lesion in told["lesions"]]
    lines = done.out.splitlines()
    assert {"Red flags:", "Next: "} <= {line[: len(word)] for line in lines for word in ("Red flags:", "Next: ")}
    assert any(line.startswith("May be: ") for line in lines)
    html = (out / "report.html").read_text("utf-8")
    assert html.index("What it may be") < html.index("What to do next") < html.index("All lesions")
