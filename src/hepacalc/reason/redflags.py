"""Red flags: facts that override any ranking, and tests that must not be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepacalc.reason.conditions import Asked
from hepacalc.reason.records import Names, RedFlag
from hepacalc.reason.situation import Situation

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["URGENCIES", "forbidden_tests", "raised_flags", "red_flags"]

URGENCIES = ("emergency", "urgent", "soon", "routine", "none")
"""Most urgent first."""


def raised_flags(at: Situation, knowledge: Knowledge) -> frozenset[str]:
    """Return the ids of the red flags that one situation raises."""
    asked = Asked(at, knowledge)
    network = at.differential.network
    return frozenset(
        flag.id for flag in knowledge.redflags.values() if flag.network == network and asked.verdict(flag.when).value
    )


def red_flags(situations: Sequence[Situation], knowledge: Knowledge) -> tuple[RedFlag, ...]:
    """Return the red flags that any of the situations raises, most urgent first.

    What is not known raises none; it is told among the questions of the plan.

    Args:
        situations: one for each lesion, or one of the patient. Their order does not matter.
        knowledge: a loaded knowledge base.
    """
    found = []
    every = [Asked(at, knowledge) for at in situations]
    for flag in knowledge.redflags.values():
        reasons: list[Names] = []
        raised = False
        for asked in every:
            if flag.network == asked.at.differential.network:
                verdict = asked.verdict(flag.when)
                if verdict.value:
                    raised = True
                    reasons += verdict.because
        if raised:
            found.append(
                RedFlag(
                    flag=flag.id,
                    text=tuple(flag.name.items()),
                    why=tuple(flag.why.items()),
                    because=tuple(sorted(set(reasons))),
                    urgency=flag.urgency,
                    sources=flag.sources,
                    status=flag.status,
                )
            )
    return tuple(sorted(found, key=lambda flag: URGENCIES.index(flag.urgency)))


def forbidden_tests(situations: Sequence[Situation], knowledge: Knowledge) -> dict[str, tuple[Names, ...]]:
    """Return for each test that must not be done why, in words, each in each language.

    A test is forbidden when any of the situations forbids it: a needle for one lesion is not weighed against another.
    """
    found = {}
    every = [Asked(at, knowledge) for at in situations]
    for test in knowledge.tests.values():
        reasons: list[Names] = []
        for asked in every:
            if test.forbidden_if is not None:
                verdict = asked.verdict(test.forbidden_if)
                reasons += verdict.because if verdict.value else ()
        if reasons:
            found[test.id] = tuple(sorted(set(reasons)))
    return found
