"""An assessment on its way into the registry: whose it is, which steps it closes, what its plan changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, null, select

from hepacalc.errors import DamagedRegistry, InvalidAssessment, OtherStudy, UsageError
from hepacalc.followup.plan_changes import PlanChange, plan_changes
from hepacalc.followup.schedule import Schedule, Step, carry_over, exam_tests, is_answered
from hepacalc.registry import tables as t
from hepacalc.registry.comparison import Compared, resolved
from hepacalc.registry.events import chained
from hepacalc.registry.intake import Intake, LesionLink
from hepacalc.registry.links import link_rows
from hepacalc.registry.log import Log
from hepacalc.registry.project import changes_of
from hepacalc.registry.queries import CurrentPlan, current_plan, find_patient
from hepacalc.registry.wordings import Wordings, step_plain
from hepacalc.study.slices import shown_uid

__all__ = ["Added", "add_assessment", "check_lengths", "closing_of"]

_CHANGED = ("grew", "new", "merged", "split", "shrank", "gone")
"""Statuses of a comparison that are a change."""


class Added(NamedTuple):
    """What became of an assessment.

    Args:
        key: pseudonym of the patient.
        event: number of the event; of the earlier one where it was known already.
        is_new: False when this very assessment is in the registry already: nothing was changed.
        patient_is_new: whether the patient was registered with it.
        follow_up: ``none``, ``open`` or ``finished``.
        steps: what is open now.
        changes: from the plan before to this one; empty where there was none.
        is_current: False for an exam that is older than that of the current plan, and so changes no step.
        may_answer: rules of open steps that this exam may have done; without a plan of its own it closes none.
    """

    key: str
    event: int
    is_new: bool
    patient_is_new: bool
    follow_up: str
    steps: tuple[Step, ...]
    changes: tuple[PlanChange, ...] = ()
    is_current: bool = True
    may_answer: tuple[str, ...] = ()


def add_assessment(
    connection: Connection,
    log: Log,
    told: Intake,
    key: str | None,
    links: Sequence[LesionLink],
    comparisons: Sequence[Compared] = (),
) -> Added:
    """Write an assessment; arguments and errors as in :meth:`hepacalc.registry.store.Registry.add`."""
    held = _known_exam(connection, told)
    if held is not None and key is not None and held.key != key:
        raise _other("study", told.study or "without UID", held.key, key)
    if held is not None and held.assessment is not None:
        steps = current_plan(connection, held.patient).open_steps
        return Added(held.key, held.assessment, False, False, held.follow_up, tuple(steps.values()))
    meant = [*links, *resolved(connection, comparisons, told.study, told.lesions)]
    if held is not None:
        return _Adding(connection, log, told, held.patient, held.key).add(held.exam, meant, is_new=False)
    if key is None:
        raise UsageError("nothing says whose study it is.", hint="Give the patient's pseudonym with --patient KEY.")
    patient = find_patient(connection, key)
    is_new = patient is None
    if patient is None:
        patient = log.append("registered", None, {"key": key}).seq
    return _Adding(connection, log, told, patient, key).add(None, meant, is_new=is_new)


class _Adding:
    """One assessment on its way in, within the transaction."""

    def __init__(self, connection: Connection, log: Log, told: Intake, patient: int, key: str) -> None:
        self.connection, self.log, self.told, self.patient, self.key = connection, log, told, patient, key
        self.before: CurrentPlan = current_plan(connection, patient)
        self.wordings = Wordings()

    def add(self, exam: int | None, links: Sequence[LesionLink], *, is_new: bool) -> Added:
        told, before = self.told, self.before
        lesions = self.lesions()
        fresh = {one["uid"] for one in lesions if one["new"]}
        rows = link_rows(self.connection, self.patient, links, fresh=fresh)
        tests = exam_tests(modality=told.modality, phase=told.phase, compared=bool(rows))
        is_other_exam = exam is None or exam != before.exam
        answered = {
            number: step
            for number, step in before.open_steps.items()
            if is_answered(step, tests if is_other_exam else (), told.day if is_other_exam else None)
        }
        is_current = before.order is None or told.order >= before.order
        body: dict[str, Any] = {
            "exam": {"id": exam, "study": told.study, "series": told.series}
            | {"day": told.day, "modality": told.modality},
            "assessment": told.assessment,
            "lesions": lesions,
            "links": rows,
            "plan": None,
            "closes": [],
            "supersedes": [],
            "follow_up": None,
        }
        steps = tuple(before.open_steps.values())
        changes: tuple[PlanChange, ...] = ()
        follow_up = before.follow_up
        kept: tuple[str, ...] = ()
        if told.schedule is not None:
            schedule = told.schedule
            if is_current:
                still = [step for number, step in before.open_steps.items() if number not in answered]
                schedule, kept = carry_over(schedule, still)
                body["closes"] = [self.closed(number, number in answered, rows) for number in before.open_steps]
                body["supersedes"] = [] if before.plan is None else [before.plan]
                follow_up = "open" if schedule.steps else "finished"
                why = self.wordings.texts(schedule.stop) if not schedule.steps else None
                body["follow_up"] = {"state": follow_up, "why": why}
                steps = schedule.steps
                if before.schedule is not None:
                    # what was done is not asked for any more, and no change of the plan
                    changes = plan_changes(replace(before.schedule, steps=tuple(still)), schedule, kept=kept)
            body["plan"] = self.plan(schedule, is_current=is_current)
        made = self.log.append("assessed", self.patient, body, self.wordings)
        may = () if told.schedule is not None or not is_current else tuple(step.rule for step in answered.values())
        return Added(self.key, made.seq, True, is_new, follow_up, steps, changes, is_current, may)

    def lesions(self) -> list[dict[str, Any]]:
        """Return the lesions with whether each is new to the registry."""
        uids = [one["uid"] for one in self.told.lesions]
        query = select(t.lesion.c.uid, t.patient.c.key).join(t.patient).where(t.lesion.c.uid.in_(uids))
        held = {row.uid: row.key for row in self.connection.execute(query)}
        for uid, other in held.items():
            if other != self.key:
                raise _other("lesion", uid, other, self.key)
        return [one | {"new": one["uid"] not in held} for one in self.told.lesions]

    def plan(self, schedule: Schedule, *, is_current: bool) -> dict[str, Any]:
        flags = [[flag, self.wordings.texts(text)] for flag, text in schedule.flags]
        return {
            "day": self.told.plan_day,
            "state": "current" if is_current else "superseded",
            "knowledge": schedule.knowledge_version,
            "stop": self.wordings.texts(schedule.stop),
            "flags": flags,
            "steps": [step_plain(step, k, self.wordings) for k, step in enumerate(schedule.steps, 1)],
        }

    def closed(self, number: int, is_answered: bool, rows: list[dict[str, Any]]) -> dict[str, Any]:
        if not is_answered:
            return closing_of(self.before.plan, number, "superseded", None, None)
        result = None
        if rows:
            result = "changed" if any(row["status"] in _CHANGED for row in rows) else "unchanged"
        return closing_of(self.before.plan, number, "done", self.told.day or self.told.plan_day, result)


def closing_of(plan: int | None, number: int, state: str, on: str | None, result: str | None) -> dict[str, Any]:
    """Return how the body of an event closes a step."""
    return {"plan": plan, "number": number, "state": state, "on": on, "result": result}


class _Held(NamedTuple):
    """A study that is known: whose, and the assessment when it is this very one."""

    patient: int
    key: str
    follow_up: str
    exam: int
    assessment: int | None


def _known_exam(connection: Connection, told: Intake) -> _Held | None:
    """Return what is held of the study; None where it is not known."""
    columns = (t.patient.c.id.label("patient"), t.patient.c.key, t.patient.c.follow_up, t.exam.c.id.label("exam"))
    joined = t.exam.join(t.patient)
    found = connection.execute(
        select(*columns, t.assessment.c.id.label("assessment"))
        .select_from(joined.join(t.assessment))
        .where(t.assessment.c.digest == told.assessment["digest"])
    ).first()
    if found is None and told.study is not None:
        query = select(*columns, null().label("assessment")).select_from(joined)
        found = connection.execute(query.where(t.exam.c.study_uid == told.study)).first()
    return None if found is None else _Held(*found)


def _other(what: str, uid: str, held: str, given: str) -> OtherStudy:
    return OtherStudy(
        f"{what} {shown_uid(uid)} is held as that of patient {held}, but was given as that of patient {given}.",
        hint="Look whose it is; nothing was changed.",
    )


def check_lengths(told: Intake) -> None:
    """Refuse texts that a table cannot hold, before anything is written.

    Raises:
        InvalidAssessment: one is too long.
    """
    body: dict[str, Any] = {
        "exam": {"id": None, "study": told.study, "series": told.series, "day": told.day, "modality": told.modality},
        "assessment": told.assessment,
        "lesions": [one | {"new": True} for one in told.lesions],
        "links": [], "plan": None, "closes": [], "supersedes": [], "follow_up": None,
    }  # fmt: skip
    try:
        changes_of(chained("", 1, "", "-", "assessed", 1, body))
    except DamagedRegistry as fault:
        raise InvalidAssessment(
            f"the assessment cannot be held: {fault.message.rpartition(': ')[2]}", hint="Assess the study again."
        ) from fault
