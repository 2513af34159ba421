"""Answers about made-up patients, for the tests of report and commands."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from hepacalc.consult import consult
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment
from report_example import make_example

NOW = datetime.datetime(2026, 11, 22, 10, 42, tzinfo=datetime.UTC)
TODAY = NOW.astimezone().date()

CYST = """
age: 52
sex: male
exposures: {pasture: yes}
laboratory:
  - {name: alt, value: 35, unit: U/L, upper_limit: 40}
virus: {hbsag: positive}
examinations:
  - modality: ultrasound
    number: single
    lesions:
      - {host: cyst, morphology: rim, size_mm: 60}
"""
"""A cyst with a calcified wall in a herdsman with hepatitis B: red flags, urgent steps, a needle that is forbidden."""

SIMPLE = """
age: 45
sex: female
exposures: {others: no}
cancers: {had: no}
conditions: {others: no}
treatments: {others: no}
symptoms: {others: no}
laboratory:
  - {name: liver_tests, result: normal}
virus: {hbsag: negative, anti_hcv: negative}
old_images: no
examinations:
  - modality: ct_non_contrast
    number: single
    ducts: normal
    liver: normal
    lesions:
      - {host: parenchyma, morphology: punctate, size_mm: 4, contour: sharp, density_hu: 400}
"""
"""The article's plain small focus: nothing to treat, a place to stop."""

FETUS = """
fetus:
  gestational_weeks: 22
  focus: parenchymal_few
"""

BLANK = "age: 40\n"

PERSON = """
age: 57
sex: male
exposures:
  pasture: {had: yes, from_age: 0, to_age: 22}
  others: no
cancers: {had: no}
symptoms: {others: no}
examinations:
  - modality: ultrasound
    number: single
    lesions:
      - {host: cyst, morphology: rim, size_mm: 20}
"""
"""Beside a scan: its own lesions overrule the one that was typed in."""


@cache
def answer(text: str) -> Reasoning:
    """What is answered without a scan."""
    return consult(read_patient(text, today=TODAY), load_knowledge(), today=TODAY)


@cache
def assessed(text: str = PERSON, *, lesions: int = 4) -> Assessment:
    """The made-up scan, with an answer."""
    scan = make_example()
    if not lesions:
        scan = make_example(balls=())
    found = consult(read_patient(text, today=TODAY), load_knowledge(), today=TODAY, assessment=scan)
    return replace(scan, reasoning=found)


class Text(HTMLParser):
    """The words of a page, and those that are struck through."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.struck: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.parts.append(data)
        if "s" in self.open:
            self.struck.append(data)

    @property
    def text(self) -> str:
        return plain(" ".join(self.parts))


def plain(text: str) -> str:
    """A text without breaks, for comparing."""
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " ")).strip()
