"""``hepacalc show`` and a corrected mask handed back, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from cli_runs import hepacalc


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patient") / "made"
    done = hepacalc("phantom", "-o", folder, "--slice-mm", 5, "--pixel-mm", 2, "--seed", 3, "--foci", 3)
    assert done.status == 0, done.err
    done = hepacalc("assess", folder / "dicom", "-o", folder / "out", "--write", "seg,sr,ko")
    assert (done.status, done.err) == (0, "")
    return folder


def test_show_says_what_is_in_each(study: Path) -> None:
    for name, words in (
        ("liver.seg.dcm", ("SEG 2.25.", "1 segment:", "Liver")),
        ("foci.seg.dcm", ("LABELMAP", "Focus 1")),
        ("report.sr.dcm", ("TID 1500", "Calcium hydroxyapatite mass", "Conclusion")),
        ("key-images.ko.dcm", ("Of Interest", "image")),
    ):
        done = hepacalc("show", study / "out" / name)
        assert (done.status, done.err) == (0, "")
        assert all(word in done.out for word in words), name
        found = json.loads(hepacalc("show", study / "out" / name, "--json").out)
        assert found["about"]["kind"] in ("SEG", "SR", "KO")
        assert "PHANTOM^" not in done.out
    done = hepacalc("show", study / "out" / "report.html")
    assert done.status == 3
    assert done.err.startswith("IN-06 DamagedFile")


def test_a_corrected_mask_is_kept_as_corrected(study: Path, tmp_path: Path) -> None:
    before = json.loads((study / "out" / "assessment.json").read_text("utf-8"))
    mask = pydicom.dcmread(study / "out" / "foci.seg.dcm")
    mask.decompress()
    pixels = mask.pixel_array.copy()
    gone = before["foci"][1]["id"]
    pixels[pixels == gone] = 0
    mask.PixelData = pixels.tobytes()
    mask.save_as(tmp_path / "corrected.dcm")
    done = hepacalc(
        "assess", study / "dicom", "-o", tmp_path / "out", "--foci-mask", tmp_path / "corrected.dcm",
        "--liver-mask", study / "out" / "liver.seg.dcm", "--write", "seg",
    )  # fmt: skip
    assert (done.status, done.err) == (0, "")
    after = json.loads((tmp_path / "out" / "assessment.json").read_text("utf-8"))
    assert len(after["foci"]) == len(before["foci"]) - 1
    assert after["run"]["settings"]["foci_mask"].startswith("DICOM SEG LABELMAP")
    assert any("those of the mask that was given" in limit for limit in after["limits"])
    tracked = {f["tracking_uid"] for f in after["foci"]}
    known = {s.TrackingUID for s in mask.SegmentSequence if s.SegmentNumber not in (0, gone)}
    assert tracked == known
    again = pydicom.dcmread(tmp_path / "out" / "foci.seg.dcm")
    assert {s.TrackingUID for s in again.SegmentSequence if s.SegmentNumber} == known
    assert {s.SegmentAlgorithmType for s in again.SegmentSequence if s.SegmentNumber} == {"MANUAL"}


def test_another_patients_mask_is_refused(study: Path, tmp_path: Path) -> None:
    mask = pydicom.dcmread(study / "out" / "foci.seg.dcm")
    mask.PatientID = "SOMEBODY-ELSE"
    mask.save_as(tmp_path / "other.dcm")
    done = hepacalc("assess", study / "dicom", "-o", tmp_path / "out", "--foci-mask", tmp_path / "other.dcm")
    assert done.status == 3
    assert "IN-12 OtherStudy" in done.err
    assert "SOMEBODY-ELSE" not in done.err
    assert not (tmp_path / "out").exists()
