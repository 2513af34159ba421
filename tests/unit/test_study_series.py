"""Which slices belong together, which series is chosen, and what is passed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import (
    InconsistentSlices,
    NoSuitableSeries,
    SeriesNotFound,
    TooFewSlices,
    UnsupportedGeometry,
)
from hepacalc.study import open_study
from study_files import ct_slice, picture, save, volume_of, write_series


def test_studies_that_differ_only_in_uids_are_not_merged(tmp_path: Path) -> None:
    """Slices 0-5 of one study and 6-7 of another would make one even stack."""
    for k in range(8):
        own = {} if k < 6 else {"StudyInstanceUID": "9.9", "SeriesInstanceUID": "9.9.1"}
        save(ct_slice(k, **own), tmp_path / f"{k}.dcm")
    volume, choice = open_study(tmp_path)
    assert volume.hu.shape[0] == 6
    assert [o.series_instance_uid for o in choice.others] == ["9.9.1"]
    assert choice.others[0].score is None


@pytest.mark.parametrize("same_uid", [True, False])
def test_duplicates_are_dropped_and_said(tmp_path: Path, same_uid: bool) -> None:
    write_series(tmp_path / "a")
    write_series(tmp_path / "copy of a", each=lambda k: {} if same_uid else {"SOPInstanceUID": f"1.2.3.5.{k}"})
    volume, choice = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert "6 duplicate images dropped" in choice.chosen.reasons
    assert "6 duplicate images dropped" in volume.transforms


@pytest.mark.parametrize(
    "tag", [("AcquisitionNumber", 2), ("ContentTime", "120001"), ("ConvolutionKernel", "B70f"), ("KVP", 80)]
)
def test_two_stacks_at_one_place_are_told_apart(tmp_path: Path, tag: tuple[str, object]) -> None:
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b", each=lambda k: {"SOPInstanceUID": f"1.2.3.5.{k}", "hu": picture(k) + 50, tag[0]: tag[1]}
    )
    volume, choice = open_study(tmp_path)
    assert volume.hu.shape[0] == 6
    assert len(choice.others) == 1
    assert any(tag[0] in reason for reason in choice.chosen.reasons)
    assert {choice.chosen.series_instance_uid, choice.others[0].series_instance_uid} == {"1.2.3.4#1", "1.2.3.4#2"}
    other, _ = open_study(tmp_path, series=choice.others[0].series_instance_uid)
    assert abs(int(other.hu[0, 0, 0]) - int(volume.hu[0, 0, 0])) == 50


def test_two_phases_numbered_one_after_the_other(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b",
        each=lambda k: {"SOPInstanceUID": f"1.2.3.5.{k}", "hu": picture(k) + 50, "InstanceNumber": 101 + k},
    )
    volume, choice = open_study(tmp_path)
    assert volume.hu.shape[0] == 6
    assert any("InstanceNumber" in reason for reason in choice.chosen.reasons)


def test_two_stacks_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", 4, each=lambda k: {"SOPInstanceUID": f"1.2.3.5.{k}", "hu": picture(k) + 50})
    with pytest.raises(InconsistentSlices, match="same place"):
        open_study(tmp_path)


def test_two_thicknesses_in_one_series_are_two_stacks(tmp_path: Path) -> None:
    """As in a head scanned at 4 mm and then at 7 mm under one UID."""
    z = [0, 2.5, 5, 7.5, 10, 11.2, 17.2, 23.2, 29.2]
    write_series(
        tmp_path / "s",
        9,
        each=lambda k: {"ImagePositionPatient": [-100, -80, z[k]], "SliceThickness": 2.5 if k < 5 else 6},
    )
    volume, choice = open_study(tmp_path)
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.5)
    assert volume.hu.shape[0] == 5
    assert choice.others[0].instances == 4


def test_a_missing_slice_is_not_hidden_by_an_acquisition_boundary(tmp_path: Path) -> None:
    write_series(tmp_path / "s", 10, each=lambda k: {"AcquisitionNumber": 1 + k // 5})
    (tmp_path / "s" / "s004.dcm").unlink()
    with pytest.raises(UnsupportedGeometry):
        open_study(tmp_path)


def test_a_gap_is_refused_with_its_place_and_the_block_can_be_had(tmp_path: Path) -> None:
    write_series(tmp_path / "s", 12)
    (tmp_path / "s" / "s008.dcm").unlink()
    with pytest.raises(UnsupportedGeometry) as caught:
        open_study(tmp_path)
    text = str(caught.value)
    assert "slice gaps range 2.50-5.00 mm over 11 slices (first jump after instance 8" in text
    assert "1.2.3.4" in text
    assert "--allow-gaps to measure only the 8 slices below the jump" in text
    volume, _ = open_study(tmp_path, allow_gaps=True)
    np.testing.assert_array_equal(volume.hu, volume_of(8))
    assert any("8 of 11 slices (instances 1 to 8" in note for note in volume.transforms)
    assert len(volume.sop_instance_uids) == 8


def test_overlapping_slices_are_a_regular_volume(tmp_path: Path) -> None:
    write_series(tmp_path / "s", SliceThickness=5)
    volume, _ = open_study(tmp_path)
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.5)


def test_positions_rounded_by_the_scanner_are_regular(tmp_path: Path) -> None:
    write_series(
        tmp_path / "s", 40, each=lambda k: {"ImagePositionPatient": [-100, -80, round(0.625 * k, 1)], "hu": picture(0)}
    )
    volume, _ = open_study(tmp_path)
    assert volume.geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.002)


def test_slices_shifted_sideways_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", each=lambda k: {"ImagePositionPatient": [-100 + 9 * (k == 3), -80, 2.5 * k]})
    with pytest.raises(InconsistentSlices, match="sideways"):
        open_study(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices(tmp_path: Path, count: int) -> None:
    with pytest.raises(TooFewSlices, match="at least 3"):
        open_study(write_series(tmp_path / "s", count))


def _two(tmp_path: Path, first: dict[str, object], second: dict[str, object]) -> Path:
    """A study of two series of 40 slices; the second comes last by name."""
    write_series(tmp_path / "a", 40, SeriesInstanceUID="1.2.3.1", each=lambda k: {"hu": picture(k % 9)}, **first)
    write_series(tmp_path / "b", 40, SeriesInstanceUID="1.2.3.2", each=lambda k: {"hu": picture(k % 9)}, **second)
    return tmp_path


@pytest.mark.parametrize(
    ("better", "worse", "word"),
    [
        ({"SeriesDescription": "Abdomen nativ"}, {"SeriesDescription": "Abdomen portal venous"}, "without contrast"),
        ({"SeriesDescription": "ABD C-  平扫"}, {"SeriesDescription": "ABD 动脉期"}, "without contrast"),
        ({}, {"ContrastBolusAgent": "Iomeron"}, "names no contrast agent"),
        ({"SliceThickness": 1}, {"SliceThickness": 5}, "2.5 mm apart"),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, "soft kernel"),
        ({"ConvolutionKernel": "STANDARD"}, {"ConvolutionKernel": "LUNG"}, "soft kernel"),
        ({"BodyPartExamined": "ABDOMEN"}, {"BodyPartExamined": "HEAD"}, "abdomen"),
    ],
)
def test_the_series_fit_for_calcium_is_chosen(
    tmp_path: Path, better: dict[str, object], worse: dict[str, object], word: str
) -> None:
    utf8 = {"SpecificCharacterSet": "ISO_IR 192"}
    _, choice = open_study(_two(tmp_path, utf8 | worse, utf8 | better))
    assert choice.chosen.series_instance_uid == "1.2.3.2"
    assert any(word in reason for reason in choice.chosen.reasons)
    assert choice.others[0].series_instance_uid == "1.2.3.1"
    assert choice.others[0].reasons
    assert choice.others[0].score < choice.chosen.score


def test_another_series_can_be_asked_for(tmp_path: Path) -> None:
    folder = _two(tmp_path, {}, {"ContrastBolusAgent": "Iomeron"})
    for wanted in ("1.2.3.2", ".3.2"):
        _, choice = open_study(folder, series=wanted)
        assert choice.chosen.series_instance_uid == "1.2.3.2"
    for wanted in ("7.7.7", "", "."):
        with pytest.raises(SeriesNotFound, match=r"1\.2\.3\.1 \(40 slices\)"):
            open_study(folder, series=wanted)


def test_a_short_series_is_not_measured_in_place_of_one_with_a_hole(tmp_path: Path) -> None:
    write_series(tmp_path / "main", 30, each=lambda k: {"hu": picture(k % 9)})
    (tmp_path / "main" / "s010.dcm").unlink()
    write_series(tmp_path / "short", 4, SeriesInstanceUID="1.2.3.8")
    with pytest.raises(UnsupportedGeometry):
        open_study(tmp_path)


def test_what_is_no_slice_is_passed_over_and_counted(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    other = {"SeriesInstanceUID": "1.2.3.7"}
    save(ct_slice(1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **other), tmp_path / "scout")
    save(ct_slice(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", **other), tmp_path / "capture")
    save(ct_slice(1, Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128", **other), tmp_path / "pet")
    save(ct_slice(1, ImagePositionPatient=None, **other), tmp_path / "nowhere")
    save(ct_slice(1, ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"], **other), tmp_path / "dose")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty").touch()
    volume, choice = open_study(tmp_path)
    assert volume.hu.shape[0] == 6
    counted = dict(choice.passed_over)
    assert counted["scout"] == counted["secondary capture"] == counted["PT image"] == counted["screenshot"] == 1
    assert counted["not DICOM"] == counted["empty file"] == 1
    assert counted["CT image without position, orientation or pixel spacing"] == 1


def test_derived_projections_are_not_measured(tmp_path: Path) -> None:
    mip = {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}
    folder = _two(tmp_path, mip, {"ContrastBolusAgent": "Iomeron"})
    _, choice = open_study(folder)
    assert choice.chosen.series_instance_uid == "1.2.3.2"
    assert dict(choice.passed_over)["derived image (MIP, MPR)"] == 40
    shutil.rmtree(folder / "b")
    with pytest.raises(NoSuitableSeries, match="projection"):
        open_study(folder)


def test_series_without_uids_in_two_folders_stay_apart(tmp_path: Path) -> None:
    none = {"StudyInstanceUID": "", "SeriesInstanceUID": ""}
    write_series(tmp_path / "a", 6, **none)
    write_series(tmp_path / "b", 4, each=lambda k: {"hu": picture(k) + 1}, **none)
    volume, choice = open_study(tmp_path)
    assert volume.hu.shape[0] == 6
    assert volume.acquisition.series_instance_uid is None
    assert len(choice.others) == 1
