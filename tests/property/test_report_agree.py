"""Report, JSON and CSV hold the same numbers, whatever was measured."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.records import Assessment, Measured
from hepacalc.report import document, document_json, foci_csv, load_schema, render_html, summary_text
from hepacalc.report.numbers import shown, significant
from hepacalc.report.words import measurement_text
from report_strategies import SETTINGS, assessments, numbers


class Numbers(HTMLParser):
    """Collects ``data-path`` and ``data-value``, and the text of that element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str, str]] = []
        self.here: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if "data-value" in named:
            self.here = [named["data-path"] or "", named["data-value"] or "", ""]

    def handle_data(self, data: str) -> None:
        if self.here is not None:
            self.here[2] += data

    def handle_endtag(self, tag: str) -> None:
        if self.here is not None:
            self.found.append((self.here[0], self.here[1], self.here[2]))
            self.here = None


def at(doc: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        doc = doc[int(part)] if isinstance(doc, list) else doc[part]
    return doc


@SETTINGS
@given(assessments())
def test_every_number_on_the_page_is_that_of_the_json(scan: Assessment) -> None:
    doc = json.loads(document_json(document(scan)))
    found = Numbers(render_html(scan)).found
    assert len(found) >= 10
    for path, value, said in found:
        assert float(value) == at(doc, path), path
        digits = re.search("[\N{MINUS SIGN}]?[0-9][0-9\N{NO-BREAK SPACE}]*(\\.[0-9]+)?", said)
        assert digits, (path, said)
        if path.endswith(("/value", "/low", "/high")):
            read = float(said.replace("\N{NO-BREAK SPACE}", "").replace("\N{MINUS SIGN}", "-"))
            holder = at(doc, path.rsplit("/", 1)[0])
            width = max(holder["high"] - holder["low"], abs(holder["value"]), 1e-12)
            assert abs(read - float(value)) <= max(0.51 * width, 0.51 if holder["unit"].startswith("HU") else 0.051)


@SETTINGS
@given(assessments())
def test_json_is_valid_and_the_csv_agrees(scan: Assessment) -> None:
    doc = json.loads(document_json(document(scan)))
    assert [e.message for e in jsonschema.Draft202012Validator(load_schema()).iter_errors(doc)] == []
    rows = list(csv.DictReader(io.StringIO(foci_csv(scan))))
    for row, focus in zip(rows, doc["foci"], strict=True):
        for name, measured in focus["measurements"].items():
            assert row[name] == ("" if "reason" in measured else str(measured["value"]))
    assert summary_text(scan)


@SETTINGS
@given(numbers, numbers, numbers, st.sampled_from(["mg", "mm3", "mm", "HU", "1", "ml"]))
def test_what_is_shown_keeps_its_order(a: float, b: float, c: float, unit: str) -> None:
    low, value, high = sorted((a, b, c))
    found = shown(Measured(value, unit, low, high, "m"))
    read = [float(t.replace("\N{NO-BREAK SPACE}", "").replace("\N{MINUS SIGN}", "-")) for t in found[:3] if t]
    assert len(read) == 1 or read[1] <= read[0] <= read[2]
    assert measurement_text(Measured(value, unit, low, high, "m")).startswith(found.value)


@SETTINGS
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_six_digits_are_stable(value: float) -> None:
    once = significant(value)
    assert significant(once) == once
    assert abs(once - value) <= 5.1e-6 * abs(value)
