"""What an event does to the tables: a function of the event alone, so that the tables can be derived again at any time.

Whatever had to be looked up to decide it (is the exam known, which steps are closed) stands in the body of the event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, and_, bindparam

from hepacalc.errors import DamagedRegistry
from hepacalc.registry.events import Event, canonical
from hepacalc.registry.tables import METADATA

__all__ = ["Insert", "Update", "apply_changes", "changes_of"]

Row = dict[str, Any]

_KEYS = {name: [column.name for column in table.primary_key] for name, table in METADATA.tables.items()}
_LENGTHS = {
    name: [(c.name, c.type.length) for c in table.columns if isinstance(c.type, String) and c.type.length]
    for name, table in METADATA.tables.items()
}


class Insert(NamedTuple):
    """A new row of a table."""

    table: str
    row: Row


class Update(NamedTuple):
    """New values of a row of a table, found by its key."""

    table: str
    key: Row
    values: Row


Change = Insert | Update


def changes_of(event: Event) -> list[Change]:
    """Return what an event does to the tables, in order.

    Raises:
        DamagedRegistry: its body is not what its kind wants.
    """
    try:
        changes = list(_MAKE[event.kind](event, json.loads(event.body)))
        too_long = [
            f"{change.table}.{name}"
            for change in changes
            if isinstance(change, Insert)
            for name, most in _LENGTHS[change.table]
            if len(change.row[name] or "") > most
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise _unreadable(event, type(fault).__name__) from fault
    if too_long:
        raise _unreadable(event, f"{too_long[0]} is too long")
    return changes


def apply_changes(connection: Connection, changes: Iterable[Change]) -> None:
    """Write changes to the tables, in their order."""
    held: tuple[str, list[Row]] | None = None
    for change in changes:
        if held is not None and not (isinstance(change, Insert) and change.table == held[0]):
            connection.execute(METADATA.tables[held[0]].insert(), held[1])
            held = None
        if isinstance(change, Insert):
            held = (change.table, [*(held[1] if held else []), change.row])
        else:
            _update(connection, change)
    if held is not None:
        connection.execute(METADATA.tables[held[0]].insert(), held[1])


def _update(connection: Connection, change: Update) -> None:
    table = METADATA.tables[change.table]
    found = and_(*(table.c[name] == bindparam(f"key_{name}") for name in change.key))
    statement = table.update().where(found).values(change.values)
    done = connection.execute(statement, {f"key_{name}": value for name, value in change.key.items()})
    if done.rowcount != 1:
        raise DamagedRegistry(
            f"an event changes a row of {change.table} that is not there.", hint="Run hepacalc registry check."
        )


def _unreadable(event: Event, why: str) -> DamagedRegistry:
    return DamagedRegistry(
        f"event {event.seq} of kind {event.kind[:16]!r} cannot be used: {why}.",
        hint="It was not written by hepacalc, or was changed since. Use a backup or another export.",
    )


def _registered(event: Event, body: Row) -> Iterator[Change]:
    row = {"id": event.seq, "key": body["key"], "follow_up": "none", "why": None, "since": event.seq}
    yield Insert("patient", row)


def _assessed(event: Event, body: Row) -> Iterator[Change]:
    told, exam = body["assessment"], body["exam"]
    exam_id = event.seq if exam["id"] is None else exam["id"]
    if exam["id"] is None:
        row = {"id": exam_id, "patient": event.patient, "study_uid": exam["study"], "series_uid": exam["series"]}
        yield Insert("exam", row | {"day": _day(exam["day"]), "modality": exam["modality"]})
    names = ("digest", "made", "hepacalc", "knowledge", "phase", "calcifications", "certain", "indeterminate", "mimics")
    yield Insert(
        "assessment",
        {"id": event.seq, "exam": exam_id, "versions": canonical(told["versions"])}
        | {name: told[name] for name in names}
        | _number("mass", "mg", told["mass"])
        | _number("volume", "mm3", told["volume"]),
    )
    for one in body["lesions"]:
        if one["new"]:
            row = {"uid": one["uid"], "patient": event.patient, "name": one["name"], "first": exam_id, "same_as": None}
            yield Insert("lesion", row)
    for one in body["lesions"]:
        yield Insert("sighting", _sighting(event.seq, one))
    yield from _links(event, body)
    if body["plan"] is not None:
        yield from _plan(event, body["plan"])
    yield from _after(event, body)


def _sighting(assessment: int, one: Row) -> Row:
    x, y, z = one["centroid_mm"]
    names = ("number", "kind", "certainty", "segment", "pattern")
    return (
        {"assessment": assessment, "lesion": one["uid"], "x_mm": x, "y_mm": y, "z_mm": z}
        | {name: one[name] for name in names}
        | _number("mass", "mg", one["mass"])
        | _number("volume", "mm3", one["volume"])
        | _number("extent", "mm", one["extent"])
    )


def _number(name: str, unit: str, told: Row) -> Row:
    """Return the columns of a number: ``{"value", "low", "high"}``, or ``{"reason"}``."""
    held = {f"{name}_{unit}": told.get("value"), f"{name}_low_{unit}": told.get("low")}
    return held | {f"{name}_high_{unit}": told.get("high"), f"{name}_why": None if "value" in told else told["reason"]}


def _plan(event: Event, told: Row) -> Iterator[Change]:
    row = {"id": event.seq, "patient": event.patient, "assessment": event.seq, "day": _day(told["day"])}
    names = ("state", "knowledge", "stop")
    yield Insert("plan", row | {name: told[name] for name in names} | {"flags": canonical(told["flags"])})
    yield from _steps(event, event.seq, told["steps"], is_open=told["state"] == "current")


def _steps(event: Event, plan: int, steps: Iterable[Row], *, is_open: bool) -> Iterator[Change]:
    for told in steps:
        names = ("number", "rule", "urgency", "every", "provided", "wording")
        yield Insert(
            "step",
            {"plan": plan, "patient": event.patient, "done_on": None, "result": None}
            | {name: told[name] for name in names}
            | {"first_day": _day(told["first"]), "last_day": _day(told["last"])}
            | {"state": "open" if is_open else "superseded", "closed": None if is_open else event.seq},
        )


def _links(event: Event, body: Row) -> Iterator[Change]:
    for number, told in enumerate(body["links"], 1):
        row = {"event": event.seq, "number": number, "patient": event.patient, "status": told["status"]}
        yield Insert("link", row | {"prior": told["prior"], "current": told["current"]})
        if told["same_as"] is not None:
            yield Update("lesion", {"uid": told["current"]}, {"same_as": told["same_as"]})


def _done(event: Event, body: Row) -> Iterator[Change]:
    yield from _steps(event, body["plan"], body["steps"], is_open=True)
    yield from _after(event, body)


def _after(event: Event, body: Row) -> Iterator[Change]:
    """Close steps and plans, and say how the follow-up of the patient stands."""
    for told in body["closes"]:
        values = {"state": told["state"], "closed": event.seq, "done_on": _day(told["on"]), "result": told["result"]}
        yield Update("step", {"plan": told["plan"], "number": told["number"]}, values)
    for plan in body.get("supersedes", ()):
        yield Update("plan", {"id": plan}, {"state": "superseded"})
    told = body["follow_up"]
    if told is not None:
        values = {"follow_up": told["state"], "why": told["why"], "since": event.seq}
        yield Update("patient", {"id": event.patient}, values)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


_MAKE: Mapping[str, Callable[[Event, Row], Iterator[Change]]] = {
    "registered": _registered,
    "assessed": _assessed,
    "linked": _links,
    "done": _done,
    "ended": _after,
}
