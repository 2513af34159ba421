"""UIDs in place of the real ones, always the same for the same; assessments and headers without identity.

Reference: DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile: UIDs are replaced consistently
(action U), descriptions, dates and free comments are removed (X).
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydicom.dataset import Dataset

from hepacalc.records import Assessment, SeriesChoice, SeriesSummary

__all__ = ["headers_without_identity", "is_without_identity", "mapped_uid", "without_identity"]

_UID = re.compile(r"(?<![0-9.])(?:2\.25\.[0-9]{6,}|[0-2](?:\.[0-9]+){3,})(?![0-9.]*[0-9])")
_SALT = "hepacalc.deidentify:"
_DONE = ("deidentified", "true")
_METHOD = "PS3.15 Basic Profile: allow-list"

# what objects made from a scan may take over from its headers: the grid, and how it was taken
_KEPT = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "Manufacturer", "ImageType", "KVP", "SliceThickness",
    "ConvolutionKernel", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceLocation", "Rows",
    "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType", "NumberOfFrames", "InstanceNumber",
    "SeriesNumber", "PatientSex",
)  # fmt: skip
_MAPPED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_EMPTY = (
    "PatientName", "PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID",
    "PositionReferenceIndicator",
)  # fmt: skip
_MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
}


def mapped_uid(uid: str) -> str:
    """Return the UID that stands for ``uid`` in everything without identity: ``2.25.`` and a name-based UUID.

    The same UID gives the same one in every file and every run, so that objects still refer to each other. It is a
    hash without a key: who holds the original UID can tell that it is the same study.
    """
    return f"2.25.{uuid5(NAMESPACE_OID, _SALT + uid).int}"


def without_identity(assessment: Assessment) -> Assessment:
    """Return an assessment that names no study: UIDs mapped, descriptions, file names and the date of the scan gone.

    Numbers, arrays and the time at which it was assessed stay as they are; ``run.settings`` says that it was done. One
    without identity already is returned as it is.
    """
    if is_without_identity(assessment):
        return assessment
    acquisition = assessment.acquisition
    clean = replace(_without_uids(acquisition), series_description=None, contrast_bolus_agent=None, study_date=None)
    choice = SeriesChoice(
        _summary(assessment.series.chosen, 0),
        tuple(_summary(one, k) for k, one in enumerate(assessment.series.others, 1)),
        assessment.series.passed_over,
    )
    kept = {"acquisition", "series", "volume", "liver_mask", "labels", "geometry", "run", "reasoning"}
    texts = {f.name: _without_uids(getattr(assessment, f.name)) for f in fields(assessment) if f.name not in kept}
    run = replace(assessment.run, settings=(*assessment.run.settings, _DONE))
    return replace(assessment, acquisition=clean, series=choice, run=run, **texts)


def is_without_identity(assessment: Assessment) -> bool:
    """Whether :func:`without_identity` made it."""
    return _DONE in assessment.run.settings


def _summary(one: SeriesSummary, number: int) -> SeriesSummary:
    uid = one.series_instance_uid
    # NIfTI has a file name in its place
    name = mapped_uid(uid) if _UID.fullmatch(uid) else f"series {number}"
    return replace(one, series_instance_uid=name, description=None, reasons=_without_uids(one.reasons))


def _without_uids(value: Any) -> Any:
    """Map the UIDs in every text of a record."""
    if isinstance(value, str):
        return _UID.sub(lambda found: mapped_uid(found.group()), value)
    if isinstance(value, tuple):
        return tuple(_without_uids(one) for one in value)
    if isinstance(value, dict):
        return {key: _without_uids(one) for key, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{f.name: _without_uids(getattr(value, f.name)) for f in fields(value)})
    return value


def headers_without_identity(datasets: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
    """Return headers of a scan with nothing but its grid and how it was taken; UIDs mapped.

    It is a list of what may stay, not of what must go, so that private and unforeseen elements are gone too.
    """
    return tuple(_header(dataset) for dataset in datasets)


def _header(dataset: Dataset) -> Dataset:
    out = _picked(dataset, _KEPT)
    for keyword in _MAPPED:
        if dataset.get(keyword):
            setattr(out, keyword, mapped_uid(str(dataset.get(keyword))))
    for keyword in _EMPTY:
        setattr(out, keyword, "")
    out.PatientID = f"hepacalc-{str(out.get('StudyInstanceUID', ''))[-12:]}"
    out.PatientIdentityRemoved, out.DeidentificationMethod = "YES", _METHOD
    if dataset.get("SharedFunctionalGroupsSequence"):
        out.SharedFunctionalGroupsSequence = [_group(dataset.SharedFunctionalGroupsSequence[0])]
    if dataset.get("PerFrameFunctionalGroupsSequence"):
        out.PerFrameFunctionalGroupsSequence = [_group(group) for group in dataset.PerFrameFunctionalGroupsSequence]
    return out


def _group(group: Dataset) -> Dataset:
    """Return a functional group with where its frame lies, and no more."""
    out = Dataset()
    for name, inner in _MACROS.items():
        if group.get(name):
            setattr(out, name, [_picked(group.get(name)[0], inner)])
    return out


def _picked(dataset: Dataset, keywords: tuple[str, ...]) -> Dataset:
    out = Dataset()
    for keyword in keywords:
        if keyword in dataset:
            out.add(dataset[keyword])
    return out
