"""NIfTI in and out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepacalc.errors import DamagedFile, GridMismatch, InvalidLiverMask, InvalidPixelValues, OutputError, SeriesNotFound
from hepacalc.study import open_study, read_nifti_labels, read_nifti_volume, write_mask_nifti
from study_files import volume_of, write_nifti


@pytest.mark.parametrize("kind", ["i2", ">i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_every_number_type_gives_the_same_hu(tmp_path: Path, kind: str, name: str) -> None:
    image = nib.Nifti1Image(volume_of().transpose(2, 1, 0).astype(kind), np.diag([-0.7, -0.8, 2.5, 1]), dtype=kind)
    nib.save(image, tmp_path / name)
    volume = read_nifti_volume(tmp_path / name)
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert volume.slice_axis == 0


def test_fractions_stay_float(tmp_path: Path) -> None:
    volume = read_nifti_volume(write_nifti(tmp_path / "a.nii.gz", volume_of() + 0.25))
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, volume_of() + 0.25)


def test_scaling_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image((volume_of() + 1024).transpose(2, 1, 0).astype(np.uint16), np.eye(4))
    image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_nifti_volume(tmp_path / "a.nii").hu, volume_of())


def test_a_fourth_axis_of_one(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(volume_of().transpose(2, 1, 0)[..., None], np.eye(4)), tmp_path / "a.nii")
    np.testing.assert_array_equal(read_nifti_volume(tmp_path / "a.nii").hu, volume_of())


def test_qform_alone_and_a_disagreement(tmp_path: Path) -> None:
    ras = np.array([[0, -0.8, 0, 5], [-0.7, 0, 0, 6], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(volume_of().transpose(2, 1, 0), None)
    image.set_qform(ras, 1)
    image.set_sform(np.eye(4), 0)
    nib.save(image, tmp_path / "a.nii")
    volume = read_nifti_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.geometry.to_world((1, 2, 3)), [0.8 * 2 - 5, 0.7 * 3 - 6, 9.5], atol=1e-4)
    assert volume.transforms == ()
    image.set_sform(np.diag([0.7, 0.8, 2.5, 1]), 1)
    nib.save(image, tmp_path / "b.nii")
    assert any("disagree" in note for note in read_nifti_volume(tmp_path / "b.nii").transforms)


def test_colours_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((5, 5, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InvalidPixelValues, match="colours"):
        open_study(tmp_path / "a.nii")


def test_a_header_that_claims_gigabytes(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "a.nii", volume_of())
    data = bytearray(file.read_bytes())
    data[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    file.write_bytes(data)
    with pytest.raises(DamagedFile):
        open_study(file)


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = read_nifti_volume(write_nifti(tmp_path / "a.nii", volume_of()))
    mask = volume.hu > -700
    write_mask_nifti(mask, volume, tmp_path / "one.nii.gz")
    write_mask_nifti(mask.astype(np.uint8), volume, tmp_path / "two.nii.gz")
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    assert nib.load(tmp_path / "one.nii.gz").get_data_dtype() == np.uint8


def test_masks_that_cannot_be_written(tmp_path: Path) -> None:
    volume = read_nifti_volume(write_nifti(tmp_path / "a.nii", volume_of()))
    with pytest.raises(GridMismatch, match="6, 16, 20"):
        write_mask_nifti(np.zeros((6, 16, 19), np.uint8), volume, tmp_path / "m.nii")
    with pytest.raises(InvalidLiverMask, match="float64"):
        write_mask_nifti(np.zeros(volume.hu.shape), volume, tmp_path / "m.nii")
    with pytest.raises(OutputError):
        write_mask_nifti(np.zeros(volume.hu.shape, bool), volume, tmp_path / "no folder" / "m.nii")


@pytest.mark.parametrize("value", [-1, 0.5, 70000, np.nan])
def test_what_is_no_label(tmp_path: Path, value: float) -> None:
    array = np.zeros((4, 5, 6))
    array[1, 2, 3] = value
    with pytest.raises(InvalidLiverMask):
        read_nifti_labels(write_nifti(tmp_path / "m.nii", array))


def test_of_several_files_the_ct_is_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a-labels.nii.gz", (volume_of() > -700).astype(np.uint8))
    write_nifti(tmp_path / "b.nii.gz", volume_of())
    (tmp_path / "c.nii").write_bytes(b"rubbish")
    volume, choice = open_study(tmp_path)
    assert choice.chosen.series_instance_uid == "b.nii.gz"
    np.testing.assert_array_equal(volume.hu, volume_of())
    assert {o.series_instance_uid for o in choice.others} == {"a-labels.nii.gz", "c.nii"}
    _, choice = open_study(tmp_path, series="a-labels.nii.gz")
    assert choice.chosen.series_instance_uid == "a-labels.nii.gz"
    with pytest.raises(SeriesNotFound, match=r"b\.nii\.gz"):
        open_study(tmp_path, series="z.nii")
