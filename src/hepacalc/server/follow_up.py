"""What an assessment leads to: it is compared with earlier exams of the patient, and taken into the team's registry."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.tables import studies

__all__ = ["MOST_PRIORS", "comparison_work", "priors_of", "queue_follow_up", "registration_work"]

MOST_PRIORS = 3
"""So many earlier exams an assessment is compared with by itself."""
PRIORITY = 5
"""They take seconds, and do not wait behind scans that take minutes."""


def queue_follow_up(connection: Connection, study_id: str) -> None:
    """Queue the comparison of a study that was assessed, and of the next later one; the registry comes after.

    Args:
        connection: the transaction that keeps the assessment.
        study_id: our own id of the study.
    """
    row = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().first()
    if row is None or row["kind"] == "form":
        return
    priors = priors_of(connection, row)
    enqueue(connection, comparison_work(row, priors, None) if priors else registration_work(row, ""))
    # a prior may come after the exam that it belongs to
    later = _exams(row).where(studies.c.study_date > row["study_date"]).order_by(studies.c.study_date).limit(1)
    following = connection.execute(later).mappings().first()
    if following is not None:
        enqueue(connection, comparison_work(following, priors_of(connection, following), None))


def priors_of(connection: Connection, row: Any) -> list[Any]:
    """Return the assessed earlier exams of the patient of a study, the latest first.

    A patient is one by number within a team; a date of birth that differs says that the number is another person's.
    """
    wanted = _exams(row).where(studies.c.study_date < row["study_date"]).order_by(studies.c.study_date.desc())
    return list(connection.execute(wanted.limit(MOST_PRIORS)).mappings())


def _exams(row: Any) -> Any:
    wanted = select(studies).where(
        studies.c.team == row["team"], studies.c.patient_id == row["patient_id"], studies.c.patient_id != "",
        studies.c.id != row["id"], studies.c.kind != "form", studies.c.assessment_id.is_not(None),
        studies.c.study_date != "",
    )  # fmt: skip
    return wanted.where(studies.c.birth_date.in_(("", row["birth_date"]))) if row["birth_date"] else wanted


def comparison_work(row: Any, priors: list[Any], user_id: str | None, *, key: str = "") -> Work:
    """Return the work of comparing an exam with earlier ones; the same assessments are compared once.

    Args:
        row: of the later exam.
        priors: rows of earlier ones, the latest first.
        user_id: who asks; None when the program does.
        key: names the request, when it came with an idempotency key.
    """
    pairs = [{"study": one["id"], "assessment": one["assessment_id"]} for one in priors]
    digest = hashlib.sha256(repr(pairs).encode()).hexdigest()[:32]
    payload = {"assessment": row["assessment_id"], "priors": pairs}
    return Work(
        "compare", f"compare:{key}" if key else f"compare:{row['assessment_id']}:{digest}",
        study_id=row["id"], user_id=user_id, payload=payload, priority=PRIORITY,
    )  # fmt: skip


def registration_work(row: Any, comparison_id: str) -> Work:
    """Return the work of taking an assessment into the registry.

    Args:
        row: of the study.
        comparison_id: of its comparison with earlier exams, or empty.
    """
    payload = {"assessment": row["assessment_id"], "comparison": comparison_id}
    key = f"register:{row['assessment_id']}:{comparison_id}"
    return Work("register", key, study_id=row["id"], payload=payload, priority=PRIORITY)
