"""Who is due, as CSV, FHIR and calendar; each row with the reason and the source."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection

from hepacalc.followup.schedule import Step, Windows
from hepacalc.interop.calendar import calendar_of, event_lines
from hepacalc.interop.codes import URGENCIES
from hepacalc.interop.fhir.elements import IDENTIFIERS, Entries, Json, coding, concept, notes, own
from hepacalc.reason.records import Names
from hepacalc.registry.identity import Person
from hepacalc.registry.queries import DueRow, due_rows, wording_bodies
from hepacalc.registry.wordings import step_of_texts
from hepacalc.report.language import speaking, whole
from hepacalc.report.reason_words import said, status_text
from hepacalc.report.schema import plain_text

__all__ = ["COLUMNS", "DueItem", "basis_text", "due_bundle", "due_calendar", "due_csv", "due_items"]

COLUMNS = (
    "patient", "state", "first_day", "last_day", "days_overdue", "urgency", "rule", "action", "how", "when", "reasons",
    "only_if", "sources", "status",
)  # fmt: skip
IDENTITY_COLUMNS = ("id_system", "id_value", "name", "born")
_PRIORITY = {"emergency": "stat", "urgent": "asap", "soon": "urgent", "routine": "routine", "none": "routine"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class DueItem(NamedTuple):
    """A step that is to be done, with its texts.

    Args:
        row: whose, which and when.
        make: makes the step of its texts.
        days_overdue: since its last day; None when it is not overdue.
        person: who it is, where an identity file was given and holds it.
    """

    row: DueRow
    make: Callable[..., Step]
    days_overdue: int | None
    person: Person | None = None

    @property
    def step(self) -> Step:
        """What, why and from which source."""
        return self.make(self.row.rule, self.row.urgency, self.row.first, self.row.last)


def due_items(
    connection: Connection,
    today: str,
    windows: Windows,
    *,
    most: int | None = None,
    key: str | None = None,
    people: Mapping[str, Person] | None = None,
) -> Iterator[DueItem]:
    """Yield what is due with its texts; arguments and order as in :func:`hepacalc.registry.queries.due_rows`.

    Args:
        connection: to read.
        today: the day, ``YYYY-MM-DD``.
        windows: what is soon, what is lost.
        most: so many at most.
        key: of one patient alone.
        people: who pseudonyms are.
    """
    rows = list(due_rows(connection, today, windows, most=most, key=key))
    bodies = wording_bodies(connection, [row.wording for row in rows])
    parsed = {digest: step_of_texts(body) for digest, body in bodies.items()}
    day = date.fromisoformat(today)
    late = {
        last: (day - date.fromisoformat(last)).days
        for last in {row.last for row in rows}
        if last is not None and last < today
    }
    known = people or {}
    for row in rows:
        yield DueItem(row, parsed[row.wording], late.get(row.last or ""), known.get(row.key))


def basis_text(step: Step) -> str:
    """Return how firm a step is and its sources, in the language that is spoken; a judgement is never a publication."""
    cited = dict(step.cited)
    return " ".join([f"{status_text(step.status)}.", *(f"[{s}] {cited.get(s, '')}".strip() for s in step.sources)])


def due_csv(items: Iterable[DueItem], *, language: str = "en", identity: bool = False) -> str:
    """Return CSV with a header, a line for each step.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        items: from :func:`due_items`.
        language: ``en`` or ``zh``.
        identity: with columns of the identity file.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((*COLUMNS, *(IDENTITY_COLUMNS if identity else ())))
    with speaking(whole(language)):
        for item in items:
            row, step = item.row, item.step
            late = "" if item.days_overdue is None else str(item.days_overdue)
            cells = [
                row.key, row.timing, row.first or "", row.last or "", late, row.urgency, row.rule, said(step.action),
                said(step.modality), said(step.interval), _joined(step.because), _joined(step.provided),
                "; ".join(f"{source} {dict(step.cited).get(source, '')}".strip() for source in step.sources),
                status_text(step.status),
            ]  # fmt: skip
            if identity:
                person = item.person
                cells += ["", "", "", ""] if person is None else [one or "" for one in person[1:]]
            writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _joined(texts: Sequence[Names]) -> str:
    return "; ".join(said(one) for one in texts)


def _cell(text: str) -> str:
    text = plain_text(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def due_bundle(items: Iterable[DueItem], *, origin: str, now: datetime, language: str = "en") -> Json:
    """Return one FHIR R4 transaction: each patient by an identifier, each step as a proposed ServiceRequest.

    Sent twice, it makes nothing twice: patients and requests are created unless a server has them.

    Args:
        items: from :func:`due_items`.
        origin: what tells this registry and its state from every other: the hash of its last event.
        now: when it was made.
        language: of texts, ``en`` or ``zh``.
    """
    with speaking(whole(language)):
        entries = Entries(f"{origin} {now.isoformat()}")
        subjects: dict[str, Json] = {}
        for item in items:
            row = item.row
            if row.key not in subjects:
                subjects[row.key] = _patient(entries, item)
            entries.add(
                f"step {row.key} {row.plan} {row.number}",
                "ServiceRequest",
                _request(item, subjects[row.key], now),
                unless=(IDENTIFIERS, _step_id(row)),
            )
        return entries.bundle(now.astimezone(UTC).isoformat())


def _step_id(row: DueRow) -> str:
    return f"{row.key}/{row.plan}/{row.number}"


def _patient(entries: Entries, item: DueItem) -> Json:
    system, value = IDENTIFIERS, item.row.key
    if item.person is not None:
        system, value = item.person.system, item.person.value
    content = {"identifier": [{"system": system, "value": value}]}
    return entries.add(f"patient {item.row.key}", "Patient", content, unless=(system, value) if system else None)


def _request(item: DueItem, subject: Json, now: datetime) -> Json:
    row, step = item.row, item.step
    remarks = [said(step.modality), said(step.interval), *(said(one) for one in step.provided), basis_text(step)]
    period = None if row.first is None else {"start": row.first, "end": row.last}
    return {
        "identifier": [{"system": IDENTIFIERS, "value": _step_id(row)}],
        "status": "draft",
        "intent": "proposal",
        "category": [
            {"coding": [coding(URGENCIES[row.urgency])]},
            {"coding": [coding(own(f"follow-up-{row.timing}", row.timing.capitalize()))]},
        ],
        "priority": _PRIORITY[row.urgency],
        "code": concept(own(row.rule, dict(step.action).get("en", "")), said(step.action)),
        "orderDetail": [concept(own(test, test), test) for test in step.tests],
        "subject": subject,
        "occurrencePeriod": period,
        "authoredOn": now.astimezone(UTC).isoformat(),
        "reasonCode": [{"text": said(one)} for one in step.because],
        "note": notes(remarks),
    }


def due_calendar(items: Iterable[DueItem], *, now: datetime, version: str, language: str = "en") -> str:
    """Return an iCalendar with an all-day event for each step that has a day; titles begin with the pseudonym.

    Args:
        items: from :func:`due_items`.
        now: when it was made.
        version: of hepacalc.
        language: ``en`` or ``zh``.
    """
    stamp = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    lines: list[str] = []
    for item in items:
        row = item.row
        if row.first is not None and row.last is not None:
            uid = str(uuid5(NAMESPACE_OID, f"hepacalc registry {_step_id(row)}"))
            lines += event_lines(item.step, row.first, row.last, stamp, uid, language, whose=row.key)
    return calendar_of(lines, version)
