"""Locks on files and folders that the kernel lets go of when their process is gone, however it ended."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["HAS_LOCKS", "hold"]

try:
    import fcntl

    HAS_LOCKS = True
    """Whether this system has such locks."""
except ImportError:
    HAS_LOCKS = False


def hold(path: Path) -> int:
    """Return a descriptor that holds a file or folder until it is closed; where there are no locks it holds nothing.

    Raises:
        BlockingIOError: another process, or another descriptor, holds it.
        OSError: it is gone, or its disk has no locks.
    """
    found = os.open(path, os.O_RDONLY)
    try:
        if HAS_LOCKS:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.stat()  # it may have been removed while we waited
    except OSError:
        os.close(found)
        raise
    return found
