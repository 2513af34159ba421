"""Fixtures that all tests share: the real scans beside a checkout, and a closed network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import postgres_server

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
# the gate gives one answer for one commit; HYPOTHESIS_PROFILE=explore looks for new cases
settings.register_profile("gate", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real scans; the test skips where a checkout has none beside it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real scans in ../shared, which this checkout does not have beside it")
    return SHARED / "data"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL of this test run, as its superuser; the test skips where it cannot be started."""
    if why := postgres_server.missing():
        pytest.skip(why)
    with postgres_server.server(postgres_server.quick_folder()) as url:
        yield url


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        if host not in {"127.0.0.1", "::1", "localhost", "local"}:
            raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
