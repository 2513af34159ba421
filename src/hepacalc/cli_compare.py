"""``hepacalc compare``: what became of each lesion since earlier exams."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepacalc.cli_export import Deidentify
from hepacalc.cli_options import Debug, Language
from hepacalc.terminal import show_progress, write_line

if TYPE_CHECKING:
    from hepacalc.followup.records import FollowUp

__all__ = ["Priors", "compare"]

Priors = Annotated[
    list[Path] | None,
    typer.Option(
        "--prior",
        metavar="EXAM",
        help="Earlier exam to compare with (may be repeated): scan, folder of assess -o, DICOM SEG of foci.",
    ),
]


def compare(
    prior: Annotated[
        Path,
        typer.Argument(
            metavar="PRIOR",
            help="Earlier exam: a scan, a folder that assess -o wrote, or a DICOM SEG of foci.",
            show_default=False,
        ),
    ],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="Later exam, likewise.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.", show_default=False)
    ],
    more: Priors = None,
    language: Language = "en",
    deidentify: Deidentify = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print comparison.json, or the error, on standard output.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Say what became of each calcified lesion between an earlier exam and a later one."""
    import hepacalc
    from hepacalc.report import check_writable
    from hepacalc.report.comparison import COMPARISON_OUTPUTS, write_comparison

    check_writable(out, COMPARISON_OUTPUTS)
    with show_progress() as progress:
        if progress:
            progress("comparing the exams", 0.0)
        found = hepacalc.compare([prior, *(more or ())], current)
        paths = write_comparison(found, out, language=language, deidentify=deidentify)
    if as_json:
        sys.stdout.write(paths["comparison.json"].read_text("utf-8"))
    else:
        _print(found)
        write_line(f"\nReport: {paths['comparison.html']}")


def _print(followup: FollowUp) -> None:
    """Print a line a lesion, newest earlier exam first."""
    from hepacalc.report.words import measurement_text

    for comparison in followup.comparisons:
        days = "interval not known" if comparison.interval_days is None else f"{comparison.interval_days} days"
        write_line(f"Since {comparison.prior.study_date or 'an exam without date'} ({days}):")
        for change in comparison.lesions:
            ids = " -> ".join(",".join(f"L{k}" for k in some) or "none" for some in (change.prior, change.current))
            write_line(f"  {change.status:15s} {ids:15s} {measurement_text(change.mass_change_percent)}")
            write_line(f"    {'; '.join(change.reasons)}")
        for limit in comparison.limits:
            write_line(f"  Limit: {limit}")
    for note in followup.notes:
        write_line(f"Limit: {note}")
