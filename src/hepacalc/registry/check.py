"""Whether a registry holds together: the chain of the log, what points where, and tables that follow from the log.

The whole check derives every table again from the log, in a scratch database, and compares row by row. The quick one
leaves that out: it follows the chain over every event, looks up every text by its hash and every pointer, and compares
how many patients and assessments there are with how many events made one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, func, select

from hepacalc.errors import RegistryError
from hepacalc.registry import tables as t
from hepacalc.registry.bulk import Batch, open_scratch
from hepacalc.registry.database import Database
from hepacalc.registry.events import GENESIS, Event, digest_of, event_hash
from hepacalc.registry.project import changes_of

__all__ = ["Checked", "all_events", "check"]

_MOST = 20
"""So many faults of one kind are told."""
_STEP = 5000


class Checked(NamedTuple):
    """What a check found.

    Args:
        faults: one line each; empty when all is well.
        events: length of the log.
        rows: table -> number of rows.
        head: hash of the last event: note it elsewhere to show later that nothing before it was changed.
    """

    faults: tuple[str, ...]
    events: int
    rows: dict[str, int]
    head: str


def check(database: Database, *, quick: bool = False) -> Checked:
    """Check a registry.

    Args:
        database: from :func:`hepacalc.registry.database.open_database`.
        quick: without deriving the tables again.

    Raises:
        RegistryError: it cannot be read.
        DamagedRegistry: the file is damaged so that it cannot be read.
    """
    with database.reading() as connection:
        faults: list[str] = []
        if database.is_sqlite:
            told = connection.exec_driver_sql(f"pragma {'quick_check' if quick else 'integrity_check'}({_MOST})")
            faults += [f"file: {line}" for (line,) in told if line != "ok"]
        rows = {
            one.name: connection.scalar(select(func.count()).select_from(one)) or 0 for one in (t.event, *t.DERIVED)
        }
        chain = _Chain()
        if quick:
            for made in all_events(connection):
                chain.follow(made)
            faults += [*chain.faults, *_counts(connection, rows)]
        else:
            faults += _derived(connection, chain)
        faults += _texts(connection)
        faults += _pointers(connection)
        return Checked(tuple(faults), chain.seq, rows, chain.hash)


def all_events(connection: Connection, after: int = 0) -> Iterator[Event]:
    """Yield the log in order."""
    query = select(t.event).where(t.event.c.seq > after).order_by(t.event.c.seq)
    for row in connection.execution_options(yield_per=_STEP).execute(query):
        yield Event(*row)


class _Chain:
    """Follows the log and remembers what does not fit."""

    def __init__(self) -> None:
        self.seq, self.hash = 0, GENESIS
        self.faults: list[str] = []

    def follow(self, made: Event) -> None:
        if made.seq != self.seq + 1:
            self.tell(f"event {made.seq} follows event {self.seq}: events are missing")
        wanted = event_hash(self.hash, made.seq, made.at, made.by, made.kind, made.patient, made.body)
        if wanted != made.hash:
            self.tell(f"event {made.seq} was changed, or one before it taken away: its hash does not fit")
        self.seq, self.hash = made.seq, made.hash

    def tell(self, fault: str) -> None:
        if len(self.faults) < _MOST:
            self.faults.append(fault)


def _derived(connection: Connection, chain: _Chain) -> list[str]:
    """Follow the chain, derive every table again and compare."""
    with tempfile.TemporaryDirectory(prefix="hepacalc-check-") as folder:
        scratch = open_scratch(Path(folder) / "derived.sqlite")
        try:
            stopped = _derive(connection, scratch, chain)
            faults = [*chain.faults, *stopped]
            if stopped:
                return faults
            with scratch.reading() as wanted:
                for one in t.DERIVED:
                    faults += _compared(one, _rows(wanted, one), _rows(connection, one))
            return faults
        finally:
            scratch.close()


def _derive(connection: Connection, scratch: Database, chain: _Chain) -> list[str]:
    """Follow the chain and fill the scratch database; returns why it could not go on."""
    try:
        with scratch.writing() as made:
            batch = Batch(made)
            for event in all_events(connection):
                chain.follow(event)
                batch.add(changes_of(event))
            batch.flush()
    except RegistryError as fault:
        return [f"after event {chain.seq - 1}: {fault.message}"]
    return []


def _rows(connection: Connection, one: Table) -> Iterable[Any]:
    # texts are ordered as bytes in both databases
    keys = [column.collate("C") if _is_text(connection, column) else column for column in one.primary_key]
    return connection.execution_options(yield_per=_STEP).execute(select(one).order_by(*keys))


def _is_text(connection: Connection, column: Any) -> bool:
    return connection.dialect.name == "postgresql" and column.type.python_type is str


def _compared(one: Table, wanted: Iterable[Any], held: Iterable[Any]) -> Iterator[str]:
    """Yield in which rows a table differs from what follows from the log."""
    told = 0
    for should, found in zip_longest(wanted, held):
        if should is None or found is None:
            more = "more" if should is None else "fewer"
            yield f"{one.name} holds {more} rows than follow from the log"
            return
        if tuple(should) != tuple(found):
            names = [c.name for c, a, b in zip(one.columns, should, found, strict=True) if a != b]
            key = ", ".join(str(should._mapping[column]) for column in one.primary_key)
            yield f"{one.name} {key}: {', '.join(names)} differ from what follows from the log"
            told += 1
            if told == _MOST:
                return


def _counts(connection: Connection, rows: dict[str, int]) -> Iterator[str]:
    for kind, table in (("registered", "patient"), ("assessed", "assessment")):
        made = connection.scalar(select(func.count()).select_from(t.event).where(t.event.c.kind == kind))
        if made != rows[table]:
            yield f"{table} holds {rows[table]} rows, the log made {made}"


def _texts(connection: Connection) -> Iterator[str]:
    query = select(t.wording.c.digest, t.wording.c.body)
    for digest, body in connection.execution_options(yield_per=_STEP).execute(query):
        if digest_of(body) != digest:
            yield f"wording {digest} was changed: its hash does not fit"


def _pointers(connection: Connection) -> Iterator[str]:
    """Yield every pointer that leads nowhere; also where the database was told not to look."""
    for one in t.DERIVED:
        for key in one.foreign_keys:
            target = key.column
            # a table may point to itself
            other = target.table.alias()
            missing = and_(key.parent.is_not(None), other.c[target.name].is_(None))
            joined = one.outerjoin(other, key.parent == other.c[target.name])
            count = connection.scalar(select(func.count()).select_from(joined).where(missing))
            if count:
                yield f"{count} rows of {one.name} point to {target.table.name} that are not there ({key.parent.name})"
