"""The real files beside a checkout behave as their description says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import HepacalcError, TooFewSlices, UnsupportedGeometry, UnsupportedModality
from hepacalc.study import group_series, open_study, read_nifti_labels, scan_files, write_mask_nifti
from hepacalc.study.decode import PixelReader
from hepacalc.study.hounsfield import to_hu

pytestmark = pytest.mark.shared
SYNTAX = "1.2.840.10008.1.2"
LOSSLESS = (".2", ".1.99", ".4.90", ".4.80", ".4.70", ".4.57", ".1", "", ".5")
LOSSY = {".4.91": 8, ".4.81": 2, ".4.55": 40, ".4.50": 70, ".4.51": 40, ".4.53": 40}


def _hu(path: Path) -> np.ndarray:
    """HU of a single slice, by the steps below ``open_study`` (which wants a volume)."""
    scan = scan_files(path)
    (one,) = scan.slices
    out = np.empty((one.head.rows, one.head.columns), np.float32)
    with PixelReader() as reader:
        to_hu(reader.stored(one), one, out)
    return out


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_syntaxes_equal_the_uncompressed_twin(
    shared: Path, syntax: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "reader" / "transfer-syntaxes"
    (file,) = folder.glob(f"CTImage.dcm_*_{SYNTAX}{syntax}.dcm")
    np.testing.assert_array_equal(_hu(file), _hu(folder / "CTImage.dcm"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_syntaxes_are_near_the_twin(shared: Path, syntax: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = shared / "reader" / "transfer-syntaxes"
    (file,) = folder.glob(f"CTImage.dcm_*_{SYNTAX}{syntax}.dcm")
    assert np.abs(_hu(file) - _hu(folder / "CTImage.dcm")).max() <= LOSSY[syntax]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["CT1_J2KR", "CT2_J2KR"])
def test_jpeg_2000_agrees_with_pydicom(shared: Path, name: str) -> None:
    import pydicom

    path = shared / "reader" / "transfer-syntaxes" / name
    dataset = pydicom.dcmread(path)
    wanted = dataset.pixel_array.astype(float) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    found = _hu(path)
    tissue = wanted >= -1024
    np.testing.assert_array_equal(found[tissue], wanted[tissue])
    assert tissue.mean() > 0.7


def test_two_studies_in_one_folder_are_not_merged(shared: Path) -> None:
    volume, choice = open_study(shared / "ct" / "acrin-flt-001")
    assert volume.hu.shape == (99, 512, 512)
    assert volume.geometry.spacing_mm[0] == pytest.approx(4.25)
    assert volume.slice_thickness_mm == 5.0
    assert [o.instances for o in choice.others] == [8]
    assert volume.hu.min() == -1024
    assert volume.acquisition.padding_fraction == pytest.approx(0.2128, abs=0.001)


def test_the_volume_agrees_with_simpleitk(shared: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = str(shared / "ct" / "ircadb-01" / "dicom")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image = reader.Execute()
    volume, _ = open_study(folder)
    np.testing.assert_array_equal(volume.hu, sitk.GetArrayFromImage(image))
    point = image.TransformIndexToPhysicalPoint((3, 40, 100))
    np.testing.assert_allclose(volume.geometry.to_world((100, 40, 3)), point, atol=1e-3)


def test_an_expert_mask_lies_on_the_scan(shared: Path, tmp_path: Path) -> None:
    volume, _ = open_study(shared / "ct" / "ircadb-01" / "dicom")
    mask, geometry = read_nifti_labels(shared / "ct" / "ircadb-01" / "liver.nii.gz")
    assert geometry.same_grid(volume.geometry)
    assert mask.astype(bool).sum() * geometry.voxel_mm3 / 1000 == pytest.approx(1489, abs=1)
    assert 90 < np.median(volume.hu[mask > 0]) < 130
    write_mask_nifti(mask, volume, tmp_path / "m.nii.gz")
    back, grid = read_nifti_labels(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(back, mask)
    assert grid.same_grid(geometry)


def test_overlapping_jpeg_2000_slices_and_labels_of_another_orientation(shared: Path) -> None:
    volume, choice = open_study(shared / "ct" / "totalsegmentator" / "example_ct_dicom")
    assert volume.hu.shape == (20, 512, 512)
    assert (volume.geometry.spacing_mm[0], volume.slice_thickness_mm) == (pytest.approx(2.0), 3.0)
    assert volume.acquisition.convolution_kernel == "Br38f\\3"
    assert any("contrast agent" in reason for reason in choice.chosen.reasons)
    labels, geometry = read_nifti_labels(shared / "ct" / "totalsegmentator" / "example_ct_dicom-labels.nii.gz")
    turned, own = geometry.canonical(), volume.geometry.canonical()
    assert turned.geometry.same_grid(own.geometry)
    assert 80 < np.median(own.apply(volume.hu)[turned.apply(labels) == 5]) < 110  # liver, portal venous
    assert np.median(own.apply(volume.hu)[turned.apply(labels) == 52]) > 130  # aorta


def test_nifti_of_32_bits(shared: Path) -> None:
    folder = shared / "ct" / "totalsegmentator"
    volume, _ = open_study(folder / "example_ct.nii.gz")
    labels, geometry = read_nifti_labels(folder / "example_ct-labels.nii.gz")
    assert volume.hu.dtype == np.int16
    assert geometry.same_grid(volume.geometry)
    assert 35 < np.median(volume.hu[labels == 5]) < 60


def test_ge_tilt_is_straightened(shared: Path) -> None:
    """28 slices of two thicknesses: 14 at 4 mm, 14 at 7 mm, tilted by +18.5 degrees."""
    volume, choice = open_study(shared / "reader" / "gantry-tilt" / "GE")
    assert volume.acquisition.gantry_tilt_degrees == 18.5
    assert volume.source_geometry is not None
    assert volume.source_geometry.is_sheared
    assert not volume.geometry.is_sheared
    assert any("18.5 degrees" in note for note in volume.transforms)
    assert volume.hu.shape[0] == 14
    assert [o.instances for o in choice.others] == [14]


def test_philips_folder_with_scouts_and_screenshots(shared: Path) -> None:
    """Slices 3 to 9 of 21 are not in the folder: refused with the place, or the block above."""
    folder = shared / "reader" / "gantry-tilt" / "Philips-S21570"
    with pytest.raises(UnsupportedGeometry, match=r"first jump after instance 2, at 701\.2 mm"):
        open_study(folder)
    volume, choice = open_study(folder, allow_gaps=True)
    assert volume.hu.shape == (12, 512, 512)
    counted = dict(choice.passed_over)
    assert counted == {"DICOMDIR": 4, "scout": 1, "secondary capture": 6}


def test_a_tilted_stack_of_four_slices(shared: Path) -> None:
    volume, _ = open_study(shared / "reader" / "not-a-volume" / "gantrytilting")
    assert volume.source_geometry is not None
    assert volume.acquisition.gantry_tilt_degrees == pytest.approx(14.0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("sliceincrement/001", UnsupportedGeometry, "first jump after instance 9"),
        ("sliceincrement/002", UnsupportedGeometry, "first jump after instance 3"),
        ("notavolume", TooFewSlices, "1 slice"),
        ("slicecount/001", UnsupportedModality, "MR"),
        ("sliceorientation", UnsupportedModality, "MR"),
    ],
)
def test_what_is_no_volume_is_refused(shared: Path, name: str, error: type[HepacalcError], words: str) -> None:
    with pytest.raises(error, match=words):
        open_study(shared / "reader" / "not-a-volume" / name)


def test_ultrasound_is_refused(shared: Path) -> None:
    with pytest.raises(UnsupportedModality, match="US"):
        open_study(shared / "reader" / "transfer-syntaxes" / "US-YBR_FULL_422-EVRLE.dcm")


def test_other_peoples_multi_frame_ct_equals_its_single_frames(shared: Path) -> None:
    folder = shared / "dicom-objects" / "dcmqi" / "segmentations" / "23x38x3"
    single, _ = open_study(folder / "image")
    multi, _ = open_study(folder / "multiframe" / "mf.dcm")
    np.testing.assert_array_equal(single.hu, multi.hu)
    assert single.geometry.same_grid(multi.geometry, tolerance_mm=1e-3)


def test_segmentations_and_reports_are_passed_over(shared: Path) -> None:
    scan = scan_files(shared / "dicom-objects" / "dcmqi")
    assert scan.passed_over["SEG object"] >= 5
    assert scan.passed_over["SR object"] == 1
    assert len(group_series(scan)) == 5
