"""The answer without a scan in plain lines, for a terminal or a text field."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hepacalc.reason.reasoning import Reasoning
from hepacalc.report.numbers import percent
from hepacalc.report.reason_plan_views import FlagView, ItemView
from hepacalc.report.reason_views import CauseView, ReasonView, WeightView, reason_view
from hepacalc.report.reason_words import headline, text
from hepacalc.report.source_views import SourceMark

__all__ = ["explanation_text"]

WIDTH = 110


def explanation_text(reasoning: Reasoning, *, today: str = "") -> str:
    """Return flags, ranked causes with bands, plan with dates, questions, tests and warnings in plain lines.

    Args:
        reasoning: the answer about one patient.
        today: day of the plan, ``YYYY-MM-DD``; then what may be done at once is shown by its last day.
    """
    view = reason_view(reasoning, today)
    lines = [f"{headline(reasoning)}."]
    for block in (_flags, _causes, _plan, _open, _remarks):
        lines += ["", *block(view)]
    lines += ["", text("explain.disclaimer.short")]
    return "\n".join(line.rstrip() for line in lines)


def _flags(view: ReasonView) -> Iterator[str]:
    flags = view.plan.flags
    if not flags:
        yield text("line.flags.none")
        return
    yield text("flags.one" if len(flags) == 1 else "flags.many", count=len(flags)).upper()
    for flag in flags:
        yield from _wrapped(f"{flag.urgency_name.upper()}: {flag.name} {_basis(flag)}", 2, 4)
        yield from _wrapped(flag.why, 4)
        if flag.because:
            yield from _wrapped(text("flag.because", because=flag.because), 4)


def _causes(view: ReasonView) -> Iterator[str]:
    yield view.title.upper()
    if not view.known:
        yield from _wrapped(text("may-be.none.note"), 2)
    yield from _wrapped(view.setting, 2)
    if view.lesions > 1:
        yield from _wrapped(text("may-be.several", count=view.lesions), 2)
    wide = max(len(cause.name) for cause in view.causes)
    for rank, cause in enumerate(view.causes, start=1):
        band = text("band", low=percent(cause.chance.low), high=percent(cause.chance.high))
        needle = f", {text('needle.never')}" if cause.never_needle else ""
        yield (
            f"  {rank}. {cause.name:<{wide}}  {percent(cause.chance.value):>6}  {f'({band})':<18}  "
            f"{cause.harm_name}{needle}"
        )
        yield from _reasons(cause)
    yield from _wrapped(
        "; ".join(
            f"{text('together', harm=harm.name)} {percent(harm.chance.value)} "
            f"({text('band', low=percent(harm.chance.low), high=percent(harm.chance.high))})"
            for harm in view.harms
        ),
        2,
    )


def _reasons(cause: CauseView) -> Iterator[str]:
    if cause.highest is not None:
        yield f"     {text('highest', lesion=cause.lesion)} {percent(cause.highest.value)}"
    for key, weight in (("for", cause.speaks_for), ("against", cause.against)):
        if weight is not None:
            yield from _wrapped(f"{text(key)} {_weight(weight)}", 5, 7)


def _weight(weight: WeightView) -> str:
    return f"{weight.said} ({weight.strength}, {weight.shown}; {weight.status}){_marks(weight.sources)}"


def _plan(view: ReasonView) -> Iterator[str]:
    plan = view.plan
    yield text("plan.title" if view.known else "plan.title.none").upper()
    if not plan.items:
        yield f"  {text('plan.none')}"
    for item in plan.items:
        yield from _item(item)
    yield from _wrapped(f"{text('stop')} {plan.stop}" if plan.stop else text("stop.none"), 2)


def _item(item: ItemView) -> Iterator[str]:
    when = ", ".join(part for part in (item.interval, item.due) if part)
    yield from _wrapped(f"{item.urgency_name.upper()}: {item.action} {_basis(item)}", 2, 4)
    yield from _wrapped(f"{text('plan.how')} {item.modality}{'; ' + when if when else ''}.", 4)
    if item.because:
        yield from _wrapped(f"{text('plan.because')} {item.because}.", 4)
    if item.provided:
        yield from _wrapped(f"{text('plan.provided')} {' '.join(item.provided)}", 4)
    if item.forbidden:
        yield from _wrapped(f"{text('plan.not')} {'; '.join(item.forbidden)}", 4)
    for more in item.also:
        yield from _wrapped(f"{text('plan.also')} {more.action} [{more.status}]{_marks(more.sources)}", 4)


def _open(view: ReasonView) -> Iterator[str]:
    plan = view.plan
    yield f"{text('questions')}:" if plan.questions else text("questions.none")
    for question in plan.questions:
        first = f" ({text('questions.first')})" if question.for_stop else ""
        yield from _wrapped(f"- {question.text}{first}", 2, 4)
    if plan.more_questions:
        yield f"  - {text('questions.more', count=plan.more_questions)}"
    yield f"{text('tests')}:" if plan.tests else plan.no_tests
    for test in plan.tests:
        yield from _wrapped(f"- {test.name} ({text('tests.chance', chance=percent(test.chance))})", 2, 4)
    if plan.more_tests:
        yield f"  - {text('tests.more', count=plan.more_tests)}"
    if plan.forbidden:
        yield f"{text('tests.forbidden')}:"
    for test in plan.forbidden:
        yield from _wrapped(f"- {test.name}{': ' + test.why if test.why else ''}", 2, 4)


def _remarks(view: ReasonView) -> Iterator[str]:
    for warning in view.reasoning.warnings:
        yield from _wrapped(text("line.warning", text=warning), 0, 2)
    for note in view.reasoning.notes:
        yield from _wrapped(f"{note[:1].upper()}{note[1:]}.", 0, 2)
    for told in view.plan.notes:
        yield from _wrapped(told, 0, 2)


def _basis(told: FlagView | ItemView) -> str:
    return f"[{told.status}]{_marks(told.sources)}"


def _marks(marks: tuple[SourceMark, ...]) -> str:
    return f" {' '.join(mark.shown for mark in marks)}" if marks else ""


def _wrapped(line: str, indent: int, hanging: int | None = None) -> list[str]:
    """Break a text into lines, indented."""
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hanging is None else hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
