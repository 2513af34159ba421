"""The reasoning as the templates need it: causes with bars and reasons, flags, plan, evidence. No prose of its own.

Every probability keeps its JSON pointer, so that page and JSON can be compared number by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from hepacalc.reason.reasoning import LesionReasoning, Reasoning
from hepacalc.reason.records import CauseProbability, Differential, Explanation, WeightOfEvidence
from hepacalc.records import Assessment
from hepacalc.report.marks import mark
from hepacalc.report.reason_plan_views import PlanView, plan_view
from hepacalc.report.reason_words import (
    deciban_text,
    harm_text,
    joined,
    named,
    said,
    short,
    short_status,
    strength_text,
    summary_lines,
    text,
)
from hepacalc.report.source_views import SourceMark, marks_of

__all__ = [
    "CauseView",
    "ChangeView",
    "EvidenceView",
    "Probability",
    "ReasonView",
    "WeightView",
    "lesion_reasons",
    "reason_view",
    "reasoning_of",
]

LEADING = 5
OWN = 3
LEAST_WEIGHT = 1.0
"""Decibans; less speaks neither for nor against."""
HARMFUL = ("malignant", "dangerous")
LEAST_HARM = 0.05
"""A harmful cause below the leading ones is shown when one lesion may have it with this upper bound."""


class Probability(NamedTuple):
    """A probability with its band and its place in the JSON."""

    path: str
    value: float
    low: float
    high: float


class WeightView(NamedTuple):
    """What speaks for or against a cause: words, strength, decibans, sources."""

    path: str
    decibans: float
    shown: str
    strength: str
    said: str
    status: str
    sources: tuple[SourceMark, ...]


class CauseView(NamedTuple):
    """One cause as the template needs it; ``lesion`` and ``highest`` are empty where there is one lesion only."""

    name: str
    harm: str
    harm_name: str
    never_needle: bool
    chance: Probability
    lesion: str
    highest: Probability | None
    speaks_for: WeightView | None
    against: WeightView | None


class HarmView(NamedTuple):
    """Any cause of one harm: its probability in the lesion in which it is highest."""

    harm: str
    name: str
    chance: Probability
    lesion: str


class EvidenceView(NamedTuple):
    """One finding, who said it, and whether it is used."""

    block: str
    lesion: str
    text: str
    by: str
    overruled: bool


class ChangeView(NamedTuple):
    """A finding that would change the answer."""

    finding: str
    chance: Probability
    first: str
    probability: Probability
    over: str


class ReasonView(NamedTuple):
    """The whole reasoning as the templates need it."""

    reasoning: Reasoning
    lesions: int
    known: bool
    title: str
    causes: tuple[CauseView, ...]
    harms: tuple[HarmView, ...]
    setting: str
    next_line: str
    plan: PlanView
    own: dict[int, tuple[CauseView, ...]]
    evidence: tuple[EvidenceView, ...]
    changes: tuple[ChangeView, ...]
    worst: str


def reasoning_of(assessment: Assessment) -> Reasoning | None:
    """Return the reasoning of an assessment; the record itself knows only that it can be written down."""
    return cast("Reasoning | None", assessment.reasoning)


def reason_view(reasoning: Reasoning, today: str = "") -> ReasonView:
    """Return the views of a reasoning; pointers begin with ``/reasoning``.

    Args:
        reasoning: the answer about one patient.
        today: day of the plan, ``YYYY-MM-DD``; then what may be done at once is shown by its last day.
    """
    known = bool(reasoning.lesions) or reasoning.network == "fetal"
    worst = lesion_name(reasoning.worst) if len(reasoning.lesions) > 1 and reasoning.worst is not None else ""
    return ReasonView(
        reasoning=reasoning,
        lesions=len(reasoning.lesions),
        known=known,
        title=text("may-be.title" if known else "may-be.none"),
        causes=_causes(reasoning),
        harms=_harms(reasoning),
        setting=text(
            "setting.line", name=said(reasoning.setting_name), why=joined(reasoning.setting_because).rstrip(".。")
        ),
        next_line=summary_lines(reasoning, today)[2],
        plan=plan_view(reasoning, today, worst),
        own={lesion.lesion: lesion_reasons(reasoning, k) for k, lesion in enumerate(reasoning.lesions)},
        evidence=_evidence(reasoning),
        changes=_changes(reasoning),
        worst=worst,
    )


def lesion_name(lesion: int | None) -> str:
    """Return ``L2``; empty for the patient."""
    return "" if lesion is None else f"L{lesion}"


def lesion_reasons(reasoning: Reasoning, index: int) -> tuple[CauseView, ...]:
    """Return the leading causes of one lesion with what speaks most for and against each."""
    lesion = reasoning.lesions[index]
    path = f"/reasoning/lesions/{index}"
    return tuple(
        _cause(reasoning, entry, f"{path}/differential/causes/{k}", *_explained(lesion, entry.cause, path))
        for k, entry in enumerate(lesion.differential.causes[:OWN])
    )


def _causes(reasoning: Reasoning) -> tuple[CauseView, ...]:
    """Return the leading causes of the patient, then harmful ones that a single lesion may well have."""
    shown = []
    for k, entry in enumerate(reasoning.differential.causes):
        hidden = entry.harm in HARMFUL and any(
            h.cause == entry.cause and h.high >= LEAST_HARM for h in reasoning.highest
        )
        if k >= LEADING and not hidden:
            continue
        at, lesion = _where_highest(reasoning, entry.cause)
        if lesion is None:
            told = next((e for e in reasoning.explanations if e.cause == entry.cause), None)
            where = _place(reasoning.explanations, entry.cause, "/reasoning")
        else:
            told, where = _explained(lesion, entry.cause, f"/reasoning/lesions/{at}")
        view = _cause(reasoning, entry, f"/reasoning/differential/causes/{k}", told, where)
        if lesion is not None and len(reasoning.lesions) > 1:
            place = next(j for j, e in enumerate(lesion.differential.causes) if e.cause == entry.cause)
            held = lesion.differential.causes[place]
            view = view._replace(
                lesion=lesion_name(lesion.lesion),
                highest=_chance(held, f"/reasoning/lesions/{at}/differential/causes/{place}"),
            )
        shown.append(view)
    return tuple(shown)


def _cause(reasoning: Reasoning, entry: CauseProbability, path: str, told: Explanation | None, where: str) -> CauseView:
    weights = [_weight(reasoning, w, f"{where}/weights/{k}") for k, w in enumerate(told.weights)] if told else []
    pro = max(weights, key=lambda w: w.decibans, default=None)
    con = min(weights, key=lambda w: w.decibans, default=None)
    return CauseView(
        name=said(entry.name),
        harm=entry.harm,
        harm_name=harm_text(entry.harm),
        never_needle=entry.needle == "never",
        chance=_chance(entry, path),
        lesion="",
        highest=None,
        speaks_for=pro if pro is not None and pro.decibans >= LEAST_WEIGHT else None,
        against=con if con is not None and con.decibans <= -LEAST_WEIGHT else None,
    )


def _chance(entry: CauseProbability, path: str) -> Probability:
    return Probability(path, entry.probability, entry.low, entry.high)


def _weight(reasoning: Reasoning, weight: WeightOfEvidence, path: str) -> WeightView:
    words = joined(weight.said)
    block = named(reasoning, weight.block)
    return WeightView(
        path=f"{path}/decibans",
        decibans=weight.decibans,
        shown=deciban_text(weight.decibans),
        strength=strength_text(weight.decibans),
        said=short(f"{block}{mark('colon')}{words}" if words else block),
        status=short_status(weight.status),
        sources=marks_of(reasoning, weight.sources),
    )


def _explained(lesion: LesionReasoning, cause: str, path: str) -> tuple[Explanation | None, str]:
    """Return the explanation of a cause in a lesion, and where it stands in the JSON."""
    told = next((e for e in lesion.explanations if e.cause == cause), None)
    return told, _place(lesion.explanations, cause, path)


def _place(explanations: Sequence[Explanation], cause: str, path: str) -> str:
    index = next((k for k, e in enumerate(explanations) if e.cause == cause), 0)
    return f"{path}/explanations/{index}"


def _where_highest(reasoning: Reasoning, cause: str) -> tuple[int, LesionReasoning | None]:
    """Return the lesion in which a cause is most probable, the first of equals, with its place."""
    if not reasoning.lesions:
        return -1, None
    at = max(range(len(reasoning.lesions)), key=lambda k: reasoning.lesions[k].differential[cause].probability)
    return at, reasoning.lesions[at]


def _harms(reasoning: Reasoning) -> tuple[HarmView, ...]:
    """Return for each harm its highest upper bound over the lesions, worst first."""
    places: list[tuple[str, Differential, str]] = [
        (f"/reasoning/lesions/{k}/differential", one.differential, lesion_name(one.lesion))
        for k, one in enumerate(reasoning.lesions)
    ]
    several = len(places) > 1
    places = places or [("/reasoning/differential", reasoning.differential, "")]
    found: dict[str, HarmView] = {}
    for path, differential, lesion in places:
        for k, harm in enumerate(differential.harms):
            view = HarmView(
                harm.harm,
                harm_text(harm.harm),
                Probability(f"{path}/harms/{k}", harm.probability, harm.low, harm.high),
                lesion if several else "",
            )
            if harm.harm not in found or view.chance.high > found[harm.harm].chance.high:
                found[harm.harm] = view
    return tuple(found[name] for name in HARMFUL if name in found)


def _evidence(reasoning: Reasoning) -> tuple[EvidenceView, ...]:
    return tuple(
        EvidenceView(named(reasoning, f.block), lesion_name(f.lesion), f.text, text(f"by.{f.by}"), f.overruled)
        for f in reasoning.findings
    )


def _changes(reasoning: Reasoning) -> tuple[ChangeView, ...]:
    names = {entry.cause: said(entry.name) for entry in reasoning.differential.causes}
    out = []
    for k, change in enumerate(reasoning.changes):
        path = f"/reasoning/changes/{k}"
        state = f"{change.block}.{change.axis}.{change.state}" if change.axis else f"{change.block}.{change.state}"
        finding = f"{named(reasoning, change.block)}{mark('colon')}{named(reasoning, state)}"
        out.append(
            ChangeView(
                finding=text("changes.known", finding=finding) if change.known else finding,
                chance=Probability(f"{path}/chance", change.chance, change.chance, change.chance),
                first=names.get(change.first, change.first),
                probability=Probability(
                    f"{path}/probability", change.probability, change.probability, change.probability
                ),
                over=mark("list").join(names.get(cause, cause) for cause, _ in change.over),
            )
        )
    return tuple(out)
