"""REST: the registry of a team: patients by pseudonym, what happened, who is due, what was done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from hepacalc.days import today
from hepacalc.errors import NotInRegistry, NotThere
from hepacalc.followup.schedule import Windows
from hepacalc.registry import views
from hepacalc.registry.due_files import due_bundle, due_calendar, due_csv, due_items
from hepacalc.registry.log import head
from hepacalc.registry.plain import plain
from hepacalc.registry.store import Registry
from hepacalc.server.access import need, note, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import reading
from hepacalc.server.due import DueLine, counted, due_lines, teams_of
from hepacalc.server.faults import NotAllowed
from hepacalc.server.pseudonyms import registry_of, studies_of

__all__ = ["router"]

router = APIRouter(prefix="/api/registry", tags=["registry"])
Reader = Annotated[Identity, Depends(need("read"))]
Assessor = Annotated[Identity, Depends(need("assess"))]
Team = Annotated[str | None, Query(max_length=80, description="Of administrators: whose registry.")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


class Done(BaseModel):
    """What came of steps of a plan."""

    result: Literal["unchanged", "changed", "unclear", "declined"]
    on: date | None = None
    rules: list[Annotated[str, Field(min_length=1, max_length=120)]] = Field(default_factory=list, max_length=20)


class Finish(BaseModel):
    """Why follow-up ends by a person's decision."""

    reason: Literal["died", "moved", "elsewhere", "declined", "not-needed", "error"]


def _team(who: Identity, team: str | None) -> str:
    if team is not None and team != who.team and not who.is_admin:
        raise NotAllowed("the registry is another team's.", hint="Leave `team` out.")
    return who.team if team is None else team


@contextmanager
def _registry(request: Request, team: str) -> Iterator[Registry]:
    """Give the registry of a team; what is not in it is not there."""
    store = site_of(request).store
    try:
        if not store.registry(team).exists():
            raise NotInRegistry("the registry has no patient yet.", hint="Wait for the first assessment.")
        with registry_of(store, team) as held:
            yield held
    except NotInRegistry as fault:
        raise NotThere(fault.message, hint="Look at /api/registry/patients.") from fault


@router.get("/patients")
def list_patients(
    request: Request, who: Reader, follow_up: Literal["none", "open", "finished"] | None = None,
    after: Annotated[str | None, Query(max_length=64)] = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    team: Team = None,
) -> dict[str, Any]:  # fmt: skip
    """Patients by pseudonym: exams, follow-up, next step; with the studies that are held of each."""
    site, mine = site_of(request), _team(who, team)
    found: list[views.PatientLine] = []
    if site.store.registry(mine).exists():
        with registry_of(site.store, mine) as held, held.database.reading() as connection:
            found = list(views.patient_lines(connection, follow_up=follow_up, most=limit + 1, after=after))
    more = found[limit - 1].key if len(found) > limit else ""
    shown = found[:limit]
    with reading(site.engine) as connection:
        owned = studies_of(connection, mine, [one.key for one in shown])
    note(request, "registry.list")
    told = [{**one._asdict(), "studies": [row["id"] for row in owned.get(one.key, [])]} for one in shown]
    return {"patients": told, "next": more}


@router.get("/patients/{key}")
def get_patient(request: Request, who: Reader, key: Key, team: Team = None) -> dict[str, Any]:
    """How one patient stands: exams, lesions over time, open steps with reason and source."""
    with _registry(request, _team(who, team)) as held, held.database.reading() as connection:
        view = views.show(connection, key)
    note(request, "registry.view", key)
    told: dict[str, Any] = plain(view)
    return told


@router.get("/patients/{key}/history")
def get_history(request: Request, who: Reader, key: Key, team: Team = None) -> dict[str, Any]:
    """Everything that happened to one patient, who recorded it, and what each new plan changed and why."""
    with _registry(request, _team(who, team)) as held, held.database.reading() as connection:
        events = views.history(connection, key)
    note(request, "registry.history", key)
    return {"events": plain(events)}


@router.get("/due")
def list_due(
    request: Request, who: Reader, soon_days: Annotated[int, Query(ge=0, le=3650)] = 30,
    lost_days: Annotated[int, Query(ge=1, le=36500)] = 180, limit: Annotated[int, Query(ge=1, le=5000)] = 200,
    format: Literal["json", "csv", "fhir", "ics"] = "json", language: Literal["en", "zh"] = "en", team: Team = None,
) -> Response:  # fmt: skip
    """What is lost, overdue, due, due soon or without a date; each with reason and source.

    ``csv``, ``fhir`` and ``ics`` hold pseudonyms, and the dates of the plan; ``json`` the dates that a person set too.
    """
    windows, site = Windows(soon_days, lost_days), site_of(request)
    note(request, "registry.due")
    if format == "json":
        teams = teams_of(site, who) if team is None else [_team(who, team)]
        lines = due_lines(site, teams, today(), windows=windows, most=limit)
        return JSONResponse({"due": [_plain(line) for line in lines], "counts": counted(lines)})
    with _registry(request, _team(who, team)) as held, held.database.reading() as connection:
        items = list(due_items(connection, today().isoformat(), windows, most=limit))
        if format == "csv":
            return Response(due_csv(items, language=language), media_type="text/csv; charset=utf-8")
        if format == "fhir":
            origin = head(connection)[1]
            bundle = due_bundle(items, origin=origin, now=datetime.now(UTC), language=language)
            return JSONResponse(bundle, media_type="application/fhir+json")
    return Response(_calendar(items, language), media_type="text/calendar; charset=utf-8")


def _calendar(items: list[Any], language: str) -> str:
    from hepacalc import __version__

    return due_calendar(items, now=datetime.now(UTC), version=__version__, language=language)


def _plain(line: DueLine) -> dict[str, Any]:
    names = ("key", "timing", "first", "last", "days_overdue", "accepted", "moved")
    step: dict[str, Any] = plain(line.step)
    return {**{name: getattr(line, name) for name in names}, "study_id": line.study["id"], "step": step}


@router.post("/patients/{key}/done")
def close_steps(request: Request, who: Assessor, key: Key, told: Done, team: Team = None) -> dict[str, Any]:
    """Close a step: what comes next follows, or that no more follow-up is needed."""
    on = (told.on or today()).isoformat()
    with _registry(request, _team(who, team)) as held:
        closed = held.done(
            key, on=on, result=told.result, now=datetime.now(UTC), by=who.name, rules=tuple(told.rules)
        )  # fmt: skip
    note(request, "registry.done", key)
    answer: dict[str, Any] = plain(closed)
    return answer


@router.post("/patients/{key}/finish")
def finish_follow_up(request: Request, who: Assessor, key: Key, told: Finish, team: Team = None) -> dict[str, Any]:
    """End the follow-up of a patient by a person's decision; a later assessment with a plan opens it again."""
    with _registry(request, _team(who, team)) as held:
        closed = held.end(key, reason=told.reason, now=datetime.now(UTC), by=who.name)
    note(request, "registry.finish", key)
    answer: dict[str, Any] = plain(closed)
    return answer
