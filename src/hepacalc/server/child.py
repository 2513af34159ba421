"""The process of one job: no database, no network needed, limits of memory and time; ends with its worker.

Its request is one line of JSON on standard input; it tells its progress in lines of JSON on standard output and leaves
``result.json`` in the folder it was given. Nothing else it or a foreign library says gets out: it might be a name.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

from hepacalc.errors import HepacalcError
from hepacalc.server.work import kind_of

__all__ = ["RESULT", "main"]

RESULT = "result.json"
_TELL_S = 0.25
_OUT_OF_MEMORY = {"code": "SRV-08", "message": "the job needs more memory than it may have.",
                  "hint": "Raise limits.job_bytes, or send a smaller study."}  # fmt: skip


def main() -> int:
    """Do the job that standard input asks for; the exit status is 0 when ``result.json`` or an error was told."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    _limit(asked["limits"])
    warnings.simplefilter("ignore")
    out = Path(asked["out"])
    sys.excepthook = lambda kind, _error, _trace: _tell_fault(told, kind)
    try:
        found = kind_of(asked["kind"]).run(asked["request"], out, _teller(told))
        part = out / f".{RESULT}"
        part.write_text(json.dumps(found), "utf-8")
        part.replace(out / RESULT)
        told.write(json.dumps({"done": True}) + "\n")
    except HepacalcError as error:
        told.write(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}) + "\n")
    except MemoryError:
        told.write(json.dumps({"error": _OUT_OF_MEMORY}) + "\n")
    told.flush()
    return 0


def _tell_fault(told: TextIO, kind: type[BaseException]) -> None:
    """Say which kind of fault of ours ended the process; its message might quote a patient."""
    told.write(json.dumps({"fault": kind.__name__}) + "\n")
    told.flush()


def _teller(told: TextIO) -> Any:
    last: list[Any] = [0.0, ""]

    def tell(stage: str, share: float) -> None:
        moment = time.monotonic()
        if stage != last[1] or moment - last[0] >= _TELL_S:
            last[:] = [moment, stage]
            told.write(json.dumps({"stage": stage, "share": round(min(max(share, 0.0), 1.0), 3)}) + "\n")

    return tell


def _limit(limits: dict[str, Any]) -> None:
    seconds = int(limits["job_s"]) * (os.cpu_count() or 1)
    for what, most in (
        (resource.RLIMIT_AS, int(limits["job_bytes"])),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, int(limits["unpacked_bytes"])),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _end_with_worker() -> None:
    """Leave at once when the worker is gone: nobody would take the result."""
    while sys.stdin.read(4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    raise SystemExit(main())
