"""The same numbers everywhere: JSON, CSV, page, and every further format that is registered, in both languages.

A format that is registered and has no reader here fails: nobody can add one and leave it out.
"""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from test_writer import Case, cases

from hepacalc.errors import MissingDependency
from hepacalc.interop.codes import EXTENT, INTERVAL_HIGH, INTERVAL_LOW, MEASUREMENT_CODES
from hepacalc.records import Assessment, Measured
from hepacalc.report import write_outputs
from hepacalc.report.numbers import shown
from hepacalc.report.writers import ExportContext, get_writer, writer_names
from reason_example import CYST, assessed

Number = tuple[str, float, float, float]
"""Name, value, and both ends of the interval, as ``assessment.json`` holds them."""

LANGUAGES = ("en", "zh")
CODES = {MEASUREMENT_CODES[name].value: name for name in ("mass_mg", "volume_mm3", "max_hu", "mean_hu", "diameter_mm")}
BELOW, ABOVE, AROUND = "371885007", "371886008", "371884006"
"""SNOMED CT: range of lower and of upper measurement uncertainty, with which DICOM SR gives an interval."""
CODES[EXTENT.value] = "extent_mm"
NAMES = frozenset(CODES.values())
SCANS = ("with red flags", "several foci in one", "nothing measured", "nothing found")


@pytest.fixture(scope="module", params=[(scan, language) for scan in SCANS for language in LANGUAGES], ids="-".join)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path, str]:
    """An example with everything that is registered and installed written of it."""
    scan, language = request.param
    case = cases()[scan]
    writers = []
    for name in writer_names():
        try:
            writers.append(get_writer(name))
        except MissingDependency:
            continue
    out = tmp_path_factory.mktemp("numbers") / "out"
    context = ExportContext(language=language, source=case.source)
    write_outputs(case.assessment, out, writers=writers, context=context)
    return case, out, language


def files(out: Path, case: Case, name: str) -> list[Path]:
    try:
        return [out / file for file in get_writer(name).files(case.assessment)]
    except MissingDependency as lacking:
        pytest.skip(str(lacking))


def of_json(out: Path) -> dict[str, set[Number]]:
    """Numbers of lesions, foci and the whole liver in ``assessment.json``."""
    doc = json.loads((out / "assessment.json").read_text("utf-8"))
    found: dict[str, set[Number]] = {"lesions": set(), "foci": set(), "mimics": set(), "liver": set()}

    def take(where: str, name: str, one: Any) -> None:
        if "value" in one:
            found[where].add((name, one["value"], one["low"], one["high"]))

    for lesion in doc["lesions"]:
        for name in ("mass_mg", "volume_mm3", "extent_mm"):
            take("lesions", name, lesion[name])
    for focus in doc["foci"]:
        for name in NAMES & set(focus["measurements"]):
            take("mimics" if focus["lesion"] is None else "foci", name, focus["measurements"][name])
    for name in ("mass_mg", "volume_mm3"):
        take("liver", name, doc["burden"][f"total_{name}"])
    for name, key in (("mean_hu", "parenchyma_hu"), ("volume_mm3", "volume_ml")):
        take("liver", name, doc["liver"][key])
    return found


# ---------------------------------------------------------------- formats for programs: to the last digit


def of_fhir(paths: list[Path]) -> set[Number]:
    found = set()
    for entry in json.loads(paths[0].read_text("utf-8"))["entry"]:
        one = entry["resource"]
        for part in (one, *one.get("component", [])) if one["resourceType"] == "Observation" else ():
            name = CODES.get(part["code"]["coding"][0]["code"])
            if name is None or "valueQuantity" not in part:
                continue
            if "extension" in part:
                (reach,) = [e["valueRange"] for e in part["extension"][0]["extension"] if e["url"] == "range"]
                ends = {end: reach[end]["value"] for end in ("low", "high")}
            else:
                coded = {c["code"]["coding"][0]["code"]: c["valueQuantity"]["value"] for c in part["component"]}
                ends = {"low": coded[INTERVAL_LOW.value], "high": coded[INTERVAL_HIGH.value]}
            found.add((name, part["valueQuantity"]["value"], ends["low"], ends["high"]))
    return found


def of_sr(paths: list[Path]) -> set[Number]:
    found: set[Number] = set()

    def value(item: Any) -> float:
        measured = item.MeasuredValueSequence[0]
        return float(measured.get("FloatingPointValue", measured.NumericValue))

    def walk(items: Any) -> None:
        for item in items:
            inner = item.get("ContentSequence", [])
            name = CODES.get(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else None
            if item.ValueType == "NUM" and name and item.get("MeasuredValueSequence"):
                around = {i.ConceptNameCodeSequence[0].CodeValue: value(i) for i in inner if i.ValueType == "NUM"}
                below, above = (around.get(code, around.get(AROUND, 0.0)) for code in (BELOW, ABOVE))
                found.add((name, value(item), value(item) - below, value(item) + above))
            walk(inner)

    walk(pydicom.dcmread(paths[0]).ContentSequence)
    return found


def agree(found: set[Number], wanted: set[Number]) -> bool:
    """Whether every wanted number was found; DICOM writes decimal strings of sixteen characters."""
    return all(any(n[0] == w[0] and n[1:] == pytest.approx(w[1:], rel=1e-9, abs=1e-9) for n in found) for w in wanted)


PROGRAMS: dict[str, Callable[[list[Path]], set[Number]]] = {"fhir": of_fhir, "sr": of_sr}


@pytest.mark.parametrize("name", sorted({*PROGRAMS} & {*writer_names()}))
def test_formats_for_programs(written: tuple[Case, Path, str], name: str) -> None:
    case, out, _ = written
    known, found = of_json(out), PROGRAMS[name](files(out, case, name))
    assert agree(found, known["lesions"])
    assert agree(known["lesions"] | known["foci"] | known["mimics"] | known["liver"], found)
    assert found or not case.assessment.lesions or not known["lesions"]


def test_the_table_of_foci(written: tuple[Case, Path, str]) -> None:
    _, out, _ = written
    rows = list(csv.DictReader(io.StringIO((out / "foci.csv").read_text("utf-8"))))
    found = set()
    for row in rows:
        for name in ("mass_mg", "volume_mm3", "diameter_mm"):
            if row[name]:
                found.add((name, *(float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))))
    known = of_json(out)
    wanted = {n for n in known["foci"] | known["mimics"] if n[0] in ("mass_mg", "volume_mm3", "diameter_mm")}
    assert found == wanted


class Page(html.parser.HTMLParser):
    """Numbers of a page by the pointer beside them, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.numbers: dict[str, float] = {}
        self.words: list[str] = []
        self.style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.style = tag == "style"
        if told.get("data-value"):
            self.numbers[told["data-path"] or ""] = float(told["data-value"] or "nan")

    def handle_data(self, data: str) -> None:
        if not self.style:
            self.words.append(data)


def test_the_page(written: tuple[Case, Path, str]) -> None:
    case, out, _ = written
    doc = json.loads((out / "assessment.json").read_text("utf-8"))
    page = Page((out / "report.html").read_text("utf-8"))
    for k, lesion in enumerate(doc["lesions"]):
        for name in ("mass_mg", "volume_mm3", "extent_mm"):
            for part in ("value", "low", "high") if "value" in lesion[name] else ():
                assert page.numbers[f"/lesions/{k}/{name}/{part}"] == lesion[name][part]
    assert all_shown(" ".join(page.words), case.assessment)


# ---------------------------------------------------------------- formats for people: as many digits as are shown


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def all_shown(text: str, assessment: Assessment, names: tuple[str, ...] = ("mass_mg", "extent_mm")) -> bool:
    """Whether mass and extent of each lesion stand in a text with their unit and their interval."""
    words = squeezed(text)
    for lesion in assessment.lesions:
        for measured in (getattr(lesion, name) for name in names):
            if isinstance(measured, Measured):
                value, low, high, unit = (re.escape(squeezed(part)) for part in shown(measured))
                assert re.search(rf"(?<![\d.]){value}{unit}", words), (value, unit)
                assert not low or re.search(rf"(?<![\d.]){low}\D{{1,4}}{high}(?![\d.]*\d)", words), (low, high)
    return True


def words_of_pdf(path: Path) -> str:
    pypdf = pytest.importorskip("pypdf")
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


PEOPLE: dict[str, Callable[[list[Path]], str]] = {
    "text": lambda paths: paths[0].read_text("utf-8"),
    "pdf": lambda paths: words_of_pdf(paths[0]),
}


@pytest.mark.parametrize("name", sorted({*PEOPLE} & {*writer_names()}))
def test_formats_for_people(written: tuple[Case, Path, str], name: str) -> None:
    case, out, _ = written
    assert all_shown(PEOPLE[name](files(out, case, name)), case.assessment)


# ---------------------------------------------------------------- formats that hold no measurement

WITHOUT = {"seg", "ko", "sheet", "ics"}


@pytest.mark.parametrize("name", sorted({"sheet", "ics"} & {*writer_names()}))
def test_what_is_for_patients_and_calendars_holds_no_mass(written: tuple[Case, Path, str], name: str) -> None:
    case, out, _ = written
    for path in files(out, case, name):
        words = squeezed(words_of_pdf(path) if path.suffix == ".pdf" else " ".join(Page(path.read_text("utf-8")).words))
        assert not re.search(r"\dmg|\dHU", words)


def test_no_registered_format_is_left_out() -> None:
    assert set(writer_names()) <= set(PROGRAMS) | set(PEOPLE) | WITHOUT


def test_a_wrong_number_would_be_seen() -> None:
    scan = assessed(CYST)
    right = " ".join(
        f"{value} {unit} ({low} to {high})"
        for lesion in scan.lesions
        for value, low, high, unit in (shown(lesion.mass_mg), shown(lesion.extent_mm))
    )
    assert all_shown(right, scan)
    for wrong in (right.replace(" mg", "1 mg"), right.replace(" to ", "0 to "), right.replace(")", "5)")):
        with pytest.raises(AssertionError):
            all_shown(wrong, scan)
    assert not agree({("mass_mg", 1.0, 0.5, 2.0)}, {("mass_mg", 1.0, 0.5, 2.001)})
