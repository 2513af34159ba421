"""A server to ask: a data folder, the application on a loopback port, users, and jobs that are done on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server_help import PASSWORD, Running

if TYPE_CHECKING:
    from hepacalc.server.settings import Settings

if find_spec("fastapi") is None or find_spec("argon2") is None:
    # test_extra.py says so
    collect_ignore_glob = ["test_[!e]*.py", "test_edit.py"]


@contextmanager
def serving(settings: Settings) -> Iterator[Running]:
    """The application on a port of its own, with a reader and an assessor in team A, an assessor in B, and a boss."""
    import uvicorn

    from hepacalc.server.accounts import add_user
    from hepacalc.server.app import make_app, server_config
    from hepacalc.server.worker import open_site

    site = open_site(settings)
    for name, role, team in (
        ("reader", "read", "A"), ("anna", "assess", "A"), ("bert", "assess", "B"), ("boss", "admin", ""),
    ):  # fmt: skip
        add_user(site.engine, name, role, password=PASSWORD, team=team)
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_app(site)
    runner = uvicorn.Server(server_config(app, settings, listener.fileno()))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    running = Running(site, app, f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        running.wait()
        yield running
    finally:
        running.close()
        runner.should_exit = True
        thread.join(20)
        listener.close()
        site.engine.dispose()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server for one test."""
    from small_settings import small

    with serving(small(tmp_path / "data")) as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for the tests of one module, which leave each other alone."""
    from small_settings import small

    with serving(small(tmp_path_factory.mktemp("house") / "data")) as running:
        yield running


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one made-up assessment, with its reasoning."""
    import datetime
    from dataclasses import replace

    from hepacalc.consult import consult
    from hepacalc.knowledge import load_knowledge
    from hepacalc.patient.read import patient_from_data
    from hepacalc.report import write_outputs
    from report_example import make_example

    day = datetime.date(2026, 1, 5)
    made = make_example()
    patient = patient_from_data({"schema_version": "1.0"}, today=day)
    made = replace(made, reasoning=consult(patient, load_knowledge(), today=day, assessment=made))
    folder = tmp_path_factory.mktemp("result") / "out"
    write_outputs(made, folder)
    return folder
