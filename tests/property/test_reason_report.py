"""Whatever the plan holds, page and terminal show it; page and JSON hold the same numbers."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import Names, Plan, PlanItem, RedFlag
from hepacalc.reason.redflags import URGENCIES
from hepacalc.report import (
    document,
    document_json,
    explanation_document,
    explanation_text,
    load_reasoning_schema,
    render_explanation,
    render_html,
)
from reason_example import CYST, NOW, TODAY, Text, answer, assessed, plain

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)
VALIDATOR = jsonschema.Draft202012Validator(load_reasoning_schema())

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
sentences = st.lists(words, min_size=1, max_size=6).map(" ".join)
names: st.SearchStrategy[Names] = sentences.map(lambda text: (("en", text), ("zh", "字")))
statuses = st.sampled_from(["read", "unchecked", "recalled", "ours", "judgement", "site"])
urgencies = st.sampled_from(URGENCIES)
sources = st.lists(st.sampled_from(["E175", "J-SAFETY", "E999"]), max_size=2, unique=True).map(tuple)
days = st.dates().map(lambda day: day.isoformat())

flags = st.builds(
    RedFlag,
    flag=words,
    text=names,
    why=names,
    because=st.lists(names, max_size=3).map(tuple),
    urgency=urgencies,
    sources=sources,
    status=statuses,
)
items = st.builds(
    PlanItem,
    rule=words,
    action=names,
    modality=names,
    tests=st.just(()),
    interval=names,
    due=st.none() | st.tuples(days, days).map(lambda pair: (min(pair), max(pair))),
    urgency=urgencies,
    because=st.lists(names, max_size=2).map(tuple),
    sources=sources,
    status=statuses,
    provided=st.lists(names, max_size=2).map(tuple),
    forbidden=st.lists(names, max_size=2).map(tuple),
    also=st.just(()),
)
plans = st.builds(
    Plan,
    flags=st.lists(flags, max_size=8).map(tuple),
    items=st.lists(items, max_size=12).map(tuple),
    tests=st.just(()),
    stop=st.just(()) | names,
)


def _planned(plan: Plan) -> Reasoning:
    return replace(answer(CYST), plan=plan)


def page_with(found: Reasoning) -> str:
    """The report of a scan without lesions, which is quick to draw, with this answer."""
    return render_html(replace(assessed(lesions=0), reasoning=found))


def _must_be_shown(plan: Plan) -> list[str]:
    shown = [dict(part)["en"] for flag in plan.flags for part in (flag.text, flag.why)]
    for item in plan.items:
        shown += [dict(part)["en"] for part in (item.action, item.modality, item.interval)]
        shown += [dict(part)["en"] for part in (*item.provided, *item.forbidden)]
        shown += [item.due[1]] if item.due else []
    return shown + ([dict(plan.stop)["en"]] if plan.stop else [])


@SETTINGS
@given(plans)
def test_every_flag_and_every_step_is_on_every_page_and_in_the_terminal(plan: Plan) -> None:
    found = _planned(plan)
    page = Text(render_explanation(found, now=NOW)).text.casefold()
    report = Text(page_with(found)).text.casefold()
    terminal = plain(explanation_text(found, today=TODAY.isoformat())).casefold()
    for said in _must_be_shown(plan):
        for place in (page, report, terminal):
            assert plain(said).casefold() in place
    html = render_explanation(found, now=NOW)
    for urgency in URGENCIES:
        assert html.count(f'<li class="flag {urgency}">') == sum(flag.urgency == urgency for flag in plan.flags)
        assert html.count(f'<tr class="item {urgency}">') == sum(item.urgency == urgency for item in plan.items)


@SETTINGS
@given(plans)
def test_every_plan_is_valid_json_with_all_that_is_shown(plan: Plan) -> None:
    told = json.loads(document_json(explanation_document(_planned(plan), now=NOW)))
    assert [error.message for error in VALIDATOR.iter_errors(told)] == []
    assert [item["rule"] for item in told["reasoning"]["plan"]["items"]] == [item.rule for item in plan.items]


class Numbers(HTMLParser):
    """Pointers and values of the numbers of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, float]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        if "data-value" in held:
            self.found.append((held["data-path"] or "", float(held["data-value"] or "nan")))


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _same(page: str, told: dict[str, Any]) -> int:
    found = [(path, value) for path, value in Numbers(page).found if path.startswith("/reasoning/")]
    for path, value in found:
        assert _at(told, path) == value, path
    return len(found)


def test_every_number_of_the_reasoning_is_that_of_the_json() -> None:
    scan = assessed()
    assert _same(render_html(scan), json.loads(document_json(document(scan)))) > 100
    told = json.loads(document_json(explanation_document(answer(CYST), now=NOW)))
    assert _same(render_explanation(answer(CYST), now=NOW), told) > 20
