"""The calendar of the plan, as another program reads it."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.interop.calendar import calendar_text
from hepacalc.records import Assessment
from reason_example import CYST, SIMPLE, assessed
from report_example import make_example
from report_strategies import SETTINGS

icalendar = pytest.importorskip("icalendar")


def events(text: str) -> list:
    calendar = icalendar.Calendar.from_ical(text)
    assert calendar["version"] == "2.0"
    assert str(calendar["prodid"]).startswith("-//hepacalc//")
    assert calendar.errors == []
    found = calendar.walk("VEVENT")
    assert all(event.errors == [] for event in found)
    return found


def with_texts(scan: Assessment, action: str) -> Assessment:
    plan = scan.reasoning.plan
    items = tuple(replace(item, action=(("en", action), ("zh", action))) for item in plan.items)
    return replace(scan, reasoning=replace(scan.reasoning, plan=replace(plan, items=items)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_dated_step_is_an_all_day_event(language: str) -> None:
    scan = assessed(CYST)
    items = [item for item in scan.reasoning.plan.items if item.due]
    found = events(calendar_text(scan, language))
    assert len(found) == len(items) > 3
    for event, item in zip(found, items, strict=True):
        first, last = (datetime.date.fromisoformat(day) for day in item.due)
        assert event.decoded("dtstart") == first
        assert event.decoded("dtend") == first + datetime.timedelta(days=1)
        assert not isinstance(event.decoded("dtstart"), datetime.datetime)
        assert event.decoded("dtstamp") == datetime.datetime.fromisoformat(scan.run.created)
        assert str(event["summary"]).startswith(dict(item.action)[language])
        assert last.isoformat() in str(event["summary"])
        assert {first.isoformat(), last.isoformat()} <= set(re.findall(r"\d{4}-\d\d-\d\d", str(event["description"])))
        assert event["summary"].params["language"] == language


def test_no_probability_and_no_identity() -> None:
    scan = assessed(CYST)
    text = calendar_text(scan).replace("\r\n ", "")
    assert "%" not in text
    assert scan.acquisition.study_instance_uid not in text
    assert scan.acquisition.series_description not in text
    assert "not reviewed by clinicians" in text


def test_uids_stay_when_the_study_is_assessed_again_and_differ_between_studies() -> None:
    scan = assessed(CYST)

    def uids(of: Assessment) -> list[str]:
        return [str(event["uid"]) for event in events(calendar_text(of))]

    later = replace(scan, run=replace(scan.run, created="2027-01-01T00:00:00+00:00"))
    other = replace(scan, acquisition=replace(scan.acquisition, study_instance_uid="1.2.3"))
    assert len(set(uids(scan))) == len(uids(scan))
    assert uids(scan) == uids(later)
    assert not set(uids(scan)) & set(uids(other))
    nifti, changed = (
        replace(one, acquisition=replace(one.acquisition, study_instance_uid=None)) for one in (scan, later)
    )
    assert not set(uids(nifti)) & set(uids(changed))


@SETTINGS
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_any_text_is_folded_escaped_and_comes_back(text: str) -> None:
    from hepacalc.report.schema import plain_text

    scan = with_texts(assessed(), text)
    made = calendar_text(scan)
    assert all(len(line.encode("utf-8")) <= 75 for line in made.split("\r\n"))
    assert "\n" not in made.replace("\r\n", "")
    said = plain_text(text.replace("\r\n", "\n").replace("\r", "\n"))
    for event, item in zip(events(made), [i for i in scan.reasoning.plan.items if i.due], strict=True):
        first, last = item.due
        assert str(event["summary"]) == said + (f" (by {last})" if first != last else "")


@pytest.mark.parametrize("scan", [make_example(), assessed(SIMPLE, lesions=0)], ids=["no plan", "nothing due"])
def test_without_a_date_there_is_no_file(scan: Assessment) -> None:
    from hepacalc.interop.calendar import CalendarWriter

    assert scan.reasoning is None or not any(item.due for item in scan.reasoning.plan.items)
    assert CalendarWriter().files(scan) == ()
