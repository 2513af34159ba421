"""Folders for results: made when they are needed, and every fault of the file system told in our words."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hepacalc.errors import OutputError

__all__ = ["filled_aside", "staged", "told"]

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space or choose another folder with -o.",
    errno.EDQUOT: "The disk quota is used up: free some space or choose another folder with -o.",
    errno.EACCES: "Choose a folder that you may write to with -o.",
    errno.EPERM: "Choose a folder that you may write to with -o.",
    errno.EROFS: "The disk is read-only: choose another folder with -o.",
    errno.ENOTDIR: "A part of the path is a file: choose another folder with -o.",
    errno.ENAMETOOLONG: "The path is too long: choose a shorter one with -o.",
}


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were made, innermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _open_up(folder: Path) -> None:
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


@contextmanager
def staged(out: Path, settle: Callable[[Path], None]) -> Iterator[Path]:
    """Give a hidden folder to write into; when the block ends well it becomes ``out``, else nothing is left of it.

    Args:
        out: absolute; made with its parents when it is not there.
        settle: moves the content of the hidden folder into ``out`` where that is there already.
    """
    exists = out.is_dir()
    made = _make_parents(out.parent)
    stage = Path(tempfile.mkdtemp(prefix=".hepacalc-", suffix=".part", dir=out if exists else out.parent))
    try:
        yield stage
        if exists:
            settle(stage)
        else:
            _open_up(stage)
            stage.rename(out)
        made.clear()
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            folder.rmdir()


@contextmanager
def filled_aside(out: Path) -> Iterator[Path]:
    """Give a hidden folder to write into; when the block ends well its content moves to ``out``, else it is removed.

    Args:
        out: made with its parents when it is not there; other files in it stay.

    Raises:
        OutputError: it cannot be written, or holds something of the same name.
    """
    out = out.absolute()
    with told(out), staged(out, lambda stage: _move_in(stage, out)) as stage:
        yield stage


def _move_in(stage: Path, out: Path) -> None:
    """Move what is in ``stage`` into ``out``; take it back when one of them cannot be moved."""
    names = sorted(p.name for p in stage.iterdir())
    taken = [name for name in names if (out / name).exists() or (out / name).is_symlink()]
    if taken:
        raise OutputError(f"{out} already holds {', '.join(taken)}.", hint="Choose a new or empty folder with -o.")
    moved: list[str] = []
    try:
        for name in names:
            (stage / name).rename(out / name)
            moved.append(name)
    except OSError:
        for name in moved:
            (out / name).rename(stage / name)
        raise
