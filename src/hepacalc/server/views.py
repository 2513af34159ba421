"""Small things that pages show: names, days, numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["day", "mass", "moment", "person"]


def person(name: str) -> str:
    """Return a DICOM person name as it is read: ``DOE, Jane``; the ideographic form beside it (PS3.5 6.2.1)."""
    shown = []
    for group in name.split("=")[:2]:
        family, *rest = [part.strip() for part in group.split("^")]
        given = " ".join(part for part in rest[:2] if part)
        shown.append(", ".join(part for part in (family, given) if part))
    return " · ".join(part for part in shown if part)


def day(value: str) -> str:
    """Return a DICOM date as ``2026-11-26``; anything else as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if re.fullmatch(r"\d{8}", value) else value


def moment(seconds: float) -> str:
    """Return a time stamp as ``2026-11-26 19:40`` in the time zone of this machine."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def mass(milligrams: float | None) -> str:
    """Return a mass with three digits; a dash when it was not measured."""
    return "–" if milligrams is None else f"{float(f'{milligrams:.3g}'):g} mg"
