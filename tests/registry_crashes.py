"""Writers that are killed, run out of room, or come two at a time; for tests and benchmarks."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from hepacalc.registry import tables as t
from hepacalc.registry.check import check
from hepacalc.registry.database import open_database
from registry_scenes import STUDY

ROOT = Path(__file__).resolve().parents[1]


class Outcome(NamedTuple):
    """What became of writers.

    Args:
        told: studies whose write had come back.
        held: studies that the registry holds.
        faults: of ``registry check``.
        status: how the last writer ended.
        err: what it said.
    """

    told: set[int]
    held: set[int]
    faults: tuple[str, ...]
    status: int
    err: str

    @property
    def lost(self) -> set[int]:
        """Writes that had come back and are not there."""
        return self.told - self.held


def start(location: str, *numbers: int, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start a writer."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "registry_writer.py"), location, *(str(one) for one in numbers)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


def finished(writer: subprocess.Popen[str]) -> tuple[set[int], int, str]:
    """Wait for a writer; returns what it told, its status and its errors."""
    out, err = writer.communicate(timeout=600)
    return {int(line) for line in out.split() if line.isdigit()}, writer.returncode, err


def outcome(location: str, told: set[int], status: int = 0, err: str = "") -> Outcome:
    """Look at what is there now."""
    database = open_database(location)
    try:
        with database.reading() as connection:
            uids = set(connection.scalars(select(t.exam.c.study_uid)))
        prefix = STUDY.format("")
        held = {int(uid.removeprefix(prefix)) for uid in uids}
        return Outcome(told, held, check(database).faults, status, err)
    finally:
        database.close()


def killed(location: str, writes: int, seed: int) -> Outcome:
    """Try so many writes, each by a process of its own that is killed with SIGKILL at a random moment."""
    return outcome(location, *finished(start(location, 1, writes, seed)))


def without_room(location: str, most_bytes: int, count: int = 400) -> Outcome:
    """Write until no file may grow any more."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    told, status, err = finished(start(location, 1, count, limit=limit))
    return outcome(location, told, status, err)


def two_at_once(location: str, each: int) -> Outcome:
    """Let two processes write at the same time."""
    writers = [start(location, first, each) for first in (1, each + 1)]
    ends = [finished(one) for one in writers]
    return outcome(location, ends[0][0] | ends[1][0], max(end[1] for end in ends), "".join(end[2] for end in ends))
