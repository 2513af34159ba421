"""Radiology reports in words, read: English and Chinese text -> findings of the liver, each tied to its characters."""

from hepacalc.reports.read import read_report
from hepacalc.reports.records import Advice, Change, Mention, Number, ReportFindings, Site, Size, Words

__all__ = ["Advice", "Change", "Mention", "Number", "ReportFindings", "Site", "Size", "Words", "read_report"]
