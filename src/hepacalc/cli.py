"""The command line: arguments in, one call, an exit status out. Heavy imports wait until they are needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hepacalc.cli_cohort import cohort
from hepacalc.cli_compare import Priors, compare
from hepacalc.cli_evaluate import evaluate
from hepacalc.cli_explain import explain
from hepacalc.cli_export import (
    Deidentify,
    DeidentifyKey,
    PatientId,
    SegType,
    SegTypeChoice,
    export,
    export_context,
    told_files,
    with_source,
)
from hepacalc.cli_knowledge import knowledge
from hepacalc.cli_options import Debug, Language, SiteKnowledge
from hepacalc.cli_patient import patient
from hepacalc.cli_read_report import read_report
from hepacalc.cli_registry import registry
from hepacalc.cli_serve import doctor, serve
from hepacalc.cli_show import show
from hepacalc.errors import UsageError
from hepacalc.terminal import Guard, print_assessment, refuse_used_folder, show_progress, write_line

if TYPE_CHECKING:
    from hepacalc.report.writers import Writer

__all__ = ["app", "main"]

app = typer.Typer(
    name="hepacalc",
    help="Find calcification in the liver on CT, tell it from its mimics and measure it.\n\n"
    "Decision support for research. Not a medical device, no diagnosis, not reviewed by clinicians.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_BAD_ARGUMENTS = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""What Typer raises for arguments it cannot take (ClickException; its module differs between versions)."""


class PhaseChoice(StrEnum):
    """Contrast phases of the phantom."""

    NON_CONTRAST = "non-contrast"
    ARTERIAL = "arterial"
    PORTAL = "portal"
    DELAYED = "delayed"


class KernelChoice(StrEnum):
    """Kernels of the phantom."""

    SOFT = "soft"
    SHARP = "sharp"


class FormatChoice(StrEnum):
    """How a phantom is written."""

    DICOM = "dicom"
    NIFTI = "nifti"


class LiverChoice(StrEnum):
    """Livers of the phantom."""

    NORMAL = "normal"
    FATTY = "fatty"
    IRON = "iron"
    AMIODARONE = "amiodarone"


def _show_version(wanted: bool) -> None:
    if wanted:
        from hepacalc import __version__

        write_line(f"hepacalc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
def assess(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY",
            help="Folder of DICOM files, zip of one, one multi-frame DICOM file, or NIfTI.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.", show_default=False)
    ],
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="Series to read, instead of the fittest one.")
    ] = None,
    liver_mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own liver mask: NIfTI or DICOM SEG.")
    ] = None,
    foci_mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Foci you drew or corrected: DICOM SEG or NIfTI. Measured as they are."),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What finds the liver: embedded (default), totalsegmentator, or one of another package.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your scanner's own HU-to-calcium lines: JSON or CSV.")
    ] = None,
    person: Annotated[
        Path | None,
        typer.Option("--patient", metavar="FILE", help="What is known of the patient: adds causes, red flags, plan."),
    ] = None,
    own_knowledge: SiteKnowledge = None,
    priors: Priors = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="With missing slices, measure the largest regular block.")
    ] = False,
    agatston: Annotated[
        bool, typer.Option("--agatston", help="Also give an Agatston-like score (not on contrast).")
    ] = False,
    formats: Annotated[
        str | None,
        typer.Option(
            "--write", metavar="FORMATS", help="Also write, with commas: seg, sr, ko, fhir, pdf, text, sheet, ics."
        ),
    ] = None,
    language: Language = "en",
    deidentify: Deidentify = False,
    deidentify_key: DeidentifyKey = None,
    patient_id: PatientId = None,
    seg_type: SegType = SegTypeChoice.LABELMAP,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print assessment.json, or the error, on standard output.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Find and measure calcified foci in the liver of one CT study."""
    if liver_mask is not None and segmenter is not None:
        raise UsageError("--liver-mask and --segmenter both say where the liver is.", hint="Give one of them.")
    if own_knowledge is not None and person is None:
        raise UsageError("--knowledge changes nothing without --patient.", hint="Give --patient FILE too.")
    import hepacalc
    from hepacalc.report import check_writable, write_outputs
    from hepacalc.report.comparison import ComparisonWriter
    from hepacalc.report.writers import get_writers

    writers: tuple[Writer, ...] = () if formats is None else get_writers(formats)
    if priors:
        writers = (*writers, ComparisonWriter())
    context = export_context(language, deidentify, patient_id, seg_type, deidentify_key)
    check_writable(out)
    with show_progress() as progress:
        found = hepacalc.assess(
            study, series=series, liver_mask=liver_mask, foci_mask=foci_mask, segmenter=segmenter or "embedded",
            calibration=calibration, agatston=agatston, allow_gaps=allow_gaps, patient=person,
            knowledge=own_knowledge, priors=priors or (), progress=progress,
        )  # fmt: skip
        if progress:
            progress("writing the report", 0.0)
        context = with_source(context, study, found.volume, writers)
        paths = write_outputs(found, out, writers=writers, context=context)
    if as_json:
        sys.stdout.write(paths["assessment.json"].read_text("utf-8"))
    else:
        print_assessment(found, paths["report.html"])
        told_files(writers, found, paths)


@app.command()
def phantom(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="New or empty folder.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Draws everything that is random.")] = 1,
    phase: Annotated[PhaseChoice, typer.Option(help="Contrast phase.")] = PhaseChoice.NON_CONTRAST,
    kvp: Annotated[float, typer.Option(help="Tube voltage in kV.")] = 120.0,
    slice_mm: Annotated[float, typer.Option(help="Distance between slices in mm.")] = 2.5,
    thickness_mm: Annotated[
        float | None, typer.Option(help="Slice thickness in mm; as the distance when left out.")
    ] = None,
    pixel_mm: Annotated[float, typer.Option(help="Pixel size in mm.")] = 0.8,
    matrix: Annotated[
        int | None, typer.Option(min=16, max=1024, help="Pixels a side; enough for the body when left out.")
    ] = None,
    noise_hu: Annotated[float, typer.Option(help="Noise of one voxel of liver in HU.")] = 12.0,
    kernel: Annotated[KernelChoice, typer.Option(help="Reconstruction kernel.")] = KernelChoice.SOFT,
    foci: Annotated[
        int | None, typer.Option(min=0, max=100, help="Number of random foci; a mixed set of ten when left out.")
    ] = None,
    mimics: Annotated[str, typer.Option(help="usual, none, all, or names with commas.")] = "usual",
    liver: Annotated[LiverChoice, typer.Option(help="Kind of liver.")] = LiverChoice.NORMAL,
    file_format: Annotated[FormatChoice, typer.Option("--format", help="What to write.")] = FormatChoice.DICOM,
    debug: Debug = False,
) -> None:
    """Write a digital patient with known calcified foci: a CT, its truth.json and the true masks."""
    refuse_used_folder(out)
    from hepacalc.phantom import generate

    made = generate(
        out, seed=seed, phase=phase.value, kvp=kvp, slice_mm=slice_mm, thickness_mm=thickness_mm, pixel_mm=pixel_mm,
        matrix=matrix, noise_hu=noise_hu, kernel=kernel.value, foci=foci, mimics=mimics, liver=liver.value,
        format=file_format.value,
    )  # fmt: skip
    slices, rows, columns = made.volume.geometry.shape
    scan = out / ("dicom" if file_format is FormatChoice.DICOM else "scan.nii.gz")
    write_line(f"{slices} slices of {rows} x {columns} pixels with {len(made.truth.foci)} foci")
    write_line(f"Scan:  {scan}\nTruth: {out / 'truth.json'}")


for command in (compare, export, explain, patient, evaluate, show, read_report, serve, doctor):
    app.command()(command)
app.add_typer(knowledge)
app.add_typer(cohort)
app.add_typer(registry)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with an exit status from ``errors.STATUS``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with Guard(as_json="--json" in given, debug="--debug" in given):
        try:
            status = app(given or ["--help"], prog_name="hepacalc", standalone_mode=False)
        except _BAD_ARGUMENTS as fault:
            wrong = fault.format_message().replace("Value error, ", "").rstrip(".")
            raise UsageError(f"{wrong}.", hint="See hepacalc --help, or hepacalc COMMAND --help.") from None
        except typer.Abort:
            raise KeyboardInterrupt from None
        if isinstance(status, int) and status:
            raise SystemExit(status)
