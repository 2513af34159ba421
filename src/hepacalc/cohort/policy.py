"""What becomes of a study that failed: tried again, tried again with fewer at once, or listed."""

from __future__ import annotations

from typing import Literal

from hepacalc.cohort.executor import Fault

__all__ = ["CLASSES", "REPEATABLE", "Next", "class_of", "decide"]

Next = Literal["fail", "again", "fewer", "later"]

CLASSES: dict[str, str] = {
    "IN": "input cannot be used",
    "GEO": "geometry cannot be trusted",
    "LIV": "no usable liver",
    "MEA": "cannot be measured",
    "KNO": "knowledge base",
    "OUT": "results cannot be written",
    "DEP": "something is not installed",
    "USE": "options contradict each other",
    "RUN-01": "out of memory",
    "RUN-02": "out of time",
    "RUN-03": "process or machine lost",
    "RUN-04": "fault of hepacalc",
    "SRV-04": "larger than is taken",
    "SRV-07": "DICOMweb server away",
    "SRV-10": "DICOMweb server refuses",
}
"""Words for a code, or for the letters before its dash."""

REPEATABLE = ("OUT-01", "DEP-01", "RUN-01", "RUN-02", "RUN-03", "RUN-04", "SRV-07", "SRV-10")
"""Codes for which another run may end differently; a bad input is never tried again unless its files change."""

_TRIES = {"OUT-01": 3, "RUN-02": 2, "RUN-03": 4, "SRV-07": 5}
"""Attempts, the first one included."""


def class_of(code: str) -> str:
    """Return the class of an error code in words."""
    return CLASSES.get(code) or CLASSES.get(code.partition("-")[0], "other")


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
