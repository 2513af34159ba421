"""Masks that other people's programs wrote, on the scans that they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import GridMismatch, HepacalcError, InvalidLiverMask, OtherStudy
from hepacalc.liver.mask_file import read_liver_mask
from hepacalc.records import Volume
from hepacalc.study import open_study, read_nifti_labels

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def segs(shared: Path) -> Path:
    return shared / "dicom-objects" / "dcmqi" / "segmentations"


@pytest.fixture(scope="module")
def three_slices(segs: Path) -> Volume:
    return open_study(segs / "ct-3slice")[0]


@pytest.fixture(scope="module")
def small(segs: Path) -> Volume:
    return open_study(segs / "24x38x3" / "image")[0]


def test_liver_by_srt_code(segs: Path, three_slices: Volume) -> None:
    found = read_liver_mask(segs / "liver.dcm", three_slices)
    assert found.mask.shape == three_slices.hu.shape
    assert found.mask.any(axis=(1, 2)).all()
    assert -30 < np.median(three_slices.hu[found.mask]) < 250


def test_seg_of_dcmqi_equals_the_picture_it_was_made_from(segs: Path, small: Volume) -> None:
    found = read_liver_mask(segs / "24x38x3" / "seg" / "label.seg", small)
    assert found.mask.sum() > 0
    assert found.mask.shape == small.hu.shape


@pytest.mark.parametrize("name", ["sparse-labelmap-noppv.dcm", "sparse-labelmap-ppv5.dcm"])
def test_sparse_labelmap_fills_only_its_slices(segs: Path, small: Volume, name: str) -> None:
    found = read_liver_mask(segs / name, small)
    assert 1 <= found.mask.any(axis=(1, 2)).sum() <= 2


def test_overlapping_segments_without_liver_are_listed(segs: Path, three_slices: Volume) -> None:
    with pytest.raises(InvalidLiverMask) as raised:
        read_liver_mask(segs / "partial_overlaps.dcm", three_slices)
    for word in ("GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"):
        assert word in raised.value.message
    one = read_liver_mask(segs / "partial_overlaps.dcm", three_slices, label=1)
    two = read_liver_mask(segs / "partial_overlaps.dcm", three_slices, label="ORANGE")
    assert one.mask.any()
    assert two.mask.any()
    assert not np.array_equal(one.mask, two.mask)


def test_seg_of_another_scan_is_refused(segs: Path, small: Volume) -> None:
    with pytest.raises(OtherStudy) as raised:
        read_liver_mask(segs / "liver.dcm", small)
    assert small.acquisition.study_instance_uid is not None
    assert small.acquisition.study_instance_uid in raised.value.message


def test_expert_mask_lies_on_its_scan(shared: Path) -> None:
    volume = open_study(shared / "ct" / "ircadb-01" / "dicom")[0]
    found = read_liver_mask(shared / "ct" / "ircadb-01" / "liver.nii.gz", volume)
    volume_ml = found.mask.sum() * volume.geometry.voxel_mm3 / 1000
    assert volume_ml == pytest.approx(1489, abs=3)
    assert 90 < np.median(volume.hu[found.mask]) < 135
    assert not found.warnings


def test_label_file_of_totalsegmentator(shared: Path) -> None:
    folder = shared / "ct" / "totalsegmentator"
    volume = open_study(folder / "example_ct.nii.gz")[0]
    labels = folder / "example_ct-labels.nii.gz"
    with pytest.raises(InvalidLiverMask, match="labels"):
        read_liver_mask(labels, volume)
    found = read_liver_mask(labels, volume, label=5)
    assert found.mask.sum() == (read_nifti_labels(labels)[0] == 5).sum()
    assert 20 < np.median(volume.hu[found.mask]) < 80


def test_mask_of_one_scan_on_another_is_refused(shared: Path) -> None:
    volume = open_study(shared / "ct" / "totalsegmentator" / "example_ct.nii.gz")[0]
    with pytest.raises(HepacalcError) as raised:
        read_liver_mask(shared / "ct" / "ircadb-01" / "liver.nii.gz", volume)
    assert isinstance(raised.value, GridMismatch)
