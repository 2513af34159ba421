"""REST: what it may be, from facts that are tried out; nothing is stored."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, Response

from hepacalc.consult import consult, weigh
from hepacalc.days import today
from hepacalc.patient.read import patient_from_data
from hepacalc.reason.records import as_plain
from hepacalc.records import Assessment
from hepacalc.server.access import assessment_of, need, note_look
from hepacalc.server.accounts import Identity
from hepacalc.server.stored import compared_record_of, knowledge_of
from hepacalc.server.web import language_of, render

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["differential"])
Reader = Annotated[Identity, Depends(need("read"))]


class Question(BaseModel):
    """Facts to try out, with an assessment or without."""

    facts: dict[str, Any]
    assessment_id: str | None = Field(default=None, max_length=32, pattern=r"^[0-9a-f]{32}$")


@router.post("/differential")
def differential(request: Request, who: Reader, asked: Question) -> dict[str, Any]:
    """Ranked causes with their bands, what speaks for and against the leading ones, red flags and the plan."""
    return _plain(_weighed(request, who, asked))


@router.post("/differential/page", response_class=HTMLResponse, include_in_schema=False)
def differential_page(request: Request, who: Reader, asked: Question) -> Response:
    """The same as a piece of a page."""
    reasoning, day = _weighed(request, who, asked), today().isoformat()
    return render(request, "part_causes.html.j2", language=language_of(request), reasoning=reasoning, day=day)


@router.post("/consultation")
def consultation(request: Request, who: Reader, asked: Question) -> dict[str, Any]:
    """The whole answer: causes, red flags, plan with dates, next tests, questions, sources."""
    told = patient_from_data(asked.facts, today=today())
    scan = _scan(request, who, asked)
    answer: dict[str, Any] = consult(told, knowledge_of(request), today=today(), assessment=scan).to_dict()
    return answer


def _weighed(request: Request, who: Identity, asked: Question) -> Any:
    told = patient_from_data(asked.facts, today=today())
    return weigh(told, knowledge_of(request), today=today(), assessment=_scan(request, who, asked))


def _scan(request: Request, who: Identity, asked: Question) -> Assessment | None:
    """Return the assessment that a question is about; None for facts alone."""
    if asked.assessment_id is None:
        return None
    row, _ = assessment_of(request, who, asked.assessment_id)
    note_look(request, "differential", row["study_id"])
    return compared_record_of(request, who, asked.assessment_id)


def _plain(reasoning: Any) -> dict[str, Any]:
    names = ("network", "setting", "setting_name", "setting_because", "differential", "highest", "lesions",
             "explanations", "plan", "warnings", "notes", "sources", "knowledge_version")  # fmt: skip
    return {name: as_plain(getattr(reasoning, name)) for name in names}
