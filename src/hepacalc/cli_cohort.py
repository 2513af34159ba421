"""``hepacalc cohort``: thousands of scans on this machine or a cluster, their tables and report, readers compared."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepacalc.cli_options import AsJson, Debug, Language, SiteKnowledge
from hepacalc.errors import UsageError
from hepacalc.terminal import write_line

if TYPE_CHECKING:
    from hepacalc.cohort.run import Options, Summary
    from hepacalc.cohort.statistics import Estimate

__all__ = ["cohort"]

cohort = typer.Typer(
    name="cohort",
    help="Assess thousands of studies, and tell what was found in them.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class EngineChoice(StrEnum):
    """Where studies are worked on."""

    LOCAL = "local"
    RAY = "ray"


Folder = Annotated[
    Path, typer.Argument(metavar="OUT", help="Folder that hepacalc cohort run wrote.", show_default=False)
]
Engine = Annotated[EngineChoice, typer.Option("--engine", help="Processes of this machine, or a Ray cluster.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Studies at the same time; else as the cores allow.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, metavar="N", help="Cores for each of them; 1: it keeps one busy and no more."),
]
Address = Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="Of a Ray cluster, or auto.")]
Dicomweb = Annotated[
    str | None, typer.Option("--dicomweb", metavar="URL", help="DICOMweb server that holds the manifest's studies.")
]
DicomwebAuth = Annotated[
    Path | None,
    typer.Option("--dicomweb-auth", metavar="FILE", help="user:password or a token; else in HEPACALC_DICOMWEB_AUTH."),
]
Patients = Annotated[
    Path | None, typer.Option("--patients", metavar="TABLE", help="CSV: what is known of the patients, their site.")
]
StoreAddress = Annotated[
    str | None,
    typer.Option("--store", metavar="PLACE", help="Folder or fsspec address of the results; else OUT/studies."),
]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=1, metavar="S", help="Seconds that one study may take.")]
MemoryLimit = Annotated[
    float | None,
    typer.Option("--memory-limit", min=100, metavar="MB", help="Memory of one worker; else the machine's by workers."),
]
Segmenter = Annotated[str, typer.Option("--segmenter", metavar="NAME", help="What finds the liver.")]
Calibration = Annotated[
    Path | None, typer.Option("--calibration", metavar="FILE", help="Your scanner's own HU-to-calcium lines.")
]
Agatston = Annotated[bool, typer.Option("--agatston", help="Also give an Agatston-like score (not on contrast).")]
AllowGaps = Annotated[bool, typer.Option("--allow-gaps", help="With missing slices, measure the largest block.")]
Today = Annotated[
    str | None, typer.Option("--today", metavar="DAY", help="YYYY-MM-DD from which intervals run; else the first day.")
]
Again = Annotated[
    str | None,
    typer.Option("--again", metavar="CODES", help="Error codes, with commas, whose studies are tried again."),
]


@cohort.command()
def run(
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="Folder of studies, or a CSV manifest.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder of ledger, tables, results.", show_default=False)
    ],
    engine: Engine = EngineChoice.LOCAL,
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    dicomweb: Dicomweb = None,
    dicomweb_auth: DicomwebAuth = None,
    patients: Patients = None,
    store: StoreAddress = None,
    time_limit: TimeLimit = 1800.0,
    memory_limit: MemoryLimit = None,
    segmenter: Segmenter = "embedded",
    calibration: Calibration = None,
    knowledge: SiteKnowledge = None,
    agatston: Agatston = False,
    allow_gaps: AllowGaps = False,
    today: Today = None,
    again: Again = None,
    debug: Debug = False,
) -> None:
    """Assess every study under ROOT that is not done yet; stopped or killed, the same command goes on."""
    from hepacalc.cohort.run import Options

    options = Options(
        engine=engine.value, workers=workers or 0, threads=threads or 0, address=address, dicomweb=dicomweb,
        dicomweb_auth=dicomweb_auth, patients=patients, store=store, seconds=time_limit, memory_mb=memory_limit or 0.0,
        segmenter=segmenter, calibration=calibration, knowledge=knowledge, agatston=agatston, allow_gaps=allow_gaps,
        today=_day(today), again=_codes(again),
    )  # fmt: skip
    _run(root, out, options)


@cohort.command("list")
def list_(
    url: Annotated[str, typer.Argument(metavar="URL", help="Root of a DICOMweb server.", show_default=False)],
    path: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Manifest to write (CSV).", show_default=False)
    ],
    modality: Annotated[str, typer.Option(metavar="NAME", help="That one of its series has.")] = "CT",
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="YYYY-MM-DD: earliest study.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="YYYY-MM-DD: latest study.")] = None,
    dicomweb_auth: DicomwebAuth = None,
    debug: Debug = False,
) -> None:
    """List the studies of a DICOMweb server as a manifest for cohort run: UIDs and numbers of images, no names."""
    from hepacalc.cohort.inputs import dicomweb
    from hepacalc.folders import told

    days = ["" if day is None else f"{day:%Y%m%d}" for day in (_day(first, "--from"), _day(last, "--to"))]
    web = dicomweb()
    found = web.list_studies(web.remote_of(url, dicomweb_auth), modality=modality, first=days[0], last=days[1])
    lines = [f"{one.study_uid},{'' if one.images is None else one.images}\n" for one in found]
    with told(Path(path.name)):
        path.write_text("study_instance_uid,images\n" + "".join(lines), "utf-8", newline="\n")
    write_line(f"Written: {path} ({len(lines)} studies)")


@cohort.command()
def recompute(
    out: Folder,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="ROOT", help="The scans, for stages that must read them again."),
    ] = None,
    engine: Engine = EngineChoice.LOCAL,
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
    dicomweb: Dicomweb = None,
    dicomweb_auth: DicomwebAuth = None,
    patients: Patients = None,
    store: StoreAddress = None,
    calibration: Calibration = None,
    knowledge: SiteKnowledge = None,
    today: Today = None,
    debug: Debug = False,
) -> None:
    """Bring stored results up to this version: only stages whose code, data or options changed are done again."""
    from hepacalc.cohort.run import Options

    options = Options(
        engine=engine.value, workers=workers or 0, threads=threads or 0, address=address, dicomweb=dicomweb,
        dicomweb_auth=dicomweb_auth, patients=patients, store=store, calibration=calibration, knowledge=knowledge,
        today=_day(today),
    )  # fmt: skip
    _run(root, out, options, as_before=True)


@cohort.command()
def report(
    out: Folder,
    path: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="HTML file; else OUT/report.html.")
    ] = None,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Write one page: who was assessed, prevalence with intervals, what was found, quality, failures."""
    from hepacalc.cohort.options import told_by_ledger
    from hepacalc.cohort.report import write_cohort_report

    target = path or out / "report.html"
    write_cohort_report(out, target, command=told_by_ledger(out, "command"), language=language)
    write_line(f"Report: {target}")


@cohort.command()
def agree(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="Folder of a run, or CSV of a reader.", show_default=False)
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="The other one.", show_default=False)],
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Compare lesions voxel by voxel.")] = True,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell how well two runs or readers agree: kappa, ICC, Bland-Altman, Dice of each lesion."""
    from statistics import median

    from hepacalc.cohort.agree import agree as compare
    from hepacalc.cohort.agree import as_json as json_of

    found = compare(first, second, masks=masks)
    if as_json:
        write_line(json_of(found))
        return
    write_line(f"{found.both} studies in both (by {found.joined_by}), {found.only_first} only in A, "
               f"{found.only_second} only in B")  # fmt: skip
    for name, estimate in (
        ("Calcification or not, kappa", found.presence),
        ("Number (0, 1, 2, 3-5, more), weighted kappa", found.number),
        ("Number, ICC(A,1)", found.number_icc),
        ("Total mass, ICC(A,1)", found.mass_icc),
    ):
        if estimate is not None:
            write_line(f"{name}: {_estimate(estimate, 3)}")
    if found.mass_limits is not None:
        write_line(f"Total mass, B - A in mg: {_estimate(found.mass_limits.bias, 2)}; 95 % of differences between "
                   f"{_estimate(found.mass_limits.lower, 2)} and {_estimate(found.mass_limits.upper, 2)}")  # fmt: skip
    if found.compared_masks:
        middle = f"median {median(found.dice):.3f}, least {min(found.dice):.3f}" if found.dice else "none"
        write_line(f"Dice of {len(found.dice)} pairs of lesions in {found.compared_masks} studies: {middle}; "
                   f"without partner {found.unmatched_first} in A, {found.unmatched_second} in B")  # fmt: skip
    elif masks and first.is_dir() and second.is_dir():
        write_line("Dice: no study has its masks stored in both.")


@cohort.command()
def sample(
    out: Folder,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Studies to draw.")] = 100,
    by: Annotated[
        str,
        typer.Option("--by", metavar="COLUMNS", help="With commas: result, age, pattern, columns of studies."),
    ] = "result",
    seed: Annotated[int, typer.Option(min=0, help="Draws the studies.")] = 1,
    path: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="CSV; else standard output.")] = None,
    debug: Debug = False,
) -> None:
    """Draw a stratified list of studies to review by hand, with weights."""
    from hepacalc.cohort.sample import sample_csv, sample_studies
    from hepacalc.folders import told

    strata = tuple(part.strip() for part in by.split(",") if part.strip())
    text = sample_csv(sample_studies(out, by=strata, number=number, seed=seed))
    if path is None:
        sys.stdout.write(text)
        return
    with told(Path(path.name)):
        path.write_text(text, "utf-8", newline="\n")
    write_line(f"Written: {path}")


@cohort.command()
def export(
    out: Folder,
    folder: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="New folder for the tables.", show_default=False)
    ],
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Map keys, leave out paths, UIDs, texts. Must be given.")
    ] = False,
    deidentify_key: Annotated[
        Path | None,
        typer.Option("--deidentify-key", metavar="FILE", help="Your secret: keys are mapped the same."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the tables without identity, to be given away."""
    if not deidentify:
        raise UsageError("the tables as they are lie in OUT/tables.", hint="Give --deidentify to write them without.")
    from hepacalc.cohort.export import export_tables
    from hepacalc.interop.uids import read_key

    counts = export_tables(out, folder, key=None if deidentify_key is None else read_key(deidentify_key))
    write_line(f"Written: {', '.join(f'{name} ({count})' for name, count in counts.items())}")


def _run(root: Path | None, out: Path, options: Options, *, as_before: bool = False) -> None:
    from hepacalc.cohort.policy import REPEATABLE, class_of
    from hepacalc.cohort.run import run_cohort

    with _progress() as progress:
        summary: Summary = run_cohort(root, out, options, as_before=as_before, progress=progress)
    counts = summary.counts
    write_line(
        f"{counts.get('done', 0)} assessed, {counts.get('failed', 0)} failed, {counts.get('duplicate', 0)} there twice,"
        f" {counts.get('gone', 0)} gone; {summary.attempted} worked on in {summary.seconds:.0f} s"
    )
    if summary.failures:
        write_line("\nFailed:")
        for code, name, count in summary.failures:
            write_line(f"  {count:>7}  {code:<7} {name:<22} {class_of(code)}")
        codes = sorted({code for code, _, _ in summary.failures} & set(REPEATABLE))
        write_line("Each path and reason: tables/failures.parquet, cohort report.")
        if codes:
            write_line(f"To try again what may end differently:\n  {summary.command} --again {','.join(codes)}")
    write_line(f"\nTables: {out / 'tables'}")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int, int], None] | None]:
    """Give a callback that draws a bar with rate and time left on standard error, or None when nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("studies"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600) as bars:
        task = bars.add_task("studies", total=None, failed=0, rate="")

        def tell(settled: int, total: int, failed: int) -> None:
            speed = bars.tasks[0].speed
            rate = "" if not speed else f"{3600 * speed:.0f} an hour"
            bars.update(task, completed=settled, total=total, failed=failed, rate=rate)

        yield tell


def _day(text: str | None, option: str = "--today") -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise UsageError(f"{option} wants a day as YYYY-MM-DD.", hint="For example 2026-01-31.") from None


def _codes(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in (text or "").split(",") if part.strip())


def _estimate(found: Estimate, digits: int) -> str:
    if found.value != found.value:
        return "cannot be computed (one value only)"
    return f"{found.value:.{digits}f} (95 % CI {found.low:.{digits}f} to {found.high:.{digits}f})"
