"""What an assessment leads to: it is compared with earlier exams of the patient, and taken into the team's registry."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.tables import assessments, comparison_priors, comparisons, studies

__all__ = [
    "KEEPS_FOCI", "MOST_PRIORS", "comparison_for", "comparison_work", "lineage", "priors_of", "queue_follow_up",
    "registration_work", "weighing_work",
]  # fmt: skip

KEEPS_FOCI = ("facts", "weigh")
"""Kinds of assessment that weigh the causes anew and leave the foci of their parent as they are."""
MOST_PRIORS = 3
"""So many earlier exams an assessment is compared with by itself."""
PRIORITY = 5
"""They take seconds, and do not wait behind scans that take minutes."""


def queue_follow_up(connection: Connection, study_id: str, *, used: str | None = None) -> None:
    """Queue what follows from an assessment of a study: comparison, causes weighed with it, registry; and the
    comparison of the next later exam.

    Args:
        connection: the transaction that keeps the assessment.
        study_id: our own id of the study.
        used: comparison that its causes were weighed with; None when none was.
    """
    row = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().first()
    if row is None or row["kind"] == "form":
        return
    priors = priors_of(connection, row)
    held = comparison_for(connection, row["assessment_id"])
    if held is not None and (held == used or _is_of(connection, held, priors)):
        enqueue(connection, registration_work(row, held))
        if held != used:
            enqueue(connection, weighing_work(row, held))
    else:
        enqueue(connection, comparison_work(row, priors, None) if priors else registration_work(row, ""))
    if len(lineage(connection, row["assessment_id"])) > 1:
        return  # to the next exam nothing changed
    # a prior may come after the exam that it belongs to
    later = _exams(row).where(studies.c.study_date > row["study_date"]).order_by(studies.c.study_date).limit(1)
    following = connection.execute(later).mappings().first()
    if following is not None:
        enqueue(connection, comparison_work(following, priors_of(connection, following), None))


def lineage(connection: Connection, assessment_id: str | None, kinds: tuple[str, ...] = KEEPS_FOCI) -> list[str]:
    """Return an assessment and the earlier ones from which only ``kinds`` led to it, the newest first."""
    found: list[str] = []
    while assessment_id is not None:
        row = connection.execute(
            select(assessments.c.kind, assessments.c.parent_id).where(assessments.c.id == assessment_id)
        ).first()
        if row is None:
            break
        found.append(assessment_id)
        assessment_id = row.parent_id if row.kind in kinds else None
    return found


def comparison_for(connection: Connection, assessment_id: str | None) -> str | None:
    """Return the newest comparison of an assessment's foci with earlier exams; None when there is none."""
    wanted = select(comparisons.c.id).where(comparisons.c.assessment_id.in_(lineage(connection, assessment_id)))
    return connection.execute(wanted.order_by(comparisons.c.created.desc()).limit(1)).scalar()


def _is_of(connection: Connection, comparison_id: str, priors: list[Any]) -> bool:
    """Whether a comparison is with just these earlier exams, as their foci are now."""
    held = select(comparison_priors.c.assessment_id).where(comparison_priors.c.comparison_id == comparison_id)
    compared = set(connection.execute(held).scalars())
    now = [lineage(connection, one["assessment_id"]) for one in priors]
    return len(compared) == len(now) and all(compared & set(one) for one in now)


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


def weighing_work(row: Any, because: str) -> Work:
    """Return the work of weighing the causes of a study anew, with what is known by then.

    Args:
        row: of the study.
        because: id of what came: a comparison, or the job whose assessment was made without what came meanwhile.
    """
    key = f"weigh:{row['assessment_id']}:{because}"
    return Work("weigh", key, study_id=row["id"], payload={"parent": row["assessment_id"]}, priority=PRIORITY)
