"""REST: comparisons of a study with earlier exams of the patient."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import FileResponse, JSONResponse, Response

from hepacalc.errors import InvalidRequest, NotThere
from hepacalc.server.access import need, note, own, site_of, study_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import new_id, reading, writing
from hepacalc.server.faults import Conflict
from hepacalc.server.follow_up import comparison_work, priors_of
from hepacalc.server.jobs import enqueue
from hepacalc.server.middleware import DOCUMENT_POLICY
from hepacalc.server.stored import read_json
from hepacalc.server.tables import comparison_priors, comparisons, jobs, studies

__all__ = ["comparison_of", "comparisons_of_study", "router"]

router = APIRouter(prefix="/api", tags=["comparisons"])
Reader = Annotated[Identity, Depends(need("read"))]
Assessor = Annotated[Identity, Depends(need("assess"))]
FILES = {
    "comparison.json": "application/json",
    "comparison.csv": "text/csv; charset=utf-8",
    "comparison.html": "text/html; charset=utf-8",
}
StudyId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Asked(BaseModel):
    """Earlier studies of the patient to compare with; those that are found by themselves when left out."""

    priors: list[StudyId] = Field(default_factory=list, max_length=10)


@router.post("/studies/{study_id}/comparisons", status_code=202)
def compare_study(
    request: Request, who: Assessor, study_id: str, asked: Asked,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> dict[str, Any]:  # fmt: skip
    """Say what became of each lesion since earlier exams. Follow the job; its result names the comparison.

    With a header ``Idempotency-Key`` the same request sent again gives the same job.
    """
    row = study_of(request, who, study_id)
    if row["kind"] == "form" or row["assessment_id"] is None:
        raise Conflict("there is no assessed scan to compare.", hint="Wait for its assessment.")
    with writing(site_of(request).engine) as connection:
        priors = _named(connection, row, asked.priors) if asked.priors else priors_of(connection, row)
        if not priors:
            raise InvalidRequest("no earlier exam of this patient is held.", hint="Send it first.")
        told = f"{who.user_id}\0{idempotency_key}" if idempotency_key else new_id()
        work = comparison_work(row, priors, who.user_id, key=hashlib.sha256(told.encode()).hexdigest())
        wish = sorted(asked.priors)
        job = enqueue(connection, replace(work, payload={**work.payload, "asked": wish}))
        made = connection.execute(select(jobs.c.study_id, jobs.c.payload).where(jobs.c.id == job)).one()
        if (made.study_id, made.payload.get("asked")) != (study_id, wish):
            raise Conflict("this Idempotency-Key was used for another request.", hint="Use a new one.")
    note(request, "study.compare", study_id)
    return {"job_id": job}


def _named(connection: Any, row: Any, ids: list[str]) -> list[Any]:
    """Return the rows of the earlier studies that were named, the latest first."""
    wanted = select(studies).where(studies.c.id.in_(ids), studies.c.team == row["team"])
    rows = connection.execute(wanted.order_by(studies.c.study_date.desc())).mappings().all()
    if len(rows) != len(set(ids)):
        raise NotThere("there is no such earlier study.", hint="Look at the worklist.")
    for one in rows:
        births = {born for born in (one["birth_date"], row["birth_date"]) if born}
        if not row["patient_id"] or one["patient_id"] != row["patient_id"] or len(births) > 1:
            raise InvalidRequest("priors: a study is another patient's.", hint="Name studies of this patient.")
        if one["id"] == row["id"] or one["study_date"] > row["study_date"]:
            raise InvalidRequest("priors: a study is not earlier.", hint="Compare the later study with it.")
        if one["kind"] == "form" or one["assessment_id"] is None:
            raise Conflict("priors: a study is not assessed yet.", hint="Wait for its assessment.")
    return list(rows)


@router.get("/studies/{study_id}/comparisons")
def list_comparisons(request: Request, who: Reader, study_id: str) -> dict[str, Any]:
    """Comparisons of a study, newest first, with the earlier studies of each."""
    study_of(request, who, study_id)
    found = comparisons_of_study(request, study_id)
    note(request, "comparison.list", study_id)
    return {"comparisons": found}


def comparisons_of_study(request: Request, study_id: str) -> list[dict[str, Any]]:
    """Return the comparisons of a study that the asker may see, newest first."""
    with reading(site_of(request).engine) as connection:
        rows = connection.execute(
            select(comparisons.c.id, comparisons.c.assessment_id, comparisons.c.created)
            .where(comparisons.c.study_id == study_id).order_by(comparisons.c.created.desc())
        ).mappings().all()  # fmt: skip
        pairs = connection.execute(
            select(comparison_priors).where(comparison_priors.c.comparison_id.in_([row["id"] for row in rows]))
            .order_by(comparison_priors.c.number)
        ).mappings().all()  # fmt: skip
    return [
        {**row, "priors": [
            {name: pair[name] for name in ("study_id", "assessment_id")}
            for pair in pairs if pair["comparison_id"] == row["id"]
        ]}
        for row in rows
    ]  # fmt: skip


def comparison_of(request: Request, who: Identity, comparison_id: str) -> tuple[Any, Any]:
    """Return a comparison that a user may see, and the folder of its files.

    Raises:
        NotThere: there is none, or it is another team's.
    """
    site = site_of(request)
    joined = select(comparisons, studies.c.folder.label("study_folder")).join(
        studies, studies.c.id == comparisons.c.study_id
    )
    with reading(site.engine) as connection:
        row = connection.execute(joined.where(comparisons.c.id == comparison_id, own(who))).mappings().first()
    if row is None:
        note(request, "comparison.missing", comparison_id, "refused")
        raise NotThere("there is no such comparison.", hint="Look at the study.")
    return row, site.store.study(row["study_folder"]) / row["folder"]


@router.get("/comparisons/{comparison_id}")
def get_comparison(request: Request, who: Reader, comparison_id: str) -> Response:
    """``comparison.json``: what became of each lesion, and the mass of each over time."""
    row, folder = comparison_of(request, who, comparison_id)
    note(request, "comparison.view", row["study_id"])
    return JSONResponse(read_json(folder / "comparison.json"))


@router.get("/comparisons/{comparison_id}/files/{name}", response_class=FileResponse)
def get_comparison_file(
    request: Request, who: Reader, comparison_id: str, name: str, language: Literal["en", "zh"] = "en"
) -> Response:
    """One file of a comparison: ``comparison.json``, ``.csv`` or ``.html``."""
    row, folder = comparison_of(request, who, comparison_id)
    if name not in FILES:
        raise NotThere("there is no such file.", hint=f"Choose one of {', '.join(FILES)}.")
    chinese = folder / "zh" / name
    place = chinese if language == "zh" and chinese.is_file() else folder / name
    note(request, "comparison.file", row["study_id"])
    is_page = name.endswith(".html")
    return FileResponse(
        place, media_type=FILES[name], filename=f"{comparison_id[:8]}-{name}",
        headers={"content-security-policy": DOCUMENT_POLICY} if is_page else {},
        content_disposition_type="inline" if is_page else "attachment",
    )  # fmt: skip
