"""REST: uploads and studies."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import delete, func, insert, select, update
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from hepacalc.days import today
from hepacalc.errors import InvalidRequest, NotInRegistry, NotThere
from hepacalc.patient.read import patient_from_data
from hepacalc.server.access import need, note, site_of, study_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import new_id, now, reading, writing
from hepacalc.server.faults import Conflict
from hepacalc.server.files import folder_name
from hepacalc.server.filing import index_terms, plain
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.pseudonyms import forget, registry_of
from hepacalc.server.receive import earlier_upload, receive
from hepacalc.server.tables import assessments, comparison_priors, comparisons, decisions, facts, jobs, studies, uploads
from hepacalc.server.uploading import take_body
from hepacalc.server.work.storing import latest_facts
from hepacalc.server.worklist import WEIGHING_KINDS, page_of, progress_of, shown, waits_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["studies"])
Reader = Annotated[Identity, Depends(need("read"))]
Assessor = Annotated[Identity, Depends(need("assess"))]
Facts = dict[str, Any]


class FormStudy(BaseModel):
    """A patient without a scan: an ultrasound, a fetus, a question."""

    name: str = Field(default="", max_length=200)
    number: str = Field(default="", max_length=64)
    description: str = Field(default="", max_length=200)
    facts: Facts


class Again(BaseModel):
    """How a study is to be assessed again."""

    series: str | None = Field(default=None, max_length=64, pattern=r"^[0-9.]+$")
    allow_gaps: bool = False


@router.post("/uploads", status_code=202, openapi_extra={"requestBody": {"content": {
    "multipart/form-data": {"schema": {"type": "object"}}, "application/zip": {"schema": {"type": "string"}},
    "application/dicom": {"schema": {"type": "string"}}}}})  # fmt: skip
async def upload(request: Request, who: Assessor) -> Response:
    """Take a zip, DICOM files or NIfTI. Answers once all is on disk and in the job table (202).

    With a header ``Idempotency-Key`` the same request sent again gives the same answer and is taken once.
    """
    site, key = site_of(request), request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= 200:
        raise InvalidRequest("Idempotency-Key has 1 to 200 characters.", hint="Use a UUID.")
    earlier = await run_in_threadpool(earlier_upload, site.engine, site.settings, who.user_id, key) if key else None
    if earlier is not None:
        if earlier[1] == "open":
            raise Conflict("another request with this Idempotency-Key is under way.", hint="Wait for it.")
        return JSONResponse(await run_in_threadpool(_upload, request, who, earlier[0]), 202)
    source = "web" if who.session else "api"
    with ExitStack() as stack:
        taken = stack.enter_context(
            receive(site.engine, site.settings, source=source, user_id=who.user_id, team=who.team, key=key)
        )
        await take_body(request, taken)
    request.app.state.metrics.received.labels(source).inc(taken.bytes)
    await run_in_threadpool(note, request, "upload", taken.id)
    return JSONResponse(await run_in_threadpool(_upload, request, who, taken.id), 202)


@router.get("/uploads/{upload_id}")
def get_upload(request: Request, who: Reader, upload_id: str) -> dict[str, Any]:
    """Tell what became of an upload."""
    return _upload(request, who, upload_id)


def _upload(request: Request, who: Identity, upload_id: str) -> dict[str, Any]:
    mine = uploads.c.id == upload_id
    with reading(site_of(request).engine) as connection:
        row = connection.execute(select(uploads).where(mine)).mappings().first()
        job = connection.execute(select(jobs.c.id).where(jobs.c.upload_id == upload_id)).scalar()
    if row is None or not (who.is_admin or row["team"] == who.team):
        raise NotThere("there is no such upload.", hint="Send it again.")
    names = ("id", "source", "state", "files", "bytes", "passed_over", "error_code", "error", "created")
    return {**{n: row[n] for n in names}, "study_ids": row["study_ids"] or [], "job_id": job}


@router.get("/studies")
def list_studies(
    request: Request, who: Reader, search: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=12)] = "",
    due_by: Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = "",
    after: Annotated[str, Query(max_length=80)] = "", limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:  # fmt: skip
    """One page of the worklist, newest first (with ``due_by``: earliest due first)."""
    with reading(site_of(request).engine) as connection:
        rows, more = page_of(connection, who, search=search, state=state, due_by=due_by, after=after, limit=limit)
        ids = [row["id"] for row in rows]
        doing, waits = progress_of(connection, ids), waits_of(connection, ids)
    note(request, "worklist")
    return {
        "studies": [{**row, "job": doing.get(row["id"]), "waits": waits.get(row["id"], [])} for row in rows],
        "next": more,
    }


@router.post("/studies", status_code=201)
def add_form(request: Request, who: Assessor, form: FormStudy) -> dict[str, Any]:
    """Make a study without a scan, from facts alone."""
    patient_from_data(form.facts, today=today())
    site, study_id = site_of(request), new_id()
    columns = {
        "patient_name": plain(form.name, 200), "patient_id": plain(form.number, 64),
        "description": plain(form.description, 200), "study_date": today().strftime("%Y%m%d"),
    }  # fmt: skip
    with writing(site.engine) as connection:
        connection.execute(
            insert(studies).values(
                id=study_id, uid=f"form.{study_id}", team=who.team, folder=folder_name(f"form.{study_id}", who.team),
                kind="form", state="waiting", created=now(), updated=now(), **columns,
            )
        )  # fmt: skip
        index_terms(connection, study_id, columns)
        connection.execute(
            insert(facts).values(study_id=study_id, version=1, patient=form.facts, user_id=who.user_id, created=now())
        )
        job = enqueue(connection, Work("form", f"form:{study_id}:1", study_id=study_id, user_id=who.user_id))
    note(request, "study.add", study_id)
    return {"id": study_id, "job_id": job}


@router.get("/studies/{study_id}")
def get_study(request: Request, who: Reader, study_id: str) -> dict[str, Any]:
    """One study with its assessments, facts and decisions."""
    row = study_of(request, who, study_id)
    with reading(site_of(request).engine) as connection:
        made = connection.execute(
            select(assessments).where(assessments.c.study_id == study_id).order_by(assessments.c.revision)
        ).mappings().all()  # fmt: skip
        told = latest_facts(connection, study_id, row)
        version = facts_version(connection, study_id)
        taken = connection.execute(
            select(decisions).where(decisions.c.study_id == study_id).order_by(decisions.c.created)
        ).mappings().all()  # fmt: skip
        doing = progress_of(connection, [study_id]).get(study_id)
        weighing = progress_of(connection, [study_id], WEIGHING_KINDS).get(study_id)
    note(request, "study.view", study_id)
    names = ("id", "revision", "kind", "parent_id", "user_id", "headline", "created")
    return {
        **shown(row), "job": doing, "weighing": weighing, "facts": told, "facts_version": version,
        "assessments": [{n: one[n] for n in names} for one in made],
        "decisions": [{n: v for n, v in one.items() if n != "study_id"} for one in taken],
    }  # fmt: skip


@router.delete("/studies/{study_id}", status_code=204)
def delete_study(request: Request, who: Assessor, study_id: str) -> Response:
    """Delete a study, its files and everything made of it. It stays in the audit log."""
    row, site = study_of(request, who, study_id), site_of(request)
    with writing(site.engine) as connection:
        # comparisons of later exams show this one too
        named = select(comparison_priors.c.comparison_id).where(comparison_priors.c.study_id == study_id)
        shown_in = connection.execute(
            select(comparisons.c.folder, studies.c.folder.label("study"))
            .join(studies, studies.c.id == comparisons.c.study_id).where(comparisons.c.id.in_(named))
        ).all()  # fmt: skip
        connection.execute(delete(comparisons).where(comparisons.c.id.in_(named)))
        connection.execute(delete(jobs).where(jobs.c.study_id == study_id))
        connection.execute(delete(studies).where(studies.c.id == study_id))
        key = forget(connection, row)
    for one in shown_in:
        shutil.rmtree(site.store.study(one.study) / one.folder, ignore_errors=True)
    shutil.rmtree(site.store.study(row["folder"]), ignore_errors=True)
    if key is not None and site.store.registry(row["team"]).exists():
        # nobody can say any more who it is
        with registry_of(site.store, row["team"]) as held, suppress(NotInRegistry):
            held.end(key, reason="error", now=datetime.now(UTC), by=who.name)
    for path in site.store.cache("x").parent.glob(f"{study_id}-*.npy"):
        path.unlink(missing_ok=True)
    note(request, "study.delete", study_id)
    return Response(status_code=204)


@router.post("/studies/{study_id}/assess", status_code=202)
def assess_again(request: Request, who: Assessor, study_id: str, how: Again) -> dict[str, Any]:
    """Assess a study again: another series, with gaps, or after it had been set aside."""
    row, site = study_of(request, who, study_id), site_of(request)
    if row["kind"] == "form":
        raise InvalidRequest("there is no scan to assess.", hint="Change its facts instead.")
    payload = how.model_dump(exclude_none=True)
    with writing(site.engine) as connection:
        job = enqueue(
            connection,
            Work("assess", f"assess:{study_id}:{new_id()}", study_id=study_id, user_id=who.user_id, payload=payload),
        )
        connection.execute(update(studies).where(studies.c.id == study_id).values(state="waiting", error=""))
    note(request, "study.assess", study_id)
    return {"job_id": job}


@router.get("/studies/{study_id}/facts")
def get_facts(request: Request, who: Reader, study_id: str) -> dict[str, Any]:
    """What is known of the patient: a patient file, and its version."""
    row = study_of(request, who, study_id)
    with reading(site_of(request).engine) as connection:
        told, version = latest_facts(connection, study_id, row), facts_version(connection, study_id)
    note(request, "facts.view", study_id)
    return {"version": version, "facts": told}


@router.put("/studies/{study_id}/facts", status_code=202)
def put_facts(
    request: Request, who: Assessor, study_id: str, told: Facts, version: Annotated[int | None, Query(ge=0)] = None
) -> dict[str, Any]:
    """Save what is known of the patient; causes and plan are weighed again.

    ``version`` is the one that was changed; when somebody saved another one meanwhile, nothing is saved (409).
    """
    row, site = study_of(request, who, study_id), site_of(request)
    patient_from_data(told, today=today())
    with writing(site.engine) as connection:
        latest = facts_version(connection, study_id)
        if version is not None and version != latest:
            raise Conflict("somebody else saved facts meanwhile.", hint="Load the study again.")
        connection.execute(
            insert(facts).values(
                study_id=study_id, version=latest + 1, patient=told, user_id=who.user_id, created=now()
            )
        )
        kind = "form" if row["kind"] == "form" else "facts"
        job = None
        if kind == "form" or row["assessment_id"] is not None:
            payload = {} if row["assessment_id"] is None else {"parent": row["assessment_id"]}
            key = f"{kind}:{study_id}:{latest + 1}"
            work = Work(kind, key, study_id=study_id, user_id=who.user_id, payload=payload, priority=10)
            job = enqueue(connection, work)
    note(request, "facts.save", study_id)
    return {"version": latest + 1, "job_id": job}


def facts_version(connection: Any, study_id: str) -> int:
    """Return the version of the facts that were saved last; 0 when none were."""
    return connection.execute(select(func.max(facts.c.version)).where(facts.c.study_id == study_id)).scalar() or 0
