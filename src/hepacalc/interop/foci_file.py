"""Foci that a person drew or corrected (3D Slicer, OHIF ...): DICOM SEG or NIfTI, onto the scan's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import GridMismatch, HepacalcError, InvalidObject, StudyNotFound
from hepacalc.foci.drawn import DrawnFoci
from hepacalc.foci.find import FociResult
from hepacalc.interop.codes import LOCAL, SEGMENT_CODES
from hepacalc.liver.mask_file import place_seg
from hepacalc.liver.place import describe_grid, place_exactly, resample_nearest
from hepacalc.liver.seg_file import (
    SegMask,
    is_liver,
    is_segmentation,
    open_seg,
    require_same_space,
    seg_version,
    segment_frames,
    segments_of,
)
from hepacalc.records import Kind, Volume
from hepacalc.study.nifti import read_nifti_labels
from hepacalc.study.slices import shown_uid

__all__ = ["MOST_FOCI", "FociMask", "as_tracked", "kind_of_segment", "read_foci_mask"]

MOST_FOCI = 1000
_KINDS: Mapping[tuple[str, str], Kind] = {
    **{(c.type.scheme, c.type.value): k for k, c in SEGMENT_CODES.items() if k not in ("liver", "indeterminate")},  # type: ignore[misc]
    # what people code the same things as
    ("SCT", "77720000"): "metal", ("SCT", "65818007"): "metal", ("SCT", "40388003"): "metal",
    ("SCT", "56353002"): "metal", ("SCT", "102314001"): "metal", ("SCT", "51114001"): "vessel",
    ("SCT", "29092000"): "vessel", (LOCAL, "calcification"): "calcification",
}  # fmt: skip
"""Property type of a segment -> kind. Tissue, as 3D Slicer codes what nobody named, and Lesion say nothing of it."""


@dataclass(frozen=True, eq=False, slots=True)
class FociMask:
    """Foci as they were given.

    Args:
        drawn: their contours on the volume's grid.
        version: type and UID of the object.
        tracking: label -> Tracking UID that the object gives it.
        warnings: what a reader should check.
    """

    drawn: DrawnFoci
    version: str
    tracking: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_foci_mask(path: Path | str, volume: Volume) -> FociMask:
    """Return the foci in a file on ``volume.geometry``; every segment but the liver is one.

    Nothing is interpolated unless the scan itself was resampled on the way in (gantry tilt) and the mask lies on the
    grid of its files. An empty mask is an answer too: there is no focus.

    Args:
        path: DICOM SEG (BINARY, FRACTIONAL, LABELMAP), or a NIfTI label map.
        volume: the scan.

    Raises:
        StudyNotFound: the path is not a file.
        DamagedFile: it cannot be decoded.
        InvalidObject: no segmentation, segments that overlap, or too many of them.
        OtherStudy: of another study.
        GridMismatch: on another grid or in another frame of reference.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyNotFound(f"the mask of foci {path.name!r} is not a file.", hint="Check the path of --foci-mask.")
    with _named(path):
        return _of_seg(path, volume) if is_segmentation(path) else _of_nifti(path, volume)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of every error that it is the mask which is at fault, not the scan."""
    try:
        yield
    except HepacalcError as error:
        raise type(error)(f"The mask of foci {path.name!r} cannot be used: {error.message}", hint=error.hint) from error


def _of_nifti(path: Path, volume: Volume) -> FociMask:
    values, grid = read_nifti_labels(path)
    target = volume.geometry
    out = np.zeros(target.shape, np.uint16)
    warnings: tuple[str, ...] = ()
    found = [int(n) for n in np.unique(values) if n]
    _require_few(len(found))
    for label in found:
        mask = np.asarray(values == label)
        placed = place_exactly(mask, grid, target)
        if placed is None and volume.source_geometry is not None:
            on_file = place_exactly(mask, grid, volume.source_geometry)
            if on_file is not None:
                warnings = ("the mask was resampled with the scan (gantry tilt)",)
                out[resample_nearest(on_file.mask, volume.source_geometry, target)] = label
                continue
        if placed is None:
            raise GridMismatch(
                f"the mask lies on {describe_grid(grid)}, the scan on {describe_grid(target)}.",
                hint="Give the mask made on this series.",
            )
        if placed.outside:
            warnings = (*warnings, f"{placed.outside} voxels of focus {label} lie outside the scan and were left out")
        out[placed.mask] = label
    # a label map has no codes: mimics of an earlier result may be among its labels
    return FociMask(DrawnFoci(out, {}, are_foci=False), "NIfTI", {}, warnings)


def _require_few(count: int) -> None:
    if count > MOST_FOCI:
        raise InvalidObject(
            f"it holds {count} segments, and at most {MOST_FOCI} are taken for foci.", hint="Give a mask of foci."
        )


def _of_seg(path: Path, volume: Volume) -> FociMask:
    data = open_seg(path, InvalidObject)
    require_same_space(data, volume.acquisition)
    segments = {int(s.SegmentNumber): s for s in segments_of(data) if not is_liver(s)}
    _require_few(len(segments))
    frames = segment_frames(data, path.name)
    unknown = sorted(set(frames) - set(segments) - {int(s.SegmentNumber) for s in segments_of(data)} - {0})
    if unknown:
        raise InvalidObject(
            f"its pixels name segment {unknown[0]}, which it does not describe.", hint="Export the segmentation again."
        )
    out = np.zeros(volume.geometry.shape, np.uint16)
    stated: dict[int, Kind] = {}
    tracking: dict[int, str] = {}
    warnings: dict[str, None] = {}
    for number, segment in sorted(segments.items()):
        if not any(frame.mask.any() for frame in frames.get(number, ())):
            warnings[f"segment {number} of the mask is empty"] = None
            continue
        placed, notes = place_seg(SegMask(frames[number], seg_version(data), ()), volume, allow_resample=False)
        # a lesion drawn on few slices is no fault; what was left out or moved is
        warnings |= dict.fromkeys(note for note in notes if "skips" not in note)
        if placed.outside:
            warnings[f"{placed.outside} voxels of segment {number} lie outside the scan and were left out"] = None
        _refuse_overlap(out, placed.mask, number)
        out[placed.mask] = number
        kind = kind_of_segment(segment)
        if kind is not None:
            stated[number] = kind
        if shown_uid(str(segment.get("TrackingUID", "")), ""):
            tracking[number] = str(segment.TrackingUID)
    return FociMask(DrawnFoci(out, stated), seg_version(data), tracking, tuple(warnings))


def _refuse_overlap(labels: NDArray[np.uint16], mask: NDArray[np.bool_], number: int) -> None:
    shared = labels[mask]
    if shared.any():
        other = int(np.bincount(shared)[1:].argmax()) + 1
        raise InvalidObject(
            f"segments {other} and {number} share {int((shared == other).sum())} voxels, and calcium is counted once.",
            hint="Let each voxel belong to one focus.",
        )


def kind_of_segment(segment: Any) -> Kind | None:
    """Return what a segment is coded as; None where the code says nothing about it."""
    for code in segment.get("SegmentedPropertyTypeCodeSequence", []):
        kind = _KINDS.get((str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeValue", ""))))
        if kind is not None:
            return kind
    return None


def as_tracked(result: FociResult, mask: FociMask) -> FociResult:
    """Return measured foci with the Tracking UIDs of the mask, and with notes on whose contours they are."""
    labels = {focus.id: int(mask.drawn.labels[focus.peak_index]) for focus in result.foci}
    foci = tuple(replace(focus, tracking_uid=mask.tracking.get(labels[focus.id])) for focus in result.foci)
    whose = (
        f"the foci are those of the mask that was given ({mask.version}): measured as drawn, and nothing else was "
        "searched for"
    )
    return replace(result, foci=foci, notes=(whose, *mask.warnings, *result.notes))
