"""Dates by arithmetic alone: the reasoning reads no clock. Days are ``YYYY-MM-DD`` in the Gregorian calendar.

Reference for the day count: Fliegel and van Flandern 1968, Commun ACM 11:657, in the form with a year from March.
"""

from __future__ import annotations

import re

from hepacalc.errors import UsageError

__all__ = ["add_days", "add_months", "checked_day"]

_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_LENGTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def checked_day(day: str) -> str:
    """Return ``day`` when it is one.

    Raises:
        UsageError: it is no day of the calendar from 1900 on.
    """
    _parts(day)
    return day


def add_days(day: str, days: int) -> str:
    """Return the day so many days later."""
    number = _number(*_parts(day)) + days
    # by 400-year eras of 146097 days, years from March
    era, rest = divmod(number, 146097)
    year = (rest - rest // 1460 + rest // 36524 - rest // 146096) // 365
    of_year = rest - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    of_month = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return _text(year + era * 400 + (month <= 2), month, of_month)


def add_months(day: str, months: int) -> str:
    """Return the same day so many months later, or the last of that month where it is shorter."""
    year, month, of_month = _parts(day)
    years, month = divmod(month - 1 + months, 12)
    year += years
    return _text(year, month + 1, min(of_month, _month_length(year, month + 1)))


def _parts(day: str) -> tuple[int, int, int]:
    found = _DAY.match(day)
    if found:
        year, month, of_month = (int(part) for part in found.groups())
        if year >= 1900 and 1 <= month <= 12 and 1 <= of_month <= _month_length(year, month):
            return year, month, of_month
    raise UsageError(f"Wanted a day as YYYY-MM-DD, found {day}.", hint="For example 2026-03-31.")


def _month_length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _LENGTH[month - 1]


def _number(year: int, month: int, of_month: int) -> int:
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + of_month - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year


def _text(year: int, month: int, of_month: int) -> str:
    return f"{year:04d}-{month:02d}-{of_month:02d}"
