"""The process tree of ``hepacalc serve``: starts the others, starts again what dies, ends all together.

A process is told its settings by one line of JSON on standard input, and ends when that input does: when the
supervisor is killed, none of the others lives on. The listening socket belongs to the supervisor, so that a browser
that comes while the web process is being started again only waits.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from hepacalc.errors import Unavailable
from hepacalc.server.jobs import release
from hepacalc.server.logs import set_up_logs
from hepacalc.server.node_settings import read_node
from hepacalc.server.receive import sweep
from hepacalc.server.settings import Limits, Oidc, Settings
from hepacalc.server.telemetry import end_traces, start_traces
from hepacalc.server.work import Site

__all__ = ["ROLES", "Supervisor", "listen", "main", "roles_of"]

ROLES: dict[str, tuple[str, str]] = {
    "web": ("hepacalc.server.app", "run_web"),
    "node": ("hepacalc.server.dimse", "run_node"),
    "worker": ("hepacalc.server.worker", "run_worker"),
}
"""Role of a process -> module and function ``(settings, name, stopped, descriptor)``."""

_LOG = logging.getLogger("hepacalc.server.supervisor")
_LONGEST_WAIT_S = 30.0
_STEADY_S = 60.0
_END_S = 10.0


@dataclass(slots=True)
class _Child:
    role: str
    name: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes of a deployment alive.

    Args:
        site: the deployment.
        listener: socket that the web process answers on.
        roles: of the processes, beside the workers.
    """

    site: Site
    listener: socket.socket
    roles: Sequence[str] = ("web",)
    _children: list[_Child] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run until :meth:`stop` or a signal."""
        sweep(self.site.engine, self.site.settings)
        me = os.getpid()
        names = [(role, f"{role}-{me}") for role in self.roles]
        names += [("worker", f"worker-{me}-{n}") for n in range(self.site.settings.workers)]
        self._children = [_Child(role, name) for role, name in names]
        try:
            while not self._ending.is_set():
                for child in self._children:
                    self._look_after(child)
                self._ending.wait(0.2)
        finally:
            self._end_all()

    def stop(self, *_: Any) -> None:
        """End all processes soon; may be called from a signal."""
        self._ending.set()

    def processes(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {c.name: c.process.pid for c in self._children if c.process is not None}

    def _look_after(self, child: _Child) -> None:
        if child.process is not None and child.process.poll() is None:
            if child.failures and time.monotonic() - child.started > _STEADY_S:
                child.failures = 0
            return
        if child.process is not None:
            _LOG.warning("process ended", extra={"child": child.name, "status": child.process.returncode})
            child.failures += 1
            child.not_before = time.monotonic() + min(0.2 * 2**child.failures, _LONGEST_WAIT_S)
            _close(child.process)
            child.process = None
            self._give_back(child)
        if time.monotonic() >= child.not_before:
            self._start(child)

    def _give_back(self, dead: _Child) -> None:
        """Let nothing wait for a process that is gone: what it was receiving, and a worker's jobs."""
        try:
            sweep(self.site.engine, self.site.settings)
            if dead.role == "worker":
                release(self.site.engine, dead.name)
        except Unavailable as error:
            _LOG.warning("database unavailable", extra={"code": error.code})

    def _start(self, child: _Child) -> None:
        descriptor = self.listener.fileno() if child.role == "web" else -1
        child.process = subprocess.Popen(
            [sys.executable, "-m", "hepacalc.server.supervisor"],
            stdin=subprocess.PIPE,
            pass_fds=(descriptor,) if descriptor >= 0 else (),
        )
        child.started = time.monotonic()
        assert child.process.stdin is not None
        told = {"role": child.role, "name": child.name, "settings": _plain(self.site.settings), "fd": descriptor}
        try:
            child.process.stdin.write(json.dumps(told).encode() + b"\n")
            child.process.stdin.flush()
        except OSError:
            _LOG.warning("process did not start", extra={"child": child.name})

    def _end_all(self) -> None:
        living = [c.process for c in self._children if c.process is not None]
        for process in living:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + _END_S
        for process in living:
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)


def roles_of(settings: Settings) -> tuple[str, ...]:
    """Return the roles that a deployment needs beside its workers."""
    return ("web", "node") if read_node(settings).port else ("web",)


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        OSError: the port is taken or may not be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    listener.set_inheritable(True)
    return listener


def main() -> int:
    """Run one process of the tree, as standard input says."""
    told = json.loads(sys.stdin.readline())
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    set_up_logs()
    start_traces(told["role"])
    module, function = ROLES[told["role"]]
    run: Callable[..., None] = getattr(import_module(module), function)
    run(_settings(told["settings"]), told["name"], ending.is_set, told["fd"])
    end_traces()
    return 0


def _plain(settings: Settings) -> dict[str, Any]:
    return {**asdict(settings), "data": str(settings.data)}


def _settings(plain: dict[str, Any]) -> Settings:
    given = {**plain, "data": Path(plain["data"]), "limits": Limits(**plain["limits"]), "oidc": Oidc(**plain["oidc"])}
    return Settings(**{**given, "trusted_proxies": tuple(plain["trusted_proxies"])})


def _end_with_supervisor() -> None:
    """Leave at once when the supervisor is gone; whatever was being done is resumed."""
    while sys.stdin.read(4096):
        pass
    os._exit(3)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:
            return  # what was left in a broken pipe


if __name__ == "__main__":
    raise SystemExit(main())
