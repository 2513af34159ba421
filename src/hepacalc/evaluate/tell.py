"""The results as lines: JSON for programs, words for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hepacalc.evaluate.run import CaseResult
from hepacalc.evaluate.score import METHODS, Score, paired, reliability, scored, scores, summary

__all__ = ["json_lines", "text_lines"]


def json_lines(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield one JSON object a line: cases, what was left out, other sets, baselines, bands, and last the summary."""
    for result in results:
        yield _json(_case(result))
    yield _json({"left_out": _left_out(results)})
    yield _json(
        {"set": "all tiers, calcification certain or not", **summary(scored(results, tiers="ABC", certain=False))}
    )
    counted = scored(results)
    for method in METHODS[1:]:
        yield _json({"baseline": method, "n": len(counted), **_figures(scores(counted, method))})
    for method in METHODS[1:]:
        yield _json({"hepacalc_less": method, "n": len(counted), **_figures(paired(counted, method))})
    bins = [bin_._asdict() for bin_ in reliability(counted)]
    yield _json({"method": "hepacalc", "n": len(counted), **_figures(scores(counted)), "reliability": bins})
    yield _json(summary(counted))


def text_lines(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield the same for people; the last line is the summary as JSON."""
    for result in results:
        answer = result.answers["hepacalc"]
        told = f"rank {answer.rank}" if result.truth else "left out"
        if result.truth and answer.probability == 0:
            told = "missed: the cause is not in this network"
        top = ", ".join(f"{cause} {p:.2f}" for cause, p in answer.top[:3])
        yield f"{result.case.id}  {result.case.tier or '-'}  {result.case.stated or 'no diagnosis'}: {told}; {top}"
    for name, count in _left_out(results).items():
        yield f"left out, {name}: {count}"
    counted = scored(results)
    for method in METHODS:
        found = scores(counted, method)
        yield f"{method}: " + ", ".join(f"{name} {_shown(score)}" for name, score in found.items())
    for method in METHODS[1:]:
        found = paired(counted, method)
        yield f"hepacalc less {method}: " + ", ".join(f"{name} {_shown(score)}" for name, score in found.items())
    for bin_ in reliability(counted):
        yield (
            f"first cause said {bin_.low:g}-{bin_.high:g}: {bin_.n} cases, "
            f"mean {bin_.probability:.2f}, right {bin_.right:.2f}"
        )
    yield _json(summary(counted))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _case(result: CaseResult) -> dict[str, Any]:
    answer = result.answers["hepacalc"]
    return {
        "case": result.case.id, "tier": result.case.tier, "calcification_certain": result.case.calcified,
        "diagnosis": result.case.stated, "counted": bool(result.truth),
        "in_network": bool(answer.probability > 0) if result.truth else None,
        "network": result.read.evidence.network, "setting": result.read.evidence.setting,
        "rank": answer.rank if result.truth and answer.probability > 0 else None,
        "probability": round(answer.probability, 5),
        "top": [{"cause": cause, "probability": round(p, 5)} for cause, p in answer.top],
        "baseline_ranks": {name: result.answers[name].rank for name in METHODS[1:]} if result.truth else None,
        "red_flags": list(result.flags), "over_threshold": list(result.over), "burdening_tests": list(result.burden),
        "findings": {block: [said.text for said in told] for block, told in result.read.evidence.said.items()},
        "unread": list(result.read.unread),
    }  # fmt: skip


def _left_out(results: Sequence[CaseResult]) -> dict[str, int]:
    """Why cases do not count, with how many; every case is in one class or counts."""
    reasons = Counter(
        f"no known cause: {result.case.stated or 'empty'}" if not result.truth
        else "calcification not certain" if not result.case.calcified
        else f"tier {result.case.tier or 'not given'}"
        for result in results
        if result not in scored([result])
    )  # fmt: skip
    return dict(sorted(reasons.items()))


def _figures(found: dict[str, Score]) -> dict[str, Any]:
    return {
        name: {key: round(value, 4) if isinstance(value, float) else value for key, value in score._asdict().items()}
        for name, score in found.items()
    }


def _shown(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "-"
    return f"{score.value:.3f} ({score.low:.3f}-{score.high:.3f})"
