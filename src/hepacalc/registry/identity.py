"""Who a pseudonym is: a file of its own, beside the registry and optional.

The registry holds pseudonyms only, and its log cannot be changed. Identity lies apart, so that it can be kept under
other permissions, left out of backups that travel, and taken away for good (:meth:`Identity.forget`) without touching
the audit trail. A message of this module never holds a name or a number.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from hepacalc.errors import DamagedRegistry, NewerRegistry, NotInRegistry, RegistryBusy, RegistryError, UsageError
from hepacalc.reason.days import checked_day
from hepacalc.report.schema import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Identity", "Person", "split_id"]

APPLICATION_ID, VERSION = 0x68706369, 1
WAIT_SECONDS = 30
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""No letter that is read as another, or as a digit."""
_TABLE = """
create table person (
  key text primary key not null,
  system text not null,
  value text not null,
  name text,
  born text,
  unique (system, value)
) strict, without rowid
"""


class Person(NamedTuple):
    """Who a pseudonym is.

    Args:
        key: the pseudonym.
        system: who gave the number (a URI); empty where that is not said.
        value: the number.
        name: for people; None when it is not held.
        born: date of birth, ``YYYY-MM-DD``; None when it is not held.
    """

    key: str
    system: str
    value: str
    name: str | None
    born: str | None


def split_id(given: str) -> tuple[str, str]:
    """Return system and value of ``VALUE`` or ``SYSTEM|VALUE``.

    Raises:
        UsageError: there is no value.
    """
    system, _, value = plain_text(given).rpartition("|")
    if not value.strip():
        raise UsageError("the identifier of the patient has no value.", hint="Give VALUE, or SYSTEM|VALUE.")
    return system.strip(), value.strip()


class Identity:
    """An identity file.

    Args:
        path: of it.
        create: make it where there is none; only its owner may read it.

    Raises:
        RegistryError: there is none, or it is something else.
        NewerRegistry: it was written by a newer version.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not path.exists():
            if not create or not path.parent.is_dir():
                raise RegistryError(f"there is no identity file {path.name}.", hint="Give it with --identity.")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with self._told():
            self._file = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            self._file.execute("pragma synchronous=full")
            self._bring_up()

    def _bring_up(self) -> None:
        ask = ("pragma application_id", "pragma user_version", "select count(*) from sqlite_master")
        mark, version, tables = (self._file.execute(one).fetchone()[0] for one in ask)
        if tables == 0 and self.path.stat().st_size == 0:
            self._file.execute("begin immediate")
            if self._file.execute("select count(*) from sqlite_master").fetchone()[0] == 0:
                self._file.execute(_TABLE)
                self._file.execute(f"pragma application_id={APPLICATION_ID}")
                self._file.execute(f"pragma user_version={VERSION}")
            self._file.execute("commit")
        elif mark != APPLICATION_ID:
            raise RegistryError(f"{self.path.name} is no identity file.", hint="Give it with --identity.")
        elif version > VERSION:
            raise NewerRegistry(
                f"the identity file {self.path.name} has version {version}; this program knows up to {VERSION}.",
                hint="Use a newer version of hepacalc. Nothing was changed.",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            name = getattr(fault, "sqlite_errorname", type(fault).__name__)
            if name in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                raise RegistryBusy("another program holds the identity file.", hint="Run it again.") from fault
            kind = DamagedRegistry if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT") else RegistryError
            raise kind(
                f"the identity file {self.path.name} cannot be used ({name}).", hint="Use a copy of it."
            ) from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def key_of(self, given: str, *, name: str | None = None, born: str | None = None) -> str:
        """Return the pseudonym of a patient; a new one, drawn at random, for one who is not held yet.

        Args:
            given: ``VALUE`` or ``SYSTEM|VALUE``.
            name: held for people; replaces an earlier one.
            born: date of birth, ``YYYY-MM-DD``; replaces an earlier one.

        Raises:
            UsageError: no value, or no day.
        """
        system, value = split_id(given)
        if born is not None:
            _checked_birth(born)
        name = None if name is None else plain_text(name).strip() or None
        with self._told():
            self._file.execute("begin immediate")
            try:
                found = self._file.execute(
                    "select key from person where system=? and value=?", (system, value)
                ).fetchone()
                key = str(found[0]) if found else "P-" + "".join(secrets.choice(_LETTERS) for _ in range(12))
                if not found:
                    self._file.execute("insert into person (key, system, value) values (?, ?, ?)", (key, system, value))
                self._file.execute(
                    "update person set name=coalesce(?, name), born=coalesce(?, born) where key=?", (name, born, key)
                )
            except sqlite3.Error:
                self._file.execute("rollback")
                raise
            self._file.execute("commit")
        return key

    def people(self, keys: Iterable[str]) -> dict[str, Person]:
        """Return who the pseudonyms are, of those that are held."""
        out = {}
        with self._told():
            for key in dict.fromkeys(keys):
                query = "select key, system, value, name, born from person where key=?"
                found = self._file.execute(query, (key,)).fetchone()
                if found:
                    out[key] = Person(*found)
        return out

    def forget(self, key: str) -> None:
        """Take away who a pseudonym is, for good; the registry keeps the pseudonym.

        Raises:
            NotInRegistry: it is not held.
        """
        with self._told():
            self._file.execute("pragma secure_delete=on")
            if self._file.execute("delete from person where key=?", (key,)).rowcount == 0:
                raise NotInRegistry("the identity file does not hold this pseudonym.", hint="Look at its spelling.")


def _checked_birth(born: str) -> None:
    try:
        checked_day(born)
    except UsageError as fault:
        # what was typed is not shown
        raise UsageError("the date of birth is no day.", hint="Give it as YYYY-MM-DD.") from fault
