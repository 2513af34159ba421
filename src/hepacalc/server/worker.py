"""A worker: claims jobs, runs each in a process of its own, commits what it gives. Small, so that it lives long."""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hepacalc.errors import HepacalcError, OutputError, PeerRefused, Unavailable
from hepacalc.server.child import RESULT
from hepacalc.server.database import open_database, writing
from hepacalc.server.faults import UnfinishedJob
from hepacalc.server.files import Store
from hepacalc.server.jobs import MOST_STARTS, Job, LostLease, claim, heartbeat, put_back, set_aside
from hepacalc.server.settings import Settings
from hepacalc.server.telemetry import Span, StageSpans, begin
from hepacalc.server.work import Kind, Site, kind_of

__all__ = ["error_of", "open_site", "run_job", "run_worker", "work"]

COMMAND = [sys.executable, "-m", "hepacalc.server.child"]
"""The process of a job."""
POLL_S = 0.5
_LOG = logging.getLogger("hepacalc.server.worker")
_LONGEST_WAIT_S = 300.0


def open_site(settings: Settings) -> Site:
    """Open a deployment.

    Raises:
        Unavailable: its database cannot be reached.
        UsageError: it is of another version.
    """
    return Site(open_database(settings), settings, Store(settings.data))


def work(site: Site, name: str, *, stopped: Callable[[], bool], kinds: tuple[str, ...] = ()) -> None:
    """Do jobs until ``stopped()``.

    Args:
        site: the deployment.
        name: of this worker; unique.
        stopped: asked between jobs.
        kinds: of job; all when empty.
    """
    wait = POLL_S
    while not stopped():
        try:
            job = claim(site.engine, name, lease_s=site.settings.lease_s, kinds=kinds)
            if job is not None:
                run_job(site, job)
            wait = POLL_S
        except Unavailable as error:
            # the database is gone for a while: nothing is lost, the lease ends by itself
            _LOG.warning("database unavailable", extra={"code": error.code})
            job, wait = None, min(wait * 2, 10.0)
        if job is None:
            _sleep(wait, stopped)


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(0.1)


def run_job(site: Site, job: Job) -> None:
    """Do one job and leave it done, waiting for another try, or set aside.

    Raises:
        Unavailable: the database cannot be reached.
    """
    kind, began = kind_of(job.kind), time.monotonic()
    told: dict[str, Any] = {"job": job.id, "kind": job.kind, "start": job.starts}
    span = begin(f"job {job.kind}", trace=job.trace)
    span.tell(hepacalc__job__id=job.id, hepacalc__job__kind=job.kind, hepacalc__job__start=job.starts)
    try:
        if job.starts > MOST_STARTS:
            raise UnfinishedJob("it was begun too often.", hint="Look at the server's log.")
        out = site.store.new_work()
        try:
            found = _in_process(site, job, kind, out, span)
            with span.current(), span.begin("commit"):
                kind.commit(site, job, out, found)
        finally:
            shutil.rmtree(out, ignore_errors=True)
        _LOG.info("job done", extra={**told, "seconds": round(time.monotonic() - began, 2)})
        span.end()
    except LostLease:
        _LOG.warning("job taken over by another worker", extra=told)
    except HepacalcError as error:
        _LOG.warning("job failed", extra={**told, "code": error.code})
        span.tell(hepacalc__code=error.code)
        with span.current():
            _end(site, job, kind, error)
    finally:
        span.end(failed=True)


def _end(site: Site, job: Job, kind: Kind, error: HepacalcError) -> None:
    died = isinstance(error, UnfinishedJob | PeerRefused)  # another system, too, may think better of it
    tries = job.tries + int(died)
    try:
        if isinstance(error, Unavailable | OutputError):
            put_back(site.engine, job, error, after_s=min(5.0 * 2 ** min(job.starts, 6), _LONGEST_WAIT_S), counts=False)
        elif died and tries < site.settings.limits.tries and job.starts <= MOST_STARTS:
            wait = 30.0 if isinstance(error, PeerRefused) else 1.0
            put_back(site.engine, job, error, after_s=wait * 2**tries, counts=True)
        else:
            with writing(site.engine) as connection:
                set_aside(connection, job, error)
                kind.failed(connection, job, error)
    except LostLease:
        _LOG.warning("job taken over by another worker", extra={"job": job.id})


def _in_process(site: Site, job: Job, kind: Kind, out: Path, span: Span) -> dict[str, Any]:
    """Run a job in a process of its own and return what it found."""
    limits = site.settings.limits
    asked = {
        "kind": job.kind,
        "out": str(out),
        "request": kind.request(site, job),
        "limits": {name: getattr(limits, name) for name in ("job_s", "job_bytes", "unpacked_bytes")},
    }
    temporary = out / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    stages = StageSpans(span)
    try:
        return _followed(site, job, process, asked, out, stages)
    finally:
        stages.end()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        shutil.rmtree(temporary, ignore_errors=True)


def _followed(
    site: Site, job: Job, process: subprocess.Popen[bytes], asked: dict[str, Any], out: Path, stages: StageSpans
) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()
    try:
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
    except OSError as fault:
        raise UnfinishedJob("its process did not start.", hint="Look at the server's log.") from fault
    threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
    end, lease = time.monotonic() + site.settings.limits.job_s, site.settings.lease_s
    stage, share, beaten, shown, fault_name = "", 0.0, time.monotonic(), "", ""
    while True:
        if time.monotonic() > end:
            raise UnfinishedJob("it took longer than a job may.", hint="Raise limits.job_s, or send a smaller study.")
        try:
            line = lines.get(timeout=0.25)
        except queue.Empty:
            line = b" "
        if not line:
            raise UnfinishedJob(_died(process.wait(), fault_name), hint="Raise limits.job_bytes if memory was short.")
        heard = json.loads(line) if line.strip() else {}
        if "error" in heard:
            raise error_of(**heard["error"])
        if "done" in heard:
            found: dict[str, Any] = json.loads((out / RESULT).read_text("utf-8"))
            (out / RESULT).unlink()
            return found
        stage, share = heard.get("stage", stage), heard.get("share", share)
        fault_name = heard.get("fault", fault_name)
        stages.at(stage)
        quiet = time.monotonic() - beaten
        if (stage != shown and quiet > 0.2) or (heard and quiet > 0.5) or quiet > lease / 6:
            heartbeat(site.engine, job, lease_s=lease, stage=stage, share=share)
            beaten, shown = time.monotonic(), stage


def _listen(pipe: Any, lines: queue.Queue[bytes]) -> None:
    """Pass lines on; an empty one says that there will be no more."""
    for line in iter(pipe.readline, b""):
        lines.put(line)
    lines.put(b"")


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:
        return  # what was left in a broken pipe


def _died(status: int, fault: str) -> str:
    if fault:
        return f"a fault of hepacalc ended its process ({fault})."
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}."
    return f"its process ended unexpectedly (exit status {status})."


def error_of(code: str, message: str, hint: str) -> HepacalcError:
    """Return an error of our tree by its code, as another process told it."""
    kinds: list[type[HepacalcError]] = [HepacalcError]
    while kinds:
        kind = kinds.pop()
        if kind.code == code and kind is not HepacalcError:
            return kind(message, hint=hint)
        kinds += kind.__subclasses__()
    return UnfinishedJob(f"{code}: {message}", hint=hint)


def run_worker(settings: Settings, name: str, stopped: Callable[[], bool], _descriptor: int) -> None:
    """Be one worker of the process tree, see ``supervisor.py``; waits for a database that is away."""
    wait = 0.5
    while not stopped():
        try:
            work(open_site(settings), name, stopped=stopped)
        except Unavailable as error:
            _LOG.warning("database unavailable", extra={"code": error.code})
            _sleep(wait, stopped)
            wait = min(wait * 2, 10.0)
