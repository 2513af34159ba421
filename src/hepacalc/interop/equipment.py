"""Who wrote an object, and when: the same for every object of one assessment, so that it can be made again."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from hepacalc.interop.codes import LOCAL, LOCAL_UID
from hepacalc.interop.identity import derived_uid
from hepacalc.records import Assessment

__all__ = ["MANUFACTURER", "SERIAL", "stamped", "written_at"]

MANUFACTURER = "hepacalc"
SERIAL = "none"
"""DeviceSerialNumber is asked for; software has none."""
Object = TypeVar("Object", bound=Dataset)


def written_at(assessment: Assessment) -> tuple[date, time]:
    """Return the local date and time of the assessment, which are those of its objects (as StudyTime is local)."""
    made = datetime.fromisoformat(assessment.run.created).astimezone()
    return made.date(), made.time().replace(microsecond=0)


def stamped(made: Object, assessment: Assessment) -> Object:
    """Set the time of the assessment, UIDs of its content in place of random ones, and name our codes; return it."""
    day, hour = written_at(assessment)
    made.InstanceCreationDate, made.InstanceCreationTime = day.strftime("%Y%m%d"), hour.strftime("%H%M%S")
    for equipment in made.get("ContributingEquipmentSequence") or ():
        equipment.ContributionDateTime = f"{day:%Y%m%d}{hour:%H%M%S}"
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeUID, scheme.CodingSchemeName = LOCAL, LOCAL_UID, MANUFACTURER
    made.CodingSchemeIdentificationSequence = DicomSequence([scheme])
    if "ContentLabel" in made and "ContentCreatorName" not in made:
        made.ContentCreatorName = ""
    if "DimensionOrganizationSequence" in made:
        uid = derived_uid("dimensions", made.SOPInstanceUID)
        made.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
        for index in made.get("DimensionIndexSequence") or ():
            index.DimensionOrganizationUID = uid
    return made
