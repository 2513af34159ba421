"""A report in one spelling, in sentences and sections, with the way back to its own characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from hepacalc.reports.cues import Cue, letters, table

__all__ = ["LONGEST_SENTENCE", "Plain", "Sentence", "language_of", "plain", "sentences"]

CJK = r"\u3400-\u9fff"
_BULLET = re.compile(
    r"\s*(?:[-*\u2022\u00b7\u25cf\u25cb\u25a0>#]|\(?\d{1,2}[.)\u3001\uff0e\uff09](?!\d)|[\u2460-\u2473]|[\u4e00-\u5341]\u3001)\s*"
)
_HEADING = re.compile(rf"\s*(?:[A-Za-z][A-Za-z /&,()-]{{1,45}}|[{CJK} ]{{2,12}})\s*[:\uff1a]")
_ENDS = re.compile(r"[.!?;:\u3002\uff1b\uff01\uff1f\uff1a]\s*$")
_WRAP = 40
"""Columns that a line must have before its end can be a mere wrap of the line; a Chinese character takes two."""
LONGEST_SENTENCE = 500
"""Characters; what is longer is cut, so that no text takes long."""
_SHORT = re.compile(
    r"(?:\b(?:calc|calcs|calcif|seg|segs|rt|lt|approx|vs|dr|no|e\.g|i\.e|hx|dx|fig|ca|post|ant|sup|inf|lat|med|bilat|"
    r"incl|resp|st|hep|parench|sl|min|max|avg|abd|poss|prob|prev|pt|w|etc|cf|ref|dil)|\b[a-z]|\bmm|\bcm)$"
)
_NEVER = re.compile(r"\b(?:segs?|segm|rt|lt|approx|vs|dr|fig|e\.g|i\.e|incl|resp|st)$")
_UNITS = re.compile(r"(?:mm|cm|etc|no|hu)$")
_STOP = re.compile(r"[;!\u3002\n]|\.(?!\d)")
_ITEM = re.compile(r"(?:(?<=[\s,.;:\u3002\u3001)])|(?<=^))\(?\d{1,2}[.)\u3001](?!\d)\s?")


_NO_ITEM = re.compile(
    r"(?:\b(?:segments?|segs?\.?|and|or|to|of|about|approximately|is|are|vs|stage|grade|type|rads|level|lobe|image|slice|than|least)|"
    r"[/<>~-]|\d,|s\d?,|[\u7ea6\u7b2c\u6bb5]) ?$"
)


@dataclass(frozen=True, slots=True)
class Plain:
    """Normalised text and, for each of its characters, where it starts in the source; one more entry for the end."""

    source: str
    text: str
    at: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the source characters behind ``start`` to ``end`` of the normalised text."""
        if end <= start:
            return self.at[start], self.at[start]
        return self.at[start], max(self.at[end - 1] + 1, self.at[start] + 1)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters ``start`` to ``end`` of the normalised text; its section; the number of its paragraph."""

    start: int
    end: int
    text: str
    section: str
    line: int


def language_of(text: str) -> str:
    """Return ``zh``, ``en`` or ``mixed``, by letters; numbers and units do not count."""
    chinese = len(re.findall(rf"[{CJK}]", text))
    words = len(re.findall(r"[A-Za-z]{4,}", text))
    if not chinese:
        return "en"
    return "zh" if words * 6 < chinese else "en" if chinese * 6 < words else "mixed"


def plain(source: str) -> Plain:
    """Return lower case, half-width signs, simplified characters, single spaces; breaks only where a statement ends."""
    chars: list[str] = []
    at: list[int] = []
    breaks = _breaks(source) if _LINE_END.search(source) else {}
    last = "\n"
    for run in _RUN.finditer(source):
        k, char = run.start(), run.group()
        if run.lastgroup == "plain":
            chars.extend(char.lower())
            at.extend(range(k, run.end()))
            last = char[-1]
            continue
        new = _spelled(char)
        if new == "\n":
            new = breaks.get(k, "")
        for c in new:
            if c == " " and last in " \n":
                continue
            if c == "\n":
                if last == " ":
                    chars.pop()
                    at.pop()
                    last = chars[-1] if chars else "\n"
                if last == "\n":
                    continue
            chars.append(c)
            at.append(k)
            last = c
    return Plain(source, "".join(chars), (*at, len(source)))


_RUN = re.compile(r"(?P<plain>[!-~]+)|.", re.DOTALL)
_UNSEEN = ("Cf", "Cc", "Mn", "Cs", "Co", "Cn")
"""Unicode categories of characters that are left out."""
_HALF_WIDTH = {c + 0xFEE0: c for c in range(ord("!"), ord("~") + 1)}
_LINE_END = re.compile(r"[\n\r\u2028\u2029\x0b\x0c\x85]")


@lru_cache(maxsize=20000)
def _spelled(char: str) -> str:
    """Return one character in the one spelling; a line end stays for the caller to judge."""
    if _LINE_END.match(char):
        return "\n"
    if char.isspace():
        return " "
    if unicodedata.category(char) in _UNSEEN:
        return ""
    plain_char = letters().get(char) or unicodedata.normalize("NFKC", char)
    letters_of = (" " if c.isspace() else c for c in plain_char.lower())
    return "".join(c for c in letters_of if unicodedata.category(c) not in _UNSEEN)


def _breaks(source: str) -> dict[int, str]:
    """Return what stands for each end of a line: a break, a space, or nothing between Chinese characters."""
    if not re.search(rf"[{CJK}]", source):
        # a Western text written in full-width signs breaks where the same text in half-width signs does
        source = source.translate(_HALF_WIDTH)
    lines = list(re.finditer(r"[^\n\r\u2028\u2029\x0b\x0c\x85]*", source))
    lines = [m for k, m in enumerate(lines) if m.group() or k == 0 or lines[k - 1].end() != m.start()]
    filled = [m for m in lines if m.group().strip()]
    widths = [_columns(m.group().rstrip()) for m in filled]
    widest = max(widths, default=0)
    shouting = source.upper() == source
    out: dict[int, str] = {}
    for k, (one, following) in enumerate(pairwise(filled)):
        between = source[one.end() : following.start()]
        first, last = following.group().strip(), one.group().rstrip()
        blank = len(re.findall(r"\r\n|[\n\r\u2028\u2029\x0b\x0c\x85]", between)) > 1
        wrapped = not (blank or _BULLET.match(first) or _HEADING.match(first) or _ENDS.search(last)) and _goes_on(
            last, first, widths[k], widest, shouting
        )
        sign = "\n"
        if wrapped:
            both = re.match(rf"[{CJK}\uff00-\uffef\u3001]", last[-1]) and re.match(
                rf"[{CJK}\uff00-\uffef\u3001]", first
            )
            sign = "" if both else " "
        place = one.end()
        out[place] = sign
    return out


def _goes_on(last: str, first: str, width: int, widest: int, shouting: bool) -> bool:
    """Whether a line without a full stop goes on in the next: it was long, or the next starts in lower case."""
    full = width >= _WRAP and width >= 0.55 * widest
    if re.match(r"[a-z(,]", first) or re.search(
        r"(?:[,\u3001(]|\b(?:the|of|in|and|or|a|with|to|no|is|are|for))$", last.lower()
    ):
        return True
    if not shouting and re.match(r"[A-Z][a-z]{2}", first):
        return full and width >= widest - 14
    return full


def _columns(line: str) -> int:
    return len(line) if line.isascii() else sum(2 if ord(c) > 0x2E7F else 1 for c in line)


def sentences(text: Plain) -> list[Sentence]:
    """Return the sentences in order, each with its section."""
    cuts = _cuts(text)
    pieces: list[tuple[int, int, int]] = []
    line = 0
    for start, end in zip([0, *cuts], [*cuts, len(text.text)], strict=True):
        raw = text.text[start:end]
        if raw.strip(" \n.;,:"):
            lead = len(raw) - len(raw.lstrip(" \n"))
            pieces.append((start + lead, end, line))
        line += raw.count("\n")
    return list(_sectioned(text.text, pieces))


def _cuts(text: Plain) -> list[int]:
    plain_text, cuts = text.text, set()
    for match in _STOP.finditer(plain_text):
        if match.group() == "." and not _full_stop(text, match.start()):
            continue
        cuts.add(match.end())
    for match in _ITEM.finditer(plain_text):
        if not _NO_ITEM.search(plain_text[max(0, match.start() - 16) : match.start()]):
            cuts.add(match.start())
    for cue in table("sections").find(plain_text):
        if cue.start and plain_text[cue.start - 1] in " \n.\u3002;[\u3010":
            cuts.add(cue.start)
    ends = sorted(cut for cut in cuts if 0 < cut < len(plain_text))
    return sorted({*ends, *_long_cuts(plain_text, [0, *ends, len(plain_text)])})


def _long_cuts(text: str, ends: list[int]) -> Iterator[int]:
    """Yield where to cut what is too long for a sentence, behind a comma or a space where there is one."""
    for start, end in pairwise(ends):
        while end - start > LONGEST_SENTENCE:
            half = start + LONGEST_SENTENCE // 2
            behind = max(text.rfind(sign, half, start + LONGEST_SENTENCE) for sign in (",", " "))
            start = behind + 1 if behind > 0 else start + LONGEST_SENTENCE
            yield start


def _full_stop(text: Plain, k: int) -> bool:
    before, after = text.text[max(0, k - 8) : k], text.text[k + 1 : k + 3]
    if not after.strip():
        return True
    nxt = text.source[text.at[k + 1 if after[0] != " " else min(k + 2, len(text.text) - 1)]]
    if re.match(rf"[{CJK}]", after.strip()) or (before and re.match(rf"[{CJK}]", before[-1])):
        return True
    if after[0] != " ":
        return nxt.isupper() and before[-1:].isalpha() and len(before.split(" ")[-1]) > 2
    if _UNITS.search(before):
        return not nxt.islower()
    if _NEVER.search(before):
        return False
    if _SHORT.search(before) and not re.search(r"\d[a-z]$", before):
        behind = text.source[text.at[k] + 1 : text.at[k] + 8].lstrip()
        return bool(re.match(r"[A-Z][a-z]{2}", behind)) and len(re.findall(r"[a-z]+$", before)[0]) > 2
    return True


_CURRENT = ("findings", "impression")


def _sectioned(text: str, pieces: list[tuple[int, int, int]]) -> Iterator[Sentence]:
    heads: list[Cue | None] = []
    book = table("sections")
    for start, end, _ in pieces:
        found = book.at_start(text[start:end].lstrip("[\u3010 "))
        heads.append(found)
    section, since = "", -1
    for k, (start, end, line) in enumerate(pieces):
        head = heads[k]
        if head is not None:
            section, since = head.category, k
        elif section not in ("", *_CURRENT) and not any(h and h.category in _CURRENT for h in heads[k:]):
            # no heading of the findings follows: an aside ends with its line, and after one sentence on the same line
            bare = not text[pieces[since][0] : pieces[since][1]].partition(":")[2].strip(" \n.")
            if not (bare and k == since + 1):
                section = ""
        yield Sentence(start, end, text[start:end], section, line)
