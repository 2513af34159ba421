"""Days by arithmetic agree with the calendar of Python."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.errors import UsageError
from hepacalc.knowledge.load import load_knowledge
from hepacalc.reason.days import add_days, add_months, checked_day
from hepacalc.reason.plan_words import due_days, interval_words

KNOWLEDGE = load_knowledge()
DAYS = st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2400, 1, 1))


@given(DAYS, st.integers(0, 200_000))
def test_days_agree_with_the_calendar(day, count):
    assert add_days(day.isoformat(), count) == (day + datetime.timedelta(days=count)).isoformat()


@given(DAYS, st.integers(0, 600))
def test_months_keep_the_day_or_take_the_last(day, count):
    later = datetime.date.fromisoformat(add_months(day.isoformat(), count))
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == count
    assert later.day == day.day or (later.day < day.day and (later + datetime.timedelta(days=1)).day == 1)


@pytest.mark.parametrize("day", ["2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "tomorrow", "1800-01-01", ""])
def test_what_is_no_day_is_refused(day):
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        checked_day(day)


@pytest.mark.parametrize(
    ("interval", "urgency", "due", "words"),
    [
        ({"now": True}, "emergency", ("2026-01-31", "2026-01-31"), "now, the same day"),
        ({"now": True}, "urgent", ("2026-01-31", "2026-02-14"), "now (within 14 days)"),
        ({"months": [6, 12]}, "routine", ("2026-07-31", "2027-01-31"), "once in 6-12 months"),
        ({"months": 1}, "soon", ("2026-02-28", "2026-02-28"), "once in 1 month"),
        ({"weeks": 4, "every": True}, "routine", ("2026-02-28", "2026-02-28"), "every 4 weeks"),
        ({"years": [1, 2]}, "routine", ("2027-01-31", "2028-01-31"), "once in 1-2 years"),
        ({"days": 3}, "soon", ("2026-02-03", "2026-02-03"), "once in 3 days"),
        ({"weeks": 1, "since": {"en": "birth", "zh": "出生"}}, "routine", None, "once, 1 week after birth"),
        ({"none": {"en": "a scar", "zh": "瘢痕"}}, "none", None, "none needed: a scar"),
    ],
)
def test_interval_in_dates_and_words(interval, urgency, due, words):
    assert due_days(interval, urgency, "2026-01-31", KNOWLEDGE) == due
    assert dict(interval_words(interval, urgency, KNOWLEDGE))["en"] == words
