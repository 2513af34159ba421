"""What the archive notes of one received file; runs in the process of a job."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from hepacalc.errors import DamagedFile, HepacalcError, TooLarge
from hepacalc.server.filing import plain
from hepacalc.study.guard import parsing, quiet

__all__ = ["Header", "instance_of", "plain_text", "read_header", "refuse_bomb"]

DEFLATED = "1.2.840.10008.1.2.1.99"
MOST_INFLATED = 2**30
"""Bytes to which one deflated file may expand."""
_UID = re.compile(r"[0-9.]{1,64}")
_NIFTI_HEAD = 348


@dataclass(frozen=True, slots=True)
class Header:
    """One file.

    Args:
        study: columns of ``studies``.
        instance: columns of ``instances``.
        suffix: that the file must keep for its format to be known.
    """

    study: dict[str, Any]
    instance: dict[str, Any]
    suffix: str


def read_header(path: Path, *, most_pixels: int, fallback: str) -> Header | str:
    """Return what a file says of itself, or in a word why it is passed over.

    Args:
        path: a received file.
        most_pixels: that one image may have.
        fallback: study of a file that names none; the same for files that came together.

    Raises:
        TooLarge: an image has more pixels, or a file expands to more bytes.
    """
    sha256 = _digest(path)
    facts = {"bytes": path.stat().st_size, "sha256": sha256}
    if path.name.endswith((".nii", ".nii.gz")):
        return _nifti(path, facts, most_pixels)
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return "not DICOM"
    try:
        with quiet(), parsing(DamagedFile("a header cannot be read.", hint="Send it again.")):
            refuse_bomb(path)
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            header = _dicom(data, facts, fallback)
    except TooLarge:
        raise
    except HepacalcError:
        return "damaged"
    if header is None:
        return "directory"
    pixels = (header.instance["rows"] or 0) * (header.instance["columns"] or 0) * header.instance["frames"]
    if pixels > most_pixels:
        raise TooLarge(f"an image has {pixels} pixels; at most {most_pixels} are taken.", hint="Send another series.")
    return header


_TAGS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "Modality",
    "ReferringPhysicianName", "StudyDescription", "SeriesDescription", "PatientName", "PatientID", "PatientBirthDate",
    "PatientSex", "StudyInstanceUID", "SeriesInstanceUID", "StudyID", "SeriesNumber", "InstanceNumber",
    "NumberOfFrames", "Rows", "Columns",
)  # fmt: skip


def instance_of(data: Dataset, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of ``instances`` for a DICOM object, beside its path."""
    return {
        "sop_uid": _uid(data.get("SOPInstanceUID")) or _made_uid(facts["sha256"]),
        "series_uid": _uid(data.get("SeriesInstanceUID")) or _made_uid("series"),
        "sop_class": plain_text(data.get("SOPClassUID"), 64),
        "modality": plain_text(data.get("Modality"), 16),
        "series_number": _whole(data.get("SeriesNumber")),
        "series_description": plain_text(data.get("SeriesDescription"), 200),
        "number": _whole(data.get("InstanceNumber")),
        "rows": _whole(data.get("Rows")),
        "columns": _whole(data.get("Columns")),
        "frames": max(_whole(data.get("NumberOfFrames")) or 1, 1),
        "transfer_syntax": plain_text(data.file_meta.get("TransferSyntaxUID"), 64),
        **facts,
    }


def plain_text(value: Any, most: int) -> str:
    """Return a header's value as text without control characters, cut to ``most`` characters."""
    return plain("" if value is None else str(value), most)


def _dicom(data: Dataset, facts: dict[str, Any], fallback: str) -> Header | None:
    if data.get("DirectoryRecordSequence") is not None or "MediaStorageDirectory" in str(data.file_meta.get(
        "MediaStorageSOPClassUID", "")):  # fmt: skip
        return None
    if not data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        return None
    study = {
        "uid": _uid(data.get("StudyInstanceUID")) or _made_uid(fallback),
        "kind": "dicom",
        "patient_name": plain_text(data.get("PatientName"), 330),
        "patient_id": plain_text(data.get("PatientID"), 80),
        "birth_date": plain_text(data.get("PatientBirthDate"), 10),
        "sex": plain_text(data.get("PatientSex"), 4),
        "study_date": plain_text(data.get("StudyDate"), 10),
        "study_time": plain_text(data.get("StudyTime"), 16),
        "accession": plain_text(data.get("AccessionNumber"), 40),
        "study_id": plain_text(data.get("StudyID"), 40),
        "referrer": plain_text(data.get("ReferringPhysicianName"), 330),
        "description": plain_text(data.get("StudyDescription"), 200),
    }
    return Header(study, instance_of(data, facts), "")


def _nifti(path: Path, facts: dict[str, Any], most_pixels: int) -> Header | str:
    """Return what can be said of a NIfTI file: its size; it names nobody."""
    suffix = ".nii.gz" if path.name.endswith(".nii.gz") else ".nii"
    try:
        with gzip.open(path) if suffix == ".nii.gz" else path.open("rb") as file:
            head = file.read(_NIFTI_HEAD)
    except (OSError, EOFError, zlib.error):
        return "damaged"
    if len(head) < _NIFTI_HEAD or head[:4] not in (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c"):
        return "not NIfTI-1"
    order = "little" if head[0] else "big"
    counts = [int.from_bytes(head[40 + 2 * k : 42 + 2 * k], order, signed=True) for k in range(8)]  # type: ignore[arg-type]
    pixels = 1
    for count in counts[1 : max(min(counts[0], 7), 0) + 1]:
        pixels *= max(count, 1)
    if pixels > most_pixels:
        raise TooLarge(f"a volume has {pixels} voxels; at most {most_pixels} are taken.", hint="Send a smaller one.")
    uid = _made_uid(facts["sha256"])
    study = {"uid": uid, "kind": "nifti", "description": "NIfTI"}
    instance = {
        "sop_uid": uid, "series_uid": uid, "sop_class": "", "modality": "CT", "series_number": None,
        "series_description": "", "number": None, "rows": None, "columns": None, "frames": 1, "transfer_syntax": "",
        **facts,
    }  # fmt: skip
    return Header(study, instance, suffix)


def refuse_bomb(path: Path) -> None:
    """Inflate a deflated data set in pieces and stop when it becomes too large; pydicom would take it whole.

    Raises:
        TooLarge: it expands to more than :data:`MOST_INFLATED` bytes.
    """
    from pydicom.filereader import read_file_meta_info

    if read_file_meta_info(path).get("TransferSyntaxUID") != DEFLATED:
        return
    engine, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        start = 132 + 12 + int(read_file_meta_info(path)["FileMetaInformationGroupLength"].value)
        file.seek(start)
        while (chunk := file.read(65536)) and not engine.eof:
            while chunk:
                total += len(engine.decompress(chunk, 2**20))
                chunk = engine.unconsumed_tail
                if total > MOST_INFLATED:
                    raise TooLarge("a deflated file expands without end.", hint="Send it uncompressed.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uid(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return text if _UID.fullmatch(text) else ""


def _made_uid(seed: str) -> str:
    """Return a UID that is the same for the same seed (PS3.5 B.2)."""
    return f"2.25.{int(hashlib.sha256(seed.encode()).hexdigest()[:32], 16)}"


def _whole(value: Any) -> int | None:
    try:
        number = int(str(value)) if value not in (None, "") else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 2**31 else None
