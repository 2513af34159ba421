import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hepacalc.report import CSV_COLUMNS, FOCI_TABLE_HEADER, document, document_json, foci_csv, foci_table_rows
from report_example import make_example

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "foci-csv.md"

FIRST = ("id", "lesion", "kind", "certainty", "x_mm", "y_mm", "z_mm", "volume_mm3", "mass_mg", "mass_mg_low",
         "mass_mg_high", "max_hu", "mean_hu", "diameter_mm", "pattern", "segment")  # fmt: skip


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_first_columns_are_those_that_were_promised() -> None:
    assert CSV_COLUMNS[: len(FIRST)] == FIRST
    assert len(set(CSV_COLUMNS)) == len(CSV_COLUMNS)


def test_every_candidate_has_a_row() -> None:
    scan = make_example()
    found = rows(foci_csv(scan))
    assert [int(r["id"]) for r in found] == [f.id for f in scan.foci]
    assert [r["lesion"] for r in found] == ["1", "2", "3", "4", "", "", ""]


@pytest.mark.parametrize("unmeasured", [False, True])
def test_csv_and_json_agree(unmeasured: bool) -> None:
    scan = make_example(unmeasured=unmeasured)
    doc = json.loads(document_json(document(scan)))
    for row, focus in zip(rows(foci_csv(scan)), doc["foci"], strict=True):
        assert [float(row[k]) for k in ("x_mm", "y_mm", "z_mm")] == focus["centroid_mm"]
        for name, measured in focus["measurements"].items():
            if "value" in measured:
                assert float(row[name]) == measured["value"]
            else:
                assert row[name] == ""
                assert measured["reason"]
        for end in ("low", "high"):
            assert row[f"mass_mg_{end}"] == str(focus["measurements"]["mass_mg"].get(end, ""))
        assert row["pattern"] == next(iter(focus["pattern"].get("probabilities", {})), "")
        assert row["segment"] == next(iter(focus["segment"].get("probabilities", {})), "")


def test_no_foci_is_a_header() -> None:
    assert foci_csv(make_example(balls=())) == ",".join(CSV_COLUMNS) + "\n"


def test_a_text_is_no_formula_for_a_spreadsheet() -> None:
    scan = make_example()
    bad = replace(scan.foci[0], mimic=('=HYPERLINK("x")', "clip"), reasons=("a, b", 'say "c"'))
    row = rows(foci_csv(replace(scan, foci=(bad,))))[0]
    assert row["mimic"] == '\'=HYPERLINK("x"); clip'
    assert row["reasons"] == 'a, b; say "c"'


def test_the_terminal_table_has_a_cell_for_every_column() -> None:
    for scan in (make_example(), make_example(unmeasured=True)):
        for row in foci_table_rows(scan):
            assert len(row) == len(FOCI_TABLE_HEADER)
            assert all(row)


def test_every_column_is_described() -> None:
    page = DOCS.read_text("utf-8")
    assert [name for name in CSV_COLUMNS if f"`{name}`" not in page] == []
