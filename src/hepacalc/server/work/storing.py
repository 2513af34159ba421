"""How an assessment is kept, whichever kind of job made it: files in place first, then one transaction."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from hepacalc.errors import HepacalcError, NotThere
from hepacalc.server.database import now, reading, writing
from hepacalc.server.faults import Conflict
from hepacalc.server.files import commit_folder
from hepacalc.server.filing import add_instances
from hepacalc.server.follow_up import comparison_for, lineage, queue_follow_up, weighing_work
from hepacalc.server.jobs import Job, enqueue, finish
from hepacalc.server.node_settings import read_node
from hepacalc.server.outgoing import queue_sends
from hepacalc.server.tables import assessments, comparisons, facts, jobs, studies
from hepacalc.server.work import Site
from hepacalc.server.work.earlier import COMPARISON, earlier_exams, kept, place_of

__all__ = ["keep_assessment", "latest_facts", "mark_failed", "place_arrays", "scan_name", "study_request", "study_row"]

RESULTS, SCAN, LABELS = "results", "scan.npy", "labels.npy"
"""Names of what a job leaves in its folder: the files of an assessment, and arrays for the viewer."""
LIVER_BIT = 0x8000
"""Of a voxel in the array of labels: it is liver; the other bits are the id of its focus."""


def study_row(connection: Connection, study_id: str | None) -> RowMapping:
    """Return the row of the study that a job is about.

    Raises:
        NotThere: the study was deleted meanwhile.
    """
    row = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().first()
    if row is None:
        raise NotThere("the study was deleted.", hint="Nothing has to be done.")
    return row


def study_request(site: Site, job: Job) -> dict[str, Any]:
    """Return what a job about a study is told: its folders, the latest assessment and its comparison
    with earlier exams, facts, the site's knowledge.

    Raises:
        NotThere: the study was deleted meanwhile.
    """
    with reading(site.engine) as connection:
        row = study_row(connection, job.study_id)
        parent_id = job.payload.get("parent") or row["assessment_id"]
        parent = connection.execute(
            select(assessments.c.folder).where(assessments.c.id == parent_id, assessments.c.study_id == job.study_id)
        ).scalar()
        told = latest_facts(connection, row["id"], row)
        comparison = comparison_for(connection, parent_id)
        place = select(comparisons.c.folder).where(comparisons.c.id == comparison)
        compared = connection.execute(place).scalar() if comparison is not None else None
        earlier = earlier_exams(connection, site.store, row)
    folder = site.store.study(row["folder"])
    return {
        "files": str(site.store.files(row["folder"])),
        "kind": row["kind"],
        "parent": str(folder / parent) if parent else None,
        "facts": told,
        "comparison": comparison,
        "compared": str(folder / compared / "comparison.json") if compared else None,
        "earlier": earlier,
        "knowledge": site.settings.knowledge,
        "seg_type": read_node(site.settings).seg_type,
        "payload": dict(job.payload),
    }


def latest_facts(connection: Connection, study_id: str, row: Any) -> dict[str, Any]:
    """Return the patient file of a study: the last one that was saved, or what the images' headers say."""
    found = connection.execute(
        select(facts.c.patient).where(facts.c.study_id == study_id).order_by(facts.c.version.desc()).limit(1)
    ).scalar()
    return dict(found) if found is not None else from_headers(row)


def from_headers(row: Any) -> dict[str, Any]:
    """Return a patient file with age and sex as the images' headers give them."""
    told: dict[str, Any] = {"schema_version": "1.0"}
    sex = {"M": "male", "F": "female", "O": "other"}.get(row["sex"])
    if sex:
        told["sex"] = sex
    birth, day = row["birth_date"], row["study_date"]
    if len(birth) == 8 and len(day) == 8 and (birth + day).isascii() and (birth + day).isdigit():
        age = int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:])
        if 0 <= age <= 125:
            told["age"] = age
    return told


def scan_name(study_id: str, series_uid: str) -> str:
    """Return the name of a scan in the cache."""
    return f"{study_id}-{hashlib.sha256(series_uid.encode()).hexdigest()[:12]}"


def place_arrays(site: Site, made: Path, scan: str, labels: str) -> None:
    """Move arrays for the viewer into the cache; they can be made again, so they are no part of a transaction."""
    for name, target in ((SCAN, site.store.cache(scan)), (LABELS, site.store.cache(labels))):
        if (made / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (made / name).replace(target)
    _trim(site)


def _trim(site: Site) -> None:
    """Remove what was used least lately, until the cache is as small as the site wants."""
    files = [(p.stat().st_atime, p.stat().st_size, p) for p in site.store.cache("x").parent.glob("*.npy")]
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files)[:-2]:
        if total <= site.settings.limits.cache_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size


def keep_assessment(site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
    """Keep one assessment of a study; the job's id is the assessment's, so a second time changes nothing.

    Raises:
        Conflict: the study has other foci by now than those that this was made of.
        NotThere: the study was deleted meanwhile.
        LostLease: another worker has the job.
    """
    with reading(site.engine) as connection:
        folder = study_row(connection, job.study_id)["folder"]
    place = f"{RESULTS}/{job.id}"
    place_arrays(site, made, scan_name(job.study_id or "", found["series_uid"]), job.id)
    commit_folder(made / RESULTS, site.store.study(folder) / place)
    if found.get("priors"):
        commit_folder(made / COMPARISON, site.store.study(folder) / place_of(job))
    with writing(site.engine) as connection:
        mine = studies.c.id == job.study_id
        current = connection.execute(select(studies.c.assessment_id).where(mine)).scalar()
        parent = job.payload.get("parent")
        is_late = parent is not None and parent != current
        if is_late and parent not in lineage(connection, current):
            raise Conflict("the study was changed meanwhile.", hint="Look at the newest state and do it again.")
        latest = select(func.max(assessments.c.revision)).where(assessments.c.study_id == job.study_id)
        revision = (connection.execute(latest).scalar() or 0) + 1
        connection.execute(
            insert(assessments).values(
                id=job.id, study_id=job.study_id, revision=revision, kind=job.kind,
                parent_id=current if is_late else parent,
                user_id=job.user_id, folder=place, series_uid=found["series_uid"], headline=found["headline"],
                edits=job.payload.get("edits"), created=now(),
            )
        )  # fmt: skip
        rows = [{**one, "path": f"{place}/{one['name']}"} for one in found["objects"]]
        add_instances(connection, job.study_id or "", rows, job.id)
        connection.execute(
            update(studies).where(mine).values(
                state="assessed", assessment_id=job.id, headline=found["headline"],
                due=found["headline"].get("due", ""), updated=now(), error="", error_code="",
            )
        )  # fmt: skip
        is_tracked = bool(found.get("is_tracked"))
        queue_sends(connection, site.settings, job.study_id or "", job.id, job.kind, is_tracked=is_tracked)
        used = found.get("comparison")
        if found.get("priors") and kept(connection, job, job.id, found["priors"]):
            used = job.id
        queue_follow_up(connection, job.study_id or "", used=used)
        if is_late:
            # facts or a comparison came while this was made without them
            row = study_row(connection, job.study_id)
            enqueue(connection, weighing_work(row, job.id))
        finish(connection, job, {"assessment_id": job.id, "revision": revision})


def mark_failed(connection: Connection, job: Job, error: HepacalcError) -> None:
    """Show on the study why it could not be assessed; an earlier assessment stays."""
    others = select(jobs.c.id).where(jobs.c.study_id == job.study_id, jobs.c.state == "queued", jobs.c.kind == "assess")
    if connection.execute(others).first() is None:
        connection.execute(
            update(studies)
            .where(studies.c.id == job.study_id)
            .values(state="failed", error_code=error.code, error=f"{error.message} {error.hint}", updated=now())
        )
