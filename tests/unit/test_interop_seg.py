"""DICOM SEG: the same voxels at the same place of the patient, whatever the orientation, and the same again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from dicom_scenes import ORDERS, SHAPE, Scene, affine_of, laid, multiframe, on_grid, turned, upright
from hepacalc.errors import GridMismatch, OtherStudy, UsageError
from hepacalc.geometry import Geometry
from hepacalc.interop.codes import SEGMENT_CODES
from hepacalc.interop.foci_file import read_foci_mask
from hepacalc.interop.identity import focus_tracking
from hepacalc.interop.seg import foci_seg, liver_seg
from hepacalc.interop.source import source_of
from hepacalc.liver.mask_file import read_liver_mask
from hepacalc.study.tilt import labels_to_source

KINDS = ("LABELMAP", "BINARY")


def written(scene: Scene, kind: str, folder: Path) -> tuple[Path, Path]:
    liver, foci = folder / f"liver-{kind}.dcm", folder / f"foci-{kind}.dcm"
    liver_seg(scene.assessment, scene.source, segmentation_type=kind).save_as(liver)
    foci_seg(scene.assessment, scene.source, segmentation_type=kind).save_as(foci)
    return liver, foci


def as_highdicom_reads(path: Path, geometry: Geometry) -> np.ndarray:
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    # highdicom's index is (slice, row, column), and so is ours
    return laid(volume.array, volume.affine, geometry)


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_every_orientation(tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    scene = turned(tmp_path / "s", axes, signs)
    known = scene.assessment
    assert len(np.unique(known.labels)) == len(known.foci) + 1
    kind = KINDS[sum(signs) % 4 // 2]
    liver, foci = written(scene, kind, tmp_path)
    np.testing.assert_array_equal(read_liver_mask(liver, known.volume).mask, known.liver_mask.mask)
    np.testing.assert_array_equal(read_foci_mask(foci, known.volume).drawn.labels, known.labels)
    np.testing.assert_array_equal(as_highdicom_reads(liver, known.geometry) > 0, known.liver_mask.mask)
    np.testing.assert_array_equal(as_highdicom_reads(foci, known.geometry), known.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stale_spacing_does_not_pass(tmp_path: Path, kind: str) -> None:
    scene = upright(tmp_path / "s", SpacingBetweenSlices=7.5, SliceThickness=5.0)
    for path in written(scene, kind, tmp_path):
        seg = hd.seg.segread(path)
        measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert float(measures.SpacingBetweenSlices) == pytest.approx(3.0)
        assert float(measures.SliceThickness) == 5.0
        assert seg.get_volume(combine_segments=True).spacing == pytest.approx((3.0, 0.75, 0.5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degrees", [-18.5, 12.0])
def test_tilt_is_carried_back_to_the_slices_of_the_file(tmp_path: Path, kind: str, degrees: float) -> None:
    affine = affine_of((2, 1, 0), (1, 1, 1))
    affine[1, 0] = 3.0 * np.tan(np.deg2rad(degrees))
    scene = on_grid(tmp_path / "s", Geometry(SHAPE, affine))
    known = scene.assessment
    source = known.volume.source_geometry
    assert source is not None
    _, foci = written(scene, kind, tmp_path)
    wanted = labels_to_source(known.labels, source, 0)
    seg = pydicom.dcmread(foci)
    for frame, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        k = round(float(source.to_index(np.array(group.PlanePositionSequence[0].ImagePositionPatient, float))[0]))
        position = np.array(scene.source.frames[k].position)
        np.testing.assert_allclose(position, group.PlanePositionSequence[0].ImagePositionPatient)
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber) if kind == "BINARY" else None
        np.testing.assert_array_equal(frame, wanted[k] == number if number else wanted[k])
    back = read_foci_mask(foci, known.volume).drawn.labels
    # once there and back by whole pixels: nothing moves by more than one
    assert set(np.unique(back)) == set(np.unique(known.labels))


def test_overlapping_and_uneven_slices(tmp_path: Path) -> None:
    thick = upright(tmp_path / "thick", SliceThickness=6.0)
    assert thick.source.thickness_mm == 6.0
    assert thick.source.step_mm == pytest.approx(3.0)
    rng = np.random.default_rng(3)
    jitter = rng.uniform(-0.1, 0.1, SHAPE[0])
    geometry = Geometry(SHAPE, affine_of((2, 1, 0), (1, 1, 1)))

    def moved(k: int) -> dict[str, list[float]]:
        x, y, z = geometry.to_world((k, 0, 0))
        return {"ImagePositionPatient": [float(x), float(y), float(z + jitter[k])]}

    uneven = upright(tmp_path / "uneven", each=moved)
    for scene in (thick, uneven):
        liver, foci = written(scene, "LABELMAP", tmp_path)
        known = scene.assessment
        np.testing.assert_array_equal(read_liver_mask(liver, known.volume).mask, known.liver_mask.mask)
        np.testing.assert_array_equal(read_foci_mask(foci, known.volume).drawn.labels, known.labels)
        # each plane lies exactly where its image lies
        places = {tuple(round(v, 6) for v in frame.position) for frame in scene.source.frames}
        for group in pydicom.dcmread(liver).PerFrameFunctionalGroupsSequence:
            assert tuple(round(float(v), 6) for v in group.PlanePositionSequence[0].ImagePositionPatient) in places


@pytest.mark.parametrize("backwards", [False, True])
def test_multi_frame_source(tmp_path: Path, backwards: bool) -> None:
    scene = multiframe(tmp_path / "s", backwards=backwards)
    known = scene.assessment
    liver, foci = written(scene, "LABELMAP", tmp_path)
    np.testing.assert_array_equal(read_liver_mask(liver, known.volume).mask, known.liver_mask.mask)
    np.testing.assert_array_equal(as_highdicom_reads(foci, known.geometry), known.labels)
    seg = pydicom.dcmread(foci)
    refers = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert refers.ReferencedSOPInstanceUID == scene.datasets[0].SOPInstanceUID
    first = round(float(known.geometry.to_index(
        [float(v) for v in seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient]
    )[0]))  # fmt: skip
    assert refers.ReferencedFrameNumber == (9 - first if backwards else first + 1)


def test_each_frame_names_its_own_image(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    by_place = {tuple(np.round(np.array(d.ImagePositionPatient, float), 3)): d.SOPInstanceUID for d in scene.datasets}
    liver, _ = written(scene, "LABELMAP", tmp_path)
    for group in pydicom.dcmread(liver).PerFrameFunctionalGroupsSequence:
        place = tuple(np.round(np.array(group.PlanePositionSequence[0].ImagePositionPatient, float), 3))
        named = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert named == by_place[place]


def test_segments_say_what_they_are(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    _, path = written(scene, "LABELMAP", tmp_path)
    seg = pydicom.dcmread(path)
    segments = {int(s.SegmentNumber): s for s in seg.SegmentSequence if s.SegmentNumber}
    assert set(segments) == {focus.id for focus in scene.assessment.foci}
    for focus in scene.assessment.foci:
        one, code = segments[focus.id], SEGMENT_CODES[focus.kind]
        assert one.SegmentedPropertyTypeCodeSequence[0].CodeValue == code.type.value
        assert focus.kind in one.SegmentLabel
        assert focus.certainty in one.SegmentLabel
        assert len(one.RecommendedDisplayCIELabValue) == 3
        assert one.SegmentAlgorithmType == "AUTOMATIC"
        rgb = hd.color.CIELabColor.from_dicom_value(list(one.RecommendedDisplayCIELabValue)).to_rgb()
        assert rgb == pytest.approx(code.rgb, abs=2)
    assert seg.SpecificCharacterSet == "ISO_IR 192"
    assert (seg.StudyDate, seg.AccessionNumber, seg.PatientID) == ("20240517", "ACC-7", "SECRET-ID")


def test_the_same_again_and_another_when_it_differs(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    first, again = (foci_seg(scene.assessment, scene.source) for _ in range(2))
    binary = foci_seg(scene.assessment, scene.source, segmentation_type="BINARY")
    later = replace(scene.assessment, run=replace(scene.assessment.run, created="2027-01-01T00:00:00+00:00"))
    for name, made in (("a", first), ("b", again)):
        made.save_as(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    uids = [s.SOPInstanceUID for s in (first, binary, foci_seg(later, scene.source), liver_seg(later, scene.source))]
    assert max(Counter(uids).values()) == 1


def test_tracking_stays_with_the_brightest_voxel(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    a, b = scene.assessment.foci[0], scene.assessment.foci[1]
    own = focus_tracking(scene.assessment, a)
    assert own != focus_tracking(scene.assessment, b)
    renamed = replace(a, id=7, kind="indeterminate", box=b.box, score=0.1)
    assert focus_tracking(scene.assessment, renamed) == own
    assert focus_tracking(scene.assessment, replace(b, tracking_uid=own.uid)) == own
    seg = foci_seg(scene.assessment, scene.source)
    assert seg.SegmentSequence[a.id].TrackingUID == own.uid
    assert seg.SegmentSequence[a.id].TrackingID == own.id


def test_other_images_are_refused_with_both_values(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    other = upright(tmp_path / "o", StudyInstanceUID="1.2.826.0.1.3680043.8.498.66.1")
    with pytest.raises(OtherStudy) as raised:
        source_of(scene.assessment, other.datasets)
    assert "1.2.826.0.1.3680043.8.498.66.1" in raised.value.message
    assert "1.2.826.0.1.3680043.8.498.7.1" in raised.value.message
    with pytest.raises(GridMismatch, match="lack 2"):
        source_of(scene.assessment, scene.datasets[:4] + scene.datasets[6:])
    with pytest.raises(UsageError):
        source_of(scene.assessment, ())


def test_hostile_headers_do_not_pass(tmp_path: Path) -> None:
    """What a source says badly is left out; what is missing does not stop us."""
    scene = upright(
        tmp_path / "s", PatientSex="W", StudyTime="", FrameOfReferenceUID=None,
        PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100",
    )  # fmt: skip
    seg = liver_seg(scene.assessment, scene.source)
    assert seg.PatientSex == ""
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    seg.save_as(tmp_path / "x.dcm")
    assert str(pydicom.dcmread(tmp_path / "x.dcm").PatientName) == "Müller^Jörg"
