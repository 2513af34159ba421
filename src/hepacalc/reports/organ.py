"""Which organ a calcification is said of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hepacalc.reports.cues import Cue, table

__all__ = ["Group", "groups", "organs_of", "topic_of"]

_JOIN = re.compile(
    r"^(?:\s*(?:,|and|&|/|or|vs\.?|versus|\+|plus|as well as|along with|、|及|和|与|以及|,?及)\s*)+"
    r"(?:(?:in|of|within|on|at|the|both|right|left|bilateral|lower|upper|also|mediastinal|hilar|small|a|few)\s+)*$"
)
_STATE = re.compile(
    r"^\s*(?:is|are|appears?|:|unremarkable|normal|shows?|has|without|within normal|not|un|being|"
    r"clear|free|looks?|does|do(?:es)?n|正常|无|未|\\(-|-\\))"
)
_WELL = re.compile(r"[^,.;]{0,24}(?:normal|unremarkable|clear|free|\bno\b|\bnot\b|homogen|正常|无|未|均匀)")
_PLACED = re.compile(
    r"\b(?:in|within|of|at|involving|throughout|along|inside|from|on|affecting|to|around)\b(?:[\s,]*(?:[\w'-]+)){0,5}?[\s,]*$"
)
_BREAK = re.compile(
    r"[;:]|,\s*(?:and |with |there |the |a |an |no )|\b(?:and (?:a|an|the|there|no|also|multiple|"
    r"several|few|stable)|but|while|whereas|with|"
    r"without|is|are|was|were|shows?|contains?|has|have|due to|from|compared|could|may|might)\b|"
    r"[,\u3002](?=[\u3400-\u9fff])"
)
_ASIDE_OF = re.compile(r"^(?:窝)?(?:旁|周围|附近|邻近|外侧|前方|上方|下方)")
_CANCER = re.compile(r"^(?:腺)?癌|^恶性|^ ?(?:\w+ )?(?:cancer|carcinoma|adenocarcinoma|primary|ca\b)")
_ADJECTIVE = re.compile(r"(?:calcified|calcific|ossified|mineralized|mineralised|calcareous|calc'?d|calcif)$")
_ADJACENT = re.compile(r"^(?:\s*(?:[a-z'-]+\s+){0,2}|[的性]?)$")
_SEEN = re.compile(
    r"\b(?:is|are|was|were)(?: again| also| incidentally)? (?:seen|noted|present|identified|"
    r"visuali[sz]ed|found|demonstrated|evident|observed|"
    r"visible|scattered|located|situated|detected|not seen|not identified|shown)\b"
)
_MAYBE = re.compile(
    r"^[\s,]*(?:which )?(?:may|might|could|can|possibly|probably|likely|either)\b(?: be)?(?: located|"
    r" situated)? ?(?:with)?(?:in|from|of)\b[\w ]*$"
)
_PLAIN = re.compile(r"^[\s\-]*(?:[a-z'-]+\s+){0,3}$")
_PREPOSITION = re.compile(
    r"\b(?:in|of|at|with|within|and|or|is|are|to|no|shows?|contains?|there|has|from|on|near|the|a|an)\b"
)
_CJK = re.compile(r"[\u3400-\u9fff]")
_ASIDE = ("lung", "thyroid", "prostate", "brain", "kidney", "soft_tissue")
"""Organs that have lobes or segments of their own."""


@dataclass(frozen=True, slots=True)
class Group:
    """Organs that are named together; ``weak`` when only a part is named, ``doubtful`` when it is one or the other."""

    start: int
    end: int
    organs: tuple[str, ...]
    weak: bool
    doubtful: bool = False


def groups(text: str, topic: Sequence[str]) -> list[Group]:
    """Return the organs of a sentence in order; what only lies near is left out.

    Args:
        text: one sentence, normalised.
        topic: organs that the sentences before speak of; they own a lobe or segment that is named alone.
    """
    cues = table("organs").find(text)
    near_ends = {cue.end for cue in cues if cue.category == "near"}
    found: list[Group] = []
    last: tuple[str, ...] = ()
    named = [c for c in cues if c.category != "near"]
    skip = False
    for cue in named:
        if _beside(text, cue, near_ends) or _ASIDE_OF.match(text[cue.end :]) or _primary(text, cue, named):
            skip = True
            continue
        if skip and cue.category == "weak":
            continue
        skip = False
        if cue.category == "weak":
            owner = _owner(text, cue, named, last or tuple(topic))
            found.append(Group(cue.start, cue.end, owner, True))
        else:
            organ = cue.value
            found.append(Group(cue.start, cue.end, (organ,), False))
            if organ == "liver" or organ in _ASIDE:
                last = (organ,)
    return _merged(text, found)


def _beside(text: str, cue: Cue, near_ends: set[int]) -> bool:
    return any(end <= cue.start and not text[end : cue.start].strip() for end in near_ends)


def _primary(text: str, cue: Cue, named: Sequence[Cue]) -> bool:
    """Whether an organ is only named as the seat of a cancer that the liver has metastases of."""
    if cue.value == "liver" or not _CANCER.match(text[cue.end :]):
        return False
    return any(c.value == "liver" and c.start < cue.start for c in named)


def _owner(text: str, cue: Cue, named: Sequence[Cue], before: tuple[str, ...]) -> tuple[str, ...]:
    following = next((c for c in named if c.start >= cue.end and c.category == "organ"), None)
    if following is not None and re.match(r"^\s*(?:of )?(?:the )?$", text[cue.end : following.start]):
        return (following.value,) if following.value in (*_ASIDE, "liver") else ("liver",)
    aside = [organ for organ in before if organ in _ASIDE]
    segment = re.match(r"s ?[1-8iv]|seg", cue.value or text[cue.start : cue.end])
    if aside and "liver" not in before and not (segment and aside[0] != "lung"):
        return (aside[0],)
    return ("liver",)


def _merged(text: str, found: Sequence[Group]) -> list[Group]:
    out: list[Group] = []
    for group in found:
        if out:
            between = text[out[-1].end : group.start]
            comma = "," in between and not re.search(r"and|or|&|及|和|与", between)
            said = comma and _STATE.match(text[group.end :])
            same = not between.strip() and (
                group.weak or out[-1].weak or group.organs == out[-1].organs or bool(_CJK.match(text[group.start :]))
            )
            part = (
                re.match(r"^\s*(?:,|of|in|of the|in the|\(|-|的|:)?\s*$", between)
                and group.weak
                and "liver" in out[-1].organs
            )
            if (_JOIN.match(between) and not said) or same or part:
                organs = (*out[-1].organs, *(o for o in group.organs if o not in out[-1].organs))
                either = out[-1].doubtful or (len(organs) > 1 and bool(re.search(r"\b(?:or|vs|versus)\b|或", between)))
                out[-1] = Group(out[-1].start, group.end, organs, out[-1].weak and group.weak, either)
                continue
        out.append(group)
    return out


def topic_of(found: Sequence[Group]) -> tuple[str, ...]:
    """Return what a sentence is about: the organs that it names first."""
    return found[0].organs if found else ()


def organs_of(
    text: str, start: int, end: int, found: Sequence[Group], topic: Sequence[str]
) -> tuple[tuple[str, ...], Group | None]:
    """Return the organs of the mention at ``start`` to ``end``, and the group that says so (None when inherited)."""
    before = [g for g in found if g.start < start]
    after = [g for g in found if g.start >= end]
    inside = [g for g in found if g.start < end and g.end > start]
    if inside:
        return inside[-1].organs, inside[-1]
    last, following = (before[-1] if before else None), (after[0] if after else None)
    gap_before = text[last.end : start] if last else ""
    gap_after = text[end : following.start] if following else ""
    if (
        following
        and _ADJECTIVE.search(text[start:end])
        and _ADJACENT.match(gap_after)
        and not _PREPOSITION.search(gap_after)
    ):
        return following.organs, following
    if following and re.match(r"^(?:灶|影)?(?:,)?(?:位于|见于|在)$", gap_after):
        return following.organs, following
    chinese = re.search(r"[\u3400-\u9fff]", text[max(0, start - 6) : end + 6])
    if last and _PLAIN.match(gap_before) and not _PREPOSITION.search(gap_before):
        return last.organs, last
    said = _SEEN.sub(" ", gap_after)
    for group in after if not chinese else ():
        between = _SEEN.sub(" ", text[end : group.start])
        if _PLACED.search(between) and not _BREAK.search(between):
            return group.organs, group
    if following and not last and (re.search(r"位于", gap_after) or _MAYBE.search(gap_after)):
        return following.organs, replace(following, doubtful=following.doubtful or bool(_MAYBE.search(gap_after)))
    if last:
        return last.organs, last
    if following and not _BREAK.search(said) and not re.match(r"\s*(?:or\b|and\b|/|,\s*(?:\w+\s+){2}\w)", said):
        return following.organs, following
    if topic:
        return tuple(topic), None
    told = {organ for g in found for organ in g.organs}
    if following and told == {"liver"} and not _WELL.match(text[following.end :]):
        return following.organs, following
    return (), None
