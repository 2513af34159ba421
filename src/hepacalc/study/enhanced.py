"""Frames of an enhanced multi-frame CT, and of older multi-frame files that say where their frames lie.

Reference: DICOM PS3.3 C.7.6.16 (multi-frame functional groups), A.38 (Enhanced CT), A.70 (Legacy Converted).
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from hepacalc.study.guard import PARSER_ERRORS
from hepacalc.study.slices import Head, Slice, floats, number, text

__all__ = ["frames"]

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("PlanePositionSequence", ("ImagePositionPatient",)),
    ("PlaneOrientationSequence", ("ImageOrientationPatient",)),
    ("PixelMeasuresSequence", ("PixelSpacing", "SliceThickness")),
    ("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept", "RescaleType")),
    ("CTReconstructionSequence", ("ConvolutionKernel", "ReconstructionFieldOfView")),
    ("CTImageFrameTypeSequence", ("FrameType",)),
    ("CTXRayDetailsSequence", ("KVP",)),
    ("CTAcquisitionDetailsSequence", ("GantryDetectorTilt",)),
    ("FrameContentSequence", ("FrameAcquisitionNumber", "FrameAcquisitionDateTime", "TemporalPositionIndex")),
    ("UnassignedSharedConvertedAttributesSequence", ("KVP", "ConvolutionKernel", "ContrastBolusAgent")),
    ("UnassignedPerFrameConvertedAttributesSequence", ("KVP", "ConvolutionKernel", "AcquisitionNumber")),
    ("ConversionSourceAttributesSequence", ("ReferencedSOPInstanceUID",)),
)
_RENAMED = {
    "FrameType": "ImageType",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionTime",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
}


def frames(head: Head, dataset: Dataset) -> list[Slice]:
    """Return one slice for each frame; none when the frames do not say where they lie.

    Raises:
        guard.PARSER_ERRORS: the functional groups are damaged.
    """
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        return []
    if len(per_frame) != head.frames:
        raise ValueError
    shared_items = dataset.get("SharedFunctionalGroupsSequence") or []
    shared: dict[str, Any] = {}
    for item in shared_items:
        shared |= _group(item)
    result = []
    for number_, item in enumerate(per_frame):
        values = shared | _group(item)
        position = floats(values, "ImagePositionPatient", 3)
        orientation = floats(values, "ImageOrientationPatient", 6)
        spacing = floats(values, "PixelSpacing", 2)
        if position is None or orientation is None or spacing is None or min(spacing) <= 0:
            return []
        slope, intercept = number(values, "RescaleSlope"), number(values, "RescaleIntercept")
        if slope is None and intercept is None:
            slope, intercept = head.number("RescaleSlope"), head.number("RescaleIntercept")
        if intercept is not None and slope is None:
            slope = 1.0
        result.append(Slice(head, number_, values, position, orientation, spacing, slope, intercept))
    return result


def _group(item: Dataset) -> dict[str, Any]:
    """Return the wanted values of one item of functional groups, empty ones left out."""
    found: dict[str, Any] = {}
    for sequence, names in _GROUPS:
        try:
            inner = item.get(sequence)
            first = inner[0] if inner else None
        except PARSER_ERRORS:
            continue
        if first is None:
            continue
        for name in names:
            value = first.get(name)
            if isinstance(value, MultiValue):
                value = "\\".join(str(v) for v in value)
            values = {name: value}
            if value is not None and text(values, name) is not None:
                found[_RENAMED.get(name, name)] = str(value)
    return found
