"""The whole answer about one patient, as a record that the JSON, the report and the terminal are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hepacalc.reason.records import (
    CauseProbability,
    Change,
    Differential,
    Explanation,
    Finding,
    Names,
    Plan,
    as_plain,
)

__all__ = ["LesionReasoning", "Reasoning", "SourceNote", "Term"]


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A source that the answer points to: id, citation, and whether it was read."""

    id: str
    citation: str
    status: str


@dataclass(frozen=True, slots=True)
class Term:
    """The name of a block (``enhancement``), or of a state of it (``enhancement.rim``, ``lesion.host.cyst``)."""

    id: str
    name: Names


@dataclass(frozen=True, slots=True)
class LesionReasoning:
    """One lesion: its id in the scan (or its place among those typed in), its causes, and why."""

    lesion: int
    differential: Differential
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What it may be, whether it matters, what next.

    Args:
        network: ``adult`` or ``fetal``.
        setting: id of the setting whose prior was used.
        setting_name: in each language.
        setting_because: why this setting, in words.
        findings: everything that was said or measured; what was overruled is marked.
        differential: of the patient: a lesion picked at random.
        highest: for the leading causes their highest probability over the lesions.
        lesions: one each.
        worst: lesion with the most possible harm, which ``explanations``, ``changes`` and the tests of the plan are
            about; None where no lesion is known.
        explanations: weights of evidence for the leading causes of that lesion. Those of each leading cause of the
            patient stand with the lesion in which it is most probable.
        changes: single findings that would change the answer.
        plan: red flags, what to do, when, next best tests, open questions.
        warnings: about the patient file.
        notes: what a reader must know of how it came about.
        sources: everything pointed to.
        terms: names of the blocks and states that are spoken of.
        knowledge_version: of the knowledge base, with a mark when a site laid its own over it.
    """

    network: str
    setting: str
    setting_name: Names
    setting_because: tuple[str, ...]
    findings: tuple[Finding, ...]
    differential: Differential
    highest: tuple[CauseProbability, ...]
    lesions: tuple[LesionReasoning, ...]
    worst: int | None
    explanations: tuple[Explanation, ...]
    changes: tuple[Change, ...]
    plan: Plan
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[SourceNote, ...]
    terms: tuple[Term, ...]
    knowledge_version: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values for JSON."""
        plain: dict[str, Any] = as_plain(self)
        return plain
