"""CDS Hooks: calls as a record system makes them, with prefetch that is whole, partial, failing or hostile."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

pytest.importorskip("fastapi", reason="needs fastapi (pip install 'hepacalc[server]')")
pytest.importorskip("joserfc", reason="needs joserfc (pip install 'hepacalc[server]')")

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

import node_scenes as scenes
from hepacalc.errors import UsageError
from hepacalc.server.cds_settings import read_cds
from hepacalc.server.database import reading
from hepacalc.server.settings import Settings
from hepacalc.server.tables import audit, cds_cards
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site

VIEW, ORDER = "/cds-services/hepacalc-patient-view", "/cds-services/hepacalc-order-select"
PERSON = {
    "resourceType": "Patient", "id": "p-1", "gender": "male", "birthDate": "1947-09-17",
    "identifier": [{"system": "urn:hospital", "value": "P-17"}],
}  # fmt: skip


def observation(loinc: str, value: float, unit: str, day: str = "2026-11-01") -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p-1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]}, "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"},
    }  # fmt: skip


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources], **more}


def prefetch(**changes: Any) -> dict[str, Any]:
    whole = {
        "patient": PERSON,
        "labs": bundle(observation("1834-1", 3.0, "ng/mL")),
        "conditions": bundle(),
        "reports": bundle({"resourceType": "DiagnosticReport", "effectiveDateTime": "2026-03-04T10:00:00Z"}),
    }
    return {**whole, **changes}


def hook(name: str = "patient-view", **more: Any) -> dict[str, Any]:
    context = {"userId": "Practitioner/p", "patientId": "p-1", **more.pop("context", {})}
    return {"hook": name, "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch(), **more}


@dataclass(frozen=True)
class World:
    site: Site
    url: str
    token: str
    key: ECKey

    def post(self, path: str, body: Any, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60, trust_env=False)

    def cards(self, body: Any, path: str = VIEW) -> list[dict[str, Any]]:
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["cards"])


class Fhir(http.server.BaseHTTPRequestHandler):
    """A FHIR server that notes what it is asked."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.path.startswith("/slow"):
            time.sleep(3)
        found = PERSON if "/Patient/" in self.path else bundle()
        body = json.dumps(found).encode()
        self.send_response(302 if self.path.startswith("/moved") else 200)
        self.send_header("Location", "/fhir/stolen")
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(ConnectionError):  # whoever asked has given up
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def fhir() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fhir)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, fhir: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cds")
    key = ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384"})
    (folder / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    cds = {"clients": [{"issuer": "https://ehr.example", "keys_file": str(folder / "keys.json")}],
           "fhir_servers": [f"{fhir}/fhir", f"{fhir}/slow", f"{fhir}/moved"]}  # fmt: skip
    site = open_site(Settings(folder / "data", cds=cds))
    scenes.hold(site, folder)
    with scenes.served(site) as url:
        yield World(site, url, scenes.token_of(site, "cds", role="read"), key)
    site.engine.dispose()


def test_discovery_is_for_everybody(world: World):
    found = httpx.get(f"{world.url}/cds-services", trust_env=False).json()["services"]
    assert {(one["hook"], one["id"]) for one in found} == {
        ("patient-view", "hepacalc-patient-view"), ("order-select", "hepacalc-order-select")
    }  # fmt: skip
    for one in found:
        assert one["description"]
        assert set(one["prefetch"]) == {"patient", "labs", "conditions", "reports"}
        assert all("{{context.patientId}}" in template for template in one["prefetch"].values())


def check_card(card: dict[str, Any]) -> None:
    """What CDS Hooks 2.0 asks of a card."""
    assert 0 < len(card["summary"]) < 141
    assert card["indicator"] in ("info", "warning", "critical")
    assert card["source"]["label"]
    assert all(link["type"] in ("absolute", "smart") and link["url"] and link["label"] for link in card["links"])
    if "suggestions" in card:
        assert card["selectionBehavior"] in ("at-most-one", "any")
    for suggestion in card.get("suggestions", []):
        assert suggestion["label"]
        for action in suggestion["actions"]:
            assert action["type"] == "create"
            assert action["description"]
            assert action["resource"]["resourceType"] == "ServiceRequest"
    for reason in card["overrideReasons"]:
        assert {"code", "system", "display"} <= set(reason)


def test_finding_doubt_and_next_step(world: World):
    first, *steps = world.cards(hook())
    for card in (first, *steps):
        check_card(card)
    assert "calcified lesions in the liver" in first["summary"]
    assert "In brackets: 90 % bands" in first["detail"]
    assert "not a diagnosis" in first["detail"]
    assert "There is a later imaging report, of 2026-03-04" in first["detail"], "the scan is of 2024"
    assert steps
    order = steps[0]["suggestions"][0]["actions"][0]["resource"]
    assert (order["status"], order["intent"], order["subject"]) == ("draft", "proposal", {"reference": "Patient/p-1"})
    dated = [s["suggestions"][0]["actions"][0]["resource"].get("occurrencePeriod") for s in steps]
    assert any(period and period["start"] <= period["end"] for period in dated)


def test_orders_are_fhir(world: World):
    resources = pytest.importorskip("fhir.resources.R4B.servicerequest", reason="needs fhir.resources")
    for card in world.cards(hook())[1:]:
        resources.ServiceRequest.model_validate(card["suggestions"][0]["actions"][0]["resource"])


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


@pytest.mark.parametrize(("changes", "words"), [
    ({"labs": None}, "laboratory values were not sent"),
    ({"labs": OUTCOME}, "laboratory values could not be read"),
    ({"conditions": {"resourceType": "Bundle", "entry": [{"resource": OUTCOME}]}}, "Only a part of diagnoses"),
    ({"conditions": bundle(link=[{"relation": "next", "url": "x"}])}, "Only a part of diagnoses"),
    ({"reports": [1, 2]}, "imaging reports came in a form"),
    ({"labs": {"resourceType": "Bundle", "entry": "x"}}, "In brackets: 90 % bands"),
])  # fmt: skip
def test_what_was_not_sent_is_said(world: World, changes: dict[str, Any], words: str):
    first, *_ = world.cards(hook(prefetch=prefetch(**changes)))
    assert words in first["detail"]


def test_a_whole_prefetch_hides_nothing(world: World):
    first, *_ = world.cards(hook(prefetch=prefetch(reports=bundle())))
    assert "What this answer does not rest on" not in first["detail"]


def test_the_record_changes_the_answer(world: World):
    cancer = {
        "resourceType": "Condition", "subject": {"reference": "Patient/p-1"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "C18.7"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
    }  # fmt: skip
    before, *_ = world.cards(hook())
    after, *_ = world.cards(hook(prefetch=prefetch(conditions=bundle(cancer))))
    assert before["detail"] != after["detail"]


@pytest.mark.parametrize("person", [
    {**PERSON, "identifier": [{"value": "P-18"}]},
    {**PERSON, "birthDate": "1950-01-01"},
    {**PERSON, "birthDate": None},
    {**PERSON, "identifier": [{"value": ""}, {"value": ["P-17"]}, "P-17"]},
])  # fmt: skip
def test_no_card_about_another_patient(world: World, person: dict[str, Any]):
    assert world.cards(hook(prefetch=prefetch(patient=person))) == []


def test_without_the_patient_nothing_is_answered(world: World):
    for person in (None, OUTCOME, {**PERSON, "id": "p-2"}, "x"):
        assert world.post(VIEW, hook(prefetch=prefetch(patient=person))).status_code == 412


def test_order_select(world: World):
    def orders(text: str) -> dict[str, Any]:
        draft = {"resourceType": "ServiceRequest", "id": "o1", "code": {"text": text}}
        return {
            "selections": ["ServiceRequest/o1"],
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": draft}]},
        }

    assert world.cards(hook("order-select", context=orders("X-ray of the hand")), ORDER) == []
    assert world.cards(hook("order-select", context=orders("Ultrasound of the liver")), ORDER) != []
    unselected = orders("Ultrasound of the liver") | {"selections": ["ServiceRequest/other"]}
    assert world.cards(hook("order-select", context=unselected), ORDER) == []
    needle = world.cards(hook("order-select", context=orders("Biopsy of liver")), ORDER)
    for card in needle:
        check_card(card)


def test_what_is_no_call_is_refused(world: World):
    assert world.post("/cds-services/nothing", hook()).status_code == 404
    assert world.post(VIEW, hook("order-select")).status_code == 400
    for body in (
        {},
        [],
        {**hook(), "context": {"patientId": "../x"}},
        {**hook(), "context": {}},
        {**hook(), "prefetch": 3},
    ):
        assert world.post(VIEW, body).status_code == 422
    assert httpx.post(world.url + VIEW, json=hook(), trust_env=False).status_code == 401
    assert world.post(VIEW, hook(), token=scenes.token_of(world.site, "dicomweb")).status_code == 403
    deep: Any = {}
    for _ in range(400):
        deep = {"resource": deep}
    assert world.post(VIEW, hook(prefetch=prefetch(labs=deep))).status_code in (200, 422)


def test_another_team_hears_nothing(world: World):
    answer = world.post(VIEW, hook(), token=scenes.token_of(world.site, "cds", team="elsewhere"))
    assert answer.json() == {"cards": []}


def test_feedback(world: World):
    first, *_ = world.cards(hook())
    reason = first["overrideReasons"][0]
    told = {"feedback": [{
        "card": first["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-26T12:00:00Z",
        "overrideReason": {"reason": {"code": reason["code"], "system": reason["system"]}, "userComment": "seen"},
    }, {"card": str(uuid4()), "outcome": "accepted", "outcomeTimestamp": "2026-11-26T12:00:00Z"}]}  # fmt: skip
    assert world.post(f"{VIEW}/feedback", told).status_code == 200
    with reading(world.site.engine) as connection:
        row = connection.execute(select(cds_cards).where(cds_cards.c.uuid == first["uuid"])).mappings().one()
        actions = set(connection.execute(select(audit.c.action)).scalars())
    assert (row["outcome"], row["reason"], row["comment"]) == ("overridden", reason["code"], "seen")
    assert {"cds.view", "cds.feedback"} <= actions
    assert world.post(f"{VIEW}/feedback", {"feedback": [{"card": "x", "outcome": "maybe"}]}).status_code == 422


def test_nothing_is_fetched_from_where_a_request_says(world: World, fhir: str):
    Fhir.asked.clear()
    for server in (f"{fhir}/other", f"{fhir}/fhir/../other", f"{fhir}/fhir@192.0.2.1", "http://169.254.169.254/latest",
                   "file:///etc/passwd", f"{fhir}/fhir?x="):  # fmt: skip
        world.cards(hook(fhirServer=server, prefetch=prefetch(labs=None)))
    assert Fhir.asked == []


def test_listed_servers_are_asked_for_what_is_missing(world: World, fhir: str):
    Fhir.asked.clear()
    first, *_ = world.cards(hook(fhirServer=f"{fhir}/fhir/", prefetch={"patient": PERSON}))
    assert len(Fhir.asked) == 3
    assert all(path.startswith("/fhir/") and "patient=p-1" in path for path in Fhir.asked)
    assert "not sent" not in first["detail"]
    Fhir.asked.clear()
    first, *_ = world.cards(hook(fhirServer=f"{fhir}/moved", prefetch=prefetch(labs=None)))
    assert "laboratory values could not be read" in first["detail"]
    assert not any("stolen" in path for path in Fhir.asked), "redirects are not followed"
    began = time.monotonic()
    first, *_ = world.cards(hook(fhirServer=f"{fhir}/slow", prefetch=prefetch(labs=None)))
    assert time.monotonic() - began < 2.5, "a slow record system is not waited for"
    assert "laboratory values could not be read" in first["detail"]


def signed(world: World, key: ECKey | None = None, alg: str = "ES384", **changes: Any) -> str:
    moment = int(time.time())
    claims = {"iss": "https://ehr.example", "aud": world.url + VIEW, "iat": moment, "exp": moment + 300,
              "jti": str(uuid4()), **changes}  # fmt: skip
    header = {"alg": alg, "kid": "k1", "jku": "http://169.254.169.254/keys"}
    return jwt.encode(header, claims, key or world.key, algorithms=[alg])


def test_signed_calls(world: World):
    token = signed(world)
    assert world.post(VIEW, hook(), token=token).json()["cards"] != []
    assert world.post(VIEW, hook(), token=token).status_code == 401, "used before"
    moment = int(time.time())
    for changes in (
        {"iss": "https://evil.example"}, {"aud": world.url + ORDER}, {"exp": moment - 600, "iat": moment - 900},
        {"exp": moment + 99_999}, {"jti": ""}, {"iat": "now"}, {"iat": moment + 600, "exp": moment + 900},
    ):  # fmt: skip
        assert world.post(VIEW, hook(), token=signed(world, **changes)).status_code == 401, changes
    other = ECKey.generate_key("P-384", {"kid": "k1"})
    assert world.post(VIEW, hook(), token=signed(world, other)).status_code == 401
    unsigned = "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "."
    assert world.post(VIEW, hook(), token=unsigned).status_code == 401
    assert world.post(VIEW, hook(), token="a.b." + "c" * 9000).status_code == 401


@pytest.mark.parametrize("told", [
    {"fhir_servers": ["http://ehr.example/fhir"]}, {"fhir_servers": "https://x"}, {"clients": [{"issuer": "x"}]},
    {"clients": [{"issuer": "x", "keys_file": "/nowhere"}]}, {"other": 1}, {"fetch_s": "1"},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(tmp_path: Path, told: dict[str, Any]):
    with pytest.raises(UsageError):
        read_cds(Settings(tmp_path, cds=told))
