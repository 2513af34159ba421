"""A phantom on disk: readable by others, honest about what it is, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from hepacalc.errors import OutputError, UsageError
from hepacalc.phantom import Phantom, generate, make_patient, write_dicom_series, write_nifti, write_truth
from hepacalc.study import open_study, read_nifti_labels


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_patient(7, phase="portal", spacing_mm=(6.0, 1.5, 1.5))


def test_another_reader_sees_the_same_scan(phantom: Phantom, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    files = write_dicom_series(phantom, tmp_path)
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(tmp_path))
    assert len(names) == len(files) == phantom.volume.hu.shape[0]
    image = sitk.ReadImage(names)
    assert np.array_equal(sitk.GetArrayFromImage(image), phantom.volume.hu)
    np.testing.assert_allclose(image.GetSpacing()[::-1], phantom.volume.geometry.spacing_mm, atol=1e-5)
    np.testing.assert_allclose(image.GetOrigin(), phantom.volume.geometry.to_world((0, 0, 0)), atol=1e-4)


def test_our_reader_sees_scan_and_headers(phantom: Phantom, tmp_path: Path) -> None:
    write_dicom_series(phantom, tmp_path)
    volume, _ = open_study(tmp_path)
    assert np.array_equal(volume.hu, phantom.volume.hu)
    assert volume.geometry.same_grid(phantom.volume.geometry)
    assert volume.acquisition.kvp == 120
    assert volume.acquisition.slice_thickness_mm == 6
    assert volume.acquisition.convolution_kernel == "B30f"
    assert volume.acquisition.contrast_bolus_agent == "PHANTOM IODINE"
    assert volume.sop_instance_uids == phantom.volume.sop_instance_uids


def test_the_identity_is_plainly_a_phantom(phantom: Phantom, tmp_path: Path) -> None:
    header = pydicom.dcmread(write_dicom_series(phantom, tmp_path)[0])
    assert str(header.PatientName) == "PHANTOM^HEPACALC"
    assert header.PatientID == "PHANTOM-7"
    assert "NOT A PATIENT" in header.StudyDescription
    assert header.BitsStored == 12
    assert header.pixel_array.max() <= 4095


def test_same_phantom_same_files(phantom: Phantom, tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        files = write_dicom_series(phantom, tmp_path / name)
        write_nifti(phantom, tmp_path / name / "scan.nii")
        write_truth(phantom, tmp_path / name / "truth.json")
        files += [tmp_path / name / "scan.nii", tmp_path / name / "truth.json"]
        digests.append(hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest())
    assert digests[0] == digests[1]


def test_nifti_holds_the_same_scan_in_ras(phantom: Phantom, tmp_path: Path) -> None:
    write_nifti(phantom, tmp_path / "scan.nii.gz")
    image = nib.load(tmp_path / "scan.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), phantom.volume.hu)
    x, y, z = phantom.volume.geometry.to_world((3, 20, 40))
    np.testing.assert_allclose(image.affine @ (40, 20, 3, 1), (-x, -y, z, 1), atol=1e-3)


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_generate_writes_scan_truth_and_masks(kind: str, tmp_path: Path) -> None:
    phantom = generate(tmp_path / "out", seed=3, slice_mm=8, pixel_mm=2, foci=4, format=kind)  # type: ignore[arg-type]
    volume, _ = open_study(tmp_path / "out" / ("dicom" if kind == "dicom" else "scan.nii.gz"))
    assert volume.geometry.same_grid(phantom.volume.geometry)
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    assert truth["seed"] == 3
    assert len(truth["foci"]) == 4
    assert truth["foci"][0]["mass_mg"] == pytest.approx(phantom.truth.foci[0].mass_mg, rel=1e-5)
    for name, expected in (("liver", phantom.liver), ("foci", phantom.labels)):
        labels, geometry = read_nifti_labels(tmp_path / "out" / f"truth-{name}.nii.gz")
        assert geometry.same_grid(volume.geometry)
        assert np.array_equal(labels, expected)


@pytest.mark.parametrize(
    "wrong",
    [{"slice_mm": 0}, {"kvp": 500}, {"format": "jpeg"}, {"kernel": "crisp"}, {"mimics": "a, b"}, {"phase": "x"}],
)
def test_generate_refuses_what_no_scanner_has(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        generate(tmp_path, **wrong)  # type: ignore[arg-type]


def test_an_unwritable_folder_is_told(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for write in (
        write_dicom_series,
        lambda p, d: write_truth(p, d / "t.json"),
        lambda p, d: write_nifti(p, d / "s.nii"),
    ):
        with pytest.raises(OutputError):
            write(phantom, tmp_path / "file")


def test_a_folder_that_cannot_be_filled_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"slice_mm": 10.0, "pixel_mm": 3.0, "foci": 0, "mimics": "none"}
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        generate(tmp_path / "file" / "deeper", **size)  # type: ignore[arg-type]
    used = tmp_path / "used"
    used.mkdir()
    (used / "truth.json").write_text("mine")
    with pytest.raises(OutputError, match=r"already holds truth\.json"):
        generate(used, **size)  # type: ignore[arg-type]
    assert [p.name for p in used.iterdir()] == ["truth.json"]
    assert (used / "truth.json").read_text() == "mine"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hepacalc.phantom.write.write_mask_nifti", full)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "new" / "one"):
        with pytest.raises(OutputError, match="No space left"):
            generate(folder, **size)  # type: ignore[arg-type]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "used"]
    assert not list(empty.iterdir())


def test_a_phantom_goes_beside_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    generate(tmp_path, slice_mm=10, pixel_mm=3, foci=0, mimics="none", format="nifti")
    there = {p.name for p in tmp_path.iterdir()}
    assert there == {"notes.txt", "scan.nii.gz", "truth.json", "truth-liver.nii.gz", "truth-foci.nii.gz"}
