"""The registry: what may be written to it. Each call is one transaction; it is done as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Self

from hepacalc.days import today
from hepacalc.errors import NotInRegistry, UsageError
from hepacalc.followup.schedule import Result, Step, close_step
from hepacalc.reason.days import checked_day
from hepacalc.reason.records import Names
from hepacalc.records import Assessment
from hepacalc.registry.adding import Added, add_assessment, check_lengths, closing_of
from hepacalc.registry.comparison import Compared
from hepacalc.registry.database import Database, open_database
from hepacalc.registry.intake import LesionLink, intake
from hepacalc.registry.links import link_rows
from hepacalc.registry.log import Log, checked_key
from hepacalc.registry.queries import CurrentPlan, current_plan, find_patient
from hepacalc.registry.wordings import Wordings, step_plain

__all__ = ["END_REASONS", "Added", "Closed", "Registry"]

END_REASONS: dict[str, Names] = {
    "died": (("en", "The patient has died."), ("zh", "患者已去世。")),
    "moved": (("en", "The patient has moved away."), ("zh", "患者已迁离。")),
    "elsewhere": (("en", "Another team has taken over."), ("zh", "已由其他团队接管。")),
    "declined": (("en", "The patient does not want follow-up."), ("zh", "患者拒绝随访。")),
    "not-needed": (("en", "A doctor decided that no follow-up is needed."), ("zh", "医生认为无需随访。")),
    "error": (("en", "Entered in error."), ("zh", "录入有误。")),
}
"""Why a person ends follow-up."""


class Closed(NamedTuple):
    """What follows from a step that was done.

    Args:
        key: pseudonym of the patient.
        event: number of the event.
        rules: of the steps that were closed.
        follow_up: ``open`` or ``finished``.
        next_steps: what was added.
        still_open: everything that is open now.
        why: in each language.
    """

    key: str
    event: int
    rules: tuple[str, ...]
    follow_up: str
    next_steps: tuple[Step, ...]
    still_open: tuple[Step, ...]
    why: tuple[Names, ...]


class Registry:
    """Patients, exams, assessments, lesions and plans, and every change that was made to them.

    Args:
        database: from :func:`hepacalc.registry.database.open_database`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, location: str | os.PathLike[str], *, create: bool = False) -> Self:
        """Open a registry; see :func:`hepacalc.registry.database.open_database` for arguments and errors."""
        return cls(open_database(location, create=create))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def add(
        self,
        assessment: Assessment,
        *,
        now: datetime,
        by: str,
        key: str | None = None,
        links: Sequence[LesionLink] = (),
        comparisons: Sequence[Compared] = (),
    ) -> Added:
        """Take an assessment with its exam, lesions and plan; one that is known already changes nothing.

        Args:
            assessment: fresh, or read with :func:`hepacalc.report.stored.read_stored`.
            now: time of the change.
            by: who makes it.
            key: pseudonym of the patient; may be left out where the study is known.
            links: what a comparison with earlier exams says of its lesions, by Tracking UID.
            comparisons: the same, as ``comparison.json`` has it.

        Raises:
            OtherStudy: the study, or a lesion, is held as another patient's; a comparison of another study.
            UsageError: nothing says whose study it is, or the key is no pseudonym.
            NotInRegistry: a lesion or exam that was compared with is not known.
            InvalidAssessment: a text is longer than a registry takes.
            RegistryError: the registry cannot be written.
        """
        told = intake(assessment)
        check_lengths(told)
        key = None if key is None else checked_key(key)
        with self.database.writing() as connection:
            return add_assessment(connection, Log(connection, now, by), told, key, links, comparisons)

    def link(self, key: str, links: Sequence[LesionLink], *, now: datetime, by: str) -> int:
        """Record what a comparison says of the lesions of a patient; returns the number of the event.

        Raises:
            NotInRegistry: no such patient or lesion.
            OtherStudy: a lesion of another patient.
        """
        with self.database.writing() as connection:
            log = Log(connection, now, by)
            patient = find_patient(connection, key, required=True)
            return log.append("linked", patient, {"links": link_rows(connection, patient, links)}).seq

    def done(self, key: str, *, on: str, result: Result, now: datetime, by: str, rules: Sequence[str] = ()) -> Closed:
        """Close steps of the current plan, and open what comes next.

        Args:
            key: pseudonym of the patient.
            on: day on which it was done, or decided against.
            result: one of :data:`hepacalc.followup.schedule.RESULTS`.
            now: time of the change.
            by: who makes it.
            rules: of the steps; may be left out where one is open.

        Raises:
            NotInRegistry: no such patient, plan or open step.
            UsageError: several steps are open and none was named; a day that is none, or lies in the future.
        """
        checked_day(on)
        if on > today(now).isoformat():
            raise UsageError(f"{on} lies in the future.", hint="Give the day on which it was done with --on.")
        with self.database.writing() as connection:
            log = Log(connection, now, by)
            patient = find_patient(connection, key, required=True)
            held = current_plan(connection, patient)
            # what is repeated first: then it is known that follow-up goes on
            numbers = sorted(_chosen(held, rules, key), key=lambda number: held.open_steps[number].every is None)
            left = {number: step for number, step in held.open_steps.items() if number not in numbers}
            fresh: list[Step] = []
            why: list[Names] = []
            finished = False
            for number in numbers:
                others = [*left.values(), *fresh]
                closing = close_step(held.open_steps[number], others, held.stop, on=on, result=result)
                fresh += [step for step in closing.steps if step.rule not in {one.rule for one in others}]
                why += [one for one in closing.why if one not in why]
                finished = closing.finished
            wordings = Wordings()
            state = "finished" if finished and not fresh else "open"
            body = {
                "plan": held.plan,
                "closes": [
                    closing_of(held.plan, n, "declined" if result == "declined" else "done", on, _result(result))
                    for n in numbers
                ],
                "steps": [step_plain(step, held.last_number + k, wordings) for k, step in enumerate(fresh, 1)],
                "follow_up": {"state": state, "why": wordings.texts(*why)},
            }
            made = log.append("done", patient, body, wordings)
            closed = tuple(held.open_steps[number].rule for number in numbers)
            return Closed(key, made.seq, closed, state, tuple(fresh), (*left.values(), *fresh), tuple(why))

    def end(self, key: str, *, reason: str, now: datetime, by: str) -> Closed:
        """End the follow-up of a patient by a person's decision; a later assessment with a plan opens it again.

        Args:
            key: pseudonym of the patient.
            reason: one of :data:`END_REASONS`.
            now: time of the change.
            by: who decides.

        Raises:
            NotInRegistry: no such patient.
            UsageError: another reason.
        """
        if reason not in END_REASONS:
            raise UsageError(f"wanted a reason ({', '.join(END_REASONS)}).", hint="Give it with --reason.")
        with self.database.writing() as connection:
            log = Log(connection, now, by)
            patient = find_patient(connection, key, required=True)
            held = current_plan(connection, patient)
            wordings = Wordings()
            body = {
                "reason": reason,
                "closes": [closing_of(held.plan, number, "ended", None, None) for number in held.open_steps],
                "follow_up": {"state": "finished", "why": wordings.texts(END_REASONS[reason])},
            }
            made = log.append("ended", patient, body, wordings)
            rules = tuple(step.rule for step in held.open_steps.values())
            return Closed(key, made.seq, rules, "finished", (), (), (END_REASONS[reason],))


def _result(result: Result) -> str | None:
    return None if result == "declined" else result


def _chosen(held: CurrentPlan, rules: Sequence[str], key: str) -> list[int]:
    """Return the numbers of the steps that are meant."""
    there = {step.rule: number for number, step in held.open_steps.items()}
    if not there:
        raise NotInRegistry(f"patient {key} has no open step.", hint="hepacalc registry show tells how it stands.")
    if not rules and len(there) > 1:
        raise UsageError(
            f"patient {key} has {len(there)} open steps: {', '.join(there)}.", hint="Say which with --rule."
        )
    missing = [rule for rule in rules if rule not in there]
    if missing:
        raise NotInRegistry(
            f"patient {key} has no open step of the rule {missing[0][:64]!r}; open: {', '.join(there)}.",
            hint="Give one of them with --rule.",
        )
    return [there[rule] for rule in dict.fromkeys(rules or there)]
