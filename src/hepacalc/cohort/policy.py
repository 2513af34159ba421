"""What becomes of a study that failed: tried again, tried again with fewer at once, or listed."""

from __future__ import annotations

from typing import Literal

from hepacalc.cohort.executor import Fault
from hepacalc.report.cohort_phrases import FAILURE_CLASSES

__all__ = ["REPEATABLE", "Next", "class_key", "class_of", "decide"]

Next = Literal["fail", "again", "fewer", "later"]

REPEATABLE = ("OUT-01", "DEP-01", "RUN-01", "RUN-02", "RUN-03", "RUN-04", "SRV-07", "SRV-10")
"""Codes for which another run may end differently; a bad input is never tried again unless its files change."""

_TRIES = {"OUT-01": 3, "RUN-02": 2, "RUN-03": 4, "SRV-07": 5}
"""Attempts, the first one included."""


def class_of(code: str) -> str:
    """Return the class of an error code in words."""
    return FAILURE_CLASSES[class_key(code)]


def class_key(code: str) -> str:
    """Return the key of a code in ``FAILURE_CLASSES``."""
    return next((key for key in (code, code.partition("-")[0]) if key in FAILURE_CLASSES), "")


def decide(fault: Fault, attempts: int, at_once: int) -> Next:
    """Return what to do after a failure.

    Args:
        fault: what went wrong.
        attempts: made so far, this one included.
        at_once: how many studies were worked on at the same time.
    """
    if fault.code == "RUN-01":
        return "fewer" if at_once > 1 else "fail"
    if fault.code == "SRV-07":
        return "later" if attempts < _TRIES[fault.code] else "fail"
    return "again" if attempts < _TRIES.get(fault.code, 1) else "fail"
