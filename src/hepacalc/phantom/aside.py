"""A folder that is filled as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepacalc.errors import OutputError
from hepacalc.report.folders import staged, told

__all__ = ["filled_aside"]


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
