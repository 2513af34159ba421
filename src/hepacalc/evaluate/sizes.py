"""Sizes and CT numbers in a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hepacalc.evaluate.cues import REST, Hit
from hepacalc.evaluate.text import Segment

__all__ = ["Size", "density_hit", "extent_hit", "largest_mm"]

_CLASSES = (("under_10", 0.0, 10.0), ("10_30", 10.0, 30.0), ("30_100", 30.0, 100.0), ("over_100", 100.0, 1e4))
_SIZE = re.compile(
    r"(?P<sign>[<>]=?|up to|below|under)? ?(?P<nums>\d+(?:\.\d+)?(?:\s?(?:x|-|to|by|and)\s?\d+(?:\.\d+)?)*)\s?"
    r"(?P<unit>mm|cm)\b(?!\s?(?:hg|/))"
)
_OTHER = re.compile(
    r"\b(spleen|splenomeg\w*|nodes?|lymph\w*|kidney|renal|lung|pulmon\w*|duct|cbd|gallstone|prostate|ovar\w*|thyroid|"
    r"thick(ness)? of|collimation|slice|margin clearance|catheter|scar of|colon|sigmoid|pancrea\w*|gallbladder)\b"
)
_HU = re.compile(r"(?P<a>-?\d+(?:\.\d+)?)(?:\s?(?:-|to|and)\s?(?P<b>\d+(?:\.\d+)?))?\s?(?:hu|hounsfield)")
_BOUNDS = (("below_90", -2000.0, 90.0), ("90_130", 90.0, 130.0), ("130_1000", 130.0, 1000.0), ("over_1000", 1e3, 1e5))
EDGE = 0.12
"""Width of the doubt about a class border, as natural logarithm of the ratio."""


class Size(NamedTuple):
    """A size in millimetres: from (0 when one number is told), to, sign (``<``, ``>`` or none), the phrase."""

    low: float
    high: float
    sign: str
    phrase: str


def largest_mm(segments: Iterable[Segment]) -> Size | None:
    """Return the largest size said of the liver."""
    best: Size | None = None
    for segment in segments:
        for match in _SIZE.finditer(segment.text):
            if _OTHER.search(segment.text[max(0, match.start() - 30) : match.end() + 12]):
                continue
            scale = 10.0 if match["unit"] == "cm" else 1.0
            numbers = [float(n) * scale for n in re.findall(r"\d+(?:\.\d+)?", match["nums"])]
            size = max(numbers)
            low = min(numbers) if re.search(r"\d ?(-|to) ?\d", match["nums"]) else 0.0
            sign = {"<": "<", "<=": "<", "up to": "", "below": "<", "under": "<", ">": ">", ">=": ">"}.get(
                match["sign"] or "", ""
            )
            if 0.3 <= size <= 400 and (best is None or size > best.high):
                best = Size(low, size, sign, segment.source)
    return best


def extent_hit(size: Size, field: str) -> Hit:
    """Return the size class; near a border both sides get a part, a range gives every class that it touches."""
    weights = {}
    for state, low, high in _CLASSES:
        above = 1.0 if low == 0 else _over(size.high, low)
        below = 1.0 if high > 1e3 else 1 - _over(size.low or size.high, high)
        weights[state] = above * below
    names = [state for state, _, _ in _CLASSES]
    top = names.index(max(weights, key=weights.__getitem__))
    if size.sign == "<" and top and size.high <= _CLASSES[top][1] * 1.01:
        weights = {names[top - 1]: 1.0}
    elif size.sign == ">":
        weights |= dict.fromkeys(names[top + 1 :], 0.5)
    return Hit("extent", {s: max(w, REST) for s, w in weights.items()}, REST, size.phrase, field)


def _over(size: float, border: float) -> float:
    return 1 / (1 + math.exp(-math.log(size / border * 1.0001) / EDGE * 2))


def density_hit(segments: Iterable[Segment]) -> Hit | None:
    """Return what CT numbers of the calcification say; numbers of a soft mass around it are left out."""
    weights: Mapping[str, float] = {}
    for segment in segments:
        for match in _HU.finditer(segment.text):
            low = float(match["a"])
            high = float(match["b"] or match["a"])
            around = segment.text[max(0, match.start() - 60) : match.end() + 20]
            told = re.search(r"calc|stone|lith|dens(e|ity)|diffuse|foc|ring|rim|plaque|liver", segment.clause)
            soft = re.search(r"hypodens|hypoattenu|low[- ]|cyst|fluid|hypovasc|necro", around)
            if high < low or (max(low, high) < 75 and not re.search("stone|lith|calc", around)) or (soft and high < 90):
                continue
            if not told and high < 130:
                continue
            span = max(high - low, 1.0)
            shares = {s: max(0.0, min(high + 0.5, b) - max(low - 0.5, a)) / span for s, a, b in _BOUNDS}
            top = max(shares.values())
            weights = {s: max(share / top, REST) for s, share in shares.items()}
            return Hit("density", weights, REST, segment.source, segment.field)
    return None
