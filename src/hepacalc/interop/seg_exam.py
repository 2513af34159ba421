"""An exam of which only a DICOM SEG of foci is at hand: where they lie and how large they are, no mass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import InvalidObject
from hepacalc.followup.exam import parts_of
from hepacalc.followup.records import Exam, ExamNote, LiverView, OpenedExam, Part, Seen
from hepacalc.geometry import Geometry
from hepacalc.interop.foci_file import MOST_FOCI, kind_of_segment
from hepacalc.liver.seg_file import SegFrame, is_liver, open_seg, segment_frames, segments_of
from hepacalc.records import Kind, Measured, NotMeasured
from hepacalc.study.slices import shown_uid

__all__ = ["read_seg_exam"]

ONLY_CONTOUR = "only its contour was given, not the scan"
VOLUME_SD = 0.15


def read_seg_exam(path: Path, *, ordinal: int | None, study_date: str | None) -> tuple[OpenedExam, str]:
    """Return the exam that a SEG of foci describes, and its frame of reference.

    Args:
        path: DICOM SEG; the liver among its segments is used to lay exams on each other.
        ordinal: day of the exam as a number of days.
        study_date: the same as ISO date.

    Raises:
        DamagedFile: it cannot be decoded.
        InvalidObject: no segmentation, no focus in it, too many, or frames that lie on no common grid.
    """
    data = open_seg(path, InvalidObject)
    frames = segment_frames(data, path.name)
    segments = {int(s.SegmentNumber): s for s in segments_of(data)}
    grid = _grid(frames, path.name)
    liver = np.zeros(grid.shape, bool)
    labels = np.zeros(grid.shape, np.uint16)
    foci = {n: s for n, s in segments.items() if not is_liver(s)}
    if not 0 < len(foci) <= MOST_FOCI:
        raise InvalidObject(
            f"wanted 1 to {MOST_FOCI} foci in {path.name!r}, found {len(foci)}.", hint="Give a segmentation of foci."
        )
    for number, planes in frames.items():
        for plane in planes:
            k = round(float(grid.to_index(plane.geometry.affine[:3, 3])[0]))
            if number in foci:
                labels[k][plane.mask[0]] = number
            else:
                liver[k] |= plane.mask[0]
    parts = parts_of(labels, grid)
    kinds = {n: kind_of_segment(s) for n, s in foci.items()}
    seen = [_seen(part, labels, grid, kinds.get(n) or "calcification") for n, part in parts.items()]
    lesions = tuple(one for one in seen if one.kind in ("calcification", "indeterminate"))
    others = tuple(one for one in seen if one.kind not in ("calcification", "indeterminate"))
    nothing = NotMeasured(ONLY_CONTOUR)
    exam = Exam(lesions, others, LiverView(liver, grid), "", None, nothing, nothing, nothing, None, None, "", ordinal)
    note = ExamNote(
        study_date, shown_uid(str(data.get("StudyInstanceUID", "")), "") or None,
        shown_uid(str(data.get("SeriesInstanceUID", "")), "") or None, "foci", "", None, None, len(lesions),
    )  # fmt: skip
    tracking = {n: str(s.TrackingUID) for n, s in foci.items() if shown_uid(str(s.get("TrackingUID", "")), "")}
    return OpenedExam(exam, note, None, tracking), str(data.get("FrameOfReferenceUID", ""))


def _grid(frames: Mapping[int, tuple[SegFrame, ...]], name: str) -> Geometry:
    """Return the grid that holds the planes of all segments."""
    planes = [plane for some in frames.values() for plane in some]
    if not planes:
        raise InvalidObject(f"{name!r} holds no frame.", hint="Export the segmentation again.")
    first = planes[0].geometry
    normal = first.affine[:3, 0] / np.linalg.norm(first.affine[:3, 0])
    depths = np.unique(np.round([float(normal @ p.geometry.affine[:3, 3]) for p in planes], 3))
    gaps = np.diff(depths)
    step = float(gaps.min()) if len(gaps) else float(planes[0].slice_mm or first.spacing_mm[0])
    even = not len(gaps) or float(np.abs(gaps / step - np.rint(gaps / step)).max()) < 0.05
    alike = all(
        p.mask.shape == planes[0].mask.shape
        and np.allclose(p.geometry.affine[:3, 1:3], first.affine[:3, 1:3], atol=1e-4)
        for p in planes
    )
    if not even or not alike:
        raise InvalidObject(f"the frames of {name!r} lie on no common grid.", hint="Give one segmentation of one scan.")
    lowest = min(planes, key=lambda p: float(normal @ p.geometry.affine[:3, 3]))
    affine = lowest.geometry.affine.copy()
    affine[:3, 0] = normal * step
    count = round((depths[-1] - depths[0]) / step) + 1
    if count > 4000:
        raise InvalidObject(f"the frames of {name!r} span {count} slices.", hint="Give one segmentation of one scan.")
    return Geometry((int(count), *planes[0].mask.shape[1:]), affine)


def _seen(part: Part, labels: NDArray[np.uint16], grid: Geometry, kind: Kind) -> Seen:
    index = np.argwhere(labels == part.focus_id)
    volume = len(index) * grid.voxel_mm3
    x, y, z = (float(v) for v in grid.to_world(index.mean(axis=0)))
    extent = float(np.linalg.norm(part.points_mm.max(axis=0) - part.points_mm.min(axis=0))) + part.radius_mm
    half = 1.645 * VOLUME_SD * volume
    nothing = NotMeasured(ONLY_CONTOUR)
    return Seen(
        part.focus_id, kind, "possible", (x, y, z), (part,), nothing,
        Measured(volume, "mm3", volume - half, volume + half, "voxels of the contour"),
        Measured(extent, "mm", 0.8 * extent, 1.2 * extent, "edge of its box"), nothing, nothing,
    )  # fmt: skip
