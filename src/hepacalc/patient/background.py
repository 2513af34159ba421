"""The rest of the liver: healthy, chronic viral hepatitis, cirrhosis, from history, virus tests and images.

A denial is weaker than a test: most people with hepatitis B or C do not know of it, and early cirrhosis is silent. The
weights that a denial and a normal image leave are judgements.
"""

from __future__ import annotations

from collections.abc import Mapping

from hepacalc.patient.laboratory import LabFact
from hepacalc.patient.words import Fact

__all__ = ["liver_background"]

HBV_SHARE = 296 / (296 + 58)
"""Part of chronic viral hepatitis that is B: 296 of 354 million people in 2019 (WHO, Global progress report on HIV,
viral hepatitis and sexually transmitted infections, 2021; from memory, not checked)."""
LEFT_BY_DENIAL = 0.25
LEFT_BY_IMAGE = 0.2
LEFT_BY_STAGE = 0.05

Told = tuple[dict[str, float], tuple[tuple[str, str], ...]]
"""Weights by state; what was said, with who said it."""


def liver_background(
    facts: Mapping[str, Fact], labs: Mapping[str, LabFact], images: Mapping[str, str], fibrosis: str | None = None
) -> Told | None:
    """Return weights of healthy, viral_hepatitis, cirrhosis.

    Args:
        facts: answers of the history.
        labs: results; ``hbsag``, ``hbv_dna``, ``anti_hcv``, ``hcv_rna`` are read.
        fibrosis: stage by elastography, score or biopsy.
        images: what each examination calls the liver (``normal`` or ``cirrhosis``), and who said it.
    """
    said: list[tuple[str, str]] = []
    b = _infection(facts["conditions.chronic_hepatitis_b"], labs, "hbsag", "hbv_dna", said, "chronic hepatitis B")
    c = _infection(facts["conditions.chronic_hepatitis_c"], labs, "anti_hcv", "hcv_rna", said, "chronic hepatitis C")
    cirrhosis, known = 1.0, False
    answer = facts["conditions.cirrhosis"].had
    if answer != "not_asked":
        said.append((f"cirrhosis: {answer}", "history"))
        cirrhosis, known = (1.0, True) if answer == "yes" else (LEFT_BY_DENIAL, False)
    for word, by in images.items():
        said.append((f"liver on images: {word}", by))
    if "cirrhosis" in images:
        cirrhosis, known = 1.0, True
    elif "normal" in images and not known:
        cirrhosis = min(cirrhosis, LEFT_BY_IMAGE)
    if fibrosis is not None:
        said.append((f"fibrosis: {fibrosis}", "report"))
        known = known or fibrosis == "cirrhosis"
        cirrhosis = 1.0 if known else min(cirrhosis, LEFT_BY_STAGE)
    if not said:
        return None
    if known:
        return {"healthy": 0.0, "viral_hepatitis": 0.0, "cirrhosis": 1.0}, tuple(said)
    if b is True or c is True:
        return {"healthy": 0.0, "viral_hepatitis": 1.0, "cirrhosis": cirrhosis}, tuple(said)
    viral = HBV_SHARE * float(b) + (1 - HBV_SHARE) * float(c)
    return {"healthy": 1.0, "viral_hepatitis": viral, "cirrhosis": cirrhosis}, tuple(said)


def _infection(
    fact: Fact, labs: Mapping[str, LabFact], screen: str, virus: str, said: list[tuple[str, str]], name: str
) -> bool | float:
    """True when it is there, else how much of it is left: 1 when nothing was asked or tested."""
    first, amount = labs.get(screen), _found(labs.get(virus))
    if fact.had != "not_asked":
        said.append((f"{name}: {fact.had}", "history"))
    said.extend((labs[key].text, "laboratory") for key in (screen, virus) if key in labs)
    positive = first is not None and first.result == "positive"
    cleared = screen == "anti_hcv" and amount is False
    if amount or (positive and not cleared) or (fact.had == "yes" and not cleared):
        return True
    if cleared or (first is not None and first.result == "negative"):
        return 0.0
    return LEFT_BY_DENIAL if fact.had == "no" else 1.0


def _found(lab: LabFact | None) -> bool | None:
    """Whether nucleic acid was found; None when not known."""
    if lab is None:
        return None
    if lab.value is not None:
        return lab.value > 0 and lab.comparator not in ("<", "<=")
    return {"positive": True, "raised": True, "negative": False, "normal": False}.get(lab.result)
