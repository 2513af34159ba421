"""Writing: one event at the end of the log, and what it does to the tables, in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.errors import UsageError
from hepacalc.registry import tables as t
from hepacalc.registry.events import GENESIS, Event, chained, checked_by
from hepacalc.registry.project import apply_changes, changes_of
from hepacalc.registry.wordings import Wordings

__all__ = ["Log", "add_wordings", "checked_key", "head"]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def checked_key(key: str) -> str:
    """Return a pseudonym when it can be one.

    Raises:
        UsageError: it holds anything but letters, digits and ``. _ : -``, or more than 64 characters.
    """
    if not _KEY.fullmatch(key):
        # not shown: somebody may have typed a name
        raise UsageError(
            "wanted a pseudonym of at most 64 letters, digits and . _ : - (beginning with a letter or digit).",
            hint="A name or a number of the hospital belongs into --identity, not here.",
        )
    return key


def head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last event; 0 where there is none."""
    found = connection.execute(select(t.event.c.seq, t.event.c.hash).order_by(t.event.c.seq.desc()).limit(1)).first()
    return (0, GENESIS) if found is None else (found.seq, found.hash)


def add_wordings(connection: Connection, held: Mapping[str, str]) -> None:
    """Write texts that are not there yet."""
    if not held:
        return
    digests = list(held)
    there: set[str] = set()
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        there |= set(connection.scalars(select(t.wording.c.digest).where(t.wording.c.digest.in_(part))))
    fresh = [{"digest": digest, "body": body} for digest, body in held.items() if digest not in there]
    if fresh:
        connection.execute(t.wording.insert(), fresh)


class Log:
    """The end of the log, within a writing transaction.

    Args:
        connection: of :meth:`hepacalc.registry.database.Database.writing`.
        now: time of the change.
        by: who makes it.
    """

    def __init__(self, connection: Connection, now: datetime, by: str) -> None:
        self.connection, self.by = connection, checked_by(by)
        self.at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.seq, self.hash = head(connection)

    def append(self, kind: str, patient: int | None, body: Any, wordings: Wordings | None = None) -> Event:
        """Write an event and what it does.

        Args:
            kind: of the event.
            patient: whose; None for the event that registers one.
            body: plain values.
            wordings: texts that it points to.
        """
        seq = self.seq + 1
        made = chained(self.hash, seq, self.at, self.by, kind, seq if patient is None else patient, body)
        add_wordings(self.connection, {} if wordings is None else wordings.held)
        self.write([made])
        return made

    def write(self, events: Iterable[Event]) -> None:
        """Write events that are chained to the end already."""
        for made in events:
            changes = changes_of(made)
            self.connection.execute(t.event.insert(), made._asdict())
            apply_changes(self.connection, changes)
            self.seq, self.hash = made.seq, made.hash
