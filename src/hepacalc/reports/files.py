"""Reports in files: one text, or a table with a report a row; rows out as CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from hepacalc.errors import InvalidReport, OutputError, UsageError
from hepacalc.reports.read import LONGEST, read_report
from hepacalc.reports.rows import COLUMNS, row_of

__all__ = ["TABLES", "is_table", "read_table", "read_text_file", "write_rows"]

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
OUTPUTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
TEXT_COLUMNS = (
    "report", "report_text", "text", "报告", "报告内容", "报告正文", "history", "indication", "临床病史", "检查方法",
    "technique", "findings", "检查所见", "影像所见", "超声所见", "影像表现", "描述", "impression", "conclusion",
    "诊断意见", "影像诊断", "超声提示", "检查提示", "诊断结论", "诊断", "结论", "提示", "建议", "recommendation",
)  # fmt: skip
"""Columns that are read when none is named, in this order; each is read as a section of its own."""
ID_COLUMNS = (
    "id", "report_id", "accession_number", "accession", "study_uid", "studyinstanceuid", "exam_id", "study_id",
    "检查号", "报告号", "编号", "影像号", "体检号", "检查编号",
)  # fmt: skip
_ENCODINGS = ("utf-8-sig", "gb18030")
_BATCH = 2000


def is_table(path: Path) -> bool:
    """Return whether the name of a file says that it is a table of reports."""
    return path.suffix.lower() in TABLES


def read_text_file(path: Path) -> str:
    """Return the text of one report: UTF-8, UTF-16 with its mark, or GB 18030.

    Raises:
        InvalidReport: it cannot be read, is empty, too long, or no text.
    """
    text = _decoded(_bytes(path, 4 * LONGEST + 4))
    if not text.strip():
        raise InvalidReport("wanted the text of a report, found an empty file.", hint="Check the path.")
    if len(text) > LONGEST:
        raise InvalidReport(
            f"wanted one report, found {len(text)} characters.",
            hint=f"At most {LONGEST}; give many reports as a table.",
        )
    return text


def read_table(path: Path, *, text: Sequence[str] = (), identity: str | None = None, words: bool = True,
               language: str | None = None) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield one row a report, in the order of the table.

    Args:
        path: CSV, TSV, JSON lines or Parquet, by its suffix.
        text: columns that hold the report; several are read as its sections. Without: those of the usual names.
        identity: column with the id; without: one of the usual names, else the number of the row from 1.
        words: whether the words that decide stand in the rows.
        language: of all reports, when known.

    Raises:
        InvalidReport: the table cannot be read.
        UsageError: a column that is named is not there, or no column of a usual name.
    """
    records = _records(path)
    first = next(records, None)
    if first is None:
        return
    names = list(first)
    columns, key = _columns(names, text), _identity(names, identity)
    for number, record in enumerate(chain([first], records), 1):
        parts = {c: str(value) for c in columns if (value := record.get(c)) not in (None, "")}
        body = "\n".join(f"{c}:\n{part}" for c, part in parts.items()) if len(columns) > 1 else "".join(parts.values())
        name = str(record.get(key) or number) if key else str(number)
        found = read_report(body, language)
        problem = "" if body.strip() else "no text"
        if len(body) > LONGEST:
            problem = f"only the first {LONGEST} characters were read"
        row = row_of(found, name, words=words, problem=problem)
        if len(columns) > 1:
            row |= _in_column(row, parts)
        yield row


def _in_column(row: Mapping[str, Any], parts: Mapping[str, str]) -> dict[str, Any]:
    """Places count within the column that the words stand in, not within the joined text."""
    start, end, at = row["start"], row["end"], 0
    for column, part in parts.items():
        at += len(column) + 2
        if start is not None and at <= start < at + len(part):
            return {"start": start - at, "end": end - at, "words": row["words"] and part[start - at : end - at]}
        at += len(part) + 1
    return {}


def _columns(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    if missing := [c for c in wanted if c not in names]:
        raise UsageError(
            f"the table has no column {', '.join(missing)}; it has {', '.join(names[:20])}.", hint="Name one of these."
        )
    if wanted:
        return list(wanted)
    usual = {c: TEXT_COLUMNS.index(c.strip().lower()) for c in names if c.strip().lower() in TEXT_COLUMNS}
    found = sorted(usual, key=usual.__getitem__)
    if not found:
        raise UsageError(
            f"no column of the table has a usual name for a report; it has {', '.join(names[:20])}.",
            hint="Name it: --text-column COLUMN; several are read as sections.",
        )
    return found


def _identity(names: Sequence[str], wanted: str | None) -> str | None:
    if wanted is not None and wanted not in names:
        raise UsageError(
            f"the table has no column {wanted}; it has {', '.join(names[:20])}.", hint="Name one of these."
        )
    usual = {c.strip().lower(): c for c in reversed(names)}
    return wanted or next((usual[c] for c in ID_COLUMNS if c in usual), None)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _parquet(path)
    if kind in (".jsonl", ".ndjson"):
        return _json_lines(path)
    return _separated(path, "\t" if kind == ".tsv" else ",")


def _separated(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(4 * LONGEST)
    reader = csv.DictReader(io.StringIO(_decoded(_bytes(path)), newline=""), delimiter=delimiter)
    try:
        for record in reader:
            yield {name: value for name, value in record.items() if isinstance(name, str)}
    except csv.Error as fault:
        raise InvalidReport(
            f"line {reader.line_num} of the table cannot be read: {fault}.", hint="Save it as CSV with quoted fields."
        ) from None


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_decoded(_bytes(path)).splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise InvalidReport(f"line {number} is not a JSON object.", hint="One JSON object a line.")
        yield record


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import duckdb

    _exists(path)
    with duckdb.connect() as base:
        try:
            cursor = base.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in cursor.description or ()]
            while batch := cursor.fetchmany(_BATCH):
                yield from (dict(zip(names, values, strict=True)) for values in batch)
        except duckdb.Error:
            raise InvalidReport("the table is not a Parquet file that can be read.", hint="Write it anew.") from None


def write_rows(rows: Iterable[Mapping[str, Any]], out: Path | None, stream: TextIO) -> int:
    """Write rows to a file by its suffix, or as CSV to ``stream``; return how many.

    Raises:
        UsageError: a suffix that is not written.
        OutputError: the file cannot be written.
    """
    if out is None:
        return _write_separated(rows, stream, ",")
    kind = out.suffix.lower()
    if kind not in OUTPUTS:
        raise UsageError(
            f"wanted a file with one of {', '.join(OUTPUTS)}, found {kind or 'no suffix'}.", hint="Rename it."
        )
    try:
        if kind == ".parquet":
            return _write_parquet(rows, out)
        with out.open("w", encoding="utf-8", newline="") as stream:
            if kind in (".csv", ".tsv"):
                return _write_separated(rows, stream, "\t" if kind == ".tsv" else ",")
            return _write_json(rows, stream, array=kind == ".json")
    except OSError as fault:
        raise OutputError(
            f"the rows cannot be written: {fault.strerror or 'unknown reason'}.", hint="Check the folder and its space."
        ) from None


def _write_separated(rows: Iterable[Mapping[str, Any]], stream: TextIO, delimiter: str) -> int:
    writer = csv.DictWriter(stream, list(COLUMNS), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    count = 0
    for row in rows:
        count += 1
        writer.writerow({name: _safe(value) for name, value in row.items()})
    return count


def _safe(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r") else value


def _write_json(rows: Iterable[Mapping[str, Any]], stream: TextIO, *, array: bool) -> int:
    count = 0
    for count, row in enumerate(rows, 1):
        line = json.dumps(dict(row), ensure_ascii=False)
        stream.write((("[\n" if count == 1 else ",\n") if array else "") + line + ("" if array else "\n"))
    if array:
        stream.write("\n]\n" if count else "[]\n")
    return count


def _write_parquet(rows: Iterable[Mapping[str, Any]], out: Path) -> int:
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("w", encoding="utf-8") as stream:
            count = _write_json(rows, stream, array=False)
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
        target = str(out).replace("'", "''")
        with duckdb.connect() as base:
            try:
                base.execute(
                    f"COPY (SELECT * FROM read_json('{lines}', format='newline_delimited', columns={{{columns}}})) "
                    f"TO '{target}' (FORMAT parquet)"
                )
            except duckdb.IOException:
                raise OutputError("the rows cannot be written.", hint="Check the folder and its space.") from None
    return count


def _exists(path: Path) -> None:
    if not path.is_file():
        raise InvalidReport("the file of reports cannot be read: no such file.", hint="Check the path.")


def _bytes(path: Path, largest: int | None = None) -> bytes:
    _exists(path)
    try:
        if largest is not None and path.stat().st_size > largest:
            raise InvalidReport(
                f"wanted one report, found {path.stat().st_size} bytes.",
                hint=f"At most {LONGEST} characters; give many reports as a table.",
            )
        return path.read_bytes()
    except OSError as fault:
        raise InvalidReport(
            f"the file of reports cannot be read: {fault.strerror or 'unknown reason'}.", hint="Check the path."
        ) from None


def _decoded(data: bytes) -> str:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS
    if b"\0" not in data or encodings == ("utf-16",):
        for encoding in encodings:
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    raise InvalidReport("the file of reports is no text.", hint="Save it as UTF-8 text.")
