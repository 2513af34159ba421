"""Cohorts: a thousand small studies on processes and on Ray, killed in the middle; a million rows; reading reports.

``COHORT_STUDIES`` and ``COHORT_ROWS`` make it smaller, ``COHORT_ONLY="kills overhead"`` measures these sections alone.
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
from collections.abc import Callable, Iterator
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
from hepacalc.cohort.versions import stage_versions

ROOT = Path(__file__).resolve().parents[1]
STUDIES = int(os.environ.get("COHORT_STUDIES", "1000"))
ROWS = int(os.environ.get("COHORT_ROWS", "1000000"))
Row = dict[str, Any]


def row(name: str, value: Any, unit: str, target: str = "-", ok: bool | None = None) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": ok}


def rows() -> Iterator[Row]:
    """Measure; each row as soon as it is there.

    Raises:
        SystemExit: ``COHORT_ONLY`` names a section that is none.
    """
    asked = os.environ.get("COHORT_ONLY", "").split() or list(SECTIONS)
    if unknown := set(asked) - set(SECTIONS):
        raise SystemExit(f"COHORT_ONLY wants some of: {' '.join(SECTIONS)}; found {' '.join(sorted(unknown))}.")
    for name in asked:
        with tempfile.TemporaryDirectory() as folder:
            yield from SECTIONS[name](Path(folder))


def _scaling(folder: Path) -> Iterator[Row]:
    """The same studies on one worker and on two, each the best of two runs."""
    few = folder / "few"
    make_cohort(few, max(8, STUDIES // 20), broken=0)
    stage_versions({})  # kept for the process: not a part of the first run only
    spent = [(workers, _spent(few, folder / f"few-{k}", workers)) for k, workers in enumerate((1, 2, 1, 2))]
    one, two = (min(found for workers, found in spent if workers == count) for count in (1, 2))
    yield row("scaling, 1 -> 2 local workers of one thread", one[0] / two[0], "times", ">= 1.8", one[0] / two[0] >= 1.8)
    for name, found in (("1 worker", one), ("2 workers", two)):
        yield row(f"scaling, {name}: CPU time of workers for each second", found[1] / found[0], "s")
        yield row(f"scaling, {name}: CPU time of workers", found[1], "s")
        yield row(f"scaling, {name}: CPU time of the driver", found[2], "s")


def _spent(root: Path, out: Path, workers: int) -> tuple[float, float, float]:
    """Return the seconds of a run, and the CPU seconds of its workers and of this process."""
    start, before = time.perf_counter(), os.times()
    _run(root, out, workers)
    took, after = time.perf_counter() - start, os.times()
    theirs = after.children_user + after.children_system - before.children_user - before.children_system
    return took, theirs, after.user + after.system - before.user - before.system


def _runs(folder: Path) -> Iterator[Row]:
    """All studies on two workers, and on two Ray nodes."""
    expected = make_cohort(folder / "in", STUDIES)
    good = STUDIES - len(expected)
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


def _overhead(_: Path) -> Iterator[Row]:
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


def _million(_: Path) -> Iterator[Row]:
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


def _page(folder: Path) -> Iterator[Row]:
    tables = make_tables(folder / "tables", ROWS, 5 * ROWS)
    told = json.loads(_apart("benchmarks.cohort", tables, folder / "report.html"))
    yield row(f"cohort report, {ROWS} studies and {5 * ROWS} foci", told["s"], "s", "<= 60", told["s"] <= 60)
    yield row("cohort report: peak memory", told["mb"] / 1024, "GB", "<= 2", told["mb"] <= 2048)
    yield row("cohort report: size of the page", told["kb"], "kB")


def _reading(_: Path) -> Iterator[Row]:
    if importlib.util.find_spec("benchmarks.report_reading") is not None:
        yield from import_module("benchmarks.report_reading").rows()


SECTIONS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "scaling": _scaling,
    "runs": _runs,
    "kills": _kills,
    "overhead": _overhead,
    "million": _million,
    "page": _page,
    "reading": _reading,
}


def _report(tables: Path, page: Path) -> None:
    from hepacalc.cohort.report import write_cohort_report

    start = time.perf_counter()
    write_cohort_report(tables, page)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": spent, "mb": peak, "kb": page.stat().st_size / 1024}))


if __name__ == "__main__":
    _report(Path(sys.argv[1]), Path(sys.argv[2]))
