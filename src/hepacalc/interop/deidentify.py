"""Objects without identity: the Basic Profile of DICOM PS3.15 Annex E, for what we write.

What goes in is changed before anything is written, so that the objects of a run agree with each other: the headers lose
who and when, every UID is replaced, and so are the UIDs made from it. Pixel data is untouched.

A UID is replaced by a keyed hash of it (HMAC-SHA-256). A plain hash would not do: whoever holds the original images
could make it again and so find the patient. The key of a run is random and is not kept, unless the site gives its own;
then the same scan always gets the same UIDs, and whoever has the key can link them.

Reference: DICOM PS3.15 Table E.1-1 (actions), PS3.16 CID 7050 (methods); content of reports: Clean Structured Content
Option, nothing in it comes from the header but the mapped UIDs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from hepacalc.errors import UsageError
from hepacalc.interop.codes import Code
from hepacalc.records import Assessment

__all__ = ["DUMMY_DATE", "Deidentifier", "read_key"]

DUMMY_DATE = "1900-01-01T00:00:00+00:00"
"""Takes the place of the time of the assessment (action D)."""
METHODS = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113104", "DCM", "Clean Structured Content Option"),
)
LEAST_KEY_BYTES = 16
_UID = re.compile(r"(?<![\w.])(?:2\.25\.\d{10,39}|[0-2](?:\.\d+){4,})(?!\.?\d)")
_STANDARD = "1.2.840.10008."
"""UIDs of the standard itself (SOP classes, transfer syntaxes) name no object."""
_KEPT = (
    "SOPClassUID", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns", "Modality",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_MAPPED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
Object = TypeVar("Object", bound=Dataset)


def read_key(path: Path) -> bytes:
    """Read a site's own key from a file; white space at its ends does not count.

    Raises:
        UsageError: it cannot be read, or is too short to be a secret.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as cause:
        raise UsageError(
            f"wanted a file with the key for de-identification, but {path.name!r} cannot be read.",
            hint="Make one of 32 random bytes or more, and keep it secret.",
        ) from cause
    if len(key) < LEAST_KEY_BYTES:
        raise UsageError(
            f"wanted a key of {LEAST_KEY_BYTES} bytes or more, found {len(key)}.",
            hint="Make one of 32 random bytes or more, and keep it secret.",
        )
    return key


class Deidentifier:
    """Removes identity from what is written; one for all objects of a run.

    Args:
        key: secret of the site; None makes one that is forgotten at the end of the run.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = secrets.token_bytes(32) if key is None else key

    def uid(self, uid: str) -> str:
        """Return the UID that takes the place of ``uid``; UIDs of the standard stay."""
        if not uid or uid.startswith(_STANDARD):
            return uid
        return f"2.25.{int.from_bytes(self._hash('uid', uid)[:16], 'big')}"

    def pseudonym(self, patient_id: str) -> str:
        """Return the name and number that take the place of a patient's."""
        return f"ANON-{self._hash('patient', patient_id)[:6].hex().upper()}"

    def _hash(self, what: str, value: str) -> bytes:
        return hmac.new(self._key, f"{what}\0{value}".encode(), hashlib.sha256).digest()

    def headers(self, datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
        """Return headers with where the slices lie, mapped UIDs and a pseudonym, and nothing else."""
        return tuple(self._header(dataset) for dataset in datasets)

    def _header(self, dataset: Dataset) -> Dataset:
        out = Dataset()
        for name in _KEPT:
            if name in dataset:
                setattr(out, name, dataset.get(name))
        for name in _MAPPED:
            if dataset.get(name):
                setattr(out, name, self.uid(str(dataset.get(name))))
        # without a number nothing tells patients apart but the study
        who = str(dataset.get("PatientID") or "") or str(dataset.get("StudyInstanceUID", ""))
        out.PatientID = out.PatientName = self.pseudonym(who)
        return out

    def assessment(self, assessment: Assessment) -> Assessment:
        """Return an assessment without dates, descriptions and UIDs of the scan; numbers and arrays are the same."""
        known, run = assessment.acquisition, assessment.run
        clean = replace(
            known,
            study_date=None,
            series_description=None,
            study_instance_uid=self.uid(known.study_instance_uid or "") or None,
            series_instance_uid=self.uid(known.series_instance_uid or "") or None,
            frame_of_reference_uid=self.uid(known.frame_of_reference_uid or "") or None,
        )
        volume = replace(
            assessment.volume, acquisition=clean,
            sop_instance_uids=tuple(self.uid(uid) for uid in assessment.volume.sop_instance_uids),
        )  # fmt: skip
        arrays = {"volume": volume, "liver_mask": self._mapped(assessment.liver_mask), "labels": assessment.labels}
        done = {"acquisition": clean, "run": replace(self._mapped(run), created=DUMMY_DATE), **arrays}
        texts = {f.name: self._mapped(getattr(assessment, f.name)) for f in fields(assessment) if f.name not in done}
        return replace(assessment, **(texts | done))

    def _mapped(self, value: Any) -> Any:
        """Replace UIDs in every text of a record, however deep."""
        if isinstance(value, str):
            return _UID.sub(lambda found: self.uid(found[0]), value)
        if isinstance(value, np.ndarray) or value is None or isinstance(value, int | float):
            return value
        if is_dataclass(value) and not isinstance(value, type):
            changed = {f.name: self._mapped(getattr(value, f.name)) for f in fields(value)}
            return replace(value, **changed)
        if isinstance(value, tuple):
            return tuple(self._mapped(one) for one in value)
        if isinstance(value, dict):
            return {key: self._mapped(one) for key, one in value.items()}
        return value

    def mark(self, made: Object) -> Object:
        """Say in an object that identity was removed, and how; return it."""
        made.PatientIdentityRemoved = "YES"
        made.DeidentificationMethod = [f"{code.meaning}"[:64] for code in METHODS]
        items = []
        for code in METHODS:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
            items.append(item)
        made.DeidentificationMethodCodeSequence = DicomSequence(items)
        made.LongitudinalTemporalInformationModified = "REMOVED"
        for name in (
            "InstanceCreationDate",
            "InstanceCreationTime",
            "SeriesDescription",
            "StudyDescription",
            "PatientAge",
        ):
            if name in made:
                delattr(made, name)
        return made
