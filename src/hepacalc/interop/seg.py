"""DICOM segmentations: the liver in one object, every focus in another, on the grid of the scan's own slices.

Two objects, because a focus lies in the liver and a label map holds one label a voxel: so each keeps its exact
contour, and each can be corrected and handed back (``--liver-mask``, ``--foci-mask``).

Reference: DICOM PS3.3 A.51 (Segmentation), A.90 (Label Map Segmentation), C.8.20.4 (tracking), PS3.16 CID 7150, 7151.
"""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from hepacalc.interop.codes import LIVER, SEGMENT_CODES, Code, SegmentCode, segment_site
from hepacalc.interop.equipment import MANUFACTURER, SERIAL, stamped, written_at
from hepacalc.interop.identity import Tracking, content_uid, content_words, focus_tracking
from hepacalc.interop.source import Source
from hepacalc.interop.sr_items import coded
from hepacalc.records import Assessment, Focus, NotMeasured
from hepacalc.study.tilt import labels_to_source

__all__ = ["FOCI_FILE", "LIVER_FILE", "foci_seg", "liver_seg", "seg_uids"]

LIVER_FILE, FOCI_FILE = "liver.seg.dcm", "foci.seg.dcm"
_SERIES = {"liver": (801, "hepacalc liver"), "foci": (802, "hepacalc foci")}
_FINDER = "hepacalc foci"
_FILTERS = Code("123106", "DCM", "Multi-Scale/Resolution Filtering")
_NETWORK = Code("123110", "DCM", "Artificial Intelligence")
Labels = NDArray[np.uint8] | NDArray[np.uint16]


def seg_uids(content: tuple[str, ...], what: str, segmentation_type: str) -> tuple[str, str]:
    """Return SeriesInstanceUID and SOPInstanceUID of a segmentation.

    Args:
        content: :func:`content_words` of the assessment.
        what: ``liver`` or ``foci``.
        segmentation_type: ``LABELMAP`` or ``BINARY``.
    """
    return content_uid(content, "seg series", what), content_uid(content, "seg", what, segmentation_type)


def liver_seg(assessment: Assessment, source: Source, *, segmentation_type: str = "LABELMAP") -> hd.seg.Segmentation:
    """Return the liver as a segmentation with one segment.

    Args:
        assessment: with the liver on the grid of the volume.
        source: headers of its scan.
        segmentation_type: ``LABELMAP`` or ``BINARY``.
    """
    labels = _on_source(assessment.liver_mask.mask.view(np.uint8), assessment, source)
    own = assessment.liver_mask.method != "file"
    segment = _segment(
        1, "Liver", SEGMENT_CODES["liver"], None, (LIVER,), assessment.liver.method if own else None, assessment
    )
    return _seg(labels, [segment], assessment, source, "liver", segmentation_type)


def foci_seg(assessment: Assessment, source: Source, *, segmentation_type: str = "LABELMAP") -> hd.seg.Segmentation:
    """Return every focus, mimics included, as one segment each; the segment number is the id of the focus.

    Args:
        assessment: with at least one focus.
        source: headers of its scan.
        segmentation_type: ``LABELMAP`` or ``BINARY``.
    """
    labels = _on_source(assessment.labels, assessment, source)
    drawn = "foci_mask" in dict(assessment.run.settings)
    segments = [
        _segment(
            focus.id,
            focus_label(focus),
            SEGMENT_CODES[focus.kind],
            focus_tracking(assessment, focus),
            _site(focus),
            None if drawn else _FINDER,
            assessment,
        )
        for focus in sorted(assessment.foci, key=lambda one: one.id)
    ]
    return _seg(labels, segments, assessment, source, "foci", segmentation_type)


def focus_label(focus: Focus) -> str:
    """Return the label of a focus' segment, at most 64 characters."""
    belongs = "" if focus.lesion is None else f" (lesion {focus.lesion})"
    return f"Focus {focus.id}{belongs}: {focus.kind}, {focus.certainty}"[:64]


def _site(focus: Focus) -> tuple[Code, ...]:
    if focus.kind == "outside-liver":
        return ()
    return (LIVER,) if isinstance(focus.segment, NotMeasured) else (segment_site(focus.segment.dominant),)


def _segment(
    number: int, label: str, code: SegmentCode, tracking: Tracking | None, sites: Sequence[Code],
    algorithm: str | None, assessment: Assessment,
) -> hd.seg.SegmentDescription:  # fmt: skip
    """Return the description of a segment; without an algorithm it was drawn by somebody else."""
    made = algorithm is not None and hd.AlgorithmIdentificationSequence(
        algorithm[:64], coded(_FILTERS if algorithm == _FINDER else _NETWORK), assessment.run.hepacalc_version
    )
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=coded(code.category),
        segmented_property_type=coded(code.type),
        algorithm_type="AUTOMATIC" if made else "MANUAL",
        algorithm_identification=made or None,
        tracking_uid=tracking.uid if tracking else None,
        tracking_id=tracking.id if tracking else None,
        anatomic_regions=[coded(site) for site in sites] or None,
        display_color=hd.color.CIELabColor.from_rgb(*code.rgb),
    )


def _on_source(labels: Labels, assessment: Assessment, source: Source) -> Labels:
    """Return a label map on the grid of the files."""
    if assessment.volume.source_geometry is None:
        return labels
    return labels_to_source(labels, source.geometry, assessment.volume.slice_axis)


def _seg(
    labels: Labels, segments: list[hd.seg.SegmentDescription], assessment: Assessment, source: Source,
    what: str, segmentation_type: str,
) -> hd.seg.Segmentation:  # fmt: skip
    """Return a segmentation of the slices from the first to the last that holds anything."""
    used = np.flatnonzero(labels.any(axis=(1, 2)))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
    frames, labels = source.frames[first : last + 1], labels[first : last + 1]
    if labels.max(initial=0) <= 255:
        labels = labels.astype(np.uint8, copy=False)
    orientation = source.geometry.affine[:3, [2, 1]] / np.linalg.norm(source.geometry.affine[:3, [2, 1]], axis=0)
    _, row_mm, column_mm = source.geometry.spacing_mm
    number, description = _SERIES[what]
    series_uid, sop_uid = seg_uids(content_words(assessment), what, segmentation_type)
    content_date, content_time = written_at(assessment)
    is_labelmap = segmentation_type == "LABELMAP"
    made = hd.seg.Segmentation(
        source_images=[source.header] if source.is_multiframe else [frame.header for frame in frames],
        pixel_array=labels,
        segmentation_type=segmentation_type,
        segment_descriptions=segments,
        series_instance_uid=series_uid,
        series_number=number,
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=assessment.run.hepacalc_version,
        device_serial_number=SERIAL,
        content_label=what.upper(),
        content_description=f"{what} by hepacalc; not reviewed",
        series_description=description,
        content_date=content_date,
        content_time=content_time,
        transfer_syntax_uid=RLELossless if is_labelmap else ExplicitVRLittleEndian,
        pixel_measures=hd.PixelMeasuresSequence(
            (row_mm, column_mm), slice_thickness=source.thickness_mm, spacing_between_slices=source.step_mm
        ),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", orientation.T.ravel().tolist()),
        # without them highdicom takes those of the images, one for each plane, and need not search for them
        plane_positions=(
            [hd.PlanePositionSequence("PATIENT", frame.position) for frame in frames] if source.is_multiframe else None
        ),
        omit_empty_frames=not is_labelmap,
    )
    return stamped(made, assessment)
