"""UIDs in place of the real ones, always the same for the same key; assessments and headers without identity.

A UID is replaced by a keyed hash of it (HMAC-SHA-256). A hash without a key would not do: whoever holds the original
images could make it again and so find the patient. The key of a run is random and is not kept, unless the site gives
its own: then the same scan always gets the same UIDs, and whoever has the key can link them.

Reference: DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile: UIDs are replaced consistently
(action U), descriptions, dates and free comments are removed (X).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from hepacalc.errors import UsageError
from hepacalc.records import Assessment, SeriesChoice, SeriesSummary

__all__ = ["headers_without_identity", "is_without_identity", "mapped_uid", "read_key", "without_identity"]

_UID = re.compile(r"(?<![0-9.])(?:2\.25\.[0-9]{6,}|[0-2](?:\.[0-9]+){3,})(?![0-9.]*[0-9])")
LEAST_KEY_BYTES = 16
_DONE = ("deidentified", "true")
_METHOD = "PS3.15 Basic Profile: allow-list"

# what objects made from a scan may take over from its headers: the grid, and how it was taken
_KEPT = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "Manufacturer", "ImageType", "KVP", "SliceThickness",
    "ConvolutionKernel", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceLocation", "Rows",
    "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType", "NumberOfFrames", "InstanceNumber",
    "SeriesNumber",
)  # fmt: skip
_MAPPED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_EMPTY = (
    "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip
_MACROS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
}


def mapped_uid(uid: str, key: bytes) -> str:
    """Return the UID that stands for ``uid`` in everything without identity: ``2.25.`` and 128 bits of a keyed hash.

    Args:
        uid: the real one; a mark of one stack of several (``#2``) stays behind it.
        key: secret; the same one always gives the same UID.
    """
    base, mark, number = uid.partition("#")
    digest = hmac.new(key, base.encode(), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}{mark}{number}"


def read_key(path: Path) -> bytes:
    """Read a site's own key from a file; white space at its ends does not count.

    Raises:
        UsageError: it cannot be read, or is too short to be a secret.
    """
    hint = "Make one of 32 random bytes or more, and keep it secret."
    try:
        key = path.read_bytes().strip()
    except OSError as cause:
        raise UsageError(f"the key for de-identification {path.name!r} cannot be read.", hint=hint) from cause
    if len(key) < LEAST_KEY_BYTES:
        raise UsageError(
            f"wanted a key for de-identification of {LEAST_KEY_BYTES} bytes or more, found {len(key)}.", hint=hint
        )
    return key


def without_identity(assessment: Assessment, key: bytes) -> Assessment:
    """Return an assessment that names no study: UIDs mapped, descriptions, file names and the date of the scan gone.

    Numbers, arrays and the time at which it was assessed stay as they are; ``run.settings`` says that it was done. One
    without identity already is returned as it is.
    """
    if is_without_identity(assessment):
        return assessment
    acquisition = assessment.acquisition
    clean = replace(
        _without_uids(acquisition, key), series_description=None, contrast_bolus_agent=None, study_date=None
    )
    choice = SeriesChoice(
        _summary(assessment.series.chosen, 0, key),
        tuple(_summary(one, k, key) for k, one in enumerate(assessment.series.others, 1)),
        assessment.series.passed_over,
    )
    kept = {"acquisition", "series", "volume", "liver_mask", "labels", "geometry", "run", "reasoning", "followup"}
    texts = {f.name: _without_uids(getattr(assessment, f.name), key) for f in fields(assessment) if f.name not in kept}
    # a mask that was given is named by its UID
    told = _without_uids(assessment.run, key)
    run = replace(told, settings=(*told.settings, _DONE))
    return replace(assessment, acquisition=clean, series=choice, run=run, **texts)


def is_without_identity(assessment: Assessment) -> bool:
    """Whether :func:`without_identity` made it."""
    return _DONE in assessment.run.settings


def _summary(one: SeriesSummary, number: int, key: bytes) -> SeriesSummary:
    uid = one.series_instance_uid
    # NIfTI has a file name in its place
    name = mapped_uid(uid, key) if _UID.fullmatch(uid) else f"series {number}"
    return replace(one, series_instance_uid=name, description=None, reasons=_without_uids(one.reasons, key))


def _without_uids(value: Any, key: bytes) -> Any:
    """Map the UIDs in every text of a record."""
    if isinstance(value, str):
        return _UID.sub(lambda found: mapped_uid(found.group(), key), value)
    if isinstance(value, tuple):
        return tuple(_without_uids(one, key) for one in value)
    if isinstance(value, dict):
        return {name: _without_uids(one, key) for name, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{f.name: _without_uids(getattr(value, f.name), key) for f in fields(value)})
    return value


def headers_without_identity(datasets: tuple[Dataset, ...], key: bytes) -> tuple[Dataset, ...]:
    """Return headers of a scan with nothing but its grid and how it was taken; UIDs mapped.

    It is a list of what may stay, not of what must go, so that private and unforeseen elements are gone too.
    """
    return tuple(_header(dataset, key) for dataset in datasets)


def _header(dataset: Dataset, key: bytes) -> Dataset:
    out = _picked(dataset, _KEPT)
    for keyword in _MAPPED:
        if dataset.get(keyword):
            setattr(out, keyword, mapped_uid(str(dataset.get(keyword)), key))
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
