"""The day it is here."""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["today"]


def today(now: datetime | None = None) -> date:
    """Return the day from which intervals run, in the time zone of this machine.

    Args:
        now: a moment, with its time zone; this one when None.
    """
    return (now or datetime.now(UTC)).astimezone().date()
