"""How and when, in words and dates: modality and interval of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hepacalc.reason.days import add_days, add_months
from hepacalc.reason.records import Names

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["due_days", "interval_words", "modality_words", "not_done_words"]

LANGUAGES = ("en", "zh")
_UNITS = {"days": ("days", "天"), "weeks": ("weeks", "周"), "months": ("months", "个月"), "years": ("years", "年")}
_SINGLE = {"days": "day", "weeks": "week", "months": "month", "years": "year"}


def modality_words(modality: Mapping[str, Any], allowed: Sequence[str], knowledge: Knowledge) -> Names:
    """Say how: the names of the tests, any one of them; or that none is needed, or none may be done."""
    if "none" in modality:
        why = modality["none"]
        return (("en", f"none needed: {why['en']}"), ("zh", f"无需：{why['zh']}"))
    if not allowed:
        return (
            ("en", "none of the tests may be done here; the specialist team decides"),
            ("zh", "所列检查均禁忌，由专科团队决定"),
        )
    names = [knowledge.tests[test].name for test in allowed]
    return (("en", " or ".join(name["en"] for name in names)), ("zh", "或".join(name["zh"] for name in names)))


def not_done_words(test: str, reasons: Sequence[Names], knowledge: Knowledge) -> Names:
    """Say that a test must not be done, and why."""
    name = knowledge.tests[test].name
    told = [dict(reason) for reason in reasons]
    return (
        ("en", f"not {name['en']}: {'; '.join(reason['en'] for reason in told)}"),
        ("zh", f"禁止{name['zh']}：{'；'.join(reason['zh'] for reason in told)}"),
    )


def interval_words(interval: Mapping[str, Any], urgency: str, knowledge: Knowledge) -> Names:
    """Say when: ``now (within 14 days)``, ``once in 6-12 months``, ``every 6 months``, ``none needed: ...``."""
    if "none" in interval:
        return (("en", f"none needed: {interval['none']['en']}"), ("zh", f"无需：{interval['none']['zh']}"))
    if interval.get("now"):
        days = _window(urgency, knowledge)
        if days == 0:
            return (("en", "now, the same day"), ("zh", "立即（当日）"))
        return (("en", f"now (within {days} days)"), ("zh", f"现在（{days}天内）"))
    unit, low, high = _span(interval)
    span = f"{low:g}" if low == high else f"{low:g}-{high:g}"
    english = _SINGLE[unit] if high == 1 else _UNITS[unit][0]
    since = interval.get("since")
    if interval.get("every"):
        english_text, chinese = f"every {span} {english}", f"每{span}{_UNITS[unit][1]}"
    elif since:
        english_text = f"once, {span} {english} after {since['en']}"
        chinese = f"{since['zh']}后{span}{_UNITS[unit][1]}一次"
    else:
        english_text, chinese = f"once in {span} {english}", f"{span}{_UNITS[unit][1]}后一次"
    return (("en", english_text), ("zh", chinese))


def due_days(
    interval: Mapping[str, Any], urgency: str, today: str | None, knowledge: Knowledge
) -> tuple[str, str] | None:
    """Return the earliest and latest day, of the first time where it is repeated; None where nothing can be dated."""
    if today is None or "none" in interval or interval.get("since"):
        return None
    if interval.get("now"):
        return today, add_days(today, _window(urgency, knowledge))
    unit, low, high = _span(interval)
    return _later(today, unit, low), _later(today, unit, high)


def _span(interval: Mapping[str, Any]) -> tuple[str, float, float]:
    unit = next(name for name in _UNITS if name in interval)
    span = interval[unit]
    low, high = span if isinstance(span, list | tuple) else (span, span)
    return unit, float(low), float(high)


def _later(today: str, unit: str, count: float) -> str:
    if unit in ("days", "weeks"):
        return add_days(today, round(count * (7 if unit == "weeks" else 1)))
    return add_months(today, round(count * (12 if unit == "years" else 1)))


def _window(urgency: str, knowledge: Knowledge) -> int:
    """Within how many days a thing that is due now is done."""
    if urgency == "emergency":
        return 0
    held = {"urgent": "urgent_days", "soon": "soon_days"}.get(urgency, "routine_days")
    return round(knowledge.thresholds[held].value)
