"""The report and the sheet as PDF: the HTML page laid out on A4, with the fonts inside.

PlutoPrint lays the page out; it comes with all it needs as a wheel, as the font does (Noto Sans SC, which has Latin and
Chinese). Nothing else is read, no font of the machine, no file, no network: the same assessment gives the same bytes.
A character that the font does not have (in the name of a series, say) is spelled as its code point, never a box.
"""

from __future__ import annotations

import html
import importlib
import importlib.util
import io
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from hepacalc.errors import MissingDependency, OutputError
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment
from hepacalc.report.html import render_html, style
from hepacalc.report.patient import render_sheet

__all__ = ["PIP_LINE", "missing_glyphs", "pdf_is_available", "render_pdf", "render_sheet_pdf", "require_pdf"]

PIP_LINE = 'pip install "hepacalc[pdf]"'
FONT_PACKAGE = "pylopdf_fonts_zh_cn"
"""Noto Sans SC, SIL Open Font License 1.1, as a package."""
_PACKAGES = ("plutoprint", "fontTools", FONT_PACKAGE)
SHEET_SIZES_PT = (13.0, 12.0, 11.0, 10.0)
"""Type sizes of the sheet; the largest with which it fits on one page is taken."""
_FONT_URL = "font:report"
_NO_WORDS = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)


def render_pdf(assessment: Assessment, *, language: str = "en") -> bytes:
    """Return the report as PDF: content and numbers of the HTML page, page numbers, fonts embedded.

    Args:
        assessment: what to show.
        language: ``en`` or ``zh``.

    Raises:
        MissingDependency: the extra ``pdf`` is not installed.
        UsageError: another language.
    """
    return _written(_laid_out(render_html(assessment, language=language), "pdf.css"), assessment.run.created)


def render_sheet_pdf(told: Assessment | Reasoning, *, language: str = "en", made: str = "") -> bytes:
    """Return the sheet for the patient as PDF of one page.

    Raises:
        MissingDependency: the extra ``pdf`` is not installed.
        OutputError: the sheet does not fit on one page.
        UsageError: another language.
    """
    stamp = told.run.created if isinstance(told, Assessment) else f"{made or '2000-01-01'}T00:00:00+00:00"
    page = render_sheet(told, language=language, made=made)
    for size in SHEET_SIZES_PT:
        book = _laid_out(page, "sheet_pdf.css", f"html {{ font-size: {size}pt; }}")
        if book.get_page_count() == 1:
            return _written(book, stamp)
    raise OutputError(
        f"wanted a sheet of 1 page, found {book.get_page_count()}.", hint="Print sheet.html instead, and tell us."
    )


def pdf_is_available() -> bool:
    """Return whether the extra ``pdf`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def require_pdf() -> None:
    """Make sure that the extra ``pdf`` is installed.

    Raises:
        MissingDependency: it is not.
    """
    for name in _PACKAGES:
        _needed(name)


def missing_glyphs(page: str) -> str:
    """Return the characters of a page's text that the font does not have, each once, sorted.

    Raises:
        MissingDependency: the font is not installed.
    """
    words = html.unescape(_NO_WORDS.sub("", page))
    printed = {c for c in set(words) if not unicodedata.category(c).startswith(("C", "Z"))}
    return "".join(sorted(printed - _covered()))


def _laid_out(page: str, sheet: str, more: str = "") -> Any:
    """Return a page laid out on A4 with a style sheet of ours, and more style, added to its own."""
    pluto = _needed("plutoprint")
    font = _font()
    # only a name out of a header can hold such a character: it is spelled, never a box
    for character in missing_glyphs(page):
        page = page.replace(character, f"[U+{ord(character):04X}]")

    class Only(pluto.ResourceFetcher):  # type: ignore[misc, name-defined, unused-ignore]
        """Hands out the font and pictures inside the page; nothing else is ever read."""

        def fetch_url(self, url: str) -> Any:
            if url == _FONT_URL:
                return pluto.ResourceData(font, "font/otf", "")
            if url.startswith("data:image/png;base64,"):
                return pluto.default_resource_fetcher.fetch_url(url)
            raise OutputError(f"The page asks for {url[:60]!r}, which is not part of it.", hint="Please report this.")

    book = pluto.Book(pluto.PAGE_SIZE_A4)
    book.custom_resource_fetcher = Only()
    # the base keeps links inside the page whole; it leads nowhere
    book.load_html(page.replace("</style>", f"{style(sheet)}{more}</style>", 1), base_url="page:report")
    return book


def _written(book: Any, created: str) -> bytes:
    """Return a laid-out page as PDF with the time stamp of the assessment, not of now."""
    pluto = _needed("plutoprint")
    for key in (pluto.PDF_METADATA_CREATION_DATE, pluto.PDF_METADATA_MODIFICATION_DATE):
        book.set_metadata(key, created)
    held = io.BytesIO()
    book.write_to_pdf_stream(held)
    return held.getvalue()


@cache
def _font() -> bytes:
    package = _needed(FONT_PACKAGE)
    return Path(package.sans_path()).read_bytes()


@cache
def _covered() -> frozenset[str]:
    """Return every character that the font has a glyph for."""
    ttf = _needed("fontTools.ttLib")
    with ttf.TTFont(io.BytesIO(_font()), lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise MissingDependency(
            f"A PDF needs the package {name.split('.')[0]}, which is not installed.", hint=f"Run: {PIP_LINE}"
        ) from missing
