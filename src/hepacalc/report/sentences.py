"""Sentences that the rooms build with numbers in them, said in another language.

``assessment.json`` holds English, and a stored one is all that ``export`` has. So a sentence is found again by its
pattern: ``{n1}`` of a message stands for a number, ``{x1}`` for words, which are translated in turn; ``{x1:raw}`` in a
translation keeps them as they are (names out of headers). Several sentences may be joined by semicolons, commas,
colons, "or" and brackets. What is not found is shown in English and marked as such, never silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from hepacalc.report.language import catalog, holds_words, original, spoken
from hepacalc.report.marks import MARKS, UNSPACED

__all__ = ["say", "say_if_known"]

_NUMBER = r"[<>~±+\-\u2212]?\s?\d[\d.,\u00a0]*(?:e[+-]?\d+)?(?:[\s\u00a0]?%)?|nan|-?inf"
_PLACE = re.compile(r"\{(\w+)(?::raw)?\}")
_JOINTS = {
    "; ": "mark.semicolon", ". ": "mark.stop", ": ": "mark.colon", ", ": "mark.comma", " or ": "mark.or",
    " and ": "mark.and", " x ": "",
}  # fmt: skip


class _Pattern(NamedTuple):
    """A message with places: a part of it that is always there, how to find it, how to say it."""

    literal: str
    find: str
    words: int
    text: str
    raw: frozenset[str]


def say(sentence: str) -> str:
    """Return an English sentence of a room in the language that is spoken."""
    if spoken() == "en" or not sentence.strip():
        return sentence
    return _said(sentence.strip(), spoken())


def say_if_known(words: str) -> str:
    """Return a text in the language that is spoken where it is one of ours, else as it is (citations, names)."""
    return words if spoken() == "en" else _find(words, spoken()) or words


@lru_cache(maxsize=4096)
def _said(sentence: str, language: str) -> str:
    return next(_forms(sentence, language), f"{original()}{sentence}")


def _forms(sentence: str, language: str) -> Iterator[str]:
    """Yield translations of a sentence, of one with a full stop, of one that begins with a capital."""
    for whole in dict.fromkeys((sentence, sentence[:1].lower() + sentence[1:])):
        if (found := _find(whole, language)) is not None:
            yield found
        if whole.endswith(".") and (found := _find(whole[:-1], language)) is not None:
            stop = _mark("mark.stop", language)
            yield f"{found.rstrip(stop)}{stop}"


@lru_cache(maxsize=8192)
def _find(part: str, language: str) -> str | None:
    """Return a translation of a part of a sentence, or None."""
    exact, patterns = _messages(language)
    # ids of the knowledge base and the patient file are told apart by their words
    if (found := exact.get(part) or exact.get(part.replace("_", " "))) is not None:
        return found
    if not holds_words(part):
        return part
    if "; " in part and (found := _joined(part, "; ", language)) is not None:
        return found
    for pattern in patterns:
        if pattern.literal in part and (match := re.fullmatch(pattern.find, part)) is not None:
            said = {name: value if name in pattern.raw else _place(name, value, language)
                    for name, value in match.groupdict().items()}  # fmt: skip
            if None not in said.values():
                return _PLACE.sub(lambda place, said=said: str(said[place[1]]), pattern.text)  # type: ignore[misc]
    return _apart(part, language)


def _place(name: str, value: str, language: str) -> str | None:
    """Return what stands in a place of a pattern: a number as it is, words translated."""
    return value if name.startswith("n") and name[1:].isdigit() else _find(value.strip(), language)


def _apart(part: str, language: str) -> str | None:
    """Return the translation of what is put together of several, brackets behind it included."""
    if part.endswith(")") and " (" in part:
        head, _, tail = part[:-1].partition(" (")
        said = [_find(piece, language) for piece in (head, tail)]
        if None not in said:
            return f"{said[0]}{_mark('mark.open', language)}{said[1]}{_mark('mark.close', language)}"
    for joint in _JOINTS:
        if joint in part and (found := _joined(part, joint, language)) is not None:
            return found
    return None


def _joined(part: str, joint: str, language: str) -> str | None:
    """Return the translation of pieces that are joined, if each has one, and the word between them too."""
    said = [_find(piece, language) for piece in part.split(joint)]
    name = _JOINTS[joint]
    if None in said or (holds_words(joint) and (name, joint) not in catalog(language)):
        return None
    between = _mark(name, language) if name else joint
    if joint == ". " and language not in UNSPACED:
        between += " "
    return between.join(map(str, said))


def _mark(name: str, language: str) -> str:
    """Return a mark between words in a language, as in English where it has none of its own."""
    return catalog(language).get((name, MARKS[name]), MARKS[name])


@cache
def _messages(language: str) -> tuple[dict[str, str], tuple[_Pattern, ...]]:
    """Return the messages without places, and the patterns, those with most words first."""
    exact: dict[str, str] = {}
    patterns = []
    for (context, english), text in catalog(language).items():
        if context and not context.startswith("limit."):
            continue
        if _PLACE.search(english):
            patterns.append(_pattern(english, text))
        else:
            exact[english] = text
    patterns.sort(key=lambda one: (-one.words, one.find))
    return exact, tuple(patterns)


def _pattern(english: str, text: str) -> _Pattern:
    pieces = _PLACE.split(english)
    literals = pieces[::2]
    find = "".join(
        re.escape(piece) if k % 2 == 0 else f"(?P<{piece}>{_NUMBER if re.fullmatch('n[0-9]+', piece) else '.*?'})"
        for k, piece in enumerate(pieces)
    )
    raw = frozenset(re.findall(r"\{(\w+):raw\}", text))
    return _Pattern(max(literals, key=len), find, sum(map(len, literals)), text, raw)
