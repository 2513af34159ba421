"""How many threads one study is worked on with: one setting for the network and for every stage that could use two.

NumPy and SciPy let go of the interpreter, so some stages do two things at the same time. With ``HEPACALC_THREADS=1``
they do one after the other, in the thread that asks, and a process keeps one core busy and no more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from hepacalc.errors import UsageError

__all__ = ["SETTING", "thread_count", "thread_pool"]

SETTING = "HEPACALC_THREADS"
_DEFAULT = 2

P = ParamSpec("P")
T = TypeVar("T")


def thread_count() -> int:
    """Return the threads that a study may be worked on with: ``HEPACALC_THREADS``, else 2.

    Raises:
        UsageError: the setting is no whole number from 1.
    """
    told = os.environ.get(SETTING, "").strip() or str(_DEFAULT)
    if not (told.isascii() and told.isdigit() and int(told)):
        raise UsageError(f"{SETTING} must be a whole number from 1, found {told[:20]!r}.", hint="Set it, or unset it.")
    return int(told)


def thread_pool(most: int) -> Executor:
    """Return what does work beside the thread that asks, as a context manager.

    Args:
        most: threads that the work can use. With one thread for a study there are none: each piece of work is done
            when its result is asked for, and not at all when nobody asks.

    Raises:
        UsageError: as of :func:`thread_count`.
    """
    count = thread_count()
    return ThreadPoolExecutor(min(most, count)) if count > 1 else _WhenAsked()


class _WhenAsked(Executor):
    """Does work in the thread that asks for its result."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return _Postponed(partial(fn, *args, **kwargs))


class _Postponed(Future[Any]):
    """Work that is done when its result is asked for; what it raises comes out there."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.set_result(self._work())
            del self._work
        return super().result(timeout)
