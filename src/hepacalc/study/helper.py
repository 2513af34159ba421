"""Two helper processes that decode compressed frames; see ``_worker.py`` for why."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from hepacalc.errors import MissingDependency
from hepacalc.study._worker import ANSWER, JPEG, JPEG_2000, JPEG_LS, REQUEST, RLE
from hepacalc.threads import thread_count

__all__ = ["WORKERS", "Helpers"]

WORKERS = 2
"""Helper processes, and threads that feed them, at most; fewer where a study has one thread."""
_KINDS = {"jpeg": JPEG, "jpeg-ls": JPEG_LS, "jpeg-2000": JPEG_2000, "rle": RLE}
_SCRIPT = Path(__file__).with_name("_worker.py")
_PIPE_BYTES = 2**20


class Helpers:
    """Helper processes, started when first needed; use as a context manager, from several threads."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        self._count = min(WORKERS, thread_count())
        for _ in range(self._count):
            self._idle.put(None)

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while not self._idle.empty():
            process = self._idle.get()
            if process is not None:
                _stop(process)

    def start(self) -> None:
        """Start the helpers now, so that they are ready when the first frame comes."""
        waiting = [self._idle.get() for _ in range(self._count)]
        for process in waiting:
            self._idle.put(process if process is not None else _start())

    def decode(
        self, data: bytes, kind: str, *, rows: int, columns: int, precision: int, allocated: int, is_signed: bool
    ) -> bytes | None:
        """Return the raw samples of a frame, little endian; None when it cannot be decoded.

        Raises:
            MissingDependency: the helper process cannot be started.
        """
        process = self._idle.get()
        try:
            if process is None:
                process = _start()
            raw = _ask(
                process,
                REQUEST.pack(_KINDS[kind], rows, columns, precision, allocated, int(is_signed), len(data)),
                data,
            )
        except OSError:
            # the helper died of the frame
            if process is not None:
                _stop(process)
            process = None
            return None
        finally:
            self._idle.put(process)
        return raw


def _ask(process: subprocess.Popen[bytes], request: bytes, data: bytes) -> bytes | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request)
    process.stdin.write(data)
    process.stdin.flush()
    head = process.stdout.read(ANSWER.size)
    if len(head) < ANSWER.size:
        raise BrokenPipeError
    status, length = ANSWER.unpack(head)
    raw = process.stdout.read(length)
    if len(raw) < length:
        raise BrokenPipeError
    return raw if status == 0 else None


def _start() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), os.pathsep.join(path for path in sys.path if path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
        )
    except OSError as cause:
        raise MissingDependency(
            "The helper process that decodes compressed images cannot be started.",
            hint="Allow Python to start processes here, or send uncompressed images.",
        ) from cause


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue  # what was left in a broken pipe
    process.kill()
    process.wait()
