"""Work on this machine: a few warm worker processes, each watched for time and memory."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from hepacalc.cohort.executor import Fault, Job, Outcome, fault_of
from hepacalc.cohort.scratch import make_scratch, sweep
from hepacalc.cohort.worker import THREAD_SETTINGS, out_of_memory, receive, resident_mb, send
from hepacalc.errors import HepacalcError, OutOfTime, WorkerLost

__all__ = ["LocalExecutor", "cores"]

_TICK_SECONDS = 0.1
_BOOT_SECONDS = 600.0
"""A worker that is not ready by then is given up."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(eq=False)
class _Worker:
    """One worker process and what it works on."""

    process: subprocess.Popen[bytes]
    folder: str
    is_ready: bool = False
    job: Job | None = None
    since: float = field(default_factory=time.monotonic)
    done: int = 0

    @property
    def shown(self) -> str:
        return str(self.process.pid)


class LocalExecutor:
    """Runs jobs in worker processes of this machine.

    Args:
        workers: jobs at the same time.
        threads: of each worker.
        warm: ``module:function`` that a worker calls before its first job.
        recycle: a worker is replaced after so many jobs, so that what a library leaks does not add up.
    """

    name = "local"

    def __init__(self, workers: int, *, threads: int = 1, warm: str | None = None, recycle: int = 200) -> None:
        self._at_once = workers
        self._threads = threads
        self._warm = warm or ""
        self._recycle = recycle
        self._workers: list[_Worker] = []
        self._told: queue.Queue[tuple[_Worker, object]] = queue.Queue()
        sweep()

    @property
    def at_once(self) -> int:
        """How many jobs are worked on at the same time."""
        return self._at_once

    @property
    def busy(self) -> int:
        """How many jobs it has."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""
        return max(0, self._at_once - self.busy)

    def submit(self, job: Job) -> None:
        """Give a job to a worker that has none; one is started when needed."""
        worker = next((one for one in self._workers if one.job is None), None)
        if worker is None:
            worker = self._start()
        worker.job, worker.since = job, time.monotonic()
        assert worker.process.stdin is not None
        try:
            send(worker.process.stdin, job)
        except OSError:
            self._told.put((worker, None))  # it died while it waited

    def ended(self, wait_seconds: float) -> list[Outcome]:
        """Return the outcomes that are there; wait for the first one at most so long."""
        until = time.monotonic() + wait_seconds
        found: list[Outcome] = []
        while self.busy:
            left = 0.0 if found else until - time.monotonic()
            try:
                worker, message = self._told.get(timeout=max(0.0, min(_TICK_SECONDS, left)))
            except queue.Empty:
                found += [out for one in tuple(self._workers) if (out := self._overdrawn(one)) is not None]
                if found or left <= 0:
                    break
                continue
            if (outcome := self._heard(worker, message)) is not None:
                found.append(outcome)
        return found

    def limit(self, at_once: int) -> None:
        """Work on fewer jobs at the same time; workers that have nothing to do then end."""
        self._at_once = at_once
        for worker in [one for one in self._workers if one.job is None][: max(0, len(self._workers) - at_once)]:
            self._stop(worker)

    def close(self) -> None:
        """Stop all workers."""
        for worker in tuple(self._workers):
            self._stop(worker)

    def _start(self) -> _Worker:
        settings = dict.fromkeys(THREAD_SETTINGS, str(self._threads))
        path = os.pathsep.join(entry for entry in sys.path if entry)
        folder, held = make_scratch()
        worker = _Worker(
            subprocess.Popen(
                [sys.executable, "-m", "hepacalc.cohort.worker", self._warm, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | settings | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore", "TMPDIR": folder},
                pass_fds=() if held is None else (held,),
            ),
            folder,
        )
        if held is not None:
            os.close(held)  # the worker holds it now
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        """Pass on what a worker says until it says nothing more."""
        assert worker.process.stdout is not None
        try:
            while True:
                self._told.put((worker, receive(worker.process.stdout)))
        except (EOFError, OSError, ValueError):
            self._told.put((worker, None))

    def _heard(self, worker: _Worker, message: object) -> Outcome | None:
        if worker not in self._workers:
            return None  # the last words of one that was stopped
        if message == "ready":
            worker.is_ready, worker.since = True, time.monotonic()
            return None
        if isinstance(message, Outcome):
            worker.job, worker.done = None, worker.done + 1
            if worker.done >= self._recycle or len(self._workers) > self._at_once:
                self._stop(worker)
            return message
        status = worker.process.wait()
        if worker.job is None:
            self._stop(worker)
            return None
        # the kernel's own answer to a lack of memory is signal 9
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return self._lost(
            worker,
            WorkerLost(
                f"the process that worked on the study ended {how}.",
                hint="It is tried again; if it goes on, look at the study by itself with hepacalc assess.",
            ),
        )

    def _overdrawn(self, worker: _Worker) -> Outcome | None:
        """Stop a worker that has taken too much time or memory."""
        job = worker.job
        if job is None:
            return None
        took = time.monotonic() - worker.since
        if not worker.is_ready:
            return None if took < _BOOT_SECONDS else self._lost(worker, _no_start())
        if took > job.seconds:
            return self._lost(
                worker,
                OutOfTime(
                    f"one study may take {job.seconds:.0f} s, and this one takes longer.",
                    hint="Give more time with --time-limit.",
                ),
            )
        held = resident_mb(worker.process.pid)
        if held > job.memory_mb:
            return self._lost(worker, out_of_memory(job.memory_mb), held)
        return None

    def _lost(self, worker: _Worker, error: HepacalcError, peak_mb: float = 0.0) -> Outcome:
        assert worker.job is not None
        fault: Fault = fault_of(error)
        outcome = Outcome(worker.job.id, None, fault, time.monotonic() - worker.since, peak_mb, worker.shown)
        self._stop(worker)
        return outcome

    def _stop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.wait()
        shutil.rmtree(worker.folder, ignore_errors=True)
        for pipe in (worker.process.stdin, worker.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was left in a broken pipe


def _no_start() -> WorkerLost:
    return WorkerLost(
        f"a worker process was not ready after {_BOOT_SECONDS:.0f} s.", hint="Look at the load of the machine."
    )
