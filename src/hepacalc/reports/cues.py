"""Cue tables: phrases with a category. They are data (``words/*.tsv``); this only loads and finds them.

A line of a table is ``category <tab> language <tab> pattern <tab> value``; ``#`` starts a comment line. The pattern
is a regular expression on normalised text (:func:`hepacalc.reports.text.plain`); an English one (``en``) begins and
ends with a word, a Chinese one (``zh``) may stand anywhere. Of cues of one table that overlap, one inside another is
dropped: that is how "no change" keeps "no" from denying anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from hepacalc.reports.heads import ANY, heads

__all__ = ["Cue", "Line", "Table", "letters", "table"]


@dataclass(frozen=True, slots=True)
class Cue:
    """A phrase that was found: where, of which category, with the value that its line gives."""

    start: int
    end: int
    category: str
    value: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: where it can start, and what it means."""

    pattern: re.Pattern[str]
    category: str
    value: str


Places = Mapping[str, Mapping[str, tuple[Line, ...]]]


@dataclass(frozen=True)
class Table:
    """All lines of one file by how they begin, at the start of a word and within one."""

    lines: tuple[Line, ...]
    first: Places
    within: Places

    def find(self, text: str, categories: Iterable[str] = ()) -> list[Cue]:
        """Return the cues of a text in order, none inside another."""
        wanted = frozenset(categories)
        found = [cue for cue in _all_cues(self, text) if not wanted or cue.category in wanted]
        kept: list[Cue] = []
        for cue in found:
            if not any(_covers(k, cue) for k in kept[-5:]):
                kept.append(cue)
        return kept

    def holds(self, category: str, text: str) -> bool:
        """Return whether a text holds a cue of a category."""
        return any(cue.category == category for cue in _all_cues(self, text))

    def at_start(self, text: str) -> Cue | None:
        """Return the cue that a text starts with, the longest."""
        seconds = self.first.get(text[:1], {})
        found = (_cue(line, text, 0) for line in seconds.get(text[1:2], seconds.get(ANY, ())))
        return max((cue for cue in found if cue), key=lambda cue: cue.end, default=None)

    def __hash__(self) -> int:
        return id(self)


_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


@lru_cache(maxsize=512)
def _all_cues(book: Table, text: str) -> tuple[Cue, ...]:
    """Return every cue of a text by place, the longest first; those of one category and value do not overlap."""
    found: list[Cue] = []
    reached: dict[tuple[str, str], tuple[int, int]] = {}
    letter = False
    first, within = book.first, book.within
    for k, char in enumerate(text):
        seconds = (within if letter else first).get(char)
        letter = char in _WORD
        if seconds is None:
            continue
        for line in seconds.get(text[k + 1 : k + 2]) or seconds[ANY]:
            match = line.pattern.match(text, k)
            if match is None or match.end() == k:
                continue
            key = (line.category, line.value)
            start, end = reached.get(key, (0, 0))
            if k >= end or k == start:
                found.append(Cue(k, match.end(), *key))
                reached[key] = k, max(match.end(), end if k == start else 0)
    found.sort(key=lambda cue: (cue.start, -cue.end, cue.category != "closed"))
    return tuple(found)


def _cue(line: Line, text: str, place: int) -> Cue | None:
    match = line.pattern.match(text, place)
    return Cue(place, match.end(), line.category, line.value) if match and match.end() > place else None


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


@lru_cache(maxsize=16)
def table(name: str) -> Table:
    """Return a table of the package; read once. A line that is not one is a mistake of the programmer and raises."""
    lines: list[tuple[Line, bool]] = []
    for row in _text(f"{name}.tsv").splitlines():
        if not row.strip() or row.startswith("#"):
            continue
        category, language, pattern, *rest = row.split("\t")
        # an English cue ends with a word, not within one
        ends = {"en": r"(?:(?<![a-z])|(?![a-z]))", "zh": ""}[language]
        line = Line(re.compile(f"(?:{pattern}){ends}"), category, rest[0].strip() if rest else "")
        lines.append((line, language == "zh"))
    return Table(tuple(line for line, _ in lines), _places(lines), _places([one for one in lines if one[1]]))


def _places(lines: Iterable[tuple[Line, bool]]) -> Places:
    """Return first character -> second character -> lines, those with any second one under ``ANY`` and in each."""
    found: dict[str, dict[str, list[Line]]] = {}
    for line, _ in lines:
        for start in heads(line.pattern.pattern):
            if start[:1] in ("", ANY):
                raise ValueError(f"with which character does {line.pattern.pattern} begin?")
            found.setdefault(start[0], {}).setdefault(start[1:] or ANY, [])
            if line not in found[start[0]][start[1:] or ANY]:
                found[start[0]][start[1:] or ANY].append(line)
    return {
        first: {second: tuple(dict.fromkeys((*here, *seconds.get(ANY, ())))) for second, here in seconds.items()}
        | {ANY: tuple(seconds.get(ANY, ()))}
        for first, seconds in found.items()
    }


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
