"""``hepacalc doctor``: is this deployment fit to be used, and if not, what is to be done."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, cast

from sqlalchemy import func, select, text

from hepacalc.errors import HepacalcError
from hepacalc.server.database import now, open_database, reading
from hepacalc.server.doctor_node import node_checks
from hepacalc.server.files import Store
from hepacalc.server.health import LEAST_FREE
from hepacalc.server.settings import SETTINGS_FILE, Settings, read_settings
from hepacalc.server.tables import jobs, studies, tokens, users
from hepacalc.server.telemetry import is_wanted

__all__ = ["Check", "check_deployment", "shown"]

Level = Literal["ok", "warn", "fail"]
STUCK_S = 3600.0
WANTED_FREE = 20 * 2**30


class Check(NamedTuple):
    """One thing that was looked at: how it is, and what to do about it."""

    name: str
    level: Level
    text: str
    fix: str = ""


def check_deployment(data: Path) -> list[Check]:
    """Look at a data folder and what its settings name; nothing is changed but tables that are not there yet."""
    try:
        settings = read_settings(data).checked()
    except HepacalcError as error:
        return [Check("settings", "fail", f"{error.code} {error.message}", error.hint)]
    found = [Check("settings", "ok", f"login {settings.login}, {settings.host} port {settings.port}")]
    for look in (_folder, _database, _network, _proxy, _node, _optional):
        found += look(settings)
    return found


def shown(checks: list[Check], *, as_json: bool) -> str:
    """Return the checks as lines, or as one JSON document."""
    if as_json:
        return json.dumps({"checks": [check._asdict() for check in checks]}, ensure_ascii=False) + "\n"
    return "".join(
        f"{check.level:<5} {check.name:<14} {check.text}{f' {check.fix}' if check.fix else ''}\n" for check in checks
    )


def _folder(settings: Settings) -> Iterator[Check]:
    data = settings.data
    if not data.is_dir():
        yield Check("data folder", "fail", f"{data} is not there.", "Run `hepacalc serve` once, or give --data.")
        return
    if not os.access(data, os.W_OK | os.X_OK):
        yield Check("data folder", "fail", f"{data} may not be written to.", "Give it to the user that serves.")
        return
    mode = data.stat().st_mode & 0o077
    yield (
        Check("data folder", "warn", f"others may enter it (mode {mode:03o}).", f"Run: chmod 700 {data}")
        if mode
        else Check("data folder", "ok", str(data))
    )
    free = Store(data).free_bytes()
    level: Level = "fail" if free < LEAST_FREE else "warn" if free < WANTED_FREE else "ok"
    yield Check("disk", level, f"{free / 2**30:.1f} GiB free.", "" if level == "ok" else "Free some space.")
    secret = data / SETTINGS_FILE
    if secret.exists() and secret.stat().st_mode & 0o077:
        yield Check("settings file", "warn", "others may read it.", f"Run: chmod 600 {secret}")


def _database(settings: Settings) -> Iterator[Check]:
    if not settings.data.is_dir():
        return
    try:
        engine = open_database(settings)
        with reading(engine) as connection:
            connection.execute(text("SELECT 1"))
            count = connection.execute(select(func.count()).select_from(studies)).scalar()
            failed = connection.execute(select(func.count()).where(jobs.c.state == "failed")).scalar()
            stuck = connection.execute(
                select(func.count()).where(
                    jobs.c.state == "queued", jobs.c.not_before < now() - STUCK_S, jobs.c.created < now() - STUCK_S
                )
            ).scalar()
            people = connection.execute(select(func.count()).where(users.c.is_disabled.is_(False))).scalar()
            old = connection.execute(select(func.count()).where(tokens.c.expires < now())).scalar()
    except HepacalcError as error:
        yield Check("database", "fail", f"{error.code} {error.message}", error.hint)
        return
    kind = engine.dialect.name
    yield Check("database", "ok", f"{kind}, {count} studies.")
    if kind == "sqlite" and not settings.is_local:
        yield Check("database", "warn", "SQLite serves one machine only.", "Use PostgreSQL for a hospital.")
    if failed:
        yield Check("jobs", "warn", f"{failed} jobs were set aside.", "The worklist says why.")
    if stuck:
        yield Check("jobs", "fail", f"{stuck} jobs have waited for over an hour.", "Is a worker running?")
    if settings.login == "users" and not people:
        yield Check("users", "fail", "there is no user.", "Run: hepacalc serve --add-user NAME")
    if old:
        yield Check("tokens", "ok", f"{old} API tokens are over.")


def _network(settings: Settings) -> Iterator[Check]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex((settings.host if settings.host != "0.0.0.0" else "127.0.0.1", settings.port)) == 0
    yield Check("port", "ok", "a server answers." if taken else "free: no server runs here now.")


def _proxy(settings: Settings) -> Iterator[Check]:
    if settings.is_local and not settings.public_url:
        return
    if not settings.is_https:
        yield Check("TLS", "fail", "browsers would come without TLS.", "Set public_url to https://... behind a proxy.")
    if settings.public_url and not settings.trusted_proxies:
        yield Check(
            "proxy", "warn", "trusted_proxies is empty: every visitor looks like the proxy.", "Set its address."
        )


def _node(settings: Settings) -> Iterator[Check]:
    for name, level, told, fix in node_checks(settings):
        yield Check(name, cast("Level", level), told, fix)


def _optional(_settings: Settings) -> Iterator[Check]:
    wanted: tuple[tuple[str, str, Callable[[], bool]], ...] = (
        ("PDF", "pdf", lambda: find_spec("plutoprint") is not None),
        ("PostgreSQL", "postgresql", lambda: find_spec("pg8000") is not None),
        ("DICOM node", "server", lambda: find_spec("pynetdicom") is not None),
        ("Traces", "telemetry", lambda: not is_wanted() or find_spec("opentelemetry") is not None),
    )
    for name, extra, is_there in wanted:
        if not is_there():
            yield Check(name, "warn", "is not installed.", f'Run: pip install "hepacalc[{extra}]"')
