"""The free text of a case in pieces, and which of its words were understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hepacalc.evaluate.cues import Read, find_hits
from hepacalc.evaluate.text import Segment, is_unstated, segments
from hepacalc.evaluate.words import words

__all__ = ["CONTEXT", "STRUCTURED", "Pieces", "as_text", "pieces", "unread_words"]

STRUCTURED = ("number", "morphology", "host", "enhancement", "duct_dilation", "other_organs")
CONTEXT = ("clinical_context", "region_exposure")
_LEFT = re.compile(r"[a-z][a-z-]{3,}")


@dataclass
class Pieces:
    """The segments of a case by field, and which words of them were used."""

    by_field: Mapping[str, list[Segment]]
    read: Read = field(default_factory=Read)

    def of(self, *fields: str) -> list[Segment]:
        """Return the segments of these fields."""
        return [segment for name in fields for segment in self.by_field.get(name, [])]


def pieces(case: Mapping[str, Any]) -> Pieces:
    """Return all free text of a case in segments."""
    structured = case.get("structured") or {}
    texts = {name: structured.get(name) for name in STRUCTURED}
    texts |= {name: case.get(name) for name in ("findings", *CONTEXT, "modality")}
    return Pieces({name: segments(as_text(value), name) for name, value in texts.items() if as_text(value)})


def as_text(value: Any) -> str:
    """Return any value of a field as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "; ".join(str(part) for part in value)
    return "" if value is None else str(value)


def unread_words(parts: Pieces) -> list[str]:
    """Return for each segment the words that no cue used and that are not plain words."""
    left = []
    known = words()["regions"]["known"]
    for found in parts.by_field.values():
        for segment in found:
            find_hits("known", known.cues, segment, parts.read)
            letters = list(segment.text)
            for start, end in parts.read.spans.get(id(segment), []):
                letters[start:end] = " " * (end - start)
            rest = [w for w in _LEFT.findall("".join(letters)) if not is_unstated(w)]
            if rest:
                left.append(f"{segment.field}: {' '.join(rest)}")
    return left
