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

__all__ = ["refuse_other_patient", "refuse_two_patients"]

_TAGS = ["SOPInstanceUID", "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "Modality"]


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


def refuse_two_patients(prior: Path, current: Path) -> bool:
    """Make sure that two exams do not name different patients; return whether both name the same one.

    Args:
        prior: folder, zip or file of DICOM, of the earlier exam; anything else names nobody.
        current: likewise, of the later exam.

    Raises:
        StudyNotFound: a path cannot be opened.
        OtherStudy: the PatientIDs differ. Neither is shown; the StudyInstanceUIDs of both are.
    """
    heads = []
    for path in (prior, current):
        with opened(path) as place:
            heads.append(_first_named(place))
    if heads[0] is None or heads[1] is None:
        return False
    names, issuers = ([str(h.get(tag) or "").strip() for h in heads] for tag in ("PatientID", "IssuerOfPatientID"))
    studies = [shown_uid(str(h.get("StudyInstanceUID", ""))) for h in heads]
    if all(issuers) and issuers[0] != issuers[1]:
        # numbers of two houses say nothing of each other
        return False
    if names[0] != names[1]:
        raise OtherStudy(
            f"the exams carry different PatientIDs: study {studies[0]} is another patient's than study {studies[1]}.",
            hint="Give two exams of one patient; if the patient's number was changed, change it in both.",
        )
    return True


def _first_named(place: Path) -> Any:
    """Return the header of the first DICOM object that carries a PatientID; None when there is none."""
    for file in _files(place):
        if _looks_like_dicom(file):
            header = _header(file)
            if header is not None and str(header.get("PatientID") or "").strip() and header.get("StudyInstanceUID"):
                return header
    return None


def _looks_like_dicom(file: Path) -> bool:
    """Whether a file may be DICOM: by its mark, or by having none of the endings of what is not."""
    return file.suffix.lower() not in (".gz", ".nii", ".json", ".html", ".csv", ".pdf", ".txt", ".png", ".jpg")


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
