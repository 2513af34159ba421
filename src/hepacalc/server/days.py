"""The day it is here."""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["today"]


def today() -> date:
    """Return the day from which intervals run, in the time zone of this machine."""
    return datetime.now(UTC).astimezone().date()
