"""What is told of patients: the list, one patient as it stands, and everything that happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from hepacalc.followup.plan_changes import PlanChange, plan_changes
from hepacalc.followup.schedule import Schedule, Step
from hepacalc.reason.records import Names
from hepacalc.registry import tables as t
from hepacalc.registry.queries import current_plan, find_patient, wording_bodies
from hepacalc.registry.wordings import schedule_back, step_back, texts_back

__all__ = ["ExamLine", "Happened", "PatientLine", "PatientView", "SightingLine", "history", "patient_lines", "show"]


class PatientLine(NamedTuple):
    """A patient in the list.

    Args:
        key: pseudonym.
        follow_up: ``none``, ``open`` or ``finished``.
        exams: how many.
        last_exam: day of the last one; None where no exam has a day.
        open_steps: how many.
        next_day: latest day of the most pressing open step; None where there is none, or none has a day.
    """

    key: str
    follow_up: str
    exams: int
    last_exam: str | None
    open_steps: int
    next_day: str | None


class ExamLine(NamedTuple):
    """An assessed exam.

    Args:
        exam: id.
        day: StudyDate.
        study: StudyInstanceUID.
        modality: Modality.
        assessment: id.
        phase: contrast phase.
        hepacalc: version.
        calcifications: number of lesions.
        indeterminate: number of lesions.
        mass: value, ends of its 90 % interval in mg; or the reason why there is none.
    """

    exam: int
    day: str | None
    study: str | None
    modality: str | None
    assessment: int
    phase: str
    hepacalc: str
    calcifications: int
    indeterminate: int
    mass: tuple[float, float, float] | str


class SightingLine(NamedTuple):
    """A lesion in one exam; ``lesion`` is the earliest lesion that it was found to be.

    Args:
        lesion: Tracking UID of the earliest.
        name: its short identifier.
        day: of the exam.
        exam: id.
        number: id in the assessment.
        kind: what it is taken for.
        segment: Couinaud segment; None where it could not be told.
        mass: value, ends of its 90 % interval in mg; or the reason why there is none.
        statuses: what comparisons say of it.
    """

    lesion: str
    name: str
    day: str | None
    exam: int
    number: int
    kind: str
    segment: str | None
    mass: tuple[float, float, float] | str
    statuses: tuple[str, ...]


class PatientView(NamedTuple):
    """One patient as it stands.

    Args:
        key: pseudonym.
        follow_up: ``none``, ``open`` or ``finished``.
        why: in each language.
        exams: oldest first.
        schedule: the plan that holds, as it was made; None without one.
        open_steps: number -> what is to be done.
        lesions: each lesion in each exam, oldest first.
    """

    key: str
    follow_up: str
    why: tuple[Names, ...]
    exams: tuple[ExamLine, ...]
    schedule: Schedule | None
    open_steps: dict[int, Step]
    lesions: tuple[SightingLine, ...]


class Happened(NamedTuple):
    """One event of a patient.

    Args:
        seq: number of the event.
        at: when, UTC.
        by: who.
        kind: of the event.
        body: what changed.
        changes: from the plan before to the one that came with it.
        why: of what followed, in each language.
    """

    seq: int
    at: str
    by: str
    kind: str
    body: Mapping[str, Any]
    changes: tuple[PlanChange, ...]
    why: tuple[Names, ...]


def patient_lines(
    connection: Connection, *, follow_up: str | None = None, most: int | None = None, after: str | None = None
) -> Iterator[PatientLine]:
    """Yield patients in the order of their pseudonyms.

    Args:
        connection: to read.
        follow_up: only those that stand so.
        most: so many at most.
        after: only those after this pseudonym.
    """
    query = select(t.patient.c.id, t.patient.c.key, t.patient.c.follow_up).order_by(t.patient.c.key).limit(most)
    if follow_up is not None:
        query = query.where(t.patient.c.follow_up == follow_up)
    if after is not None:
        query = query.where(t.patient.c.key > after)
    chosen = query.subquery()
    exams = (
        select(t.exam.c.patient, func.count().label("exams"), func.max(t.exam.c.day).label("last_exam"))
        .where(t.exam.c.patient.in_(select(chosen.c.id)))
        .group_by(t.exam.c.patient)
        .subquery()
    )
    steps = (
        select(t.step.c.patient, func.count().label("open_steps"), func.min(t.step.c.last_day).label("next_day"))
        .where(t.step.c.state == "open", t.step.c.patient.in_(select(chosen.c.id)))
        .group_by(t.step.c.patient)
        .subquery()
    )
    joined = chosen.outerjoin(exams, exams.c.patient == chosen.c.id).outerjoin(steps, steps.c.patient == chosen.c.id)
    columns = (chosen.c.key, chosen.c.follow_up, exams.c.exams, exams.c.last_exam, steps.c.open_steps, steps.c.next_day)
    for key, state, count, last, asked, until in connection.execute(
        select(*columns).select_from(joined).order_by(chosen.c.key)
    ):
        yield PatientLine(key, state, count or 0, _day(last), asked or 0, _day(until))


def show(connection: Connection, key: str) -> PatientView:
    """Return one patient as it stands.

    Raises:
        NotInRegistry: there is none of this pseudonym.
    """
    patient = find_patient(connection, key, required=True)
    held = current_plan(connection, patient)
    why = connection.execute(select(t.patient.c.why).where(t.patient.c.id == patient)).scalar()
    told = texts_back(wording_bodies(connection, [why])[why]) if why else ()
    exams, lesions = tuple(_exams(connection, patient)), tuple(_sightings(connection, patient))
    return PatientView(key, held.follow_up, told, exams, held.schedule, held.open_steps, lesions)


def _exams(connection: Connection, patient: int) -> Iterator[ExamLine]:
    exam, made = t.exam.c, t.assessment.c
    query = (
        select(t.exam, t.assessment, made.id.label("made_id"), exam.id.label("exam_id"))
        .select_from(t.exam.join(t.assessment))
        .where(exam.patient == patient)
        .order_by(exam.day, made.id)
    )
    for row in connection.execute(query).mappings():
        yield ExamLine(
            row[exam.id], _day(row[exam.day]), row[exam.study_uid], row[exam.modality], row[made.id], row[made.phase],
            row[made.hepacalc], row[made.calcifications], row[made.indeterminate],
            _mass(row[made.mass_mg], row[made.mass_low_mg], row[made.mass_high_mg], row[made.mass_why]),
        )  # fmt: skip


def _sightings(connection: Connection, patient: int) -> Iterator[SightingLine]:
    seen, lesion, exam = t.sighting.c, t.lesion.c, t.exam.c
    statuses: dict[str, list[str]] = {}
    links = select(t.link.c.current, t.link.c.prior, t.link.c.status).where(t.link.c.patient == patient)
    for current, prior, status in connection.execute(links.order_by(t.link.c.event, t.link.c.number)):
        statuses.setdefault(current or prior, []).append(status)
    root = func.coalesce(lesion.same_as, lesion.uid)
    query = (
        select(
            root, lesion.name, exam.day, exam.id, seen.number, seen.kind, seen.segment, seen.mass_mg, seen.mass_low_mg,
            seen.mass_high_mg, seen.mass_why, lesion.uid,
        )
        .select_from(t.sighting.join(t.lesion).join(t.assessment, seen.assessment == t.assessment.c.id).join(t.exam))
        .where(lesion.patient == patient)
        .order_by(root, exam.day, seen.assessment, seen.number)
    )  # fmt: skip
    for uid, name, day, exam_id, number, kind, segment, value, low, high, reason, own in connection.execute(query):
        told = tuple(statuses.get(own, ()))
        yield SightingLine(uid, name, _day(day), exam_id, number, kind, segment, _mass(value, low, high, reason), told)


def history(connection: Connection, key: str) -> tuple[Happened, ...]:
    """Return everything that happened to a patient, oldest first.

    Raises:
        NotInRegistry: there is none of this pseudonym.
    """
    patient = find_patient(connection, key, required=True)
    rows = connection.execute(select(t.event).where(t.event.c.patient == patient).order_by(t.event.c.seq)).all()
    schedules = _schedules(connection, patient)
    out: list[Happened] = []
    before: int | None = None
    for row in rows:
        body = json.loads(row.body)
        changes: tuple[PlanChange, ...] = ()
        plan = body.get("plan") if row.kind == "assessed" else None
        if plan is not None and plan["state"] == "current":
            if before is not None:
                # what was open then and not done with this exam
                left = [one["number"] for one in body["closes"] if one["state"] == "superseded"]
                changes = plan_changes(
                    schedules[before].of(left), schedules[row.seq].of(s["number"] for s in plan["steps"])
                )
            before = row.seq
        told = (body.get("follow_up") or {}).get("why")
        why = texts_back(wording_bodies(connection, [told])[told]) if told else ()
        out.append(Happened(row.seq, row.at, row.by, row.kind, body, changes, why))
    return tuple(out)


class _Plan(NamedTuple):
    """A plan with every step that it ever had."""

    schedule: Schedule
    steps: dict[int, Step]

    def of(self, numbers: Iterable[int]) -> Schedule:
        """Return the plan with some of its steps."""
        return replace(self.schedule, steps=tuple(self.steps[number] for number in numbers))


def _schedules(connection: Connection, patient: int) -> dict[int, _Plan]:
    """Return each plan of a patient."""
    plans = {row["id"]: row for row in connection.execute(select(t.plan).where(t.plan.c.patient == patient)).mappings()}
    query = select(t.step).where(t.step.c.patient == patient).order_by(t.step.c.plan, t.step.c.number)
    rows = connection.execute(query).mappings().all()
    flags = [digest for plan in plans.values() for _, digest in json.loads(plan["flags"])]
    stops = [plan["stop"] for plan in plans.values() if plan["stop"]]
    bodies = wording_bodies(connection, [*(row["wording"] for row in rows), *flags, *stops])
    steps: dict[int, dict[int, Step]] = {number: {} for number in plans}
    for row in rows:
        steps[row["plan"]][row["number"]] = step_back(row, bodies[row["wording"]])
    return {number: _Plan(schedule_back([], plan, bodies.__getitem__), steps[number]) for number, plan in plans.items()}


def _day(day: Any) -> str | None:
    return None if day is None else str(day)


def _mass(value: float | None, low: float | None, high: float | None, reason: str | None) -> Any:
    return reason or "" if value is None else (value, low, high)
