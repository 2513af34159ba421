"""How the examination was done, and what the report recommends."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hepacalc.reports.cues import table
from hepacalc.reports.records import Advice, Words
from hepacalc.reports.text import Plain, Sentence

__all__ = ["advice_of", "modality_of"]

_SKIP = re.compile(
    r"recommend|suggest|advis|follow-? ?up|correlat|compar|previous|prior|outside|earlier|further|consider|better|"
    r"建议|复查|随访|较前|前片|对比|外院|既往|必要|进一步|曾|上次|协诊"
)
_NUM = r"(?:\d{1,3}|one|two|three|four|six|nine|twelve|a|an|半|一|两|二|三|四|五|六|九|十二|十)"
_INTERVAL = re.compile(
    rf"(?P<low>{_NUM})(?:个)?(?: ?(?:-|~|to|or|–|至|到|"
    rf"、) ?(?P<high>{_NUM}))? ?-?(?:个)?(?P<unit>days?|weeks?|wks?|w(?!\w)|months?|mths?|mos?|m(?!\w)|"
    rf"years?|yrs?|y(?!\w)|"
    r"天|日|周|星期|月|年)(?!内(?:无|未)|前|\d)(?P<half>半)?"
)
_WORD_INTERVAL = re.compile(
    r"(?P<year>annual(?:ly)?|yearly|每年|年度)|(?P<half>半年|six-?monthly|biannual(?:ly)?)|(?P<quarter>季度|quarterly)"
)
_VALUE = {
    "one": 1, "a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "six": 6, "nine": 9, "twelve": 12, "半": 0.5, "一": 1,
    "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "九": 9, "十": 10, "十二": 12,
}  # fmt: skip
_DAYS = {"d": 1, "w": 7, "m": 30.4375, "y": 365.25, "天": 1, "日": 1, "周": 7, "星": 7, "月": 30.4375, "年": 365.25}
_ORDER = ("none", "follow_up", "imaging", "referral", "laboratory")


def modality_of(text: Plain, found: Sequence[Sentence]) -> tuple[str, Words] | None:
    """Return how the examination was done: what the title or technique says, else what is named, else by its words."""
    for wanted in ("named", "hint"):
        votes: dict[str, tuple[int, Words]] = {}
        for k, one in enumerate(found):
            if one.section in ("history", "comparison", "advice") or _SKIP.search(one.text):
                continue
            category = "modality" if wanted == "named" else "hint"
            for cue in table("exam").find(one.text, (category,)):
                weight = 5 if one.section == "technique" else 3 if k == 0 else 1
                count, words = votes.get(cue.value, (0, _words(text, one.start + cue.start, one.start + cue.end)))
                votes[cue.value] = (count + weight, words)
        if votes:
            best = max(votes, key=lambda name: (votes[name][0], len(name)))
            if best == "ct":
                best = next((name for name in ("pet_ct", "ct_contrast", "ct_non_contrast") if name in votes), best)
                votes.setdefault(best, votes["ct"])
            return best, votes[best][1]
    return None


def advice_of(text: Plain, found: Sequence[Sentence]) -> tuple[Advice, ...]:
    """Return the recommendations, one for a clause that has the verb of one."""
    out: list[Advice] = []
    book = table("exam")
    for one in found:
        if one.section in ("history", "technique", "comparison"):
            continue
        for start, end in _clauses(one):
            said = one.text[start:end]
            none, verbs, deeds = (book.find(said, (kind,)) for kind in ("none", "verb", "deed"))
            words = (one.start + start, one.start + end)
            if none:
                out.append(
                    Advice("none", None, None, _words(text, words[0] + none[0].start, words[0] + none[0].end, "advice"))
                )
                continue
            if not deeds or not (verbs or one.section == "advice"):
                continue
            kinds = {cue.value or cue.category for cue in deeds}
            kind = next(k for k in _ORDER if k in kinds)
            named = [cue.value for cue in book.find(said, ("modality",))]
            low = min([c.start for c in (*verbs, *deeds)])
            high = max([c.end for c in (*verbs, *deeds)])
            interval = None
            if (when := _interval(said)) is not None:
                interval, a, b = when
                low, high = min(low, a), max(high, b)
            out.append(Advice(kind, named[0] if named else None, interval,
                              _words(text, words[0] + low, words[0] + high, "advice")))  # fmt: skip
    return tuple(out)


def _clauses(one: Sentence) -> list[tuple[int, int]]:
    """Split at commas before a recommendation."""
    cuts = [
        m.end()
        for m in re.finditer(
            r",(?=.{0,6}(?:建议|请|必要时|无需|随访|定期|recommend|suggest|no |consider|advise))", one.text
        )
    ]
    return list(zip([0, *cuts], [*cuts, len(one.text)], strict=True))


def _interval(said: str) -> tuple[tuple[int, int], int, int] | None:
    match: re.Match[str] | None
    for match in _INTERVAL.finditer(said):
        if re.match(r"-?(?:year|yr|month|week)s?-?\s?(?:old|history|ago)|岁", said[match.end() - 6 : match.end() + 12]):
            continue
        unit = _DAYS[match["unit"][0]]
        low = _VALUE.get(match["low"]) or float(match["low"] if match["low"].isdigit() else 1)
        high = low if match["high"] is None else _VALUE.get(match["high"]) or float(match["high"])
        if match["half"]:
            low, high = low + 0.5, high + 0.5
        low, high = min(low, high), max(low, high)
        if high * unit <= 365.25 * 12:
            return (round(low * unit), round(high * unit)), *match.span()
    if (match := _WORD_INTERVAL.search(said)) is not None:
        days = 365 if match["year"] else 183 if match["half"] else 91
        return (days, days), *match.span()
    return None


def _words(text: Plain, start: int, end: int, role: str = "modality") -> Words:
    a, b = text.span(start, end)
    return Words(a, b, text.source[a:b], role)
