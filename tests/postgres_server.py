"""A PostgreSQL of our own for the length of a test run: made with initdb in a temporary folder, on loopback only."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if find_spec("pg8000") is None:
        return "needs pg8000 (pip install 'hepacalc[postgresql]')"
    if _binaries() is None:
        return "needs the server of PostgreSQL (Debian package postgresql), which is not installed"
    return ""


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _as_user() -> dict[str, object]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


@contextmanager
def server(folder: str | None = None, *, durable: bool = False) -> Iterator[str]:
    """Give the URL of the database ``postgres`` of a server, as its superuser; it is gone at the end.

    Args:
        folder: where its temporary folder is made.
        durable: whether it waits for the disk, as a real one does.
    """
    binaries = _binaries()
    assert binaries is not None, missing()
    who = _as_user()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="hepacalc-pg-", dir=folder))
    try:
        if "user" in who:
            os.chown(home, who["user"], who["group"])  # type: ignore[arg-type]
        sync = "on" if durable else "off"
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync={sync} -c jit=off"
        made = ["-U", "hepacalc", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        lines = (
            [binaries / "initdb", "-D", home / "data", *made],
            [binaries / "pg_ctl", "-D", home / "data", "-w", "-l", home / "log", "-o", options, "start"],
        )
        for line in lines:
            subprocess.run([str(part) for part in line], check=True, stdout=subprocess.DEVNULL, cwd=home, **who)  # type: ignore[call-overload]
        try:
            yield f"postgresql://hepacalc@127.0.0.1:{port}/postgres"
        finally:
            stop = [str(binaries / "pg_ctl"), "-D", str(home / "data"), "-m", "immediate", "-w", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, cwd=home, **who)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(home)


def empty_database(url: str, name: str) -> str:
    """Make a database, or empty it, and return its URL."""
    from sqlalchemy import create_engine, make_url, text

    made = make_url(url).set(drivername="postgresql+pg8000")
    engine = create_engine(made, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = connection.scalar(text("select count(*) from pg_database where datname = :name"), {"name": name})
        if not there:
            connection.execute(text(f"create database {name} strategy wal_log"))
    engine.dispose()
    if there:
        engine = create_engine(made.set(database=name), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("drop schema public cascade"))
            connection.execute(text("create schema public"))
        engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def quick_folder() -> str | None:
    """Where a temporary folder is kept in memory, if there is room; None for the usual place."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30 else None


@contextmanager
def away(url: str) -> Iterator[None]:
    """End the server at once, as by a loss of power, and start it again after the block."""
    from sqlalchemy import create_engine, make_url, text

    binaries, port = _binaries(), make_url(url).port
    engine = create_engine(make_url(url).set(drivername="postgresql+pg8000"))
    with engine.connect() as connection:
        data = Path(str(connection.scalar(text("show data_directory"))))
    engine.dispose()
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w"]  # type: ignore[operator]
    who: dict[str, object] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": data.parent, **_as_user()}
    subprocess.run([*control, "-m", "immediate", "stop"], **who)  # type: ignore[call-overload]
    try:
        yield
    finally:
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c jit=off"
        subprocess.run([*control, "-l", str(data.parent / "log"), "-o", options, "start"], **who)  # type: ignore[call-overload]
