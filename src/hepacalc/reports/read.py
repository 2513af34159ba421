"""A radiology report -> structured findings of the liver: the one function that reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from hepacalc.records import NotMeasured
from hepacalc.reports.assertion import Context, Standing, context_of, standing, taken_up
from hepacalc.reports.cues import Cue, table
from hepacalc.reports.describe import Mark, density_of, described, number_of, sites_of, sizes_of
from hepacalc.reports.exam import advice_of, modality_of
from hepacalc.reports.organ import Group, groups, organs_of, topic_of
from hepacalc.reports.records import LEVELS, Answer, Change, Mention, ReportFindings, State, Words
from hepacalc.reports.text import Plain, Sentence, language_of, plain, sentences

__all__ = ["LONGEST", "read_report"]

LONGEST = 200_000
"""Characters of one report that are read; a longer text is no report."""
CANDIDATES = ("bright_echo", "dense")
MIMICS = ("stone", "lipiodol", "clip", "coil", "stent", "gas", "contrast", "metal")
_SHADOW = re.compile(
    r"(?:with|and|casting|causing|producing|showing|demonstrat\w+|has|posterior|distal|strong|clean|"
    r"dense|faint|acoustic|marked|partial)[\w ,-]{0,25}?shadow\w*|"
    r"shadowing|acoustic shadow\w*|(?:伴|后方?|后伴|可?见|有|见有?|伴有|及|拖|带).{0,6}?(?:声影|"
    r"彗星尾)|声影\(?\+\)?|\+\)?声影|伴影"
)
_NO_SHADOW = re.compile(
    r"(?:no|without|w/o|not?|lack\w*|absent|absence|free)\b[\w ]{0,30}?shadow\w*|shadow\w* (?:is|"
    r"was) (?:not|absent)|non-?shadow\w*|"
    r"(?:无|未见|不伴|没有|未)(?:明显|确切|典型|伴)*(?:后方?)?声影|声影(?:不明显|\(-\)|阴性)"
)
_DUCTAL = re.compile(
    r"duct|biliary|沿.{0,3}胆管|胆管(?:内|走行)|管道?样|comet|彗星|ring-?down|移动|gas|air|pneumobilia|积气"
)
_DENIED = re.compile(r"(?:\b(?:not|no|without)\b|不|无|未)[^,.;]{0,24}")
_ENHANCED = re.compile(
    r"arterial|enhanc|phase|venous|washout|wash-?out|强化|动脉期|增强|门脉期|lipiodol|碘油|fatty|fat sparing|sparing"
)
_BENIGN_BRIGHT = re.compile(r"h(?:a)?emangioma|血管瘤|脂肪|fatty|lipoma|韧带|ligament|falciform|静脉韧带")
_CANDIDATE = re.compile(r"\b(?:ca|cl|kal)[a-z]{5,14}\b")
_TARGETS = ("calcification", "calcifications", "calcified", "calcific", "calcifying")
_SUPPORT = ("vessel", "duct", "node", "peritoneum", "bone", "liver_duct")
_YEAR = re.compile(r"(?<![\d.])(?:19[89]\d|20[0-4]\d)(?!\d|\.\d)")
_ITEM = re.compile(r"^\(?\d{1,2}[.)、]")
_PRONOUN = re.compile(
    r"^\s*(?:it|this|these|they|the (?:largest|larger|focus|lesion|calcif\w+|biggest)|largest|"
    r"measur\w+|max\w*|其中?|大者|最大|较大|大小|范围)"
)


def read_report(text: str, language: str | None = None) -> ReportFindings:
    """Return what a report says of calcification of the liver, with the characters each answer was read from.

    Reads English, Chinese and both mixed, by fixed tables of cues; nothing is learnt, nothing is sent anywhere.

    Args:
        text: the whole report, as plain text.
        language: ``en`` or ``zh`` when it is known; else told from the letters. Both tables are used in either case.
    """
    text = text[:LONGEST]
    body = plain(text)
    found = sentences(body)
    mentions = list(_mentions(body, found))
    mentions = _settled(mentions)
    how = modality_of(body, found)
    answer, confidence = _answer(mentions)
    return ReportFindings(
        language=language or language_of(text),
        modality=how[0] if how else NotMeasured("the report names no modality"),
        modality_words=how[1] if how else None,
        liver_calcification=answer,
        confidence=confidence,
        mentions=tuple(mentions),
        advice=advice_of(body, found),
        normal_liver=_normal(body, found),
    )


def _mentions(body: Plain, found: Sequence[Sentence]) -> Iterator[Mention]:
    topic: tuple[str, ...] = ()
    line = -1
    heading: tuple[str, ...] = ()
    for k, one in enumerate(found):
        if one.line != line:
            line, heading = one.line, ()
        if _ITEM.match(one.text):
            topic = heading
        here = groups(one.text, topic)
        if (head := re.match(r"^[^:]{0,40}?[:]", one.text)) and here and here[0].end <= head.end() and not here[0].weak:
            heading = topic = here[0].organs
        kinds = _kinds(one.text)
        if kinds:
            said = context_of(one.text, [(g.start, g.end) for g in here])
            following = found[k + 1] if k + 1 < len(found) else None
            for cue in kinds:
                yield _mention(body, one, following, cue, kinds, here, said, topic)
        strong = [g for g in here if g.organs[0] not in _SUPPORT or len(g.organs) > 1]
        if heading:
            topic = heading
        elif strong:
            topic = topic_of(strong)


def _kinds(text: str) -> list[Cue]:
    """Return what is spoken of in a sentence; words that are nearly "calcification" count as it."""
    found = list(table("kinds").find(text))
    taken = [(c.start, c.end) for c in found]
    for match in _CANDIDATE.finditer(text):
        if not any(a < match.end() and match.start() < b for a, b in taken) and _is_typo(match.group()):
            found.append(Cue(*match.span(), "calcification", "typo"))
    return sorted((c for c in found if c.category != "noncalcified"), key=lambda c: c.start)


@lru_cache(maxsize=4096)
def _is_typo(word: str) -> bool:
    if re.match(r"classif|clarif|calcit|calcium|calcan|calcul|calcin|cancel|capaci", word):
        return False
    return any(_distance(word, target) <= (2 if len(target) > 9 else 1) for target in _TARGETS)


def _distance(a: str, b: str) -> int:
    """Return the edits from one word to another."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (one != other))
    return row[-1]


def _mention(
    body: Plain, one: Sentence, following: Sentence | None, cue: Cue, kinds: Sequence[Cue], here: Sequence[Group],
    said: Context, topic: tuple[str, ...],
) -> Mention:  # fmt: skip
    def mark(start: int, end: int, role: str, base: int = one.start) -> Words:
        a, b = body.span(base + start, base + end)
        return Words(a, b, body.source[a:b], role)

    denying = cue.category == "uncalcified"
    kind = "calcification" if denying else cue.category
    organs, group = organs_of(one.text, cue.start, cue.end, here, topic)
    if not organs and following is not None and following.line == one.line:
        organs = _bare_place(following.text)
    organs = tuple(dict.fromkeys("liver" if o == "liver_duct" and kind == "calcification" else o for o in organs))
    stands = Standing("absent") if denying else standing(said, cue.start, cue.end, one.section)
    words = [mark(cue.start, cue.end, kind)]
    if group is not None:
        words.append(mark(group.start, group.end, "organ"))
    words += [mark(c.start, c.end, c.category.removesuffix("_pre").removesuffix("_post")) for c in stands.cues]
    state = stands.state
    if group is not None and group.doubtful and state in ("present", "probable"):
        state = "possible"
    if state == "history" and one.section not in ("history", "technique") and following is not None:
        state = taken_up(following.text) or state
    if kind in CANDIDATES and state in ("present", "probable", "possible"):
        state = _candidate(one.text, cue, kind)
    mention = Mention(kind, organs, state, _sure(kind, cue, state, organs, group), one.section, tuple(words))
    if kind in ("calcification", *CANDIDATES) and "liver" in organs:
        mention = _described(mention, one, following, cue, kinds, stands, mark)
    return mention


def _bare_place(text: str) -> tuple[str, ...]:
    """Return the organs of a sentence that is nothing but a place: "calcific nodule; liver S4b"."""
    found = groups(text, ())
    rest = text
    for group in reversed(found):
        rest = rest[: group.start] + rest[group.end :]
    return topic_of(found) if not re.search(r"\w", rest) else ()


def _candidate(text: str, cue: Cue, kind: str) -> State:
    """Return whether a bright echo or a dense spot is calcium: with a shadow, or as dense as calcium, probably."""
    if kind == "bright_echo":
        if _NO_SHADOW.search(text) or _DUCTAL.search(_DENIED.sub("", text)):
            return "hypothetical" if cue.value == "plain" else "possible"
        if _SHADOW.search(text):
            return "probable"
        return "hypothetical" if cue.value == "plain" or _BENIGN_BRIGHT.search(text) else "possible"
    if re.search(r"(?:[2-9]\d\d|1[3-9]\d|1\d{3}) ?(?:hu|hounsfield)", text):
        return "probable"
    return "hypothetical" if _ENHANCED.search(text) else "possible"


def _sure(kind: str, cue: Cue, state: State, organs: tuple[str, ...], group: Group | None) -> float:
    """Return the confidence: what was read times what had to be guessed."""
    if not organs:
        return 0.4
    sure = 0.96 if kind not in CANDIDATES else 0.7
    sure *= {"present": 1.0, "probable": 0.93, "possible": 0.85, "absent": 0.98}.get(state, 0.9)
    sure *= 0.8 if group is None else 0.93 if group.weak or len(group.organs) > 2 else 1.0
    return round(sure * (0.93 if cue.value == "typo" else 1.0), 2)


def _described(
    mention: Mention,
    one: Sentence,
    following: Sentence | None,
    cue: Cue,
    kinds: Sequence[Cue],
    stands: Standing,
    mark: Mark,
) -> Mention:
    text, others = one.text, [k.start for k in kinds if k is not cue]
    sizes = sizes_of(text, cue.start, cue.end, others, mark)
    if not sizes and following is not None and _PRONOUN.match(following.text):
        base = following.start

        def next_mark(start: int, end: int, role: str) -> Words:
            return mark(start - one.start + base, end - one.start + base, role)

        sizes = sizes_of(following.text, 0, 0, (), next_mark)
    change = None
    if stands.change is not None:
        year = _YEAR.search(text)
        words = mark(stands.change.start, stands.change.end, "course")
        change = Change(stands.change.value, words, year[0] if year else None)
    return replace(
        mention,
        number=number_of(text, cue.start, cue.end, mark),
        sizes=sizes,
        sites=sites_of(text, cue.start, cue.end, mark),
        patterns=described(text, cue.start, cue.end, "pattern", 28, mark),
        hosts=described(text, cue.start, cue.end, "host", 60, mark),
        density_hu=density_of(text, cue.start, cue.end, mark),
        change=change,
    )


def _settled(mentions: Sequence[Mention]) -> list[Mention]:
    """Leave out bright echoes and dense spots that the report explains: it names calcium, or a mimic, in the liver."""
    named = any(m.kind == "calcification" and m.in_liver for m in mentions)
    stone = any(m.kind == "stone" and m.state != "absent" and {"liver", "liver_duct"} & set(m.organs) for m in mentions)
    out = []
    for k, m in enumerate(mentions):
        if m.kind in CANDIDATES and m.in_liver:
            near = mentions[max(0, k - 3) : k + 4]
            mimic = any(
                n.kind in MIMICS and n.state != "absent" and abs(n.words[0].start - m.words[0].start) < 80
                and ({"liver", "liver_duct", "duct"} & set(n.organs) or not n.organs) for n in near
            )  # fmt: skip
            if m.state == "hypothetical" or stone or mimic:
                continue
            if named:
                m = replace(m, state="possible" if m.state == "probable" else m.state)
        out.append(m)
    return out


_ANSWERS: dict[State, Answer] = {
    "present": "yes", "probable": "yes", "possible": "uncertain", "gone": "no", "absent": "no", "history": "history",
}  # fmt: skip


def _answer(mentions: Sequence[Mention]) -> tuple[Answer, float]:
    """Return the answer of the whole report: the first of the levels at which calcification of the liver is told."""
    named = [m for m in mentions if m.kind == "calcification" and m.in_liver]
    seen = named or [m for m in mentions if m.kind in CANDIDATES and m.in_liver and m.state in ("probable", "possible")]
    for state in LEVELS:
        if (these := [m for m in seen if m.state == state]) and state in _ANSWERS:
            return _ANSWERS[state], max(m.confidence for m in these)
    return "not_stated", 0.9


_NORMAL = re.compile(
    r"(?<!ab)(?:liver|hepatic parenchyma)\b[^.;,]{0,40}?\b(?:normal|unremarkable|within normal limits|"
    r"no (?:focal|significant) (?:lesion|abnormalit)\w*)|"
    r"肝(?:脏)?[^。;]{0,40}?未见(?:明显|明确)?异常|肝[^,。;]{0,12}?(?:未见|无)(?:明显|明确)?异常"
)


def _normal(body: Plain, found: Sequence[Sentence]) -> Words | None:
    for one in found:
        if one.section not in ("history", "technique", "comparison") and (match := _NORMAL.search(one.text)):
            a, b = body.span(one.start + match.start(), one.start + match.end())
            return Words(a, b, body.source[a:b], "normal")
    return None
