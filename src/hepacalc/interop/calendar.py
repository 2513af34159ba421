"""Follow-up dates as an iCalendar file: one all-day event for each step of the plan that has a date.

It carries no identity: whoever takes it into a calendar knows whose it is. UIDs come from the study and the rule, so
that a later file replaces the events of an earlier one.

Reference: RFC 5545 (3.1 content lines and folding, 3.3.11 TEXT, 3.6.1 VEVENT).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import NAMESPACE_OID, uuid5

from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import Names, PlanItem
from hepacalc.records import Assessment
from hepacalc.report.language import whole
from hepacalc.report.schema import plain_text
from hepacalc.report.writers import ExportContext

__all__ = ["CalendarWriter", "Dated", "calendar_of", "calendar_text", "event_lines"]

_OCTETS = 75
_NOTES = {
    "en": "hepacalc: decision support, not reviewed by clinicians; a doctor decides.",
    "zh": "hepacalc:决策支持,未经临床医生审核;由医生决定。",
}
_WINDOW = {"en": "Between {first} and {last}.", "zh": "{first} 至 {last} 之间。"}
_BY = {"en": " (by {last})", "zh": "({last} 前)"}
_PRIORITY = {"emergency": 1, "urgent": 3, "soon": 5, "routine": 7}


class Dated(Protocol):
    """What an event is made of: a step of a plan, or of a registry."""

    @property
    def action(self) -> Names:
        """What is to be done, in each language."""
        ...

    @property
    def modality(self) -> Names:
        """How."""
        ...

    @property
    def interval(self) -> Names:
        """When."""
        ...

    @property
    def urgency(self) -> str:
        """``emergency``, ``urgent``, ``soon``, ``routine`` or ``none``."""
        ...


class CalendarWriter:
    """Writes ``followup.ics``; nothing when no step of the plan has a date."""

    name = "ics"
    needs_source = False

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the name of the file, or nothing when no step has a date."""
        return ("followup.ics",) if _dated(assessment) else ()

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write the file when there is a date."""
        for name in self.files(assessment):
            (folder / name).write_bytes(calendar_text(assessment, context.language).encode("utf-8"))


def calendar_text(assessment: Assessment, language: str = "en") -> str:
    """Return the calendar as text with CRLF line ends.

    An event lies on the first day of a step's window; its title gives the last day, its text the whole window.

    Args:
        assessment: with a reasoning whose plan has dates.
        language: ``en`` or ``zh``; English for one that has only been begun.
    """
    stamp = f"{datetime.fromisoformat(assessment.run.created).astimezone(UTC):%Y%m%dT%H%M%SZ}"
    origin = assessment.acquisition.study_instance_uid or assessment.run.created
    lines: list[str] = []
    for item, (first, last) in _dated(assessment):
        lines += event_lines(
            item, first, last, stamp, f"{uuid5(NAMESPACE_OID, f'{origin}:{item.rule}')}", whole(language)
        )
    return calendar_of(lines, assessment.run.hepacalc_version)


def calendar_of(events: Iterable[str], version: str) -> str:
    """Return the lines of events (:func:`event_lines`) as a whole calendar, made by ``version`` of hepacalc."""
    head = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//hepacalc//hepacalc {_escaped(version)}//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
    ]
    return "".join(_folded(line) for line in (*head, *events, "END:VCALENDAR"))


def _dated(assessment: Assessment) -> list[tuple[PlanItem, tuple[str, str]]]:
    """Return the steps of the plan that have a date."""
    reasoning = assessment.reasoning
    if not isinstance(reasoning, Reasoning):
        return []
    return [(item, item.due) for item in reasoning.plan.items if item.due is not None]


def event_lines(
    item: Dated, first: str, last: str, stamp: str, uid: str, language: str, *, whose: str = ""
) -> list[str]:
    """Return one all-day event on the first day of a window.

    Args:
        item: what is to be done.
        first: first day, ``YYYY-MM-DD``.
        last: last day.
        stamp: when it was made, UTC, ``YYYYMMDDTHHMMSSZ``.
        uid: stays the same for the same step.
        language: ``en`` or ``zh``.
        whose: begins the title, in a calendar of several patients.
    """
    start = date.fromisoformat(first)
    window = _WINDOW[language].format(first=first, last=last) if last != first else first
    # why it is asked for stands in the report: a calendar is read without anybody to explain a probability
    parts = [_said(item.action, language), _said(item.modality, language), _said(item.interval, language), window]
    head = (
        (f"{whose}: " if whose else "")
        + _said(item.action, language)
        + (_BY[language].format(last=last) if last != first else "")
    )
    return [
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{stamp}",
        f"DTSTART;VALUE=DATE:{start:%Y%m%d}",
        f"DTEND;VALUE=DATE:{start + timedelta(days=1):%Y%m%d}",
        f"SUMMARY;LANGUAGE={language}:{_escaped(head)}",
        f"DESCRIPTION;LANGUAGE={language}:{_escaped(chr(10).join([*filter(None, parts), _NOTES[language]]))}",
        *([f"PRIORITY:{_PRIORITY[item.urgency]}"] if item.urgency in _PRIORITY else []),
        "STATUS:TENTATIVE",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _said(names: Names, language: str) -> str:
    found = dict(names)
    return found.get(language) or found.get("en", "")


def _escaped(text: str) -> str:
    """Return a TEXT value: backslash, semicolon, comma and line ends escaped, nothing that no file can hold."""
    text = plain_text(text.replace("\r\n", "\n").replace("\r", "\n")).replace("\\", "\\\\")
    return text.replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> str:
    """Return a content line in pieces of at most 75 octets, never within a character."""
    pieces, size = [""], 0
    for character in line:
        octets = len(character.encode("utf-8"))
        if size + octets > _OCTETS:
            pieces.append(" ")
            size = 1
        pieces[-1] += character
        size += octets
    return "\r\n".join(pieces) + "\r\n"
