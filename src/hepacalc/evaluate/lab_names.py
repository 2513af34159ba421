"""Tests by name, and above which value each is raised when a case gives no limit of its own.

Limits are the usual adult ones of a textbook; methods differ, so a value near its limit counts as half.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

__all__ = ["LabTest", "lab_tests"]


@dataclass(frozen=True, slots=True)
class LabTest:
    """One test.

    Args:
        name: of the test.
        pattern: how it is written, normalised; must start at the start of a word.
        block: what it tells about.
        state: of the block when raised or positive.
        limits: upper limit by unit; the first is used when no unit is given.
        low: lower limit of the first unit, where a low value counts too.
    """

    name: str
    pattern: re.Pattern[str]
    block: str
    state: str
    limits: tuple[tuple[str, float], ...] = ()
    low: float | None = None


def _tests(text: str) -> tuple[LabTest, ...]:
    found = []
    for line in text.strip().splitlines():
        if line.startswith("#"):
            continue
        name, block, state, limits, pattern = (cell.strip() for cell in line.split(";", 4))
        pairs = tuple(
            (unit, float(value)) for unit, _, value in (part.partition("=") for part in limits.split()) if value
        )
        low = next((value for unit, value in pairs if unit == "low"), None)
        upper = tuple((unit, value) for unit, value in pairs if unit != "low")
        found.append(LabTest(name, re.compile(rf"(?<![a-z])(?:{pattern})"), block, state, upper, low))
    return tuple(found)


@lru_cache(maxsize=1)
def lab_tests() -> tuple[LabTest, ...]:
    """Return all tests, in the order of the file."""
    return _tests((resources.files("hepacalc.evaluate") / "words" / "labs.tests").read_text("utf-8"))
