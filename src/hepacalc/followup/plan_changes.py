"""What a plan that was made again changes, and why."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from hepacalc.followup.schedule import Schedule, Step
from hepacalc.reason.records import Names

__all__ = ["PlanChange", "plan_changes"]

Kind = Literal["flag raised", "flag cleared", "new", "gone", "changed", "same", "ends", "ends no more", "knowledge"]

_RULE_NOT_MET: Names = (("en", "its condition is met no more"), ("zh", "其条件不再满足"))
_KEPT: Names = (
    ("en", "asked for before and not done: the earlier window stays"),
    ("zh", "此前已提出但未完成：沿用原时间窗"),
)
_RUNS: Names = (("en", "it runs from the day of the new plan"), ("zh", "自新计划之日起计算"))
_OTHER_URGENCY: Names = (("en", "another urgency"), ("zh", "紧急程度改变"))
_QUESTION: Names = (("en", "an open question was answered"), ("zh", "待定问题已有答案"))


class PlanChange(NamedTuple):
    """One difference between two plans.

    Args:
        kind: what happened to it.
        id: of the rule or red flag; version of the knowledge base for ``knowledge``; empty for the end of the plan.
        text: the action, flag or place to stop, in each language.
        before: window in the earlier plan, where it has one.
        after: window in the later plan, where it has one.
        why: in each language.
    """

    kind: Kind
    id: str
    text: Names
    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None
    why: tuple[Names, ...] = ()


def plan_changes(before: Schedule, after: Schedule, *, kept: Collection[str] = ()) -> tuple[PlanChange, ...]:
    """Return the differences between two plans, flags first; a step that stays as it is stands there as ``same``.

    Args:
        before: the earlier plan.
        after: the later one.
        kept: rules whose earlier window was kept (:func:`hepacalc.followup.schedule.carry_over`).
    """
    out: list[PlanChange] = []
    flags = [dict(one.flags) for one in (before, after)]
    raised = [text for flag, text in after.flags if flag not in flags[0]]
    out += [PlanChange("flag raised", flag, text) for flag, text in after.flags if flag not in flags[0]]
    out += [PlanChange("flag cleared", flag, text) for flag, text in before.flags if flag not in flags[1]]
    earlier, later = ({step.rule: step for step in one.steps} for one in (before, after))
    said = [{words for step in one.steps for words in step.because} for one in (before, after)]
    for rule, step in later.items():
        if rule not in earlier:
            fresh = tuple(words for words in step.because if words not in said[0])
            out.append(PlanChange("new", rule, step.action, None, _window(step), fresh or step.because))
        else:
            out.append(_compared(earlier[rule], step, kept))
    for rule, step in earlier.items():
        if rule not in later:
            lost = tuple(words for words in step.because if words not in said[1])
            out.append(PlanChange("gone", rule, step.action, _window(step), None, (*raised, *lost) or (_RULE_NOT_MET,)))
    if after.stop and not before.stop:
        out.append(PlanChange("ends", "", after.stop))
    elif before.stop and not after.stop:
        out.append(PlanChange("ends no more", "", before.stop, why=tuple(raised)))
    if before.knowledge_version != after.knowledge_version:
        shown = f"{before.knowledge_version or '?'} -> {after.knowledge_version or '?'}"
        out.append(PlanChange("knowledge", shown, (("en", "knowledge base"), ("zh", "知识库"))))
    return tuple(out)


def _compared(before: Step, after: Step, kept: Collection[str]) -> PlanChange:
    why: list[Names] = []
    if after.rule in kept:
        why.append(_KEPT)
    elif _window(before) != _window(after):
        why.append(_RUNS)
    if before.urgency != after.urgency:
        why.append(_OTHER_URGENCY)
    if before.provided != after.provided:
        why.append(_QUESTION)
    why += [words for words in after.because if words not in before.because]
    same = _window(before) == _window(after) and before.urgency == after.urgency and before.provided == after.provided
    kind: Kind = "same" if same else "changed"
    return PlanChange(kind, after.rule, after.action, _window(before), _window(after), tuple(why))


def _window(step: Step) -> tuple[str, str] | None:
    return None if step.first is None or step.last is None else (step.first, step.last)
