"""The report and the files that come out of an assessment."""

from hepacalc.report.explanation import (
    EXPLANATION_OUTPUTS,
    explanation_document,
    load_reasoning_schema,
    render_explanation,
    write_explanation,
)
from hepacalc.report.explanation_text import explanation_text
from hepacalc.report.html import render_html
from hepacalc.report.patient import make_sheet, render_sheet
from hepacalc.report.pdf import render_pdf, render_sheet_pdf
from hepacalc.report.schema import document, document_json, load_schema
from hepacalc.report.tables import CSV_COLUMNS, FOCI_TABLE_HEADER, foci_csv, foci_table_rows
from hepacalc.report.text import report_text
from hepacalc.report.words import summary, summary_text
from hepacalc.report.write import OUTPUTS, check_writable, write_outputs

__all__ = [
    "CSV_COLUMNS",
    "EXPLANATION_OUTPUTS",
    "FOCI_TABLE_HEADER",
    "OUTPUTS",
    "check_writable",
    "document",
    "document_json",
    "explanation_document",
    "explanation_text",
    "foci_csv",
    "foci_table_rows",
    "load_reasoning_schema",
    "load_schema",
    "make_sheet",
    "render_explanation",
    "render_html",
    "render_pdf",
    "render_sheet",
    "render_sheet_pdf",
    "report_text",
    "summary",
    "summary_text",
    "write_explanation",
    "write_outputs",
]
