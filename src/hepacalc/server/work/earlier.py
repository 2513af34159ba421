"""Comparisons with earlier exams, whichever kind of job makes them: their files, their rows, and the same within a job
that measures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from hepacalc.errors import HepacalcError
from hepacalc.followup.records import FollowUp
from hepacalc.records import Assessment
from hepacalc.server.database import now
from hepacalc.server.files import Store
from hepacalc.server.follow_up import priors_of
from hepacalc.server.jobs import Job
from hepacalc.server.tables import assessments, comparison_priors, comparisons, studies

__all__ = ["COMPARISON", "LINK", "comparing_with", "earlier_exams", "kept", "place_of", "write_files"]

COMPARISON, LINK = "comparison", "link.json"
"""Folder that a job leaves, and a file in it: of each earlier exam the affine by which both are looked at."""


def earlier_exams(connection: Connection, store: Store, row: Any) -> list[dict[str, str]]:
    """Return study, assessment and folder of the earlier exams that an exam is compared with, the latest first."""
    found = []
    for prior in priors_of(connection, row):
        wanted = select(assessments.c.folder).where(assessments.c.id == prior["assessment_id"])
        place = store.study(prior["folder"]) / str(connection.execute(wanted).scalar())
        found.append({"study": prior["id"], "assessment": prior["assessment_id"], "folder": str(place)})
    return found


def comparing_with(
    earlier: list[dict[str, str]], study: Path, out: Path, moment: datetime
) -> Callable[[Assessment], Assessment]:
    """Return what adds earlier exams to an assessment, as ``hepacalc assess --prior`` does, and writes the comparison.

    An exam that cannot be compared is assessed all the same; the job that then compares it says why.

    Args:
        earlier: from :func:`earlier_exams`.
        study: files of the current exam.
        out: folder of the job; :data:`COMPARISON` is in it if the comparison was made.
        moment: time stamp.
    """
    from hepacalc.compare import follow, tracked

    def compared(assessment: Assessment) -> Assessment:
        try:
            found = follow(assessment, study, [one["folder"] for one in earlier], now=moment)
        except HepacalcError:
            return assessment
        write_files(found, out)
        return replace(tracked(assessment, found), followup=found)

    return compared


def write_files(found: FollowUp, out: Path) -> None:
    """Write the files of a comparison in both languages into the folder of a job."""
    from hepacalc.report.comparison import write_comparison
    from hepacalc.report.comparison_page import render_comparison

    write_comparison(found, out / COMPARISON)
    (out / COMPARISON / "zh").mkdir()
    (out / COMPARISON / "zh" / "comparison.html").write_text(render_comparison(found, language="zh"), "utf-8")
    backs = [comparison.back for comparison in found.comparisons]
    (out / COMPARISON / LINK).write_text(json.dumps(backs), "utf-8")


def place_of(job: Job) -> str:
    """Return where the comparison that a job made lies, below the study's folder."""
    return f"comparisons/{job.id}"


def kept(connection: Connection, job: Job, assessment_id: str, pairs: list[dict[str, str]]) -> bool:
    """Put the comparison that a job made into the database; False when an earlier exam was deleted meanwhile.

    Args:
        connection: the transaction that finishes the job.
        job: the comparison has its id.
        assessment_id: of the later exam.
        pairs: ``study`` and ``assessment`` of the earlier ones, the latest first.
    """
    ids = {one["study"] for one in pairs}
    if set(connection.execute(select(studies.c.id).where(studies.c.id.in_(ids))).scalars()) != ids:
        return False
    values = {"id": job.id, "study_id": job.study_id, "assessment_id": assessment_id, "folder": place_of(job)}
    connection.execute(insert(comparisons).values(**values, created=now()))
    connection.execute(insert(comparison_priors), [
        {"comparison_id": job.id, "number": k, "study_id": one["study"], "assessment_id": one["assessment"]}
        for k, one in enumerate(pairs)
    ])  # fmt: skip
    return True
