"""What we write reads back as what it was; nothing that a file holds does worse than raise one of our errors."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_scenes import Scene, upright
from hepacalc.cli_show import object_lines
from hepacalc.errors import DamagedFile, InvalidObject, StudyNotFound
from hepacalc.interop.codes import MEASUREMENT_CODES
from hepacalc.interop.identity import lesion_tracking
from hepacalc.interop.read_back import KeyObject, ReportObject, SegObject, read_object
from hepacalc.interop.sr_groups import SHOWN
from hepacalc.reason.records import as_plain
from hepacalc.records import Measured
from hepacalc.report.numbers import significant
from hepacalc.report.write import prepared
from hepacalc.report.writers import ExportContext, SourceStudy, get_writers
from reason_example import CYST, assessed
from report_strategies import SETTINGS

KEY = b"a key of some length for the tests"
SECRETS = ("Nobody", "SECRET-ID", "19470917", "20240517", "ACC-7", "1.2.826.0.1.3680043.8.498.7")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = upright(tmp_path_factory.mktemp("scan") / "s", per_lesion=2)
    return replace(made, assessment=replace(made.assessment, reasoning=assessed(CYST).reasoning))


def written(scene: Scene, folder: Path, **told: Any) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    assessment, context = prepared(scene.assessment, ExportContext(source=SourceStudy(scene.datasets), **told))
    for writer in get_writers("seg,sr,ko"):
        writer.write(assessment, folder, context)
    return {path.name: path for path in folder.glob("*.dcm")}


@pytest.fixture(scope="module")
def made(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return written(scene, tmp_path_factory.mktemp("objects"))


def test_segments(scene: Scene, made: dict[str, Path]) -> None:
    seg = read_object(made["foci.seg.dcm"])
    assert isinstance(seg, SegObject)
    assert (seg.segmentation_type, seg.slice_mm, seg.overlaps) == ("LABELMAP", 3.0, ())
    assert seg.source_series == ("1.2.826.0.1.3680043.8.498.7.2",)
    known = scene.assessment
    for one, focus in zip(seg.segments, known.foci, strict=True):
        assert (one.number, one.voxels) == (focus.id, int((known.labels == focus.id).sum()))
        assert one.volume_mm3 == pytest.approx(one.voxels * known.geometry.voxel_mm3)


def test_numbers(scene: Scene, made: dict[str, Path]) -> None:
    report = read_object(made["report.sr.dcm"])
    assert isinstance(report, ReportObject)
    assert (report.template, report.complete) == ("1500", ("COMPLETE", "UNVERIFIED", "PRELIMINARY"))
    known = scene.assessment
    by_segment = {g.segments[0]: g for g in report.groups[1:] if len(g.segments) == 1}
    words = {code.meaning: name for name, code in MEASUREMENT_CODES.items()}
    for focus in (f for f in known.foci if f.lesion is not None):
        read = {words[n.name]: n for n in by_segment[focus.id].numbers if n.name in words}
        for name in SHOWN:
            number = focus.measurements[name]
            assert isinstance(number, Measured)
            assert read[name].value == significant(number.value)
            assert read[name].low == pytest.approx(number.low, rel=1e-3)
            assert read[name].high == pytest.approx(number.high, rel=1e-3)
    for lesion in known.lesions:
        (group,) = [g for g in report.groups if g.tracking_uid == lesion_tracking(known, lesion).uid]
        assert sorted(group.segments) == sorted(lesion.focus_ids)
        said = {s.name: s.value for s in group.statements}
        assert said["Kind of focus"].lower() == lesion.kind
        assert said["Certainty of kind"].lower() == lesion.certainty
    answers = [a.name for a in report.answers]
    assert {"Conclusion", "Red flag", "Recommendation", "Probable causes"} <= set(answers)


def test_key_images(made: dict[str, Path]) -> None:
    key = read_object(made["key-images.ko.dcm"])
    assert isinstance(key, KeyObject)
    assert all(uid.startswith("1.2.826.0.1.3680043.8.498.7.2.") for uid, _ in key.images)


def test_nothing_shown_says_who_it_is(made: dict[str, Path]) -> None:
    for path in made.values():
        found = read_object(path)
        text = "\n".join(object_lines(found)) + json.dumps(as_plain(found))
        assert "Nobody" not in text
        assert "SECRET" not in text
        assert "ACC-7" not in text
        assert found.about.sop_instance_uid in text


def test_identity_left_out(scene: Scene, tmp_path: Path) -> None:
    first = written(scene, tmp_path / "a", deidentify=True, deidentify_key=KEY)
    again = written(scene, tmp_path / "b", deidentify=True, deidentify_key=KEY)
    other = written(scene, tmp_path / "c", deidentify=True)
    plain = written(scene, tmp_path / "d")
    uids: dict[str, set[str]] = {}
    for name, path in first.items():
        assert path.read_bytes() == again[name].read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in path.read_bytes()]
        data = pydicom.dcmread(path)
        assert data.PatientIdentityRemoved == "YES"
        assert [c.CodeValue for c in data.DeidentificationMethodCodeSequence] == ["113100", "113104"]
        assert data.PatientSex == ""
        assert data.ContentDate == "19000101"
        for keyword in ("StudyInstanceUID", "PatientID"):
            uids.setdefault(keyword, set()).add(str(data.get(keyword)))
            assert data.get(keyword) != pydicom.dcmread(other[name]).get(keyword)
        if "PixelData" in data:
            assert data.PixelData == pydicom.dcmread(plain[name]).PixelData
    assert all(len(found) == 1 for found in uids.values())
    # dates of the plan are gone too
    report = read_object(first["report.sr.dcm"])
    assert "due from" not in json.dumps(as_plain(report)).lower()
    assert report.references == (read_object(first["liver.seg.dcm"]).about.sop_instance_uid,
                                 read_object(first["foci.seg.dcm"]).about.sop_instance_uid)  # type: ignore[union-attr]  # fmt: skip


def test_what_is_no_object(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound):
        read_object(tmp_path / "none.dcm")
    (tmp_path / "x.dcm").write_bytes(b"no object")
    with pytest.raises(DamagedFile):
        read_object(tmp_path / "x.dcm")
    with pytest.raises(InvalidObject, match="found CT"):
        read_object(next(scene.folder.iterdir()))


@cache
def whole(path: Path) -> bytes:
    return path.read_bytes()


@SETTINGS
@given(st.data())
def test_no_bytes_do_worse_than_our_errors(made: dict[str, Path], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(made.values())))
    known = bytearray(whole(path))
    for _ in range(data.draw(st.integers(0, 6))):
        known[data.draw(st.integers(132, len(known) - 1))] = data.draw(st.integers(0, 255))
    del known[data.draw(st.integers(133, len(known))) :]
    broken = path.with_suffix(".broken")
    broken.write_bytes(known)
    with contextlib.suppress(DamagedFile, InvalidObject):
        list(object_lines(read_object(broken)))
