"""Work on the machines of a Ray cluster: Ray says where, a worker of :mod:`hepacalc.cohort.local` there does the work.

So time and memory are limited on every machine in the same way. A machine that goes takes its jobs with it: each of
them comes back as :class:`hepacalc.errors.WorkerLost`, and is given to another one. No dashboard, no usage
statistics; a cluster that is started here listens on this machine only.
"""

from __future__ import annotations

import logging
import sys
import time
from functools import cache
from types import TracebackType
from typing import Any, Self

import ray

from hepacalc.cohort.executor import Job, Outcome, fault_of
from hepacalc.cohort.local import LocalExecutor, cores
from hepacalc.cohort.worker import out_of_memory
from hepacalc.errors import HepacalcError, UnexpectedFault, WorkerLost

__all__ = ["RayExecutor", "Tried"]

_LONGEST_POLL = 60.0
_LOOPBACK = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""On Linux Ray takes 127.0.0.1 for a mistake and listens on an outer address in its place."""


class RayExecutor:
    """Runs jobs on a Ray cluster.

    Args:
        workers: jobs at the same time; 0: as many as the cluster has cores for.
        threads: of each job; Ray keeps so many cores for it.
        warm: ``module:function`` that a worker calls before its first job.
        address: of a cluster (``host:port``, ``ray://host:port``, ``auto``); None starts one on this machine.
        recycle: a worker process is replaced after so many jobs.

    Raises:
        WorkerLost: the cluster cannot be reached.
    """

    name = "ray"

    def __init__(
        self, workers: int, *, threads: int = 1, warm: str | None = None, address: str | None = None, recycle: int = 200
    ) -> None:
        self._threads, self._warm, self._recycle = threads, warm or "", recycle
        self._is_mine = not ray.is_initialized()
        if self._is_mine:
            _connect(address, workers * threads or cores())
        self._most = workers or max(1, int(_resources().get("CPU", 1)) // threads)
        self._at_once = self._most
        self._refs: dict[Any, tuple[Job, float]] = {}
        self._task = ray.remote(max_retries=0)(_work_here)

    @property
    def at_once(self) -> int:
        """How many jobs are worked on at the same time."""
        return self._at_once

    @property
    def busy(self) -> int:
        """How many jobs it has."""
        return len(self._refs)

    @property
    def room(self) -> int:
        """How many more jobs it takes now: one in waiting for each that is worked on, so that no core waits for us."""
        ahead = self._at_once if self._at_once == self._most else 0
        return max(0, self._at_once + ahead - self.busy)

    def submit(self, job: Job) -> None:
        """Give a job to the cluster; with fewer at once, each keeps more of a machine to itself."""
        share = self._threads * max(1, self._most // self._at_once)
        place = self._task.options(num_cpus=min(share, self._largest()))
        ref = place.remote(job, self._threads, self._warm, self._recycle)
        self._refs[ref] = (job, time.monotonic())

    def ended(self, wait_seconds: float) -> list[Outcome]:
        """Return the outcomes that are there; wait for the first one at most so long."""
        if not self._refs:
            return []
        ready, _ = ray.wait(list(self._refs), num_returns=1, timeout=wait_seconds)
        if ready:
            more, _ = ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
            ready = list(dict.fromkeys([*ready, *more]))
        return [self._outcome(ref) for ref in ready]

    def limit(self, at_once: int) -> None:
        """Work on fewer jobs at the same time, or on more again."""
        self._at_once = min(at_once, self._most)

    def close(self) -> None:
        """Take back what is not done, and leave the cluster."""
        for ref in self._refs:
            ray.cancel(ref, force=True)
        self._refs.clear()
        if self._is_mine:
            ray.shutdown()

    def _outcome(self, ref: Any) -> Outcome:
        job, since = self._refs.pop(ref)
        error: HepacalcError
        try:
            found: Outcome = ray.get(ref)
        except ray.exceptions.OutOfMemoryError:
            error = out_of_memory(job.memory_mb)
        except ray.exceptions.RayTaskError as fault:
            error = UnexpectedFault(
                f"a task failed ({type(fault.cause).__name__}).",
                hint="Is the same hepacalc installed on every machine?",
            )
        except ray.exceptions.RayError as fault:
            error = WorkerLost(
                f"the machine or the process that worked on the study is gone ({type(fault).__name__}).",
                hint="It is tried again on another one.",
            )
        else:
            return found
        return Outcome(job.id, None, fault_of(error), time.monotonic() - since, 0.0, "ray")

    def _largest(self) -> int:
        """Return how many cores the largest machine has."""
        nodes = [int(node["Resources"].get("CPU", 0)) for node in _nodes() if node["Alive"]]
        return max([*nodes, self._threads])


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def _nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


class Tried:
    """Context manager that keeps an error: Ray raises bare exceptions when a cluster cannot be had."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


def _connect(address: str | None, cpus: int) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        WorkerLost: there is none.
    """
    told: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        told |= {"num_cpus": cpus, "include_dashboard": False, "_node_ip_address": _LOOPBACK}
    with Tried() as tried:
        ray.init(address=address or "local", **told)
    if tried.error is None:
        return
    ray.shutdown()
    raise WorkerLost(
        f"the Ray cluster cannot be used ({type(tried.error).__name__}).",
        hint="Check --address; start one with: ray start --head. See docs/howto/ray-cluster.md.",
    ) from tried.error


@cache
def _worker_here(threads: int, warm: str, recycle: int) -> LocalExecutor:
    """Return this Ray process's own worker; it stays warm from job to job and ends with it."""
    return LocalExecutor(1, threads=threads, warm=warm, recycle=recycle)


def _work_here(job: Job, threads: int, warm: str, recycle: int) -> Outcome:
    """Run a job on the machine that Ray chose."""
    worker = _worker_here(threads, warm, recycle)
    worker.submit(job)
    while not (found := worker.ended(_LONGEST_POLL)):
        pass
    return found[0]
