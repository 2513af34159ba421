"""What every writer must do, whatever its format."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hepacalc.errors import MissingDependency, UsageError
from hepacalc.records import Assessment
from hepacalc.report import OUTPUTS
from hepacalc.report.exports import MANIFEST
from hepacalc.report.write import prepared
from hepacalc.report.writers import FORMATS, ExportContext, SourceStudy, Writer, get_writer, get_writers, writer_names
from reason_example import CYST, SIMPLE, assessed
from report_example import BALLS, make_example

NAME, PATIENT_ID, BIRTH, PLACE = "Quixote^Alonso", "MRN-7781-Q", "19470917", "La Mancha General"
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.7.1", "1.2.826.0.1.3680043.8.498.7.2"
HOSTILE = 'Smith & <Sons>, "x"; \\ 肝 \u202e\u0007 |\nline'


@dataclass(frozen=True)
class Case:
    """An assessment and the headers of its scan."""

    assessment: Assessment
    source: SourceStudy


def headers(assessment: Assessment) -> SourceStudy:
    """Headers of the slices of a made-up scan, as a CT would write them."""
    geometry = assessment.geometry
    per_z, per_y, per_x = (geometry.affine[:3, k] for k in range(3))
    _, dy, dx = geometry.spacing_mm
    slices = []
    for k in range(geometry.shape[0]):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = CTImageStorage
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"{SERIES}.{k + 1}"
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = STUDY, SERIES, f"{STUDY}.9"
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = NAME, PATIENT_ID, BIRTH, "M"
        one.InstitutionName, one.ReferringPhysicianName, one.AccessionNumber = PLACE, "Panza^Sancho", "ACC-55190"
        one.StudyID, one.StudyDate, one.StudyTime, one.SeriesNumber, one.InstanceNumber = (
            "1",
            "20240517",
            "101500",
            3,
            k + 1,
        )
        one.Modality, one.Manufacturer, one.ImageType = "CT", "SIEMENS", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.StudyDescription, one.SeriesDescription = "Abdomen", "Abdomen native 3.0 B30f"
        one.PositionReferenceIndicator, one.AcquisitionNumber, one.KVP, one.SliceThickness = "", 1, 120, 3.0
        one.ImagePositionPatient = [round(float(v), 6) for v in geometry.affine[:3, 3] + k * per_z]
        one.ImageOrientationPatient = [round(float(v), 6) for v in (*(per_x / dx), *(per_y / dy))]
        one.PixelSpacing = [dy, dx]
        one.Rows, one.Columns, one.SamplesPerPixel = geometry.shape[1], geometry.shape[2], 1
        one.PhotometricInterpretation = "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, 0, "HU"
        slices.append(one)
    return SourceStudy(tuple(slices))


@cache
def cases() -> dict[str, Case]:
    """The examples that every writer is run over."""
    plain = make_example()
    made = {
        "four lesions": plain,
        "nothing found": make_example(balls=()),
        "nothing measured": make_example(unmeasured=True),
        "mimics only": make_example(balls=BALLS[4:]),
        "contrast, severe, cut": make_example(contrast=True, severe=True, complete=False),
        "several foci in one": make_example(per_lesion=3),
        "with a plan": assessed(),
        "with red flags": assessed(CYST),
        "a place to stop": assessed(SIMPLE, lesions=0),
        "odd texts": replace(
            plain,
            limits=(HOSTILE,),
            foci=tuple(replace(f, reasons=(HOSTILE,), mimic=(HOSTILE,)) for f in plain.foci),
        ),
    }
    return {name: _case(assessment) for name, assessment in made.items()}


def _case(assessment: Assessment) -> Case:
    source = headers(assessment)
    uids = tuple(one.SOPInstanceUID for one in source.datasets)
    acquisition = replace(
        assessment.acquisition,
        study_instance_uid=STUDY,
        series_instance_uid=SERIES,
        frame_of_reference_uid=f"{STUDY}.9",
    )
    volume = replace(assessment.volume, acquisition=acquisition, sop_instance_uids=uids)
    return Case(replace(assessment, acquisition=acquisition, volume=volume), source)


def installed(name: str) -> bool:
    """Whether a writer has the packages that it needs; the suite also runs without extras."""
    try:
        get_writer(name)
    except MissingDependency:
        return False
    return True


THERE = tuple(name for name in writer_names() if installed(name))
ALL = [(name, case) for name in THERE for case in cases()]
TWICE = ("with a plan", "odd texts")


def the_writer(name: str) -> Writer:
    """The writer of a format; skips where the package that it needs is not installed."""
    try:
        return get_writer(name)
    except MissingDependency as lacking:
        pytest.skip(str(lacking))


def written(name: str, case: Case, folder: Path, **told: Any) -> dict[str, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    assessment, context = prepared(case.assessment, ExportContext(source=case.source, **told))
    the_writer(name).write(assessment, folder, context)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_table_holds_known_formats_in_order() -> None:
    assert writer_names()
    assert [n for n in FORMATS if n in writer_names()] == list(writer_names())


@pytest.mark.parametrize("name", THERE)
def test_a_writer_says_who_it_is(name: str) -> None:
    writer = the_writer(name)
    assert writer.name == name
    assert isinstance(writer.needs_source, bool)


@pytest.mark.parametrize(("name", "case"), ALL)
def test_it_writes_what_it_says_and_the_same_again(name: str, case: str, tmp_path: Path) -> None:
    one = cases()[case]
    files = the_writer(name).files(one.assessment)
    assert not {*files} & {*OUTPUTS, MANIFEST}
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*\.[a-z0-9]+", file) for file in files)
    assert len(set(files)) == len(files)
    first = written(name, one, tmp_path / "a")
    assert {*first} == {*files}
    assert all(first.values())
    if case in TWICE:
        assert written(name, one, tmp_path / "b") == first


@pytest.mark.parametrize(("name", "case"), [(n, c) for n in THERE for c in TWICE])
def test_both_languages(name: str, case: str, tmp_path: Path) -> None:
    one = cases()[case]
    english, chinese = written(name, one, tmp_path / "en"), written(name, one, tmp_path / "zh", language="zh")
    assert {*english} == {*chinese}


@pytest.mark.parametrize(("name", "case"), [(n, c) for n in THERE for c in TWICE])
def test_no_identity_when_it_is_left_out(name: str, case: str, tmp_path: Path) -> None:
    for data in written(name, cases()[case], tmp_path, deidentify=True).values():
        for secret in (NAME, "Quixote", PATIENT_ID, BIRTH, PLACE, "Panza", "ACC-55190", STUDY, SERIES):
            assert secret.encode() not in data
            assert secret.encode("utf-16-be") not in data


@pytest.mark.parametrize("name", THERE)
def test_without_the_scan(name: str, tmp_path: Path) -> None:
    """What needs no source gives the same without it, and does not touch the voxels."""
    from hepacalc.report.stored import UnreadVolume

    if the_writer(name).needs_source:
        return
    one = cases()["with a plan"]
    volume = UnreadVolume(one.assessment.geometry, one.assessment.acquisition, None, 0)
    bare = Case(replace(one.assessment, volume=volume), SourceStudy(()))
    assert written(name, bare, tmp_path / "bare") == written(name, one, tmp_path / "whole")


def test_unknown_formats_are_refused() -> None:
    for wrong in ("docx", "ics,docx", "", ",", "ICS;"):
        with pytest.raises(UsageError, match="format"):
            get_writers(wrong)
    assert [w.name for w in get_writers(" ICS ,ics")] == ["ics"]
