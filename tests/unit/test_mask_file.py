"""Masks that somebody else drew, onto the scan's grid."""

from __future__ import annotations

import itertools
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentationFractionalTypeValues, SegmentationTypeValues
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hepacalc.errors import DamagedFile, GridMismatch, InvalidLiverMask, OtherStudy, StudyNotFound
from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver.mask_file import read_liver_mask
from hepacalc.records import Acquisition, Volume

SHAPE = (12, 20, 24)
AFFINE = np.array([[0, 0, 0.8, -40.0], [0, 0.9, 0, -30.0], [2.5, 0, 0, 100.0], [0, 0, 0, 1]])
STUDY, SERIES, FRAME = (generate_uid(entropy_srcs=[name]) for name in ("study", "series", "frame"))


@pytest.fixture
def volume() -> Volume:
    hu = np.full(SHAPE, 55, np.int16)
    acquisition = Acquisition(modality="CT", study_instance_uid=STUDY, frame_of_reference_uid=FRAME)
    return Volume(hu, Geometry(SHAPE, AFFINE), acquisition)


@pytest.fixture
def mask() -> NDArray[np.bool_]:
    out = np.zeros(SHAPE, bool)
    out[3:9, 4:15, 6:20] = True
    out[4, 5, 7] = False
    out[8, 16, 2] = True
    return out


def write_nifti(path: Path, array: NDArray[np.generic], geometry: Geometry) -> Path:
    affine = np.diag([-1.0, -1, 1, 1]) @ geometry.affine[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine), path)
    return path


# ---------------------------------------------------------------- NIfTI


@pytest.mark.parametrize(
    ("order", "flips"),
    list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3))),
)
def test_every_signed_axis_order_is_exact(
    tmp_path: Path, volume: Volume, mask: NDArray[np.bool_], order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    turn = Reorientation(volume.geometry, order, flips)
    path = write_nifti(tmp_path / "m.nii.gz", turn.apply(mask).astype(np.uint8), turn.geometry)
    found = read_liver_mask(path, volume)
    np.testing.assert_array_equal(found.mask, mask)
    assert found.geometry is volume.geometry
    assert found.method == "file"


def test_part_of_the_slices_and_more_than_the_scan(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    box = (slice(2, 10), slice(3, 20), slice(0, 22))
    path = write_nifti(tmp_path / "part.nii.gz", mask[box].astype(np.uint8), volume.geometry.crop(box))
    np.testing.assert_array_equal(read_liver_mask(path, volume).mask, mask)
    small = Volume(np.asarray(volume.hu[4:12]), volume.geometry.crop((slice(4, 12), slice(None), slice(None))))
    whole = write_nifti(tmp_path / "whole.nii.gz", mask.astype(np.uint8), volume.geometry)
    found = read_liver_mask(whole, small)
    np.testing.assert_array_equal(found.mask, mask[4:12])
    assert any(f"{mask[:4].sum()} voxels of the mask lie outside" in w for w in found.warnings)


def test_label_files(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    labels = np.where(mask, 5, 0).astype(np.uint8)
    only = write_nifti(tmp_path / "only.nii.gz", labels, volume.geometry)
    np.testing.assert_array_equal(read_liver_mask(only, volume).mask, mask)
    labels[0, 0, 0], labels[1, 1, 1] = 1, 52
    many = write_nifti(tmp_path / "many.nii.gz", labels, volume.geometry)
    with pytest.raises(InvalidLiverMask, match=r"3 labels \(1, 5, 52\)"):
        read_liver_mask(many, volume)
    np.testing.assert_array_equal(read_liver_mask(many, volume, label=5).mask, mask)
    np.testing.assert_array_equal(read_liver_mask(many, volume, label="5").mask, mask)
    with pytest.raises(InvalidLiverMask, match="wanted label 7"):
        read_liver_mask(many, volume, label=7)
    with pytest.raises(InvalidLiverMask, match="is a name"):
        read_liver_mask(many, volume, label="liver")


@pytest.mark.parametrize("kind", ["empty", "fractions", "nan", "negative"])
def test_what_is_no_mask(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_], kind: str) -> None:
    array = mask.astype(np.float32)
    if kind == "empty":
        array[:] = 0
    elif kind == "fractions":
        array *= 0.4
    elif kind == "nan":
        array[0, 0, 0] = np.nan
    else:
        array -= 1000
    with pytest.raises(InvalidLiverMask) as raised:
        read_liver_mask(write_nifti(tmp_path / "m.nii.gz", array, volume.geometry), volume)
    assert raised.value.hint


def test_another_grid_is_refused_with_both_named(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += 0.4
    path = write_nifti(tmp_path / "m.nii.gz", mask.astype(np.uint8), Geometry(SHAPE, affine))
    with pytest.raises(GridMismatch) as raised:
        read_liver_mask(path, volume)
    assert "from (-40.0, -30.0, 100.0) mm" in raised.value.message
    assert "from (-39.6, -29.6, 100.4) mm" in raised.value.message
    found = read_liver_mask(path, volume, allow_resample=True)
    assert (found.mask & mask).sum() > 0.9 * mask.sum()
    assert any("nearest neighbour" in w for w in found.warnings)


def test_wrong_size_and_far_away(tmp_path: Path, volume: Volume) -> None:
    affine = np.diag([1.0, 1, 1, 1])[:, [2, 1, 0, 3]]
    path = write_nifti(tmp_path / "m.nii.gz", np.ones((5, 6, 7), np.uint8), Geometry((5, 6, 7), affine))
    with pytest.raises(GridMismatch, match="5 x 6 x 7 voxels"):
        read_liver_mask(path, volume)
    with pytest.raises(InvalidLiverMask, match="no voxel inside the scan"):
        read_liver_mask(path, volume, allow_resample=True)


def test_mask_on_the_grid_of_a_tilted_file_follows_the_scan(
    tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]
) -> None:
    sheared = AFFINE.copy()
    sheared[1, 0] = 0.5
    tilted = Volume(volume.hu, volume.geometry, volume.acquisition, source_geometry=Geometry(SHAPE, sheared))
    path = write_nifti(tmp_path / "m.nii.gz", mask.astype(np.uint8), Geometry(SHAPE, sheared))
    found = read_liver_mask(path, tilted)
    assert any("gantry tilt" in w for w in found.warnings)
    assert abs(int(found.mask.sum()) - int(mask.sum())) < 0.1 * mask.sum()


def test_mask_of_something_else_is_doubted(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    lung = Volume(np.full(SHAPE, -800, np.int16), volume.geometry)
    found = read_liver_mask(write_nifti(tmp_path / "m.nii.gz", mask.astype(np.uint8), volume.geometry), lung)
    assert any("-800 HU" in w for w in found.warnings)
    assert any("unusual for a whole liver" in w for w in found.warnings)


def test_missing_or_foreign_file(tmp_path: Path, volume: Volume) -> None:
    with pytest.raises(StudyNotFound):
        read_liver_mask(tmp_path / "no.nii.gz", volume)
    text = tmp_path / "notes.nii"
    text.write_text("this is no image" * 100)
    with pytest.raises(DamagedFile):
        read_liver_mask(text, volume)


# ---------------------------------------------------------------- DICOM SEG


def ct_slices() -> list[pydicom.Dataset]:
    slices = []
    for k in range(SHAPE[0]):
        ds = pydicom.Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[f"slice {k}"])
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, FRAME
        ds.Modality, ds.InstanceNumber = "CT", k + 1
        ds.PatientID = ds.PatientName = ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.StudyID = ""
        ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ""
        ds.ImagePositionPatient = list(AFFINE[:3, 3] + k * AFFINE[:3, 0])
        ds.ImageOrientationPatient, ds.PixelSpacing, ds.SliceThickness = [1, 0, 0, 0, 1, 0], [0.9, 0.8], 2.5
        ds.Rows, ds.Columns = SHAPE[1], SHAPE[2]
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.SamplesPerPixel, ds.PixelRepresentation = 15, 1, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.PixelData = np.zeros(SHAPE[1:], np.uint16).tobytes()
        slices.append(ds)
    return slices


def description(number: int, label: str, kind: object) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        number,
        label,
        codes.SCT.Organ,
        kind,
        algorithm_type="MANUAL",  # type: ignore[arg-type]
    )


def write_seg(
    path: Path,
    pixels: NDArray[np.generic],
    segments: list[hd.seg.SegmentDescription],
    kind: SegmentationTypeValues = SegmentationTypeValues.BINARY,
    *,
    omit: bool = True,
) -> Path:
    more = {"fractional_type": SegmentationFractionalTypeValues.PROBABILITY} if kind.value == "FRACTIONAL" else {}
    hd.seg.Segmentation(
        ct_slices(), pixels, kind, segments, generate_uid(), 1, generate_uid(), 1, "maker", "model", "1", "serial",
        omit_empty_frames=omit, **more,  # type: ignore[arg-type]
    ).save_as(path)  # fmt: skip
    return path


@pytest.mark.parametrize("kind", list(SegmentationTypeValues))
@pytest.mark.parametrize("omit", [True, False])
def test_seg_types_are_exact(
    tmp_path: Path, volume: Volume, mask: NDArray[np.bool_], kind: SegmentationTypeValues, omit: bool
) -> None:
    pixels = mask.astype(np.float32) * 0.75 if kind.value == "FRACTIONAL" else mask.astype(np.uint8)
    path = write_seg(tmp_path / "s.dcm", pixels, [description(1, "a", codes.SCT.Liver)], kind, omit=omit)
    found = read_liver_mask(path, volume)
    np.testing.assert_array_equal(found.mask, mask)
    assert kind.value in found.version


def test_sparse_slices_of_a_segment_are_placed(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    sparse = mask.copy()
    sparse[[4, 6, 7]] = False
    path = write_seg(tmp_path / "s.dcm", sparse.astype(np.uint8), [description(1, "a", codes.SCT.Liver)])
    found = read_liver_mask(path, volume)
    np.testing.assert_array_equal(found.mask, sparse)
    assert "the mask skips 3 slices between its first and its last" in found.warnings
    flipped = Reorientation(volume.geometry, (0, 1, 2), (True, False, True))
    other = Volume(flipped.apply(volume.hu), flipped.geometry, volume.acquisition)
    np.testing.assert_array_equal(read_liver_mask(path, other).mask, flipped.apply(sparse))


def test_liver_among_overlapping_segments(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    other = np.roll(mask, 2, axis=1)
    pixels = np.stack([other, mask], axis=-1).astype(np.uint8)
    two = [description(1, "one", codes.SCT.Spleen), description(2, "two", codes.SCT.Liver)]
    path = write_seg(tmp_path / "s.dcm", pixels, two)
    np.testing.assert_array_equal(read_liver_mask(path, volume).mask, mask)
    np.testing.assert_array_equal(read_liver_mask(path, volume, label=1).mask, other)
    np.testing.assert_array_equal(read_liver_mask(path, volume, label="one").mask, other)


def test_segments_without_a_liver_are_listed(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    pixels = np.stack([mask, np.roll(mask, 2, axis=1)], axis=-1).astype(np.uint8)
    two = [description(1, "one", codes.SCT.Spleen), description(2, "two", codes.SCT.Kidney)]
    path = write_seg(tmp_path / "s.dcm", pixels, two)
    with pytest.raises(InvalidLiverMask, match=r"1 'one' \(Spleen\); 2 'two' \(Kidney\)"):
        read_liver_mask(path, volume)
    named = write_seg(tmp_path / "n.dcm", pixels, [two[0], description(2, "Liver", codes.SCT.Tissue)])
    np.testing.assert_array_equal(read_liver_mask(named, volume).mask, np.roll(mask, 2, axis=1))


def test_only_segment_of_another_name_is_taken_with_a_warning(
    tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]
) -> None:
    path = write_seg(tmp_path / "s.dcm", mask.astype(np.uint8), [description(1, "ROI", codes.SCT.Tissue)])
    found = read_liver_mask(path, volume)
    assert any("'ROI' (Tissue), not liver" in w for w in found.warnings)


@pytest.mark.parametrize("field", ["study_instance_uid", "frame_of_reference_uid"])
def test_seg_of_another_patient_space_is_refused(
    tmp_path: Path, volume: Volume, mask: NDArray[np.bool_], field: str
) -> None:
    path = write_seg(tmp_path / "s.dcm", mask.astype(np.uint8), [description(1, "a", codes.SCT.Liver)])
    uids = {"study_instance_uid": STUDY, "frame_of_reference_uid": FRAME, field: "1.2.3.4"}
    other = Volume(volume.hu, volume.geometry, Acquisition(modality="CT", **uids))
    with pytest.raises(OtherStudy if field == "study_instance_uid" else GridMismatch) as raised:
        read_liver_mask(path, other)
    assert "1.2.3.4" in raised.value.message
    assert (STUDY if field == "study_instance_uid" else FRAME) in raised.value.message


def test_seg_on_another_grid(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    path = write_seg(tmp_path / "s.dcm", mask.astype(np.uint8), [description(1, "a", codes.SCT.Liver)])
    affine = AFFINE.copy()
    affine[:3, 0] *= 0.5
    finer = Volume(np.full((24, 20, 24), 50, np.int16), Geometry((24, 20, 24), affine), volume.acquisition)
    with pytest.raises(GridMismatch) as raised:
        read_liver_mask(path, finer)
    assert "24 x 20 x 24 voxels" in raised.value.message
    resampled = read_liver_mask(path, finer, allow_resample=True).mask
    np.testing.assert_array_equal(resampled[::2], mask)
    assert 1.5 < resampled.sum() / mask.sum() < 2.2
    affine[:3, 3] += 0.3
    shifted = Volume(finer.hu, Geometry((24, 20, 24), affine), volume.acquisition)
    with pytest.raises(GridMismatch):
        read_liver_mask(path, shifted)


def test_damaged_seg_and_other_dicom(tmp_path: Path, volume: Volume, mask: NDArray[np.bool_]) -> None:
    path = write_seg(tmp_path / "s.dcm", mask.astype(np.uint8), [description(1, "a", codes.SCT.Liver)])
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamagedFile):
        read_liver_mask(cut, volume)
    image = ct_slices()[0]
    image.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with pytest.raises(InvalidLiverMask, match="found CT"):
        read_liver_mask(tmp_path / "ct.dcm", volume)
