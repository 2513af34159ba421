"""Marks between words, which are not the same in every language."""

from __future__ import annotations

from hepacalc.report.language import phrase

__all__ = ["MARKS", "mark"]

MARKS: dict[str, str] = {
    "mark.stop": ".",
    "mark.colon": ": ",
    "mark.comma": ", ",
    "mark.list": ", ",
    "mark.semicolon": "; ",
    "mark.open": " (",
    "mark.close": ")",
    "mark.between": " ",
}
"""``list`` stands between things of one kind, ``between`` between two sentences."""


def mark(name: str) -> str:
    """Return a mark of :data:`MARKS` in the language that is spoken."""
    return phrase(f"mark.{name}", MARKS[f"mark.{name}"])
