"""What an object says when identity was left out: which method, and no date or description of its own.

The headers and the assessment that the objects are made of have lost who, when and the real UIDs already
(:mod:`hepacalc.interop.uids`), so that all objects of a run agree; here the rest of the Basic Profile is done for what
we write. Pixel data is untouched.

Reference: DICOM PS3.15 Table E.1-1 (actions), PS3.16 CID 7050 (methods). Content of reports: Clean Structured Content
Option; nothing in it comes from the header but the mapped UIDs, and it holds no dates.
"""

from __future__ import annotations

from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from hepacalc.interop.codes import Code
from hepacalc.report.writers import ExportContext

__all__ = ["DUMMY_DATE", "METHODS", "mark"]

DUMMY_DATE, DUMMY_TIME = "19000101", "000000"
"""Take the place of ContentDate and ContentTime, which must be there (action D)."""
METHODS = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113104", "DCM", "Clean Structured Content Option"),
)
_REMOVED = (
    "InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime", "SeriesDescription", "StudyDescription",
    "PatientAge", "ContentDescription",
)  # fmt: skip
Object = TypeVar("Object", bound=Dataset)


def mark(made: Object, context: ExportContext) -> Object:
    """Say in an object that identity was removed, and how, when it was; return it."""
    if not context.deidentify:
        return made
    for name in _REMOVED:
        if name in made:
            delattr(made, name)
    for equipment in made.get("ContributingEquipmentSequence") or ():
        del equipment.ContributionDateTime
    if "ContentLabel" in made:
        made.ContentDescription = ""
    made.ContentDate, made.ContentTime = DUMMY_DATE, DUMMY_TIME
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = [code.meaning for code in METHODS]
    items = []
    for code in METHODS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
        items.append(item)
    made.DeidentificationMethodCodeSequence = DicomSequence(items)
    made.LongitudinalTemporalInformationModified = "REMOVED"
    return made
