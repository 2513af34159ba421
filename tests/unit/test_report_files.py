"""Reports in files: tables in and out, encodings, columns, and the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from hepacalc.cli import app
from hepacalc.errors import InvalidReport, UsageError
from hepacalc.reports.files import read_table, read_text_file, write_rows
from hepacalc.reports.rows import COLUMNS

RECORDS = [
    {
        "id": "a",
        "findings": "Liver: 5 mm calcification in segment 8.",
        "impression": "Calcified granuloma of the liver.",
    },
    {"id": "b", "findings": "Spleen: calcified granulomas.", "impression": "Liver normal."},
    {"id": "c", "findings": "", "impression": ""},
]
ANSWERS = ["yes", "not_stated", "not_stated"]


def write_table(folder: Path, kind: str) -> Path:
    path = folder / f"table.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(record) for record in RECORDS), "utf-8")
    elif kind == "parquet":
        source = write_table(folder, "jsonl")
        duckdb.execute(f"COPY (SELECT * FROM read_json('{source}')) TO '{path}' (FORMAT parquet)")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(RECORDS[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(RECORDS)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found = duckdb.execute(f"SELECT * FROM '{path}'")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return list(json.loads(text))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_table_is_read_alike(tmp_path: Path, kind: str):
    rows = list(read_table(write_table(tmp_path, kind)))
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert [row["liver_calcification"] for row in rows] == ANSWERS
    assert (rows[0]["segments"], rows[0]["largest_mm"]) == ("8", 5.0)
    assert rows[2]["problem"] == "no text"
    # the place counts within the column that the words stand in
    assert RECORDS[0]["findings"][rows[0]["start"] : rows[0]["end"]] == rows[0]["words"] == "calcification"


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_every_kind_of_table_is_written_alike(tmp_path: Path, kind: str):
    out = tmp_path / f"out.{kind}"
    rows = list(read_table(write_table(tmp_path, "csv")))
    assert write_rows(rows, out, io.StringIO()) == 3
    found = rows_of(out)
    assert list(found[0]) == list(COLUMNS)
    assert [row["liver_calcification"] for row in found] == ANSWERS
    assert float(found[0]["largest_mm"]) == 5.0
    assert found[1]["largest_mm"] in (None, "")


def test_an_empty_table_gives_an_empty_one(tmp_path: Path):
    path = tmp_path / "empty.csv"
    path.write_text("id,report\n", "utf-8")
    assert list(read_table(path)) == []
    out = tmp_path / "out.json"
    assert write_rows([], out, io.StringIO()) == 0
    assert json.loads(out.read_text("utf-8")) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_text(tmp_path: Path, encoding: str):
    path = tmp_path / "report.txt"
    path.write_bytes("肝内钙化灶，较前相仿。".encode(encoding))
    assert read_text_file(path) == "肝内钙化灶，较前相仿。"


@pytest.mark.parametrize("data", [b"", b" \n", b"\x00\x01\x02PNG", b"x" * 900_000])
def test_what_is_no_report_is_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "report.txt"
    path.write_bytes(data)
    with pytest.raises(InvalidReport):
        read_text_file(path)


@pytest.mark.parametrize(
    ("name", "content"), [("t.jsonl", "{}\n[1]"), ("t.jsonl", '{"report": '), ("t.parquet", "PAR1"), ("none.csv", None)]
)
def test_broken_tables_are_refused(tmp_path: Path, name: str, content: str | None):
    path = tmp_path / name
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises((InvalidReport, UsageError)):
        list(read_table(path, text=["report"] if name.endswith("parquet") else []))


def test_columns_are_named_or_usual(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("nr,befund\n7,Liver calcification.\n", "utf-8")
    with pytest.raises(UsageError, match="befund"):
        list(read_table(path))
    with pytest.raises(UsageError, match="has no column report"):
        list(read_table(path, text=["report"]))
    with pytest.raises(UsageError, match="has no column key"):
        list(read_table(path, text=["befund"], identity="key"))
    assert [row["id"] for row in read_table(path, text=["befund"])] == ["1"]
    assert [row["id"] for row in read_table(path, text=["befund"], identity="nr")] == ["7"]


def test_a_spreadsheet_takes_nothing_for_a_formula(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("id,report\n=1+1,Liver calcification.\n", "utf-8")
    out = io.StringIO()
    write_rows(read_table(path), None, out)
    assert "\n'=1+1," in out.getvalue()


def test_no_such_suffix_is_written(tmp_path: Path):
    with pytest.raises(UsageError, match=r"\.xlsx"):
        write_rows([], tmp_path / "out.xlsx", io.StringIO())


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["read-report", *(str(a) for a in arguments)])


def test_the_command_reads_one_report(tmp_path: Path):
    path = tmp_path / "mine.txt"
    path.write_text("US: 6 mm calcified granuloma in the liver.", "utf-8")
    person, out = tmp_path / "patient.yaml", tmp_path / "out.json"
    done = run(path, "--patient", person, "--date", "2026-01-02", "-o", out)
    assert done.exit_code == 0
    assert "Calcification of the liver: yes" in done.output
    assert "size_mm: 6.0" in person.read_text("utf-8")
    assert json.loads(out.read_text("utf-8"))["liver_calcification"] == "yes"
    assert json.loads(run(path, "--json").output)["id"] == "mine"
    assert "calcified" not in run(path, "--no-words").output.split("\n", 1)[1].replace("calcification", "")


def test_the_command_reads_a_table(tmp_path: Path):
    table, out = write_table(tmp_path, "csv"), tmp_path / "out.parquet"
    assert run(table).output.splitlines()[0].startswith("id,language,modality")
    assert run(table, "-o", out).output.strip() == "3 reports: 2 not stated, 1 yes"
    assert [row["id"] for row in rows_of(out)] == ["a", "b", "c"]
    assert [json.loads(line)["id"] for line in run(table, "--json").output.splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "arguments", [("t.csv", "--patient", "p.yaml"), ("t.txt", "--id-column", "x"), ("t.txt", "--date", "2020")]
)
def test_arguments_that_contradict_are_refused(arguments: tuple[str, ...]):
    assert isinstance(run(*arguments).exception, UsageError)
