"""The report and the files that come out of an assessment."""

from hepacalc.report.html import render_html
from hepacalc.report.schema import document, document_json, load_schema
from hepacalc.report.tables import CSV_COLUMNS, FOCI_TABLE_HEADER, foci_csv, foci_table_rows
from hepacalc.report.words import summary, summary_text
from hepacalc.report.write import OUTPUTS, check_writable, write_outputs

__all__ = [
    "CSV_COLUMNS",
    "FOCI_TABLE_HEADER",
    "OUTPUTS",
    "check_writable",
    "document",
    "document_json",
    "foci_csv",
    "foci_table_rows",
    "load_schema",
    "render_html",
    "summary",
    "summary_text",
    "write_outputs",
]
