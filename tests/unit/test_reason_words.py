"""Numbers and ids of the reasoning in plain words."""

from dataclasses import replace
from typing import get_args

import pytest

from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.references import HARMS
from hepacalc.reason import records
from hepacalc.reason.redflags import URGENCIES
from hepacalc.report import explanation_text, summary_text
from hepacalc.report import reason_phrases as phrases
from hepacalc.report.reason_words import (
    condensed,
    deciban_text,
    due_text,
    headline,
    named,
    said,
    short,
    short_status,
    status_text,
    strength_text,
    summary_lines,
)
from reason_example import BLANK, CYST, FETUS, SIMPLE, TODAY, answer, assessed, plain


def test_every_word_of_the_knowledge_base_has_one_for_readers() -> None:
    known = load_knowledge()
    assert set(phrases.URGENCIES) == set(URGENCIES)
    assert set(phrases.HARMS) == HARMS >= {cause.harm for cause in known.causes.values()}
    statuses = {part.status for part in (*known.sources.values(), *known.rules.values(), *known.redflags.values())}
    assert set(phrases.STATUSES) == set(phrases.SHORT_STATUSES) >= statuses
    assert {f"by.{who}" for who in get_args(records.By)} <= set(phrases.REASON_PHRASES)
    assert {f"act.{word}" for word in ("leave", "watch", "act")} <= set(phrases.REASON_PHRASES)


@pytest.mark.parametrize("status", ["ours", "judgement", "unchecked", "recalled", "", "something new"])
def test_only_what_was_read_is_called_published(status: str) -> None:
    for words in (status_text(status), short_status(status)):
        assert words
        assert not words.startswith("published")
    assert status_text("read").startswith("published")


@pytest.mark.parametrize(
    ("decibans", "word", "shown"),
    [(18.1, "very strong", "+18 dB"), (-2.4, "weak", "−2.4 dB"), (0.2, "next to nothing", "+0.2 dB"),
     (-10.0, "strong", "−10 dB"), (5.0, "moderate", "+5.0 dB"), (9.96, "moderate", "+10 dB"),
     (33, "overwhelming", "+33 dB")],
)  # fmt: skip
def test_weights_have_a_word_and_their_number(decibans: float, word: str, shown: str) -> None:
    assert strength_text(decibans) == strength_text(-decibans) == word
    assert deciban_text(decibans) == shown


def test_dates_say_by_when() -> None:
    assert due_text(None, "2026-01-31") == ""
    assert due_text(("2026-01-31", "2026-02-14"), "2026-01-31") == "by 2026-02-14"
    assert due_text(("2026-07-31", "2027-01-31"), "2026-01-31") == "2026-07-31 to 2027-01-31"
    assert due_text(("2026-07-31", "2026-07-31"), "2026-01-31") == "on 2026-07-31"


def test_the_same_reason_of_ten_lesions_stands_once_with_the_greatest_number() -> None:
    reasons = [(("en", f"Hydatid cyst: upper bound {n}% (limit 2.0%)"),) for n in (15, 91, 8)]
    told = condensed([*reasons, (("en", "HBsAg: positive"),), (("en", "diameter: 27.8347 mm"),)])
    assert told == ("Hydatid cyst: upper bound 91% (limit 2.0%) (and 2 alike)", "HBsAg: positive", "diameter: 27.8 mm")


def test_texts_are_cut_at_a_word_and_names_fall_back_to_ids() -> None:
    assert short("one two three", 9) == "one two…"
    assert short("one two", 9) == "one two"
    assert said((("zh", "x"),)) == "x"
    assert said(()) == ""
    assert named(answer(CYST), "lesion") == "Focus and what holds it"
    assert named(answer(CYST), "unheard_of") == "unheard_of"


def test_the_headline_is_never_surer_than_its_band() -> None:
    assert plain(headline(answer(CYST))).startswith("1 lesion as described: most likely Cystic echinococcosis (")
    assert headline(answer(BLANK)) == "No lesion was described"
    assert "fetus" in headline(answer(FETUS))
    first = answer(CYST).differential.first
    assert plain(f"{round(100 * first.low)} %") in plain(headline(answer(CYST)))


def test_assess_tells_flags_causes_and_the_first_steps_in_three_lines() -> None:
    scan = assessed()
    told = summary_text(scan).splitlines()
    without = summary_text(replace(scan, reasoning=None)).splitlines()
    assert len(told) == len(without) + 3
    assert [line for line in told if line in without] == without
    flags, causes, plan = summary_lines(answer(CYST), TODAY.isoformat())
    assert flags.startswith("Red flags: Urgent: ")
    assert causes.startswith("May be: Cystic echinococcosis ")
    assert plan.startswith("Next: Urgent, by 20")
    pressing = [item for item in answer(CYST).plan.items if item.urgency == "urgent"]
    assert len(pressing) > 1
    for item in pressing:
        assert f"{due_text(item.due, TODAY.isoformat())}: {said(item.modality)}" in plan


def test_without_flags_or_lesions_it_says_so() -> None:
    flags, causes, plan = summary_lines(answer(BLANK))
    assert plan.startswith("Next, if there were one: ")
    assert flags == "Red flags: none raised."
    assert causes.startswith("If there were a calcification")


@pytest.mark.parametrize("text", [CYST, SIMPLE, FETUS, BLANK])
def test_the_terminal_tells_every_flag_step_and_warning(text: str) -> None:
    found = answer(text)
    told = explanation_text(found, today=TODAY.isoformat())
    assert max(map(len, told.splitlines())) <= 116
    words = plain(told)
    for entry in found.differential.causes[:5]:
        assert said(entry.name) in words
    for flag in found.plan.flags:
        assert said(flag.text) in words
    for item in found.plan.items:
        assert said(item.action) in words
        assert said(item.modality) in words
    for warning in found.warnings:
        assert warning in words
    assert "not a medical device, not a diagnosis" in words
    assert "{" not in told


def test_the_plain_small_focus_ends_with_a_stop() -> None:
    found = answer(SIMPLE)
    assert not found.plan.flags
    told = plain(explanation_text(found))
    assert ("Then stop." in told) == bool(found.plan.stop)
    assert "Only if these are answered" in told or found.plan.stop
