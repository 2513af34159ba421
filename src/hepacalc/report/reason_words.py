"""Numbers and ids of the reasoning in plain words: weights, dates, reasons, urgency."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.records import CauseProbability, Names, PlanItem
from hepacalc.report.language import phrase, spoken
from hepacalc.report.marks import mark
from hepacalc.report.numbers import MINUS, percent
from hepacalc.report.reason_phrases import HARMS, REASON_PHRASES, SHORT_STATUSES, STATUSES, STRENGTHS, URGENCIES
from hepacalc.report.sentences import say

__all__ = [
    "condensed",
    "deciban_text",
    "due_text",
    "harm_text",
    "headline",
    "item_line",
    "named",
    "said",
    "short",
    "short_status",
    "status_text",
    "strength_text",
    "summary_lines",
    "urgency_text",
]

SHOWN_CAUSES = 3
"""So many causes stand in the line of a terminal."""
_LONG = re.compile(r"\d+\.\d{2,}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def text(key: str, **values: object) -> str:
    """Return the phrase of ``key`` with ``values`` put in."""
    return phrase(key, REASON_PHRASES[key]).format(**values)


def said(names: Names) -> str:
    """Return a text in the language that is spoken; marked as the original where only another is there."""
    held = dict(names)
    if spoken() in held:
        return held[spoken()]
    return say(next(iter(held.values()))) if held else ""


def named(reasoning: Reasoning, key: str) -> str:
    """Return the name of a block or state; its id where the reasoning holds none."""
    return next((said(term.name) for term in reasoning.terms if term.id == key), key)


def harm_text(harm: str) -> str:
    """Return what it means to miss a cause."""
    return phrase(f"harm-name.{harm}", HARMS[harm])


def urgency_text(urgency: str) -> str:
    """Return an urgency as a reader says it."""
    return phrase(f"urgency-name.{urgency}", URGENCIES[urgency])


def status_text(status: str) -> str:
    """Return how firm a source or rule is; an unknown status is shown as it is, never as published."""
    if status not in STATUSES:
        return status or text("status.none")
    return phrase(f"status-name.{status}", STATUSES[status])


def short_status(status: str) -> str:
    """Return the same in a word or two."""
    if status not in SHORT_STATUSES:
        return status or text("status.none")
    return phrase(f"status-short.{status}", SHORT_STATUSES[status])


def strength_text(decibans: float) -> str:
    """Return the size of a weight of evidence in a word, whatever its sign."""
    least, word = next(pair for pair in STRENGTHS if abs(decibans) >= pair[0])
    return phrase(f"strength.{least:g}", word)


def deciban_text(decibans: float) -> str:
    """Return a weight with its sign: ``+18 dB``; one decimal below 10."""
    digits = f"{abs(decibans):.0f}" if abs(decibans) >= 9.95 else f"{abs(decibans):.1f}"
    return text("decibans", number=("+" if decibans >= 0 else MINUS) + digits)


def due_text(due: tuple[str, str] | None, today: str) -> str:
    """Return the dates of an item: ``by 2026-12-06`` when it may be done from today on; empty when nothing is due.

    Args:
        due: earliest and latest date, ``YYYY-MM-DD``.
        today: day on which the plan was made; empty when not known.
    """
    if due is None:
        return ""
    first, last = due
    if first == last:
        return text("due.on", first=first)
    return text("due.by", last=last) if first == today else text("due.from-to", first=first, last=last)


def condensed(reasons: Iterable[Names]) -> tuple[str, ...]:
    """Return reasons in words, those that differ only in their numbers once: the one of the greatest numbers.

    Ten lesions that raise the same flag give one line, not ten. All stand in the JSON.
    """
    groups: dict[str, list[str]] = {}
    for reason in reasons:
        line = _LONG.sub(lambda number: f"{float(number[0]):.3g}", said(reason))
        groups.setdefault(_NUMBER.sub("0", line), []).append(line)
    out = []
    for lines in groups.values():
        first = max(lines, key=lambda line: [float(n) for n in _NUMBER.findall(line)])
        out.append(first if len(lines) == 1 else text("because.more", first=first, more=len(lines) - 1))
    return tuple(out)


def headline(reasoning: Reasoning) -> str:
    """Return the answer without a scan in one sentence; never surer than its band."""
    count, first = len(reasoning.lesions), reasoning.differential.first
    if reasoning.network == "fetal":
        described = text("explain.fetal")
    elif not count:
        return text("explain.none")
    else:
        described = text("explain.one" if count == 1 else "explain.many", count=count)
    return text(
        "explain.first",
        headline=described,
        cause=said(first.name),
        probability=percent(first.probability),
        low=percent(first.low),
        high=percent(first.high),
    )


def short(line: str, most: int = 110) -> str:
    """Return a text cut at a word to at most ``most`` characters (half of it in Chinese), with an ellipsis."""
    most = most // 2 if spoken() == "zh" else most
    if len(line) <= most:
        return line
    kept = line[: most - 1] if spoken() == "zh" else line[: most - 1].rsplit(" ", 1)[0]
    return kept.rstrip(" ,;:，；：、") + "…"


def summary_lines(reasoning: Reasoning, today: str = "") -> tuple[str, str, str]:
    """Return flags, causes and the first step of the plan, a line each, for a terminal."""
    flags = mark("semicolon").join(
        f"{urgency_text(f.urgency)}{mark('colon')}{said(f.text)}" for f in reasoning.plan.flags
    )
    first = "line.flags" if flags else "line.flags.none"
    known = bool(reasoning.lesions) or reasoning.network == "fetal"
    causes = "line.causes" if known else "line.causes.none"
    leading = mark("list").join(cause_line(entry) for entry in reasoning.differential.causes[:SHOWN_CAUSES])
    items = reasoning.plan.items
    steps = [item_line(item, today) for item in items if _is_pressing(item)] or [item_line(i, today) for i in items[:1]]
    if len(items) > len(steps) and steps:
        steps.append(text("line.more", count=len(items) - len(steps)))
    next_ = "line.plan" if known else "line.plan.if"
    plan = text(next_, words=mark("semicolon").join(steps)) if steps else text("line.plan.none")
    return text(first, words=flags), text(causes, words=leading), plan


def cause_line(entry: CauseProbability) -> str:
    """Return ``Simple cyst 62 % (41 % to 80 %)``."""
    return text(
        "line.cause",
        cause=said(entry.name),
        probability=percent(entry.probability),
        low=percent(entry.low),
        high=percent(entry.high),
    )


def item_line(item: PlanItem, today: str = "") -> str:
    """Return one step of the plan in a few words: ``Urgent, by 2026-12-06: ultrasound of the liver``."""
    if item.urgency == "none":
        return said(item.action).rstrip(".。")
    when = due_text(item.due, today) or said(item.interval)
    return text("line.item", urgency=urgency_text(item.urgency), when=when, modality=said(item.modality))


def joined(parts: Sequence[str]) -> str:
    """Return sentences as one, with semicolons; no two full stops."""
    return mark("semicolon").join(part.rstrip(".。") for part in parts)


def _is_pressing(item: PlanItem) -> bool:
    return item.urgency in ("emergency", "urgent") and not item.provided
