"""What decided a condition, in words, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.reason.records import Names
from hepacalc.reason.situation import FactValue, LabValue

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Block, Fact, Knowledge, Lab

__all__ = ["asked_words", "block_words", "cause_words", "fact_words", "lab_words"]

LANGUAGES = ("en", "zh")
COLONS, COMMAS, BRACKETS = (": ", "："), (", ", "、"), (" ({})", "（{}）")
"""Marks of each language."""
SHOWN = 3
"""So many states of a block are named, the likeliest first."""
_FIXED: Mapping[str, tuple[str, str]] = {
    "malignant": ("malignant causes together", "恶性病因合计"),
    "dangerous": ("dangerous causes together", "危险病因合计"),
    "watch": ("causes to be watched together", "需观察病因合计"),
    "benign": ("benign causes together", "良性病因合计"),
    "never": ("causes that must not be punctured", "禁止穿刺的病因"),
    "upper": ("upper bound", "概率上限"),
    "mean": ("probability", "概率"),
    "limit": ("limit", "阈值"),
    "true": ("yes", "是"),
    "false": ("no", "否"),
    "positive": ("positive", "阳性"),
    "negative": ("negative", "阴性"),
    "normal": ("normal", "正常"),
    "raised": ("raised", "升高"),
    "low": ("low", "降低"),
    "uln": ("upper limit", "正常上限"),
}


def _said(key: str, place: int) -> str:
    return _FIXED[key][place]


def block_words(block: Block, weights: NDArray[np.float64]) -> Names:
    """Say where the evidence of a block lies: ``Bile ducts: dilated upstream``."""
    share = weights / weights.sum()
    order = [int(k) for k in np.argsort(-share, kind="stable")[:SHOWN] if share[k] >= max(0.1, 0.5 * share.max())]
    out = []
    for place, language in enumerate(LANGUAGES):
        states = [block.state_names[block.states[k]][language] for k in order]
        shown = [
            name if share[k] > 0.95 else f"{name} {share[k]:.0%}" for name, k in zip(states, order, strict=True)
        ] or [_several(language)]
        out.append((language, f"{block.name[language]}{COLONS[place]}{COMMAS[place].join(shown)}"))
    return tuple(out)


def _several(language: str) -> str:
    return "several possible" if language == "en" else "多种可能"


def cause_words(cause: str, knowledge: Knowledge, limits: Mapping[str, tuple[float, float]]) -> Names:
    """Say how probable a cause is against a limit: ``Cystic echinococcosis: upper bound 12% (limit 2%)``."""
    out = []
    for place, language in enumerate(LANGUAGES):
        if cause in knowledge.causes:
            name = knowledge.causes[cause].name[language]
        else:
            name = _said(cause, place) if cause in _FIXED else cause
        told = [
            f"{_said(key, place)} {percent(value)}"
            + BRACKETS[place].format(f"{_said('limit', place)} {percent(limit)}")
            for key, (value, limit) in limits.items()
        ]
        out.append((language, f"{name}{COLONS[place]}{COMMAS[place].join(told)}"))
    return tuple(out)


def percent(value: float) -> str:
    """Return a probability for a reader."""
    if value < 0.001:
        return "<0.1%"
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"


def fact_words(fact: Fact, value: FactValue) -> Names:
    """Say a fact: ``age: 46 years``."""
    out = []
    for place, language in enumerate(LANGUAGES):
        if isinstance(value, bool):
            shown = _said(str(value).lower(), place)
        elif isinstance(value, str):
            shown = fact.choices[value][language]
        else:
            shown = f"{value:g} {fact.unit}".removesuffix(" 1")
        out.append((language, f"{fact.name[language]}{COLONS[place]}{shown}"))
    return tuple(out)


def lab_words(lab: Lab, value: LabValue) -> Names:
    """Say a laboratory value: ``ALT: 80 U/L (upper limit 40)``."""
    out = []
    for place, language in enumerate(LANGUAGES):
        if isinstance(value.value, str):
            shown = _said(value.value, place)
        else:
            limit = BRACKETS[place].format(f"{_said('uln', place)} {value.uln:g}") if value.uln is not None else ""
            shown = f"{value.bound}{value.value:g} {lab.unit}{limit}"
        out.append((language, f"{lab.name[language]}{COLONS[place]}{shown}"))
    return tuple(out)


def asked_words(missing: str, knowledge: Knowledge) -> Names:
    """Say what is not known, as a question where the knowledge base has one: ``block:ducts`` -> ``Bile ducts?``."""
    kind, _, key = missing.partition(":")
    holder: Any = {"block": knowledge.blocks, "fact": knowledge.facts, "lab": knowledge.labs}[kind][key]
    ask = getattr(holder, "ask", None)
    if ask:
        return tuple(ask.items())
    return tuple((language, f"{name}{'?' if language == 'en' else '？'}") for language, name in holder.name.items())
