"""The sheet for the patient: plain, never falsely reassuring, never frightening, one page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hepacalc.errors import UsageError
from hepacalc.knowledge import load_knowledge
from hepacalc.report.patient import MOST_STEPS, OUTCOMES, Sheet, make_sheet, render_sheet, sheet_text
from hepacalc.report.sheet_phrases import SHEET_PHRASES, TEST_WORDS
from reading_level import grade, syllables
from reason_example import TODAY
from sheet_examples import told

MADE = TODAY.isoformat()
CASES = tuple(told())
LANGUAGES = ("en", "zh")
SURE = ("scar", "not cancer", "no treatment", "no more scans", "不是癌", "不用治疗", "不用再")
FRIGHTENING = re.compile(
    r"(?<!not )cancer|tumou?r|malign|metasta|death|die\b|fatal|worm|aneurysm|%|\bHU\b|\bmg\b|probab|"
    r"(?<!不是)癌|肿瘤|恶性|转移|死|寄生虫|概率",
    re.IGNORECASE,
)


def sheet(case: str, language: str = "en") -> Sheet:
    return make_sheet(told()[case], language=language, made=MADE)


def words(case: str, language: str = "en") -> str:
    return sheet_text(sheet(case, language))


def test_the_examples_have_every_outcome() -> None:
    assert {sheet(case).outcome for case in CASES} == set(OUTCOMES)


def test_syllables_and_grade_are_as_counted_by_hand() -> None:
    counted = {"calcium": 3, "liver": 2, "scar": 1, "harmless": 2, "disease": 2, "doctor": 2, "infection": 3,
               "needed": 2, "looked": 1, "diagnosis": 4, "the": 1, "baby's": 2}  # fmt: skip
    assert {word: syllables(word) for word in counted} == counted
    # 12 words, 2 sentences, 15 syllables
    told_ = "The doctor looked at the scan. It shows a spot of calcium."
    assert grade(told_) == pytest.approx(0.39 * 12 / 2 + 11.8 * 15 / 12 - 15.59)
    assert grade("Hepatic calcification necessitates comprehensive radiological characterisation.") > 20


@pytest.mark.parametrize("case", CASES)
def test_an_eighth_grader_can_read_it(case: str) -> None:
    assert grade(words(case)) <= 8


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_it_says_what_it_is_what_not_what_to_do_and_when_to_hurry(case: str, language: str) -> None:
    found = sheet(case, language)
    assert [section.name for section in found.sections] == ["what", "not", "do", "at-once"]
    assert all(section.sentences or section.points or section.after for section in found.sections)
    page = render_sheet(told()[case], language=language, made=MADE)
    for blank in ("sheet.clinic", "sheet.phone", "sheet.visit") if language == "en" else ():
        assert SHEET_PHRASES[blank] in page
    assert page == render_sheet(told()[case], language=language, made=MADE)
    assert "{" not in sheet_text(found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_nothing_frightens_without_meaning(case: str, language: str) -> None:
    text = words(case, language)
    assert not FRIGHTENING.search(text)
    # dates are the only numbers, and the telephone number for emergencies in China
    bare = re.sub(r"\d{1,2} [A-Z][a-z]+ \d{4}|\d{4}年\d{1,2}月\d{1,2}日|120", "", text)
    assert not re.search(r"\d", bare)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", [c for c in CASES if sheet(c).outcome != "scar"])
def test_only_a_plan_that_ends_reassures(case: str, language: str) -> None:
    text = words(case, language)
    claims = [word for word in SURE if word in text.replace("old scars", "")]
    assert claims == []


@pytest.mark.parametrize("case", [c for c in CASES if "judged" in c])
def test_a_scan_that_could_not_be_judged_says_so(case: str) -> None:
    assert "not judge" in words(case) or "could not be judged" in words(case)
    assert "We saw none" not in words(case)


def test_without_a_plan_the_doctor_decides() -> None:
    assert "doctor has to decide" in words("found, nothing known of the patient")
    assert "由医生决定" in words("found, nothing known of the patient", "zh")
    assert not sheet("found, nothing known of the patient").sections[2].points


def test_an_emergency_stands_on_top() -> None:
    assert "today" in sheet("possible aneurysm").alarm
    assert "今天" in sheet("possible aneurysm", "zh").alarm
    assert not sheet("possible cystic echinococcosis").alarm


def test_no_needle_into_a_possible_cyst() -> None:
    for case in ("possible cystic echinococcosis", "possible cystic echinococcosis on the scan"):
        assert "no needle" in words(case)
        assert "hard to breathe" in words(case)
        assert "不要用针" in words(case, "zh")


@pytest.mark.parametrize("case", CASES)
def test_the_steps_are_those_of_the_plan_with_their_dates(case: str) -> None:
    made = told()[case]
    reasoning = getattr(made, "reasoning", made)
    steps = sheet(case).sections[2].points
    assert len(steps) <= MOST_STEPS
    if not hasattr(reasoning, "plan"):
        assert not steps
        return
    due = {day for item in reasoning.plan.items if item.due for day in item.due}
    days = {f"{int(day[8:])} {MONTHS[int(day[5:7]) - 1]} {day[:4]}" for day in due}
    shown = re.findall(r"\d{1,2} [A-Z][a-z]+ \d{4}", " ".join(steps))
    assert set(shown) <= days
    pressing = [item for item in reasoning.plan.items if item.urgency in ("emergency", "urgent")]
    assert bool(steps) or not pressing


MONTHS = SHEET_PHRASES["sheet.months"].split()


def test_every_test_of_the_knowledge_base_has_a_plain_word() -> None:
    named = [test for tests in TEST_WORDS.values() for test in tests]
    assert sorted(named) == sorted(set(named))
    assert set(load_knowledge().tests) == set(named)
    assert {f"sheet.test.{word}" for word in (*TEST_WORDS, "other")} == {
        key for key in SHEET_PHRASES if key.startswith("sheet.test.")
    }


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError, match="fr"):
        make_sheet(told()["nothing found"], language="fr")


def test_a_scan_without_a_date_is_told_without_one() -> None:
    scan = told()["nothing found"]
    bare = replace(scan, acquisition=replace(scan.acquisition, study_date=None))  # type: ignore[type-var,union-attr]
    assert make_sheet(bare).dates == "Page made on 22 November 2026."
    assert "2024" in make_sheet(scan).dates
