"""REST: assessments: their files, corrections of foci, decisions about the plan."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import insert, select, update
from starlette.responses import FileResponse, Response

from hepacalc.days import today
from hepacalc.errors import InvalidRequest, NotThere
from hepacalc.records import Kind
from hepacalc.server.access import assessment_of, need, note, site_of, study_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import new_id, now, reading, writing
from hepacalc.server.due import close_in_registry
from hepacalc.server.faults import Conflict
from hepacalc.server.follow_up import lineage
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.middleware import DOCUMENT_POLICY
from hepacalc.server.stored import reasoning_of
from hepacalc.server.tables import decisions, studies

__all__ = ["FILES", "router"]

router = APIRouter(prefix="/api", tags=["assessments"])
Reader = Annotated[Identity, Depends(need("read"))]
Assessor = Annotated[Identity, Depends(need("assess"))]

FILES: dict[str, str] = {
    "assessment.json": "application/json",
    "explanation.json": "application/json",
    "foci.csv": "text/csv; charset=utf-8",
    "report.html": "text/html; charset=utf-8",
    "explanation.html": "text/html; charset=utf-8",
    "report.pdf": "application/pdf",
    "report.txt": "text/plain; charset=utf-8",
    "sheet.html": "text/html; charset=utf-8",
    "sheet.pdf": "application/pdf",
    "followup.ics": "text/calendar; charset=utf-8",
    "liver.nii.gz": "application/gzip",
    "foci.nii.gz": "application/gzip",
    "liver.seg.dcm": "application/dicom",
    "foci.seg.dcm": "application/dicom",
    "report.sr.dcm": "application/dicom",
    "key-images.ko.dcm": "application/dicom",
    "bundle.fhir.json": "application/fhir+json",
}
"""Files of an assessment and what they are; nothing else is given out."""
_IN_CHINESE = frozenset({"report.html", "report.pdf", "report.txt", "sheet.html", "sheet.pdf", "followup.ics",
                         "explanation.html"})  # fmt: skip


class FocusEdit(BaseModel):
    """One correction of one focus; see ``server/work/editing.py``."""

    op: Literal["confirm", "relabel", "delete", "draw", "threshold"]
    focus: int = Field(ge=0, le=65535)
    kind: Kind | None = None
    runs: list[tuple[int, int]] | None = Field(default=None, max_length=200_000)
    seed: tuple[int, int, int] | None = None
    hu: float | None = Field(default=None, ge=-1024, le=4000)
    radius_mm: float | None = Field(default=None, gt=0, le=80)

    @model_validator(mode="after")
    def _whole(self) -> FocusEdit:
        if self.op in ("confirm", "relabel", "delete") and self.focus == 0:
            raise ValueError("name the focus")
        if self.op == "relabel" and self.kind is None:
            raise ValueError("name the kind")
        if self.op == "draw" and not self.runs:
            raise ValueError("give the voxels")
        if self.op == "threshold" and (self.seed is None or self.hu is None or self.radius_mm is None):
            raise ValueError("give seed, hu and radius_mm")
        return self


class Edits(BaseModel):
    """Corrections, applied in order."""

    edits: list[FocusEdit] = Field(min_length=1, max_length=200)


class Decision(BaseModel):
    """What a person decides about one step of the plan; ``result`` tells what a step that was done showed."""

    item: str = Field(min_length=1, max_length=120)
    verdict: Literal["accepted", "changed", "declined", "done"]
    due: str = Field(default="", pattern=r"^(\d{4}-\d\d-\d\d)?$")
    reason: str = Field(default="", max_length=2000)
    result: Literal["unchanged", "changed", "unclear"] = "unclear"

    @model_validator(mode="after")
    def _reasoned(self) -> Decision:
        if self.verdict in ("changed", "declined") and not self.reason.strip():
            raise ValueError("give a reason")
        if self.verdict == "changed" and not self.due:
            raise ValueError("give the new date")
        return self


@router.get("/assessments/{assessment_id}")
def get_assessment(request: Request, who: Reader, assessment_id: str) -> Response:
    """``assessment.json`` (of a study without a scan ``explanation.json``)."""
    row, _ = assessment_of(request, who, assessment_id)
    name = "explanation.json" if row["study_kind"] == "form" else "assessment.json"
    return get_file(request, who, assessment_id, name)


@router.get("/assessments/{assessment_id}/files/{name}", response_class=FileResponse)
def get_file(
    request: Request, who: Reader, assessment_id: str, name: str, language: Literal["en", "zh"] = "en"
) -> Response:
    """One file of an assessment: report, sheet, DICOM SEG, SR and KO, FHIR, tables, masks."""
    row, folder = assessment_of(request, who, assessment_id)
    if name not in FILES:
        raise NotThere("there is no such file.", hint=f"Choose one of {', '.join(FILES)}.")
    place = folder / "zh" / name if language == "zh" and name in _IN_CHINESE else folder / name
    if not place.is_file():
        raise NotThere("this assessment has no such file.", hint="Look at what it has.")
    note(request, f"file.{name.split('.', 1)[1]}", row["study_id"])
    inline = FILES[name].startswith(("text/html", "application/pdf", "text/plain"))
    headers = {"content-security-policy": DOCUMENT_POLICY} if FILES[name].startswith("text/html") else {}
    return FileResponse(
        place, media_type=FILES[name], filename=f"{assessment_id[:8]}-{name}", headers=headers,
        content_disposition_type="inline" if inline else "attachment",
    )  # fmt: skip


@router.get("/assessments/{assessment_id}/files")
def list_files(request: Request, who: Reader, assessment_id: str) -> dict[str, Any]:
    """Names of the files that an assessment has, and in which languages."""
    _, folder = assessment_of(request, who, assessment_id)
    found = {name: ["en"] + (["zh"] if (folder / "zh" / name).is_file() else []) for name in FILES
             if (folder / name).is_file()}  # fmt: skip
    return {"files": found}


# ---------------------------------------------------------------- what a person changes


@router.post("/assessments/{assessment_id}/foci", status_code=202)
def edit_foci(request: Request, who: Assessor, assessment_id: str, told: Edits) -> dict[str, Any]:
    """Confirm, rename, draw or take away foci; numbers and causes follow in a new assessment."""
    row, _ = assessment_of(request, who, assessment_id)
    study = study_of(request, who, row["study_id"])
    edits = [edit.model_dump(exclude_none=True, mode="json") for edit in told.edits]
    with writing(site_of(request).engine) as connection:
        if assessment_id not in lineage(connection, study["assessment_id"]):
            raise Conflict("the foci of this study were changed meanwhile.", hint="Load the study again.")
        job = enqueue(
            connection,
            Work("edit", f"edit:{assessment_id}:{new_id()}", study_id=study["id"], user_id=who.user_id, priority=10,
                 payload={"parent": study["assessment_id"], "edits": edits}),
        )  # fmt: skip
    note(request, "foci.edit", study["id"])
    return {"job_id": job}


@router.post("/studies/{study_id}/decisions", status_code=201)
def decide(request: Request, who: Assessor, study_id: str, told: Decision) -> dict[str, Any]:
    """Accept a step of the plan, change its date, decline it, or say that it was done; why is kept."""
    study = study_of(request, who, study_id)
    if study["assessment_id"] is None:
        raise Conflict("the study has no plan yet.", hint="Wait for its assessment.")
    reasoning = reasoning_of(request, who, study["assessment_id"])
    if reasoning is None or told.item not in {item.rule for item in reasoning.plan.items}:
        raise InvalidRequest("the plan has no such step.", hint="Load the study again.")
    last = latest_decisions(request, study_id).get(told.item)
    if told.verdict in ("declined", "done") and (last is None or last["verdict"] != told.verdict):
        # before the decision is kept: sent again after a fault, it is no longer open there
        close_in_registry(site_of(request), study, who, told.item, told.verdict, told.result, today())
    decision_id = new_id()
    with writing(site_of(request).engine) as connection:
        connection.execute(
            insert(decisions).values(
                id=decision_id, study_id=study_id, assessment_id=study["assessment_id"], user_id=who.user_id,
                created=now(), **told.model_dump(exclude={"result"}),
            )
        )  # fmt: skip
        due = next_due(connection, study_id, reasoning)
        connection.execute(update(studies).where(studies.c.id == study_id).values(due=due))
    note(request, "plan.decide", study_id)
    return {"id": decision_id, "due": due}


def next_due(connection: Any, study_id: str, reasoning: Any) -> str:
    """Return the next day on which a step is due that nobody has closed; empty when there is none."""
    rows = connection.execute(
        select(decisions.c.item, decisions.c.verdict, decisions.c.due)
        .where(decisions.c.study_id == study_id)
        .order_by(decisions.c.created)
    )
    last = {row.item: row for row in rows}
    days = []
    for item in reasoning.plan.items:
        taken = last.get(item.rule)
        if taken is not None and taken.verdict in ("declined", "done"):
            continue
        if taken is not None and taken.verdict == "changed":
            days.append(taken.due)
        elif item.due is not None:
            days.append(item.due[1])
    return min(days, default="")


def latest_decisions(request: Request, study_id: str) -> dict[str, Any]:
    """Return for each step of the plan what was decided last."""
    with reading(site_of(request).engine) as connection:
        rows = connection.execute(
            select(decisions).where(decisions.c.study_id == study_id).order_by(decisions.c.created)
        ).mappings().all()  # fmt: skip
    return {row["item"]: dict(row) for row in rows}
