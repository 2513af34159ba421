"""Codes: each is what a dictionary of somebody else says it is, and every word of the records has one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydicom.sr._concepts_dict import concepts

from hepacalc.interop import codes
from hepacalc.interop.codes import Code, SegmentCode
from hepacalc.records import KINDS, MEASUREMENTS, PATTERNS


def every(value: Any) -> Iterator[Code]:
    if isinstance(value, Code):
        yield value
    elif isinstance(value, SegmentCode):
        yield from (value.category, value.type)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from every(one)


ALL = sorted({c for name in vars(codes) for c in every(getattr(codes, name))}, key=dataclasses.astuple)


@pytest.mark.parametrize("code", [c for c in ALL if c.scheme in ("SCT", "DCM", "LN")], ids=lambda c: c.meaning)
def test_public_codes_mean_what_dicom_says(code: Code):
    known = [found[code.value][0] for found in concepts[code.scheme].values() if code.value in found]
    assert known, "not a code of any context group of PS3.16"
    assert code.meaning.lower() in {word.lower() for word in known}


def test_codes_are_unique_in_their_scheme():
    words: dict[tuple[str, str], str] = {}
    for code in ALL:
        assert words.setdefault((code.scheme, code.value), code.meaning) == code.meaning
        assert code.system
        assert len(code.value) <= 16, "longer than an SH"


def test_every_word_of_the_records_has_a_code():
    assert set(codes.MEASUREMENT_CODES) == set(MEASUREMENTS)
    assert set(codes.PATTERN_CODES) == set(PATTERNS)
    assert set(codes.KIND_CODES) == set(KINDS)
    assert set(codes.SEGMENT_CODES) == {*KINDS, "liver"}


@pytest.mark.parametrize(("name", "numeral"), [("IVa", "IV"), ("IVb", "IV"), ("VIII", "VIII"), ("I", "I")])
def test_site_of_a_segment(name: str, numeral: str):
    assert codes.segment_site(name) == codes.COUINAUD[numeral]


def test_an_unknown_segment_is_the_liver():
    assert codes.segment_site("between II and III") == codes.LIVER
