"""What a person or a pipe sees: progress, tables, errors and exit status.

``guarded`` is the outermost frame of the command line: whatever happens inside becomes one clear line and an
exit status, never a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from hepacalc.errors import HepacalcError, OutputError

if TYPE_CHECKING:
    from hepacalc.records import Assessment

__all__ = ["Guard", "print_assessment", "refuse_used_folder", "show_progress", "write_line"]

INTERRUPTED = 130
TERMINATED = 143
PIPE_CLOSED = 141
INTERNAL = 70
"""Exit statuses beside those of ``errors.STATUS``."""

REPORT = "This is a fault of hepacalc: please report it with the command you ran; --debug shows where it happened."
SHOWN_FOCI = 60
"""Rows of the table on a terminal; ``foci.csv`` has them all."""

Progress = Callable[[str, float], None]


class Guard:
    """Context manager that ends the program with a clear line and an exit status when an error leaves it.

    Args:
        as_json: also print the error as one JSON document on standard output.
        debug: show the traceback of an unexpected error.
    """

    def __init__(self, *, as_json: bool = False, debug: bool = False) -> None:
        self._as_json = as_json
        self._debug = debug
        self._asked_to_end = 0

    def __enter__(self) -> Self:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError):  # a replaced stream has no reconfigure
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        if not self._debug:
            warnings.simplefilter("ignore")
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, self._terminate)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._asked_to_end == TERMINATED:
            # whatever it turned into on its way up (a module half imported, a helper process gone)
            raise SystemExit(TERMINATED)
        if self._asked_to_end == INTERRUPTED or isinstance(error, KeyboardInterrupt):
            self._end(INTERRUPTED, "GEN-01", "Interrupted", "stopped before the end.", "No results were written.")
        if isinstance(error, HepacalcError):
            self._end(error.status.exit_status, error.code, type(error).__name__, error.message, error.hint)
        elif isinstance(error, SystemExit) and error.code == INTERRUPTED:
            self._end(INTERRUPTED, "GEN-01", "Interrupted", "stopped before the end.", "No results were written.")
        elif isinstance(error, BrokenPipeError) or _is_closed_pipe(error):
            _leave_closed_pipe()
        elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._tell_unwritable(error)
        elif isinstance(error, MemoryError):
            self._end(INTERNAL, "GEN-02", "OutOfMemory", "there is not enough memory for this study.",
                      "Close other programs, or use a machine with more memory.")  # fmt: skip
        elif error is None or isinstance(error, SystemExit):
            self._flush(error)
        elif isinstance(error, Exception):
            if self._debug:
                sys.excepthook(type(error), error, trace)
            self._end(INTERNAL, "GEN-00", "InternalError", f"something unexpected ({type(error).__name__}).", REPORT)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        """Leave in good order when asked to, so that half-written files are removed."""
        self._asked_to_end = TERMINATED
        raise SystemExit(TERMINATED)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Remember that a person stopped it: a library that is being loaded may make another error of it."""
        self._asked_to_end = INTERRUPTED
        raise KeyboardInterrupt

    def _flush(self, leaving: BaseException | None) -> None:
        """Find out now, and not at the end of Python, that nobody reads any more."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_closed_pipe()
        except OSError as fault:
            if leaving is None:
                self._tell_unwritable(fault)

    def _tell_unwritable(self, fault: OSError) -> None:
        told = OutputError(f"output cannot be written: {fault.strerror}.", hint="Free some space and run it again.")
        self._end(told.status.exit_status, told.code, "OutputError", told.message, told.hint)

    def _end(self, status: int, code: str, name: str, message: str, hint: str) -> None:
        with contextlib.suppress(OSError):  # nobody listens: the exit status is left
            if self._as_json:
                error = {"code": code, "name": name, "message": message, "hint": hint}
                sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            sys.stderr.write(f"{code} {name}: {message} {hint}\n")
        raise SystemExit(status)


def _is_closed_pipe(error: BaseException | None) -> bool:
    """Whether Typer has turned a broken pipe into an exit of its own."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)


def _leave_closed_pipe() -> None:
    """End as a shell expects when the reader of a pipe went away (``hepacalc ... | head``)."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(PIPE_CLOSED)


@contextlib.contextmanager
def show_progress() -> Iterator[Progress | None]:
    """Give a callback that draws one bar a stage on standard error, or None when nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, share: float) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=1.0)
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=min(max(share, 0.0), 1.0))

        yield tell


def write_line(text: str) -> None:
    """Write a line on standard output."""
    sys.stdout.write(text + "\n")


def print_assessment(assessment: Assessment, report: Path) -> None:
    """Print the table of foci, the summary, the path of the report and the time each stage took."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from hepacalc.report import FOCI_TABLE_HEADER, foci_table_rows, summary_text

    rows = foci_table_rows(assessment)
    if rows:
        table = Table(box=box.SIMPLE, pad_edge=False)
        for name in FOCI_TABLE_HEADER:
            table.add_column(name, justify="right" if name[:2] in ("id", "le", "ma", "di") else "left", no_wrap=True)
        for row in rows[:SHOWN_FOCI]:
            table.add_row(*row)
        wide = sys.stdout.isatty()
        Console(width=None if wide else 200, markup=False, highlight=False).print(table)
    if len(rows) > SHOWN_FOCI:
        write_line(f"... and {len(rows) - SHOWN_FOCI} more in foci.csv\n")
    write_line(summary_text(assessment))
    write_line(f"\nReport: {report}")
    if times := assessment.run.seconds:
        total = sum(seconds for _, seconds in times)
        write_line(
            "Time: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times) + f"; {total:.1f} s in all"
        )


def refuse_used_folder(folder: Path) -> None:
    """Make sure that files written to ``folder`` cannot mix with those that are there.

    Raises:
        OutputError: it is a file, cannot be listed, or holds something.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(
                f"wanted a new or empty folder, found files in {folder}.",
                hint="Choose another folder with -o, or remove this one.",
            )
    except OSError as fault:
        raise OutputError(
            f"{folder} cannot be used as a folder: {os.strerror(fault.errno or 0)}.",
            hint="Choose another folder with -o.",
        ) from fault
