"""The tables of a cohort as Parquet, streamed out of the ledger: memory does not grow with the number of studies.

The same ledger content gives the same bytes: rows are in order of their key, one thread writes, nothing of a clock is
in them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb

from hepacalc.cohort.ledger import Ledger, unpacked
from hepacalc.cohort.policy import class_of
from hepacalc.cohort.schema import TABLES
from hepacalc.errors import LedgerError
from hepacalc.folders import told

__all__ = ["connect", "read_tables", "write_tables"]

_MEMORY = "512MB"
_WRITING = "128MB"
_ROW_GROUP = 16_384
_LONGEST_LINE = 2**20
_ASSESSED = """
SELECT s.input_hash, min(s.source), count(*), max(s.study_uid), max(s.site), max(s.age_years), max(s.sex), r.version,
  r.rows
FROM results r JOIN studies s ON s.input_hash = r.input_hash
WHERE s.status IN ('done','duplicate','gone') GROUP BY s.input_hash ORDER BY s.input_hash
"""
_FAILED = """
SELECT source, input_hash, study_uid, site, age_years, sex, code, name, message, hint FROM studies
WHERE status='failed' ORDER BY source
"""
_RUNS = """
SELECT s.source, a.version, a.attempt, a.status, a.stages, a.code, a.seconds, a.peak_mb, a.worker, a.ended
FROM attempts a JOIN studies s ON s.id = a.study ORDER BY s.source, a.rowid
"""


def connect(
    memory: str = _MEMORY, threads: int | None = None, temporary: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that keeps to its memory, spills to a folder, and never asks a network for anything."""
    held = duckdb.connect(":memory:")
    held.execute(f"SET memory_limit='{memory}'")
    held.execute("SET autoinstall_known_extensions=false")
    held.execute("SET preserve_insertion_order=true")
    if temporary is not None:
        held.execute(f"SET temp_directory='{_quoted(temporary)}'")
    if threads is not None:
        held.execute(f"SET threads={threads}")
    return held


def write_tables(ledger: Ledger, out: Path) -> dict[str, int]:
    """Write every table to ``out`` as ``NAME.parquet`` and return its number of rows.

    Raises:
        OutputError: the folder cannot be written.
    """
    with told(Path("OUT")), tempfile.TemporaryDirectory(prefix=".tables-", dir=out.parent) as name:
        stage = Path(name)
        _write_lines(ledger, stage)
        out.mkdir(exist_ok=True)
        counts = {}
        with connect(_WRITING, threads=1, temporary=stage / "spill") as held:
            for table, columns in TABLES.items():
                kinds = "{" + ", ".join(f"'{c.name}': '{c.type}'" for c in columns) + "}"
                source = _quoted(stage / f"{table}.jsonl")
                target = stage / f"{table}.parquet"
                done = held.execute(
                    f"COPY (SELECT * FROM read_json('{source}', format='newline_delimited', columns={kinds}, "
                    f"maximum_object_size={_LONGEST_LINE})) TO '{_quoted(target)}' "
                    f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
                ).fetchone()
                counts[table] = int(done[0]) if done else 0
                (stage / f"{table}.jsonl").unlink()
        for table in TABLES:
            (stage / f"{table}.parquet").replace(out / f"{table}.parquet")
    return counts


def read_tables(folder: Path, *, memory: str = _MEMORY, temporary: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB in which the tables of a cohort are views under their names.

    Args:
        folder: that of ``cohort run``, or the one with the Parquet files.
        memory: most that it takes.
        temporary: folder for what does not fit.

    Raises:
        LedgerError: the tables are not there.
    """
    place = folder / "tables" if (folder / "tables").is_dir() else folder
    missing = [name for name in TABLES if not (place / f"{name}.parquet").is_file()]
    if missing:
        raise LedgerError(
            f"the tables {', '.join(missing)} are not in this folder.",
            hint="Give the folder that `hepacalc cohort run -o` wrote.",
        )
    held = connect(memory, temporary=temporary)
    for name in TABLES:
        held.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{_quoted(place / f'{name}.parquet')}')")
    return held


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write_lines(ledger: Ledger, stage: Path) -> None:
    """Write the rows of every table as JSON lines, in order."""
    with ExitStack() as stack:
        files = {
            name: stack.enter_context((stage / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n"))
            for name in TABLES
        }
        for key, source, copies, uid, site, age, sex, version, data in ledger.db.execute(_ASSESSED):
            about = {"study_uid": uid, "source": source, "copies": copies, "site": site, "age_years": age, "sex": sex}
            begin = {"study_key": key}
            begins = {"studies": _line(begin | about | {"version": version})}
            for name, text in unpacked(data):
                # rows are put behind their key as they are: to read and write a million of them again takes minutes
                start = begins.setdefault(name, _line(begin))[:-2]
                files[name].write(f"{start}}}\n" if text == "{}" else f"{start},{text[1:]}\n")
        failed = ("source", "study_key", "study_uid", "site", "age_years", "sex", "code", "name", "message", "hint")
        for row in ledger.db.execute(_FAILED):
            held = dict(zip(failed, row, strict=True))
            files["failures"].write(_line(held | {"class": class_of(str(held["code"]))}))
        for row in ledger.db.execute(_RUNS):
            files["runs"].write(_line(dict(zip((c.name for c in TABLES["runs"]), row, strict=True))))
        for row in _flow(ledger):
            files["flow"].write(_line(row))


def _flow(ledger: Ledger) -> Iterator[dict[str, Any]]:
    held = ledger.counts()
    waiting = sum(held.get(name, 0) for name in ("found", "hashed", "running"))
    steps = {"found": sum(held.values()), "gone": held.get("gone", 0), "duplicate": held.get("duplicate", 0),
             "waiting": waiting, "failed": held.get("failed", 0), "assessed": held.get("done", 0)}  # fmt: skip
    for step, (what, count) in enumerate(steps.items(), 1):
        yield {"step": step, "what": what, "studies": count}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
