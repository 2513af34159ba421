"""The steps of a plan over time: windows, timing, what closes a loop, what a new plan changes."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.errors import UsageError
from hepacalc.followup.plan_changes import plan_changes
from hepacalc.followup.schedule import (
    ASSESS,
    REPLAN,
    SOON_DAYS,
    URGENT_DAYS,
    Interval,
    Schedule,
    Step,
    Windows,
    carry_over,
    close_step,
    exam_tests,
    interval_of,
    is_answered,
    schedule_of,
    timing,
)
from hepacalc.reason.plan_words import due_days, interval_words
from hepacalc.reason.records import Names, PlanItem
from plan_scenes import CYST, KNOWLEDGE, SIMPLE, TODAY, plan_of

STOP: Names = (("en", "then stop"), ("zh", "此后停止"))
DAYS = st.dates(datetime.date(1960, 1, 1), datetime.date(2150, 12, 31)).map(datetime.date.isoformat)


def words(text: str) -> Names:
    return (("en", text), ("zh", text))


def step(rule: str = "look", first: str | None = "2026-03-01", last: str | None = "2026-06-01", **more: object) -> Step:
    base = Step(
        rule, words(rule), words("CT"), words("once"), ("noncontrast_ct",), "routine", first, last, None,
        (words(f"{rule} because"),), ("J-RULE",), "ours",
    )  # fmt: skip
    return replace(base, **more)


def test_thresholds_are_those_of_the_knowledge_base():
    assert KNOWLEDGE.thresholds["urgent_days"].value == URGENT_DAYS
    assert KNOWLEDGE.thresholds["soon_days"].value == SOON_DAYS


def test_every_interval_of_the_rules_is_read_back_from_its_words():
    repeated = 0
    for rule in KNOWLEDGE.rules.values():
        said = interval_words(rule.interval, rule.urgency, KNOWLEDGE)
        item = PlanItem(rule.id, (), (), (), said, None, rule.urgency, (), (), "ours")
        found = interval_of(item)
        assert (found is not None) == bool(rule.interval.get("every")), rule.id
        if found is not None:
            repeated += 1
            assert str(found) == dict(said)["en"]
            assert found.after("2026-01-31") == due_days(rule.interval, rule.urgency, "2026-01-31", KNOWLEDGE)
    assert repeated >= 5


@pytest.mark.parametrize(
    ("interval", "day", "window"),
    [
        (Interval(1, 1, "year"), "2024-02-29", ("2025-02-28", "2025-02-28")),
        (Interval(4, 4, "year"), "2024-02-29", ("2028-02-29", "2028-02-29")),
        (Interval(6, 12, "month"), "2023-08-31", ("2024-02-29", "2024-08-31")),
        (Interval(1, 1, "month"), "2026-01-31", ("2026-02-28", "2026-02-28")),
        (Interval(4, 4, "week"), "2026-12-15", ("2027-01-12", "2027-01-12")),
        (Interval(1, 1, "day"), "2028-02-28", ("2028-02-29", "2028-02-29")),
    ],
)
def test_leap_days_and_short_months(interval: Interval, day: str, window: tuple[str, str]):
    assert interval.after(day) == window


@settings(max_examples=200, deadline=None)
@given(DAYS, st.integers(1, 120), st.sampled_from(["day", "week", "month", "year"]))
def test_a_window_is_as_long_as_it_says(day: str, count: int, unit: str):
    first, last = Interval(count, count, unit).after(day)
    start, end = (datetime.date.fromisoformat(one) for one in (day, last))
    assert first == last
    if unit in ("day", "week"):
        assert (end - start).days == count * (7 if unit == "week" else 1)
    else:
        months = count * (12 if unit == "year" else 1)
        assert (end.year - start.year) * 12 + end.month - start.month == months
        next_day = end + datetime.timedelta(days=1)
        assert end.day == start.day or (end.day < start.day and next_day.month != end.month)


@pytest.mark.parametrize(
    ("today", "stands"),
    [
        ("2026-01-29", "later"), ("2026-01-30", "soon"), ("2026-02-28", "soon"), ("2026-03-01", "due"),
        ("2026-06-01", "due"), ("2026-06-02", "overdue"), ("2026-11-28", "overdue"), ("2026-11-29", "lost"),
    ],
)  # fmt: skip
def test_timing_on_each_side_of_every_bound(today: str, stands: str):
    assert timing("2026-03-01", "2026-06-01", today, Windows(30, 180)) == stands


def test_timing_without_a_date_is_said_and_never_later():
    assert timing(None, None, TODAY) == "undated"
    with pytest.raises(UsageError):
        timing("2026-03-01", "2026-06-01", "2026-02-30")


@settings(max_examples=200, deadline=None)
@given(DAYS, st.integers(0, 400), st.integers(0, 60), st.integers(1, 400), DAYS)
def test_timing_moves_one_way_as_days_pass(first: str, length: int, soon: int, lost: int, today: str):
    last = (datetime.date.fromisoformat(first) + datetime.timedelta(days=length)).isoformat()
    order = ["later", "soon", "due", "overdue", "lost"]
    tomorrow = (datetime.date.fromisoformat(today) + datetime.timedelta(days=1)).isoformat()
    now, then = (order.index(timing(first, last, day, Windows(soon, lost))) for day in (today, tomorrow))
    assert now <= then <= now + 1 or (length == 0 or soon == 0)
    assert now <= then


def test_a_schedule_holds_what_is_to_be_done_and_nothing_else():
    plan = plan_of(CYST)
    found = schedule_of(plan, today=TODAY, knowledge_version="v")
    none_needed = {i.rule for i in plan.items if dict(i.interval)["en"].startswith("none needed")}
    assert {one.rule for one in found.steps} == {item.rule for item in plan.items} - none_needed
    assert found.knowledge_version == "v"
    assert [flag for flag, _ in found.flags] == [flag.flag for flag in plan.flags]
    for one in found.steps:
        item = next(item for item in plan.items if item.rule == one.rule)
        assert (one.first, one.last) == (item.due or (None, None))
        assert (one.because, one.sources, one.status) == (item.because, item.sources, item.status)


def test_a_plan_that_ends_has_no_invented_step():
    found = schedule_of(
        plan_of(SIMPLE, facts={"modality": "ct", "noncontrast_phase": True, "older_images": "none"}), today=TODAY
    )
    assert found.stop
    assert REPLAN not in {one.rule for one in found.steps}


def test_a_plan_that_asks_for_nothing_and_does_not_end_must_be_made_again():
    plan = replace(plan_of(CYST), items=(), stop=())
    (only,) = schedule_of(plan, today=TODAY).steps
    assert (only.rule, only.first, only.last) == (REPLAN, "2026-01-31", "2026-03-14")


def test_a_single_look_without_change_ends_where_the_plan_stops():
    found = close_step(step(), [], STOP, on="2026-04-01", result="unchanged")
    assert found.finished
    assert found.steps == ()
    assert STOP in found.why


def test_it_does_not_end_while_another_step_is_open():
    assert not close_step(step(), [step("other")], STOP, on="2026-04-01", result="unchanged").finished


def test_it_does_not_end_where_the_plan_does_not_say_so():
    found = close_step(step(), [], (), on="2026-04-01", result="unchanged")
    assert not found.finished
    assert [one.rule for one in found.steps] == [REPLAN]


def test_a_repeated_step_comes_again_from_the_day_it_was_done():
    again = step(every=Interval(6, 12, "month"))
    (found,) = close_step(again, [], STOP, on="2026-08-31", result="unchanged").steps
    assert (found.first, found.last, found.rule) == ("2027-02-28", "2027-08-31", again.rule)


@pytest.mark.parametrize(("result", "days"), [("changed", URGENT_DAYS), ("unclear", SOON_DAYS)])
@pytest.mark.parametrize("every", [None, Interval(6, 6, "month")])
def test_a_change_never_ends_and_never_just_repeats(result: str, days: int, every: Interval | None):
    found = close_step(step(every=every), [], STOP, on="2026-04-01", result=result)  # type: ignore[arg-type]
    assert not found.finished
    (only,) = found.steps
    assert only.rule == ASSESS
    assert only.last == (datetime.date(2026, 4, 1) + datetime.timedelta(days=days)).isoformat()


def test_declined_is_no_end():
    found = close_step(step(every=Interval(6, 6, "month")), [], STOP, on="2026-04-01", result="declined")
    assert not found.finished
    assert [one.rule for one in found.steps] == [REPLAN]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["unchanged", "changed", "unclear", "declined"]),
    st.booleans(), st.booleans(), st.sampled_from([None, Interval(6, 12, "month")]), DAYS,
)  # fmt: skip
def test_a_loop_ends_only_by_the_plan_and_never_leads_to_nothing(result, stops, others, every, day):
    left = [step("other")] if others else []
    found = close_step(step(every=every), left, STOP if stops else (), on=day, result=result)
    assert found.finished == (result == "unchanged" and stops and not others and every is None)
    assert found.finished or found.steps or left, "an open loop always has a next step"
    assert all(one.first is not None and one.first >= day for one in found.steps)


def test_wrong_result_and_day_are_refused():
    with pytest.raises(UsageError):
        close_step(step(), [], STOP, on="2026-04-01", result="fine")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        close_step(step(), [], STOP, on="2026-02-29", result="unchanged")


def test_what_an_exam_answers():
    ct = exam_tests(modality="CT", phase="non-contrast", compared=False)
    assert is_answered(step(), ct, "2026-03-01")
    assert not is_answered(step(), ct, "2026-02-28"), "before its window"
    assert not is_answered(step(), ct, None), "on a day that is not known"
    assert not is_answered(step(tests=("mri", "multiphase_ct")), ct, "2026-03-01")
    assert not is_answered(step(first=None, last=None), ct, "2026-03-01")
    assert exam_tests(modality="CT", phase="portal venous", compared=False) == frozenset()
    assert exam_tests(modality="CT", phase="undetermined", compared=False) == frozenset()
    assert is_answered(step(tests=("prior_images",)), {"prior_images"}, None)
    assert is_answered(step(REPLAN, tests=()), (), None)
    assert is_answered(step(ASSESS, tests=()), (), "2026-03-02")
    assert not is_answered(step(ASSESS, tests=()), (), "2026-02-01"), "an older exam"


def test_what_is_overdue_stays_overdue_in_the_next_plan():
    new = Schedule((step(first="2026-07-01", last="2026-07-15"), step("fresh")))
    found, kept = carry_over(new, [step(), step("dropped")])
    assert kept == ("look",)
    assert (found.steps[0].first, found.steps[0].last) == ("2026-03-01", "2026-06-01")
    assert found.steps[1:] == (step("fresh"),)


def test_an_exam_that_showed_a_change_is_not_dropped_by_another_plan():
    waiting = step(ASSESS, first="2026-04-01", last="2026-04-15")
    found, kept = carry_over(Schedule((step(),)), [waiting])
    assert found.steps == (waiting, step())
    assert kept == (ASSESS,)


def test_changes_of_a_plan_and_why():
    before = Schedule((step("gone"), step("moved"), step("same")), STOP, (("old", words("old flag")),), "v1")
    after = Schedule(
        (step("fresh"), step("moved", first="2027-01-01", last="2027-02-01"), step("same")), (),
        (("growth", words("Growth")),), "v2",
    )  # fmt: skip
    found = {(one.kind, one.id): one for one in plan_changes(before, after)}
    assert set(found) == {
        ("flag raised", "growth"), ("flag cleared", "old"), ("new", "fresh"), ("gone", "gone"), ("changed", "moved"),
        ("same", "same"), ("ends no more", ""), ("knowledge", "v1 -> v2"),
    }  # fmt: skip
    assert found["new", "fresh"].why == (words("fresh because"),)
    assert found["gone", "gone"].why == (words("Growth"), words("gone because"))
    assert found["changed", "moved"].before == ("2026-03-01", "2026-06-01")
    assert found["changed", "moved"].after == ("2027-01-01", "2027-02-01")
    assert found["changed", "moved"].why
    assert found["ends no more", ""].text == STOP


def test_the_same_plan_changes_nothing():
    one = schedule_of(plan_of(CYST), today=TODAY)
    assert {change.kind for change in plan_changes(one, one)} == {"same"}
