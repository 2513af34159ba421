"""Free text in small pieces: one spelling, clauses, and what is denied or doubted in them.

Nothing here knows medicine: the words are in :mod:`hepacalc.evaluate.words`. What is denied or doubted is told by the
engine that reads reports (:mod:`hepacalc.reports.assertion`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from hepacalc.reports.assertion import context_of, is_denied, is_doubted

__all__ = ["Segment", "is_unstated", "normalised", "segments"]

COUNTED = ("region_exposure", "clinical_context")
"""Fields in which "2 HBV" means two of a series, not this patient."""

_SPELLINGS = (
    (r"[\u2010-\u2015\u2212]", "-"), ("×", "x"), ("≥", ">="), ("≤", "<="), ("[µμ]", "u"), ("æ", "ae"), ("œ", "oe"),
    ("[\u2018\u2019]", "'"), ("é|è|ê", "e"), ("ü", "u"), ("ö", "o"),
    ("aem", "em"), ("oedem", "edem"), ("oesoph", "esoph"), ("oestr", "estr"), (r"\bfoet", "fet"), ("rrhoea", "rrhea"),
    ("coeli", "celi"), ("caec", "cec"), (r"\bpaed", "ped"), ("amoeb", "ameb"), ("umour", "umor"), ("centre", "center"),
    ("fibre", "fiber"), ("leuco", "leuko"), ("dilatat", "dilat"), ("faec", "fec"), ("emboliz", "embolis"),
    ("isation", "ization"), ("immunis", "immuniz"), ("necrotis", "necrotiz"), ("grey", "gray"), ("calibre", "caliber"),
    ("sulph", "sulf"), ("dyspnoea", "dyspnea"), ("orrhagic", "orrhagic"), ("haem", "hem"),
    (r"\b(non|hypo|hyper|sub|peri|intra|extra|multi|micro|macro|post|pre)[- ](?=[a-z])", r"\1"),
    (r"\b(\w+)-like\b", r"\1 like"), (r"\s+", " "),
)  # fmt: skip
_RULES = tuple((re.compile(pattern), new) for pattern, new in _SPELLINGS)

_UNSTATED = (
    r"(not|un)[- ]?(stated|given|available|mentioned|reported|described|known|specified|recorded|assessable|done|"
    r"applicable|clear|performed|shown)"
)
_SILENT = re.compile(
    rf"^\W*({_UNSTATED}|n/?a|see (the )?(source|text|paper)|no data|nil stated|none stated|\?+|-+)\b.*$"
)
_ASIDE = re.compile(rf"\((implied|recalled|answer|general statement[^)]*|excerpt[^)]*|{_UNSTATED}[^)]*|stated)\)")

_CLAUSE = re.compile(r"[;\n]|(?<!\b[A-Za-z])\.(?=\s|$)|\b(?:but|however|although|whereas|though)\b", re.IGNORECASE)
_COMMA = re.compile(r",(?!\d|\s?[XYxy]{1,2}\b|\s?[+-]\d)(?![^(]*\))")

_NOT = re.compile(
    r"\b(no|not|without|never|absence of|absent|denie[sd]|den(?:ying|y)|free of|lack(?:s|ed|ing)?(?: of)?|nil|neither|"
    r"nor|negative for|neg for|ruled out|excluded|nothing)\b"
)
_STOP = re.compile(r"\b(except|apart from|other than|with|only|due to|because|causing)\b")
_OTHERS = re.compile(
    r"\b(misread|mistaken|misdiagnosed|read as|treated as|thought|mimic\w*|resembl\w*|differential|family history|"
    r"relative)\b"
)
"""Said of somebody else, or wrongly."""


@lru_cache(maxsize=4096)
def normalised(text: str) -> str:
    """Return lower case in American spelling with plain signs, so that one cue fits all spellings."""
    out = text.lower()
    for pattern, new in _RULES:
        out = pattern.sub(new, out)
    return _ASIDE.sub(" ", out).strip()


def is_unstated(text: str) -> bool:
    """Return whether a field says that it says nothing: ``not stated``, ``n/a``, ``see source``, empty."""
    plain = normalised(text)
    return not re.search(r"[a-z0-9]", plain) or bool(_SILENT.match(plain))


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two commas.

    Args:
        source: as it was written.
        text: the same, normalised.
        clause: the whole clause around it, normalised.
        field: where it was read.
        carried: True when a "no" before it in the same list holds for it too.
    """

    source: str
    text: str
    clause: str
    field: str
    carried: bool = False

    def denied(self, start: int, end: int) -> bool:
        """Return whether what stands from ``start`` to ``end`` of ``text`` is said not to be there."""
        said = context_of(self.text, ())
        if is_denied(said, start, end):
            return True
        return self.carried and not any(c.category == "neg_pre" and c.end <= start for c in said.main)

    def doubted(self, start: int, end: int) -> bool:
        """Return whether it is only suspected, or said of somebody else."""
        before = self.text[max(0, start - 40) : start]
        some = self.field in COUNTED and re.search(r"(^|[:,(] ?)\d{1,3} $", before)
        return bool(some or _OTHERS.search(before)) or is_doubted(context_of(self.text, ()), start, end)


def segments(text: str, field: str) -> list[Segment]:
    """Return the pieces of a text; those that say that nothing is known are left out."""
    found = []
    for clause in _CLAUSE.split(text):
        if is_unstated(clause):
            continue
        whole, carries = normalised(clause), False
        parts = [part.strip() for part in _COMMA.split(clause)]
        for k, part in enumerate(parts):
            if is_unstated(part):
                continue
            plain = normalised(part)
            found.append(Segment(part, plain, whole, field, carries))
            carries = (carries or bool(_NOT.search(plain))) and _list_goes_on(parts[k + 1 :])
    return found


def _list_goes_on(rest: list[str]) -> bool:
    """Whether what follows is short items that end with ``or``: "no fever, jaundice or weight loss"."""
    for part in rest:
        plain = normalised(part)
        if re.search(r"\b(or|nor)\b", plain):
            return True
        if len(plain.split()) > 3 or _STOP.search(plain):
            return False
    return False
