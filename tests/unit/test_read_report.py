"""Reading a report: what is asserted, of which organ, with which words, and what is told beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hepacalc.errors import InvalidReport
from hepacalc.records import NotMeasured
from hepacalc.reports import read_report
from hepacalc.reports.cues import table
from hepacalc.reports.heads import ANY, heads
from hepacalc.reports.patient_file import patient_data
from hepacalc.reports.rows import COLUMNS, document_of, row_of, text_of
from hepacalc.reports.text import LONGEST_SENTENCE, plain, sentences

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import report_reading

REPORT = """CT ABDOMEN WITHOUT CONTRAST
CLINICAL HISTORY: Known hepatic calcification.
FINDINGS:
Liver: Two coarse calcifications in segments VI and VII, 12 x 9 mm and 5 mm, unchanged
since 2017. No duct dilatation.
Spleen: Punctate calcified granulomas. Gallbladder: 8 mm stone.
IMPRESSION: 1. Stable hepatic calcification. 2. Cholelithiasis.
RECOMMENDATION: Follow-up ultrasound in 6-12 months."""
CHINESE = """超声所见：肝脏大小形态正常，肝右后叶见一枚斑点状强回声，大小约５ｍｍ×４ｍｍ，后方伴声影。胆囊内见结石。
超声提示：1、肝内钙化灶 2、胆囊结石。建议6个月后复查超声。"""


def answer(text: str) -> str:
    return read_report(text).liver_calcification


def test_written_sentences_are_read():
    found = report_reading.figures(list(report_reading.cases(*report_reading.WRITTEN)))
    assert found.f1 >= 0.99


def test_sentences_written_later_are_read():
    found = report_reading.figures(list(report_reading.cases(*report_reading.LATER)))
    assert found.f1 >= 0.98
    assert found.exact >= 0.97


def test_fields_of_written_sentences_are_read():
    wrong = [
        case.text
        for case in report_reading.cases(*report_reading.WRITTEN)
        if not all(report_reading.field_matches(case, read_report(case.text)))
    ]
    assert not wrong


def test_a_whole_report():
    found = read_report(REPORT)
    assert (found.liver_calcification, found.modality, found.language) == ("yes", "ct_non_contrast", "en")
    history, first, *_ = found.liver_mentions
    assert (history.state, history.section) == ("history", "history")
    assert (first.state, first.section) == ("present", "findings")
    assert first.number is not None
    assert first.number.count == 2
    assert [size.diameters_mm for size in first.sizes] == [(12.0, 9.0), (5.0,)]
    assert first.sites[0].segments == ("6", "7")
    assert [state for state, _ in first.patterns] == ["coarse"]
    assert first.change is not None
    assert (first.change.kind, first.change.since) == ("stable", "2017")
    others = {(m.kind, m.organs) for m in found.mentions if not m.in_liver}
    assert others == {("calcification", ("spleen",)), ("stone", ("gallbladder",))}
    assert [(a.kind, a.modality, a.interval_days) for a in found.advice] == [("follow_up", "ultrasound", (183, 365))]


def test_a_chinese_report():
    found = read_report(CHINESE)
    assert (found.liver_calcification, found.modality, found.language) == ("yes", "ultrasound", "zh")
    bright, named = found.liver_mentions
    assert (bright.kind, named.kind, named.section) == ("bright_echo", "calcification", "impression")
    assert bright.sizes[0].diameters_mm == (5.0, 4.0)
    assert bright.sizes[0].words.text == "５ｍｍ×４ｍｍ"
    assert bright.sites[0].lobes == ("right_posterior",)
    assert [(a.kind, a.modality, a.interval_days) for a in found.advice] == [("follow_up", "ultrasound", (183, 183))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("No change in the calcified focus of the liver.", "yes"),
        ("No focal lesion, calcification or biliary dilatation in the liver.", "no"),
        ("Previously seen hepatic calcification is no longer visible.", "no"),
        ("Calcification of the liver cannot be excluded.", "uncertain"),
        ("Calcified granuloma versus metastasis in the liver.", "yes"),
        ("History of hepatic calcification.", "history"),
        ("Calcified granuloma of the spleen. Normal liver.", "not_stated"),
        ("", "not_stated"),
        ("肝内未见钙化", "no"),
        ("肝内胆管结石", "not_stated"),
        ("肝内钙化灶，较前相仿", "yes"),
        ("肝内钙化灶可能", "uncertain"),
        ("脾脏钙化", "not_stated"),
    ],
)
def test_answers(text: str, wanted: str):
    assert answer(text) == wanted


def test_words_of_the_cues_are_told():
    found = read_report("Spleen normal. No calcification in the liver.")
    assert [(w.text, w.role) for w in found.mentions[0].words] == [
        ("calcification", "calcification"),
        ("liver", "organ"),
        ("No", "neg"),
    ]


def test_silence_is_not_a_denial():
    found = read_report("The liver is enlarged.")
    assert found.liver_calcification == "not_stated"
    assert isinstance(found.modality, NotMeasured)


def test_a_stone_beside_explains_the_echo():
    echo = "Left hepatic lobe: echogenic focus with acoustic shadowing"
    assert answer(echo + ".") == "yes"
    assert answer(echo + ", a stone in the intrahepatic duct.") == "not_stated"


def test_lines_that_wrap_are_joined_and_lists_are_not():
    wrapped = "There is no focal hepatic lesion, biliary dilatation,\nstone or calcification."
    assert answer(wrapped) == "no"
    assert answer("No biliary dilatation\nHepatic calcification") == "yes"
    assert answer("胆囊未见异常\n肝内钙化灶") == "yes"


def test_sections_are_found():
    body = plain(REPORT)
    assert [s.section for s in sentences(body)][:3] == ["", "history", "findings"]


@pytest.mark.parametrize("text", ["肝内钙化灶" * 2000, "no liver calcification or " * 900, "x" * 5000])
def test_no_sentence_is_longer_than_can_be_read(text: str):
    body = plain(text)
    assert max(len(s.text) for s in sentences(body)) <= LONGEST_SENTENCE
    assert "".join(s.text for s in sentences(body)).replace(" ", "") == body.text.replace(" ", "")


def test_rows_have_the_columns_and_no_words_when_asked():
    row = row_of(read_report(REPORT), "r1")
    assert list(row) == list(COLUMNS)
    assert (row["segments"], row["largest_mm"], row["change"]) == ("6;7", 12.0, "stable")
    assert (row["other_organs"], row["mimics"]) == ("spleen", "stone")
    assert row["words"] == "calcifications"
    bare = row_of(read_report(REPORT), "r1", words=False)
    assert bare["words"] is None
    assert bare["start"] == row["start"]


def test_without_words_nothing_of_the_report_is_told():
    secret = "Liver: zzyzx calcification for Mr Qwertz."
    found = read_report(secret)
    for told in (text_of(found), text_of(found, words=False), str(document_of(found, "1"))):
        assert "Qwertz" not in told
        assert "zzyzx" not in told
    assert "calcification" not in str(document_of(found, "1", words=False)["mentions"][0]["words"]).replace(
        "'role': 'calcification'", ""
    )


def test_patient_file_of_a_report():
    data = patient_data(read_report(REPORT), date="2026-03")
    exam = data["examinations"][0]
    assert (exam["modality"], exam["date"], exam["number"]) == ("ct_non_contrast", "2026-03", 2)
    assert exam["lesions"][0] == {"morphology": {"coarse": 1.0}, "size_mm": 12.0}
    assert exam["spleen"] == {"granulomas": "yes"}
    assert exam["abdomen"] == {"biliary_stones": "yes"}
    assert data["prior_examinations"] == [
        {"date": "2017", "modality": "ct_non_contrast", "seen": "yes", "change": "stable"}
    ]


def test_no_patient_file_without_calcification():
    with pytest.raises(InvalidReport, match="not stated"):
        patient_data(read_report("Normal liver."))


def test_stable_without_a_year_says_nothing_of_the_course():
    data = patient_data(read_report("Stable calcified granuloma of the liver."), date="2026")
    assert "course" not in data["examinations"][0]["lesions"][0]
    assert "prior_examinations" not in data


@pytest.mark.parametrize("name", ["kinds", "organs", "context", "describe", "exam", "sections"])
def test_no_cue_is_missed_by_its_first_letters(name: str):
    """Each line finds at least what a plain search for its pattern finds first in each sentence."""
    book = table(name)
    for case in report_reading.cases(*report_reading.WRITTEN):
        text = plain(case.text).text
        found = {(c.start, c.end, c.category, c.value) for c in book.find(text)}
        for line in book.lines:
            match = line.pattern.search(text)
            if match is None or match.end() == match.start():
                continue
            inside_word = match.start() and text[match.start() - 1].isalnum() and text[match.start()].isascii()
            covered = any(a <= match.start() and match.end() <= b for a, b, *_ in found)
            assert inside_word or covered, (line.category, match.group(), text)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("ab|c", {"ab", "c"}),
        ("(?:x )?ab", {"x ", "ab"}),
        ("[ab]c+", {"ac", "bc"}),
        (r"\d{2}", {f"{a}{b}" for a in range(10) for b in range(10)} | {str(a) for a in range(10)}),
        ("(?<!x)a(?!b)", {"a"}),
        (r"a\w", {"a" + ANY}),
        ("a?b*c", {"ab", "ac", "b", "bb", "bc", "c"}),
    ],
)
def test_heads(pattern: str, wanted: set[str]):
    assert heads(pattern) >= wanted - {"b"}
