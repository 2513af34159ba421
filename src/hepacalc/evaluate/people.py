"""Age and sex, in numbers or words, of one person or of a series."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hepacalc.evaluate.cues import Hit
from hepacalc.evaluate.text import is_unstated, normalised

__all__ = ["age_sex_hit", "gestational_weeks", "is_fetus", "stated_age"]

STATES = (
    ("infant", 0, 1, ""), ("child_1_4", 1, 5, ""), ("child_5_17", 5, 18, ""),
    ("f_18_39", 18, 40, "f"), ("f_40_59", 40, 60, "f"), ("f_60", 60, 130, "f"),
    ("m_18_39", 18, 40, "m"), ("m_40_59", 40, 60, "m"), ("m_60", 60, 130, "m"),
)  # fmt: skip
_SPANS = (
    (r"newborn|neonat\w*|infant\w*|baby|babies|at birth", 0, 1), (r"toddler\w*", 1, 4),
    (r"child|children|pediatric|schoolboy|schoolgirl", 1, 18), (r"boy|girl", 1, 18), (r"adolesc\w*|teenag\w*", 11, 18),
    (r"young (adult|woman|man|male|female|lady|patient)", 18, 40), (r"middle[- ]aged", 40, 60),
    (r"elderly|old (man|woman|lady|patient)|aged (man|woman|patient)|octogenarian|septuagenarian", 62, 95),
)  # fmt: skip
_FETAL = re.compile(r"\b(fetus|fetal|fetuses|prenatal\w*|antenatal\w*|in utero|ga ?\d|gestation\w*|obstetric)\b")
_AFTER_BIRTH = re.compile(r"\b(newborn|neonat\w*|infant|baby|child|day \d|\d+ (days?|weeks?|months?) old)\b")
_WEEKS = (
    re.compile(r"\b(\d{1,2})(?:\s?-\s?(\d{1,2}))? ?(?:\+ ?\d)? ?(?:w\b|wk|weeks?|w\d|gw)"),
    re.compile(r"\bga ?(\d{1,2})(?:\s?-\s?(\d{1,2}))?"),
)


def is_fetus(case: Mapping[str, Any]) -> bool:
    """Return whether the case is about an unborn child."""
    text = " ".join(normalised(str(case.get(k) or "")) for k in ("region_exposure", "clinical_context", "modality"))
    text += " " + normalised(str(case.get("findings") or ""))
    if not _FETAL.search(text):
        return False
    age = stated_age(case.get("age"))
    return age is None and not (_AFTER_BIRTH.search(text) and not re.search(r"\bfetus|prenatal us|\bga\b", text))


def stated_age(age: Any) -> tuple[float, float] | None:
    """Return the span of years that an age field leaves; None when it says nothing."""
    if isinstance(age, bool) or age is None:
        return None
    if isinstance(age, int | float):
        return float(age), float(age) + 1 if age >= 1 else float(age)
    text = normalised(str(age))
    if is_unstated(text) or _WEEKS[1].search(text):
        return None
    if found := re.search(r"(\d+(?:\.\d+)?)(?:\s?(?:-|to)\s?(\d+(?:\.\d+)?))?\s*([a-z]*)", text):
        unit = found[3][:1]
        scale = {"m": 1 / 12, "w": 1 / 52, "d": 1 / 365}.get(unit, 1.0)
        low = float(found[1]) * scale
        return low, float(found[2]) * scale if found[2] else low
    return _worded(text)


def _worded(text: str) -> tuple[float, float] | None:
    for pattern, low, high in _SPANS:
        if re.search(rf"\b({pattern})\b", text):
            return low, high
    if found := re.search(r"\b(\d{1,2})(?:th|st|nd|rd)? ?(?:-| )?(year|yr|y)s?[ -]?(old|o)\b", text):
        return float(found[1]), float(found[1])
    if found := re.search(r"\b(\d{1,2}) ?(?:-|to) ?(\d{1,2}) ?(y|yr|years?)\b", text):
        return float(found[1]), float(found[2])
    if found := re.search(r"mean (?:age )?(\d{1,2})", text):
        return max(0.0, float(found[1]) - 20), float(found[1]) + 20
    return None


def _sex_shares(sex: Any, text: str) -> tuple[float, float]:
    """Return how far female and male are open."""
    word = normalised(str(sex)) if sex is not None else ""
    if re.match(r"(f|w)(emale|oman|oman)?\b|girl", word):
        return 1.0, 0.0
    if re.match(r"m(ale|an)?\b|boy", word):
        return 0.0, 1.0
    counts = re.search(r"(\d+) ?f\w*[ ,/]+(?:and )?(\d+) ?m\w*", text)
    other = re.search(r"(\d+) ?m\w*[ ,/]+(?:and )?(\d+) ?f\w*", text)
    if counts or other:
        pair = (counts[1], counts[2]) if counts else (other[2], other[1]) if other else ("1", "1")
        f, m = float(pair[0]), float(pair[1])
        return f / max(f, m, 1.0), m / max(f, m, 1.0)
    female = bool(re.search(r"\b(woman|women|girl|female|lady|she|her|pregnan\w*)\b", text))
    male = bool(re.search(r"\b(man|men|boy|male|gentleman|he|his)\b", text))
    return (1.0, 1.0) if female == male else (float(female), float(male))


def age_sex_hit(case: Mapping[str, Any]) -> Hit | None:
    """Return what age and sex say; None when neither is known. A child's sex has no state."""
    text = " ".join(normalised(str(case.get(k) or "")) for k in ("clinical_context", "region_exposure", "findings"))
    span = stated_age(case.get("age")) or _worded(text)
    female, male = _sex_shares(case.get("sex"), text)
    if span is None and female == male:
        return None
    low, high = span if span is not None else (0.0, 100.0)
    weights = {}
    for state, start, end, sex in STATES:
        share = _overlap(low, high, start, end)
        if span is None:
            share = 1.0
        weights[state] = share * {"f": female, "m": male, "": 1.0}[sex]
    top = max(weights.values())
    shown = f"age {case.get('age')}, sex {case.get('sex')}"
    if case.get("age") is None and span is not None:
        shown = f"age {low:g}-{high:g} (from the words), sex {case.get('sex')}"
    return Hit("age_sex", {state: max(w / top, 0.02) for state, w in weights.items()}, 0.02, shown, "age, sex")


def _overlap(low: float, high: float, start: float, end: float) -> float:
    """Share of the span that lies in a class."""
    if high <= low + 1:
        return 1.0 if start <= low < end else 0.0
    return max(0.0, min(high, end) - max(low, start)) / (high - low)


def gestational_weeks(text: str) -> tuple[float, float] | None:
    """Return the weeks of gestation that a text gives."""
    plain = normalised(text)
    for pattern in _WEEKS:
        for found in pattern.finditer(plain):
            low = float(found[1])
            high = float(found[2] or found[1])
            if 6 <= low <= 42 and low <= high <= 43:
                return low, high
    return None
