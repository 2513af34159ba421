"""``hepacalc assess`` and ``hepacalc phantom`` as a user runs them, on a small digital patient."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import hepacalc as package
from cli_runs import Done, command, hepacalc
from hepacalc.report import CSV_COLUMNS, OUTPUTS


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digital patient made by the command line."""
    folder = tmp_path_factory.mktemp("patient") / "made"
    done = hepacalc("phantom", "-o", folder, "--slice-mm", 5, "--pixel-mm", 1.8, "--seed", 3)
    assert done.status == 0, done.err
    assert str(folder / "dicom") in done.out
    return folder


@pytest.fixture(scope="module")
def first(patient: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    """The patient, assessed."""
    out = tmp_path_factory.mktemp("first") / "out"
    return hepacalc("assess", patient / "dicom", "-o", out), out


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "foci.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def found_masses(out: Path) -> list[float]:
    return sorted(float(row["mass_mg"]) for row in rows_of(out) if row["kind"] == "calcification")


def test_phantom_writes_what_it_says(patient):
    truth = json.loads((patient / "truth.json").read_text("utf-8"))
    assert len(truth["foci"]) == 10
    assert {p.name for p in patient.iterdir()} == {"dicom", "truth.json", "truth-liver.nii.gz", "truth-foci.nii.gz"}


def test_assess_writes_all_files_and_nothing_else(first):
    done, out = first
    assert done.status == 0, done.err
    assert done.err == ""
    assert sorted(p.name for p in out.iterdir()) == sorted(OUTPUTS)
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    assert f"Report: {out / 'report.html'}" in done.out
    assert "<html" in (out / "report.html").read_text("utf-8")[:500].lower()


def test_table_csv_json_and_masks_tell_the_same(first):
    done, out = first
    rows = rows_of(out)
    assert list(rows[0]) == list(CSV_COLUMNS)
    foci = json.loads((out / "assessment.json").read_text("utf-8"))["foci"]
    assert [int(row["id"]) for row in rows] == [focus["id"] for focus in foci]
    labels = np.asarray(nib.load(out / "foci.nii.gz").dataobj)
    assert set(np.unique(labels)) - {0} <= {focus["id"] for focus in foci}
    for row in rows:
        assert any(line.split()[:1] == [row["id"]] for line in done.out.splitlines())


def test_most_of_the_known_calcium_is_found_where_it_lies(first, patient):
    _, out = first
    truth = [f for f in json.loads((patient / "truth.json").read_text("utf-8"))["foci"] if f["diameter_mm"] >= 4]
    found = [row for row in rows_of(out) if row["kind"] in ("calcification", "indeterminate")]
    places = np.array([[float(row[f"{axis}_mm"]) for axis in "xyz"] for row in found])
    hits = 0
    for focus in truth:
        reach = focus["diameter_mm"] / 2 + 4
        hits += bool((np.linalg.norm(places - focus["centroid_mm"], axis=1) <= reach).any())
    assert hits >= 0.7 * len(truth)


def test_masks_lie_on_the_grid_of_the_scan(first, patient):
    _, out = first
    truth = nib.load(patient / "truth-liver.nii.gz")
    for name in ("liver.nii.gz", "foci.nii.gz"):
        mask = nib.load(out / name)
        assert mask.shape == truth.shape
        np.testing.assert_allclose(mask.affine, truth.affine, atol=1e-3)
    found, true = np.asarray(nib.load(out / "liver.nii.gz").dataobj) > 0, np.asarray(truth.dataobj) > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9


def test_json_on_standard_output_is_the_file(patient, tmp_path):
    done = hepacalc("assess", patient / "dicom", "-o", tmp_path / "o", "--json", "--liver-mask",
                    patient / "truth-liver.nii.gz")  # fmt: skip
    assert done.status == 0, done.err
    assert json.loads(done.out) == json.loads((tmp_path / "o" / "assessment.json").read_text("utf-8"))


def test_same_from_python_a_zip_and_a_path_with_spaces_and_chinese_characters(first, patient, tmp_path):
    _, out = first
    folder = tmp_path / "肝脏 CT 研究" / "a b"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "检查 1.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in (patient / "dicom").iterdir():
            packed.write(path, f"张 三/{path.name}")
        packed.writestr("readme.txt", "not an image")
    done = hepacalc("assess", folder / "检查 1.zip", "-o", folder / "结果 1")
    assert done.status == 0, done.err
    assert found_masses(folder / "结果 1") == found_masses(out)
    assert "张" not in (folder / "结果 1" / "assessment.json").read_text("utf-8")
    here = package.assess(patient / "dicom")
    assert len(here.foci) == len(rows_of(out))


def test_calibration_of_the_site_scales_the_mass(first, patient, tmp_path):
    _, out = first
    (tmp_path / "site.csv").write_text("kvp,mg_per_ml_per_hu,sd\n120,0.4,0.01\n")
    done = hepacalc("assess", patient / "dicom", "-o", tmp_path / "o", "--calibration", tmp_path / "site.csv",
                    "--liver-mask", out / "liver.nii.gz")  # fmt: skip
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "o" / "assessment.json").read_text("utf-8"))
    assert found["calibration"]["mg_per_ml_per_hu"] == 0.4
    assert "site.csv" in found["calibration"]["source"]
    assert sum(found_masses(tmp_path / "o")) == pytest.approx(sum(found_masses(out)) / 2, rel=0.1)


def test_a_corrected_contour_replaces_ours_and_all_that_follows(first, patient, tmp_path):
    _, out = first
    ours = nib.load(out / "liver.nii.gz")
    mask = np.asarray(ours.dataobj).copy()
    before = json.loads((out / "assessment.json").read_text("utf-8"))
    kept = next(f for f in before["foci"] if f["kind"] == "calcification")
    # a reader takes everything away on the other side of the middle of the liver, along the first axis
    middle = int(np.median(np.nonzero(mask)[0]))
    labels = np.asarray(nib.load(out / "foci.nii.gz").dataobj)
    is_low = np.nonzero(labels == kept["id"])[0].mean() < middle
    mask[middle:] = 0 if is_low else mask[middle:]
    mask[:middle] = mask[:middle] if is_low else 0
    nib.save(nib.Nifti1Image(mask, ours.affine), tmp_path / "corrected.nii.gz")
    done = hepacalc("assess", patient / "dicom", "-o", tmp_path / "o", "--liver-mask", tmp_path / "corrected.nii.gz")
    assert done.status == 0, done.err
    after = json.loads((tmp_path / "o" / "assessment.json").read_text("utf-8"))
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "o" / "liver.nii.gz").dataobj) > 0, mask > 0)
    assert after["liver"]["volume_ml"]["value"] < 0.7 * before["liver"]["volume_ml"]["value"]
    assert after["liver"]["method"] == "file NIfTI"
    assert after["run"]["settings"]["segmenter"] == "file"
    assert any("contour is the one that was given" in limit for limit in after["limits"])
    assert not any("contour is the one that was given" in limit for limit in before["limits"])
    assert "contour is the one that was given" in (tmp_path / "o" / "report.html").read_text("utf-8").replace(
        "&#39;", "'"
    )
    places = [f["peak_index"] for f in after["foci"] if f["kind"] == "calcification"]
    assert kept["peak_index"] in places
    assert 0 < len(places) < sum(f["kind"] == "calcification" for f in before["foci"])


def test_earlier_results_are_replaced_and_other_files_stay(first, patient, tmp_path):
    _, out = first
    mine = tmp_path / "o"
    shutil.copytree(out, mine)
    (mine / "notes.txt").write_text("mine")
    (mine / "foci.csv").write_text("old")
    done = hepacalc("assess", patient / "dicom", "-o", mine, "--liver-mask", patient / "truth-liver.nii.gz")
    assert done.status == 0, done.err
    assert (mine / "notes.txt").read_text() == "mine"
    assert len(rows_of(mine)) > 0
    assert sorted(p.name for p in mine.iterdir()) == sorted((*OUTPUTS, "notes.txt"))


def test_phantom_refuses_a_used_folder(patient):
    before = sorted(patient.rglob("*"))
    done = hepacalc("phantom", "-o", patient)
    assert done.status == 7
    assert done.err.startswith("OUT-01 OutputError: ")
    assert sorted(patient.rglob("*")) == before


def test_phantom_with_impossible_numbers(tmp_path):
    done = hepacalc("phantom", "-o", tmp_path / "p", "--kvp", 9)
    assert done.status == 2
    assert done.err.startswith("USE-01 UsageError: ")
    assert not (tmp_path / "p").exists()


def test_a_reader_that_goes_away(tmp_path):
    with subprocess.Popen(command("--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode in (0, 141)
    assert told == b""


def wait_until_at_work(process):
    """Wait until the liver's network is loaded; where that cannot be seen, for a while."""
    maps = Path("/proc") / str(process.pid) / "maps"
    if not maps.exists():
        time.sleep(3.0)
        return
    end = time.monotonic() + 60
    while "onnxruntime" not in maps.read_text() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_half_way_leaves_nothing(patient, tmp_path, number, status):
    process = subprocess.Popen(
        command("assess", patient / "dicom", "-o", tmp_path / "o"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
        # a shell that runs the tests in the background has it ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    wait_until_at_work(process)
    os.killpg(process.pid, number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == status
    assert b"Traceback" not in told
    assert not list(tmp_path.iterdir())
