"""A worker process: takes jobs from standard input, one after the other, and tells what came of them.

It stays warm: what is imported and loaded for the first study serves the next ones. It ends with the process that
started it. Messages are pickles with their length before them; only this program's own processes write them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from hepacalc.cohort.executor import Fault, Job, Outcome, fault_of
from hepacalc.errors import HepacalcError, OutOfMemory, UnexpectedFault
from hepacalc.threads import SETTING

__all__ = ["THREAD_SETTINGS", "out_of_memory", "receive", "resident_mb", "send"]

THREAD_SETTINGS = (
    SETTING,
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""What tells the threads of a study to every library that a worker loads; they read it when they are loaded."""
_LENGTH = struct.Struct("<Q")
_WATCH_SECONDS = 0.5
_SLACK_MB = 2048
"""Address space beyond the limit: what threads and arenas reserve and never use."""


def send(pipe: IO[bytes], message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Return the next message.

    Raises:
        EOFError: there is none any more.
    """
    head = pipe.read(_LENGTH.size)
    data = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if not data or len(data) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return pickle.loads(data)


def resident_mb(pid: int | str = "self", field: str = "VmRSS") -> float:
    """Return a line of ``/proc/PID/status`` in MB; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def out_of_memory(memory_mb: float) -> OutOfMemory:
    """Return the error of a study that needs more than it may have."""
    return OutOfMemory(
        f"one study may have {memory_mb:.0f} MB of memory, and this one needs more.",
        hint="It is tried again with fewer at once; else give more with --memory-limit.",
    )


class _Caught:
    """Context manager that turns whatever leaves it into a fault, told without the words of a foreign error."""

    def __init__(self, memory_mb: float) -> None:
        self._memory_mb = memory_mb
        self.fault: Fault | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, HepacalcError):
            self.fault = fault_of(error)
        elif isinstance(error, MemoryError) or any(w in str(error) for w in ("bad_alloc", "allocate memory")):
            self.fault = fault_of(out_of_memory(self._memory_mb))
        else:
            place = traceback.extract_tb(trace)[-1]
            where = f"{Path(place.filename).stem}:{place.lineno}"
            self.fault = fault_of(
                UnexpectedFault(
                    f"something unexpected ({type(error).__name__} in {where}).",
                    hint="Please report it; hepacalc assess --debug STUDY shows where it happened.",
                )
            )
        return True


def run_job(job: Job) -> Outcome:
    """Work on one job and return what came of it."""
    start = time.perf_counter()
    value: Any = None
    with _Caught(job.memory_mb) as caught, _address_space(job.memory_mb), _peak() as peak:
        module, _, name = job.work.partition(":")
        value = getattr(import_module(module), name)(job.argument)
    worker = f"{os.uname().nodename}/{os.getpid()}" if hasattr(os, "uname") else str(os.getpid())
    return Outcome(job.id, value, caught.fault, time.perf_counter() - start, peak[0], worker)


@contextlib.contextmanager
def _peak() -> Iterator[list[float]]:
    """Measure the most memory that the process holds while the block runs."""
    found = [0.0]
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    try:
        yield found
    finally:
        found[0] = resident_mb(field="VmHWM")


@contextlib.contextmanager
def _address_space(memory_mb: float) -> Iterator[None]:
    """Refuse one sudden allocation that is far beyond the limit; the rest is watched from outside."""
    held = resident_mb(field="VmSize")
    if not held:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int((held + memory_mb + _SLACK_MB) * 2**20)
    most = before[1] if before[1] != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_AS, (min(wanted, most), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _end_with(parent: int, folder: str) -> None:
    """Leave as soon as the process that started this one is gone, and take the temporary folder along."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main(warm: str, folder: str) -> None:
    """Serve jobs from standard input until it ends; ``folder`` is for temporary files and removed at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(), folder), daemon=True).start()
    try:
        _serve(warm)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(warm: str) -> None:
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)  # what a library prints goes nowhere
    with source, sink:
        if warm:
            module, _, name = warm.partition(":")
            getattr(import_module(module), name)()
        send(sink, "ready")
        while True:
            try:
                job = receive(source)
            except EOFError:
                return
            if job is None:
                return
            send(sink, run_job(job))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
