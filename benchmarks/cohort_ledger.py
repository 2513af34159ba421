"""What a million studies cost the driver: the real loop of a run, with work that takes no time."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from hepacalc.cohort import driver, run
from hepacalc.cohort.executor import Executor, Job, Outcome
from hepacalc.cohort.ledger import Source
from hepacalc.cohort.worker import resident_mb

MEASUREMENT_COLUMNS = 30


class Instant:
    """An executor whose work is done when it is asked for; its results have the size of real ones."""

    name = "instant"
    at_once = 64

    def __init__(self) -> None:
        self._done: list[Outcome] = []
        self.marks: list[tuple[int, float, float]] = []
        self._count = 0

    @property
    def busy(self) -> int:
        return len(self._done)

    @property
    def room(self) -> int:
        return self.at_once - len(self._done)

    def submit(self, job: Job) -> None:
        value: dict[str, Any]
        if job.work == driver.PROBE:
            told = {"study_uid": f"2.25.{job.id}", "age_years": 50.0, "sex": "female", "files": 300, "bytes": 10**8}
            value = told | {"input_hash": f"{job.id * 2654435761 % 2**64:040x}"}
        else:
            value = {"stages": "liver,foci,reason", "rows": _rows(job.id)}
            self._count += 1
            if self._count % 10_000 == 0:
                self.marks.append((self._count, time.process_time(), resident_mb()))
        self._done.append(Outcome(job.id, value, None, 0.0, 0.0, "here"))

    def ended(self, wait_seconds: float) -> list[Outcome]:
        found, self._done = self._done, []
        return found

    def limit(self, at_once: int) -> None:
        """As many as ever."""

    def close(self) -> None:
        """Nothing to stop."""


def _rows(number: int) -> dict[str, Any]:
    focus = {f"mass_mg{k}": (number * 7919 + k) % 100_003 / 7 for k in range(MEASUREMENT_COLUMNS)}
    return {
        "studies": [{"calcifications": number % 3, "certain": 0, "indeterminate": 0} | focus],
        "foci": [{"focus_id": k, "kind": "calcification"} | focus for k in range(5)],
        "lesions": [{"lesion_id": 1, "kind": "calcification"}],
    }


def _sources(count: int) -> Iterator[Source]:
    for k in range(count):
        yield Source(f"site-{k % 40}/patient-{k // 3}/study-{k}", f"{k:016x}")


def measure(count: int) -> dict[str, float]:
    """Run a cohort of so many studies; return CPU ms a study, how far memory grew, and its peak in MB."""
    made = Instant()

    def instant(*_: object, **__: object) -> Executor:
        return made

    driver.make_executor = instant  # type: ignore[assignment]
    run.find_studies = lambda root, **_: _sources(count)  # type: ignore[assignment]
    start = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        Path(name, "in").mkdir()
        real, run.write_tables = run.write_tables, lambda ledger, out: {}  # timed apart
        run.run_cohort(Path(name, "in"), Path(name, "out"), run.Options(workers=64))
        spent = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        with run.Ledger(Path(name, "out", run.LEDGER)) as ledger:
            real(ledger, Path(name, "out", "tables"))
        tables = time.perf_counter() - start
    marks = made.marks
    early = marks[max(0, len(marks) // 10 - 1)][2]
    slope = [(b[1] - a[1]) / (b[0] - a[0]) * 1000 for a, b in pairwise(marks)]
    tenth = max(1, len(slope) // 10)
    return {
        "ms": 1000 * spent / count,
        "ms_last": sum(slope[-tenth:]) / tenth,
        "grown_mb": marks[-1][2] - early,
        "peak_mb": peak,
        "tables_s": tables,
        "peak_with_tables_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measured_apart(count: int) -> dict[str, float]:
    """As :func:`measure`, in a process of its own, so that its peak is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cohort_ledger", str(count)], stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
