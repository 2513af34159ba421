"""Marks between words, which are not the same in every language."""

from __future__ import annotations

from hepacalc.report.language import phrase, spoken

__all__ = ["MARKS", "mark"]

MARKS: dict[str, str] = {
    "mark.stop": ".",
    "mark.colon": ": ",
    "mark.comma": ", ",
    "mark.list": ", ",
    "mark.semicolon": "; ",
    "mark.or": " or ",
    "mark.and": " and ",
    "mark.open": " (",
    "mark.close": ")",
}
"""``list`` stands between things of one kind."""
UNSPACED = ("zh",)
"""Languages that write sentences without a space between them."""


def mark(name: str) -> str:
    """Return a mark of :data:`MARKS` in the language that is spoken, or ``between``: what stands between sentences."""
    if name == "between":
        return "" if spoken() in UNSPACED else " "
    return phrase(f"mark.{name}", MARKS[f"mark.{name}"])
