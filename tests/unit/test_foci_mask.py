"""Foci that a person corrected: kept as drawn, measured anew; what does not belong to the scan is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from dicom_scenes import Scene, upright
from hepacalc.errors import DamagedFile, GridMismatch, InvalidObject, MeasurementError, OtherStudy, StudyNotFound
from hepacalc.foci.calibration import calibration_for
from hepacalc.foci.drawn import DrawnFoci
from hepacalc.foci.find import FociResult, find_foci
from hepacalc.interop.foci_file import as_tracked, read_foci_mask
from hepacalc.interop.same_patient import refuse_other_patient
from hepacalc.interop.seg import foci_seg
from hepacalc.phantom import FocusSpec, Phantom, make_patient
from hepacalc.records import LiverMask, Measured, NotMeasured, Phase
from hepacalc.study import write_mask_nifti


@cache
def patient() -> Phantom:
    """A digital patient with two foci and one clip."""
    specs = [FocusSpec("nodular solid", 14, delta_hu=500), FocusSpec("nodular solid", 9, delta_hu=400)]
    return make_patient(5, foci=specs, spacing_mm=(5, 2, 2), mimics=("surgical clip",))


def measured(drawn: DrawnFoci | None) -> FociResult:
    made = patient()
    liver = LiverMask(made.liver, made.volume.geometry, "file", "1", 1.0)
    no = NotMeasured("not needed here")
    return find_foci(
        made.volume, liver, phase=Phase("non-contrast", 1.0, False, no, ()), calibration=calibration_for(120.0),
        liver_vessel_hu=no, smallest_trusted_mm=lambda _noise, _fwhm: no, drawn=drawn,
    )  # fmt: skip


@cache
def found() -> FociResult:
    return measured(None)


def main_labels() -> list[int]:
    return [focus.id for focus in found().foci if focus.kind == "calcification"][:2]


def test_the_same_contours_give_the_same_numbers() -> None:
    again = measured(DrawnFoci(found().labels, {focus.id: focus.kind for focus in found().foci}))
    np.testing.assert_array_equal(again.labels, found().labels)
    for one, other in zip(found().foci, again.foci, strict=True):
        assert (one.kind, one.box) == (other.kind, other.box)
        for name in ("mass_mg", "volume_mm3", "max_hu", "diameter_mm"):
            a, b = one.measurements[name], other.measurements[name]
            if isinstance(a, Measured):
                assert isinstance(b, Measured)
                assert b.value == pytest.approx(a.value, rel=0.05)


def test_removed_is_gone_added_is_measured_and_changed_is_kept() -> None:
    first, second = main_labels()
    labels = found().labels.copy()
    labels[labels == second] = 0
    grown = _grown(labels == first)
    labels[grown] = first
    dark = _plain_liver(labels)
    labels[dark] = 400
    result = measured(DrawnFoci(labels, {first: "calcification"}))
    assert set(np.unique(result.labels)) == {0, *(focus.id for focus in result.foci)}
    by_label = {int(labels[focus.peak_index]): focus for focus in result.foci}
    assert second not in by_label
    np.testing.assert_array_equal(result.labels == by_label[first].id, labels == first)
    np.testing.assert_array_equal(result.labels == by_label[400].id, labels == 400)
    assert any("mask that was given" in reason for reason in by_label[first].reasons)
    # nothing is bright there: this program would not have listed it, a person did, so it stays and is measured
    added = by_label[400]
    assert (added.kind, added.certainty) == ("indeterminate", "possible")
    assert added.lesion is not None
    assert isinstance(added.measurements["mean_hu"], Measured)
    assert abs(added.measurements["mean_hu"].value - 55) < 40


def test_what_a_person_states_goes_first() -> None:
    first, second = main_labels()
    labels = np.where(np.isin(found().labels, (first, second)), found().labels, 0).astype(np.uint16)
    result = measured(DrawnFoci(labels, {first: "vessel"}))
    by_label = {int(labels[focus.peak_index]): focus for focus in result.foci}
    vessel = by_label[first]
    assert (vessel.kind, vessel.lesion) == ("vessel", None)
    assert any("would have said calcification" in reason for reason in vessel.reasons)
    assert by_label[second].kind == "calcification"
    assert len(result.lesions) == 1


def test_an_empty_mask_is_an_answer() -> None:
    result = measured(DrawnFoci(np.zeros_like(found().labels)))
    assert (result.foci, result.lesions) == ((), ())
    assert not result.labels.any()


def test_far_from_the_liver_is_refused() -> None:
    labels = np.zeros_like(found().labels)
    labels[0, :3, :3] = 5
    with pytest.raises(MeasurementError, match="focus 5 of the mask lie far from the liver"):
        measured(DrawnFoci(labels))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(mask))


def _plain_liver(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """A small cube of plain liver, away from every focus."""
    from scipy import ndimage

    free = patient().liver & (ndimage.distance_transform_edt(labels == 0) > 12)
    depth = ndimage.distance_transform_edt(free)
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    out = np.zeros(labels.shape, bool)
    out[z - 1 : z + 2, y - 2 : y + 3, x - 2 : x + 3] = True
    return out


# ---------------------------------------------------------------- files


def seg_of(scene: Scene, path: Path, change: object = None) -> Path:
    foci_seg(scene.assessment, scene.source).save_as(path)
    if callable(change):
        data = pydicom.dcmread(path)  # a written object shares its coded concepts with others
        change(data)
        data.save_as(path)
    return path


def test_kinds_and_tracking_come_with_the_file(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    mask = read_foci_mask(seg_of(scene, tmp_path / "x.dcm"), scene.assessment.volume)
    kinds = {focus.id: focus.kind for focus in scene.assessment.foci}
    assert dict(mask.drawn.stated) == {n: k for n, k in kinds.items() if k != "indeterminate"}
    assert mask.drawn.are_foci
    written = {int(s.SegmentNumber): s.TrackingUID for s in pydicom.dcmread(tmp_path / "x.dcm").SegmentSequence[1:]}
    assert dict(mask.tracking) == written
    result = FociResult(
        scene.assessment.foci, scene.assessment.lesions, scene.assessment.burden, scene.assessment.labels,
        NotMeasured("x"), NotMeasured("x"), (),
    )  # fmt: skip
    tracked = as_tracked(result, mask)
    assert {f.id: f.tracking_uid for f in tracked.foci} == written
    assert "mask that was given" in tracked.notes[0]
    again = foci_seg(replace(scene.assessment, foci=tracked.foci), scene.source)
    assert [s.TrackingUID for s in again.SegmentSequence[1:]] == list(written.values())


def test_a_label_map_has_no_kinds(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    write_mask_nifti(scene.assessment.labels, scene.assessment.volume, tmp_path / "f.nii.gz")
    mask = read_foci_mask(tmp_path / "f.nii.gz", scene.assessment.volume)
    np.testing.assert_array_equal(mask.drawn.labels, scene.assessment.labels)
    assert not mask.drawn.are_foci
    assert not mask.drawn.stated


def test_slicer_segments_without_names_are_left_to_us(tmp_path: Path) -> None:
    """3D Slicer codes a new segment as Tissue; the liver among the segments is no focus."""
    scene = upright(tmp_path / "s")

    def recode(data: pydicom.Dataset) -> None:
        for number, value in ((1, "85756007"), (2, "10200004"), (3, "77720000")):
            data.SegmentSequence[number].SegmentedPropertyTypeCodeSequence[0].CodeValue = value

    mask = read_foci_mask(seg_of(scene, tmp_path / "x.dcm", recode), scene.assessment.volume)
    assert 1 not in mask.drawn.stated
    assert not (mask.drawn.labels == 2).any()
    assert mask.drawn.stated[3] == "metal"


def test_other_studies_and_grids_are_refused_with_both_values(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    volume = scene.assessment.volume
    path = seg_of(scene, tmp_path / "x.dcm")
    for field, error in (("study_instance_uid", OtherStudy), ("frame_of_reference_uid", GridMismatch)):
        other = replace(volume, acquisition=replace(volume.acquisition, **{field: "1.2.3.4.5.6"}))
        with pytest.raises(error) as raised:
            read_foci_mask(path, other)
        assert "1.2.3.4.5.6" in raised.value.message
        assert str(getattr(volume.acquisition, field)) in raised.value.message
    moved = seg_of(scene, tmp_path / "y.dcm", lambda data: [
        setattr(g.PlanePositionSequence[0], "ImagePositionPatient", [-30.8, 17, 203 + 3 * k])
        for k, g in enumerate(data.PerFrameFunctionalGroupsSequence)
    ])  # fmt: skip
    with pytest.raises(GridMismatch, match=r"the mask lies on .* the scan on"):
        read_foci_mask(moved, volume)


def test_broken_and_overlapping_are_refused(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    volume = scene.assessment.volume
    path = seg_of(scene, tmp_path / "x.dcm")
    (tmp_path / "cut.dcm").write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DamagedFile):
        read_foci_mask(tmp_path / "cut.dcm", volume)
    (tmp_path / "text.dcm").write_text("no mask")
    with pytest.raises(DamagedFile):
        read_foci_mask(tmp_path / "text.dcm", volume)
    with pytest.raises(StudyNotFound):
        read_foci_mask(tmp_path / "none.dcm", volume)
    image = next(p for p in scene.folder.iterdir())
    with pytest.raises(InvalidObject, match="found CT"):
        read_foci_mask(image, volume)
    both = np.stack([scene.assessment.labels == 1, scene.assessment.labels > 0], -1).astype(np.uint8)
    kind = hd.sr.CodedConcept("52988006", "SCT", "Lesion")
    segments = [hd.seg.SegmentDescription(n, f"s{n}", kind, kind, "MANUAL") for n in (1, 2)]
    headers = [frame.header for frame in scene.source.frames]
    hd.seg.Segmentation(
        headers, both, "BINARY", segments, "1.2.3.4.5.7", 1, "1.2.3.4.5.8", 1, "m", "m", "1", "1"
    ).save_as(tmp_path / "both.dcm")
    shared = int((scene.assessment.labels == 1).sum())
    with pytest.raises(InvalidObject, match=f"segments 1 and 2 share {shared} voxels"):
        read_foci_mask(tmp_path / "both.dcm", volume)


def test_another_patient_is_refused_without_saying_who(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    volume = scene.assessment.volume
    path = seg_of(scene, tmp_path / "x.dcm")
    refuse_other_patient(path, scene.folder, volume)
    seg_of(scene, path, lambda data: setattr(data, "PatientID", ""))
    refuse_other_patient(path, scene.folder, volume)
    seg_of(scene, path, lambda data: setattr(data, "PatientID", "OTHER-77"))
    with pytest.raises(OtherStudy) as raised:
        refuse_other_patient(path, scene.folder, volume)
    assert "different PatientIDs" in raised.value.message
    for secret in ("OTHER-77", "SECRET-ID", "Nobody"):
        assert secret not in str(raised.value)
