"""``hepacalc serve`` and ``hepacalc doctor``."""

from __future__ import annotations

import getpass
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hepacalc.cli_options import AsJson, Debug
from hepacalc.errors import MissingDependency, OutputError, UsageError
from hepacalc.terminal import write_line

__all__ = ["doctor", "serve"]


class LoginChoice(StrEnum):
    """Ways to sign in."""

    TOKEN = "token"
    USERS = "users"
    OIDC = "oidc"


Data = Annotated[
    Path, typer.Option("--data", "-d", metavar="FOLDER", help="Folder of everything the server keeps; server.toml.")
]
HOME = Path("hepacalc-data")
_NEEDED = ("fastapi", "uvicorn", "python_multipart", "argon2", "authlib", "httpx", "prometheus_client")


def serve(
    data: Data = HOME,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 when left out.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 8042 when left out.")] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://USER@HOST/NAME (extra postgresql; password in PGPASSWORD); else SQLite in FOLDER.",
        ),
    ] = None,
    login: Annotated[LoginChoice | None, typer.Option(help="How people sign in; token when left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that assess; 1 when left out.")] = None,
    add_user: Annotated[
        str | None, typer.Option("--add-user", metavar="NAME", help="Make a user, ask for the password, and leave.")
    ] = None,
    role: Annotated[str, typer.Option(help="Of --add-user: read, assess or admin.")] = "admin",
    team: Annotated[str, typer.Option(help="Of --add-user: whose studies the user sees.")] = "",
    new_link: Annotated[
        bool, typer.Option("--new-link", help="Print another one-time link to a server that runs, and leave.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Serve the web app, REST and what else is set, with workers that assess what comes in."""
    _require_extra()
    from hepacalc.server.settings import read_settings

    settings = read_settings(
        data, host=host, port=port, database=database, login=None if login is None else login.value, workers=workers
    ).checked()
    from hepacalc.server.worker import open_site

    site = open_site(settings)
    if add_user is not None:
        _add_user(site, add_user, role, team)
    elif new_link:
        if settings.login != "token":
            raise UsageError("one-time links are for login = token.", hint="Sign in with a name and a password.")
        write_line(_link(site, settings.port))
    else:
        _run(site)


def doctor(
    data: Data = HOME,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a deployment: settings, disk, database, jobs, sign-in, network, files. Exit status 1 when one fails."""
    _require_extra()
    from hepacalc.server.doctor import check_deployment, shown

    checks = check_deployment(data)
    sys.stdout.write(shown(checks, as_json=as_json))
    if any(check.level == "fail" for check in checks):
        raise typer.Exit(1)


def _run(site: Any) -> None:
    from hepacalc.server.logs import set_up_logs
    from hepacalc.server.supervisor import Supervisor, listen, roles_of

    settings = site.settings
    set_up_logs()
    try:
        listener = listen(settings)
    except OSError as fault:
        raise OutputError(
            f"{settings.host} port {settings.port} cannot be used: {fault.strerror}.", hint="Choose another --port."
        ) from fault
    supervisor = Supervisor(site, listener, roles_of(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    port = listener.getsockname()[1]
    write_line(
        _link(site, port) if settings.login == "token" else settings.public_url or f"http://{settings.host}:{port}/"
    )
    sys.stdout.flush()
    supervisor.run()


def _link(site: Any, port: int) -> str:
    from hepacalc.server.accounts import local_link

    base = site.settings.public_url.rstrip("/") or f"http://127.0.0.1:{port}"
    return f"{base}/enter?token={local_link(site.engine)}"


def _add_user(site: Any, name: str, role: str, team: str) -> None:
    from hepacalc.server.accounts import add_user

    asked = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    add_user(site.engine, name, role, password=asked, team=team)
    write_line("The user was made.")


def _require_extra() -> None:
    """Make sure that the extra ``server`` is installed."""
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"the server needs {', '.join(missing)}, which is not installed.",
            hint='Run: pip install "hepacalc[server]"',
        )
