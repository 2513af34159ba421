"""Deriving many rows at once: changes are held in memory and written table by table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL

from hepacalc.errors import DamagedRegistry
from hepacalc.registry import tables as t
from hepacalc.registry.database import Database
from hepacalc.registry.project import Change, Insert, Update, apply_changes

__all__ = ["Batch", "open_scratch"]

_HELD = 20000
_KEYS = {one.name: tuple(column.name for column in one.primary_key) for one in t.DERIVED}


class Batch:
    """Rows that wait to be written.

    A change of a row that still waits is made in memory.

    Args:
        connection: within a writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.waiting: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {one.name: {} for one in t.DERIVED}
        self.count = 0

    def add(self, changes: Iterable[Change]) -> None:
        """Take changes; write when many wait."""
        for change in changes:
            if isinstance(change, Insert):
                key = tuple(change.row[name] for name in _KEYS[change.table])
                if self.waiting[change.table].setdefault(key, change.row) is not change.row:
                    raise DamagedRegistry(
                        f"a row of {change.table} is made twice.", hint="Run hepacalc registry check."
                    )
                self.count += 1
            else:
                self._update(change)
        if self.count >= _HELD:
            self.flush()

    def _update(self, change: Update) -> None:
        row = self.waiting[change.table].get(tuple(change.key[name] for name in _KEYS[change.table]))
        if row is not None:
            row |= change.values
        else:
            apply_changes(self.connection, [change])

    def flush(self) -> None:
        """Write all that waits."""
        for one in t.DERIVED:
            rows = self.waiting[one.name]
            if rows:
                self.connection.execute(one.insert(), list(rows.values()))
                rows.clear()
        self.count = 0


def open_scratch(path: Path) -> Database:
    """Return a database that is thrown away: tables without pointers looked up, nothing waited for on the disk."""
    engine = create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma journal_mode=off")
        connection.exec_driver_sql("pragma synchronous=off")
        for one in t.DERIVED:
            one.create(connection)
        connection.commit()
    return Database(engine, path.name)
