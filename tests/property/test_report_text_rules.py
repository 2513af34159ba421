"""What holds for every report: nothing crashes the reader, words are where they are said to be, layout is no matter."""

from __future__ import annotations

import random
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.reports import ReportFindings, Words, read_report
from hepacalc.reports.cues import table
from hepacalc.reports.text import plain

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import report_reading

CASES = list(report_reading.cases(*report_reading.WRITTEN, *report_reading.LATER))
PIECES = (
    "liver", "肝", "calcif", "钙化", "no ", "未见", "?", "（", "。", "\n", "1.", " ", ",", "S8", "5mm", "５ｍｍ", "×",
    "vs", "\x00", "\ud800", "history:", "印象：", "possible ", "可能", "in the ", "or", "spleen", "é", "\u200b", "①",
    "Ⅷ", "𝟓", "m³", "calcified granuloma",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=30).map("".join)
NORMAL = ("The pancreas is unremarkable.", "No ascites.", "胰腺未见异常。")


def words_of(value: Any) -> Iterator[Words]:
    if isinstance(value, Words):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from words_of(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from words_of(part)


def check_places(text: str, found: ReportFindings) -> None:
    for words in words_of(found):
        assert 0 <= words.start <= words.end <= len(text)
        assert text[words.start : words.end] == words.text
        assert words.text


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_no_text_crashes_and_places_hold(text: str):
    found = read_report(text)
    check_places(text, found)
    assert 0 <= found.confidence <= 1
    assert all(0 <= m.confidence <= 1 for m in found.mentions)
    assert found == read_report(text)


def test_places_hold_in_every_written_report():
    for case in CASES:
        check_places(case.text, read_report(case.text))


def test_reports_cut_and_mixed_do_not_crash():
    draw = random.Random(3)
    for _ in range(400):
        a, b = draw.choice(CASES).text, draw.choice(CASES).text
        text = a[: draw.randrange(len(a) + 1)] + b[draw.randrange(len(b) + 1) :]
        letters = list(text)
        for _ in range(draw.randrange(4)):
            if letters:
                letters[draw.randrange(len(letters))] = draw.choice(PIECES)
        text = "".join(letters)
        check_places(text, read_report(text))


@given(st.sampled_from(CASES))
@settings(deadline=None, max_examples=120)
def test_full_width_signs_do_not_matter(case: report_reading.Case):
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in case.text)
    assert unicodedata.normalize("NFKC", wide) == unicodedata.normalize("NFKC", case.text)
    assert read_report(wide).liver_calcification == read_report(case.text).liver_calcification


@given(st.sampled_from(CASES), st.integers(1, 4))
@settings(deadline=None, max_examples=120)
def test_more_spaces_do_not_matter(case: report_reading.Case, count: int):
    spaced = case.text.replace(" ", " " * count) + " " * count
    assert read_report(spaced).liver_calcification == read_report(case.text).liver_calcification


@given(st.sampled_from([c for c in CASES if c.text.isascii() and "\n" not in c.text]), st.integers(44, 90))
@settings(deadline=None, max_examples=150)
def test_wrapped_lines_do_not_matter(case: report_reading.Case, width: int):
    wrapped = textwrap.fill(case.text, width, break_on_hyphens=False, break_long_words=False)
    assert read_report(wrapped).liver_calcification == read_report(case.text).liver_calcification


@given(st.sampled_from([c for c in CASES if not c.text.isascii() and "\n" not in c.text]), st.integers(22, 40))
@settings(deadline=None, max_examples=150)
def test_wrapped_chinese_lines_do_not_matter(case: report_reading.Case, width: int):
    lines = [case.text[k : k + width] for k in range(0, len(case.text), width)]
    if any(line[-1:].isascii() or line[:1].isascii() for line in lines[:-1] + lines[1:]):
        return  # a word or a number would be cut in two
    assert read_report("\n".join(lines)).liver_calcification == read_report(case.text).liver_calcification


@pytest.mark.parametrize("normal", NORMAL)
def test_an_unrelated_normal_sentence_changes_nothing(normal: str):
    for case in CASES:
        want = read_report(case.text).liver_calcification
        end = "" if case.text.rstrip()[-1:] in ".。" else "." if case.text.isascii() else "。"
        assert read_report(f"{case.text}{end}\n{normal}").liver_calcification == want, case.text


def test_capitals_do_not_matter():
    for case in CASES:
        if case.text.isascii():
            assert read_report(case.text.upper()).liver_calcification == read_report(case.text).liver_calcification, (
                case.text
            )


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_the_one_spelling_is_settled(text: str):
    once = plain(text).text
    assert plain(once).text.replace("\n", " ").split() == once.replace("\n", " ").split()
    assert len(plain(text).at) == len(once) + 1


@given(TEXTS)
@settings(deadline=None, max_examples=60)
def test_cues_lie_inside_the_text(text: str):
    body = plain(text).text
    for name in ("kinds", "organs", "context", "exam"):
        assert all(0 <= cue.start < cue.end <= len(body) for cue in table(name).find(body))
