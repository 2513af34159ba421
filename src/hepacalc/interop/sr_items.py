"""Content items of a structured report: numbers with their interval, numbers that are missing, words and codes."""

from __future__ import annotations

from functools import cache
from typing import Any

import highdicom as hd
from highdicom.sr import CodeContentItem, NumContentItem, RelationshipTypeValues, TextContentItem

from hepacalc.interop.codes import Code, unit_code
from hepacalc.records import Measured, Measurement
from hepacalc.report.numbers import significant

__all__ = ["COMMENT", "code_item", "coded", "measurement", "number_item", "text_item"]

COMMENT = Code("121106", "DCM", "Comment")
_AROUND = Code("371884006", "SCT", "+/-, range of measurement uncertainty")
_UPPER = Code("371886008", "SCT", "+, range of upper measurement uncertainty")
_LOWER = Code("371885007", "SCT", "-, range of lower measurement uncertainty")
_LONGEST = 1024


@cache
def coded(code: Code) -> Any:
    """Return a code as highdicom takes it, made once; a meaning has at most 64 characters."""
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning[:64])


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
    """Return a measurement (TID 300): value, unit, and how far the truth may lie below and above.

    Numbers have six significant digits, as in ``assessment.json``. What was not measured is no number at all, but words
    under the same name that say why. (PS3.3 C.18.1 allows a number without a value too; highdicom cannot read one.)

    Args:
        name: what was measured.
        number: the number, or why there is none.
        note: how it was measured, where that has to be said.
    """
    if not isinstance(number, Measured):
        return text_item(name, f"not measured: {number.reason}")
    value, low, high = (significant(float(n)) for n in (number.value, number.low, number.high))
    made = number_item(name, value, number.unit, relationship="CONTAINS")
    below: list[hd.sr.ContentItem] = []
    if high > low:
        up, down = significant(high - value), significant(value - low)
        ranges = ((_AROUND, up),) if up == down else ((_UPPER, up), (_LOWER, down))
        below += [number_item(around, by, number.unit) for around, by in ranges]
    if note:
        below.append(text_item(COMMENT, note, relationship="HAS PROPERTIES"))
    if below:
        made.ContentSequence = hd.sr.ContentSequence(below)
    return made
