"""Content items of a structured report: numbers with their interval, numbers that are missing, words and codes."""

from __future__ import annotations

from typing import Any

import highdicom as hd
from highdicom.sr import CodeContentItem, NumContentItem, RelationshipTypeValues, TextContentItem
from pydicom.sr.coding import Code as DicomCode

from hepacalc.interop.codes import Code, unit_code
from hepacalc.records import Measured, Measurement
from hepacalc.report.numbers import significant

__all__ = ["COMMENT", "code_item", "coded", "measurement", "number_item", "text_item"]

COMMENT = Code("121106", "DCM", "Comment")
_UPPER = Code("371886008", "SCT", "+, range of upper measurement uncertainty")
_LOWER = Code("371885007", "SCT", "-, range of lower measurement uncertainty")
_LONGEST = 1024


def coded(code: Code) -> Any:
    """Return a code as pydicom and highdicom take it; a meaning has at most 64 characters."""
    return DicomCode(code.value, code.scheme, code.meaning[:64])


def text_item(name: Code, words: str, *, relationship: str = "CONTAINS") -> TextContentItem:
    """Return words under a name."""
    return TextContentItem(coded(name), words[:_LONGEST], RelationshipTypeValues(relationship))


def code_item(name: Code, value: Code, *, relationship: str = "CONTAINS") -> CodeContentItem:
    """Return a code under a name."""
    return CodeContentItem(coded(name), coded(value), RelationshipTypeValues(relationship))


def number_item(name: Code, value: float, unit: str, *, relationship: str = "HAS PROPERTIES") -> NumContentItem:
    """Return a number under a name."""
    return NumContentItem(
        coded(name), significant(float(value)), coded(unit_code(unit)), None, RelationshipTypeValues(relationship)
    )


def measurement(name: Code, number: Measurement, *, note: str = "") -> hd.sr.ContentItem:
    """Return a measurement (TID 300): value, unit, how far the truth may lie below and above, method in words.

    Numbers have six significant digits, as in ``assessment.json``. What was not measured is no number at all, but words
    under the same name that say why. (PS3.3 C.18.1 allows a number without a value too; highdicom cannot read one.)

    Args:
        name: what was measured.
        number: the number, or why there is none.
        note: what else belongs to the comment.
    """
    if not isinstance(number, Measured):
        return text_item(name, f"not measured: {number.reason}")
    made = hd.sr.Measurement(coded(name), significant(float(number.value)), coded(unit_code(number.unit)))
    known = number.high > number.low
    _comment(made, f"{number.method}; {number.level:.0%} interval" if known else number.method, note)
    if known:
        value, low, high = (significant(float(n)) for n in (number.value, number.low, number.high))
        for around, by in ((_UPPER, high - value), (_LOWER, value - low)):
            made[0].ContentSequence.append(number_item(around, by, number.unit))
    return made[0]


def _comment(made: hd.sr.Measurement, words: str, note: str) -> None:
    item = text_item(COMMENT, f"{words}; {note}" if note else words, relationship="HAS PROPERTIES")
    made[0].ContentSequence = hd.sr.ContentSequence([item])
