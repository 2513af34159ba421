"""Folders for temporary files of workers, which may hold scans: taken away whatever becomes of worker and driver.

A folder is locked for as long as its worker, or who starts it, lives; the kernel lets go of the lock when they are
gone. So whoever starts the next worker on this machine knows what was left behind, and removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hepacalc.locks import HAS_LOCKS, hold

__all__ = ["PREFIX", "make_scratch", "sweep"]

PREFIX = "hepacalc-worker-"


def make_scratch() -> tuple[str, int | None]:
    """Return a new folder and the descriptor that holds it; None where there are no locks."""
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX)
        if not HAS_LOCKS:
            return folder, None
        try:
            held = hold(Path(folder))
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for one that was left behind
        except OSError:
            held = None  # this disk has no locks
        return folder, held


def sweep() -> None:
    """Remove what workers that are gone have left behind; nothing where it cannot be known."""
    if not HAS_LOCKS:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it is in use, or another user's
            held = hold(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
