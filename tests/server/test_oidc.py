"""Sign-in by an identity provider: what it says is checked, and who has no role stays out."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from small_settings import small

from conftest import serving
from hepacalc.errors import Unavailable
from hepacalc.server.accounts import user_of_subject
from hepacalc.server.faults import NotSignedIn
from hepacalc.server.oidc import Provider, role_of
from hepacalc.server.settings import Oidc
from hepacalc.server.tables import users

ISSUER = "https://id.example"
SETTINGS = Oidc(issuer=ISSUER, client_id="hc", roles={"rad": "assess", "boss": "admin"}, team_claim="department")
KEY, OTHER = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "1"})


def fake(claims: dict[str, Any], *, key: RSAKey = KEY, document: dict[str, Any] | None = None, alg: str = "RS256"):
    """A provider that gives out a token with these claims."""
    held = {"iss": ISSUER, "aud": "hc", "sub": "s1", "exp": int(time.time()) + 60, "nonce": "n", **claims}

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("openid-configuration"):
            named = {f"{n}_endpoint": f"{ISSUER}/{n}" for n in ("authorization", "token")}
            return httpx.Response(200, json=document or {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **named})
        if path == "/keys":
            return httpx.Response(200, json={"keys": [KEY.as_dict(private=False)]})
        asked = parse_qs(request.content.decode())
        if asked["code"] != ["good"] or not asked["code_verifier"][0]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        token = jwt.encode({"alg": alg, "kid": "1"}, held, key)
        return httpx.Response(200, json={"access_token": "a", "token_type": "Bearer", "id_token": token})

    return Provider(SETTINGS, httpx.MockTransport(answer))


def claims(provider: Provider, code: str = "good", nonce: str = "n"):
    return provider.claims(code, "https://here.example/oidc/callback", nonce, "v" * 43)


def test_a_good_token_is_taken():
    assert claims(fake({"groups": ["rad"]}))["sub"] == "s1"


@pytest.mark.parametrize(
    "wrong", [{"iss": "https://evil.example"}, {"aud": "other"}, {"exp": 1}, {"nonce": "other"}, {"sub": None}]
)
def test_a_token_that_is_not_for_us_now_is_refused(wrong: dict[str, Any]):
    with pytest.raises(NotSignedIn):
        claims(fake(wrong))


def test_a_token_of_another_key_and_a_bad_code_are_refused():
    with pytest.raises(NotSignedIn):
        claims(fake({}, key=OTHER))
    with pytest.raises(NotSignedIn):
        claims(fake({}), code="stolen")


def test_a_provider_that_is_another_or_away():
    with pytest.raises(Unavailable, match="another name"):
        claims(fake({}, document={"issuer": "https://evil.example"}))
    with pytest.raises(Unavailable, match="no usable"):
        claims(fake({}, document={"issuer": ISSUER, "token_endpoint": "file:///etc/passwd"}))

    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    with pytest.raises(Unavailable, match="cannot be reached"):
        claims(Provider(SETTINGS, httpx.MockTransport(away)))


def test_roles_come_from_the_claim_only():
    assert role_of({"groups": ["rad", "boss", "x"]}, SETTINGS) == "admin"
    assert role_of({"groups": "rad"}, SETTINGS) == "assess"
    for none in ({}, {"groups": []}, {"groups": ["x"]}, {"groups": {"rad": 1}}, {"roles": ["rad"]}):
        with pytest.raises(NotSignedIn):
            role_of(none, SETTINGS)


def test_the_whole_way_in(tmp_path: Path):
    settings = small(tmp_path / "data", login="oidc", oidc=SETTINGS)
    with serving(settings) as server:
        client = server.client()
        server.app.state.provider = fake({"groups": ["rad"], "department": "A", "preferred_username": "carla"})
        begun = client.get("/oidc/begin", params={"to": "/form"})
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert begun.headers["location"].startswith(f"{ISSUER}/authorization?")
        assert (asked["code_challenge_method"], asked["client_id"]) == (["S256"], ["hc"])
        state, nonce, _, _ = json.loads(base64.urlsafe_b64decode(begun.cookies["hepacalc-oidc"]))
        assert client.get("/oidc/callback", params={"code": "good", "state": "planted"}).status_code == 401
        assert server.client().get("/oidc/callback", params={"code": "good", "state": state}).status_code == 401
        server.app.state.provider = fake({"groups": ["rad"], "department": "A", "nonce": nonce})
        done = client.get("/oidc/callback", params={"code": "good", "state": state})
        assert (done.status_code, done.headers["location"]) == (303, "/form")
        assert client.get("/api/studies").status_code == 200
        assert client.get("/api/audit").status_code == 403
        engine = server.site.engine
        user = user_of_subject(engine, f"{ISSUER} s1", "carla", "read", "B")
        from hepacalc.server.database import writing

        with writing(engine) as connection:
            connection.execute(users.update().where(users.c.id == user).values(is_disabled=True))
        with pytest.raises(NotSignedIn):
            user_of_subject(engine, f"{ISSUER} s1", "carla", "admin", "B")
        assert client.get("/api/studies").status_code == 401
