"""Measurement groups of the structured report: the liver, each lesion, and the foci of lesions that have several.

Reference: DICOM PS3.16 TID 1411 (volumetric ROI), TID 1501 (group without ROI), TID 300, TID 310.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import highdicom as hd
from highdicom.sr import RelationshipTypeValues

from hepacalc.interop.codes import (
    CALIBRATION_SLOPE,
    CERTAINTIES,
    CERTAINTY,
    EXTENT,
    KIND,
    KIND_CODES,
    LIVER,
    LIVER_SEGMENT,
    MEASUREMENT_CODES,
    PATTERN,
    PATTERN_CODES,
    SEGMENT_CODES,
    Code,
    segment_site,
)
from hepacalc.interop.identity import Tracking, derived_uid, focus_tracking, lesion_tracking
from hepacalc.interop.sr_items import COMMENT, code_item, coded, measurement, number_item, text_item
from hepacalc.records import Assessment, Focus, Lesion, Measured, Measurement, NotMeasured, Pattern, Segment

__all__ = ["SEGMENTATION_CLASSES", "SegReference", "groups_of"]

SEGMENTATION_CLASSES = {"LABELMAP": "1.2.840.10008.5.1.4.1.1.66.7", "BINARY": "1.2.840.10008.5.1.4.1.1.66.4"}
SHOWN = (
    "volume_mm3", "mass_mg", "max_hu", "mean_hu", "background_hu", "diameter_mm", "diameter_2_mm", "diameter_3_mm",
    "capsule_distance_mm",
)  # fmt: skip
"""Measurements of a focus that the report holds; all stand in ``assessment.json``."""
_COUNT = Code("lesions", "99HEPACALC", "Number of calcified lesions")
_PARENCHYMA = Code("parenchyma-hu", "99HEPACALC", "Attenuation of liver parenchyma")
_NOISE = Code("noise-hu", "99HEPACALC", "Noise of one voxel")
_SMALLEST = Code("smallest-trusted", "99HEPACALC", "Smallest focus that would show")


@dataclass(frozen=True, slots=True)
class SegReference:
    """The segmentations that the groups point to.

    Args:
        sop_class_uid: of both.
        liver_uid: SOPInstanceUID of the liver's.
        foci_uid: SOPInstanceUID of that of the foci.
        source_series_uid: SeriesInstanceUID of the scan.
    """

    sop_class_uid: str
    liver_uid: str
    foci_uid: str
    source_series_uid: str


def groups_of(
    assessment: Assessment, seg: SegReference
) -> list[hd.sr.MeasurementsAndQualitativeEvaluations | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """Return the groups: the liver first, then lesion by lesion.

    Args:
        assessment: what was measured.
        seg: where its contours are.
    """
    foci = {focus.id: focus for focus in assessment.foci}
    out = [_liver(assessment, seg)]
    for lesion in assessment.lesions:
        followed = lesion_tracking(assessment, lesion)
        own = [foci[k] for k in lesion.focus_ids]
        if len(own) == 1:
            out.append(_focus(assessment, seg, own[0], lesion, followed))
            continue
        out.append(_lesion(assessment, seg, lesion, followed))
        out += [_focus(assessment, seg, f, None, focus_tracking(assessment, f)) for f in own]
    return out


def _liver(assessment: Assessment, seg: SegReference) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    liver, burden, line = assessment.liver, assessment.burden, assessment.calibration
    slope, sd = line.mg_per_ml_per_hu, 1.645 * line.relative_sd * line.mg_per_ml_per_hu
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(uid=_liver_uid(assessment), identifier="liver"),
        referenced_segment=_segment(seg, seg.liver_uid, 1),
        finding_type=coded(LIVER),
    )
    _measured(
        group,
        measurement(MEASUREMENT_CODES["volume_mm3"], liver.volume_ml),
        measurement(_PARENCHYMA, liver.parenchyma_hu),
        measurement(_NOISE, liver.noise_hu),
        measurement(_SMALLEST, burden.smallest_trusted_mm),
        measurement(MEASUREMENT_CODES["mass_mg"], burden.total_mass_mg, note="all calcified lesions"),
        measurement(_COUNT, _exactly(burden.calcifications)),
        measurement(CALIBRATION_SLOPE, Measured(slope, "mg/mL/HU", slope - sd, slope + sd, line.source)),
    )
    _add(group, text_item(COMMENT, f"outline: {liver.method}; confidence {liver.confidence:.0%}"))
    _add(group, text_item(COMMENT, "the ranges of uncertainty of this report are 90 % intervals"))
    return group


def _liver_uid(assessment: Assessment) -> str:
    known = assessment.acquisition
    return derived_uid("tracking", "liver", known.frame_of_reference_uid or known.series_instance_uid or "")


def _exactly(count: int) -> Measured:
    return Measured(float(count), "1", float(count), float(count), "count")


def _focus(
    assessment: Assessment, seg: SegReference, focus: Focus, lesion: Lesion | None, followed: Tracking
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the group of a focus; it is that of its lesion too where that has no other focus."""
    numbers = [_shown(name, focus.measurements[name]) for name in SHOWN]
    if lesion is not None:
        numbers.append(measurement(EXTENT, lesion.extent_mm))
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(uid=followed.uid, identifier=followed.id),
        referenced_segment=_segment(seg, seg.foci_uid, focus.id),
        finding_type=coded(SEGMENT_CODES[focus.kind].type),
        finding_sites=_sites(focus.segment),
    )
    _measured(group, *numbers)
    _with_slope(group, assessment)
    what = (
        f"lesion {lesion.id}, focus {focus.id}" if lesion is not None else f"focus {focus.id} of lesion {focus.lesion}"
    )
    _judged(group, lesion or focus, what, focus.reasons)
    return group


def _lesion(
    assessment: Assessment, seg: SegReference, lesion: Lesion, followed: Tracking
) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    """Return the group of a lesion of several foci, which points to all their segments."""
    image = hd.sr.SourceImageForMeasurementGroup(seg.sop_class_uid, seg.foci_uid)
    image.ReferencedSOPSequence[0].ReferencedSegmentNumber = sorted(lesion.focus_ids)
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(uid=followed.uid, identifier=followed.id),
        finding_type=coded(SEGMENT_CODES[lesion.kind].type),
        finding_sites=_sites(lesion.segment),
        source_images=[image],
    )
    _measured(
        group,
        measurement(MEASUREMENT_CODES["volume_mm3"], lesion.volume_mm3),
        _shown("mass_mg", lesion.mass_mg),
        measurement(EXTENT, lesion.extent_mm),
    )
    _with_slope(group, assessment)
    listed = ", ".join(map(str, sorted(lesion.focus_ids)))
    _judged(group, lesion, f"lesion {lesion.id}: foci {listed} together", lesion.reasons)
    return group


def _segment(seg: SegReference, uid: str, number: int) -> hd.sr.ReferencedSegment:
    return hd.sr.ReferencedSegment(
        seg.sop_class_uid, uid, number, source_series=hd.sr.SourceSeriesForSegmentation(seg.source_series_uid)
    )


def _sites(segment: Segment | NotMeasured) -> list[hd.sr.FindingSite]:
    place = LIVER if isinstance(segment, NotMeasured) else segment_site(segment.dominant)
    return [hd.sr.FindingSite(coded(place))]


def _shown(name: str, number: Measurement) -> hd.sr.ContentItem:
    """Return a measurement of a focus; a mass says how it was come by."""
    method = number.method if isinstance(number, Measured) and name == "mass_mg" else ""
    return measurement(MEASUREMENT_CODES[name], number, note=method)


def _measured(group: hd.sr.MeasurementsAndQualitativeEvaluations, *numbers: hd.sr.ContentItem) -> None:
    """Add measurements to a group (highdicom's own constructor searches each of them anew)."""
    for number in numbers:
        _add(group, number)


def _with_slope(group: hd.sr.MeasurementsAndQualitativeEvaluations, assessment: Assessment) -> None:
    """Put the calibration beside the mass that rests on it."""
    line = assessment.calibration
    for item in group[0].ContentSequence:
        if item.name.value == MEASUREMENT_CODES["mass_mg"].value and item.ValueType == "NUM":
            if "ContentSequence" not in item:
                item.ContentSequence = hd.sr.ContentSequence()
            item.ContentSequence.append(number_item(CALIBRATION_SLOPE, line.mg_per_ml_per_hu, "mg/mL/HU"))
            item.ContentSequence.append(text_item(CALIBRATION_SLOPE, line.source, relationship="HAS PROPERTIES"))


def _judged(
    group: hd.sr.MeasurementsAndQualitativeEvaluations, of: Focus | Lesion, what: str, reasons: tuple[str, ...]
) -> None:
    """Add what it is taken for, how surely, its pattern and its place, or why these are not known."""
    _add(group, code_item(KIND, KIND_CODES[of.kind]))
    _add(group, code_item(CERTAINTY, CERTAINTIES[of.certainty]))
    for name, found in ((PATTERN, of.pattern), (LIVER_SEGMENT, of.segment)):
        for item in _shares(name, found):
            _add(group, item)
    _add(group, text_item(COMMENT, "; ".join((what, *reasons))))


def _shares(name: Code, found: Pattern | Segment | NotMeasured) -> Iterator[hd.sr.ContentItem]:
    """Yield the likeliest class as code, and all that are likely in words; or why there is none."""
    if isinstance(found, NotMeasured):
        yield text_item(name, f"not measured: {found.reason}")
        return
    if isinstance(found, Pattern):
        yield code_item(name, PATTERN_CODES[found.dominant])
    else:
        yield code_item(name, segment_site(found.dominant))
    likely = [f"{word} {share:.0%}" for word, share in found.probabilities if share >= 0.1]
    yield text_item(name, ", ".join(likely) or found.dominant)


def _add(group: hd.sr.MeasurementsAndQualitativeEvaluations, item: hd.sr.ContentItem) -> None:
    item.RelationshipType = RelationshipTypeValues.CONTAINS.value
    group[0].ContentSequence.append(item)
