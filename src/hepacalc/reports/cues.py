"""Cue tables: phrases with a category. They are data (``words/*.tsv``); this only loads and finds them.

A line of a table is ``category <tab> language <tab> pattern <tab> value``; ``#`` starts a comment line. The pattern
is a regular expression on normalised text (:func:`hepacalc.reports.text.plain`); an English one (``en``) stands between word
boundaries, a Chinese one (``zh``) anywhere. Of cues of one table that overlap, one inside another is dropped: that is
how "no change" keeps "no" from denying anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

__all__ = ["Cue", "Table", "letters", "table"]


@dataclass(frozen=True, slots=True)
class Cue:
    """A phrase that was found: where, of which category, with the value that its line gives."""

    start: int
    end: int
    category: str
    value: str


@dataclass(frozen=True)
class Table:
    """All lines of one file, compiled: category -> value -> pattern."""

    patterns: Mapping[tuple[str, str], re.Pattern[str]]

    def find(self, text: str, categories: Iterable[str] = ()) -> list[Cue]:
        """Return the cues of a text in order, none inside another."""
        wanted = set(categories)
        found = [
            Cue(*match.span(), category, value)
            for (category, value), pattern in self.patterns.items()
            if not wanted or category in wanted
            for match in pattern.finditer(text)
            if match.end() > match.start()
        ]
        found.sort(key=lambda cue: (cue.start, -cue.end, cue.category != "closed"))
        kept: list[Cue] = []
        for cue in found:
            if not any(_covers(k, cue) for k in kept[-5:]):
                kept.append(cue)
        return kept

    def regex(self, category: str) -> re.Pattern[str]:
        """Return one pattern of a category, or of all (``any``)."""
        return _joined(tuple(p.pattern for (c, _), p in self.patterns.items() if category in ("any", c)))

    def at_start(self, text: str) -> Cue | None:
        """Return the cue that a text starts with, the longest."""
        found = [
            Cue(*match.span(), category, value)
            for (category, value), pattern in self.patterns.items()
            if (match := pattern.match(text))
        ]
        return max(found, key=lambda cue: cue.end, default=None)


def _covers(one: Cue, other: Cue) -> bool:
    """Whether a cue lies inside another; two categories hold on the same words
    unless one is ``closed``, and one that reaches forward does not hide the same that reaches backward."""
    if (one.start, one.end) == (other.start, other.end):
        return one.category == other.category or "closed" in (one.category, other.category)
    outer, _, way = one.category.partition("_")
    inner, _, other_way = other.category.partition("_")
    if outer == inner and way != other_way:
        return False
    return one.start <= other.start and other.end <= one.end


@lru_cache(maxsize=64)
def _joined(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns))


@lru_cache(maxsize=16)
def table(name: str) -> Table:
    """Return a table of the package; read once. A line that is not one is a mistake of the programmer and raises."""
    lines: dict[tuple[str, str], list[str]] = {}
    for line in _text(f"{name}.tsv").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        category, language, pattern, *rest = line.split("\t")
        wrapped = {"en": rf"(?<![a-z0-9])(?:{pattern})(?:(?<![a-z])|(?![a-z]))", "zh": f"(?:{pattern})"}[language]
        lines.setdefault((category, rest[0].strip() if rest else ""), []).append(wrapped)
    return Table({key: re.compile("|".join(parts)) for key, parts in lines.items()})


@lru_cache(maxsize=1)
def letters() -> Mapping[str, str]:
    """Return traditional -> simplified characters of this vocabulary."""
    found: dict[str, str] = {}
    for line in _text("letters.txt").splitlines():
        if not line.startswith("#"):
            found.update({pair[0]: pair[1] for pair in line.split()})
    return found


def _text(name: str) -> str:
    return (resources.files("hepacalc.reports") / "words" / name).read_text("utf-8")
