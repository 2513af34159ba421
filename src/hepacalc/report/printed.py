"""What people read, beside the page of every assessment: the PDF, the text for a report system, the patient's sheet."""

from __future__ import annotations

from pathlib import Path

from hepacalc.records import Assessment
from hepacalc.report.patient import render_sheet
from hepacalc.report.pdf import pdf_is_available, render_pdf, render_sheet_pdf, require_pdf
from hepacalc.report.text import report_text
from hepacalc.report.writers import ExportContext

__all__ = ["PdfWriter", "SheetWriter", "TextWriter"]


class PdfWriter:
    """Writes ``report.pdf``. It needs the scan's pixels for its pictures, and the extra ``pdf``."""

    name = "pdf"
    needs_source = True

    def __init__(self) -> None:
        require_pdf()

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the file."""
        return ("report.pdf",)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the file."""
        (folder / "report.pdf").write_bytes(render_pdf(assessment, language=context.language))


class TextWriter:
    """Writes ``report.txt``."""

    name = "text"
    needs_source = False

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the file."""
        return ("report.txt",)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the file (UTF-8)."""
        told = report_text(assessment, language=context.language)
        (folder / "report.txt").write_text(told, "utf-8", newline="\n")


class SheetWriter:
    """Writes ``sheet.html``, and ``sheet.pdf`` where the extra ``pdf`` is installed."""

    name = "sheet"
    needs_source = False

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the names of the files."""
        return ("sheet.html", "sheet.pdf") if pdf_is_available() else ("sheet.html",)

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the files."""
        page = render_sheet(assessment, language=context.language)
        (folder / "sheet.html").write_text(page, "utf-8", newline="\n")
        if pdf_is_available():
            (folder / "sheet.pdf").write_bytes(render_sheet_pdf(assessment, language=context.language))
