"""The reasoning on the page: first things first, honest about sources, nothing loaded, nothing lost."""

import re
from dataclasses import replace

import pytest

from hepacalc.reason.records import WeightOfEvidence
from hepacalc.reason.redflags import URGENCIES
from hepacalc.report import render_explanation, render_html
from hepacalc.report.reason_plan_views import plan_view
from hepacalc.report.reason_views import reason_view
from hepacalc.report.reason_words import said
from hepacalc.report.source_views import marks_of
from reason_example import BLANK, CYST, FETUS, NOW, PERSON, SIMPLE, Text, answer, assessed, plain

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(assessed())


def test_page_one_goes_from_flags_to_causes_to_plan(page: str) -> None:
    text = Text(page).text
    flags = text.find("red flag")
    assert 0 < text.find("calcified lesions in the liver") < text.find("What it may be") < text.find("What to do next")
    assert 0 < text.find("How many") < text.find("What limits this answer") < text.find("What it may be")
    assert text.find("What to do next") < text.find("Lesion L1")
    assert (0 < flags < text.find("How many")) == bool(assessed().reasoning.plan.flags)
    for said_ in ("Decision support without clinical review", "not a medical device", "not a diagnosis"):
        assert said_ in text


def test_without_a_patient_nothing_of_it_is_there(page: str) -> None:
    bare = render_html(replace(assessed(), reasoning=None))
    for word in ("What it may be", "What to do next", "red flag", "bandbar"):
        assert word in page
        assert word not in bare


def test_every_lesion_has_its_own_causes(page: str) -> None:
    found = assessed().reasoning
    assert page.count("What this lesion may be</h3>") == len(found.lesions) > 1
    sections = page.split('<section class="lesion"')[1:]
    for section, lesion in zip(sections, found.lesions, strict=True):
        words = plain(Text("<section " + section.split("</section>")[0] + "</section>").text)
        for entry in lesion.differential.causes[:3]:
            assert said(entry.name) in words


def test_what_was_overruled_is_shown_and_struck_through(page: str) -> None:
    over = [finding.text for finding in assessed(PERSON).reasoning.findings if finding.overruled]
    assert over
    assert set(over) <= {plain(text) for text in Text(page).struck}
    used = [finding.text for finding in assessed(PERSON).reasoning.findings if not finding.overruled]
    assert set(used) <= {plain(part) for part in Text(page).parts}


def test_urgent_flags_and_steps_look_urgent() -> None:
    html = render_explanation(answer(CYST), now=NOW)
    found = answer(CYST)
    assert html.count('<li class="flag urgent">') == sum(flag.urgency == "urgent" for flag in found.plan.flags) > 0
    assert html.count('<tr class="item urgent">') == sum(item.urgency == "urgent" for item in found.plan.items) > 0
    assert html.index('<section class="flags"') < html.index('id="may-be"')
    for item in found.plan.items:
        if item.due:
            assert item.due[1] in html


def test_what_must_not_be_done_says_why() -> None:
    words = Text(render_explanation(answer(CYST), now=NOW)).text
    forbidden = [test for test in answer(CYST).plan.tests if test.forbidden]
    assert forbidden
    for test in forbidden:
        assert f"{said(test.name)} : Cystic echinococcosis" in words


@pytest.mark.parametrize("text", [CYST, SIMPLE, FETUS, BLANK])
def test_every_page_is_whole_and_loads_nothing(text: str) -> None:
    html = render_explanation(answer(text), now=NOW)
    assert html == render_explanation(answer(text), now=NOW)
    words = Text(html).text
    assert not re.search(r"\bNone\b(?! needed| is reckoned)|\bnan\b|\{\{|\}\}", words)
    assert "http" not in re.sub("http-equiv", "", html)
    assert "<script" not in html
    assert "url(" not in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    for source in answer(text).sources:
        assert source.id in words
        assert source.citation in words


def test_without_a_lesion_it_does_not_say_that_there_is_one() -> None:
    for html in (render_explanation(answer(BLANK), now=NOW), render_html(assessed(lesions=0))):
        words = Text(html).text
        assert "No calcified lesion is known here" in words
        assert "What it may be" not in words
        assert "What to do next" not in words
        assert "What would be next, if there were a calcification" in words
        assert "None is reckoned: no lesion is known" in words


def test_a_source_that_is_not_published_is_never_shown_as_published() -> None:
    found = answer(CYST)
    for source in found.sources:
        [mark] = marks_of(found, [source.id])
        assert mark.own == (source.status == "judgement")
        assert mark.shown.endswith("?") == (source.status not in ("read", "judgement", "site"))
    [unlisted] = marks_of(found, ["X1"])
    assert unlisted.shown == "X1?"
    assert not unlisted.listed
    item = replace(found.plan.items[0], status="read", sources=("J-THRESHOLD",))
    view = plan_view(replace(found, plan=replace(found.plan, items=(item,))), "", "")
    assert view.items[0].status == "our rule, untested"
    view = plan_view(replace(found, plan=replace(found.plan, items=(replace(item, sources=()),))), "", "")
    assert view.items[0].status == "our rule, untested", "a rule without a source rests on nothing published"


def test_the_strongest_evidence_is_told_for_and_against() -> None:
    found = answer(CYST)
    view = reason_view(found)
    [lesion] = found.lesions
    for cause, entry in zip(view.causes, found.differential.causes, strict=False):
        told: list[WeightOfEvidence] = next(list(e.weights) for e in lesion.explanations if e.cause == entry.cause)
        most, least = max(w.decibans for w in told), min(w.decibans for w in told)
        assert (cause.speaks_for.decibans if cause.speaks_for else 1.0) == max(most, 1.0)
        assert (cause.against.decibans if cause.against else -1.0) == min(least, -1.0)


def test_a_harmful_cause_of_one_lesion_is_not_diluted() -> None:
    view = reason_view(assessed().reasoning)
    shown = {cause.name for cause in view.causes}
    for entry in assessed().reasoning.highest:
        if entry.harm in ("malignant", "dangerous") and entry.high >= 0.05:
            assert said(entry.name) in shown
    for harm in view.harms:
        held = [h for one in assessed().reasoning.lesions for h in one.differential.harms if h.harm == harm.harm]
        assert harm.chance.high == max(h.high for h in held)


def test_flags_and_steps_are_in_order_of_urgency() -> None:
    view = plan_view(answer(CYST), "", "")
    for told in (view.flags, view.items):
        places = [URGENCIES.index(one.urgency) for one in told]
        assert places == sorted(places)


def test_hostile_text_is_shown_as_text() -> None:
    found = answer(CYST)
    names = (("en", HOSTILE),)
    flag = replace(found.plan.flags[0], text=names, why=names, because=(names,), status=HOSTILE)
    item = replace(
        found.plan.items[0], action=names, modality=names, interval=names, provided=(names,), forbidden=(names,)
    )
    bad = replace(
        found,
        plan=replace(found.plan, flags=(flag,), items=(item,), stop=names, notes=(names,)),
        findings=(replace(found.findings[0], text=HOSTILE),),
        warnings=(HOSTILE,), notes=(HOSTILE,), setting_because=(HOSTILE,), setting_name=names,
        sources=tuple(replace(s, citation=HOSTILE, status=HOSTILE) for s in found.sources),
    )  # fmt: skip
    html = render_explanation(bad, now=NOW)
    assert "<script" not in html
    assert "<img" not in html
    assert "{{7*7}}" in Text(html).text
