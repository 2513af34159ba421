"""Sources on the page: a mark behind a sentence, a list at the end. What was not checked is marked as such."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hepacalc.reason.reasoning import Reasoning

__all__ = ["SourceMark", "marks_of"]

CHECKED = ("read", "site")
OWN = ("judgement", "ours")


class SourceMark(NamedTuple):
    """A source behind a sentence.

    Args:
        id: of the source.
        shown: the id as printed: with a question mark where it was not checked.
        listed: whether the list of sources has it.
        own: whether it is a judgement of ours and not published.
    """

    id: str
    shown: str
    listed: bool
    own: bool


def marks_of(reasoning: Reasoning, ids: Iterable[str]) -> tuple[SourceMark, ...]:
    """Return the marks of some sources, in their order, each once."""
    status = {source.id: source.status for source in reasoning.sources}
    return tuple(
        SourceMark(
            key,
            key if status.get(key) in (*CHECKED, *OWN) else f"{key}?",
            key in status,
            status.get(key) in OWN,
        )
        for key in dict.fromkeys(ids)
    )
