"""The steps of a plan over time: when each is due, what closes it, and what comes after.

Days are ``YYYY-MM-DD`` in the Gregorian calendar, without a time or a time zone. A year or month later is the same day
of the month, or the last of a shorter one: a year after 29 February is 28 February.

A loop never ends by itself: it is finished only where the plan says that the work-up stops and what was done showed no
change. Everything else leads to a next step; where the plan names none, that step is to plan again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from hepacalc.errors import UsageError
from hepacalc.reason.days import add_days, add_months, checked_day
from hepacalc.reason.records import Names, Plan, PlanItem

__all__ = [
    "ASSESS",
    "REPLAN",
    "RESULTS",
    "SOON_DAYS",
    "TIMINGS",
    "URGENT_DAYS",
    "Closing",
    "Interval",
    "Result",
    "Schedule",
    "Step",
    "Timing",
    "Windows",
    "carry_over",
    "close_step",
    "exam_tests",
    "interval_of",
    "is_answered",
    "replan_step",
    "schedule_of",
    "timing",
]  # fmt: skip

Timing = Literal["lost", "overdue", "due", "soon", "undated", "later"]
TIMINGS: tuple[Timing, ...] = ("lost", "overdue", "due", "soon", "undated", "later")
"""When a step is due, most pressing first; :func:`timing` defines them."""
Result = Literal["unchanged", "changed", "unclear", "declined"]
RESULTS: tuple[Result, ...] = ("unchanged", "changed", "unclear", "declined")
"""What came of a step: it showed no change, a change, could not tell; or it was decided not to do it."""

REPLAN = "replan"
"""Rule of the step that takes the place of a plan that names no next one: plan again with what is known."""
ASSESS = "assess_new_exam"
"""Rule of the step that follows an exam that showed a change, or could not tell."""
URGENT_DAYS, SOON_DAYS = 14, 42
"""Thresholds ``urgent_days`` and ``soon_days`` of the knowledge base; a test compares."""

_EVERY = re.compile(r"every (\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))? (day|week|month|year)s?")
_NONE = "none needed"
_CHANGED: Names = (
    ("en", "The last exam showed a change: assess it and plan again."),
    ("zh", "上次检查有变化：请评估并重新制定计划。"),
)
_UNCLEAR: Names = (
    ("en", "The last exam could not tell whether anything changed: decide what would, and plan again."),
    ("zh", "上次检查不能判断有无变化：请确定可行的检查并重新制定计划。"),
)
_NO_STEP: Names = (
    ("en", "No step of the plan is left, and it does not say that follow-up ends: plan again with what is known now."),
    ("zh", "计划已无剩余步骤，且未说明随访结束：请结合现有信息重新制定计划。"),
)
_BY_PERSON: Names = (("en", "by the person who reads the exam"), ("zh", "由阅片医师完成"))
_ENDED: Names = (
    ("en", "Every step of the plan is done without a change, and the plan ends here."),
    ("zh", "计划各步骤均已完成且无变化，计划到此结束。"),
)
_STILL: Names = (("en", "Other steps of the plan are still open."), ("zh", "计划中尚有其他步骤未完成。"))
_AGAIN: Names = (("en", "The step is repeated."), ("zh", "该步骤需重复进行。"))


class Interval(NamedTuple):
    """How long until a step is repeated: ``low`` to ``high`` of ``unit`` (``day``, ``week``, ``month``, ``year``)."""

    low: float
    high: float
    unit: str

    def after(self, day: str) -> tuple[str, str]:
        """Return the first and last day of the window that begins with ``day``."""
        first, last = (self._later(day, count) for count in (self.low, self.high))
        return first, last

    def _later(self, day: str, count: float) -> str:
        if self.unit in ("day", "week"):
            return add_days(day, round(count * (7 if self.unit == "week" else 1)))
        return add_months(day, round(count * (12 if self.unit == "year" else 1)))

    def __str__(self) -> str:
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"
        return " ".join(("every", span, self.unit if self.high == 1 else f"{self.unit}s"))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done, with its window.

    Args:
        rule: id of the rule that asks for it.
        action: what, in each language.
        modality: how, in each language.
        interval: when, in words, in each language.
        tests: ids of the tests that would do, any one of them.
        urgency: ``emergency``, ``urgent``, ``soon``, ``routine`` or ``none``.
        first: earliest day; None where it cannot be dated (it runs from an event that is not known).
        last: latest day; None with ``first``.
        every: interval, where it is repeated.
        because: what it rests on, each in each language.
        sources: ids.
        status: how firm the rule is: read, unchecked, recalled, ours or judgement.
        provided: open questions under whose answers it holds.
        cited: ``(id, citation)`` of its sources, where the plan told them.
    """

    rule: str
    action: Names
    modality: Names
    interval: Names
    tests: tuple[str, ...]
    urgency: str
    first: str | None
    last: str | None
    every: Interval | None
    because: tuple[Names, ...]
    sources: tuple[str, ...]
    status: str
    provided: tuple[Names, ...] = ()
    cited: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a plan asks for over time.

    Args:
        steps: what is to be done.
        stop: where the work-up ends, in each language; empty when the plan does not say that it does.
        flags: ``(id, text)`` of the red flags that are raised.
        knowledge_version: of the knowledge base that the plan was made from.
    """

    steps: tuple[Step, ...]
    stop: Names = ()
    flags: tuple[tuple[str, Names], ...] = ()
    knowledge_version: str = ""


class Windows(NamedTuple):
    """From when a step is listed: so many days before its first day, and lost so many after its last."""

    soon_days: int = 30
    lost_days: int = 180


class Closing(NamedTuple):
    """What follows from a step that was closed.

    Args:
        steps: what comes next.
        finished: no more follow-up is needed.
        why: in each language.
    """

    steps: tuple[Step, ...]
    finished: bool
    why: tuple[Names, ...]


def schedule_of(
    plan: Plan, *, today: str, knowledge_version: str = "", citations: Mapping[str, str] = MappingProxyType({})
) -> Schedule:
    """Return what a plan asks for over time.

    An item that says that nothing is needed is no step. A plan that asks for nothing and does not end gets the step to
    plan again.

    Args:
        plan: from :func:`hepacalc.reason.plan.make_plan`.
        today: day on which it was made, ``YYYY-MM-DD``.
        knowledge_version: of the knowledge base that it was made from.
        citations: id of a source -> citation.

    Raises:
        UsageError: ``today`` is no day.
    """
    steps = tuple(
        _step(item, citations) for item in plan.items if not dict(item.interval).get("en", "").startswith(_NONE)
    )
    if not steps and not plan.stop:
        steps = (replan_step(today, _NO_STEP),)
    return Schedule(steps, plan.stop, tuple((flag.flag, flag.text) for flag in plan.flags), knowledge_version)


def _step(item: PlanItem, citations: Mapping[str, str]) -> Step:
    first, last = item.due or (None, None)
    return Step(
        item.rule, item.action, item.modality, item.interval, item.tests, item.urgency, first, last, interval_of(item),
        item.because, item.sources, item.status, item.provided,
        tuple((source, citations[source]) for source in item.sources if source in citations),
    )  # fmt: skip


def interval_of(item: PlanItem) -> Interval | None:
    """Return after how long an item is repeated; None where it is done once.

    Read from its words, which are all that a stored plan holds of it, and always of the form ``every 6-12 months``.
    """
    found = _EVERY.fullmatch(dict(item.interval).get("en", ""))
    if found is None:
        return None
    low, high, unit = found.groups()
    return Interval(float(low), float(high or low), unit)


def replan_step(today: str, why: Names, *, rule: str = REPLAN, urgency: str = "soon") -> Step:
    """Return the step to plan again, due from ``today``: within 14 days when ``urgent``, else 42.

    Args:
        today: first day of its window.
        why: its action, in each language.
        rule: :data:`REPLAN`, or :data:`ASSESS` where an exam has to be assessed first.
        urgency: ``urgent`` or ``soon``.

    Raises:
        UsageError: ``today`` is no day.
    """
    days = URGENT_DAYS if urgency == "urgent" else SOON_DAYS
    when: Names = (("en", f"now (within {days} days)"), ("zh", f"现在（{days}天内）"))
    last = add_days(checked_day(today), days)
    return Step(rule, why, _BY_PERSON, when, (), urgency, today, last, None, (), ("J-SAFETY",), "ours")


def timing(first: str | None, last: str | None, today: str, windows: Windows = Windows()) -> Timing:  # noqa: B008
    """Return how a step stands on a day.

    ``undated``: it cannot be dated. ``lost``: more than ``lost_days`` after its last day. ``overdue``: after its last
    day. ``due``: within its window. ``soon``: at most ``soon_days`` before its first day. ``later``: the rest.

    Raises:
        UsageError: ``today`` is no day.
    """
    if first is None or last is None:
        return "undated"
    if add_days(last, windows.lost_days) < checked_day(today):
        return "lost"
    if last < today:
        return "overdue"
    if first <= today:
        return "due"
    return "soon" if first <= add_days(today, windows.soon_days) else "later"


def close_step(step: Step, others: Iterable[Step], stop: Names, *, on: str, result: Result) -> Closing:
    """Return what follows when a step was done, or decided against.

    A change, or an exam that could not tell, always leads to planning again. A repeated step without a change comes
    again, counted from the day on which it was done. Follow-up is finished only when no step is open, nothing changed
    and the plan says where it stops.

    Args:
        step: what was done.
        others: steps that are still open.
        stop: where the plan says that the work-up ends; empty when it does not say so.
        on: day on which it was done.
        result: what came of it.

    Raises:
        UsageError: ``on`` is no day, ``result`` is none of :data:`RESULTS`.
    """
    checked_day(on)
    if result not in RESULTS:
        raise UsageError(f"Wanted a result ({', '.join(RESULTS)}), found {result!r}.", hint="Say what came of it.")
    if result in ("changed", "unclear"):
        why, urgency = (_CHANGED, "urgent") if result == "changed" else (_UNCLEAR, "soon")
        return Closing((replan_step(on, why, rule=ASSESS, urgency=urgency),), finished=False, why=(why,))
    if step.every is not None and result == "unchanged":
        first, last = step.every.after(on)
        return Closing((replace(step, first=first, last=last),), finished=False, why=(_AGAIN,))
    if any(True for _ in others):
        return Closing((), finished=False, why=(_STILL,))
    if stop and result == "unchanged":
        return Closing((), finished=True, why=(_ENDED, stop))
    return Closing((replan_step(on, _NO_STEP),), finished=False, why=(_NO_STEP,))


def exam_tests(*, modality: str | None, phase: str | None, compared: bool) -> frozenset[str]:
    """Return the tests that an exam is sure to have done.

    A single contrast phase is no multiphase CT, so only a scan without contrast answers by itself; anything else is
    closed by a person.

    Args:
        modality: DICOM Modality.
        phase: name of the contrast phase, as :class:`hepacalc.records.Phase` has it.
        compared: whether the exam was compared with an earlier one.
    """
    done = {"noncontrast_ct"} if modality == "CT" and phase == "non-contrast" else set()
    return frozenset(done | ({"prior_images"} if compared else set()))


def is_answered(step: Step, tests: Collection[str], day: str | None) -> bool:
    """Whether a newly assessed exam of ``day`` that did ``tests``, with its plan, is what a step asked for.

    It must have done one of its tests, and not before its window; the day of the exam must be known. Comparing with
    older images has no window to keep. A new plan is what :data:`REPLAN` asks for.
    """
    if step.rule == REPLAN or ("prior_images" in tests and "prior_images" in step.tests):
        return True
    if day is None or step.first is None or day < step.first:
        return False
    return step.rule == ASSESS or bool(set(tests) & set(step.tests))


def carry_over(schedule: Schedule, still_open: Sequence[Step]) -> tuple[Schedule, tuple[str, ...]]:
    """Return a new schedule in which what was asked for before and not done keeps its earlier window.

    A plan that is made again must not move a thing that is overdue into the future, nor drop an exam that showed a
    change and was not assessed yet.

    Args:
        schedule: of the new plan.
        still_open: steps of the earlier plan that are not done.

    Returns:
        The schedule, and the rules whose window was kept.
    """
    before = {step.rule: step for step in still_open if step.last is not None}
    steps, kept = [], []
    for step in schedule.steps:
        earlier = before.get(step.rule)
        if earlier is not None and earlier.last is not None and (step.last is None or earlier.last < step.last):
            kept.append(step.rule)
            steps.append(replace(step, first=earlier.first, last=earlier.last))
        else:
            steps.append(step)
    waiting = [step for step in still_open if step.rule == ASSESS]
    kept += [step.rule for step in waiting]
    steps = [*waiting, *steps]
    return replace(schedule, steps=tuple(steps)), tuple(kept)
