"""In which language the report speaks, and its catalogs.

A language is spoken for the length of a block (:func:`speaking`), per thread and task. In a language that is whole a
phrase without a translation is an error; in one that has only been begun it is English, marked as such. Never silently.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources

from hepacalc.errors import OutputError, UsageError

__all__ = [
    "LANGUAGES",
    "WHOLE",
    "catalog",
    "check_language",
    "holds_words",
    "original",
    "phrase",
    "speaking",
    "spoken",
    "whole",
]

WHOLE = ("en", "zh")
"""Languages in which nothing is missing: English, which stands in the code, and Simplified Chinese."""
LANGUAGES = (
    "en",
    *sorted(item.name for item in (resources.files("hepacalc.report") / "locale").iterdir() if item.is_dir()),
)
"""English and every language with a folder in ``locale/``, begun ones included."""
_ORIGINAL = {"zh": "［英文原文］"}

_SPOKEN: ContextVar[str] = ContextVar("hepacalc_language", default="en")
_PLACE, _LATIN = re.compile(r"\{.*?\}"), re.compile(r"[A-Za-z]")
# units, codes, UIDs, segments, and names in capitals are the same in every language
_AS_IT_IS = re.compile(
    r"[<>~=±+*\-\u2212/()\[\]#.,:;%²³·\d\s\u00a0]+|"
    r"(?:HU|mm[23³²]?|cm[23]?|mL|mg|mg/mL|kV|kVp|dB|IU|U|L|g|ng|ug|nmol|umol|mmol|pmol|min|s|m2|h|d|x|z|y)\b|"
    r"[A-Z]+[\w.+#-]*\d[\w.+#-]*|[A-Z]{2,}[A-Z/\-]*\b|(?:10\*9|\[IU\])/\w+|HBsAg|IgG4?|IgM|[IVX]+\b"
)
_BETWEEN = "\x04"
_MAGIC = 0x950412DE


def check_language(language: str) -> str:
    """Return ``language`` if it is one of :data:`LANGUAGES`.

    Raises:
        UsageError: it is not.
    """
    if language not in LANGUAGES:
        raise UsageError(
            f"wanted one of the languages {', '.join(LANGUAGES)}, found {language!r}.",
            hint="Give one of these to --lang.",
        )
    return language


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language in this block.

    Raises:
        UsageError: a language that the report does not speak.
    """
    token = _SPOKEN.set(check_language(language))
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken() -> str:
    """Return the language that is spoken now."""
    return _SPOKEN.get()


def phrase(context: str, english: str) -> str:
    """Return a phrase in the language that is spoken.

    Args:
        context: its key.
        english: its English text; a translation of another text is stale and not used.

    Raises:
        OutputError: there is no translation.
    """
    if spoken() == "en":
        return english
    found = catalog(spoken()).get((context, english))
    if found is None and spoken() not in WHOLE:
        return f"{original()}{english}" if holds_words(_PLACE.sub("", english)) else english
    if found is None:
        raise OutputError(
            f"The phrase {context!r} has no translation into {spoken()!r}.",
            hint="Install hepacalc again, or --lang en.",
        )
    return found


def holds_words(part: str) -> bool:
    """Whether there is more in a text than numbers, units, codes and names in capitals."""
    if not _LATIN.search(part):
        return False
    where = 0
    while where < len(part):
        found = _AS_IT_IS.match(part, where)
        if found is None or found.end() == where:
            return True
        where = found.end()
    return False


def original() -> str:
    """Return the mark before what is shown in English in the language that is spoken."""
    return _ORIGINAL.get(spoken(), "[en] ")


def whole(language: str) -> str:
    """Return ``language`` where it is whole, else ``en``: for files that other programs read."""
    return language if language in WHOLE else "en"


@cache
def catalog(language: str) -> dict[tuple[str, str], str]:
    """Return ``(context, English) -> translation`` of a language; the context of a sentence is empty.

    Read from the compiled catalog of GNU gettext; its format stands in the manual of gettext, section 10.3.
    """
    path = resources.files("hepacalc.report") / "locale" / language / "LC_MESSAGES" / "hepacalc.mo"
    if not path.is_file():
        raise OutputError(
            f"The language {language!r} has a folder but no catalog yet.",
            hint="Run python scripts/catalogs.py in the checkout, or give another --lang.",
        )
    held = path.read_bytes()
    magic, _, count, ids, texts = struct.unpack_from("<5I", held)
    if magic != _MAGIC:
        raise OutputError(f"The catalog of the language {language!r} is damaged.", hint="Install hepacalc again.")
    out = {}
    for k in range(count):
        key, text = (_text(held, table + 8 * k) for table in (ids, texts))
        context, _, english = key.rpartition(_BETWEEN)
        if english and text:
            out[context, english] = text
    return out


def _text(held: bytes, where: int) -> str:
    length, start = struct.unpack_from("<2I", held, where)
    return held[start : start + length].decode("utf-8")
