"""The vocabulary as data: ``words/*.cues``, one section for each block; see :mod:`hepacalc.evaluate.cues`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from hepacalc.evaluate.cues import Cue, table

__all__ = ["Section", "words"]

_HEAD = re.compile(r"^\[([\w.]+)\](?: (.+))?$")
FILES = ("lesion", "organs", "person", "regions", "fetus")


@dataclass(frozen=True, slots=True)
class Section:
    """The cues of one block.

    Args:
        block: id, ``lesion.host``, ``lesion.morphology``, ``setting`` or ``known``.
        cues: in order.
        gate: the cues hold only where this is met; None when they hold anywhere.
    """

    block: str
    cues: tuple[Cue, ...]
    gate: re.Pattern[str] | None


@lru_cache(maxsize=1)
def words() -> Mapping[str, Mapping[str, Section]]:
    """Return file -> block -> section; read once from the package."""
    folder = resources.files("hepacalc.evaluate") / "words"
    return {name: sections((folder / f"{name}.cues").read_text("utf-8")) for name in FILES}


def sections(text: str) -> dict[str, Section]:
    """Return the sections of one file."""
    found: dict[str, Section] = {}
    block, gate, lines = "", None, [""]
    for line in [*text.splitlines(), "[end]"]:
        head = _HEAD.match(line.strip())
        if head is None:
            lines.append(line)
            continue
        if block:
            found[block] = Section(block, table("\n".join(lines)), gate)
        block, lines = head[1], []
        gate = re.compile(rf"\b(?:{head[2]})") if head[2] else None
    return found
