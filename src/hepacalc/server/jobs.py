"""The queue: work that survives whoever does it.

A job is claimed for ``lease_s`` seconds and kept by signs of life; when they end, another worker takes it. What a job
gives is committed in one transaction with its state (:func:`finish`), so it counts once, however often it was begun.
A job whose process dies ``tries`` times is set aside with its error and never blocks another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, and_, insert, or_, select, update

from hepacalc.errors import HepacalcError
from hepacalc.server.database import new_id, now, writing
from hepacalc.server.faults import Conflict
from hepacalc.server.tables import jobs
from hepacalc.server.telemetry import current_trace

__all__ = [
    "MOST_STARTS",
    "Job",
    "LostLease",
    "Work",
    "claim",
    "enqueue",
    "finish",
    "heartbeat",
    "postpone",
    "put_back",
    "release",
    "set_aside",
]

MOST_STARTS = 100
"""However innocent a job looks, after so many starts it is set aside."""


class LostLease(Conflict):
    """Another worker has this job now; what was done for it here is thrown away."""

    code = "SRV-06"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Args:
        kind: of job, see :mod:`hepacalc.server.work`.
        key: names the work; work with a key that is there already is not queued again.
        study_id: that it is about.
        upload_id: that it is about.
        user_id: who asked for it.
        payload: further arguments; no names of patients.
        priority: higher goes first.
        not_before: time at which it may begin.
    """

    kind: str
    key: str
    study_id: str | None = None
    upload_id: str | None = None
    user_id: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was claimed.

    Args:
        id: of the job.
        kind: see :class:`Work`.
        key: see :class:`Work`.
        study_id: that it is about.
        upload_id: that it is about.
        user_id: who asked for it.
        payload: further arguments.
        tries: processes that died of it before.
        starts: how often it was begun, this time included.
        claim: proof that it is ours.
        trace: ``traceparent`` of what queued it; None where traces were off.
    """

    id: str
    kind: str
    key: str
    study_id: str | None
    upload_id: str | None
    user_id: str | None
    payload: Mapping[str, Any]
    tries: int
    starts: int
    claim: str
    trace: str | None = None


def enqueue(connection: Connection, work: Work) -> str:
    """Put work into the queue, in the caller's transaction; return the id of its job (of the earlier one, if any)."""
    there = connection.execute(select(jobs.c.id).where(jobs.c.key == work.key)).scalar()
    if there is not None:
        return str(there)
    job_id = new_id()
    connection.execute(
        insert(jobs).values(
            id=job_id, kind=work.kind, key=work.key, study_id=work.study_id, upload_id=work.upload_id,
            user_id=work.user_id, payload=dict(work.payload), state="queued", priority=work.priority,
            not_before=work.not_before, created=now(), trace=current_trace(),
        )
    )  # fmt: skip
    return job_id


def postpone(connection: Connection, key: str, until: float) -> bool:
    """Let a job that nobody has begun wait longer; False when it was begun."""
    done = connection.execute(
        update(jobs).where(jobs.c.key == key, jobs.c.state == "queued", jobs.c.starts == 0).values(not_before=until)
    )
    return done.rowcount == 1


def claim(engine: Engine, worker: str, *, lease_s: float, kinds: tuple[str, ...] = ()) -> Job | None:
    """Take the next job that is due, or whose worker shows no sign of life; None when there is none.

    Args:
        engine: the database.
        worker: name of this worker.
        lease_s: how long the job is ours without a sign of life.
        kinds: only these kinds; all when empty.
    """
    moment = now()
    due = or_(
        and_(jobs.c.state == "queued", jobs.c.not_before <= moment),
        and_(jobs.c.state == "running", jobs.c.lease_until < moment),
    )
    wanted = select(jobs).where(due, jobs.c.kind.in_(kinds) if kinds else jobs.c.id.is_not(None))
    wanted = wanted.order_by(jobs.c.priority.desc(), jobs.c.created).limit(1).with_for_update(skip_locked=True)
    with writing(engine) as connection:
        row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        mine = f"{worker}/{row['starts'] + 1}"
        connection.execute(
            update(jobs).where(jobs.c.id == row["id"]).values(
                state="running", worker=mine, lease_until=moment + lease_s, starts=row["starts"] + 1,
                started=row["started"] or moment, stage="", share=0.0, error_code="", error="", hint="",
            )
        )  # fmt: skip
        return _job(row, mine)


def _job(row: RowMapping, mine: str) -> Job:
    return Job(
        row["id"], row["kind"], row["key"], row["study_id"], row["upload_id"], row["user_id"], row["payload"],
        row["tries"], row["starts"] + 1, mine, row["trace"],
    )  # fmt: skip


def heartbeat(engine: Engine, job: Job, *, lease_s: float, stage: str = "", share: float = 0.0) -> None:
    """Show a sign of life and how far the job is.

    Raises:
        LostLease: another worker has it.
    """
    with writing(engine) as connection:
        _mine(connection, job, lease_until=now() + lease_s, stage=stage[:80], share=share)


def finish(connection: Connection, job: Job, result: Mapping[str, Any]) -> None:
    """Mark a job as done, in the transaction that stores what it gave.

    Raises:
        LostLease: another worker has it; the transaction must not be committed.
    """
    _mine(connection, job, state="done", result=dict(result), finished=now(), share=1.0, lease_until=None)


def set_aside(connection: Connection, job: Job, error: HepacalcError) -> None:
    """End a job that cannot be done, with what to tell of it, in the caller's transaction.

    Raises:
        LostLease: another worker has it.
    """
    _mine(
        connection, job, state="failed", error_code=error.code, error=error.message, hint=error.hint, finished=now(),
        lease_until=None,
    )  # fmt: skip


def put_back(engine: Engine, job: Job, error: HepacalcError, *, after_s: float, counts: bool) -> None:
    """Let a job be tried again later.

    Args:
        engine: the database.
        job: ours.
        error: why, shown meanwhile.
        after_s: how long to wait.
        counts: whether the job itself may be to blame.

    Raises:
        LostLease: another worker has it.
    """
    with writing(engine) as connection:
        _mine(
            connection, job, state="queued", not_before=now() + after_s, tries=job.tries + int(counts), worker=None,
            lease_until=None, error_code=error.code, error=error.message, hint=error.hint,
        )  # fmt: skip


def release(engine: Engine, worker: str) -> int:
    """Give back at once what a worker that is known to be dead had; return how many jobs that were."""
    with writing(engine) as connection:
        done = connection.execute(
            update(jobs)
            .where(jobs.c.state == "running", jobs.c.worker.startswith(f"{worker}/", autoescape=True))
            .values(state="queued", worker=None, lease_until=None)
        )
    return done.rowcount


def _mine(connection: Connection, job: Job, **values: Any) -> None:
    done = connection.execute(
        update(jobs).where(jobs.c.id == job.id, jobs.c.worker == job.claim, jobs.c.state == "running").values(**values)
    )
    if done.rowcount != 1:
        raise LostLease("another worker has this job.", hint="Nothing has to be done.")
