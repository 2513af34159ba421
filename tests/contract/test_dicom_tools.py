"""Programs of other people take what we write: dciodvfy finds it valid, dcmqi and highdicom read the same from it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest

from dicom_scenes import (
    ORDERS,
    SHAPE,
    Scene,
    affine_of,
    dciodvfy,
    dcmqi_labels,
    laid,
    multiframe,
    on_grid,
    tool,
    turned,
    upright,
)
from hepacalc.geometry import Geometry
from hepacalc.interop.codes import MEASUREMENT_CODES
from hepacalc.interop.key_objects import best_slices, key_objects
from hepacalc.interop.sr_groups import SHOWN
from hepacalc.records import Measured, NotMeasured
from hepacalc.report.numbers import significant
from hepacalc.report.write import prepared
from hepacalc.report.writers import ExportContext, SourceStudy, get_writers
from reason_example import CYST, assessed

FEW = [ORDERS[k] for k in (0, 21, 40, 47)]


def written(scene: Scene, folder: Path, **told: Any) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    context = ExportContext(source=SourceStudy(scene.datasets), **told)
    assessment, context = prepared(scene.assessment, context)
    for writer in get_writers("seg,sr,ko"):
        writer.write(assessment, folder, context)
    return {path.name: path for path in sorted(folder.glob("*.dcm"))}


def tilted(folder: Path) -> Scene:
    affine = affine_of((2, 1, 0), (1, 1, 1))
    affine[1, 0] = 3.0 * np.tan(np.deg2rad(-18.5))
    return on_grid(folder, Geometry(SHAPE, affine))


def with_patient(folder: Path) -> Scene:
    scene = upright(folder)
    return replace(scene, assessment=replace(scene.assessment, reasoning=assessed(CYST).reasoning))


SCENES = {
    "tilt": tilted,
    "overlapping": lambda folder: upright(folder, SliceThickness=6.0, SpacingBetweenSlices=1.0),
    "multi-frame": multiframe,
    "nothing found": lambda folder: upright(folder, balls=()),
    "several foci in one": lambda folder: upright(folder, per_lesion=2),
    "with a patient": with_patient,
    "without names and dates": lambda folder: upright(
        folder, PatientName="", PatientID="", StudyDate="", StudyTime="", FrameOfReferenceUID=None, PatientSex=""
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
@pytest.mark.parametrize("name", SCENES)
def test_dciodvfy_finds_no_fault(name: str, kind: str, tmp_path: Path) -> None:
    scene = SCENES[name](tmp_path / "s")
    for deidentify in (False, True):
        made = written(scene, tmp_path / str(deidentify), segmentation_type=kind, deidentify=deidentify)
        assert len(made) == (2 if name == "nothing found" else 4)
        for path in made.values():
            assert dciodvfy(path) == []


@pytest.mark.parametrize(("axes", "signs"), FEW)
def test_dciodvfy_in_some_orientations(axes: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path) -> None:
    for path in written(turned(tmp_path / "s", axes, signs), tmp_path / "o").values():
        assert dciodvfy(path) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
def test_every_orientation_by_dciodvfy_and_dcmqi(kind: str, tmp_path: Path) -> None:
    for axes, signs in ORDERS:
        folder = tmp_path / f"{axes}{signs}"
        scene = turned(folder / "s", axes, signs)
        made = written(scene, folder / "o", segmentation_type=kind)
        assert [dciodvfy(path) for path in made.values()] == [[]] * len(made)
        _same_masks(scene, made, folder / "q", kind)


@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
@pytest.mark.parametrize(("axes", "signs"), FEW)
def test_dcmqi_reads_the_same_masks(axes: tuple[int, ...], signs: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    scene = turned(tmp_path / "s", axes, signs)
    _same_masks(scene, written(scene, tmp_path / "o", segmentation_type=kind), tmp_path / "q", kind)


def _same_masks(scene: Scene, made: dict[str, Path], folder: Path, kind: str) -> None:
    known = scene.assessment
    (liver,) = dcmqi_labels(made["liver.seg.dcm"], folder / "liver").values()
    np.testing.assert_array_equal(laid(*liver, known.geometry) > 0, known.liver_mask.mask)
    read = dcmqi_labels(made["foci.seg.dcm"], folder / "foci")
    if kind == "LABELMAP":
        ((labels, affine),) = read.values()
        np.testing.assert_array_equal(laid(labels, affine, known.geometry), known.labels)
        return
    assert set(read) == {focus.id for focus in known.foci}
    for number, (labels, affine) in read.items():
        np.testing.assert_array_equal(laid(labels, affine, known.geometry) > 0, known.labels == number)


@cache
def _names() -> dict[tuple[str, str], str]:
    return {(code.scheme, code.value): name for name, code in MEASUREMENT_CODES.items()}


def test_dcmqi_reads_the_same_numbers(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    path = written(scene, tmp_path / "o")["report.sr.dcm"]
    out = tmp_path / "sr.json"
    done = subprocess.run(
        [tool("tid1500reader"), "--inputDICOM", str(path), "--outputMetadata", str(out)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    groups = json.loads(out.read_text("utf-8"))["Measurements"]
    foci = {f.id: f for f in scene.assessment.foci if f.lesion is not None}
    assert [g["ReferencedSegment"] for g in groups[1:]] == list(foci)
    for group in groups[1:]:
        focus = foci[group["ReferencedSegment"]]
        numbers = {}
        for item in group["measurementItems"]:
            name = _names().get((item["quantity"]["CodingSchemeDesignator"], item["quantity"]["CodeValue"]))
            if name:
                numbers[name] = float(item["value"])
        measured = {n: m.value for n, m in focus.measurements.items() if n in SHOWN and isinstance(m, Measured)}
        assert numbers == {name: pytest.approx(significant(value), rel=1e-12) for name, value in measured.items()}
        assert group["TrackingUniqueIdentifier"].startswith("2.25.")


def test_highdicom_reads_the_same_numbers(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s", per_lesion=2)
    made = written(scene, tmp_path / "o")
    report = hd.sr.srread(made["report.sr.dcm"]).content
    groups = report.get_volumetric_roi_measurement_groups()
    seg = pydicom.dcmread(made["foci.seg.dcm"])
    foci = {f.id: f for f in scene.assessment.foci}
    for group in groups[1:]:
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        focus = foci[segment.referenced_segment_numbers[0]]
        (volume,) = group.get_measurements(name=hd.sr.CodedConcept("118565006", "SCT", "Volume"))
        number = focus.measurements["volume_mm3"]
        assert isinstance(number, Measured)
        assert volume.value == significant(number.value)
        assert volume.unit.value == "mm3"
    wholes = report.get_image_measurement_groups()
    assert len(wholes) == len([lesion for lesion in scene.assessment.lesions if len(lesion.focus_ids) > 1])


def test_what_is_missing_stays_missing(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    first = scene.assessment.foci[0]
    gone = {name: NotMeasured("cut by the edge of the scan") for name in first.measurements}
    bare = replace(first, measurements=gone, pattern=NotMeasured("too small"), segment=NotMeasured("no segments"))
    lesion = replace(scene.assessment.lesions[0], pattern=bare.pattern, segment=bare.segment)
    lesions = (lesion, *scene.assessment.lesions[1:])
    changed = replace(scene.assessment, foci=(bare, *scene.assessment.foci[1:]), lesions=lesions)
    path = written(replace(scene, assessment=changed), tmp_path / "o")["report.sr.dcm"]
    assert dciodvfy(path) == []
    groups = hd.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    (group,) = [g for g in groups if g.referenced_segment.referenced_segment_numbers == [first.id] and g.finding_sites]
    assert [m.name.meaning for m in group.get_measurements()] == ["Extent of lesion"]
    words = {item.name.value: item.TextValue for item in group[0].ContentSequence if item.ValueType == "TEXT"}
    for name in SHOWN:
        assert words[MEASUREMENT_CODES[name].value] == "not measured: cut by the edge of the scan"
    assert words["pattern"] == "not measured: too small"
    assert [site.value.value for site in group.finding_sites] == ["10200004"]


def _tree(item: Any) -> list[Any]:
    return [one for child in item.get("ContentSequence", []) for one in (child, *_tree(child))]


def test_every_reference_resolves(tmp_path: Path) -> None:
    """The report and the key images point at the segmentations and images that are there, and list them as evidence."""
    scene = upright(tmp_path / "s", per_lesion=2)
    made = {name: pydicom.dcmread(path) for name, path in written(scene, tmp_path / "o").items()}
    there = {d.SOPInstanceUID for d in (*scene.datasets, *made.values())}
    for name in ("report.sr.dcm", "key-images.ko.dcm"):
        listed = {
            one.ReferencedSOPInstanceUID
            for study in made[name].CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for one in series.ReferencedSOPSequence
        }
        pointed = {
            one.ReferencedSOPInstanceUID for item in _tree(made[name]) for one in item.get("ReferencedSOPSequence", [])
        }
        assert pointed <= listed <= there
        assert pointed


def test_key_images_show_the_lesions(tmp_path: Path) -> None:
    scene = upright(tmp_path / "s")
    known = scene.assessment
    document = key_objects(known, scene.source)
    images = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in _tree(document) if item.ValueType == "IMAGE"
    ]
    for lesion, k in best_slices(known).items():
        foci = known.lesions[lesion - 1].focus_ids
        assert np.isin(known.labels[k], foci).any()
        assert scene.source.frames[k].header.SOPInstanceUID in images
