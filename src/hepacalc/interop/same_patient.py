"""Whether an object and a scan are of one patient: compared, never kept, never shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom

from hepacalc.errors import OtherStudy
from hepacalc.liver.seg_file import is_segmentation
from hepacalc.records import Volume
from hepacalc.study.archive import opened
from hepacalc.study.guard import PARSER_ERRORS
from hepacalc.study.slices import shown_uid

__all__ = ["refuse_other_patient"]

_TAGS = ["SOPInstanceUID", "PatientID", "StudyInstanceUID"]


def refuse_other_patient(path: Path, study: Path, volume: Volume) -> None:
    """Make sure that a DICOM object and a scan do not name different patients; what names none passes.

    Args:
        path: the object; a file that is not DICOM passes.
        study: where ``volume`` was read from.
        volume: the scan.

    Raises:
        OtherStudy: the PatientIDs differ. Neither is shown; the UIDs of both are.
    """
    if not path.is_file() or not is_segmentation(path) or not volume.sop_instance_uids:
        return
    with opened(study) as folder:
        given = _header(path)
        image = _image_of(folder, set(volume.sop_instance_uids))
        if given is None or image is None:
            return
        ids = [str(one.get("PatientID") or "").strip() for one in (given, image)]
    if all(ids) and ids[0] != ids[1]:
        raise OtherStudy(
            f"object {shown_uid(str(given.get('SOPInstanceUID', '')))} and image "
            f"{shown_uid(str(image.get('SOPInstanceUID', '')))} carry different PatientIDs.",
            hint="Give the object that was made on this scan; if the patient's number was changed, change it in both.",
        )


def _image_of(study: Path, uids: set[str]) -> Any:
    """Return the header of the first image of a scan that is found; None when there is none."""
    for file in _files(study):
        header = _header(file)
        if header is not None and str(header.get("SOPInstanceUID", "")) in uids:
            return header
    return None


def _files(study: Path) -> Iterator[Path]:
    if study.is_file() and study.name.upper() != "DICOMDIR":
        yield study
        return
    for folder, folders, names in os.walk(study if study.is_dir() else study.parent):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _header(path: Path) -> Any:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
    except PARSER_ERRORS:
        return None
