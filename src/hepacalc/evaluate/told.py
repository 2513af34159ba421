"""From what was read to evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hepacalc.evaluate.combine import DEFAULTS, combined
from hepacalc.evaluate.cues import Hit
from hepacalc.evaluate.parts import CONTEXT
from hepacalc.reason.evidence import Evidence, Said

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge
    from hepacalc.reason.records import By

__all__ = ["ReadCase", "to_evidence"]


@dataclass(frozen=True)
class ReadCase:
    """A case as it was read.

    Args:
        evidence: with what was said about each block, and the setting.
        hits: every phrase with its meaning.
        unread: words that were not understood, by field.
    """

    evidence: Evidence
    hits: tuple[Hit, ...]
    unread: tuple[str, ...]


_BY: Mapping[str, By] = {"labs": "laboratory", "age, sex": "history", CONTEXT[0]: "history", CONTEXT[1]: "history"}
_MAIN = {"lesion.host": ("host", "soft_tissue_mass"), "lesion.morphology": ("morphology",)}


def to_evidence(network: str, hits: Iterable[Hit], knowledge: Knowledge, setting: str) -> Evidence:
    """Return the weights of every block that something was read of."""
    by_block: dict[str, list[Hit]] = {}
    for hit in hits:
        by_block.setdefault(hit.block, []).append(hit)
    weights, said = {}, {}
    for block_id in knowledge.networks[network].block_ids:
        block = knowledge.blocks[block_id]
        told = [hit for name, found in by_block.items() if name.split(".")[0] == block_id for hit in found]
        if block.axes:
            lines = [
                combined(values, by_block.get(f"{block_id}.{axis}", []), main=_MAIN.get(f"{block_id}.{axis}", ()))
                for axis, values in block.axes.items()
            ]
            if all(line is None for line in lines):
                continue
            whole = np.ones(1)
            for line, values in zip(lines, block.axes.values(), strict=True):
                whole = np.multiply.outer(whole, np.ones(len(values)) if line is None else line).ravel()
            weights[block_id] = whole
        else:
            line = combined(block.states, told, default=DEFAULTS.get(block_id, ""))
            if line is None:
                continue
            weights[block_id] = line
        said[block_id] = tuple(
            dict.fromkeys(Said(f"{hit.phrase} ({hit.field})", _BY.get(hit.field, "report")) for hit in told)
        )
    return Evidence(network, weights, said, setting)
