"""CDS Hooks 2.0: ``patient-view`` and ``order-select``, answered from what is held and what the record system sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import insert, select, update
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hepacalc.consult import consult, weigh
from hepacalc.days import today
from hepacalc.errors import InvalidPatient, NotThere
from hepacalc.patient.read import patient_from_data
from hepacalc.patient.schema import Patient
from hepacalc.reason.reasoning import Reasoning
from hepacalc.report.language import speaking
from hepacalc.server.access import note, own, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.cds_access import asker
from hepacalc.server.cds_cards import Matter, cards_of, concerns_liver, is_needle, needle_cards
from hepacalc.server.cds_phrases import say
from hepacalc.server.cds_prefetch import PREFETCH, Told, fetched, merged, read_prefetch
from hepacalc.server.cds_settings import read_cds
from hepacalc.server.database import now, reading, writing
from hepacalc.server.filing import plain
from hepacalc.server.stored import knowledge_of, record_of
from hepacalc.server.tables import cds_cards, studies
from hepacalc.server.work.storing import latest_facts

__all__ = ["SERVICES", "router"]

router = APIRouter(tags=["cds-hooks"])
Asker = Annotated[Identity, Depends(asker)]
HookName = Literal["patient-view", "order-select"]
SERVICES: dict[str, HookName] = {"hepacalc-patient-view": "patient-view", "hepacalc-order-select": "order-select"}
MOST_CARDS_IN_FEEDBACK = 100


class _Message(BaseModel):
    """A message whose fields are spelt as the specification has them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Authorization(_Message):
    """Access to the record system, as far as it is used."""

    access_token: str = Field(max_length=8000, alias="access_token")


class Context(_Message):
    """Context of both hooks."""

    patient_id: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9\-.]+$")
    user_id: str = Field(default="", max_length=200)
    encounter_id: str | None = Field(default=None, max_length=64)
    selections: list[str] | None = Field(default=None, max_length=200)
    draft_orders: dict[str, Any] | None = None


class Call(_Message):
    """One call of a hook (CDS Hooks 2.0, "HTTP Request")."""

    hook: str = Field(max_length=60)
    hook_instance: str = Field(min_length=1, max_length=100)
    context: Context
    fhir_server: str | None = Field(default=None, max_length=2000)
    fhir_authorization: Authorization | None = None
    prefetch: dict[str, Any] | None = None


class Chosen(_Message):
    """A suggestion that was taken."""

    id: str = Field(max_length=64)


class OverrideReason(_Message):
    """Why a card was overridden."""

    reason: dict[str, Any] | None = None
    user_comment: str | None = Field(default=None, max_length=4000)


class Outcome(_Message):
    """What became of one card (CDS Hooks 2.0, "Feedback")."""

    card: str = Field(max_length=64, pattern=r"^[!-~]+$")
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: AwareDatetime
    accepted_suggestions: list[Chosen] | None = Field(default=None, max_length=20)
    override_reason: OverrideReason | None = None


class Feedback(_Message):
    """What became of cards."""

    feedback: list[Outcome] = Field(min_length=1, max_length=MOST_CARDS_IN_FEEDBACK)


@router.get("/cds-services")
def services(request: Request) -> dict[str, Any]:
    """Tell which services there are: to everybody, as the specification has it; nothing of any patient."""
    with speaking(site_of(request).settings.language):
        found = [
            {"hook": hook, "id": name, "title": say("title"), "description": say(hook), "prefetch": dict(PREFETCH)}
            for name, hook in SERVICES.items()
        ]
    return {"services": found}


@router.post("/cds-services/{service}")
def call(request: Request, who: Asker, service: str, asked: Call) -> dict[str, Any]:
    """Return cards about the patient; none when no assessed study of this patient is held."""
    if service not in SERVICES:
        raise NotThere("there is no such service.", hint="See /cds-services.")
    if asked.hook != SERVICES[service]:
        raise HTTPException(400)
    orders = _selected(asked.context) if asked.hook == "order-select" else []
    if asked.hook == "order-select" and not any(concerns_liver(order) for order in orders):
        return {"cards": []}
    site, cds = site_of(request), read_cds(site_of(request).settings)
    token = asked.fhir_authorization.access_token if asked.fhir_authorization else None
    prefetch = fetched(cds, asked.prefetch or {}, asked.fhir_server, token, asked.context.patient_id)
    told = read_prefetch(prefetch, asked.context.patient_id, today=today())
    if told.person is None:
        # without the patient nobody knows whose study to look for
        raise HTTPException(412)
    row = _study(request, who, told.person, cds.patient_id_system)
    if row is None:
        return {"cards": []}
    needle, knowledge = any(is_needle(order) for order in orders), knowledge_of(request)
    # which tests must not be done is asked for a needle only: without it the answer takes half the time
    matter = _matter(request, who, row, told, asked.context.patient_id, consult if needle else weigh)
    with speaking(site.settings.language):
        cards = [*(needle_cards(matter, knowledge) if needle else []), *cards_of(matter, knowledge)]
    _keep(request, cards, row, service)
    return {"cards": cards}


def _selected(context: Context) -> list[dict[str, Any]]:
    """Return the draft orders that are being chosen."""
    entries = (context.draft_orders or {}).get("entry")
    drafts = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    chosen = set(context.selections or [])
    return [
        one for one in drafts
        if isinstance(one, dict) and (not chosen or f"{one.get('resourceType')}/{one.get('id')}" in chosen)
    ]  # fmt: skip


def _study(request: Request, who: Identity, person: dict[str, Any], system: str) -> Any:
    """Return the latest assessed study of a patient; None when none is certainly of this one."""
    listed = person.get("identifier")
    numbers = {
        one["value"]
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and system in ("", one.get("system")) and _is_number(one.get("value"))
    }
    born = person.get("birthDate") if isinstance(person.get("birthDate"), str) else ""
    day = (born or "").replace("-", "")
    wanted = select(studies).where(
        own(who), studies.c.patient_id.in_(sorted(numbers)[:50]), studies.c.assessment_id.is_not(None)
    )
    with reading(site_of(request).engine) as connection:
        rows = connection.execute(wanted.order_by(studies.c.study_date.desc(), studies.c.updated.desc()).limit(20))
        for row in rows.mappings():
            # a number may be another person's elsewhere: without a system of its own the date of birth has to agree
            same = day == row["birth_date"] if day and row["birth_date"] else bool(system)
            if same and row["patient_id"]:
                return row
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 80 and value.isprintable()


def _matter(
    request: Request, who: Identity, row: Any, told: Told, patient_id: str, reason: Callable[..., Reasoning]
) -> Matter:
    site = site_of(request)
    with reading(site.engine) as connection:
        held = latest_facts(connection, row["id"], row)
    patient, is_joined = _joined(held, told.patient)
    scan = record_of(request, who, row["assessment_id"])
    reasoning = reason(patient, knowledge_of(request), today=today(), assessment=scan)
    date = row["study_date"]
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else ""
    url = site.settings.public_url or str(request.base_url).rstrip("/")
    return Matter(patient_id, row["id"], day, scan, reasoning, told, is_joined, url, today().isoformat())


def _joined(held: dict[str, Any], patient: Patient | None) -> tuple[Patient, bool]:
    """Return what was typed in here together with what the record says; without the latter when they contradict."""
    if patient is not None:
        told = patient.model_dump(mode="json", exclude_unset=True)
        try:
            return patient_from_data(merged(held, told), today=today()), True
        except InvalidPatient:
            return patient_from_data(held, today=today()), False
    return patient_from_data(held, today=today()), True


def _keep(request: Request, cards: list[dict[str, Any]], row: Any, service: str) -> None:
    """Note which cards were given, so that feedback on them can be understood, and who saw them."""
    rows = [
        {"uuid": card["uuid"], "study_id": row["id"], "assessment_id": row["assessment_id"], "service": service,
         "created": now()} for card in cards
    ]  # fmt: skip
    with writing(site_of(request).engine) as connection:
        connection.execute(insert(cds_cards), rows)
        note(request, "cds.view", row["id"], within=connection)


@router.post("/cds-services/{service}/feedback")
def feedback(request: Request, who: Asker, service: str, told: Feedback) -> Response:
    """Note what became of cards."""
    if service not in SERVICES:
        raise NotThere("there is no such service.", hint="See /cds-services.")
    with writing(site_of(request).engine) as connection:
        for one in told.feedback:
            why = one.override_reason
            code = why.reason.get("code") if why and why.reason else ""
            values = {
                "outcome": one.outcome,
                "decided": one.outcome_timestamp.timestamp(),
                "reason": plain(code, 40) if isinstance(code, str) else "",
                "comment": plain(why.user_comment or "", 4000) if why else "",
            }
            connection.execute(
                update(cds_cards)
                .where(cds_cards.c.uuid == one.card, cds_cards.c.service == service)
                .where(cds_cards.c.study_id.in_(select(studies.c.id).where(own(who))))
                .values(**values)
            )
    note(request, "cds.feedback")
    return Response(status_code=200)
