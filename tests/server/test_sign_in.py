"""Nobody gets in who should not, and whoever did gets out."""

from __future__ import annotations

import pytest

from hepacalc.errors import UsageError
from hepacalc.server.accounts import enter_by_link, local_link
from hepacalc.server.database import writing
from hepacalc.server.faults import NotSignedIn
from hepacalc.server.settings import Settings, read_settings
from hepacalc.server.tables import sessions, users
from server_help import PASSWORD, Running


def test_every_route_but_a_few_wants_somebody(server: Running):
    client = server.client()
    schema = client.get("/api/openapi.json").json()
    open_to_all = {"/healthz", "/metrics", "/cds-services"}  # discovery says what is offered, not to whom
    for path, methods in schema["paths"].items():
        for method in methods:
            address = path
            for name in ("study_id", "assessment_id", "upload_id", "job_id", "token_id", "user_id", "source_id"):
                address = address.replace(f"{{{name}}}", "0" * 32)
            address = address.replace("{name}", "x").replace("{plane}", "axial").replace("{index}", "0")
            answer = client.request(method.upper(), address)
            if path not in open_to_all:
                assert answer.status_code == 401, (method, path)
    for page in ("/", "/form", "/knowledge", "/account", "/admin", "/studies/1"):
        answer = client.get(page, headers={"accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?to=")


def test_a_session_begins_anew_with_each_sign_in_and_a_planted_one_does_not_count(server: Running):
    client = server.client()
    client.cookies.set("hepacalc", "planted", domain="127.0.0.1")
    answer = client.post("/sign-in", data={"name": "anna", "password": PASSWORD})
    first = answer.cookies["hepacalc"]
    assert first != "planted"
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags
    again = server.client()
    again.cookies.set("hepacalc", first, domain="127.0.0.1")
    second = again.post("/sign-in", data={"name": "anna", "password": PASSWORD}).cookies["hepacalc"]
    assert second != first
    client.cookies.clear()
    client.cookies.set("hepacalc", first, domain="127.0.0.1")
    assert client.get("/api/studies").status_code == 401, "the session that was there before has ended"


def test_signing_out_ends_the_session(server: Running):
    client = server.client("anna")
    cookie = client.cookies["hepacalc"]
    assert client.get("/api/studies").status_code == 200
    assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    assert client.post("/sign-out", data={"csrf": server.csrf("anna")}).status_code == 303
    client.cookies.set("hepacalc", cookie, domain="127.0.0.1")
    assert client.get("/api/studies").status_code == 401


def test_guessing_is_slowed_down_for_a_name_and_an_address(server: Running):
    client = server.client()
    for _ in range(3):
        assert client.post("/sign-in", data={"name": "anna", "password": "guess guess"}).status_code == 401
    assert client.post("/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 429
    assert client.post("/sign-in", data={"name": "boss", "password": PASSWORD}).status_code == 429, "same address"


def test_an_unknown_name_is_answered_like_a_wrong_password(server: Running):
    client = server.client()
    unknown = client.post("/sign-in", data={"name": "nobody", "password": "guess guess"})
    wrong = client.post("/sign-in", data={"name": "anna", "password": "guess guess"})
    assert (unknown.status_code, unknown.text) == (wrong.status_code, wrong.text)


def test_sessions_end_by_themselves_and_with_the_user(server: Running):
    client = server.client("anna")
    with writing(server.site.engine) as connection:
        connection.execute(sessions.update().values(seen=sessions.c.seen - 3600))
    assert client.get("/api/studies").status_code == 401, "idle too long"
    client = server.client("anna")
    with writing(server.site.engine) as connection:
        connection.execute(sessions.update().values(created=sessions.c.created - 13 * 3600))
    assert client.get("/api/studies").status_code == 401, "too old"
    client = server.client("anna")
    boss = server.client("boss")
    user = next(u["id"] for u in boss.get("/api/users").json()["users"] if u["name"] == "anna")
    assert boss.patch(f"/api/users/{user}", json={"is_disabled": True}).status_code == 204
    assert client.get("/api/studies").status_code == 401
    assert server.client().post("/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 401


def test_a_one_time_link_opens_once(server: Running):
    secret = local_link(server.site.engine)
    settings = server.site.settings
    assert enter_by_link(server.site.engine, settings, secret, "1")
    with pytest.raises(NotSignedIn):
        enter_by_link(server.site.engine, settings, secret, "1")


def test_looking_at_a_link_does_not_use_it_up(server: Running):
    secret = local_link(server.site.engine)
    client = server.client()
    assert client.get("/enter", params={"token": secret}).status_code == 200
    assert client.post("/enter", data={"token": secret}).status_code == 303
    assert client.get("/api/studies").status_code == 200


def test_roles_and_scopes_bound_what_may_be_done(server: Running):
    reader, boss = server.client("reader"), server.client("boss")
    assert reader.get("/api/studies").status_code == 200
    assert reader.post("/api/studies", json={"facts": {"schema_version": "1.0"}}).status_code == 403
    assert reader.get("/api/audit").status_code == 403
    assert reader.post("/api/tokens", json={"name": "x", "scopes": ["assess"]}).status_code == 403
    made = boss.post("/api/tokens", json={"name": "x", "scopes": ["read"]}).json()
    by_token = server.client(headers={"authorization": f"Bearer {made['token']}"})
    assert by_token.get("/api/studies").status_code == 200
    assert by_token.get("/api/audit").status_code == 403, "the user may, this token not"
    assert by_token.post("/api/tokens", json={"name": "y", "scopes": ["read"]}).status_code == 403
    node = boss.post("/api/tokens", json={"name": "x", "scopes": ["dicomweb"]}).json()
    other = server.client(headers={"authorization": f"Bearer {node['token']}"})
    assert other.get("/api/studies").status_code == 403
    assert boss.delete(f"/api/tokens/{made['id']}").status_code == 204
    assert by_token.get("/api/studies").status_code == 401
    assert made["token"] not in boss.get("/api/tokens").text


def test_a_password_is_changed_by_who_knows_it(server: Running):
    client, elsewhere = server.client("anna"), server.client("anna")
    client.headers["x-csrf-token"] = server.csrf("anna")
    # the newest session is the other one's
    client = elsewhere
    assert client.post("/api/password", json={"old": "wrong wrong", "new": "another password"}).status_code == 403
    assert client.post("/api/password", json={"old": PASSWORD, "new": "short"}).status_code == 422
    assert client.post("/api/password", json={"old": PASSWORD, "new": "another password"}).status_code == 204
    assert client.get("/api/studies").status_code == 200
    answer = server.client().post("/sign-in", data={"name": "anna", "password": "another password"})
    assert answer.status_code == 303


def test_passwords_and_secrets_are_kept_as_digests_only(server: Running):
    client = server.client("anna")
    with writing(server.site.engine) as connection:
        held = connection.execute(users.select()).mappings().all()
        digests = connection.execute(sessions.select()).mappings().all()
    assert all(row["password"].startswith("$argon2id$") for row in held)
    assert client.cookies["hepacalc"] not in [row["digest"] for row in digests]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_others_are_not_served_without_sign_in(tmp_path, host: str):
    with pytest.raises(UsageError, match="nobody would have to sign in"):
        Settings(data=tmp_path, host=host).checked()
    assert Settings(data=tmp_path, host=host, login="users").checked()


def test_settings_are_read_and_mistakes_named(tmp_path):
    (tmp_path / "server.toml").write_text('login = "users"\nlease_s = 10\n[limits]\ntries = 5\n')
    found = read_settings(tmp_path, port=1)
    assert (found.login, found.lease_s, found.limits.tries, found.port) == ("users", 10.0, 5, 1)
    (tmp_path / "server.toml").write_text("[limits]\ntires = 5\n")
    with pytest.raises(UsageError, match=r"limits\.tires is no setting"):
        read_settings(tmp_path)
    (tmp_path / "server.toml").write_text('port = "x"\n')
    with pytest.raises(UsageError, match="another type"):
        read_settings(tmp_path)
