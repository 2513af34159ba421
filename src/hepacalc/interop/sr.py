"""The structured report: TID 1500 with a measurement group for the liver and each lesion, and the answer in words.

Reference: DICOM PS3.3 A.35.3 (Comprehensive SR), PS3.16 TID 1500, TID 1600 (image library).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import highdicom as hd
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ImageContentItem,
    RelationshipTypeValues,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes

from hepacalc.interop.codes import (
    CONCLUSION,
    IMAGING_MEASUREMENT_REPORT,
    LOCAL,
    RED_FLAG,
    URGENCIES,
    URGENCY,
    Code,
    cause_code,
)
from hepacalc.interop.equipment import MANUFACTURER, stamped, written_at
from hepacalc.interop.identity import content_uid, content_words, derived_uid
from hepacalc.interop.seg import seg_uids
from hepacalc.interop.source import Source
from hepacalc.interop.sr_groups import SEGMENTATION_CLASSES, SegReference, groups_of
from hepacalc.interop.sr_items import code_item, coded, number_item, text_item
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import Names
from hepacalc.records import Assessment
from hepacalc.report.reason_views import reasoning_of
from hepacalc.report.words import summary

__all__ = ["REPORT_FILE", "evidence_of", "measurement_report", "observer"]

REPORT_FILE = "report.sr.dcm"
_SERIES_NUMBER = 803
_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_DIFFERENTIAL = Code("differential", LOCAL, "Probable causes")
_PROBABILITY = Code("122157", "DCM", "Probability")
_LIMIT = Code("limit", LOCAL, "Limit of the answer")
_PLAN = Code("121075", "DCM", "Recommendation")
_DUE = Code("due", LOCAL, "Due from - to")
_NOT_REVIEWED = "Decision support for research, not a medical device, not reviewed by a clinician."
_SHOWN_CAUSES = 5
"""So many causes stand in the report; all stand in ``assessment.json``."""


def measurement_report(
    assessment: Assessment, source: Source, *, segmentation_type: str = "LABELMAP", dated: bool = True
) -> hd.sr.ComprehensiveSR:
    """Return the report; it points to the segmentations that :mod:`hepacalc.interop.seg` makes of the same assessment.

    Args:
        assessment: what was measured, with reasoning where the patient was told of.
        source: headers of its scan.
        segmentation_type: of the segmentations, ``LABELMAP`` or ``BINARY``.
        dated: whether the dates of the plan may stand in it.
    """
    content = content_words(assessment)
    liver, foci = _segmentations(content, source, segmentation_type)
    reference = SegReference(
        liver.SOPClassUID, liver.SOPInstanceUID, foci.SOPInstanceUID, str(source.header.SeriesInstanceUID)
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer(assessment)),
        procedure_reported=codes.cid100.CTUnspecifiedBodyRegion,
        imaging_measurements=groups_of(assessment, reference),
        title=coded(IMAGING_MEASUREMENT_REPORT),
    )
    root = report[0]
    measured = next(k for k, item in enumerate(root.ContentSequence) if item.name == codes.DCM.ImagingMeasurements)
    root.ContentSequence.insert(measured, _library(source))
    root.ContentSequence.append(_answer(assessment, dated))
    day, hour = written_at(assessment)
    # the tree is put in afterwards: highdicom copies and searches it several times over
    bare = ContainerContentItem(coded(IMAGING_MEASUREMENT_REPORT), template_id="1500")
    bare.ContentSequence = hd.sr.ContentSequence()
    made = hd.sr.ComprehensiveSR(
        evidence=[source.header],
        content=bare,
        series_instance_uid=content_uid(content, "sr series"),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=content_uid(content, "sr", segmentation_type),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="hepacalc measurements",
        content_date=day,
        content_time=hour,
        specific_character_set="ISO_IR 192",
    )
    made.ContentSequence = root.ContentSequence
    used = [*_images(source), liver, *((foci,) if assessment.foci else ())]
    made.CurrentRequestedProcedureEvidenceSequence = evidence_of(used)
    if "PertinentOtherEvidenceSequence" in made:
        del made.PertinentOtherEvidenceSequence
    made.ManufacturerModelName = MANUFACTURER
    made.SoftwareVersions = assessment.run.hepacalc_version
    return stamped(made, assessment)


def evidence_of(images: Iterable[Dataset]) -> DicomSequence:
    """Return the references of a document to what it rests on: study, series, instances (PS3.3 Table 10-10)."""
    series: dict[tuple[str, str], list[Dataset]] = {}
    for image in images:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        series.setdefault((str(image.StudyInstanceUID), str(image.SeriesInstanceUID)), []).append(one)
    studies: dict[str, list[Dataset]] = {}
    for (study_uid, series_uid), instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedSOPSequence = series_uid, DicomSequence(instances)
        studies.setdefault(study_uid, []).append(item)
    out = []
    for study_uid, items in studies.items():
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = study_uid, DicomSequence(items)
        out.append(study)
    return DicomSequence(out)


def _segmentations(content: tuple[str, ...], source: Source, segmentation_type: str) -> tuple[Dataset, Dataset]:
    """Return what names the two segmentations."""
    out = []
    for what in ("liver", "foci"):
        item = _named(source, SEGMENTATION_CLASSES[segmentation_type])
        item.SeriesInstanceUID, item.SOPInstanceUID = seg_uids(content, what, segmentation_type)
        out.append(item)
    return out[0], out[1]


def _named(source: Source, sop_class_uid: str) -> Dataset:
    item = Dataset()
    item.update(source.header)
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
        delattr(item, name)
    item.SOPClassUID = sop_class_uid
    return item


def _images(source: Source) -> list[Dataset]:
    return [source.header] if source.is_multiframe else [frame.header for frame in source.frames]


def observer(assessment: Assessment) -> hd.sr.ObserverContext:
    """Return who observed: this program, as a device."""
    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("device", assessment.run.hepacalc_version),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=f"hepacalc {assessment.run.hepacalc_version}",
        ),
    )


def _library(source: Source) -> ContainerContentItem:
    """Return the image library: one group, for every image of it the same descriptors, said once."""
    contains, context = RelationshipTypeValues.CONTAINS, RelationshipTypeValues.HAS_ACQ_CONTEXT
    library = ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=contains)
    group = ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=contains)
    header = source.header
    _, row_mm, column_mm = source.geometry.spacing_mm
    group.ContentSequence = hd.sr.ContentSequence(
        [
            CodeContentItem(codes.DCM.Modality, codes.cid29.ComputedTomography, context),
            UIDRefContentItem(codes.DCM.FrameOfReferenceUID, header.FrameOfReferenceUID, context),
            *(
                number_item(Code(c.value, "DCM", c.meaning), value, unit, relationship="HAS ACQ CONTEXT")
                for c, value, unit in (
                    (codes.DCM.HorizontalPixelSpacing, column_mm, "mm"),
                    (codes.DCM.VerticalPixelSpacing, row_mm, "mm"),
                    (codes.DCM.SpacingBetweenSlices, source.step_mm, "mm"),
                    (codes.DCM.SliceThickness, source.thickness_mm, "mm"),
                )
            ),
            *(
                ImageContentItem(codes.SCT.Source, image.SOPClassUID, image.SOPInstanceUID, relationship_type=contains)
                for image in _images(source)
            ),
        ]
    )
    library.ContentSequence = hd.sr.ContentSequence([group])
    return library


def _answer(assessment: Assessment, dated: bool) -> ContainerContentItem:
    """Return the conclusion, what limits it, and with a patient the flags, causes and plan."""
    holder = ContainerContentItem(coded(_EVALUATIONS), relationship_type=RelationshipTypeValues.CONTAINS)
    words = summary(assessment)
    items = [text_item(CONCLUSION, line) for line in (words.headline, *words.where, words.size, _NOT_REVIEWED) if line]
    items += [text_item(_LIMIT, limit) for limit in words.limits]
    reasoning = reasoning_of(assessment)
    if reasoning is not None:
        items += [*_flags(reasoning), *_causes(reasoning), *_plan(reasoning, dated)]
    holder.ContentSequence = hd.sr.ContentSequence(items)
    return holder


def _english(names: Names) -> str:
    held = dict(names)
    return held.get("en") or next(iter(held.values()), "")


def _flags(reasoning: Reasoning) -> Iterator[hd.sr.ContentItem]:
    for flag in reasoning.plan.flags:
        item = code_item(RED_FLAG, Code(flag.flag, LOCAL, _english(flag.text)))
        item.ContentSequence = hd.sr.ContentSequence(
            [
                code_item(URGENCY, URGENCIES[flag.urgency], relationship="HAS PROPERTIES"),
                text_item(RED_FLAG, f"{_english(flag.text)} {_english(flag.why)}", relationship="HAS PROPERTIES"),
            ]
        )
        yield item


def _causes(reasoning: Reasoning) -> Iterator[hd.sr.ContentItem]:
    for cause in reasoning.differential.causes[:_SHOWN_CAUSES]:
        item = code_item(_DIFFERENTIAL, cause_code(cause.cause, _english(cause.name)))
        words = (
            f"{cause.probability:.1%} (5-95 % band {cause.low:.1%} to {cause.high:.1%}); mostly judgements, "
            "not calibrated on patients"
        )
        item.ContentSequence = hd.sr.ContentSequence(
            [
                number_item(_PROBABILITY, cause.probability, "1"),
                text_item(_PROBABILITY, words, relationship="HAS PROPERTIES"),
            ]
        )
        yield item


def _plan(reasoning: Reasoning, dated: bool) -> Iterator[hd.sr.ContentItem]:
    for step in reasoning.plan.items:
        item = code_item(_PLAN, Code(step.rule, LOCAL, _english(step.action)))
        how = ", ".join(word for word in (_english(step.modality), _english(step.interval)) if word)
        items = [
            code_item(URGENCY, URGENCIES[step.urgency], relationship="HAS PROPERTIES"),
            text_item(_PLAN, f"{_english(step.action)} ({how}) [{step.status}]", relationship="HAS PROPERTIES"),
        ]
        if step.due is not None and dated:
            items.append(text_item(_DUE, " - ".join(step.due), relationship="HAS PROPERTIES"))
        item.ContentSequence = hd.sr.ContentSequence(items)
        yield item
