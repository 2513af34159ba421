"""The tables of a cohort without identity: keys and UIDs mapped by a secret, paths and free texts gone."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import tempfile
from pathlib import Path

from hepacalc.cohort.schema import TABLES
from hepacalc.cohort.tables import read_tables
from hepacalc.errors import UsageError
from hepacalc.folders import told

__all__ = ["LEFT_OUT", "export_tables"]

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "studies": ("study_uid", "source", "series_uid", "copies"),
    "findings": ("said",),
    "failures": ("source", "study_key", "study_uid", "message", "hint"),
    "runs": ("source", "worker", "ended"),
}
"""Columns that are not exported: paths, UIDs, texts that a person may have written, machines and clocks."""
_TABLES = tuple(TABLES)


def export_tables(folder: Path, out: Path, *, key: bytes | None = None) -> dict[str, int]:
    """Write the tables without identity to a new folder; return their numbers of rows.

    ``study_key`` becomes a keyed hash (the same in every table; the same in every export with the same key), sites
    become ``site 1`` ... in an order that the key draws, dates become days after the first one of all plans, ages end
    at 90.

    Args:
        folder: of ``cohort run``.
        out: new or empty folder.
        key: secret; None: a new one that is thrown away.

    Raises:
        UsageError: ``out`` holds something.
        LedgerError: the tables are not there.
        OutputError: it cannot be written.
    """
    secret = key or secrets.token_bytes(32)
    with told(Path(out.name)):
        if out.exists() and any(out.iterdir()):
            raise UsageError("wanted a new or empty folder.", hint="Choose another one with -o.")
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="hepacalc-") as name, read_tables(folder, temporary=Path(name)) as held:
            for column in ("study_key", "site"):
                lines = Path(name, f"{column}.jsonl")
                source = (
                    "SELECT DISTINCT study_key FROM studies"
                    if column == "study_key"
                    else (
                        "SELECT DISTINCT site FROM (SELECT site FROM studies UNION SELECT site FROM failures) "
                        "WHERE site IS NOT NULL"
                    )
                )
                with lines.open("w", encoding="utf-8") as sink:
                    rows = held.execute(source)
                    while batch := rows.fetchmany(10_000):
                        for (value,) in batch:
                            sink.write(json.dumps({"was": value, "is": _mapped(str(value), secret)}) + "\n")
                held.execute(
                    f"CREATE TABLE map_{column} AS SELECT * FROM read_json('{lines}', format='newline_delimited', "
                    "columns={'was': 'VARCHAR', 'is': 'VARCHAR'})"
                )
            counts = {}
            for table in _TABLES:
                target = str(out / f"{table}.parquet").replace("'", "''")
                done = held.execute(
                    f"COPY ({_without(table)}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
                ).fetchone()
                counts[table] = int(done[0]) if done else 0
    return counts


def _mapped(value: str, key: bytes) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]


def _without(table: str) -> str:
    """Return the query of a table without identity."""
    names = [c.name for c in TABLES[table] if c.name not in LEFT_OUT.get(table, ())]
    shown = []
    joins = ""
    for name in names:
        if name == "study_key":
            shown.append('k."is" AS study_key')
            joins += " JOIN map_study_key k ON t.study_key = k.was"
        elif name == "site":
            shown.append("CASE WHEN p.place IS NULL THEN NULL ELSE concat('site ', p.place) END AS site")
            joins += (
                ' LEFT JOIN (SELECT was, row_number() OVER (ORDER BY "is") AS place FROM map_site) p ON t.site = p.was'
            )
        elif name in ("due_from", "due_to"):
            shown.append(
                f"CAST(date_diff('day', (SELECT min(CAST(due_from AS DATE)) FROM plans), CAST(t.{name} AS DATE)) AS "
                f"VARCHAR) AS {name}"
            )
        elif name == "age_years":
            shown.append("least(t.age_years, 90) AS age_years")
        else:
            shown.append(f't."{name}"')
    order = " ORDER BY 1" if names[0] == "study_key" else ""
    return f"SELECT {', '.join(shown)} FROM {table} t{joins}{order}"
