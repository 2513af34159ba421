"""Red flags and plan as the templates need them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import NextTest, PlanItem, RedFlag
from hepacalc.report.language import spoken
from hepacalc.report.reason_words import condensed, due_text, joined, said, short_status, text, urgency_text
from hepacalc.report.source_views import SourceMark, marks_of

__all__ = ["AlsoView", "FlagView", "ItemView", "NextView", "PlanView", "QuestionView", "plan_view"]

PRESSING = ("emergency", "urgent")
MOST_QUESTIONS = 6
MOST_TESTS = 4
MOST_REASONS = 3
NO_INTERVAL = "none needed: none needed"


class FlagView(NamedTuple):
    """One red flag."""

    name: str
    why: str
    because: str
    urgency: str
    urgency_name: str
    status: str
    sources: tuple[SourceMark, ...]


class AlsoView(NamedTuple):
    """A rule that is done along with another."""

    action: str
    status: str
    sources: tuple[SourceMark, ...]


class ItemView(NamedTuple):
    """One step of the plan."""

    action: str
    modality: str
    interval: str
    due: str
    urgency: str
    urgency_name: str
    pressing: bool
    because: str
    status: str
    sources: tuple[SourceMark, ...]
    provided: tuple[str, ...]
    forbidden: tuple[str, ...]
    also: tuple[AlsoView, ...]


class QuestionView(NamedTuple):
    """An open question."""

    text: str
    for_stop: bool


class NextView(NamedTuple):
    """A test that is worth it, or one that must not be done and why."""

    name: str
    path: str
    chance: float
    why: str


class PlanView(NamedTuple):
    """Flags, steps, stop, questions, tests, notes."""

    flags: tuple[FlagView, ...]
    items: tuple[ItemView, ...]
    stop: str
    questions: tuple[QuestionView, ...]
    more_questions: int
    tests: tuple[NextView, ...]
    more_tests: int
    no_tests: str
    forbidden: tuple[NextView, ...]
    action_now: str
    worst: str
    notes: tuple[str, ...]


def plan_view(reasoning: Reasoning, today: str, worst: str) -> PlanView:
    """Return the views of the plan; no flag and no step is ever left out, nor a test that must not be done.

    Args:
        reasoning: the answer about one patient.
        today: day of the plan, ``YYYY-MM-DD``, or empty.
        worst: name of the lesion that the tests are reckoned for; empty where there is one only.
    """
    plan = reasoning.plan
    # what tests are worth is reckoned for a lesion; without one it would be the worth of looking for nothing
    known = bool(reasoning.lesions) or reasoning.network == "fetal"
    worth = [(k, test) for k, test in enumerate(plan.tests) if test.is_worth_it and known]
    forbidden = [(k, test) for k, test in enumerate(plan.tests) if test.forbidden]
    return PlanView(
        flags=tuple(_flag(reasoning, flag) for flag in plan.flags),
        items=tuple(_item(reasoning, item, today) for item in plan.items),
        stop=said(plan.stop),
        questions=tuple(QuestionView(said(q.text), q.for_stop) for q in plan.questions[:MOST_QUESTIONS]),
        more_questions=max(len(plan.questions) - MOST_QUESTIONS, 0),
        tests=tuple(_test(k, test) for k, test in worth[:MOST_TESTS]),
        more_tests=max(len(worth) - MOST_TESTS, 0),
        forbidden=tuple(_test(k, test) for k, test in forbidden),
        no_tests=text("tests.none" if known else "tests.no-lesion"),
        action_now=_action(reasoning, plan.tests[0].action_now) if plan.tests and known else "",
        worst=worst,
        notes=tuple(said(note) for note in plan.notes),
    )


def _flag(reasoning: Reasoning, flag: RedFlag) -> FlagView:
    return FlagView(
        name=said(flag.text),
        why=said(flag.why),
        because=joined(condensed(flag.because)),
        urgency=flag.urgency,
        urgency_name=urgency_text(flag.urgency),
        status=_status(reasoning, flag.status, flag.sources),
        sources=marks_of(reasoning, flag.sources),
    )


def _item(reasoning: Reasoning, item: PlanItem, today: str) -> ItemView:
    return ItemView(
        action=said(item.action),
        modality=said(item.modality),
        interval=_interval(item),
        due=due_text(item.due, today),
        urgency=item.urgency,
        urgency_name=urgency_text(item.urgency),
        pressing=item.urgency in PRESSING,
        because=joined(condensed(item.because)),
        status=_status(reasoning, item.status, item.sources),
        sources=marks_of(reasoning, item.sources),
        provided=tuple(said(asked) for asked in item.provided),
        forbidden=tuple(said(told) for told in item.forbidden),
        also=tuple(
            AlsoView(
                said(more.action), _status(reasoning, more.status, more.sources), marks_of(reasoning, more.sources)
            )
            for more in item.also
        ),
    )


def _status(reasoning: Reasoning, status: str, sources: Sequence[str]) -> str:
    """Return how firm a rule is in words; one that rests on judgements of ours alone is never called published."""
    marks = marks_of(reasoning, sources)
    return short_status("ours" if status == "read" and all(mark.own for mark in marks) else status)


def _interval(item: PlanItem) -> str:
    """Return when, but not twice that none is needed."""
    return "" if dict(item.interval).get("en") == NO_INTERVAL else said(item.interval)


def _test(index: int, test: NextTest) -> NextView:
    reasons = condensed(((spoken(), reason),) for reason in test.forbidden)
    return NextView(
        name=said(test.name),
        path=f"/reasoning/plan/tests/{index}/chance_of_change",
        chance=test.chance_of_change,
        why=joined(sorted(reasons, key=_gravity)[:MOST_REASONS]),
    )


def _gravity(reason: str) -> float:
    """Facts first, then the highest bounds."""
    number = re.search(r"\d+(?:\.\d+)?", reason)
    return -float(number[0]) if number else float("-inf")


def _action(reasoning: Reasoning, action: str) -> str:
    """Return the best action without a test in words: ``leave``, ``watch``, ``act`` or ``act:CAUSE``."""
    kind, _, cause = action.partition(":")
    if cause:
        name = next((said(e.name) for e in reasoning.differential.causes if e.cause == cause), cause)
        return text("act.now", action=text("act.for", cause=name))
    return text("act.now", action=text(f"act.{kind}"))
