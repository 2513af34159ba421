"""Cohorts: a thousand small studies on processes and on Ray, killed in the middle; a million rows; reading reports.

``COHORT_STUDIES`` and ``COHORT_ROWS`` make it smaller.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.cohort_ledger import measured_apart
from benchmarks.cohort_studies import make_cohort
from benchmarks.cohort_tables import make_tables

from hepacalc.cohort.executor import Job, make_executor
from hepacalc.cohort.local import cores
from hepacalc.cohort.run import Options, run_cohort
from hepacalc.cohort.schema import COMPARED
from hepacalc.cohort.tables import read_tables

ROOT = Path(__file__).resolve().parents[1]
STUDIES = int(os.environ.get("COHORT_STUDIES", "1000"))
ROWS = int(os.environ.get("COHORT_ROWS", "1000000"))
Row = dict[str, Any]


def row(name: str, value: Any, unit: str, target: str = "-", ok: bool | None = None) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": ok}


def rows() -> Iterator[Row]:
    """Measure; each row as soon as it is there."""
    with tempfile.TemporaryDirectory() as name:
        yield from _studies(Path(name))
        yield from _kills(Path(name))
        yield from _overhead()
    yield from _million()
    if importlib.util.find_spec("benchmarks.report_reading") is not None:
        yield from import_module("benchmarks.report_reading").rows()


def _studies(folder: Path) -> Iterator[Row]:
    """The same studies on one worker (some), two workers, and two Ray nodes."""
    expected = make_cohort(folder / "in", STUDIES)
    good = STUDIES - len(expected)
    few = folder / "few"
    make_cohort(few, max(8, STUDIES // 25), broken=0)
    # the stages use two threads at times, so one worker that is left both cores does more than one core's work
    bound, free, two = (_timed(few, folder / f"few-{k}", w, c) for k, (w, c) in enumerate(((1, 1), (1, 2), (2, 2))))
    yield row("scaling, 1 local worker on one core -> 2 on two", bound / two, "times", ">= 1.8", bound / two >= 1.8)
    yield row("scaling, 1 local worker that has both cores -> 2", free / two, "times")
    for engine in ("local", "ray"):
        out = folder / engine
        start = time.perf_counter()
        if engine == "local":
            _run(folder / "in", out, 2)
        else:
            _apart("benchmarks.cohort_nodes", folder / "in", out, 0)
        took = time.perf_counter() - start
        with read_tables(out) as held:
            done = held.execute("SELECT count(*) FROM studies").fetchall()[0][0]
            failed = dict(held.execute("SELECT source, code FROM failures").fetchall())
            each = held.execute("SELECT median(seconds), max(peak_mb) FROM runs WHERE stages<>''").fetchall()[0]
        right = sum(failed.get(source) == code for source, code in expected.items())
        yield row(f"{STUDIES} small studies, {engine}: good ones done", done / good, "share", "1", done == good)
        yield row(f"{STUDIES} small studies, {engine}: broken ones with the right code", right / max(1, len(expected)),
                  "share", "1", right == len(expected) == len(failed))  # fmt: skip
        yield row(f"{STUDIES} small studies, {engine}: wall time", took, "s")
        yield row(f"{STUDIES} small studies, {engine}: median of one", each[0], "s")
        yield row(f"{STUDIES} small studies, {engine}: most memory of a worker", each[1], "MB")
    same = sum(
        (folder / "local" / "tables" / f"{t}.parquet").read_bytes()
        == (folder / "ray" / "tables" / f"{t}.parquet").read_bytes()
        for t in COMPARED
    )
    yield row("tables that are the same bytes from local and Ray", same, f"of {len(COMPARED)}", f"{len(COMPARED)}",
              same == len(COMPARED))  # fmt: skip


def _timed(root: Path, out: Path, workers: int, on_cores: int) -> float:
    """Return the seconds of a run on so many cores of this process."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[:on_cores])
    try:
        start = time.perf_counter()
        _run(root, out, workers)
        return time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, all_cores)


def _run(root: Path, out: Path, workers: int) -> None:
    run_cohort(root, out, Options(workers=workers, threads=1))


def _apart(module: str, *arguments: object) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def _kills(folder: Path) -> Iterator[Row]:
    """Stand-ins for studies, and signal 9 for driver, worker and Ray node."""
    for who in ("driver", "worker", "Ray node"):
        place = folder / f"kill-{who.replace(' ', '-')}"
        root = place / "in"
        root.mkdir(parents=True)
        kinds = {"slow": 60} if who != "worker" else {"slow": 50, "once": 10}
        for kind, count in kinds.items():
            for k in range(count):
                (root / f"{kind}-{k:03d}.nii").write_bytes(f"{kind:<8}{k}".encode())
        out, log = place / "out", place / "worked.log"
        if who == "Ray node":
            _apart("tests.cohort_ray_scene", root, out, 15)
        else:
            command = [sys.executable, "-m", "tests.cohort_fakes", str(root), str(out), "local", "2"]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
            driver = subprocess.Popen(command, cwd=ROOT, env=environment)
            while who == "driver" and (not log.exists() or len(log.read_text().splitlines()) < 15):
                time.sleep(0.02)
            if who == "driver":
                driver.kill()
                driver.wait()
                driver = subprocess.Popen(command, cwd=ROOT, env=environment)
            driver.wait()
        with read_tables(out) as held:
            done = held.execute("SELECT count(*) FROM studies").fetchall()[0][0]
            recorded = held.execute("SELECT source, count(*) FROM runs WHERE status='done' GROUP BY 1").fetchall()
        worked = Counter(log.read_text().splitlines())
        yield row(f"{who} killed (signal 9) in the middle: studies lost", 60 - done, "of 60", "0", done == 60)
        twice = sum(count > 1 for _, count in recorded)
        yield row(f"{who} killed: studies done twice", twice, "of 60", "0", twice == 0)
        yield row(f"{who} killed: begun a second time (were in work)", sum(worked.values()) - 60, "of 60")


def _overhead() -> Iterator[Row]:
    """What an engine costs for each study: jobs that do nothing."""
    spent = {}
    for engine in ("local", "ray"):
        executor = make_executor(engine, workers=min(2, cores()), threads=1)
        for count in (20, 400):  # the first ones warm it up
            start, left, busy = time.perf_counter(), count, 0
            while left or busy:
                while left and executor.room:
                    executor.submit(Job(left, "tests.cohort_fakes:double", 1, 60.0, 4000.0))
                    left, busy = left - 1, busy + 1
                busy -= len(executor.ended(1.0))
            spent[engine] = (time.perf_counter() - start) / count
        executor.close()
    yield row("overhead for each study, local", 1000 * spent["local"], "ms")
    more = 1000 * (spent["ray"] - spent["local"])
    yield row("overhead for each study, Ray beyond local", more, "ms", "<= 50", more <= 50)


def _million() -> Iterator[Row]:
    found = measured_apart(ROWS)
    yield row(f"driver and ledger, {ROWS} studies: CPU time of one", found["ms"], "ms", "<= 1", found["ms"] <= 1)
    yield row(
        f"driver and ledger, {ROWS} studies: of the last ones", found["ms_last"], "ms", "<= 1", found["ms_last"] <= 1
    )
    yield row("growth of the driver's memory from a tenth to the end", found["grown_mb"], "MB", "<= 20",
              found["grown_mb"] <= 20)  # fmt: skip
    peak = found["peak_with_tables_mb"]
    yield row(f"driver's peak memory, {ROWS} ledger rows", found["peak_mb"], "MB", "<= 300", found["peak_mb"] <= 300)
    yield row(f"driver's peak memory, {ROWS} ledger rows, tables written", peak, "MB", "<= 300", peak <= 300)
    yield row(f"writing the tables of {ROWS} studies", found["tables_s"], "s")
    with tempfile.TemporaryDirectory() as name:
        tables = make_tables(Path(name, "tables"), ROWS, 5 * ROWS)
        told = json.loads(_apart("benchmarks.cohort", tables, Path(name, "report.html")))
    yield row(f"cohort report, {ROWS} studies and {5 * ROWS} foci", told["s"], "s", "<= 60", told["s"] <= 60)
    yield row("cohort report: peak memory", told["mb"] / 1024, "GB", "<= 2", told["mb"] <= 2048)
    yield row("cohort report: size of the page", told["kb"], "kB")


def _report(tables: Path, page: Path) -> None:
    from hepacalc.cohort.report import write_cohort_report

    start = time.perf_counter()
    write_cohort_report(tables, page)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": spent, "mb": peak, "kb": page.stat().st_size / 1024}))


if __name__ == "__main__":
    _report(Path(sys.argv[1]), Path(sys.argv[2]))
