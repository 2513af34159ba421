"""How a mention stands: stated, likely, possible, denied, gone, of former times, only asked for.

After ConText (Harkema et al. 2009, J Biomed Inform 42:839): cues reach forward (``_pre``) or backward (``_post``) over
the words of their sentence until something ends their reach. Ours differ in what ends it: a preposition ("no
enhancement of the calcified lesion"), a predicate, a comma before a new statement; and in lists, over which "no" goes
on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hepacalc.reports.cues import Cue, table
from hepacalc.reports.records import State

__all__ = ["Context", "Standing", "context_of", "is_denied", "is_doubted", "standing", "taken_up"]

COURSE = ("same", "new", "grown", "shrunk", "denser")
_MAIN = (
    "neg_pre", "neg_post", "closed", "gone_pre", "gone_post", "doubt_pre", "doubt_post", "likely_pre", "likely_post",
    "asked_pre", "asked_post", "past_pre", "past_post", "unseen_post", "stop",
)  # fmt: skip
_PREPOSITION = re.compile(
    r"\b(?:of|in|within|for|around|surrounding|to(?! suggest| indicate)|from|about|regarding|at|by|"
    r"near|between|involving|"
    r"inside|on|through)\b"
)
_OR = re.compile(r"\bor\b|\bnor\b|/|、|或")
_NEW_ITEM = re.compile(
    r"^\s*(?:and |with )?\s*(?:an?|the|tiny|small|few|several|multiple|scattered|numerous|there|two|"
    r"three|single|solitary|"
    r"punctate|stable|unchanged|old|again|known|coarse|one|some|incidental\w*|innumerable|similar|linear|dense|with|"
    r"possible|probable|likely|\d)\b"
)
_AND_NEW = re.compile(
    r"\band (?:also )?(?:an?|there|the|several|multiple|few|scattered|stable|unchanged|old|numerous|tiny|punctate|"
    r"incidental\w*|contains?|shows?|has|have|is|are|with)\b|\bwith an? (?:tiny|small|punctate|single|calcified)\b"
)
_STATED = re.compile(
    r"^.{0,60}?(?:\b(?:is|are|was|were)\b(?: \w+)? (?:seen|noted|present|identified|visuali[sz]ed|"
    r"found|demonstrated|evident|"
    r"observed|visible)\b|\bnoted\b|\d ?(?:mm|cm)\b)"
)
_PREDICATE = re.compile(
    r"\b(?:is|are|was|were)\b(?!.{0,25}to suggest)|\bthere\b|\b(?:contains?|shows?|demonstrates?|"
    r"reveals?|has|have|noted|unremarkable)\b(?!.{0,15}to suggest)"
)
_NARROW = re.compile(
    r"\b(?:with|containing|showing|which|that|demonstrating|and|but)\b|伴|合并|及|和|并|内见|内有|内可见|[,;]"
)
_KNOWN = re.compile(r"\b(?:this|these|those|the known|the calcified|the above)\b[^,]*$")
_TAKES_UP = re.compile(
    r"^\s*(?:this|it|these|they|which|none|the (?:lesion|calcif\w+|finding|focus)|today|now|本次|此次|现|今|目前|仍)"
)
_SEEN_NOW = re.compile(r"\b(?:seen|visible|present|noted|identified)\b|可见|仍见|见")
_CJK = re.compile(r"[\u3400-\u9fff]")
_FORMER = re.compile(r"previous|prior|known|earlier|\bold\b|既往|原|前[片次]|上次")


@dataclass(frozen=True, slots=True)
class Standing:
    """State of a mention, the cues behind it, and the cue of its course against older images."""

    state: State
    cues: tuple[Cue, ...] = ()
    change: Cue | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """The cues of one sentence: those that decide how something stands, those of its course, and its organs."""

    text: str
    main: tuple[Cue, ...]
    course: tuple[Cue, ...]
    excepts: tuple[Cue, ...]
    organs: tuple[tuple[int, int], ...]


def context_of(text: str, organs: Iterable[tuple[int, int]]) -> Context:
    """Return the context cues of a sentence, whose organs stand at ``organs``."""
    book = table("context")
    return Context(text, tuple(book.find(text, _MAIN)), tuple(book.find(text, COURSE)),
                   tuple(book.find(text, ("except",))), tuple(organs))  # fmt: skip


def standing(said: Context, start: int, end: int, section: str) -> Standing:
    """Return how the mention at ``start`` to ``end`` stands in its sentence, which belongs to ``section``."""
    text = said.text
    before = [c for c in reversed(said.main) if c.end <= start]
    after = [c for c in said.main if c.start >= end]
    change = _course(said, start, end)

    def behind(category: str, words: int = 6, commas: bool = False) -> Cue | None:
        return next((c for c in after if c.category == category and _backward(said, end, c, words, commas)), None)

    def ahead(category: str, words: int = 9) -> Cue | None:
        return next((c for c in before if c.category == category and _forward(said, c, start, words)), None)

    if (gone := behind("gone_post", 14, commas=True)) is not None:
        return Standing("gone", (gone,))
    if (gone := ahead("gone_pre", 3)) is not None:
        return Standing("gone", (gone,))
    doubted = next((c for c in after if c.category == "doubt_post" and _close(text, end, c)), None)
    doubted = doubted or next(
        (c for c in said.main if c.category == "doubt_post" and c.start < start < end < c.end), None
    )
    denied = behind("neg_post") if doubted is None else None
    denied = denied or next((c for c in before if c.category == "neg_pre" and _denies(said, c, start, end)), None)
    if denied is not None and not _excepted(said, denied, end):
        return Standing("gone" if denied.start >= end and _FORMER.search(text[:start]) else "absent", (denied,))
    if (unseen := behind("unseen_post", 10)) is not None:
        return Standing("history" if _FORMER.search(text[:start]) else "possible", (unseen,))
    asked = ahead("asked_pre", 8) or behind("asked_post")
    if asked is not None:
        return Standing("hypothetical", (asked,))
    past = tuple(c for c in (_past(text, before, start), behind("past_post", 9, commas=False)) if c)
    if section in ("history", "technique") and (doubted or ahead("doubt_pre")):
        return Standing("hypothetical", past)
    if section in ("history", "technique") or (change is None and (past or section == "comparison")):
        return Standing("history", past)
    course = () if change is None else (change,)
    doubted = doubted or ahead("doubt_pre")
    if doubted is not None:
        return Standing("possible", (doubted, *course), change)
    likely = ahead("likely_pre") or next(
        (c for c in after if c.category == "likely_post" and _close(text, end, c)), None
    )
    if likely is not None:
        return Standing("probable", (likely, *course), change)
    return Standing("present", course, change)


def _stopped(said: Context, start: int, end: int) -> bool:
    return any(c.category == "stop" and start <= c.start and c.end <= end for c in said.main)


def taken_up(text: str) -> State | None:
    """Return how the sentence behind takes up what a report of former times said: still there, gone, or nothing."""
    if not _TAKES_UP.match(text):
        return None
    cues = context_of(text, ()).main
    if any(c.category in ("neg_pre", "neg_post", "gone_post") for c in cues):
        return "gone"
    return "present" if table("context").find(text, COURSE) or _SEEN_NOW.search(text) else None


def _denies(said: Context, cue: Cue, start: int, end: int) -> bool:
    """Whether a "no" before the mention reaches it."""
    text = said.text
    gap = text[cue.end : start]
    if len(gap) > 160 or _stopped(said, cue.end, start):
        return False
    if _CJK.search(text[cue.start : cue.end]):
        return _denies_chinese(text, gap, end)
    words = gap.split()
    if text[cue.start : cue.end] == "not" and len(words) > 4:
        return False
    rest = text[end : end + 80].split(";")[0]
    listed = bool(_OR.search(gap)) or bool(re.match(r"[^.]{0,60}?(?:\bor\b|\bnor\b)", rest))
    if (places := list(_PREPOSITION.finditer(gap))) and not _OR.search(gap[places[-1].end() :]):
        tail = gap[places[-1].end() :]
        if not ("," in tail and listed):
            return False
    if _PREDICATE.search(gap) or _AND_NEW.search(gap):
        return False
    if "," in gap:
        item = gap.rpartition(",")[2] + text[start : end + 80].split(",")[0].split(";")[0]
        ored = bool(re.search(r"\b(?:or|nor)\b", gap)) or bool(
            re.match(r"[^;.]{0,60}?\b(?:or|nor)\b", text[end : end + 80])
        )
        if re.search(r"^\s*(?:or|nor)\b", item):
            return True
        if not ored and (_NEW_ITEM.match(item) or _STATED.match(text[start:end] + text[end : end + 80].split(",")[0])):
            return False
        if ored and re.match(r"^\s*(?:but|with|there|an? )", item):
            return False
        if not ored and re.search(r"\b(?:in|within|of|at) (?:the )?(?:right|left|liver|hepatic|seg|dome|spleen)", item):
            return False
    return True


def _denies_chinese(text: str, gap: str, end: int) -> bool:
    if re.search(r"可见|(?<!未)见|显示|呈|存在|[;。]", gap) or len(gap) > 40:
        return False
    if "," not in gap:
        return True
    item = gap.rpartition(",")[2]
    # bare items of a list that was typed with commas
    return not item and bool(re.match(r"^[\w]{0,2}(?:[,。.、]|及|和|或|$)", text[end:]))


def _excepted(said: Context, denied: Cue, end: int) -> bool:
    """Whether "other than", "except" behind what was denied takes it back."""
    if denied.start >= end:
        return False
    return any(c.start >= end and not re.search(r"[;.]|\band\b", said.text[end : c.start]) for c in said.excepts)


def _forward(said: Context, cue: Cue, start: int, words: int) -> bool:
    """Whether a cue of doubt, likelihood or asking before the mention reaches it."""
    text = said.text
    gap = text[cue.end : start]
    if _CJK.search(text[cue.start : cue.end]) or _CJK.search(gap):
        return len(gap) <= 14 and not _NARROW.search(gap)
    if len(gap.split()) > words or _stopped(said, cue.end, start):
        return False
    if _KNOWN.search(gap):
        return False
    narrow = _NARROW.search(re.sub(r"^\s*(?:with|containing|showing)\b", "", gap))
    if narrow is None:
        return True
    phrase = text[cue.start : cue.end]
    listed = bool(re.search(r"\b(?:or|vs|versus)\b", gap)) and "with" not in gap
    return listed or (
        bool(re.match(r"ddx|d/d|diff|either|\?|to |rule|r/o|evaluat|assess|if", phrase)) and ";" not in gap
    )


def _past(text: str, before: Sequence[Cue], start: int) -> Cue | None:
    for cue in before:
        gap = text[cue.end : start]
        if (
            cue.category == "past_pre"
            and len(gap) <= 70
            and not re.search(r"[;]|今(?!年)|(?<![发表出])现|目前|本次|此次|\bnow\b|\btoday\b|currently", gap)
        ):
            if cue.category == "past_pre" and _CJK.search(text[cue.start : cue.end]) and len(gap) > 24:
                continue
            if text[cue.start : cue.end] in ("因", "主诉") and "," in gap:
                continue
            return cue
    return None


def _backward(said: Context, end: int, cue: Cue, words: int, commas: bool) -> bool:
    """Whether a cue behind the mention reaches back to it."""
    gap = said.text[end : cue.start]
    chinese = bool(_CJK.search(gap))
    if (len(gap) > 26 if chinese else len(gap.split()) > words) or re.search(r"[;。]", gap):
        return False
    if "," in gap and not commas and not re.search(r",.*\b(?:or|and)\b", gap):
        return False
    if chinese and not commas and re.search(r"周围|旁|余|其|增强|后方|内|伴|但", gap):
        return False
    if re.search(r"\b(?:but|with|which|is|are|was|were|contains?|shows?)\b", gap):
        return False
    return not any(end < a < cue.start and re.search(r"\band\b|,", said.text[end:a]) for a, _ in said.organs)


def _close(text: str, end: int, cue: Cue) -> bool:
    """Whether a cue of doubt right behind the mention is about it and not about what follows."""
    gap = text[end : cue.start]
    if _CJK.search(gap) or _CJK.search(text[max(0, end - 2) : end]):
        return len(gap) <= 9 and not re.search(r"[,;。]|伴|合并|及|和|并|\(.", gap)
    if re.search(r"[,;]", gap) or len(gap.split()) > 6:
        return False
    phrase = text[cue.start : cue.end].strip()
    if phrase.startswith("?"):
        return not gap.strip() or len(gap.split()) <= 2
    if re.match(r"(?:or|vs|versus|/)", phrase):
        return not gap.strip() or bool(re.match(r"^\s*(?:foc\w+|lesions?|spots?|density|granulomas?)?\s*$", gap))
    return not re.search(r"\b(?:and|with|but|which|may|represent\w*|is|are)\b", gap)


def _course(said: Context, start: int, end: int) -> Cue | None:
    """Return the nearest cue of the course that is about the mention."""
    best: tuple[int, Cue] | None = None
    for cue in said.course:
        if cue.start < end and cue.end > start:
            far, gap = 0, ""
        elif cue.end <= start:
            gap = said.text[cue.end : start]
            far = len(gap)
            if cue.category in ("new", "grown", "shrunk") and re.search(r"[,;]|\band\b", gap):
                continue
        else:
            gap = said.text[end : cue.start]
            far = len(gap)
        if far > 110 or re.search(r";|\bbut\b|\bwhereas\b", gap):
            continue
        if best is None or far < best[0]:
            best = far, cue
    return None if best is None else best[1]


def is_denied(said: Context, start: int, end: int) -> bool:
    """Return whether what stands from ``start`` to ``end`` of a sentence is said not to be there."""
    before = (c for c in reversed(said.main) if c.end <= start and c.category == "neg_pre")
    behind = (c for c in said.main if c.start >= end and c.category in ("neg_post", "gone_post"))
    return any(_denies(said, c, start, end) for c in before) or any(_backward(said, end, c, 6, False) for c in behind)


def is_doubted(said: Context, start: int, end: int) -> bool:
    """Return whether it is only possible or likely."""
    before = (c for c in reversed(said.main) if c.end <= start and c.category in ("doubt_pre", "likely_pre"))
    behind = (c for c in said.main if c.start >= end and c.category in ("doubt_post", "likely_post"))
    return any(_forward(said, c, start, 9) for c in before) or any(_close(said.text, end, c) for c in behind)
