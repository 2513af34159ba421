"""A registry's database: a SQLite file, or PostgreSQL by URL. Opening, versions, transactions and errors.

One writer at a time: SQLite by ``BEGIN IMMEDIATE`` with a busy timeout, PostgreSQL by a lock on the log. A reader sees
one state throughout. SQLite runs in WAL mode with ``synchronous=FULL``: what was committed stays, whatever is killed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, table, text
from sqlalchemy import column as named
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from hepacalc.errors import (
    DamagedRegistry,
    HepacalcError,
    MissingDependency,
    NewerRegistry,
    OutputError,
    RegistryBusy,
    RegistryError,
    UsageError,
)

__all__ = ["APPLICATION_ID", "VERSIONS", "WAIT_SECONDS", "Database", "is_url", "open_database", "postgresql_engine"]

VERSIONS = ("0001", "0002")
"""Versions of the tables, oldest first; the migrations of the same names lead from one to the next."""
APPLICATION_ID = 0x68706372
"""In the header of a SQLite file that is a registry (``PRAGMA application_id``): ``hpcr``."""
WAIT_SECONDS = 30
"""So long a writer waits for another one."""

_MAGIC = b"SQLite format 3\0"
_WRITE = "hepacalc_write"
_VERSION = table("alembic_version", named("version_num"))
_RESTORE = "Restore a backup (hepacalc registry backup makes one); this file was left as it is."
_BUSY_STATES = ("55P03", "40001", "40P01")
_FULL_STATES = ("53100", "53200")


@dataclass(frozen=True)
class Database:
    """An open registry.

    Args:
        engine: SQLAlchemy engine.
        shown: where it is, without a password.
    """

    engine: Engine
    shown: str

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state throughout.

        Raises:
            RegistryError: the database cannot be read.
        """
        with _told(self.shown), self.engine.connect() as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(text("set transaction isolation level repeatable read, read only"))
                # a list of many is sorted and joined in memory, not in files
                connection.execute(text("set local work_mem = '64MB'"))
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the connection of the only writer; all of it is done at the end, or nothing.

        Raises:
            RegistryBusy: another program writes for more than :data:`WAIT_SECONDS`.
            OutputError: there is no room left.
            RegistryError: the database cannot be written.
        """
        with _told(self.shown), self.engine.connect() as connection:
            connection.execution_options(**{_WRITE: True})
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text(f"set local lock_timeout = '{WAIT_SECONDS}s'"))
                    connection.execute(text("lock table event in exclusive mode"))
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def is_url(location: str) -> bool:
    """Whether a location is a database URL and no file."""
    return "://" in location


def open_database(location: str | os.PathLike[str], *, create: bool = False) -> Database:
    """Open a registry; an older one is brought to the version of this program.

    Args:
        location: a SQLite file, or a URL such as ``postgresql://user@host/name``; the password may stand in
            ``PGPASSWORD``.
        create: make it where there is none.

    Raises:
        RegistryError: there is none, it is no registry, or it cannot be opened.
        NewerRegistry: it was written by a newer version.
        DamagedRegistry: the file is damaged.
        MissingDependency: the package for PostgreSQL is not installed.
        UsageError: a URL of another kind of database.
    """
    given = os.fspath(location)
    database = _postgresql(given) if is_url(given) else _sqlite(Path(given), create=create)
    try:
        with _told(database.shown):
            _bring_up(database, create=create)
    except HepacalcError:
        database.close()
        raise
    return database


def _sqlite(path: Path, *, create: bool) -> Database:
    """Return the database of a file that is there, or may be made."""
    try:
        size = path.stat().st_size if path.exists() else 0
        with path.open("rb") if size else open(os.devnull, "rb") as file:  # noqa: PTH123
            head = file.read(len(_MAGIC))
        missing = not path.parent.is_dir()
    except OSError as fault:
        raise RegistryError(
            f"the registry {path.name} cannot be opened: {os.strerror(fault.errno or 0)}.",
            hint="Give another file with --registry.",
        ) from fault
    if size == 0 and (missing or not create):
        raise RegistryError(
            f"there is no registry {path.name}{' and no folder for it' if missing else ''}.",
            hint="Give it with --registry; hepacalc registry add makes one.",
        )
    if size and head != _MAGIC:
        raise DamagedRegistry(f"{path.name} is no registry: it is not a SQLite file.", hint=_RESTORE)
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": WAIT_SECONDS}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for setting in ("foreign_keys=on", "synchronous=full"):
            connection.execute(f"pragma {setting}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        wanted = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("begin immediate" if wanted else "begin")

    return Database(engine, path.name)


def _postgresql(given: str) -> Database:
    engine = postgresql_engine(given, "Give one of them with --registry.", hide_parameters=True)
    return Database(engine, engine.url.set(drivername="postgresql").render_as_string(hide_password=True))


def postgresql_engine(given: str, hint: str, **options: Any) -> Engine:
    """Return the engine of a database in PostgreSQL.

    Args:
        given: ``postgresql://user@host/name``; the password may stand in ``PGPASSWORD``.
        hint: how to give another one.
        options: of the engine.

    Raises:
        UsageError: a URL of another kind of database.
        MissingDependency: the package for PostgreSQL is not installed.
    """
    try:
        url = make_url(given)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql" or not url.database:
        kind = given.split("://")[0][:20]
        raise UsageError(f"wanted a SQLite file or postgresql://USER@HOST/NAME, found a URL of {kind!r}.", hint=hint)
    url = url.set(drivername="postgresql+pg8000", password=url.password or os.environ.get("PGPASSWORD"))
    try:
        return create_engine(url, **options)
    except ModuleNotFoundError as missing:
        raise MissingDependency(
            f"A database in PostgreSQL needs the package {missing.name}, which is not installed.",
            hint='Run: pip install "hepacalc[postgresql]"',
        ) from missing


def _bring_up(database: Database, *, create: bool) -> None:
    """Make sure that the tables are those of this version."""
    with database.engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        version = connection.execute(select(_VERSION.c.version_num)).scalar() if "alembic_version" in tables else None
        if database.is_sqlite and tables:
            mark = connection.exec_driver_sql("pragma application_id").scalar()
            if mark != APPLICATION_ID:
                raise RegistryError(
                    f"{database.shown} is a SQLite file of something else.", hint="Give another file with --registry."
                )
    if tables and version is None:
        raise RegistryError(
            f"{database.shown} holds tables, but is no registry of hepacalc.", hint="Give an empty database."
        )
    if version is None and not create:
        raise RegistryError(
            f"there is no registry in {database.shown} yet.", hint="hepacalc registry add, or import, makes one."
        )
    if version is not None and version not in VERSIONS:
        raise NewerRegistry(
            f"{database.shown} has tables of version {str(version)[:20]!r}; this program knows up to {VERSIONS[-1]!r}.",
            hint="Use the version of hepacalc that wrote it, or a newer one. Nothing was changed.",
        )
    if version != VERSIONS[-1]:
        _migrate(database)


def _migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction."""
    from alembic import command
    from alembic.config import Config

    if database.is_sqlite:
        _use_wal(database)
    config = Config()
    config.set_main_option("script_location", "hepacalc.registry:migrations")
    with database.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        if database.is_sqlite:
            connection.exec_driver_sql(f"pragma application_id={APPLICATION_ID}")
        else:
            # two programs that make the same registry: the second finds it made
            connection.execute(text(f"select pg_advisory_xact_lock({APPLICATION_ID})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _use_wal(database: Database) -> None:
    """Set the journal of a new file; another program that makes the same one is waited for."""
    until = time.monotonic() + WAIT_SECONDS
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        while raw is not None:
            try:
                raw.execute("pragma journal_mode=wal")  # cannot be set within a transaction
            except sqlite3.OperationalError as fault:
                if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return


@contextmanager
def _told(shown: str) -> Iterator[None]:
    """Turn what a database says into our errors; never with the values of a row."""
    try:
        yield
    except DBAPIError as fault:
        raise _error(fault, shown) from fault
    except (SQLAlchemyError, sqlite3.Error) as fault:
        raise RegistryError(
            f"the registry {shown} cannot be used: {type(fault).__name__}.", hint="hepacalc registry check says more."
        ) from fault


def _error(fault: DBAPIError, shown: str) -> HepacalcError:
    name = getattr(fault.orig, "sqlite_errorname", "")
    told = fault.orig.args[0] if fault.orig is not None and fault.orig.args else ""
    state = str(told.get("C", "")) if isinstance(told, dict) else ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state in _BUSY_STATES:
        return RegistryBusy(
            f"another program has been writing to {shown} for more than {WAIT_SECONDS} s.", hint="Run it again."
        )
    if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC") or state in _FULL_STATES:
        return OutputError(
            f"the registry {shown} cannot be written: no room is left.",
            hint="Free some space and run it again; the registry is as it was before.",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DamagedRegistry(f"the file {shown} is damaged ({name}).", hint=_RESTORE)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return RegistryError(
            f"the registry {shown} cannot be opened for writing ({name}).",
            hint="Look at the permissions of the file and of its folder.",
        )
    what = name or state or type(fault.orig).__name__
    if not name and (state[:2] in ("28", "3D", "08") or not state):
        return RegistryError(
            f"{shown} cannot be reached ({what}).",
            hint="Look at host, port, user, PGPASSWORD and name of the database, and whether the server runs.",
        )
    return RegistryError(f"the registry {shown} refused it ({what}).", hint="hepacalc registry check says more.")
