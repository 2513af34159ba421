"""Reading: patients, the plan that holds, what is due, what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple, overload

from sqlalchemy import ColumnElement, Connection, Select, String, cast, func, select

from hepacalc.errors import NotInRegistry
from hepacalc.followup.schedule import Schedule, Step, Timing, Windows, timing
from hepacalc.reason.records import Names
from hepacalc.registry import tables as t
from hepacalc.registry.intake import moment
from hepacalc.registry.wordings import schedule_back, step_back

__all__ = ["CurrentPlan", "DueRow", "current_plan", "due_counts", "due_rows", "find_patient", "wording_bodies"]


@dataclass(frozen=True, slots=True)
class CurrentPlan:
    """The plan of a patient that holds now; without one only ``follow_up`` is set.

    Args:
        follow_up: ``none``, ``open`` or ``finished``.
        plan: number of the event that made it.
        exam: id of the exam that it was made from.
        order: by which another plan is later (:attr:`hepacalc.registry.intake.Intake.order`).
        stop: where it says that the work-up ends.
        schedule: as it was made, whatever was done since.
        open_steps: number -> step.
        last_number: of its steps.
    """

    follow_up: str
    plan: int | None = None
    exam: int | None = None
    order: tuple[str, float] | None = None
    stop: Names = ()
    schedule: Schedule | None = None
    open_steps: dict[int, Step] = field(default_factory=dict)
    last_number: int = 0


class DueRow(NamedTuple):
    """A step that is to be done, and of whom.

    Args:
        key: pseudonym.
        timing: how it stands.
        first: earliest day; None where it cannot be dated.
        last: latest day.
        rule: that asks for it.
        urgency: of it.
        plan: number of the plan, with ``number`` the identity of the step.
        number: of the step in its plan.
        wording: digest of its texts.
    """

    key: str
    timing: Timing
    first: str | None
    last: str | None
    rule: str
    urgency: str
    plan: int
    number: int
    wording: str


@overload
def find_patient(connection: Connection, key: str, *, required: Literal[True]) -> int: ...
@overload
def find_patient(connection: Connection, key: str, *, required: bool = False) -> int | None: ...
def find_patient(connection: Connection, key: str, *, required: bool = False) -> int | None:
    """Return the number of a patient; None where there is none of this pseudonym.

    Raises:
        NotInRegistry: there is none, and it is ``required``.
    """
    found = connection.execute(select(t.patient.c.id).where(t.patient.c.key == key)).scalar()
    if found is None and required:
        raise NotInRegistry("the registry has no patient of this pseudonym.", hint="hepacalc registry list names all.")
    return found


def current_plan(connection: Connection, patient: int) -> CurrentPlan:
    """Return the plan of a patient that holds now."""
    follow_up = connection.execute(select(t.patient.c.follow_up).where(t.patient.c.id == patient)).scalar() or "none"
    query = (
        select(t.plan, t.exam.c.id.label("exam"), t.exam.c.day.label("exam_day"), t.assessment.c.made)
        .select_from(t.plan.join(t.assessment).join(t.exam))
        .where(t.plan.c.patient == patient, t.plan.c.state == "current")
    )
    plan = connection.execute(query).mappings().first()
    if plan is None:
        return CurrentPlan(follow_up)
    rows = connection.execute(select(t.step).where(t.step.c.plan == plan["id"]).order_by(t.step.c.number)).mappings()
    held = list(rows)
    wanted = [row["wording"] for row in held] + [digest for _, digest in json.loads(plan["flags"])]
    bodies = wording_bodies(connection, [*wanted, *([plan["stop"]] if plan["stop"] else [])])
    steps = {row["number"]: step_back(row, bodies[row["wording"]]) for row in held}
    asked = [steps[row["number"]] for row in held]
    schedule = schedule_back(asked, plan, bodies.__getitem__)
    day = plan["exam_day"] or plan["day"]
    return CurrentPlan(
        follow_up,
        plan["id"],
        plan["exam"],
        (day.isoformat(), moment(plan["made"])),
        schedule.stop,
        schedule,
        {row["number"]: steps[row["number"]] for row in held if row["state"] == "open"},
        max(steps, default=0),
    )


def wording_bodies(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """Return the texts of digests."""
    out: dict[str, str] = {}
    wanted = list(dict.fromkeys(digests))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        query = select(t.wording.c.digest, t.wording.c.body).where(t.wording.c.digest.in_(part))
        out |= {row.digest: row.body for row in connection.execute(query)}
    return out


def due_rows(
    connection: Connection, today: str, windows: Windows, *, most: int | None = None, key: str | None = None
) -> Iterator[DueRow]:
    """Yield open steps that are lost, overdue, due, due soon or cannot be dated; those longest overdue first.

    Args:
        connection: to read.
        today: the day, ``YYYY-MM-DD``.
        windows: what is soon, what is lost.
        most: so many at most.
        key: of one patient alone.

    Raises:
        UsageError: ``today`` is no day.
    """
    timing("1900-01-01", "1900-01-01", today, windows)
    step, patient = t.step.c, t.patient.c
    # on SQLite keys are read apart: in the order of patients, so that their pages come from the disk in a row
    is_joined = most is not None or connection.dialect.name == "postgresql"
    columns = (
        patient.key if is_joined else step.patient,
        cast(step.first_day, String),
        cast(step.last_day, String),
        step.rule,
        step.urgency,
        step.plan,
        step.number,
        step.wording,
    )
    source = t.step.join(t.patient, step.patient == patient.id) if is_joined else t.step
    is_asked: ColumnElement[bool] = step.state == "open"
    if key is not None:
        is_asked &= step.patient == find_patient(connection, key, required=True)
    until = date.fromisoformat(today) + timedelta(days=windows.soon_days)
    dated, undated = (step.last_day, step.first_day, step.plan, step.number), (step.plan, step.number)
    # many steps share a window
    known: dict[tuple[str | None, str | None], Timing] = {}
    count = 0
    for is_wanted, order in (
        (is_asked & (step.first_day <= until), dated),
        (is_asked & step.last_day.is_(None), undated),
    ):
        query = select(*columns).select_from(source).where(is_wanted).order_by(*order)
        rows = _rows(connection, query if most is None else query.limit(most - count))
        keys: dict[int, str] = {}
        if not is_joined:
            of = select(patient.id, patient.key).where(patient.id.in_(select(step.patient).where(is_wanted)))
            keys = dict(tuple(row) for row in connection.execute(of).all())
        for owner, first, last, *rest in rows:
            stands = known.get((first, last)) or known.setdefault((first, last), timing(first, last, today, windows))
            yield DueRow(owner if is_joined else keys[owner], stands, first, last, *rest)
        count += len(rows)


def _rows(connection: Connection, query: Select[Any]) -> Sequence[Sequence[Any]]:
    """Return all rows; from PostgreSQL as one value, since its driver is slow by the row."""
    if connection.dialect.name != "postgresql":
        return connection.execute(query).all()
    held = query.subquery()
    return connection.execute(select(func.json_agg(func.json_build_array(*held.c)))).scalar() or ()


def due_counts(connection: Connection, today: str, windows: Windows) -> dict[str, int]:
    """Return how many open steps stand how, ``later`` included."""
    days = (t.step.c.last_day, t.step.c.first_day)
    last_day, first_day = (cast(day, String) for day in days)
    query = select(first_day, last_day, func.count()).where(t.step.c.state == "open")
    out: dict[str, int] = {}
    for first, last, count in connection.execute(query.group_by(*days)):
        stands = timing(first, last, today, windows)
        out[stands] = out.get(stands, 0) + count
    return out
