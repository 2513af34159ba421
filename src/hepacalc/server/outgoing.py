"""What is queued for other systems: results to send, priors to ask for. Each once, in the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from hepacalc.server.database import now
from hepacalc.server.files import folder_name
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.node_settings import read_node
from hepacalc.server.settings import Settings
from hepacalc.server.tables import instances, jobs, studies

__all__ = ["PRIORITY", "fetch_key", "queue_priors", "queue_sends"]

PRIORITY = 5
"""Of sending and asking: they take a moment, and do not wait behind scans that take minutes."""


def queue_sends(
    connection: Connection, settings: Settings, study_id: str, assessment_id: str, kind: str, *,
    is_tracked: bool = False,
) -> list[str]:  # fmt: skip
    """Queue the sending of an assessment's objects to where the site says; return the ids of the jobs.

    Args:
        connection: the transaction that keeps the assessment and its objects.
        settings: of the deployment.
        study_id: our own id of the study.
        assessment_id: whose objects are sent.
        kind: of job that made it: what a person corrects is sent when he has stopped correcting.
        is_tracked: whether foci carry other Tracking UIDs than before.
    """
    if kind == "weigh" and not is_tracked:
        return []  # the objects hold what was measured, which is as it was
    node = read_node(settings)
    wanted = select(instances.c.sop_uid).where(
        instances.c.study_id == study_id, instances.c.assessment_id == assessment_id,
        instances.c.modality.in_(node.send),
    )  # fmt: skip
    if not node.send_to or connection.execute(wanted).first() is None:
        return []
    begin = 0.0 if kind == "assess" else now() + node.settle_s
    return [
        enqueue(connection, Work("send", f"send:{assessment_id}:{name}", study_id=study_id, priority=PRIORITY,
                                 payload={"assessment": assessment_id, "to": name}, not_before=begin))
        for name in node.send_to
    ]  # fmt: skip


def queue_priors(connection: Connection, settings: Settings, study_id: str) -> list[str]:
    """Queue the search for earlier studies of the patient of a study, unless it was itself fetched as one.

    Args:
        connection: the transaction that files the study.
        settings: of the deployment.
        study_id: our own id of the study.
    """
    node = read_node(settings)
    row: Any = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().first()
    if not node.priors_from or row is None or row["kind"] != "dicom" or not row["patient_id"]:
        return []
    fetched = select(jobs.c.id).where(jobs.c.key == fetch_key(row["uid"], row["team"]))
    if connection.execute(fetched).first() is not None:
        return []
    return [
        enqueue(connection, Work("priors", f"priors:{study_id}:{name}", study_id=study_id, priority=PRIORITY,
                                 payload={"from": name}))
        for name in node.priors_from
        if node.partner(name).team == row["team"]
    ]  # fmt: skip


def fetch_key(study_uid: str, team: str) -> str:
    """Return the key of the job that fetches a prior: one study is fetched once, whoever holds it."""
    return f"fetch:{folder_name(study_uid, team)}"
