"""A fetus: the same reading with its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hepacalc.evaluate.cues import DENIED, REST, Hit, find_hits
from hepacalc.evaluate.parts import Pieces, pieces, unread_words
from hepacalc.evaluate.people import gestational_weeks
from hepacalc.evaluate.places import default_setting, told_settings
from hepacalc.evaluate.text import Segment, is_unstated, normalised, segments
from hepacalc.evaluate.told import ReadCase, to_evidence
from hepacalc.evaluate.words import words

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["read_fetus"]

_AGENTS = re.compile(
    r"torch|cmv|cytomegalo\w*|toxo\w*|parvo\w*|b19|rubella|hsv|herpes|varicel\w*|vzv|zoster|syphil\w*|vdrl|rpr\b|zika|"
    r"enterovir\w*|coxsack\w*|listeri\w*|infection|serolog\w*|viral|ig[gm]\b|amniotic pcr"
)
_POSITIVE = re.compile(r"\b(pos\w*|detected|reactive|yes|raised|high|confirmed|found|acute|recent|primary)\b|\+")
_NEGATIVE = re.compile(r"\b(neg\w*|normal|no|not|none|absent|excluded|unremarkable|nonreactive)\b")
_WEEK_CLASSES = (("under_18", 0.0, 18.0), ("18_27", 18.0, 28.0), ("over_28", 28.0, 45.0))


def read_fetus(case: Mapping[str, Any], knowledge: Knowledge) -> ReadCase:
    """Return the evidence of an unborn child; arguments as :func:`hepacalc.evaluate.reader.read_case`."""
    parts, book = pieces(case), words()["fetus"]
    labs = [s for key, value in (case.get("labs") or {}).items() if not is_unstated(str(value))
            for s in segments(f"{key} {_said(value)}", "labs")]  # fmt: skip
    image = parts.of("host", "morphology", "number", "findings")
    hits: list[Hit] = []
    for segment in image:
        hits += find_hits("fetal_focus", book["fetal_focus"].cues, segment, parts.read)
    told = parts.of("other_organs", "findings", "clinical_context", "region_exposure")
    for segment in told:
        found = find_hits("fetal_anomalies", book["fetal_anomalies"].cues, segment, parts.read)
        hits += [hit for hit in found if not _is_liver_focus(hit)]
    for block, fields in (("fetal_karyotype", told), ("fetal_flow", [*parts.of("enhancement"), *told]),
                          ("fetal_bowel_gene", told)):  # fmt: skip
        for segment in [*fields, *labs]:
            hits += find_hits(block, book[block].cues, segment, parts.read)
    infections = _infections(case.get("labs") or {})
    hits += _weeks(case) + infections
    referred = "fetal_referral" in told_settings(parts) or any(
        hit.block == "fetal_anomalies" and not hit.ruled_out and "none" not in hit.weights for hit in hits
    )
    setting = "fetal_referral" if referred else default_setting("fetal", knowledge)
    hits = _main_focus(hits)
    for segment in parts.of("region_exposure"):  # places say nothing of a fetus, but they are understood
        find_hits("exposure", words()["regions"]["exposure"].cues, segment, parts.read)
    unread = [*unread_words(parts), *(f"labs: {s.source}" for s in labs if not _was_read(s, parts, infections))]
    return ReadCase(to_evidence("fetal", hits, knowledge, setting), tuple(hits), tuple(unread))


def _said(value: Any) -> str:
    return {True: "pos", False: "neg"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _is_liver_focus(hit: Hit) -> bool:
    """Whether words for an anomaly only tell where in the liver the focus is."""
    return not hit.ruled_out and "structural" in hit.weights and "liver" in normalised(hit.phrase)


def _main_focus(hits: list[Hit]) -> list[Hit]:
    """Surface, vessel and mass say more than "parenchymal" and "multiple"; keep the words that say most."""
    focus = [hit for hit in hits if hit.block == "fetal_focus" and not hit.ruled_out]
    special = [h for h in focus if {"surface", "mass", "vascular"} & {s for s, w in h.weights.items() if w == 1}]
    scattered = [h for h in focus if h.weights.get("parenchymal_scattered") == 1 and h.field in ("number", "findings")]
    structured = [h for h in special if h.field in ("host", "morphology")]
    keep = structured or special or scattered or focus
    if any(h.field == "number" and h.weights.get("parenchymal_few") == 1 for h in focus) and not special:
        keep = [h for h in focus if h.weights.get("parenchymal_few") == 1]
    return [hit for hit in hits if hit.block != "fetal_focus" or hit.ruled_out or hit in keep]


def _weeks(case: Mapping[str, Any]) -> list[Hit]:
    text = " ; ".join(
        str(case.get(k) or "") for k in ("region_exposure", "clinical_context", "findings", "age", "modality")
    )
    weeks = gestational_weeks(text)
    if weeks is None:
        return []
    low, high = weeks[0], max(weeks[1], weeks[0] + 0.9)
    shares = {s: max(0.0, min(high, b) - max(low, a)) / (high - low) for s, a, b in _WEEK_CLASSES}
    top = max(shares.values())
    shown = f"{weeks[0]:g}-{weeks[1]:g} weeks" if weeks[1] > weeks[0] else f"{weeks[0]:g} weeks"
    return [Hit("fetal_age", {s: max(v / top, 0.03) for s, v in shares.items()}, 0.03, shown, "clinical_context")]


def _infections(labs: Mapping[str, Any]) -> list[Hit]:
    """IgM, PCR or a bare "positive" is infection; IgG alone is an old one; all negative is negative."""
    acute, past, clean, phrases = False, False, False, []
    for key, value in labs.items():
        text = normalised(f"{key}: {_said(value)}")
        if is_unstated(str(value)) or not _AGENTS.search(text):
            continue
        said = normalised(_said(value))
        phrases.append(f"{key}: {value}")
        positive = bool(_POSITIVE.search(said)) and not _NEGATIVE.match(said)
        if re.search(r"low avidity", text) or (positive and not (re.search(r"igg", text) and "igm" not in text)):
            acute = True
        elif positive:
            past = True
        elif _NEGATIVE.search(said):
            clean = True
    phrase = "; ".join(phrases)
    if acute:
        return [Hit("fetal_infection_tests", {"positive": 1.0}, 0.01, phrase, "labs")]
    if past:
        weights = {"past": 1.0, "negative": 0.1, "positive": DENIED if clean else 0.3}
        return [Hit("fetal_infection_tests", weights, REST, phrase, "labs")]
    if clean:
        return [Hit("fetal_infection_tests", {"negative": 1.0, "past": 0.5}, 0.03, phrase, "labs")]
    return []


def _was_read(segment: Segment, parts: Pieces, infections: list[Hit]) -> bool:
    return bool(parts.read.spans.get(id(segment))) or bool(infections and _AGENTS.search(segment.text))
