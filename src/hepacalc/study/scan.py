"""Find the CT slices under a path, and count what is passed over and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from hepacalc.errors import DamagedFile, NoSuitableSeries, NotAStudy, StudyNotFound, UnsupportedModality
from hepacalc.study import enhanced, tags
from hepacalc.study.decode import damaged
from hepacalc.study.guard import PARSER_ERRORS, parsing, quiet
from hepacalc.study.slices import Head, Scan, Slice, floats, integer, number, shown_code, text

__all__ = ["read_head", "scan_files"]

_FIRST_BYTES = 48 * 1024
_MORE_BYTES = 2**20
MAX_SIDE = 8192
"""Largest Rows or Columns that is believed; CT is 512 to 2048."""

_NO_PIXELS = "it ends before its pixels"
_NOWHERE = "CT image without position, orientation or pixel spacing"
_BROKEN = "damaged DICOM file"
_UNREADABLE = "unreadable file"

_CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DICOMDIR = "1.2.840.10008.1.3.10"
_MODALITY_BY_CLASS = {
    "1.2.840.10008.5.1.4.1.1.4": "MR", "1.2.840.10008.5.1.4.1.1.128": "PT", "1.2.840.10008.5.1.4.1.1.6": "US",
    "1.2.840.10008.5.1.4.1.1.3": "US", "1.2.840.10008.5.1.4.1.1.20": "NM", "1.2.840.10008.5.1.4.1.1.1": "CR",
}  # fmt: skip
_NOT_IMAGES = {"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "DOC", "AU", "ECG", "FID", "RWV", "PLAN"}
_LOCALIZERS = ("LOCALIZER", "SCOUT", "SURVIEW", "TOPOGRAM", "SCANOGRAM", "REF_SURVIEW")
_PICTURES = ("PATIENT_INFO", "DOSE_INFO", "RESULTS", "SCREEN SAVE", "SCREENSAVE", "PROTOCOL", "VRT", "3D RENDERING")


def scan_files(path: Path, *, progress: Callable[[str, float], None] | None = None) -> Scan:
    """Read the headers of every file under ``path`` (a folder or one file).

    Args:
        path: folder, or a single DICOM or NIfTI file, or a DICOMDIR (its folder is scanned).
        progress: called with ``"reading headers"`` and the share done, 0-1.

    Returns:
        The slices that could belong to a CT volume, and what was passed over.

    Raises:
        StudyNotFound: the path does not exist or may not be read.
    """
    scan = Scan()
    with parsing(StudyNotFound("The path that was given cannot be opened.", hint="Check how it is spelled.")):
        if path.is_file() and path.name.upper() == "DICOMDIR":
            path = path.parent
        files = list(_files(path, scan))
    with quiet():
        for number_, file in enumerate(files):
            _scan_file(file, scan)
            if progress is not None and (number_ % 16 == 0 or number_ == len(files) - 1):
                progress("reading headers", (number_ + 1) / len(files))
    return scan


def require_ct(scan: Scan) -> None:
    """Raise what fits when a scan holds no CT slice.

    Raises:
        DamagedFile: there are CT files, but each is damaged.
        NoSuitableSeries: there are CT images, but they do not say where they lie.
        UnsupportedModality: there are images, but not CT.
        StudyNotFound: the files may not be read.
        NotAStudy: there are no images at all.
    """
    if scan.slices:
        return
    if scan.damaged:
        raise damaged(scan.damaged[0], scan.damaged[0].damage or "it is damaged")
    found = ", ".join(f"{n} x {reason}" for reason, n in sorted(scan.passed_over.items())) or "no files"
    if _NOWHERE in scan.passed_over:
        raise NoSuitableSeries(
            f"There is CT, but its images do not say where they lie ({found}).",
            hint="Send the original images, with position, orientation and pixel spacing.",
        )
    if scan.other_modalities:
        raise UnsupportedModality(
            f"A CT is wanted, but the images are {', '.join(sorted(scan.other_modalities))} ({found}).",
            hint="Give the CT of this patient.",
        )
    if _BROKEN in scan.passed_over:
        raise DamagedFile(
            f"A CT study is wanted, but {scan.passed_over[_BROKEN]} DICOM file(s) cannot be read ({found}).",
            hint="Copy or download them again.",
        )
    if set(scan.passed_over) == {_UNREADABLE}:
        raise StudyNotFound(f"The files may not be read ({found}).", hint="Check their permissions.")
    raise NotAStudy(
        f"A CT study is wanted, but nothing here is a CT slice that can be measured ({found}).",
        hint="Give a folder or zip of DICOM CT files, an enhanced multi-frame CT file, or a NIfTI file.",
    )


def _files(path: Path, scan: Scan) -> Iterator[Path]:
    """Yield regular files under ``path`` in order of their names; links to folders are not followed."""
    if path.is_file():
        yield path
        return
    if not path.exists():
        raise StudyNotFound("The path that was given does not exist.", hint="Check how it is spelled.")

    def refuse(cause: OSError) -> None:
        if Path(cause.filename) == path:
            raise StudyNotFound("The folder may not be read.", hint="Check its permissions.") from cause
        scan.skip("unreadable folder")

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                yield file
            else:
                scan.skip("not a file")


def _scan_file(path: Path, scan: Scan) -> None:
    if path.name.lower().endswith((".nii", ".nii.gz")):
        scan.nifti.append(path)
        return
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError:
        scan.skip(_UNREADABLE)
        return
    if not tags.looks_like_dicom(first):
        scan.skip("not DICOM" if size else "empty file")
        return
    try:
        head, dataset = read_head(path, first, size)
    except PARSER_ERRORS:
        scan.skip(_BROKEN if first[128:132] == b"DICM" else "not DICOM")
        return
    reason = _pass_over(head, scan)
    if reason is not None:
        scan.skip(reason)
        return
    if head.damage is None:
        head.damage = _damage(head, size)
    if head.damage is not None:
        scan.damaged.append(head)
        scan.skip("damaged CT file")
        return
    try:
        slices = _slices(head, dataset)
    except PARSER_ERRORS:
        head.damage = "its position, spacing or rescale cannot be read"
        scan.damaged.append(head)
        scan.skip("damaged CT file")
        return
    if not slices:
        scan.skip(_NOWHERE)
    scan.slices.extend(slices)


def read_head(path: Path, first: bytes, size: int) -> tuple[Head, Dataset | None]:
    """Read one header: by the small reader, or by pydicom where that gives up or the file has many frames.

    Args:
        path: the file.
        first: its first bytes.
        size: its size in bytes.

    Raises:
        guard.PARSER_ERRORS: neither can make sense of it.
    """
    raw: tags.RawHeader | None
    try:
        try:
            raw = tags.read_tags(first, is_whole=size <= len(first))
        except tags.NeedMore:
            with path.open("rb") as file:
                first = file.read(min(size, _MORE_BYTES))
            raw = tags.read_tags(first, is_whole=True)
    except tags.Irregular:
        raw = None
    dataset = None
    damage: str | None = None
    if raw is not None:
        values: dict[str, Any] = dict(raw.values)
        frames = integer(values, "NumberOfFrames") or 1
        if frames > 1 or values.get("SOPClassUID") in list(_CT_CLASSES)[1:]:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        syntax, offset, length, endian = raw.transfer_syntax, raw.pixel_offset, raw.pixel_length, raw.endian
        if raw.is_float:
            damage = "its pixels are floating point numbers"
        elif offset < 0:
            damage = _NO_PIXELS
    else:
        dataset = pydicom.dcmread(path, force=True)
        values = _values(dataset)
        frames = integer(values, "NumberOfFrames") or 1
        syntax, offset, length, endian = None, -1, 0, "<"
        if "TransferSyntaxUID" in dataset.file_meta:
            syntax = str(dataset.file_meta.TransferSyntaxUID)
        if "PixelData" not in dataset:
            damage = _NO_PIXELS
        else:
            length = len(dataset["PixelData"].value or b"")
            if dataset["PixelData"].is_undefined_length:
                length = tags.UNDEFINED
            del dataset.PixelData
    bits = integer(values, "BitsAllocated") or 0
    stored = integer(values, "BitsStored") or bits
    high = integer(values, "HighBit")
    head = Head(
        path=path,
        values=values,
        transfer_syntax=syntax,
        frames=frames,
        rows=integer(values, "Rows") or 0,
        columns=integer(values, "Columns") or 0,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=stored - 1 if high is None else high,
        is_signed=integer(values, "PixelRepresentation") == 1,
        pixel_offset=offset,
        pixel_length=length,
        endian=endian,
        damage=damage,
    )
    return head, dataset


def _values(dataset: Dataset) -> dict[str, Any]:
    """Return the wanted elements of a pydicom data set as text or numbers; a damaged element counts as absent."""
    values: dict[str, Any] = {}
    for tag, name in tags.WANTED.items():
        try:
            if tag not in dataset:
                continue
            value = dataset[tag].value
            values[name] = "\\".join(str(v) for v in value) if isinstance(value, MultiValue) else value
        except PARSER_ERRORS:
            continue
    return {name: v if isinstance(v, int | str) else str(v) for name, v in values.items() if v is not None}


def _pass_over(head: Head, scan: Scan) -> str | None:
    """Return why a file is no slice of a CT, or None."""
    sop_class = head.text("SOPClassUID") or ""
    if sop_class == _DICOMDIR or (not sop_class and head.path.name.upper() in ("DICOMDIR", "DIRFILE")):
        return "DICOMDIR"
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    modality = (head.text("Modality") or "").upper()
    if not modality:
        modality = "CT" if sop_class in _CT_CLASSES else _MODALITY_BY_CLASS.get(sop_class, "")
    modality = shown_code(modality, "")
    if modality in _NOT_IMAGES or (not modality and head.rows == 0):
        return f"{modality} object" if modality else "DICOM without an image"
    if modality != "CT":
        scan.other_modalities.add(modality or "of unknown modality")
        return f"{modality or 'unknown'} image"
    kinds = head.image_type
    if any(word in kind for kind in kinds for word in _LOCALIZERS):
        return "scout"
    if (integer(head.values, "SamplesPerPixel") or 1) > 1 or any(
        k.startswith(_PICTURES) or k.endswith(" PROT") for k in kinds
    ):
        return "screenshot"
    return None


def _damage(head: Head, size: int) -> str | None:
    """Return what is wrong with a CT file by its header and size, or None."""
    if not (0 < head.rows <= MAX_SIDE and 0 < head.columns <= MAX_SIDE):
        return f"it claims {head.rows} x {head.columns} pixels"
    if head.bits_allocated not in (8, 16, 32) or not 0 < head.bits_stored <= head.bits_allocated:
        return f"it claims {head.bits_stored} bits in {head.bits_allocated}"
    if not head.bits_stored - 1 <= head.high_bit < head.bits_allocated:
        return f"it claims bit {head.high_bit} as the highest of {head.bits_stored}"
    if head.transfer_syntax == "1.2.840.10008.1.2.1.99":
        size = size * 1032  # deflate cannot do better
    if head.pixel_length == tags.UNDEFINED:
        # even an empty picture takes bytes: 8 of them in an item
        if head.frames * 8 > size:
            return f"it claims {head.frames} frames in {size} bytes"
        return None
    wanted = head.frames * head.rows * head.columns * head.bits_allocated // 8
    have = head.pixel_length if head.pixel_offset < 0 else max(min(head.pixel_length, size - head.pixel_offset), 0)
    if have < wanted:
        return f"it ends early: {have} of {wanted} bytes of pixels"
    return None


def _slices(head: Head, dataset: Dataset | None) -> list[Slice]:
    """Return the planes of a file; none when they do not say where they lie.

    Raises:
        guard.PARSER_ERRORS: they say it, but not in numbers.
    """
    if head.frames > 1 or (dataset is not None and "PerFrameFunctionalGroupsSequence" in dataset):
        return enhanced.frames(head, dataset) if dataset is not None else []
    values = head.values
    numbers = (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
    scales = (("RescaleSlope", 1), ("RescaleIntercept", 1))
    for name, count in (*numbers, *scales):
        if text(values, name) is not None and floats(values, name, count) is None:
            raise ValueError(name)
    position = floats(values, "ImagePositionPatient", 3)
    orientation = floats(values, "ImageOrientationPatient", 6)
    spacing = floats(values, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        return []
    if text(values, "RescaleSlope") is None and text(values, "RescaleIntercept") is None:
        return [Slice(head, 0, {}, position, orientation, spacing, None, None)]
    slope = number(values, "RescaleSlope")
    intercept = number(values, "RescaleIntercept")
    return [Slice(head, 0, {}, position, orientation, spacing, 1.0 if slope is None else slope, intercept or 0.0)]
