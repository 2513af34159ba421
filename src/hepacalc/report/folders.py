"""Folders for results: made when they are needed, and every fault of the file system told in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepacalc.errors import OutputError

__all__ = ["make_parents", "open_up", "told"]

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space or choose another folder with -o.",
    errno.EDQUOT: "The disk quota is used up: free some space or choose another folder with -o.",
    errno.EACCES: "Choose a folder that you may write to with -o.",
    errno.EPERM: "Choose a folder that you may write to with -o.",
    errno.EROFS: "The disk is read-only: choose another folder with -o.",
    errno.ENOTDIR: "A part of the path is a file: choose another folder with -o.",
    errno.ENAMETOOLONG: "The path is too long: choose a shorter one with -o.",
}


def make_parents(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were made, innermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def open_up(folder: Path) -> None:
    """Give a temporary folder, which nobody else may read, the rights of an ordinary one."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


@contextmanager
def told(out: Path) -> Iterator[None]:
    """Turn a fault of the file system into our error.

    Raises:
        OutputError: in place of an ``OSError``.
    """
    try:
        yield
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else str(fault)
        hint = _HINTS.get(fault.errno or 0, "Check the disk, or choose another folder with -o.")
        raise OutputError(f"The results cannot be written to {out}: {reason}.", hint=hint) from fault
