"""What is in a DICOM SEG, SR or key object selection: ours and other people's, read without trusting any of it.

Nothing that identifies the patient is taken over, so that the answer may be printed and logged.

Reference: DICOM PS3.3 C.8.20 (Segmentation), C.17.3 (SR document content), PS3.16 TID 1500.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from hepacalc.errors import DamagedFile, InvalidObject, StudyNotFound
from hepacalc.interop.read_sr import Answer, MeasurementGroup, answers_of, groups_of, selected_images
from hepacalc.liver.seg_file import SEG_CLASSES, SegFrame, segment_frames, segmentation_type, segments_of
from hepacalc.study.guard import PARSER_ERRORS, quiet
from hepacalc.study.slices import shown_code, shown_uid

__all__ = ["KeyObject", "ReportObject", "SegObject", "SegmentInfo", "read_object"]

_SR_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
)  # fmt: skip
_KO_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, slots=True)
class Common:
    """What every object says of itself.

    Args:
        kind: ``SEG``, ``SR`` or ``KO``.
        sop_instance_uid: of the object.
        series_instance_uid: of its series.
        study_instance_uid: of its study.
        made_by: manufacturer, model and version.
        is_deidentified: whether it says that identity was removed.
    """

    kind: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    made_by: str
    is_deidentified: bool


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One segment.

    Args:
        number: SegmentNumber.
        label: SegmentLabel.
        category: of its property, in words.
        type: of its property, in words.
        algorithm: AUTOMATIC, SEMIAUTOMATIC or MANUAL, and by what.
        sites: anatomic regions, in words.
        tracking_id: Tracking ID; empty without one.
        tracking_uid: Tracking UID; empty without one.
        planes: on how many planes it has voxels.
        voxels: how many it has.
        volume_mm3: voxels times their size; None where the distance of the planes is not known.
    """

    number: int
    label: str
    category: str
    type: str
    algorithm: str
    sites: tuple[str, ...]
    tracking_id: str
    tracking_uid: str
    planes: int
    voxels: int
    volume_mm3: float | None


@dataclass(frozen=True, slots=True)
class SegObject:
    """A segmentation.

    Args:
        about: what it says of itself.
        segmentation_type: BINARY, FRACTIONAL or LABELMAP.
        frame_of_reference_uid: in which it lies.
        rows: of a plane.
        columns: of a plane.
        frames: number of frames.
        pixel_spacing_mm: distance of rows, then of columns.
        slice_mm: distance of the planes by their positions; None for one plane, or uneven ones.
        source_series: SeriesInstanceUIDs that it refers to.
        overlaps: pairs of segments that share voxels, and how many.
        segments: without the background.
    """

    about: Common
    segmentation_type: str
    frame_of_reference_uid: str
    rows: int
    columns: int
    frames: int
    pixel_spacing_mm: tuple[float, ...]
    slice_mm: float | None
    source_series: tuple[str, ...]
    overlaps: tuple[tuple[int, int, int], ...]
    segments: tuple[SegmentInfo, ...]


@dataclass(frozen=True, slots=True)
class ReportObject:
    """A structured report.

    Args:
        about: what it says of itself.
        title: in words.
        template: TID; empty where it says none.
        complete: CompletionFlag, VerificationFlag and PreliminaryFlag.
        references: SOPInstanceUIDs of segmentations that its groups point to.
        groups: measurement groups.
        answers: what else it says, outside the groups.
    """

    about: Common
    title: str
    template: str
    complete: tuple[str, ...]
    references: tuple[str, ...]
    groups: tuple[MeasurementGroup, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class KeyObject:
    """A key object selection: its title, its description, and the images (UID, frame number or None)."""

    about: Common
    title: str
    description: str
    images: tuple[tuple[str, int | None], ...]


def read_object(path: Path | str) -> SegObject | ReportObject | KeyObject:
    """Return what is in a DICOM SEG, SR or key object selection.

    Raises:
        StudyNotFound: the path is not a file.
        DamagedFile: it cannot be parsed or decoded.
        InvalidObject: it is another kind of object.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyNotFound(f"{path.name!r} is not a file.", hint="Check the path.")
    broken = DamagedFile(f"{path.name!r} cannot be read as DICOM.", hint="Copy or export it again.")
    with quiet():
        try:
            data = pydicom.dcmread(path)
            kind = str(data.get("SOPClassUID", ""))
            if kind in SEG_CLASSES:
                return _seg(data, path.name)
            if kind in _SR_CLASSES:
                return _report(data)
            if kind == _KO_CLASS:
                return _key(data)
        except PARSER_ERRORS as cause:
            raise broken from cause
    raise InvalidObject(
        f"wanted a DICOM Segmentation, Structured Report or Key Object Selection, found "
        f"{shown_code(str(data.get('Modality', '')), 'no modality')} in {path.name!r}.",
        hint="A scan is read by hepacalc assess.",
    )


def _common(data: Any, kind: str) -> Common:
    made = (str(data.get(name) or "").strip() for name in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"))
    return Common(
        kind,
        shown_uid(str(data.get("SOPInstanceUID", "")), ""),
        shown_uid(str(data.get("SeriesInstanceUID", "")), ""),
        shown_uid(str(data.get("StudyInstanceUID", "")), ""),
        " ".join(dict.fromkeys(word for word in made if word)),
        str(data.get("PatientIdentityRemoved", "")) == "YES",
    )


# ---------------------------------------------------------------- SEG


def _seg(data: Any, name: str) -> SegObject:
    frames = segment_frames(data, name)
    planes = [frame for one in frames.values() for frame in one]
    step = _step(planes)
    spacing = tuple(float(n) for n in planes[0].geometry.spacing_mm[1:]) if planes else ()
    voxel = None if step is None else step * spacing[0] * spacing[1]
    return SegObject(
        _common(data, "SEG"),
        segmentation_type(data),
        shown_uid(str(data.get("FrameOfReferenceUID", "")), ""),
        int(data.Rows),
        int(data.Columns),
        int(data.get("NumberOfFrames") or 1),
        spacing,
        step,
        tuple(
            shown_uid(str(item.get("SeriesInstanceUID", "")), "") for item in data.get("ReferencedSeriesSequence") or ()
        ),
        _overlaps(frames),
        tuple(_segment(one, frames.get(int(one.SegmentNumber), ()), voxel) for one in segments_of(data)),
    )


def _step(planes: list[SegFrame]) -> float | None:
    """Return the distance of neighbouring planes; the smallest gap where some are left out, None where it varies."""
    if not planes:
        return None
    normal = planes[0].geometry.affine[:3, 0]
    depths = np.unique(np.round([float(normal @ p.geometry.affine[:3, 3]) for p in planes], 3))
    if len(depths) < 2:
        return planes[0].slice_mm
    gaps = np.diff(depths)
    stated = planes[0].slice_mm
    if stated and np.abs(gaps / stated - np.rint(gaps / stated)).max() < 0.05:
        # planes may be left out: what the file says then fits every gap
        return stated
    step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    even = np.abs(gaps / step - np.rint(gaps / step)).max() < 0.05
    return round(step, 4) if even else None


def _overlaps(frames: dict[int, tuple[SegFrame, ...]]) -> tuple[tuple[int, int, int], ...]:
    """Return pairs of segments that share voxels."""
    places: dict[tuple[float, ...], list[tuple[int, SegFrame]]] = {}
    for number, planes in frames.items():
        for plane in planes:
            places.setdefault(tuple(np.round(plane.geometry.affine[:3, 3], 2)), []).append((number, plane))
    shared: dict[tuple[int, int], int] = {}
    for here in places.values():
        for k, (first, one) in enumerate(here):
            for second, other in here[k + 1 :]:
                count = int((one.mask & other.mask).sum())
                if count and first != second:
                    pair = (min(first, second), max(first, second))
                    shared[pair] = shared.get(pair, 0) + count
    return tuple((first, second, count) for (first, second), count in sorted(shared.items()))


def _segment(segment: Any, frames: tuple[SegFrame, ...], voxel_mm3: float | None) -> SegmentInfo:
    counts = [int(frame.mask.sum()) for frame in frames]
    used = [n for n in counts if n]
    algorithm = (str(segment.get(name) or "") for name in ("SegmentAlgorithmType", "SegmentAlgorithmName"))
    return SegmentInfo(
        int(segment.SegmentNumber),
        str(segment.get("SegmentLabel", "")),
        _meaning(segment, "SegmentedPropertyCategoryCodeSequence"),
        _meaning(segment, "SegmentedPropertyTypeCodeSequence"),
        " ".join(word for word in algorithm if word),
        tuple(_meanings(segment.get("AnatomicRegionSequence") or ())),
        str(segment.get("TrackingID", "")),
        shown_uid(str(segment.get("TrackingUID", "")), ""),
        len(used),
        sum(used),
        None if voxel_mm3 is None else sum(used) * voxel_mm3,
    )


def _meanings(sequence: Any) -> Iterator[str]:
    for item in sequence:
        yield str(item.get("CodeMeaning", ""))


def _meaning(item: Any, name: str) -> str:
    return next(_meanings(item.get(name) or ()), "")


# ---------------------------------------------------------------- SR, KO


def _report(data: Any) -> ReportObject:
    groups = tuple(groups_of(data))
    template = (data.get("ContentTemplateSequence") or [{}])[0].get("TemplateIdentifier", "")
    return ReportObject(
        _common(data, "SR"),
        _meaning(data, "ConceptNameCodeSequence"),
        str(template),
        tuple(str(data.get(n)) for n in ("CompletionFlag", "VerificationFlag", "PreliminaryFlag") if data.get(n)),
        tuple(dict.fromkeys(group.segmentation_uid for group in groups if group.segmentation_uid)),
        groups,
        tuple(answers_of(data)),
    )


def _key(data: Any) -> KeyObject:
    description, images = selected_images(data)
    return KeyObject(_common(data, "KO"), _meaning(data, "ConceptNameCodeSequence"), description, images)
