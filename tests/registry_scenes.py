"""Assessments for the tests of the registry: small, without voxels, as many as wanted, of any patient."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment
from reason_example import CYST, assessed

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)
STUDY = "1.2.826.0.1.99.{}"


@cache
def small(text: str = CYST, lesions: int = 4) -> Assessment:
    """The made-up scan with an answer."""
    return assessed(text, lesions=lesions)


def exam(
    number: int,
    day: str | None = "20261101",
    *,
    text: str | None = CYST,
    made: str = "2026-11-22T10:42:00+00:00",
    rules: Sequence[str] | None = None,
    due: tuple[str, str] | None = None,
    stop: bool | None = None,
) -> Assessment:
    """One exam of its own; its lesions get tracking UIDs of their own.

    Args:
        number: of the study.
        day: StudyDate.
        text: patient file; None for an assessment without a plan.
        made: when it was assessed.
        rules: keep only the plan's items of these rules.
        due: their window.
        stop: whether the plan says that the work-up ends; as it is when None.
    """
    base = small(text or CYST)
    uid = STUDY.format(number)
    acquisition = replace(base.acquisition, study_instance_uid=uid, series_instance_uid=f"{uid}.1", study_date=day)
    found = replace(base, acquisition=acquisition, run=replace(base.run, created=made))
    if text is None:
        return replace(found, reasoning=None)
    reasoning = found.reasoning
    assert isinstance(reasoning, Reasoning)
    plan = reasoning.plan
    if rules is not None:
        plan = replace(plan, items=tuple(item for item in plan.items if item.rule in rules))
    if due is not None:
        plan = replace(plan, items=tuple(replace(item, due=due) for item in plan.items))
    if stop is not None:
        plan = replace(plan, stop=(("en", "Then stop."), ("zh", "此后停止。")) if stop else ())
    return replace(found, reasoning=replace(reasoning, plan=plan))
