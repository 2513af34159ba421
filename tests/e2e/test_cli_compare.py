"""``hepacalc compare`` and ``assess --prior`` as a user runs them, on one digital patient seen twice."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pydicom
import pytest

from cli_runs import hepacalc
from hepacalc.phantom import FocusSpec, Phantom, draw_scene, scan, write_dicom_series
from hepacalc.phantom.exam import draw_movement, moved
from hepacalc.report.comparison import COMPARISON_COLUMNS, COMPARISON_OUTPUTS, load_comparison_schema
from reason_example import PERSON

pytestmark = pytest.mark.slow

SPECS = [FocusSpec("nodular solid", size, 600.0) for size in (16.0, 13.0, 11.0, 10.0)]


def dated(phantom: Phantom, date: str) -> Phantom:
    told = replace(phantom.volume.acquisition, study_date=date, study_instance_uid=f"2.25.7{date}")
    return replace(phantom, volume=replace(phantom.volume, acquisition=told))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exams 400 days apart: the first focus stays, the second is gone, the third is new; and what was made."""
    out = tmp_path_factory.mktemp("follow-up")
    scene = draw_scene(5, foci=SPECS, mimics=(), hosts=False)
    kept, gone, new, other = scene.foci
    movement = draw_movement(np.random.default_rng(3), breath_mm=10, table_mm=15)
    for name, date, shown in (
        ("first", "20200101", replace(scene, foci=(kept, gone, other))),
        ("second", "20210204", moved(scene, movement, foci=(kept, new, other))),
    ):
        phantom = scan(shown, spacing_mm=(5, 1.6, 1.6), z_range_mm=(-245, 45))
        write_dicom_series(dated(phantom, date), out / name)
    done = hepacalc("assess", out / "first", "-o", out / "stored", "--write", "seg")
    assert done.status == 0, done.err
    return out


@pytest.fixture(scope="module")
def compared(folder: Path) -> Path:
    """The two scans compared."""
    out = folder / "compared"
    done = hepacalc("compare", folder / "first", folder / "second", "-o", out)
    assert (done.status, done.err) == (0, "")
    assert "stable" in done.out
    return out


def statuses(path: Path) -> list[str]:
    document = json.loads((path / "comparison.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(load_comparison_schema()).validate(document)
    return sorted(change["status"] for change in document["comparisons"][0]["lesions"])


def test_two_scans(compared: Path) -> None:
    assert {path.name for path in compared.iterdir()} == {*COMPARISON_OUTPUTS}
    assert statuses(compared) == ["gone", "new", "stable", "stable"]
    document = json.loads((compared / "comparison.json").read_text("utf-8"))
    assert document["comparisons"][0]["interval_days"] == 400
    assert all(pair["tracking_uid"] for c in document["comparisons"][0]["lesions"] for pair in c["foci"])
    rows = list(csv.DictReader((compared / "comparison.csv").read_text("utf-8").splitlines()))
    assert [row["status"] for row in rows] == [c["status"] for c in document["comparisons"][0]["lesions"]]
    assert tuple(rows[0]) == COMPARISON_COLUMNS
    page = (compared / "comparison.html").read_text("utf-8")
    assert page.count("data:image/png") == 16
    assert "http" not in page.replace("http-equiv", "")


def test_a_stored_exam_and_a_segmentation(folder: Path) -> None:
    done = hepacalc("compare", folder / "stored", folder / "second", "-o", folder / "with-stored", "--lang", "zh")
    assert done.status == 0, done.err
    assert statuses(folder / "with-stored") == ["gone", "new", "stable", "stable"]
    seg = folder / "stored" / "foci.seg.dcm"
    done = hepacalc("compare", seg, folder / "second", "-o", folder / "with-seg", "--deidentify", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["current"]["study_date"] is None
    found = document["comparisons"][0]
    assert found["prior"]["source"] == "foci"
    matched = [c for c in found["lesions"] if c["prior"] and c["current"]]
    assert len(matched) == 2
    assert all("reason" in c["mass_change_mg"] for c in found["lesions"])


def test_assess_with_an_earlier_exam(folder: Path) -> None:
    (folder / "patient.yaml").write_text(PERSON, "utf-8")
    out = folder / "both"
    done = hepacalc(
        "assess", folder / "second", "-o", out, "--prior", folder / "stored", "--patient", folder / "patient.yaml"
    )
    assert done.status == 0, done.err
    assert statuses(out) == ["gone", "new", "stable", "stable"]
    document = json.loads((out / "assessment.json").read_text("utf-8"))
    assert sum(bool(focus["tracking_uid"]) for focus in document["foci"]) >= 2
    course = {f["lesion"]: f["weights"] for f in document["reasoning"]["findings"] if f["block"] == "course"}
    assert sorted(max(states, key=states.get) for states in course.values()) == ["new", "stable", "stable"]
    assert any(flag["flag"] == "growth" for flag in document["reasoning"]["plan"]["flags"])


def test_what_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    later = hepacalc("compare", folder / "second", folder / "first", "-o", tmp_path / "out")
    assert later.status == 2
    assert "USE-01" in later.err
    assert "2021-02-04" in later.err
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for path in sorted((folder / "first").iterdir())[:3]:
        data = pydicom.dcmread(path)
        data.PatientID = "SOMEBODY-ELSE"
        data.save_as(stranger / path.name)
    other = hepacalc("compare", stranger, folder / "second", "-o", tmp_path / "out")
    assert other.status == 3
    assert "IN-12" in other.err
    assert "2.25.720200101" in other.err
    assert "SOMEBODY" not in other.err
    magnetic = tmp_path / "mr"
    magnetic.mkdir()
    for path in sorted((folder / "first").iterdir())[:3]:
        data = pydicom.dcmread(path)
        data.Modality, data.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.save_as(magnetic / path.name)
    mr = hepacalc("compare", magnetic, folder / "second", "-o", tmp_path / "out")
    assert mr.status == 3
    assert "earlier exam 'mr'" in mr.err
    assert "IN-03" in mr.err
    assert not (tmp_path / "out").exists()
