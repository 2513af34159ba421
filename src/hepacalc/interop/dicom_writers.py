"""The writers of DICOM objects for ``--write``: segmentations, structured report, key object selection.

The libraries are kept quiet: highdicom quotes a name that it finds odd in a warning.
"""

from __future__ import annotations

from pathlib import Path

from hepacalc.interop.deidentify import mark
from hepacalc.interop.key_objects import KEY_FILE, key_objects
from hepacalc.interop.seg import FOCI_FILE, LIVER_FILE, foci_seg, liver_seg
from hepacalc.interop.source import Source, source_of
from hepacalc.interop.sr import REPORT_FILE, measurement_report
from hepacalc.records import Assessment
from hepacalc.report.writers import ExportContext
from hepacalc.study.guard import quiet

__all__ = ["KeyObjectWriter", "ReportWriter", "SegWriter"]


def _source(assessment: Assessment, context: ExportContext) -> Source:
    return source_of(assessment, () if context.source is None else context.source.datasets)


class SegWriter:
    """Writes ``liver.seg.dcm``, and ``foci.seg.dcm`` when there is a focus."""

    name = "seg"
    needs_source = True

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the names of the files."""
        return (LIVER_FILE, FOCI_FILE) if assessment.foci else (LIVER_FILE,)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the segmentations.

        Raises:
            UsageError: the scan was no DICOM.
            OtherStudy: the source is another scan.
            GridMismatch: a slice of the source is missing.
        """
        source, kind = _source(assessment, context), context.segmentation_type
        with quiet():
            mark(liver_seg(assessment, source, segmentation_type=kind), context).save_as(folder / LIVER_FILE)
            if assessment.foci:
                mark(foci_seg(assessment, source, segmentation_type=kind), context).save_as(folder / FOCI_FILE)


class ReportWriter:
    """Writes ``report.sr.dcm``, which points to the segmentations of :class:`SegWriter`."""

    name = "sr"
    needs_source = True

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the file."""
        return (REPORT_FILE,)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the report; raises as :class:`SegWriter`."""
        source, kind = _source(assessment, context), context.segmentation_type
        with quiet():
            made = measurement_report(assessment, source, segmentation_type=kind, dated=not context.deidentify)
            mark(made, context).save_as(folder / REPORT_FILE)


class KeyObjectWriter:
    """Writes ``key-images.ko.dcm``; nothing when there is no lesion."""

    name = "ko"
    needs_source = True

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the file, or nothing when there is no lesion."""
        return (KEY_FILE,) if assessment.lesions else ()

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the selection when there is a lesion; raises as :class:`SegWriter`."""
        if assessment.lesions:
            with quiet():
                mark(key_objects(assessment, _source(assessment, context)), context).save_as(folder / KEY_FILE)
