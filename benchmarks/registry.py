"""The registry: who is due among a million patients, the history of one, and writers that are killed.

A generated registry (``registry_made.py``) is written to SQLite and to PostgreSQL in bulk; times are taken in a process
that has just started. ``HEPACALC_PATIENTS`` makes it smaller. Writers are real processes
(``tests/registry_crashes.py``).
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [one for one in (str(ROOT / "benchmarks"), str(ROOT / "tests")) if one not in sys.path]

import postgres_server  # noqa: E402
import registry_crashes as crashes  # noqa: E402
from matching import row  # noqa: E402
from registry_made import EXAMS, TODAY, make_postgresql, make_sqlite, patients  # noqa: E402

PATIENTS = int(os.environ.get("HEPACALC_PATIENTS", "1000000"))
WRITES, EACH = 200, 1000
MOST_SECONDS, MOST_MS = 1.0, 50.0
HISTORIES = 200


def rows() -> Iterator[dict[str, Any]]:
    """Yield all rows; none of PostgreSQL where it is not installed."""
    why = postgres_server.missing()
    if why:
        sys.stderr.write(f"registry: without PostgreSQL: {why}\n")
        yield from _on_both(None)
        return
    with postgres_server.server(durable=True) as url:
        yield from _on_both(url)


def _on_both(url: str | None) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {"SQLite": str(folder / "made.sqlite")}
        if url is not None:
            places["PostgreSQL"] = postgres_server.empty_database(url, "made")
        yield from _large(places)
        for kind in places:

            def place(name: str, kind: str = kind) -> str:
                return str(folder / name) if kind == "SQLite" else postgres_server.empty_database(url or "", name)

            yield from _crash(
                f"{kind}: kill -9 during each of {WRITES} writes", crashes.killed(place("killed"), WRITES, seed=3)
            )
            told = crashes.two_at_once(place("two"), EACH)
            yield from _crash(f"{kind}: two processes writing {EACH} each", told, wanted=2 * EACH)
        full = crashes.without_room(str(folder / "full.sqlite"), 2_000_000)
        yield from _crash("SQLite: no room left (RLIMIT_FSIZE)", full)
        yield row("SQLite: no room left: said so", int("no room" in full.err), "", "= 1", "no room" in full.err)


def _large(places: dict[str, str]) -> Iterator[dict[str, Any]]:
    size = f"{PATIENTS:,} patients, {PATIENTS * EXAMS:,} exams"
    makers: dict[str, Callable[[dict[str, Any]], None]] = {"SQLite": make_sqlite(Path(places["SQLite"]))}
    if "PostgreSQL" in places:
        makers["PostgreSQL"] = make_postgresql(places["PostgreSQL"])
    start, began = time.perf_counter(), time.process_time()
    for part in patients(PATIENTS):
        for write in makers.values():
            write(part)
    for write in makers.values():
        write({})
    yield row(f"making {size}, in all", round(time.perf_counter() - start, 1), "s", "", None)
    yield row(f"making {size}, CPU time of this process", round(time.process_time() - began, 1), "s", "", None)
    for kind, place in places.items():
        done = subprocess.run([sys.executable, __file__, "--ask", place], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        title = f"{kind}, {size}"
        seconds = told["due_seconds"]
        yield row(
            f"{title}: due, all of {told['due']} steps", seconds, "s", f"<= {MOST_SECONDS:g}", seconds <= MOST_SECONDS
        )
        yield row(f"{title}: due, all, CPU time", told["due_cpu"], "s", "", None)
        yield row(f"{title}: due, counts and the first 50", told["page_seconds"], "s", f"<= {MOST_SECONDS:g}",
                  told["page_seconds"] <= MOST_SECONDS)  # fmt: skip
        yield row(f"{title}: due, all as CSV", told["csv_seconds"], "s", "", None)
        yield row(f"{title}: history of one, median of {HISTORIES}", told["history_ms"], "ms", f"<= {MOST_MS:g}",
                  told["history_ms"] <= MOST_MS)  # fmt: skip
        yield row(f"{title}: history of one, 95th percentile", told["history_ms_95"], "ms", "", None)
        yield row(f"{title}: faults of check --quick", told["faults"], "faults", "= 0", told["faults"] == 0)
        yield row(f"{title}: check --quick", told["check_seconds"], "s", "", None)


def _crash(title: str, told: crashes.Outcome, wanted: int | None = None) -> Iterator[dict[str, Any]]:
    yield row(f"{title}: writes that came back", len(told.told), "writes", "" if wanted is None else f"= {wanted}",
              None if wanted is None else len(told.told) == wanted)  # fmt: skip
    yield row(f"{title}: lost", len(told.lost), "writes", "= 0", not told.lost)
    yield row(f"{title}: faults of check", len(told.faults), "faults", "= 0", not told.faults)


def _ask(place: str) -> dict[str, Any]:
    """Times of a registry, in a process that has just started."""
    from hepacalc.followup.schedule import Windows
    from hepacalc.registry.check import check
    from hepacalc.registry.database import open_database
    from hepacalc.registry.due_files import due_csv, due_items
    from hepacalc.registry.queries import due_counts
    from hepacalc.registry.views import history

    today, windows = TODAY.isoformat(), Windows()
    database = open_database(place)
    out: dict[str, Any] = {}
    start, began = time.perf_counter(), time.process_time()
    with database.reading() as connection:
        out["due"] = sum(1 for _ in due_items(connection, today, windows))
    out["due_seconds"], out["due_cpu"] = round(time.perf_counter() - start, 3), round(time.process_time() - began, 3)
    start = time.perf_counter()
    with database.reading() as connection:
        due_counts(connection, today, windows)
        list(due_items(connection, today, windows, most=50))
    out["page_seconds"] = round(time.perf_counter() - start, 3)
    start = time.perf_counter()
    with database.reading() as connection:
        out["csv_bytes"] = len(due_csv(due_items(connection, today, windows)))
    out["csv_seconds"] = round(time.perf_counter() - start, 3)
    rng, times = random.Random(5), []
    for _ in range(HISTORIES):
        key = f"P{rng.randint(1, PATIENTS):08d}"
        start = time.perf_counter()
        with database.reading() as connection:
            assert len(history(connection, key)) == EXAMS + 1
        times.append(1000 * (time.perf_counter() - start))
    out["history_ms"] = round(statistics.median(times), 2)
    out["history_ms_95"] = round(sorted(times)[int(0.95 * len(times))], 2)
    start = time.perf_counter()
    out["faults"] = len(check(database, quick=True).faults)
    out["check_seconds"] = round(time.perf_counter() - start, 1)
    database.close()
    return out


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        sys.stdout.write(json.dumps(_ask(sys.argv[2])))
    else:
        for line in rows():
            sys.stdout.write(json.dumps(line) + "\n")
