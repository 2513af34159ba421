"""With which two characters a pattern can begin: only patterns that can fit are tried at a place of a text."""

from __future__ import annotations

__all__ = ["ANY", "heads"]

ANY = "\0"
"""Stands for a character that cannot be told."""
_ESCAPED = {"d": frozenset("0123456789"), "s": frozenset(" \n"), "b": frozenset({""})}
_NOTHING = frozenset({""})
Starts = frozenset[str]
"""Beginnings of at most two characters; one that is shorter may be followed by whatever comes next."""


def heads(pattern: str) -> Starts:
    """Return the beginnings of what a pattern can match, of two characters, or of one where it can match one.

    Knows what the tables use: literals, classes, groups, alternatives, quantifiers, looking around. Where a character
    cannot be told :data:`ANY` stands for it, so that no match is missed.
    """
    return _alternatives(pattern, 0)[0]


def _alternatives(p: str, i: int) -> tuple[Starts, int]:
    found: Starts = frozenset()
    while True:
        one, i = _sequence(p, i)
        found |= one
        if i >= len(p) or p[i] == ")":
            return found, i
        i += 1


def _sequence(p: str, i: int) -> tuple[Starts, int]:
    found = _NOTHING
    while i < len(p) and p[i] not in "|)":
        one, i = _element(p, i)
        if i < len(p) and p[i] in "?*+{":
            if p[i] != "?":
                one |= _joined(one, one)
            if p[i] in "?*" or p.startswith("{0", i):
                one |= _NOTHING
            i = p.index("}", i) + 1 if p[i] == "{" else i + 1
            if i < len(p) and p[i] == "?":
                i += 1
        found = _joined(found, one)
    return found, i


def _joined(before: Starts, after: Starts) -> Starts:
    return frozenset((a + b)[:2] for a in before for b in (after if len(a) < 2 else _NOTHING))


def _element(p: str, i: int) -> tuple[Starts, int]:
    char = p[i]
    if char == "(":
        around = p.startswith(("(?!", "(?=", "(?<!", "(?<="), i)
        start = i + 1
        if p.startswith("(?P<", i):
            start = p.index(">", i) + 1
        elif p[start] == "?":
            start += 2 if p[start + 1] != "<" else 3
        found, end = _alternatives(p, start)
        return (_NOTHING if around else found), end + 1
    if char == "[":
        return _class(p, i + 1)
    if char == "\\":
        return _escape(p[i + 1]), i + 2
    if char in "^$":
        return _NOTHING, i + 1
    return frozenset(ANY if char == "." else char), i + 1


def _escape(char: str) -> Starts:
    return _ESCAPED.get(char, frozenset(ANY)) if char.isalpha() else frozenset(char)


def _class(p: str, i: int) -> tuple[Starts, int]:
    negated = p[i] == "^"
    i += negated
    found: set[str] = set()
    while p[i] != "]":
        if p[i] == "\\":
            found |= _escape(p[i + 1])
            i += 2
        elif p[i + 1] == "-" and p[i + 2] != "]":
            found |= {chr(c) for c in range(ord(p[i]), ord(p[i + 2]) + 1)}
            i += 3
        else:
            found.add(p[i])
            i += 1
    return frozenset(ANY) if negated or ANY in found else frozenset(found), i + 1
