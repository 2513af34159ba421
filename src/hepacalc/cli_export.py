"""``hepacalc export``: further formats of a stored assessment; and what ``assess`` needs to write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepacalc.cli_options import Debug, Language
from hepacalc.errors import UsageError
from hepacalc.terminal import write_line

if TYPE_CHECKING:
    from hepacalc.records import Assessment, Volume
    from hepacalc.report.writers import ExportContext, Writer

__all__ = [
    "Deidentify",
    "DeidentifyKey",
    "PatientId",
    "SegType",
    "export",
    "export_context",
    "told_files",
    "with_source",
]


class SegTypeChoice(StrEnum):
    """Kinds of DICOM SEG."""

    LABELMAP = "labelmap"
    BINARY = "binary"


SegType = Annotated[SegTypeChoice, typer.Option("--seg-type", help="Kind of DICOM SEG.")]
Deidentify = Annotated[bool, typer.Option("--deidentify", help="Leave out identity: UIDs are mapped.")]
DeidentifyKey = Annotated[
    Path | None,
    typer.Option(
        "--deidentify-key", metavar="FILE", help="Your secret: UIDs are then mapped the same in every run (else anew)."
    ),
]
PatientId = Annotated[
    str | None,
    typer.Option("--patient-id", metavar="ID", help="Identifier for FHIR: VALUE or SYSTEM|VALUE; else a pseudonym."),
]


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that hepacalc assess wrote.", show_default=False)],
    write: Annotated[
        str,
        typer.Option(
            "--write",
            metavar="FORMATS",
            help="With commas: seg, sr, ko, fhir, pdf, text, sheet, ics.",
            show_default=False,
        ),
    ],
    study: Annotated[
        Path | None, typer.Option(metavar="STUDY", help="The scan that was assessed: for seg, sr, ko and pdf.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the files; OUT when left out.")
    ] = None,
    language: Language = "en",
    deidentify: Deidentify = False,
    deidentify_key: DeidentifyKey = None,
    patient_id: PatientId = None,
    seg_type: SegType = SegTypeChoice.LABELMAP,
    debug: Debug = False,
) -> None:
    """Write further formats of a stored assessment, without assessing the scan again."""
    from hepacalc.interop.uids import is_without_identity
    from hepacalc.report.stored import read_stored
    from hepacalc.report.write import check_writable, write_exports
    from hepacalc.report.writers import get_writers

    writers = get_writers(write)
    lacking = [writer.name for writer in writers if writer.needs_source]
    if lacking and study is None:
        raise UsageError(
            f"{', '.join(lacking)} cannot be written without the scan.", hint="Give it with --study STUDY."
        )
    target = folder or out
    check_writable(target, ())
    assessment = read_stored(out)
    deidentify = deidentify or is_without_identity(assessment)
    context = export_context(language, deidentify, patient_id, seg_type, deidentify_key)
    if study is not None:
        assessment = _scan_again(assessment, study, context.deidentify_key)
    if study is not None:
        context = with_source(context, study, assessment.volume, writers)
    told_files(writers, assessment, write_exports(assessment, target, writers, context))


def export_context(
    language: str,
    deidentify: bool,
    patient_id: str | None,
    seg_type: SegTypeChoice,
    deidentify_key: Path | None = None,
) -> ExportContext:
    """Return what writers are told, before the scan is read.

    Raises:
        UsageError: an identifier that is to be left out; a key that cannot be used, or is not needed.
    """
    from hepacalc.interop.uids import read_key
    from hepacalc.report.language import check_language
    from hepacalc.report.writers import ExportContext

    if deidentify_key is not None and not deidentify:
        raise UsageError("--deidentify-key changes nothing without --deidentify.", hint="Give both, or neither.")

    if deidentify and patient_id is not None:
        raise UsageError("--deidentify leaves out identity, --patient-id gives one.", hint="Give one of the two.")
    return ExportContext(
        language=check_language(language),
        deidentify=deidentify,
        segmentation_type="BINARY" if seg_type is SegTypeChoice.BINARY else "LABELMAP",
        patient_id=patient_id,
        deidentify_key=None if deidentify_key is None else read_key(deidentify_key),
    )


def with_source(context: ExportContext, study: Path, volume: Volume, writers: Sequence[Writer]) -> ExportContext:
    """Return the context with the headers of the scan, where a writer needs them."""
    from hepacalc.report.writers import SourceStudy
    from hepacalc.study.source import read_headers

    if not any(writer.needs_source for writer in writers):
        return context
    return replace(context, source=SourceStudy(read_headers(study, volume)))


def told_files(writers: Sequence[Writer], assessment: Assessment, paths: dict[str, Path]) -> None:
    """Say which files were written, and for which format there was nothing to write."""
    for writer in writers:
        names = writer.files(assessment)
        write_line(f"{writer.name}: {', '.join(str(paths[name]) for name in names) or 'nothing to write'}")


def _scan_again(assessment: Assessment, study: Path, key: bytes | None) -> Assessment:
    """Return a stored assessment with its scan read again."""
    from hepacalc.interop.uids import is_without_identity
    from hepacalc.report.stored import with_scan
    from hepacalc.study import open_study

    # NIfTI has a file name in place of a UID, and may have another now; a mapped UID is that of no series
    has_uid = assessment.acquisition.series_instance_uid is not None and not is_without_identity(assessment)
    series = assessment.series.chosen.series_instance_uid if has_uid else None
    volume, _ = open_study(study, series=series, allow_gaps=True)
    return with_scan(assessment, volume, key)
