"""One engine: SQLite with a write-ahead log in the data folder, or PostgreSQL by URL."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from hepacalc.errors import Unavailable, UsageError
from hepacalc.registry.database import postgresql_engine
from hepacalc.server.settings import Settings
from hepacalc.server.tables import SCHEMA_VERSION, metadata, schema

__all__ = ["BUSY_S", "new_id", "now", "open_database", "reading", "writing"]

UPGRADES = {1: "ALTER TABLE jobs ADD COLUMN trace VARCHAR(55)"}
"""What makes a database of each earlier version one of the next."""
BUSY_S = 20.0
"""How long a writer waits for another one on SQLite."""
_AWAY = ("08", "53", "57")
"""Classes of SQLSTATE: connection exception, insufficient resources, operator intervention (PostgreSQL, appendix A)."""


def new_id() -> str:
    """Return a random id; nothing about a study or a person can be read from it."""
    return secrets.token_hex(16)


def now() -> float:
    """Return the time in seconds since 1970 UTC."""
    return time.time()


def open_database(settings: Settings) -> Engine:
    """Return the engine of a deployment, with its tables made or checked.

    Raises:
        UsageError: the database is of another version of the server, or of another kind.
        MissingDependency: the package for PostgreSQL is not installed.
        Unavailable: it cannot be reached.
    """
    url = settings.database_url
    try:
        if url.startswith("sqlite"):
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            engine = create_engine(
                url, pool_size=10, max_overflow=40, connect_args={"timeout": BUSY_S, "check_same_thread": False}
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = postgresql_engine(
                url, "Set `database` in server.toml.", pool_pre_ping=True, pool_size=10, max_overflow=20,
                pool_timeout=BUSY_S,
            )  # fmt: skip
        with engine.begin() as connection:
            metadata.create_all(connection)
            versions = connection.execute(select(schema.c.version)).scalars().all()
            if not versions:
                connection.execute(insert(schema).values(version=SCHEMA_VERSION))
    except IntegrityError:
        # another process made the tables in the same moment
        return open_database(settings)
    except SQLAlchemyError as fault:
        raise Unavailable(
            f"the database cannot be used ({type(fault).__name__}).", hint="Check `database` in server.toml."
        ) from fault
    if versions and versions[0] in UPGRADES:
        versions = [_upgraded(engine)]
    if versions and versions != [SCHEMA_VERSION]:
        raise UsageError(
            f"the database has version {versions}, this program wants {SCHEMA_VERSION}.",
            hint="Use the version of hepacalc that made it, or a new data folder.",
        )
    return engine


def _upgraded(engine: Engine) -> int:
    """Bring the tables of an earlier version up to this one; of several processes one does it."""
    with writing(engine) as connection:
        version = int(connection.execute(select(schema.c.version).with_for_update()).scalar_one())
        while version in UPGRADES:
            connection.exec_driver_sql(UPGRADES[version])
            version += 1
        connection.execute(update(schema).values(version=version))
    return version


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # transactions are begun by hand below: the driver's own begin comes too late for a reader that goes on to write
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "mmap_size=268435456"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "")
    connection.exec_driver_sql(f"BEGIN {mode}".strip())


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection for reading.

    Raises:
        Unavailable: the database cannot be reached.
    """
    with _told(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that is committed at the end, or undone by an error.

    Raises:
        Unavailable: the database cannot be reached, or the disk is full.
    """
    with _told(), engine.connect() as connection:
        connection = connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin():
            yield connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as fault:
        if not _is_away(fault):
            raise
        raise Unavailable(
            "the database cannot be used just now.", hint="Try again; `hepacalc doctor` says what is wrong."
        ) from fault


def _is_away(fault: DBAPIError) -> bool:
    """Whether the database is away, stopping, starting, full or busy, rather than asked something wrong.

    Drivers differ: pg8000 calls a lost connection an InterfaceError, and what the server itself says a DatabaseError.
    """
    if isinstance(fault, OperationalError) or fault.connection_invalidated:
        return True
    told = fault.orig.args[0] if fault.orig is not None and fault.orig.args else None
    if isinstance(told, dict):
        return str(told.get("C", ""))[:2] in _AWAY
    return isinstance(fault, InterfaceError) and not isinstance(fault.orig, sqlite3.Error)
