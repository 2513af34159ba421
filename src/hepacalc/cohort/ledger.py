"""The ledger of a cohort: what was found, what was tried, what came of it. One SQLite file, written by one process.

Every change is a transaction, so a driver that is killed leaves a ledger that is right. It holds paths relative to the
root, UIDs, hashes, age and sex; no names, no identifiers, no text of a header. Memory does not grow with its rows.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from hepacalc.cohort.executor import Fault
from hepacalc.errors import LedgerError
from hepacalc.locks import hold

__all__ = ["LEDGER", "SCHEMA", "Ledger", "Source", "Study", "packed", "unpacked"]

LEDGER = "ledger.sqlite"
SCHEMA = 2
"""Version of the tables below."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE studies (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL UNIQUE,          -- path relative to the root; several with a line feed between
  signature TEXT NOT NULL,              -- of names, sizes and times of its files
  site TEXT,
  extra TEXT,                           -- series, liver mask: JSON
  input_hash TEXT,                      -- of what is in its files
  study_uid TEXT, age_years REAL, sex TEXT, files INTEGER, bytes INTEGER,
  patient_hash TEXT,
  status TEXT NOT NULL DEFAULT 'found', -- found, hashed, running, done, failed, duplicate, gone
  version TEXT,                         -- by which it was done, or failed
  attempts INTEGER NOT NULL DEFAULT 0,  -- with this version
  lane INTEGER NOT NULL DEFAULT 0,      -- 0 at first; k: with 1/2^k as many at once
  code TEXT, name TEXT, message TEXT, hint TEXT,
  seen INTEGER NOT NULL DEFAULT 0       -- number of the search that found it last
);
CREATE INDEX studies_by_status ON studies (status, lane, id);
CREATE INDEX studies_by_hash ON studies (input_hash);
CREATE TABLE results (
  input_hash TEXT PRIMARY KEY, version TEXT NOT NULL, rows BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE attempts (
  study INTEGER NOT NULL, version TEXT NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL, stages TEXT NOT NULL,
  code TEXT, seconds REAL NOT NULL, peak_mb REAL NOT NULL, worker TEXT NOT NULL, ended TEXT NOT NULL
);
"""


class Source(NamedTuple):
    """One study as it was found."""

    path: str
    signature: str
    site: str | None = None
    extra: dict[str, Any] | None = None


class Study(NamedTuple):
    """One line of the ledger that has work to do."""

    id: int
    source: str
    extra: dict[str, Any]
    input_hash: str | None
    study_uid: str | None
    attempts: int
    lane: int


class Ledger:
    """The ledger in a folder; a context manager. One process at a time."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make and not path.exists():
            raise LedgerError("there is no ledger in this folder.", hint="Give the folder that `cohort run -o` wrote.")
        self.path = path
        self._lock = _locked(path)
        try:
            self.db = sqlite3.connect(path, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.db.execute("PRAGMA cache_size=-16000")
            self.db.execute("PRAGMA temp_store=FILE")
            version = int(self.db.execute("PRAGMA user_version").fetchone()[0])
            if version == 0:
                self.db.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={SCHEMA};COMMIT;")
            elif version != SCHEMA:
                raise LedgerError(
                    f"a ledger of version {SCHEMA} is wanted, this one has {version}.",
                    hint="Use the hepacalc that wrote it, or begin a new folder.",
                )
        except sqlite3.DatabaseError as fault:
            os.close(self._lock)
            raise LedgerError(
                f"the ledger cannot be read ({type(fault).__name__}).",
                hint="Take ledger.sqlite away and run again: finished studies are found in the store.",
            ) from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; others may use it then."""
        self.db.close()
        os.close(self._lock)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all changes of the block, or none."""
        self.db.execute("BEGIN IMMEDIATE")
        with self.db:  # commits, or rolls back when the block fails
            yield

    # ------------------------------------------------------------ settings

    def meta(self, name: str) -> str | None:
        """Return a setting of the cohort."""
        row = self.db.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Keep a setting of the cohort."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))

    # ------------------------------------------------------------ what is there

    def find(self, sources: Iterable[Source]) -> int:
        """Take in what a search found; return how many.

        What is new, or has other files than before, is to be looked at; what is gone is marked so and keeps its result.
        """
        search = int(self.meta("search") or 0) + 1
        count = 0
        with self.together():
            for one in sources:
                extra = json.dumps(one.extra, sort_keys=True) if one.extra else None
                self.db.execute(
                    "INSERT INTO studies (source, signature, site, extra, seen) VALUES (?1,?2,?3,?4,?5) "
                    "ON CONFLICT (source) DO UPDATE SET seen=?5, site=?3, "
                    "status=CASE WHEN signature=?2 AND extra IS ?4 AND status<>'gone' THEN status ELSE 'found' END, "
                    "attempts=CASE WHEN signature=?2 AND extra IS ?4 THEN attempts ELSE 0 END, "
                    "signature=?2, extra=?4",
                    (one.path, one.signature, one.site, extra, search),
                )
                count += 1
            self.db.execute("UPDATE studies SET status='gone' WHERE seen<>? AND status<>'gone'", (search,))
            self.set_meta("search", str(search))
        return count

    def begin(self, version: str, *, again: Iterable[str] = ()) -> None:
        """Say what is to be done by this version.

        What another driver was at when it ended is open again; what another version did or could not do is open again;
        so is what failed with one of the codes in ``again``.
        """
        codes = tuple(again)
        marks = ",".join("?" * len(codes))
        with self.together():
            self.db.execute(
                "UPDATE studies SET attempts=0, lane=0, status=CASE WHEN input_hash IS NULL THEN 'found' ELSE 'hashed' "
                f"END WHERE status IN ('done','failed','duplicate') AND (version IS NOT ? OR code IN ({marks}))",
                (version, *codes),
            )
            self.db.execute(
                "UPDATE studies SET status=CASE WHEN input_hash IS NULL THEN 'found' ELSE 'hashed' END "
                "WHERE status='running'"
            )
            self.db.execute("UPDATE studies SET lane=0, attempts=0 WHERE status='found'")

    def waiting(self, status: str, lane: int, after: int, most: int) -> list[Study]:
        """Return the next studies with work to do, in the order in which they were found."""
        rows = self.db.execute(
            "SELECT id, source, extra, input_hash, study_uid, attempts, lane FROM studies "
            "WHERE status=? AND lane=? AND id>? ORDER BY id LIMIT ?",
            (status, lane, after, most),
        )
        return [Study._make((*row[:2], json.loads(row[2]) if row[2] else {}, *row[3:])) for row in rows]

    def lowest_lane(self) -> int | None:
        """Return the lane that is next: None when nothing waits."""
        row = self.db.execute("SELECT min(lane) FROM studies WHERE status IN ('found','hashed')").fetchone()
        return None if row[0] is None else int(row[0])

    # ------------------------------------------------------------ what comes of it

    def running(self, study: int) -> None:
        """Say that a study is being worked on."""
        self.db.execute("UPDATE studies SET status='running' WHERE id=?", (study,))

    def hashed(self, study: int, probe: dict[str, Any]) -> None:
        """Keep what a first look at a study told."""
        self.db.execute(
            "UPDATE studies SET status='hashed', input_hash=?, study_uid=?, age_years=coalesce(?, age_years), "
            "sex=coalesce(?, sex), files=?, bytes=? WHERE id=?",
            (*(probe[name] for name in ("input_hash", "study_uid", "age_years", "sex", "files", "bytes")), study),
        )

    def owner(self, input_hash: str, but: int) -> int | None:
        """Return the study with the same content that is done or being worked on, if there is one."""
        row = self.db.execute(
            "SELECT id FROM studies WHERE input_hash=? AND id<>? AND (status IN ('running','done','failed') "
            "OR (status='hashed' AND id<?)) ORDER BY id LIMIT 1",
            (input_hash, but, but),
        ).fetchone()
        return None if row is None else int(row[0])

    def duplicate(self, study: int, version: str) -> None:
        """Say that a study holds what another one holds."""
        self.db.execute("UPDATE studies SET status='duplicate', version=?, code=NULL WHERE id=?", (version, study))

    def done(self, study: int, input_hash: str, version: str, patient: str | None, rows: dict[str, list[Any]]) -> None:
        """Keep the result of a study."""
        self.db.execute(
            "UPDATE studies SET status='done', version=?, patient_hash=?, attempts=attempts+1, code=NULL, name=NULL, "
            "message=NULL, hint=NULL WHERE id=?",
            (version, patient, study),
        )
        self.db.execute("INSERT OR REPLACE INTO results VALUES (?,?,?)", (input_hash, version, packed(rows)))

    def failed(self, study: int, version: str, fault: Fault) -> None:
        """Keep why there is no result, and will be none with this version."""
        self.db.execute(
            "UPDATE studies SET status='failed', version=?, attempts=attempts+1, code=?, name=?, message=?, hint=? "
            "WHERE id=?",
            (version, *fault, study),
        )

    def again(self, study: int, lane: int, status: str) -> None:
        """Put a study back, to be tried again."""
        self.db.execute(
            "UPDATE studies SET status=?, lane=?, attempts=attempts+1 WHERE id=?",
            (status, lane, study),
        )

    def later(self, study: int) -> None:
        """Put a study back, to be looked at anew when all others are done."""
        self.db.execute("UPDATE studies SET status='found', input_hash=NULL, attempts=attempts+1 WHERE id=?", (study,))

    def attempt(
        self,
        study: int,
        version: str,
        status: str,
        stages: str,
        code: str | None,
        spent: tuple[float, float],
        worker: str,
        ended: str,
    ) -> None:
        """Write down one attempt: seconds and MB spent, by which worker, when it ended."""
        self.db.execute(
            "INSERT INTO attempts SELECT ?1,?2,attempts+1,?3,?4,?5,?6,?7,?8,?9 FROM studies WHERE id=?1",
            (study, version, status, stages, code, round(spent[0], 3), round(spent[1], 1), worker, ended),
        )

    # ------------------------------------------------------------ what is known

    def counts(self) -> dict[str, int]:
        """Return how many studies have each status."""
        return dict(self.db.execute("SELECT status, count(*) FROM studies GROUP BY status ORDER BY status"))

    def failures(self) -> list[tuple[str, str, int]]:
        """Return ``(code, name, how many)`` of what failed."""
        return list(
            self.db.execute(
                "SELECT code, max(name), count(*) FROM studies WHERE status='failed' GROUP BY code ORDER BY code"
            )
        )


def packed(rows: dict[str, list[Any]]) -> bytes:
    """Return the rows of a study as they are kept: how many each table has, then each row as a line of JSON."""
    lines = [_line({name: len(found) for name, found in rows.items()})]
    lines += [_line(row) for found in rows.values() for row in found]
    return zlib.compress("\n".join(lines).encode(), 6)


def unpacked(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield ``(table, row as JSON)`` of what :func:`packed` keeps."""
    lines = iter(zlib.decompress(data).decode().split("\n"))
    for name, count in json.loads(next(lines)).items():
        for _ in range(count):
            yield name, next(lines)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _locked(path: Path) -> int:
    """Return a file descriptor that holds the ledger for this process; it is free again when the process ends.

    Raises:
        LedgerError: another process holds it, or the folder cannot be written.
    """
    try:
        path.with_suffix(".lock").touch(mode=0o644)
        return hold(path.with_suffix(".lock"))
    except BlockingIOError as fault:
        raise LedgerError(
            "another run works on this folder.", hint="Wait for it, or stop it; two at once would undo each other."
        ) from fault
    except OSError as fault:
        raise LedgerError(
            f"the ledger cannot be used: {os.strerror(fault.errno or 0)}.", hint="Choose a folder you may write to."
        ) from fault
