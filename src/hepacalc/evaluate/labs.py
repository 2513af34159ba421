"""Laboratory values, written in any way, to weights: numbers with or without limits, words, titres."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hepacalc.evaluate.cues import DENIED, REST, Hit
from hepacalc.evaluate.lab_names import LabTest, lab_tests
from hepacalc.evaluate.text import is_unstated, normalised, segments

__all__ = ["LabResult", "lab_entries", "lab_hits", "labs_in_text"]

_NUMBER = r"\d+(?:[.,]\d+)?(?:e\d+)?"
_OWN_LIMIT = re.compile(
    rf"\((?:normal|ref\w*|n|nl|uln|nv|limit)\W*(?:range|values?)?\W*(?:(?P<low>{_NUMBER}) ?(?:-|to) ?)?"
    rf"(?:<=?|up to)? ?(?P<high>{_NUMBER})[^)]*\)"
)
_TITRE = re.compile(r"\b1 ?[:/] ?(\d[\d,]*)")
_TIMES = re.compile(rf"(?P<a>{_NUMBER}) ?-?(?:x|times|fold)\b|\bx ?(?P<b>{_NUMBER}) ?(?:uln|normal|n\b)")
_RAISED = re.compile(
    r"\b(raised|elevated?|increas\w*|high\w*|up\b|abnormal\w*|derang\w*|disturb\w*|dysfunction|impair\w*|pos\w*|yes|reactive|"
    r"grew|growth|found|detected|identified|markedly|rising|isolated|present|true|hyper\w*|\w*ilia|\w*ocytosis|"
    r"confirmed|cholesta\w*)|\+|↑"
)
_NORMAL = re.compile(
    r"\b(normal\w*|neg\w*|no|not|none|within|unremarkable|nonreactive|absent|false|undetect\w*|wnl|nil|sterile|"
    r"no abnormal\w*)\b|\(-\)|^-$"
)
_LOW = re.compile(r"\b(low\w*|decreas\w*|reduc\w*|hypo\w*)\b|↓")
_FEEBLE = re.compile(r"\b(slight\w*|mild\w*|borderline|weak\w*|minimal\w*|moderate\w*)\b")
_NO_BLOCK = re.compile(
    r"\b(hb|h?emoglobin|hgb|rbc|hct|h?ematocrit|plt|platelet\w*|albumin|protein|crea?\w*|urea|bun|electrolytes|sodium|"
    r"potassium|inr|pt|aptt|glucose|ferritin|ige|ldh|lipase|amylase|iron|ammonia|tsh|t3|t4|lymphocyt\w*|igg4?|ace|"
    r"renal function|kidney function|urin\w*|karyotype|cholesterol|b2m|thyroid\w*)\b"
)
"""Tests that no block asks for."""
NEAR = 0.12
"""Width of the doubt about a limit, as natural logarithm of the ratio to it."""


@dataclass(frozen=True, slots=True)
class LabResult:
    """One result: how probable it is that the test is raised or positive (0-1), or low."""

    test: LabTest
    raised: float
    low: float
    phrase: str


def lab_entries(labs: Mapping[str, Any]) -> tuple[list[LabResult], list[str]]:
    """Return the results of a table of tests, and the entries that were not understood."""
    found: list[LabResult] = []
    unread: list[str] = []
    for key, value in labs.items():
        shown = f"{key}: {value}"
        if value is None or (isinstance(value, str) and is_unstated(value)):
            continue
        name, said = normalised(re.sub(r"[_]", " ", str(key))), normalised(_plain(value))
        tests = _named(name)
        results = [result for test in tests if (result := _result(test, said, name, shown))]
        if not results:
            results = labs_in_text(f"{key} {_plain(value)}", {test.name for test in tests})
        if not tests and not results and re.search(r"\b(blood|lab\w*|bloods|all|routine|tests?)\b", name):
            results = _all_normal(said, shown)
        found += results
        if not results and not _NO_BLOCK.search(name):
            unread.append(shown)
    return found, unread


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "pos" if value else "neg"
    if isinstance(value, list | tuple):
        return "; ".join(str(part) for part in value)
    if isinstance(value, Mapping):
        return " ".join(f"{k} {v}" if k in ("unit", "units") else f"{v}" for k, v in value.items())
    return str(value)


def _named(name: str) -> list[LabTest]:
    """Tests whose name stands in the text; a name inside another's (procalcitonin) does not count."""
    taken: list[tuple[int, int, LabTest]] = []
    for test in lab_tests():
        for match in test.pattern.finditer(name):
            if not any(a < match.end() and match.start() < b and (b - a) >= match.end() - match.start()
                       for a, b, _ in taken):  # fmt: skip
                taken = [t for t in taken if not (t[0] < match.end() and match.start() < t[1])]
                taken.append((match.start(), match.end(), test))
    return list(dict.fromkeys(test for _, _, test in taken))


def labs_in_text(text: str, skip: Iterable[str] = ()) -> list[LabResult]:
    """Return results told in a sentence: "AFP 350 ng/mL", "raised CEA", "HBsAg negative"."""
    found = []
    for segment in segments(text, "labs"):
        tests = [test for test in _named(segment.text) if test.name not in skip]
        for test in tests:
            match = test.pattern.search(segment.text)
            after = segment.text[match.end() :] if match else ""
            said = after if re.search(r"[a-z0-9+<>]", after) and len(tests) == 1 else segment.text
            if (result := _result(test, said, segment.text, segment.source)) or (
                result := _result(test, segment.text, segment.text, segment.source)
            ):
                found.append(result)
    return found


def _result(test: LabTest, said: str, name: str, shown: str) -> LabResult | None:
    """Read one value; None when it says nothing that can be used."""
    if test.name == "cirrhosis score":
        return LabResult(test, 0.5, 0.0, shown)
    own = _OWN_LIMIT.search(said)
    plain = said[: own.start()] + said[own.end() :] if own else said
    if titre := _TITRE.search(plain):
        cut = dict(test.limits).get("titre", 80.0)
        return LabResult(test, _above(float(titre[1].replace(",", "")), cut * 0.7), 0.0, shown)
    if times := _TIMES.search(plain):
        return LabResult(test, _above(float(times["a"] or times["b"]), 1.0), 0.0, shown)
    unnamed = test.pattern.sub(" ", plain)
    if number := re.search(rf"(?P<sign>[<>]?=?) ?(?P<n>{_NUMBER})", unnamed):
        value = _number(number["n"])
        limit, low = _limit(test, value, name + " " + said, own)
        if limit is not None and not (_NORMAL.search(plain) and not own and not number["sign"]):
            below = 0.0 if low is None else _above(low, value)
            if number["sign"].startswith("<") and value >= limit:
                return None
            return LabResult(test, _above(value, limit), max(below, 0.97 if _LOW.search(plain) else 0.0), shown)
    words = plain if own is None else unnamed
    raised, normal = _RAISED.search(words), _NORMAL.search(words)
    if test.name in ("calcium",) and (_LOW.search(words) or "hyper" in words or "hypo" in words):
        return LabResult(test, 0.97, 0.0, shown)
    if normal and not (raised and raised.start() < normal.start()):
        return LabResult(test, 0.03, 0.0, shown)
    if raised:
        return LabResult(test, 0.85 if _FEEBLE.search(words) else 0.97, 0.0, shown)
    if test.block == "serology" and re.search(r"\b(cultur|pcr|stain|histolog|biops|isolat|grew)", name):
        return LabResult(test, 0.97, 0.0, shown)
    if _LOW.search(words):
        return LabResult(test, 0.03, 0.97, shown)
    return None


def _number(text: str) -> float:
    return float(re.sub(r",(?=\d{3}\b)", "", text).replace(",", "."))


def _above(value: float, limit: float) -> float:
    """Probability that a value is above a limit that is itself not sharp."""
    if value <= 0:
        return 0.02
    return float(_kept(1 / (1 + math.exp(-math.log(value / limit) / NEAR))))


def _kept(share: float) -> float:
    """Keep a share away from certainty."""
    return min(max(share, 0.02), 0.98)


def _limit(test: LabTest, value: float, words: str, own: re.Match[str] | None) -> tuple[float | None, float | None]:
    """Upper and lower limit that hold for this value: the case's own, else ours by unit, else by size."""
    if own:
        return _number(own["high"]), (_number(own["low"]) if own["low"] and test.low is not None else None)
    if not test.limits or (len(test.limits) == 1 and test.limits[0][0] == "titre"):
        return None, None
    for unit, limit in test.limits:
        if unit.replace("/", " ") in words or unit in words:
            return limit, test.low if unit == test.limits[0][0] else None
    if test.name == "bilirubin" and value > 5:
        return 21.0, None
    if test.name == "eosinophils" and 0.35 <= value < 6:  # percent or 10^9/L
        return None, None
    if test.name == "eosinophils" and (value < 0.35 or value >= 100):
        return (0.5 if value < 0.35 else 500.0), None
    if test.name == "WBC" and value > 500:
        return 10500.0, None
    if test.name == "calcium" and value < 4.5:
        return 2.62, 2.1
    return test.limits[0][1], test.low


def _all_normal(said: str, shown: str) -> list[LabResult]:
    """ "Blood tests: no abnormality": liver tests, inflammation and eosinophils are normal."""
    if not _NORMAL.search(said):
        return []
    tests = {test.name: test for test in lab_tests()}
    return [LabResult(tests[name], 0.08, 0.0, shown) for name in ("liver tests", "CRP", "eosinophils")]


def lab_hits(results: Iterable[LabResult]) -> list[Hit]:
    """Return what the results together say of each block."""
    by_block: dict[str, list[LabResult]] = {}
    for result in results:
        by_block.setdefault(result.test.block, []).append(result)
    hits = []
    for block, found in by_block.items():
        phrase = "; ".join(dict.fromkeys(result.phrase for result in found))
        if block == "biochemistry":
            hits.append(_biochemistry(found, phrase))
        elif block in ("inflammation", "eosinophils", "calcium"):
            state = found[0].test.state
            p = max(max(result.raised, result.low if block == "calcium" else 0) for result in found)
            hits.append(Hit(block, {"normal": 1 - p, state: p}, REST, phrase, "labs"))
        else:
            hits += _named_states(block, found)
    return hits


def _biochemistry(found: list[LabResult], phrase: str) -> Hit:
    """Two axes, liver cells and bile; what was not tested is open."""
    cells = [r.raised for r in found if r.test.state == "hepatocellular"]
    bile = [r.raised for r in found if r.test.state == "cholestatic"]
    both = [r.raised for r in found if r.test.state == "any"]
    if both and not cells and not bile:
        p = max(both)
        return Hit("biochemistry", {"normal": 1 - p, "hepatocellular": p, "cholestatic": p, "mixed": p}, REST, phrase,
                   "labs")  # fmt: skip
    a = max(cells) if cells else None
    b = max(bile) if bile else None
    a0, a1 = (1.0, 1.0) if a is None else (1 - a, a)
    b0, b1 = (1.0, 1.0) if b is None else (1 - b, b)
    weights = {"normal": a0 * b0, "hepatocellular": a1 * b0, "cholestatic": a0 * b1, "mixed": a1 * b1}
    top = max(weights.values())
    return Hit("biochemistry", {state: max(w / top, REST) for state, w in weights.items()}, REST, phrase, "labs")


def _named_states(block: str, found: list[LabResult]) -> list[Hit]:
    """Markers, serology, viruses: each test has a state of its own; the best result of a state counts."""
    best: dict[str, LabResult] = {}
    for result in found:
        state = result.test.state
        if state not in best or result.raised > best[state].raised:
            best[state] = result
    hits = []
    for state, result in best.items():
        if state == "any":
            if result.raised < 0.5:
                hits.append(Hit(block, {"normal": 1.0}, 0.05, result.phrase, "labs"))
        elif result.raised >= 0.5:
            others = 1 - result.raised
            weights = {state: result.raised}
            if block == "liver_background" and state == "viral_hepatitis":
                weights["cirrhosis"] = 0.6
            elif block == "liver_background":
                weights = {"cirrhosis": 1.0, "viral_hepatitis": 0.6, "healthy": 0.35}
            hits.append(Hit(block, weights, max(REST, min(others, 0.4)), result.phrase, "labs"))
        else:
            hits.append(Hit(block, {state: max(DENIED, result.raised * 2)}, 1.0, result.phrase, "labs", ruled_out=True))
    return hits
