"""Runs of the command line as a user starts it: another process, a real folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """How a run ended."""

    status: int
    out: str
    err: str


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "hepacalc", *(str(a) for a in arguments)]


def hepacalc(*arguments: object, folder: Path | None = None) -> Done:
    """Run ``hepacalc`` and wait for it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONWARNINGS", "FORCE_COLOR")}
    done = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)
