"""Bad input: one clear error each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import (
    DamagedFile,
    HepacalcError,
    InconsistentSlices,
    InvalidPixelValues,
    NoSuitableSeries,
    NotAStudy,
    StudyNotFound,
    TooFewSlices,
    UnsafeArchive,
    UnsupportedModality,
)
from hepacalc.study import archive, open_study
from study_files import ct_slice, enhanced, picture, save, volume_of, write_nifti, write_series


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound):
        open_study(tmp_path / "nothing")
    with pytest.raises(StudyNotFound):
        open_study(tmp_path / ("n" * 5000))


def test_an_empty_folder_and_a_text_file(tmp_path: Path) -> None:
    with pytest.raises(NotAStudy):
        open_study(tmp_path)
    (tmp_path / "a.txt").write_text("not a CT, but rather long: " * 100)
    with pytest.raises(NotAStudy, match="1 x not DICOM"):
        open_study(tmp_path / "a.txt")


@pytest.mark.parametrize(("modality", "sop"), [("MR", "4"), ("US", "6.1"), ("", "4")])
def test_another_modality(tmp_path: Path, modality: str, sop: str) -> None:
    write_series(tmp_path / "s", Modality=modality, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop}")
    with pytest.raises(UnsupportedModality):
        open_study(tmp_path)


@pytest.mark.parametrize("keep", [60, 200, 700, 1100, -1, -100])
def test_a_truncated_slice_is_named_or_shows_as_a_gap(tmp_path: Path, keep: int) -> None:
    write_series(tmp_path / "s", 8)
    file = tmp_path / "s" / "s004.dcm"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(HepacalcError) as caught:
        open_study(tmp_path)
    assert caught.value.code in ("IN-06", "GEO-03")
    assert "1.2.3.4" in str(caught.value)
    volume, _ = open_study(tmp_path, allow_gaps=True)
    np.testing.assert_array_equal(volume.hu, volume_of(4))


def test_a_truncated_last_slice_is_not_lost_in_silence(tmp_path: Path) -> None:
    write_series(tmp_path / "s", 8)
    file = tmp_path / "s" / "s007.dcm"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DamagedFile, match=r"1\.2\.3\.4\.8"):
        open_study(tmp_path)


def test_every_file_damaged(tmp_path: Path) -> None:
    write_series(tmp_path / "s", 4)
    for file in (tmp_path / "s").iterdir():
        file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DamagedFile):
        open_study(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 65535},
        {"Columns": 60000, "Rows": 60000},
        {"Rows": 0},
        {"BitsAllocated": 64},
        {"BitsStored": 40},
        {"NumberOfFrames": 1_000_000_000},
    ],
)
def test_absurd_sizes_allocate_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    write_series(tmp_path / "s", 4, **changes)
    with pytest.raises(DamagedFile):
        open_study(tmp_path)


def test_an_enhanced_file_with_absurd_frames(tmp_path: Path) -> None:
    dataset = enhanced(4)
    dataset.NumberOfFrames = 10**9
    with pytest.raises(DamagedFile):
        open_study(save(dataset, tmp_path / "e.dcm"))


@pytest.mark.parametrize(
    "frame", [b"\0\0", b"\xff\xd8\xff", b"\xff\x4f\xff\x51" + b"\0" * 60, b"\x02\0\0\0\x40" + b"\0" * 80]
)
def test_rubbish_in_place_of_a_compressed_frame(tmp_path: Path, frame: bytes) -> None:
    from pydicom.encaps import encapsulate

    for k in range(4):
        dataset = ct_slice(k, syntax="1.2.840.10008.1.2.4.90")
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
        save(dataset, tmp_path / f"{k}.dcm")
    with pytest.raises(DamagedFile, match=r"1\.2\.3\.4"):
        open_study(tmp_path)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"RescaleSlope": 0}, InvalidPixelValues),
        ({"RescaleType": "MGML"}, InvalidPixelValues),
        ({"RescaleSlope": None, "RescaleIntercept": None}, InvalidPixelValues),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, InconsistentSlices),
        ({"hu": np.full((16, 20), 5)}, InvalidPixelValues),
    ],
)
def test_numbers_that_are_no_hu(tmp_path: Path, changes: dict[str, object], error: type[HepacalcError]) -> None:
    write_series(tmp_path / "s", each=lambda k: changes)
    with pytest.raises((error, NoSuitableSeries)):
        open_study(tmp_path)
    with pytest.raises(error):
        open_study(tmp_path, series="1.2.3.4")


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "b.zip", {"a": b"\0" * (70 * 2**20)})
    with pytest.raises(UnsafeArchive, match="zip bomb"):
        open_study(bomb)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(UnsafeArchive, match="4 files"):
        open_study(_zip(tmp_path / "b.zip", {str(k): b"x" for k in range(4)}))


@pytest.mark.parametrize("name", ["../up", "/absolute/x", "a/../../b", "C:\\x", "in.zip", "more.tar.gz"])
def test_members_that_leave_the_folder_or_are_archives(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeArchive):
        open_study(_zip(tmp_path / "b.zip", {name: b"x"}))


def test_a_nested_zip_by_another_name(tmp_path: Path) -> None:
    inner = _zip(tmp_path / "i.zip", {"a": b"x"}).read_bytes()
    with pytest.raises(UnsafeArchive, match="another archive"):
        open_study(_zip(tmp_path / "b.zip", {"picture": inner}))


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(_zip(tmp_path / "b.zip", {"a": b"x" * 50}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(UnsafeArchive, match="encrypted"):
        open_study(tmp_path / "b.zip")


def test_a_truncated_zip(tmp_path: Path) -> None:
    packed = _zip(tmp_path / "b.zip", {"a": bytes(range(256)) * 9})
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(DamagedFile):
        open_study(packed)


def test_the_temporary_folder_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    spare = tmp_path / "tmp"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    write_series(tmp_path / "s", 2)
    members = {f.name: f.read_bytes() for f in (tmp_path / "s").iterdir()}
    with pytest.raises(TooFewSlices):
        open_study(_zip(tmp_path / "b.zip", members))
    assert list(spare.iterdir()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_nifti(tmp_path: Path, value: float) -> None:
    hu = volume_of().astype(np.float64)
    hu[3, 4, 5] = value
    with pytest.raises(InvalidPixelValues, match="NaN"):
        open_study(write_nifti(tmp_path / "a.nii.gz", hu))


def test_nifti_that_says_not_where_it_lies(tmp_path: Path) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(picture(0)[None].repeat(5, 0).transpose(2, 1, 0), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(InconsistentSlices, match="sform or qform"):
        open_study(tmp_path / "a.nii")


def test_nifti_of_two_slices_of_four_axes_and_truncated(tmp_path: Path) -> None:
    import nibabel as nib

    with pytest.raises(TooFewSlices):
        open_study(write_nifti(tmp_path / "two.nii", volume_of(2)))
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 7, 2), np.int16), np.eye(4)), tmp_path / "four.nii")
    with pytest.raises(InconsistentSlices, match="5 x 6 x 7 x 2"):
        open_study(tmp_path / "four.nii")
    for name in ("cut.nii", "cut.nii.gz"):
        file = write_nifti(tmp_path / name, volume_of())
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(DamagedFile):
            open_study(file)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Modality", "NOBODY^SECRET"), ("SeriesInstanceUID", "Nobody^Secret"), ("RescaleType", "NOBODY^SECRET")],
)
def test_a_damaged_tag_cannot_carry_a_name_into_a_message(tmp_path: Path, name: str, value: str) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of such values when they are written
        write_series(tmp_path / "s", 8, **{name: value})
    (tmp_path / "s" / "s003.dcm").unlink()
    with pytest.raises(HepacalcError) as caught:
        open_study(tmp_path)
    assert "SECRET" not in str(caught.value).upper()


def test_frames_that_do_not_say_where_they_lie(tmp_path: Path) -> None:
    dataset = enhanced(4)
    del dataset.PerFrameFunctionalGroupsSequence
    with pytest.raises(NoSuitableSeries, match="where they lie"):
        open_study(save(dataset, tmp_path / "e.dcm"))
