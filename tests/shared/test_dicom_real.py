"""DICOM objects on the headers of real scans, as real scanners and archives write them; objects of other people."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_scenes import Scene, dciodvfy, dcmqi_labels, laid
from hepacalc.errors import DamagedFile, InvalidObject, OtherStudy
from hepacalc.interop.foci_file import read_foci_mask
from hepacalc.interop.read_back import ReportObject, SegObject, read_object
from hepacalc.liver.mask_file import read_liver_mask
from hepacalc.report.write import prepared
from hepacalc.report.writers import ExportContext, SourceStudy, get_writers
from hepacalc.study import open_study
from hepacalc.study.source import read_headers
from hepacalc.study.tilt import labels_to_source
from report_example import make_example

pytestmark = pytest.mark.shared

SCANS = (
    "ct/acrin-flt-001", "ct/cptac-c3l-00189", "ct/totalsegmentator/example_ct_dicom", "ct/ircadb-01/dicom",
    "reader/gantry-tilt/GE", "reader/gantry-tilt/Philips-S21570", "reader/not-a-volume/gantrytilting",
    "reader/not-a-volume/sliceincrement/001",
)  # fmt: skip


def scene(folder: Path) -> Scene:
    """A real scan with a made-up liver and foci on its grid; uneven slices: the largest regular block."""
    volume, choice = open_study(folder, allow_gaps=True)
    made = make_example(geometry=volume.geometry)
    known = replace(
        made, volume=volume, acquisition=volume.acquisition, geometry=volume.geometry, series=choice,
        transforms=volume.transforms,
    )  # fmt: skip
    return Scene(known, read_headers(folder, volume), folder)


@pytest.mark.parametrize("name", SCANS)
def test_objects_of_real_scans(name: str, shared: Path, tmp_path: Path) -> None:
    real = scene(shared / name)
    known = real.assessment
    for kind in ("LABELMAP", "BINARY") if name in SCANS[3:5] else ("LABELMAP",):
        for hidden in (False, True) if kind == "LABELMAP" else (False,):
            folder = tmp_path / f"{kind}{hidden}"
            folder.mkdir()
            context = ExportContext(source=SourceStudy(real.datasets), segmentation_type=kind, deidentify=hidden)  # type: ignore[arg-type]
            told, context = prepared(known, context)
            for writer in get_writers("seg,sr,ko"):
                writer.write(told, folder, context)
            paths = sorted(folder.glob("*.dcm"))
            assert len(paths) == 4
            assert [dciodvfy(path) for path in paths] == [[]] * 4
            if hidden:
                _nothing_is_left(real, paths)
                continue
            liver = read_liver_mask(folder / "liver.seg.dcm", known.volume).mask
            labels = read_foci_mask(folder / "foci.seg.dcm", known.volume).drawn.labels
            if known.volume.source_geometry is None:
                np.testing.assert_array_equal(liver, known.liver_mask.mask)
                np.testing.assert_array_equal(labels, known.labels)
            grid = known.volume.source_geometry or known.geometry
            wanted = known.labels if grid is known.geometry else labels_to_source(known.labels, grid, 0)
            if kind == "LABELMAP" and not grid.is_sheared:
                ((read, affine),) = dcmqi_labels(folder / "foci.seg.dcm", tmp_path / "q").values()
                np.testing.assert_array_equal(laid(read, affine, grid), wanted)


def _nothing_is_left(real: Scene, paths: list[Path]) -> None:
    first = real.datasets[0]
    secrets = {
        str(first.get(name) or "")
        for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyInstanceUID", "AccessionNumber",
                     "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "StudyDescription", "StudyTime")
    }  # fmt: skip
    data = b"".join(path.read_bytes() for path in paths)
    assert [
        secret
        for secret in secrets
        if len(secret) > 5 and secret not in ("000000", "REMOVED") and secret.encode() in data
    ] == []


def test_objects_of_one_study_are_refused_for_another(shared: Path, tmp_path: Path) -> None:
    real = scene(shared / "ct/acrin-flt-001")
    for writer in get_writers("seg"):
        writer.write(real.assessment, tmp_path, ExportContext(source=SourceStudy(real.datasets)))
    other, _ = open_study(shared / "ct/cptac-c3l-00189")
    for read, path in ((read_liver_mask, "liver.seg.dcm"), (read_foci_mask, "foci.seg.dcm")):
        with pytest.raises(OtherStudy) as raised:
            read(tmp_path / path, other)  # type: ignore[operator]
        assert str(other.acquisition.study_instance_uid) in raised.value.message
        assert str(real.assessment.acquisition.study_instance_uid) in raised.value.message


# ---------------------------------------------------------------- other people's objects


def test_other_peoples_segmentations(shared: Path) -> None:
    folder = shared / "dicom-objects/dcmqi/segmentations"
    liver = read_object(folder / "liver.dcm")
    assert isinstance(liver, SegObject)
    assert [(s.number, s.type) for s in liver.segments] == [(1, "Liver")]
    assert liver.segments[0].planes == 3
    overlapping = read_object(folder / "partial_overlaps.dcm")
    assert isinstance(overlapping, SegObject)
    assert {(a, b) for a, b, _ in overlapping.overlaps} == {(1, 2), (1, 3), (2, 3)}
    sparse = read_object(folder / "sparse-labelmap-noppv.dcm")
    assert isinstance(sparse, SegObject)
    assert (sparse.segmentation_type, [s.number for s in sparse.segments]) == ("LABELMAP", [1])


def test_other_peoples_report(shared: Path) -> None:
    report = read_object(shared / "dicom-objects/dcmqi/sr-example/sr.dcm")
    seg = read_object(shared / "dicom-objects/dcmqi/sr-example/seg.dcm")
    assert isinstance(report, ReportObject)
    assert isinstance(seg, SegObject)
    assert report.template == "1500"
    assert report.references == (seg.about.sop_instance_uid,)
    (group,) = report.groups
    assert group.segments == (1,)
    (volume,) = [n for n in group.numbers if n.name == "Volume"]
    assert volume.unit == "ml"
    # what the report says is what the segmentation holds
    assert volume.value == pytest.approx(sum(s.volume_mm3 or 0 for s in seg.segments) / 1000, rel=1e-3)


def test_overlapping_foci_are_refused(shared: Path) -> None:
    folder = shared / "dicom-objects/dcmqi/segmentations"
    volume, _ = open_study(folder / "ct-3slice")
    with pytest.raises(InvalidObject, match="segments 1 and 2 share 3017 voxels"):
        read_foci_mask(folder / "partial_overlaps.dcm", volume)


def test_no_bytes_do_worse_than_our_errors(shared: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    folder = shared / "dicom-objects/dcmqi"
    for name in ("sr-example/sr.dcm", "sr-example/seg.dcm", "segmentations/sparse-labelmap-ppv5.dcm"):
        whole = (folder / name).read_bytes()
        for cut in range(24):
            data = bytearray(whole[: int(len(whole) * rng.uniform(0.1, 1))] if cut % 2 else whole)
            for at in rng.integers(140, len(data), 12):
                data[at] = int(rng.integers(256))
            (tmp_path / "x.dcm").write_bytes(data)
            with contextlib.suppress(DamagedFile, InvalidObject):
                read_object(tmp_path / "x.dcm")
