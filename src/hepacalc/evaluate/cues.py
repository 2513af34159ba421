"""Cues: phrases that say something about a block, and how strongly.

A table of cues is text, one cue a line::

    pattern => state state:0.4 | 0.3 ~ other_state

``pattern`` is a regular expression on normalised text that starts at the start of a word. The states with their
weights (1 when left out) follow; states that are not named get what stands after ``|`` (:data:`REST` when left out).
After ``~`` stands what it means when the phrase is denied; left out, a denial takes weight from the named states.
``=> -`` marks words that are understood and say nothing. Earlier lines win over later ones on the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hepacalc.evaluate.text import Segment

__all__ = ["DENIED", "DOUBT", "REST", "SOFT", "Cue", "Hit", "find_hits", "table"]

REST = 0.005
"""Weight of the states that a clear phrase does not name: the chance that it was read wrongly.

That it was written wrongly is in the tables already: no share of a state is below their floor."""
DENIED = 0.06
"""Weight of a state that a phrase denies."""
SOFT = 0.2
"""A phrase that leaves at least this much to other states is a hint: hints multiply, clear phrases add up."""
DOUBT = 0.4
"""What a doubted phrase leaves at least to other states."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of a table."""

    pattern: re.Pattern[str]
    weights: Mapping[str, float]
    rest: float
    denied: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Hit:
    """What a phrase says of one block.

    Args:
        block: id, or ``lesion.host`` and ``lesion.morphology``.
        weights: of the states it names.
        rest: of all others.
        phrase: the words that were read, as written.
        field: where.
        ruled_out: True when the phrase only takes weight from the states it names.
    """

    block: str
    weights: Mapping[str, float]
    rest: float
    phrase: str
    field: str
    ruled_out: bool = False

    @property
    def is_hint(self) -> bool:
        """Whether it leaves much to other states."""
        return self.rest >= SOFT


@dataclass
class Read:
    """Which words of which segment were understood."""

    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def mark(self, segment: Segment, start: int, end: int) -> None:
        """Note that these words were used."""
        self.spans.setdefault(id(segment), []).append((start, end))


def table(text: str) -> tuple[Cue, ...]:
    """Return the cues of a table; a line that is not one is a mistake of the programmer and raises."""
    cues = []
    for line in text.strip().splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, _, said = line.partition(" => ")
        said, _, denied = said.partition(" ~ ")
        named, _, rest = said.partition(" | ")
        cues.append(
            Cue(
                re.compile(rf"\b(?:{pattern.strip()})"),
                {} if named.strip() == "-" else _weights(named),
                float(rest) if rest.strip() else REST,
                _weights(denied) if denied.strip() else None,
            )
        )
    return tuple(cues)


def _weights(text: str) -> dict[str, float]:
    out = {}
    for word in text.split():
        state, _, weight = word.partition(":")
        out[state] = float(weight) if weight else 1.0
    return out


def find_hits(block: str, cues: Iterable[Cue], segment: Segment, read: Read) -> list[Hit]:
    """Return what the cues of one block find in a segment, in the order of the table."""
    used: list[tuple[int, int]] = []
    hits = []
    for cue in cues:
        for match in cue.pattern.finditer(segment.text):
            start, end = match.span()
            if start == end or any(start < b and a < end for a, b in used):
                continue
            used.append((start, end))
            read.mark(segment, start, end)
            if cue.weights:
                hits.append(_hit(block, cue, segment, start, end))
    return [hit for hit in hits if hit.weights]


def _hit(block: str, cue: Cue, segment: Segment, start: int, end: int) -> Hit:
    rest = max(cue.rest, DOUBT) if segment.doubted(start, end) else cue.rest
    if not segment.denied(start, end):
        return Hit(block, cue.weights, rest, segment.source, segment.field)
    if cue.denied is not None:
        return Hit(block, cue.denied, REST, segment.source, segment.field)
    clear = {state: DENIED for state, weight in cue.weights.items() if weight >= 0.5}
    return Hit(block, clear, 1.0, segment.source, segment.field, ruled_out=True)
