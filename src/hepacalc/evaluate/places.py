"""Which setting a case belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hepacalc.evaluate.combine import DEFAULTS, combined
from hepacalc.evaluate.cues import Hit, find_hits
from hepacalc.evaluate.parts import Pieces
from hepacalc.evaluate.people import stated_age
from hepacalc.evaluate.text import normalised
from hepacalc.evaluate.words import words

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["adult_setting", "default_setting", "told_settings"]


def default_setting(network: str, knowledge: Knowledge) -> str:
    """Return the setting that holds when no fact leads to another."""
    return next(k for k, s in knowledge.settings.items() if s.network == network and s.derived_from is None)


def told_settings(parts: Pieces) -> set[str]:
    """Return the settings that words in the history point to."""
    found: set[str] = set()
    for segment in parts.of("region_exposure", "clinical_context"):
        for hit in find_hits("setting", words()["regions"]["setting"].cues, segment, parts.read):
            if not hit.ruled_out and not hit.is_hint:
                found |= set(hit.weights)
    return found


def adult_setting(case: Mapping[str, Any], parts: Pieces, hits: Iterable[Hit], knowledge: Knowledge) -> str:
    """Return the setting of lowest rank that applies.

    Known cancer: the text tells one, not only hints at it. Echinococcosis and schistosomiasis areas: an exposure is
    told, or the place is one where most people have it. Health check: by ultrasound, with no other reason.
    """
    hits = list(hits)
    told = told_settings(parts)
    possible = {default_setting("adult", knowledge)}
    shares = {block: _share(block, hits, knowledge) for block in ("primary", "exposure")}
    if 1 - shares["primary"].get("none", 1.0) >= 0.7:
        possible.add("oncology")
    pasture = shares["exposure"].get("pasture", 0.0) + shares["exposure"].get("alveolar_area", 0.0)
    if "echinococcosis_pasture" in told or pasture >= 0.5:
        possible.add("echinococcosis_pasture")
    age = stated_age(case.get("age"))
    water = shares["exposure"].get("schistosome_water", 0.0) >= 0.5 or "schistosomiasis_area" in told
    if water and (age is None or age[1] >= 40):
        possible.add("schistosomiasis_area")
    modality = normalised(str(case.get("modality") or ""))
    if "health_check_ultrasound" in told and re.search(r"\b(us|usg|ultraso\w*|sonogr\w*)\b", modality):
        possible.add("health_check_ultrasound")
    return min(possible & set(knowledge.settings), key=lambda key: knowledge.settings[key].rank)


def _share(block: str, hits: Iterable[Hit], knowledge: Knowledge) -> dict[str, float]:
    """How the clear phrases about a block divide it among its states; empty when there is none."""
    mine = [hit for hit in hits if hit.block == block and not hit.is_hint]
    if not any(not hit.ruled_out for hit in mine):
        return {}
    states = knowledge.blocks[block].states
    line = combined(states, mine, default=DEFAULTS.get(block, ""))
    if line is None:
        return {}
    shares = line / np.sum(line)
    return dict(zip(states, shares.tolist(), strict=True))
