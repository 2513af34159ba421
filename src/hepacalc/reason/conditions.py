"""Conditions of rules, evaluated to true, false or unknown, with what decided and what was missing.

The language is that of ``knowledge/schema_rules.py``. Three values after Kleene: ``all`` is false when one part is,
else unknown when one part is; ``not`` unknown is unknown. ``unless`` alone lets the unknown pass. A block is unknown
when its evidence says nothing; else a condition on it holds when at least ``least`` of the weight lies in the states.

Reference: Kleene 1952, Introduction to Metamathematics, section 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from hepacalc.errors import UsageError
from hepacalc.reason.condition_words import block_words, cause_words, fact_words, lab_words
from hepacalc.reason.records import Names
from hepacalc.reason.situation import LabValue, Situation

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Block, Knowledge

__all__ = ["LEAST", "Asked", "Verdict", "evaluate", "upper_bound"]

LEAST = 0.5
"""Share of the weight that must lie in the states, where a condition does not say."""
ROUNDING = 1e-9
LEAVES = frozenset({"block", "cause", "lab", "fact"})
"""Kinds of condition that ask the situation itself, whatever flags are raised."""

Condition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a condition.

    Args:
        value: True, False, or None for unknown.
        because: what decided it, in each language; in the order of the text, each once.
        missing: all that is not known and keeps it open, e.g. ``block:ducts``, ``fact:age``, ``lab:alt``; sorted.
            Empty unless the value is None.
        first: of these what to ask first: in ``all`` only what the first open part wants, since its answer may spare
            the others; sorted.
    """

    value: bool | None
    because: tuple[Names, ...] = ()
    missing: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


def evaluate(condition: Condition, at: Situation, knowledge: Knowledge, flags: Iterable[str] = ()) -> Verdict:
    """Return whether a condition holds.

    Args:
        condition: plain data in its long form, as in the loaded knowledge base.
        at: what it is asked about.
        knowledge: thresholds, terms, guidelines, vocabulary.
        flags: ids of the red flags that are raised; one that is not is taken as not raised.

    Raises:
        UsageError: a condition that no loaded knowledge base can hold.
    """
    return Asked(at, knowledge, frozenset(flags)).verdict(condition)


def upper_bound(cause: str, at: Situation, knowledge: Knowledge) -> float:
    """Return the upper credible bound of a cause, a harm word, a group, or of ``never`` (must not be punctured).

    0 for what the network does not have. The bound of a group is the sum of its causes' bounds, and no more than that
    of the harm that they share: it errs to the high side.
    """
    return _bounds(cause, at, knowledge)[1]


def _bounds(cause: str, at: Situation, knowledge: Knowledge) -> tuple[float, float]:
    """Return probability and upper bound."""
    held = at.bounds.get(cause)
    if held is None or held[0] is not knowledge:
        held = at.bounds[cause] = (knowledge, _found_bounds(cause, at, knowledge))
    found: tuple[float, float] = held[1]
    return found


def _found_bounds(cause: str, at: Situation, knowledge: Knowledge) -> tuple[float, float]:
    entries = at.differential.causes
    for harm in at.differential.harms:
        if harm.harm == cause:
            return harm.probability, harm.high
    if cause == "never":
        members = [entry for entry in entries if entry.needle == "never"]
    else:
        members = [e for e in entries if cause in (e.cause, knowledge.causes[e.cause].group)]
    if not members:
        return 0.0, 0.0
    high = min(sum(entry.high for entry in members), 1.0)
    shared = {entry.harm for entry in members}
    if len(shared) == 1:
        high = min([high, *(harm.high for harm in at.differential.harms if harm.harm in shared)])
    return min(sum(entry.probability for entry in members), 1.0), high


class Asked:
    """One situation under question; for many conditions quicker than :func:`evaluate`, since terms are kept.

    Args:
        at: what is asked about.
        knowledge: thresholds, terms, guidelines, vocabulary.
        flags: ids of the red flags that are raised.
    """

    def __init__(self, at: Situation, knowledge: Knowledge, flags: frozenset[str] = frozenset()) -> None:
        self.at, self.knowledge, self.flags = at, knowledge, flags
        self._terms: dict[str, Verdict] = {}
        self._said: dict[str, Names] = {}
        self.kinds: dict[str, Callable[[Condition], Verdict]] = {
            "all": lambda node: _all([self.verdict(part) for part in node["all"]]),
            "any": lambda node: _any([self.verdict(part) for part in node["any"]]),
            "not": lambda node: _not(self.verdict(node["not"])),
            "unless": lambda node: Verdict(self.verdict(node["unless"]).value is not True),
            "term": lambda node: self.term(node["term"]),
            "flag": self.flag,
            "always": lambda _: Verdict(value=True),
            "block": self.block,
            "cause": self.cause,
            "lab": self.lab,
            "fact": self.fact,
            "guideline": lambda node: Verdict(knowledge.guidelines[node["guideline"]].chosen == node["is"]),
        }

    def verdict(self, node: Condition) -> Verdict:
        """Return what becomes of a condition."""
        for kind in node:
            ask = self.kinds.get(kind)
            if ask is not None:
                if kind not in LEAVES:
                    return ask(node)
                # the reference keeps the condition alive, so its id stays its own
                held = self.at.answers.get(id(node))
                if held is None or held[0] is not node or held[1] is not self.knowledge:
                    held = self.at.answers[id(node)] = (node, self.knowledge, ask(node))
                answer: Verdict = held[2]
                return answer
        raise UsageError(f"Wanted a condition, found {dict(node)}.", hint="See knowledge/schema_rules.py.")

    def term(self, name: str) -> Verdict:
        """Return what becomes of a named condition."""
        if name not in self._terms:
            self._terms[name] = self.verdict(self.knowledge.terms[name].when)
        return self._terms[name]

    def level(self, given: float | str) -> float:
        """Return a number, or that of a threshold."""
        return self.knowledge.thresholds[given].value if isinstance(given, str) else float(given)

    def flag(self, node: Condition) -> Verdict:
        """Whether a red flag is raised."""
        asked = node["flag"]
        raised = sorted(self.flags) if asked == "any" else [asked] if asked in self.flags else []
        names = tuple(tuple(self.knowledge.redflags[one].name.items()) for one in raised)
        return Verdict(bool(raised), names)

    def block(self, node: Condition) -> Verdict:
        """Whether enough of the evidence of a block lies in the states."""
        block = self.knowledge.blocks[node["block"]]
        weights = self.at.evidence.weights.get(block.id)
        says = weights is not None and bool(weights.min() < weights.max())
        if node.get("known") and (not says or not {"states", "host", "morphology"} & set(node)):
            return Verdict(says)
        if block.network != self.at.evidence.network:
            return Verdict(value=False)
        if weights is None or not says:
            return _open(f"block:{block.id}")
        if block.id not in self._said:
            self._said[block.id] = block_words(block, weights)
        known, open_axes = _known_axes(block, weights, node)
        # reckoned twice: as it was said, and with how often each state is met. An alarm (least below a half) goes off
        # when either is enough; what is required must be so in both, and is not known where they differ
        inside, least = _inside(block, known), node.get("least", LEAST)
        shares = [float(w[inside].sum() / w.sum()) + ROUNDING for w in (weights, weights * block.base)]
        met = max(shares) >= least if least < LEAST else min(shares) >= least
        if (met and open_axes) or (not met and max(shares) >= least):
            return Verdict(value=False) if node.get("known") else _open(f"block:{block.id}")
        return Verdict(met, (self._said[block.id],))

    def cause(self, node: Condition) -> Verdict:
        """Whether the bound or probability of a cause reaches a level."""
        probability, high = _bounds(node["cause"], self.at, self.knowledge)
        met, limits = True, {}
        for key, value in (("upper", high), ("mean", probability)):
            if key in node:
                limits[key] = (value, self.level(node[key]))
                met = met and value > 0 and value >= limits[key][1]
        return Verdict(met, (cause_words(node["cause"], self.knowledge, limits),))

    def fact(self, node: Condition) -> Verdict:
        """Whether a fact is as asked."""
        key = node["fact"]
        value = self.at.facts.get(key)
        if node.get("known") and (value is None or len(node) == 2):
            return Verdict(value is not None)
        if value is None:
            return _open(f"fact:{key}")
        met = True
        if "is" in node:
            wanted = node["is"] if isinstance(node["is"], list) else [node["is"]]
            met = any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in wanted)
        for word, holds in _COMPARE.items():
            if word in node:
                met = met and holds(float(value), self.level(node[word]))
        return Verdict(met, (fact_words(self.knowledge.facts[key], value),))

    def lab(self, node: Condition) -> Verdict:
        """Whether a laboratory value is as asked."""
        key = node["lab"]
        value = self.at.labs.get(key)
        if node.get("known") and (value is None or len(node) == 2):
            return Verdict(value is not None)
        parts: list[bool | None] = []
        if value is not None:
            if "is" in node:
                parts.append(_sign(value, node["is"]))
            parts += [_compared(value, word, self.level(node[word])) for word in _COMPARE if word in node]
            parts += [_against_limit(value, word, float(node[word])) for word in _ULN if word in node]
        met = _kleene_all(parts) if parts else None
        if met is None or value is None:
            return Verdict(value=False) if node.get("known") else _open(f"lab:{key}")
        return Verdict(met, (lab_words(self.knowledge.labs[key], value),))


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "above": lambda value, level: value > level,
    "below": lambda value, level: value < level,
    "at_least": lambda value, level: value >= level,
    "at_most": lambda value, level: value <= level,
}
_ULN = ("above_uln", "below_uln")


def _known_axes(
    block: Block, weights: np.ndarray[Any, np.dtype[np.float64]], node: Condition
) -> tuple[Condition, bool]:
    """Leave out of a condition the axes of which nothing is known; say whether there are such.

    Nothing is known of an axis when the weights are the same all along it.
    """
    axes = block.axes or {}
    asked = [axis for axis in axes if axis in node]
    if not asked:
        return node, False
    cube = weights.reshape([len(values) for values in axes.values()])
    flat = [axis for place, axis in enumerate(axes) if axis in asked and bool(np.all(np.ptp(cube, axis=place) == 0))]
    return {key: value for key, value in node.items() if key not in flat}, bool(flat)


def _inside(block: Block, node: Condition) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which states a condition names, shape ``(states,)``; read-only."""
    if "states" in node:
        return _among(((tuple(block.states), tuple(node["states"])),))
    axes = block.axes or {}
    return _among(tuple((tuple(values), tuple(node.get(axis, values))) for axis, values in axes.items()))


@lru_cache(maxsize=1024)
def _among(sides: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of the values of each axis are asked for, all combinations in order."""
    found = reduce(lambda a, b: np.logical_and.outer(a, b).ravel(), [np.isin(*side) for side in sides])
    found.flags.writeable = False
    return found


def _sign(value: LabValue, wanted: str) -> bool | None:
    return value.value == wanted if value.value in ("positive", "negative") else None


def _compared(value: LabValue, word: str, level: float) -> bool | None:
    """Compare with a level; a bound decides only where every value within it would agree."""
    if isinstance(value.value, str):
        if value.value == "negative":
            return _COMPARE[word](0.0, level)
        return True if value.value == "positive" and level == 0 and word == "above" else None
    if not value.bound:
        return _COMPARE[word](value.value, level)
    # the ends of what it can be
    low, high = (0.0, value.value) if value.bound[0] == "<" else (value.value, np.inf)
    nudge = 0.0 if value.bound.endswith("=") else 1e-12 * max(value.value, 1.0)
    ends = (low, high - nudge) if value.bound[0] == "<" else (low + nudge, high)
    found = {_COMPARE[word](max(end, 0.0), level) for end in ends}
    return found.pop() if len(found) == 1 else None


def _against_limit(value: LabValue, word: str, times: float) -> bool | None:
    """Compare with multiples of the upper limit; ``below_uln`` holds at the limit itself."""
    if isinstance(value.value, str):
        above = {"raised": True, "normal": False, "low": False}.get(value.value)
        # a word says nothing of multiples, but what is not raised is under every one of them
        if above is None or (above and times != 1):
            return None
        return above if word == "above_uln" else not above
    if value.uln is None:
        return None
    return _compared(value, "above" if word == "above_uln" else "at_most", times * value.uln)


def _kleene_all(values: Iterable[bool | None]) -> bool | None:
    found = list(values)
    return False if False in found else None if None in found else True


def _open(one: str) -> Verdict:
    return Verdict(None, (), (one,), (one,))


def _all(parts: list[Verdict]) -> Verdict:
    value = _kleene_all(part.value for part in parts)
    deciding = [part for part in parts if part.value is value]
    if value is None:
        return Verdict(None, (), _united(deciding, "missing"), deciding[0].first)
    return Verdict(value, _each(deciding))


def _any(parts: list[Verdict]) -> Verdict:
    values = [part.value for part in parts]
    value = True if True in values else None if None in values else False
    deciding = [part for part in parts if part.value is value]
    if value is None:
        return Verdict(None, (), _united(deciding, "missing"), _united(deciding, "first"))
    return Verdict(value, _each(deciding))


def _not(part: Verdict) -> Verdict:
    return replace(part, value=None if part.value is None else not part.value)


def _each(parts: Iterable[Verdict]) -> tuple[Names, ...]:
    return tuple(dict.fromkeys(words for part in parts for words in part.because))


def _united(parts: Iterable[Verdict], what: str) -> tuple[str, ...]:
    return tuple(sorted({one for part in parts for one in getattr(part, what)}))
