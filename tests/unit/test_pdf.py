"""The PDF: content and numbers of the page, page numbers, its own font inside and no other, the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from hepacalc.errors import MissingDependency, OutputError
from hepacalc.report import pdf, render_html, render_pdf, render_sheet_pdf
from hepacalc.report.language import catalog
from hepacalc.report.writers import get_writer
from reason_example import Text, assessed
from report_example import make_example
from sheet_examples import told

pytest.importorskip("plutoprint", reason="needs the extra pdf")
pytest.importorskip("pylopdf_fonts_zh_cn", reason="needs the extra pdf")

LANGUAGES = ("en", "zh")
HAN = re.compile(r"[\u4e00-\u9fff]")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@cache
def made(language: str) -> bytes:
    return render_pdf(assessed(), language=language)


def poppler(tool: str, data: bytes, folder: Path, *options: str) -> str:
    """What a tool of Poppler says of a PDF."""
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} (poppler-utils)")
    path = folder / "it.pdf"
    path.write_bytes(data)
    command = [tool, *options, str(path), *(["-"] if tool == "pdftotext" else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_assessment_gives_the_same_bytes(language: str) -> None:
    assert made(language) == render_pdf(assessed(), language=language)
    assert made(language).startswith(b"%PDF-")
    assert made("en") != made("zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_font_inside_and_none_of_the_machine(language: str, tmp_path: Path) -> None:
    rows = poppler("pdffonts", made(language), tmp_path).splitlines()[2:]
    assert rows
    for row in rows:
        assert re.match(r"[A-Z]{6}\+NotoSansSC", row), "a subset of our font"
        assert re.search(r" yes yes yes ", row), "embedded, a subset, with a map to Unicode"


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_and_numbers_are_those_of_the_page(language: str, tmp_path: Path) -> None:
    page = re.sub(r"<svg.*?</svg>", "", render_html(assessed(), language=language), flags=re.DOTALL)
    words = Text(page).text
    said = poppler("pdftotext", made(language), tmp_path)
    assert "\ufffd" not in said, "every glyph has its text"
    assert set(NUMBER.findall(words)) <= set(NUMBER.findall(said.replace("\N{NO-BREAK SPACE}", " ")))
    assert set(HAN.findall(words)) <= set(HAN.findall(said))
    assert (len(set(HAN.findall(said))) > 200) == (language == "zh")
    for flag in re.findall(r'<li class="flag[^>]*>.*?<b>(.*?)</b>', page):
        assert re.sub(r"\s", "", flag) in re.sub(r"\s", "", said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_has_its_number_and_the_disclaimer(language: str, tmp_path: Path) -> None:
    pages = poppler("pdftotext", made(language), tmp_path, "-layout").split("\f")[:-1]
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        foot = page.strip().splitlines()[-1]
        assert re.search(rf"(?<!\d){number} ?/ ?{len(pages)}$", foot.strip())
        assert ("not a diagnosis" if language == "en" else "不作为诊断") in foot


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", tuple(told()))
def test_a_sheet_is_one_page(case: str, language: str, tmp_path: Path) -> None:
    data = render_sheet_pdf(told()[case], language=language, made="2026-11-22")
    assert data.startswith(b"%PDF-")
    assert "Pages:           1\n" in poppler("pdfinfo", data, tmp_path)


def test_a_sheet_of_two_pages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "<head><style></style></head><body>" + "<p>more and more</p>" * 99
    monkeypatch.setattr(pdf, "render_sheet", lambda *_given, **_told: long)
    with pytest.raises(OutputError, match="wanted a sheet of 1 page, found"):
        render_sheet_pdf(told()["fetus"])


def test_the_font_has_every_character_of_every_translation() -> None:
    words = "".join([*catalog("zh").values(), *(english for _, english in catalog("zh"))])
    assert pdf.missing_glyphs(words) == ""


def test_a_character_without_a_glyph_is_spelled(tmp_path: Path) -> None:
    scan = make_example(balls=(), text="كبد Abdomen")
    acquisition = replace(scan.acquisition, series_description="كبد Abdomen")
    data = render_pdf(replace(scan, acquisition=acquisition))
    said = poppler("pdftotext", data, tmp_path)
    assert "[U+0643]" in re.sub(r"\s", "", said)
    assert all("NotoSansSC" in row for row in poppler("pdffonts", data, tmp_path).splitlines()[2:])


def test_nothing_outside_the_page_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside.css"
    outside.write_text("p { display: none }")
    page = f'<head><style></style><link rel="stylesheet" href="{outside.as_uri()}"></head><p>still here</p>'
    monkeypatch.setattr(pdf, "render_sheet", lambda *_given, **_told: page)
    assert "still here" in poppler("pdftotext", render_sheet_pdf(told()["fetus"]), tmp_path)
    assert "not part of it" in capfd.readouterr().err


@pytest.mark.parametrize("package", ["plutoprint", "fontTools", "pylopdf_fonts_zh_cn"])
def test_without_the_extra_the_line_to_run_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=package) as missing:
        get_writer("pdf")
    assert 'pip install "hepacalc[pdf]"' in missing.value.hint
