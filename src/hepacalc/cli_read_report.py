"""``hepacalc read-report``: what an old report says of calcification of the liver."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hepacalc.cli_options import Debug
from hepacalc.days import today
from hepacalc.errors import OutputError, UsageError
from hepacalc.terminal import write_line

__all__ = ["read_report"]


class ReportLanguage(StrEnum):
    """Languages of reports."""

    EN = "en"
    ZH = "zh"


def read_report(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="One report as text; or a table of reports: .csv, .tsv, .jsonl, .parquet.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT", help="Where to write: .csv, .tsv, .json, .jsonl or .parquet."),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column of a table with the report; again for each further section."),
    ] = None,
    id_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a table with the id.")] = None,
    language: Annotated[ReportLanguage | None, typer.Option(help="Of the reports, when known.")] = None,
    no_words: Annotated[bool, typer.Option("--no-words", help="Give the places of words, not the words.")] = False,
    patient: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a patient file for hepacalc explain: YAML. One report only."),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="Of the examination, for --patient: YYYY-MM-DD or shorter.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    debug: Debug = False,
) -> None:
    """Read old radiology reports, English or Chinese: calcification of the liver, each answer with its words."""
    from hepacalc.reports.files import is_table

    known = None if language is None else language.value
    if date is not None and patient is None:
        raise UsageError("--date changes nothing without --patient.", hint="Give --patient FILE too.")
    if not is_table(file):
        if text_column or id_column:
            raise UsageError(
                "columns are named, but the file is one report.", hint="Give a .csv, .tsv, .jsonl or .parquet."
            )
        _one(file, out, known, words=not no_words, patient=patient, date=date, as_json=as_json)
        return
    if patient is not None:
        raise UsageError("--patient is for one report, and a table was given.", hint="Give the report as a text file.")
    _table(file, out, text_column or [], id_column, known, words=not no_words, as_json=as_json)


def _one(
    file: Path,
    out: Path | None,
    language: str | None,
    *,
    words: bool,
    patient: Path | None,
    date: str | None,
    as_json: bool,
) -> None:
    from hepacalc.reports.files import read_text_file, write_rows
    from hepacalc.reports.patient_file import patient_data
    from hepacalc.reports.read import read_report as read
    from hepacalc.reports.rows import document_of, row_of, text_of

    found = read(read_text_file(file), language)
    document = json.dumps(document_of(found, file.stem, words=words), ensure_ascii=False, indent=2) + "\n"
    if patient is not None:
        _write(patient, _patient_text(patient_data(found, date=date)))
    if out is not None and out.suffix.lower() == ".json":
        _write(out, document)
    elif out is not None:
        write_rows([row_of(found, file.stem, words=words)], out, sys.stdout)
    if as_json:
        sys.stdout.write(document)
    else:
        write_line(text_of(found, words=words))


def _patient_text(data: dict[str, Any]) -> str:
    import yaml

    from hepacalc.patient.read import read_patient

    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    read_patient(text, today=today())
    return text


def _table(
    file: Path,
    out: Path | None,
    text: list[str],
    identity: str | None,
    language: str | None,
    *,
    words: bool,
    as_json: bool,
) -> None:
    from hepacalc.reports.files import read_table, write_rows

    counts: Counter[str] = Counter()
    rows = _counted(read_table(file, text=text, identity=identity, words=words, language=language), counts)
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    write_rows(rows, out, sys.stdout)
    if out is not None:
        write_line(f"{counts.total()} reports: " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))


def _counted(rows: Iterable[dict[str, Any]], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        counts[str(row["liver_calcification"]).replace("_", " ")] += 1
        yield row


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as fault:
        raise OutputError(
            f"the file cannot be written: {fault.strerror or 'unknown reason'}.", hint="Check the folder and its space."
        ) from None
