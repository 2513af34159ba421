"""The process tree: what dies is started again, whatever else is away."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from small_settings import small

from hepacalc.errors import Unavailable
from hepacalc.server import supervisor as tree
from hepacalc.server.supervisor import Supervisor, listen
from hepacalc.server.worker import open_site


def test_a_dead_process_is_started_again_even_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site = open_site(small(tmp_path / "data", workers=1, port=0))
    started: list[str] = []
    real = tree.subprocess.Popen

    def short(arguments, **options):
        started.append(arguments[-1])
        return real([sys.executable, "-c", "import sys; sys.stdin.readline()"], stdin=options["stdin"])

    def away(*_: object) -> int:
        raise Unavailable("the database cannot be used just now.", hint="Try again.")

    monkeypatch.setattr(tree.subprocess, "Popen", short)
    monkeypatch.setattr(tree, "release", away)
    listener = listen(site.settings)
    supervisor = Supervisor(site, listener, roles=("web",))
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        end = time.monotonic() + 60
        while len(started) < 6 and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        supervisor.stop()
        thread.join(30)
        listener.close()
        site.engine.dispose()
    assert len(started) >= 6, "each of the two was started at least three times"
    assert not thread.is_alive()
