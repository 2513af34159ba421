"""Key object selection: for each lesion the slice that shows it best.

Reference: DICOM PS3.3 A.35.4, PS3.16 TID 2010, CID 7010.
"""

from __future__ import annotations

import highdicom as hd

from hepacalc.interop.codes import OF_INTEREST
from hepacalc.interop.equipment import MANUFACTURER, stamped, written_at
from hepacalc.interop.identity import content_uid, content_words
from hepacalc.interop.source import Source
from hepacalc.interop.sr import observer
from hepacalc.interop.sr_items import coded
from hepacalc.records import Assessment

__all__ = ["KEY_FILE", "best_slices", "key_objects"]

KEY_FILE = "key-images.ko.dcm"
MOST_IMAGES = 20
_SERIES_NUMBER = 804


def best_slices(assessment: Assessment) -> dict[int, int]:
    """Return for each lesion, heaviest first, the slice (array axis 0 of the source grid) through its brightest voxel.

    A gantry tilt moves pixels within slices only, so the slice number is that of the file too.
    """
    foci = {focus.id: focus for focus in assessment.foci}
    return {one.id: foci[one.focus_ids[0]].peak_index[assessment.volume.slice_axis] for one in assessment.lesions}


def key_objects(assessment: Assessment, source: Source) -> hd.ko.KeyObjectSelectionDocument:
    """Return the selection of the best slice of each of the first :data:`MOST_IMAGES` lesions.

    Args:
        assessment: with at least one lesion.
        source: headers of its scan.
    """
    chosen = dict.fromkeys(list(best_slices(assessment).values())[:MOST_IMAGES])
    frames = [source.frames[k] for k in chosen]
    lesions = len(assessment.lesions)
    described = f"Best slices of {min(lesions, MOST_IMAGES)} of {lesions} lesions; chosen by hepacalc, not reviewed."
    headers = list({frame.header.SOPInstanceUID: frame.header for frame in frames}.values())
    content = hd.ko.KeyObjectSelection(
        document_title=coded(OF_INTEREST),
        referenced_objects=headers,
        observer_device_context=observer(assessment),
        description=described,
    )
    if source.is_multiframe:
        for item in content[0].ContentSequence:
            if item.ValueType == "IMAGE":
                item.ReferencedSOPSequence[0].ReferencedFrameNumber = sorted(f.number for f in frames if f.number)
    words = content_words(assessment)
    day, hour = written_at(assessment)
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=headers,
        content=content,
        series_instance_uid=content_uid(words, "ko series"),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=content_uid(words, "ko"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="hepacalc key images",
        content_date=day,
        content_time=hour,
        specific_character_set="ISO_IR 192",
    )
    return stamped(made, assessment)
