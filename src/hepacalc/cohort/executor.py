"""What works on many studies at once, and what it is given and gives back.

Every executor passes ``tests/contract/test_executor.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, Protocol, runtime_checkable

from hepacalc.cohort.ray_settings import set_quiet
from hepacalc.errors import HepacalcError, MissingDependency, UsageError

__all__ = ["ENGINES", "Executor", "Fault", "Job", "Outcome", "fault_of", "make_executor"]

ENGINES = ("local", "ray")


class Fault(NamedTuple):
    """An error that crossed from one process into another: its code, class, and words without identity."""

    code: str
    name: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Args:
        id: by which its outcome is known.
        work: what does it, ``module:function``; it takes one value and returns one, both can be pickled.
        argument: what it takes.
        seconds: it is stopped when it takes longer.
        memory_mb: it is stopped when its process holds more than this (resident; a warm worker holds about 200 MB).
    """

    id: int
    work: str
    argument: Any
    seconds: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Args:
        job: its id.
        value: what the work returned; None with a fault.
        fault: why there is no value.
        seconds: that it took.
        peak_mb: most memory that its process held at a time (resident, Linux); 0 where that is not known.
        worker: process, and machine, that worked on it.
    """

    job: int
    value: Any
    fault: Fault | None
    seconds: float
    peak_mb: float
    worker: str


@runtime_checkable
class Executor(Protocol):
    """Works on jobs in other processes; a job that dies takes nothing else with it.

    Each submitted job gives exactly one outcome, whatever happens to its process. One thread uses it.
    """

    @property
    def name(self) -> str:
        """Name by which :func:`make_executor` knows it."""
        ...

    @property
    def at_once(self) -> int:
        """How many jobs are worked on at the same time."""
        ...

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""
        ...

    @property
    def busy(self) -> int:
        """How many jobs it has."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; only while there is :attr:`room`."""
        ...

    def ended(self, wait_seconds: float) -> list[Outcome]:
        """Return the outcomes that are there; wait for the first one at most so long."""
        ...

    def limit(self, at_once: int) -> None:
        """Work on fewer jobs at the same time, or on more again."""
        ...

    def close(self) -> None:
        """Stop everything; jobs that are not done are lost."""
        ...


def fault_of(error: HepacalcError) -> Fault:
    """Return what crosses to another process of one of our errors."""
    return Fault(error.code, type(error).__name__, error.message, error.hint)


def make_executor(
    engine: str, *, workers: int, threads: int, warm: str | None = None, address: str | None = None, recycle: int = 200
) -> Executor:
    """Return an executor that is ready to take jobs.

    Args:
        engine: from :data:`ENGINES`.
        workers: jobs at the same time; 0: as many as the machine, or the cluster, has cores for.
        threads: of each job.
        warm: ``module:function`` that a worker calls before its first job.
        address: of a Ray cluster; None starts one on this machine.
        recycle: a worker process is replaced after so many jobs.

    Raises:
        UsageError: there is no such engine, or an address without a cluster.
        MissingDependency: the extra ``ray`` is not installed.
        WorkerLost: the cluster cannot be reached.
    """
    if engine == "local":
        if address is not None:
            raise UsageError("--address names a Ray cluster.", hint="Give --engine ray too.")
        from hepacalc.cohort.local import LocalExecutor, cores

        return LocalExecutor(workers or max(1, cores() // threads), threads=threads, warm=warm, recycle=recycle)
    if engine != "ray":
        raise UsageError(f"there is no engine called {engine!r}.", hint=f"Choose one of: {', '.join(ENGINES)}.")
    set_quiet()
    try:
        import_module("ray")
    except ModuleNotFoundError as missing:
        raise MissingDependency(
            "The engine ray needs the package ray, which is not installed.", hint='Run: pip install "hepacalc[ray]"'
        ) from missing
    from hepacalc.cohort.ray import RayExecutor

    return RayExecutor(workers, threads=threads, warm=warm, address=address, recycle=recycle)
