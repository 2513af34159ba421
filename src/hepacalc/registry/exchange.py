"""Whole registries out and in: an export in JSON Lines, and a backup of the same kind of database.

An export is one header, the texts, the log and one line that ends it. The tables are not in it: they are derived again
when it is taken in, and the chain of hashes shows that nothing was changed on the way.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import Connection, select

from hepacalc.errors import DamagedRegistry, NewerRegistry, OutputError, RegistryError
from hepacalc.registry import tables as t
from hepacalc.registry.bulk import Batch
from hepacalc.registry.check import all_events
from hepacalc.registry.database import Database
from hepacalc.registry.events import Event, canonical, digest_of, event_hash
from hepacalc.registry.log import add_wordings, head
from hepacalc.registry.project import changes_of

__all__ = ["FORMAT", "FORMAT_VERSION", "Imported", "backup", "export_to", "import_from"]

FORMAT, FORMAT_VERSION = "hepacalc-registry", 1
LARGEST_LINE = 64 * 2**20
_STEP = 5000
_FIELDS = ("seq", "at", "by", "kind", "patient", "body", "hash")
_AGAIN = "Export it again."


class Imported(NamedTuple):
    """What an import did: events that were there already, and those that were added."""

    known: int
    added: int


def export_to(database: Database, path: Path) -> int:
    """Write a registry as JSON Lines and return the number of events; the file is there as a whole or not at all.

    Raises:
        OutputError: it cannot be written, or is there already.
        RegistryError: the registry cannot be read.
    """
    count, last = 0, ""
    part = _new_file(path)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file, database.reading() as connection:
            _line(file, {"format": FORMAT, "version": FORMAT_VERSION})
            query = select(t.wording.c.digest, t.wording.c.body).order_by(t.wording.c.digest)
            for digest, body in connection.execution_options(yield_per=_STEP).execute(query):
                _line(file, {"wording": digest, "body": body})
            for made in all_events(connection):
                _line(file, {"event": list(made)})
                count, last = made.seq, made.hash
            _line(file, {"end": count, "hash": last})
        part.replace(path)
    except OSError as fault:
        raise _unwritten(path, fault) from fault
    finally:
        part.unlink(missing_ok=True)
    return count


def import_from(database: Database, path: Path) -> Imported:
    """Take in an export: into an empty registry, or one whose log is the beginning of it.

    Raises:
        RegistryError: the file cannot be read, or the registry holds something else than the beginning of it.
        NewerRegistry: the export was written by a newer version.
        DamagedRegistry: it is no export, incomplete or changed; nothing was taken in.
    """
    try:
        with path.open("rb") as file, database.writing() as connection:
            return _take(connection, _lines(file, path.name), path.name)
    except OSError as fault:
        raise RegistryError(
            f"the export {path.name} cannot be read: {os.strerror(fault.errno or 0)}.", hint="Give another file."
        ) from fault


def _take(connection: Connection, lines: Iterator[dict[str, Any]], name: str) -> Imported:
    first = next(lines, {})
    if first.get("format") != FORMAT or not isinstance(first.get("version"), int):
        raise DamagedRegistry(f"{name} is no export of a registry.", hint="Give what hepacalc registry export wrote.")
    if first["version"] > FORMAT_VERSION:
        raise NewerRegistry(
            f"{name} has version {first['version']} of the export; this program knows up to {FORMAT_VERSION}.",
            hint="Use a newer version of hepacalc. Nothing was changed.",
        )
    there, there_hash = head(connection)
    state = _Taking(connection, name)
    wordings: dict[str, str] = {}
    end: dict[str, Any] | None = None
    for line in lines:
        if end is not None:
            raise _damaged(name, "something follows its end")
        if "wording" in line:
            wordings[_text(line, "wording", name)] = _text(line, "body", name)
            if len(wordings) >= _STEP:
                state.texts(wordings)
        elif "event" in line:
            state.texts(wordings)
            state.event(line["event"], there, there_hash)
        else:
            end = line
    if end is None or end.get("end") != state.seq or end.get("hash") != state.hash:
        raise _damaged(name, f"it ends after event {state.seq}, before its end")
    if state.seq < there:
        raise RegistryError(
            f"the registry has {there} events, the export {state.seq}: it is older.", hint="Nothing was changed."
        )
    state.batch.flush()
    return Imported(there, state.seq - there)


class _Taking:
    """The log on its way in."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection, self.name, self.batch = connection, name, Batch(connection)
        self.seq, self.hash = 0, "0" * 64
        self.waiting: list[dict[str, Any]] = []

    def texts(self, wordings: dict[str, str]) -> None:
        for digest, body in wordings.items():
            if digest_of(body) != digest:
                raise _damaged(self.name, f"wording {digest[:32]!r} was changed")
        add_wordings(self.connection, wordings)
        wordings.clear()

    def event(self, told: Any, there: int, there_hash: str) -> None:
        made = _event(told, self.name)
        wanted = event_hash(self.hash, made.seq, made.at, made.by, made.kind, made.patient, made.body)
        if made.seq != self.seq + 1 or made.hash != wanted:
            raise _damaged(self.name, f"event {made.seq} does not follow from event {self.seq}")
        self.seq, self.hash = made.seq, made.hash
        if made.seq == there and made.hash != there_hash:
            raise RegistryError(
                f"the registry is not empty, and its {there} events are not the beginning of {self.name}.",
                hint="Import into a new registry. Nothing was changed.",
            )
        if made.seq > there:
            self.connection.execute(t.event.insert(), made._asdict())
            self.batch.add(changes_of(made))


def _event(told: Any, name: str) -> Event:
    kinds = (int, str, str, str, int, str, str)
    if not isinstance(told, list) or [type(one) for one in told] != list(kinds):
        raise _damaged(name, "an event has other fields than wanted")
    return Event(*told)


def _text(line: dict[str, Any], field: str, name: str) -> str:
    value = line.get(field)
    if not isinstance(value, str):
        raise _damaged(name, f"a line has no text {field!r}")
    return value


def _lines(file: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    while line := file.readline(LARGEST_LINE + 1):
        if len(line) > LARGEST_LINE:
            raise _damaged(name, "a line is too long")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as fault:
            raise _damaged(name, "a line is no JSON") from fault
        if not isinstance(value, dict):
            raise _damaged(name, "a line is no object")
        yield value


def _damaged(name: str, why: str) -> DamagedRegistry:
    return DamagedRegistry(f"the export {name} does not hold together: {why}.", hint=f"{_AGAIN} Nothing was changed.")


def backup(database: Database, path: Path) -> str:
    """Write a consistent copy while others go on writing, and return what it is.

    A SQLite registry is copied by SQLite's own online backup; one in PostgreSQL is exported (JSON Lines), which
    ``import`` takes back. The file is there as a whole or not at all.

    Raises:
        OutputError: it cannot be written, or is there already.
        RegistryError: the registry cannot be read.
    """
    if not database.is_sqlite:
        export_to(database, path)
        return "an export (JSON Lines)"
    part = _new_file(path)
    try:
        with database.engine.connect() as connection, closing(sqlite3.connect(part)) as copy:
            source = connection.connection.driver_connection
            if source is not None:
                source.backup(copy)
            copy.execute("pragma journal_mode=delete")  # one file, whole by itself
        part.replace(path)
    except OSError as fault:
        raise _unwritten(path, fault) from fault
    except sqlite3.Error as fault:
        raise OutputError(f"the backup {path.name} cannot be written ({fault.sqlite_errorname}).",
                          hint="Free some space, or choose another place.") from fault  # fmt: skip
    finally:
        for name in (part, part.with_name(part.name + "-journal"), part.with_name(part.name + "-wal")):
            with suppress(OSError):
                name.unlink(missing_ok=True)
    return "a SQLite file"


def _new_file(path: Path) -> Path:
    """Return where to write first; the file itself must not be there."""
    if path.exists():
        raise OutputError(f"{path.name} is there already.", hint="Choose another name; nothing is overwritten.")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder for {path.name}.", hint="Make it first.")
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _unwritten(path: Path, fault: OSError) -> OutputError:
    return OutputError(
        f"{path.name} cannot be written: {os.strerror(fault.errno or 0)}.",
        hint="Free some space, or choose another place.",
    )


def _line(file: IO[str], value: dict[str, Any]) -> None:
    file.write(canonical(value) + "\n")
