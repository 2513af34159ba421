"""Pages: worklist, study, form without a scan, account, administration."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from hepacalc.days import today
from hepacalc.errors import NotThere
from hepacalc.patient.schema import SCHEMA_VERSION
from hepacalc.report.language import speaking
from hepacalc.server.access import need, note, own, site_of, study_of
from hepacalc.server.accounts import SCOPES, Identity
from hepacalc.server.api_assessments import FILES, latest_decisions
from hepacalc.server.api_comparisons import comparison_of, comparisons_of_study
from hepacalc.server.api_studies import facts_version
from hepacalc.server.compare_view import PriorView, priors_shown
from hepacalc.server.database import reading
from hepacalc.server.due import counted, due_lines, teams_of
from hepacalc.server.facts_form import form_of
from hepacalc.server.foci_view import foci_by_lesion, foci_of
from hepacalc.server.follow_up import comparison_for
from hepacalc.server.pages_space import has_niivue
from hepacalc.server.stored import knowledge_of, reasoning_of, record_of
from hepacalc.server.tables import assessments, audit, studies, uploads, users
from hepacalc.server.web import language_of, render
from hepacalc.server.work.storing import latest_facts
from hepacalc.server.worklist import STATES, WEIGHING_KINDS, count_of, page_of, progress_of, shown, waits_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
Reader = Annotated[Identity, Depends(need("read"))]
Admin = Annotated[Identity, Depends(need("admin"))]
DUE_DAYS = 30
MOST_DUE, ALL_DUE = 6, 1000
"""Lines of who is due on the worklist, and on the page of its own."""


@router.get("/")
def worklist(
    request: Request, who: Reader, search: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=12)] = "", due: Annotated[str, Query(max_length=1)] = "",
    after: Annotated[str, Query(max_length=80)] = "",
) -> Response:  # fmt: skip
    """The worklist."""
    due_by = (today() + timedelta(days=DUE_DAYS)).isoformat() if due else ""
    with reading(site_of(request).engine) as connection:
        rows, more = page_of(connection, who, search=search, state=state, due_by=due_by, after=after)
        ids = [row["id"] for row in rows]
        doing, waits = progress_of(connection, ids), waits_of(connection, ids)
        lost = connection.execute(
            select(uploads.c.id, uploads.c.error_code, uploads.c.error, uploads.c.created)
            .where(uploads.c.state == "failed", uploads.c.team == who.team)
            .order_by(uploads.c.created.desc()).limit(5)
        ).mappings().all()  # fmt: skip
        counts = count_of(connection, who) if not (search or state or due or after) else {}
    note(request, "worklist")
    is_plain = not (search or state or due or after)
    lines = due_lines(site_of(request), teams_of(site_of(request), who), today(), most=MOST_DUE) if is_plain else []
    return render(
        request, "worklist.html.j2", lines=lines[: MOST_DUE - 1], more_due=len(lines) == MOST_DUE,
        counts_due=counted(lines), rows=rows, more=more, doing=doing, waits=waits, search=search, state=state, due=due,
        states=STATES, lost=lost, after=after, today=today().isoformat(), counts=counts,
    )  # fmt: skip


@router.get("/studies/{study_id}")
def study_page(
    request: Request, who: Reader, study_id: str, revision: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """One study: scan, foci, facts, causes, plan, files."""
    row = study_of(request, who, study_id)
    with reading(site_of(request).engine) as connection:
        made = connection.execute(
            select(assessments, users.c.name.label("by")).outerjoin(users, users.c.id == assessments.c.user_id)
            .where(assessments.c.study_id == study_id).order_by(assessments.c.revision.desc())
        ).mappings().all()  # fmt: skip
        told, version = latest_facts(connection, study_id, row), facts_version(connection, study_id)
        doing, waits = progress_of(connection, [study_id]).get(study_id), waits_of(connection, [study_id])
        weighing = progress_of(connection, [study_id], WEIGHING_KINDS).get(study_id)
        others = connection.execute(
            select(studies.c.id, studies.c.study_date, studies.c.description, studies.c.headline, studies.c.state)
            .where(studies.c.patient_id == row["patient_id"], studies.c.id != study_id, own(who))
            .order_by(studies.c.study_date.desc()).limit(20)
        ).mappings().all() if row["patient_id"] else []  # fmt: skip
    chosen = next((one for one in made if revision is None or one["revision"] == revision), None)
    if chosen is None and revision is not None:
        raise NotThere("there is no such revision.", hint="Look at the study.")
    note(request, "study.view", study_id)
    record = record_of(request, who, chosen["id"]) if chosen is not None else None
    reasoning = reasoning_of(request, who, chosen["id"]) if chosen is not None else None
    comparison_id, priors = _priors(request, who, study_id, chosen)
    with speaking(language_of(request)):
        foci = foci_of(record) if record is not None else None
    return render(
        request, "study.html.j2", comparison_id=comparison_id, priors=priors, study=shown(row), made=made,
        chosen=chosen, job=doing, others=others, foci=foci, has_niivue=has_niivue(), reasoning=reasoning,
        weighing=weighing, waits=waits.get(study_id, []),
        day=today().isoformat(),
        files=_files(request, row, chosen), decided=latest_decisions(request, study_id), facts=told, version=version,
        form=form_of(knowledge_of(request)), is_newest=chosen is None or chosen["id"] == row["assessment_id"],
    )  # fmt: skip


def _priors(request: Request, who: Identity, study_id: str, chosen: Any) -> tuple[str, list[PriorView]]:
    """Return the newest comparison of an assessment with earlier exams, and what it shows."""
    if chosen is None:
        return "", []
    with reading(site_of(request).engine) as connection:
        held = comparison_for(connection, chosen["id"])
    one = next((one for one in comparisons_of_study(request, study_id) if one["id"] == held), None)
    if one is None:
        return "", []
    _, folder = comparison_of(request, who, one["id"])
    now, *before = (
        foci_by_lesion(record_of(request, who, assessment_id))
        for assessment_id in (chosen["id"], *(pair["assessment_id"] for pair in one["priors"]))
    )
    with speaking(language_of(request)):
        return one["id"], priors_shown(folder, one["priors"], now, before)


@router.get("/due")
def due_page(request: Request, who: Reader) -> Response:
    """Who is due, of everybody that the reader may see."""
    site = site_of(request)
    lines = due_lines(site, teams_of(site, who), today(), most=ALL_DUE)
    note(request, "registry.due")
    return render(request, "due.html.j2", lines=lines, counts=counted(lines))


def _files(request: Request, row: Any, chosen: Any) -> list[tuple[str, bool]]:
    """Return the files of an assessment, and whether each is there in Chinese."""
    if chosen is None:
        return []
    folder = site_of(request).store.study(row["folder"]) / chosen["folder"]
    return [(name, (folder / "zh" / name).is_file()) for name in FILES if (folder / name).is_file()]


@router.get("/form")
def form_page(
    request: Request, _who: Reader, kind: Annotated[str, Query(pattern="^(adult|fetal)$")] = "adult"
) -> Response:
    """Ask what is known of a patient without a scan."""
    facts: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if kind == "fetal":
        facts["fetus"] = {}
    form = form_of(knowledge_of(request), fetal=kind == "fetal")
    return render(request, "form.html.j2", kind=kind, form=form, facts=facts, version=0)


@router.get("/account")
def account_page(request: Request, who: Reader) -> Response:
    """One's own password and API tokens."""
    return render(request, "account.html.j2", scopes=[s for s in SCOPES if s not in ("admin",) or who.is_admin])


@router.get("/admin")
def admin_page(request: Request, _who: Admin) -> Response:
    """Users and the audit log."""
    with reading(site_of(request).engine) as connection:
        people = connection.execute(select(users).order_by(users.c.name)).mappings().all()
        lines = connection.execute(
            select(audit, users.c.name).outerjoin(users, users.c.id == audit.c.user_id)
            .order_by(audit.c.id.desc()).limit(100)
        ).mappings().all()  # fmt: skip
    note(request, "audit.view")
    return render(request, "admin.html.j2", people=people, lines=lines)


@router.get("/favicon.ico")
def favicon() -> Response:
    """Browsers ask for it."""
    return RedirectResponse("/static/icon.svg", 301)
