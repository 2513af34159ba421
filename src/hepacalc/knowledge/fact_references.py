"""What conditions say of facts and laboratory values: they stand in facts.yaml and are asked in their own kind."""

from __future__ import annotations

from collections.abc import Iterator

from hepacalc.knowledge.files import RawKnowledge
from hepacalc.knowledge.schema_base import Problem
from hepacalc.knowledge.schema_rules import ConditionIn, FactIn

__all__ = ["fact_problems"]

_LEVELS = ("above", "below", "at_least", "at_most")
SIGNS = ("positive", "negative")
"""What a laboratory value without a unit can be."""


def fact_problems(raw: RawKnowledge, file: str, field: str, node: ConditionIn) -> Iterator[Problem]:
    """Yield what one node (not its parts) asks of facts.yaml in vain."""
    compared = any(getattr(node, name) is not None for name in (*_LEVELS, "above_uln", "below_uln"))
    if node.fact is not None:
        fact = raw.facts.facts.get(node.fact)
        if fact is None:
            yield Problem(file, field, f"no such fact: {node.fact}")
        else:
            yield from _fact(file, field, node, fact, compared=compared)
    if node.lab is not None:
        lab = raw.facts.labs.get(node.lab)
        if lab is None:
            yield Problem(file, field, f"no such laboratory value: {node.lab}")
        elif compared and not lab.unit:
            yield Problem(file, field, f"{node.lab} is positive or negative, not a number")
        elif node.is_ is not None and (lab.unit or node.is_ not in SIGNS):
            yield Problem(file, field, f"{node.lab} cannot be {node.is_}")


def _fact(file: str, field: str, node: ConditionIn, fact: FactIn, *, compared: bool) -> Iterator[Problem]:
    if compared and fact.kind != "number":
        yield Problem(file, field, f"{node.fact} is no number")
    if node.is_ is None:
        return
    asked = node.is_ if isinstance(node.is_, list) else [node.is_]
    for one in asked:
        fits = {
            "yes_no": isinstance(one, bool),
            "choice": isinstance(one, str) and one in fact.choices,
            "number": isinstance(one, float | int) and not isinstance(one, bool),
        }
        if not fits[fact.kind]:
            yield Problem(file, field, f"{node.fact} cannot be {one}")
