"""What a table says of the patients: one row a study, in columns named as in the patient file."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hepacalc.errors import UsageError

__all__ = ["Patients", "Row"]

_HINT = (
    "Columns: `study` (path as in the ledger, or StudyInstanceUID), `site`, and fields of the patient file with dots, "
    "e.g. age, sex, conditions.cirrhosis. See docs/howto/cohort.md."
)
_LARGEST_CELL = 2000


class Row(NamedTuple):
    """What the table says of one study: plain fields of a patient file, and the site."""

    fields: dict[str, Any]
    site: str | None

    @property
    def hash(self) -> str:
        """A short text that changes when the fields do."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()[:16]


class Patients:
    """A patient table, kept in a temporary file and not in memory; a context manager.

    Args:
        path: UTF-8 CSV; None: nothing is known of anybody.

    Raises:
        UsageError: it is no such table.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hepacalc-patients-")
        self._db = sqlite3.connect(Path(self._folder.name, "patients.sqlite"), isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE patients (study TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID")
        self.is_there = path is not None
        if path is not None:
            try:
                self._read(path)
            except (OSError, UnicodeDecodeError, csv.Error) as fault:
                self.close()
                raise UsageError("the patient table cannot be read as a UTF-8 CSV table.", hint=_HINT) from fault
            except UsageError:
                self.close()
                raise

    def __enter__(self) -> Patients:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the temporary file away."""
        self._db.close()
        self._folder.cleanup()

    def of(self, source: str, study_uid: str | None) -> Row | None:
        """Return what is said of a study, by its path or its UID; None when nothing is."""
        found = self._db.execute("SELECT row FROM patients WHERE study=?", (source,)).fetchone()
        if found is None and study_uid:
            found = self._db.execute("SELECT row FROM patients WHERE study=?", (study_uid,)).fetchone()
        return None if found is None else Row(*json.loads(found[0]))

    def _read(self, path: Path) -> None:
        with path.open(encoding="utf-8-sig", newline="") as held:
            table = csv.DictReader(held)
            names = list(table.fieldnames or ())
            if "study" not in names or len(set(names)) < len(names):
                raise UsageError("wanted a table with a column `study`, and each column once.", hint=_HINT)
            self._db.execute("BEGIN")
            for number, row in enumerate(table, 2):
                study = (row.pop("study") or "").strip()
                site = (row.pop("site", None) or "").strip() or None
                if not study or None in row or any(len(cell or "") > _LARGEST_CELL for cell in row.values()):
                    raise UsageError(f"line {number} of the patient table has no study, or cells too many.", hint=_HINT)
                try:
                    told = json.dumps([_fields(row), site], sort_keys=True)
                    self._db.execute("INSERT INTO patients VALUES (?,?)", (study.strip("/"), told))
                except sqlite3.IntegrityError as fault:
                    raise UsageError(
                        f"line {number} of the patient table names a study a second time.", hint=_HINT
                    ) from fault
            self._db.execute("COMMIT")


def _fields(row: dict[str, str | None]) -> dict[str, Any]:
    """Return cells as the nested fields of a patient file; an empty cell was not asked."""
    found: dict[str, Any] = {}
    for name, cell in row.items():
        text = (cell or "").strip()
        if not text:
            continue
        *places, last = name.strip().split(".")
        part = found
        for place in places:
            part = part.setdefault(place, {})
        part[last] = _value(text)
    return found


def _value(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number
