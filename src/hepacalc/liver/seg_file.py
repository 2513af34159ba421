"""The liver segment of a DICOM segmentation object, frame by frame, as other people write them.

Reference: DICOM PS3.3 C.8.20 (Segmentation) and A.51; PS3.16 CID 7166 for the property codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from hepacalc.errors import DamagedFile, GridMismatch, HepacalcError, InvalidLiverMask, OtherStudy
from hepacalc.geometry import Geometry
from hepacalc.records import Acquisition
from hepacalc.study.guard import PARSER_ERRORS
from hepacalc.study.slices import shown_code, shown_uid

__all__ = [
    "SEG_CLASSES",
    "SegFrame",
    "SegMask",
    "is_liver",
    "is_segmentation",
    "open_seg",
    "read_seg",
    "require_same_space",
    "seg_version",
    "segment_frames",
    "segmentation_type",
    "segments_of",
]

_LIVER_CODES = {("SCT", "10200004"), ("SRT", "T-62000"), ("SNM3", "T-62000"), ("99SDM", "T-62000")}
SEG_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}


@dataclass(frozen=True, eq=False, slots=True)
class SegFrame:
    """One plane of a segment.

    Args:
        mask: bool ``(1, y, x)``.
        geometry: its grid; the first step is one millimetre along the normal and means nothing.
        slice_mm: SpacingBetweenSlices or else SliceThickness that the file states; None without.
    """

    mask: NDArray[np.bool_]
    geometry: Geometry
    slice_mm: float | None


@dataclass(frozen=True, eq=False, slots=True)
class SegMask:
    """The chosen segment.

    Args:
        frames: its planes, in the order of the file; planes that the file leaves out are empty.
        version: type and UID of the object.
        warnings: what a reader should check.
    """

    frames: tuple[SegFrame, ...]
    version: str
    warnings: tuple[str, ...]


def is_segmentation(path: Path) -> bool:
    """Return whether ``path`` is a DICOM file (by its preamble) rather than NIfTI."""
    with path.open("rb") as stream:
        head = stream.read(132)
    return head[128:132] == b"DICM"


def read_seg(path: Path, acquisition: Acquisition, *, label: int | str | None = None) -> SegMask:
    """Return the liver segment of a DICOM SEG.

    BINARY, FRACTIONAL (half of the maximum or more counts) and LABELMAP objects are read.

    Args:
        path: the file.
        acquisition: of the scan that the mask should belong to.
        label: segment number or SegmentLabel; None picks the segment coded or named as liver.

    Raises:
        DamagedFile: it cannot be parsed or decoded.
        InvalidLiverMask: not a segmentation, or no single liver segment.
        OtherStudy: it belongs to another study than the scan.
        GridMismatch: it lies in another frame of reference than the scan.
    """
    data = open_seg(path)
    require_same_space(data, acquisition)
    number, warnings = _choose(data, label)
    return SegMask(segment_frames(data, path.name).get(number, ()), seg_version(data), warnings)


def open_seg(path: Path, wrong: type[HepacalcError] = InvalidLiverMask) -> Any:
    """Return the data set of a DICOM segmentation.

    Args:
        path: the file.
        wrong: what to raise when it is another kind of object.

    Raises:
        DamagedFile: it cannot be parsed.
        HepacalcError: ``wrong``.
    """
    try:
        data = pydicom.dcmread(path)
    except PARSER_ERRORS as error:
        raise DamagedFile(
            f"the mask {path.name!r} cannot be read as DICOM: {type(error).__name__}.",
            hint="Export the segmentation again.",
        ) from error
    if str(data.get("SOPClassUID", "")) not in SEG_CLASSES:
        raise wrong(
            f"wanted a DICOM Segmentation, found {shown_code(data.get('Modality'), 'no modality')} in {path.name!r}.",
            hint="Give a DICOM SEG or a NIfTI label map.",
        )
    return data


def seg_version(data: Any) -> str:
    """Return type and UID of a segmentation, in words."""
    return f"DICOM SEG {segmentation_type(data)} {shown_uid(str(data.get('SOPInstanceUID', '')), '')}".strip()


def segmentation_type(data: Any) -> str:
    """Return SegmentationType; BINARY where it is not said."""
    found = str(data.get("SegmentationType") or "BINARY")
    return found if found in ("BINARY", "FRACTIONAL", "LABELMAP") else "of unknown type"


def require_same_space(data: Any, acquisition: Acquisition) -> None:
    """Make sure that a segmentation belongs to the study and frame of reference of a scan.

    Raises:
        OtherStudy: another study; both UIDs are shown.
        GridMismatch: another frame of reference; both UIDs are shown.
    """
    study, wanted_study = str(data.get("StudyInstanceUID", "")), acquisition.study_instance_uid
    if study and wanted_study and study != wanted_study:
        raise OtherStudy(
            f"the mask belongs to study {shown_uid(study)}, the scan to study {shown_uid(wanted_study)}.",
            hint="Give the mask that was made on this scan.",
        )
    frame, wanted_frame = str(data.get("FrameOfReferenceUID", "")), acquisition.frame_of_reference_uid
    if frame and wanted_frame and frame != wanted_frame:
        raise GridMismatch(
            f"the mask lies in frame of reference {shown_uid(frame)}, the scan in {shown_uid(wanted_frame)}.",
            hint="Give the mask that was made on this series, or register and export it again.",
        )


def _choose(data: Any, label: int | str | None) -> tuple[int, tuple[str, ...]]:
    segments = segments_of(data)
    listing = "; ".join(f"{s.get('SegmentNumber')} {_name(s)}" for s in segments) or "none"
    if label is not None:
        wanted = [s for s in segments if str(label) in {str(s.get("SegmentNumber")), str(s.get("SegmentLabel"))}]
    else:
        wanted = [s for s in segments if is_liver(s)]
        if not wanted:
            wanted = [s for s in segments if _is_called_liver(s)]
        if not wanted and len(segments) == 1:
            only = segments[0]
            warning = f"the only segment of the mask is called {_name(only)}, not liver: check that it is the liver"
            return int(only.SegmentNumber), (warning,)
    if len(wanted) != 1:
        what = f"label {label!r}" if label is not None else "the liver"
        raise InvalidLiverMask(
            f"wanted one segment for {what}, found {len(wanted)}; the file holds: {listing}.",
            hint="Name the segment by its number.",
        )
    return int(wanted[0].SegmentNumber), ()


def segments_of(data: Any) -> list[Any]:
    """Return the described segments of a segmentation, without the background of a label map."""
    return [s for s in data.get("SegmentSequence", []) if not _is_background(s)]


def _codes(segment: Any) -> list[tuple[str, str]]:
    return [
        (str(c.get("CodingSchemeDesignator", "")), str(c.get("CodeValue", c.get("LongCodeValue", ""))))
        for c in segment.get("SegmentedPropertyTypeCodeSequence", [])
    ]


def is_liver(segment: Any) -> bool:
    """Whether a segment is coded as liver."""
    return any(code in _LIVER_CODES for code in _codes(segment))


def _is_called_liver(segment: Any) -> bool:
    return str(segment.get("SegmentLabel", "")).strip().lower() in {"liver", "whole liver", "hepar", "leber", "foie"}


def _is_background(segment: Any) -> bool:
    return int(segment.get("SegmentNumber", 0)) == 0 or ("DCM", "125040") in _codes(segment)


def _name(segment: Any) -> str:
    meaning = [str(c.get("CodeMeaning", "")) for c in segment.get("SegmentedPropertyTypeCodeSequence", [])]
    label = str(segment.get("SegmentLabel", "")) or "without label"
    return f"{label!r} ({meaning[0]})" if meaning and meaning[0] else repr(label)


def segment_frames(data: Any, name: str) -> dict[int, tuple[SegFrame, ...]]:
    """Return the planes of every segment that holds anything, in the order of the file.

    Args:
        data: a segmentation.
        name: of its file, for messages.

    Raises:
        DamagedFile: it cannot be decoded.
    """
    kind = segmentation_type(data)
    found: dict[int, list[SegFrame]] = {}
    try:
        pixels = data.pixel_array
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        shared = data.SharedFunctionalGroupsSequence[0] if data.get("SharedFunctionalGroupsSequence") else {}
        half = 0.5 * float(data.get("MaximumFractionalValue", 255)) if kind == "FRACTIONAL" else 0.5
        for image, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
            plane = _plane(group, shared, image.shape)
            if kind == "LABELMAP":
                masks = {int(n): image == n for n in np.unique(image) if n != 0}
            else:
                masks = {int(_macro(group, shared, "SegmentIdentification").ReferencedSegmentNumber): image >= half}
            for number, mask in masks.items():
                found.setdefault(number, []).append(SegFrame(mask[None], plane, _slice_mm(group, shared)))
    except PARSER_ERRORS as error:
        raise DamagedFile(
            f"the segmentation {name!r} cannot be decoded: {type(error).__name__}.",
            hint="Export the segmentation again, uncompressed.",
        ) from error
    return {number: tuple(frames) for number, frames in found.items()}


def _macro(group: Any, shared: Any, name: str) -> Any:
    """Return the first item of a functional group macro, per frame or shared."""
    sequence = group.get(f"{name}Sequence") or shared.get(f"{name}Sequence")
    if not sequence:
        raise KeyError(f"{name}Sequence")
    return sequence[0]


def _plane(group: Any, shared: Any, shape: tuple[int, int]) -> Geometry:
    position = np.array(_macro(group, shared, "PlanePosition").ImagePositionPatient, float)
    cosines = np.array(_macro(group, shared, "PlaneOrientation").ImageOrientationPatient, float)
    rows, columns = (float(v) for v in _macro(group, shared, "PixelMeasures").PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = np.cross(cosines[:3], cosines[3:])
    affine[:3, 1] = cosines[3:] * rows
    affine[:3, 2] = cosines[:3] * columns
    affine[:3, 3] = position
    return Geometry((1, shape[0], shape[1]), affine)


def _slice_mm(group: Any, shared: Any) -> float | None:
    measures = _macro(group, shared, "PixelMeasures")
    stated = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return float(stated) if stated else None
