"""Laboratory values -> what they say of the blocks of the network.

A value counts as raised when it lies above the upper limit by more than rounding (0.5 %). Of several values of one
test the latest counts. Where a block rests on several tests and only some were done, a normal result leaves some weight
to the abnormal states: half the share of the tests that were not done (a judgement). Normal ALT alone does not say that
AST is normal.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hepacalc.patient.analytes import ANALYTES, COPIES_PER_IU, SOURCES, Limits, convert, default_limits
from hepacalc.patient.schema import Laboratory, Patient
from hepacalc.patient.words import latest

__all__ = ["LabFact", "biochemistry", "calcium", "eosinophils", "inflammation", "lab_facts", "markers", "status"]

ROUNDING = 1.005
LEFT = 0.5
"""Weight that a block's abnormal states keep when all but none of its tests were done; a judgement."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "hepatocellular": ("alt", "ast"),
    "cholestatic": ("alp", "ggt", "bilirubin"),
    "inflammation": ("crp", "esr", "wbc"),
    "calcium": ("calcium", "phosphate", "pth"),
}
MARKERS: Mapping[str, tuple[str, ...]] = {
    "afp": ("afp",), "cea": ("cea",), "ca19_9": ("ca19_9",), "ca125": ("ca125",), "calcitonin": ("calcitonin",),
    "psa": ("psa",), "cga": ("cga", "hiaa"), "ca15_3": ("ca15_3",),
}  # fmt: skip

Told = tuple[dict[str, float], tuple[str, ...]]
"""Weights by state, and the results in words."""


@dataclass(frozen=True, slots=True)
class LabFact:
    """One laboratory result as the rules of the plan see it.

    Args:
        name: of the value.
        value: in ``unit``; None when only a word was given.
        unit: the analyte's own unit.
        upper: upper limit of normal in ``unit``.
        lower: lower limit of normal in ``unit``.
        limit_from: ``laboratory``, or the source of the default; empty without a limit.
        comparator: ``<``, ``<=``, ``>``, ``>=`` when the value is a bound; else empty.
        result: the word that was given; else empty.
        date: as it was given; empty when not.
    """

    name: str
    value: float | None = None
    unit: str = ""
    upper: float | None = None
    lower: float | None = None
    limit_from: str = ""
    comparator: str = ""
    result: str = ""
    date: str = ""

    @property
    def above_uln(self) -> float | None:
        """Value over its upper limit; None when either is not known."""
        return None if self.value is None or not self.upper else self.value / self.upper

    @property
    def text(self) -> str:
        """The result in words."""
        name = ANALYTES[self.name].text if self.name in ANALYTES else self.name.replace("_", " ")
        when = f", {self.date}" if self.date else ""
        if self.value is None:
            return f"{name}: {self.result}{when}"
        limit = ""
        if self.upper is not None:
            kind = "limit" if self.limit_from == "laboratory" else "default limit"
            span = f"{self.lower:g}-{self.upper:g}" if self.lower is not None else f"{self.upper:g}"
            limit = f" ({kind} {span})"
        return f"{name}: {self.comparator}{self.value:.4g} {self.unit}{limit}{when}"


def status(lab: LabFact | None) -> str:
    """Return ``raised``, ``low``, ``normal``, or empty when the result does not say."""
    if lab is None:
        return ""
    if lab.value is None:
        words = {"normal": "normal", "negative": "normal", "raised": "raised", "positive": "raised", "low": "low"}
        return words.get(lab.result, "")
    if lab.upper is None:
        return ""
    if lab.comparator in (">", ">="):
        return "raised" if lab.value >= lab.upper else ""
    if lab.comparator in ("<", "<="):
        return "normal" if lab.value <= lab.upper and lab.lower is None else ""
    if lab.value > lab.upper * ROUNDING:
        return "raised"
    return "low" if lab.lower is not None and lab.value < lab.lower / ROUNDING else "normal"


def lab_facts(patient: Patient) -> dict[str, LabFact]:
    """Return the latest result of every laboratory value, virus marker and the white-cell share made absolute."""
    found: dict[str, LabFact] = {}
    order: dict[str, tuple[datetime.date, bool, float]] = {}
    for item in patient.laboratory:
        fact = _fact(item, patient)
        if fact.result == "not_done":
            continue
        day = latest(item.date) if item.date else datetime.date.min
        rank = (day, status(fact) in ("raised", "low"), fact.value or 0.0)
        if item.name not in found or rank > order[item.name]:
            found[item.name], order[item.name] = fact, rank
    for name in type(patient.virus).model_fields:
        test = getattr(patient.virus, name)
        if test is not None and test.result != "not_done":
            found.setdefault(name, LabFact(name, result=test.result, date=test.date or ""))
    _absolute_eosinophils(found, patient)
    _adjusted_calcium(found)
    return dict(sorted(found.items()))


def _fact(item: Laboratory, patient: Patient) -> LabFact:
    date = item.date or ""
    if item.value is None or item.unit is None:
        return LabFact(item.name, result=item.result or "", date=date)
    copies = item.copies_per_iu or COPIES_PER_IU
    value = convert(item.name, item.value, item.unit, copies_per_iu=copies)
    upper, lower, limit_from = None, None, ""
    if item.upper_limit is not None:
        upper, limit_from = convert(item.name, item.upper_limit, item.unit, copies_per_iu=copies), "laboratory"
        if item.lower_limit is not None:
            lower = convert(item.name, item.lower_limit, item.unit, copies_per_iu=copies)
    elif default := _default(item.name, patient):
        upper, lower, limit_from = default.upper, default.lower, SOURCES[default.source]
    unit = ANALYTES[item.name].unit
    return LabFact(item.name, value, unit, upper, lower, limit_from, item.comparator or "", "", date)


def _default(name: str, patient: Patient) -> Limits | None:
    female = {"female": True, "male": False}.get(patient.sex or "")
    return default_limits(name, age=patient.age, female=female, pregnant=patient.pregnant == "yes")


def _absolute_eosinophils(found: dict[str, LabFact], patient: Patient) -> None:
    """A share of 8 % of 4 x 10*9/L is no eosinophilia: with white cells known the absolute count decides."""
    share, white = found.get("eosinophils_percent"), found.get("wbc")
    if "eosinophils" in found or share is None or white is None or share.comparator or white.comparator:
        return
    limits = _default("eosinophils", patient)
    if share.value is not None and white.value is not None and limits is not None:
        count = share.value * white.value / 100
        found["eosinophils"] = LabFact(
            "eosinophils", count, "10*9/L", limits.upper, None, SOURCES[limits.source], date=share.date
        )


def _adjusted_calcium(found: dict[str, LabFact]) -> None:
    """Total calcium adjusted to an albumin of 40 g/L (Payne et al., Br Med J 1973;4:643)."""
    total, albumin = found.get("calcium"), found.get("albumin")
    if total and albumin and total.value is not None and albumin.value is not None and not total.comparator:
        adjusted = total.value + 0.02 * (40 - albumin.value)
        fields = (total.unit, total.upper, total.lower, total.limit_from)
        found["calcium"] = LabFact("calcium", adjusted, *fields, result="adjusted for albumin", date=total.date)


# ---------------------------------------------------------------- blocks


def biochemistry(labs: Mapping[str, LabFact]) -> Told | None:
    """Liver tests: raised enzymes of the cells, of the ducts, both or neither."""
    cells, ducts = _group(labs, "hepatocellular"), _group(labs, "cholestatic")
    word = labs.get("liver_tests")
    if cells is None and ducts is None:
        return _word(word, "normal", ("hepatocellular", "cholestatic", "mixed"))
    cells_normal, cells_raised = cells or (1.0, 1.0)
    ducts_normal, ducts_raised = ducts or (1.0, 1.0)
    if word and word.result == "normal":
        cells_raised *= cells is not None and cells_raised >= 1
        ducts_raised *= ducts is not None and ducts_raised >= 1
    weights = {
        "normal": cells_normal * ducts_normal,
        "hepatocellular": cells_raised * ducts_normal,
        "cholestatic": cells_normal * ducts_raised,
        "mixed": cells_raised * ducts_raised,
    }
    return weights, _texts(labs, (*GROUPS["hepatocellular"], *GROUPS["cholestatic"], "liver_tests"))


def inflammation(labs: Mapping[str, LabFact]) -> Told | None:
    """CRP, ESR, white cells."""
    found = _group(labs, "inflammation")
    if found is None:
        return _word(labs.get("inflammation"), "normal", ("raised",))
    return {"normal": found[0], "raised": found[1]}, _texts(labs, GROUPS["inflammation"])


def calcium(labs: Mapping[str, LabFact]) -> Told | None:
    """Calcium, phosphate, PTH: too high or too low."""
    names: tuple[str, ...] = GROUPS["calcium"]
    if "calcium_ionised" in labs:
        names = ("calcium_ionised", *names[1:])
    found = _group(labs, "calcium", names, low=True)
    return None if found is None else ({"normal": found[0], "disturbed": found[1]}, _texts(labs, names))


def eosinophils(labs: Mapping[str, LabFact]) -> Told | None:
    """Absolute count before share."""
    for name in ("eosinophils", "eosinophils_percent"):
        if (word := status(labs.get(name))) in ("raised", "normal", "low"):
            raised = word == "raised"
            return {"normal": float(not raised), "raised": float(raised)}, _texts(labs, (name,))
    return None


def markers(labs: Mapping[str, LabFact]) -> Told | None:
    """For each state of ``markers`` 1 when raised, what is left of it when normal; markers not done are not there."""
    said = {}
    for state, names in MARKERS.items():
        words = [status(labs.get(name)) for name in names]
        if "raised" in words:
            said[state] = 1.0
        elif any(words):
            said[state] = LEFT * sum(not word for word in words) / len(words)
    texts = _texts(labs, tuple(name for names in MARKERS.values() for name in names))
    return (said, texts) if said else None


def _group(
    labs: Mapping[str, LabFact], group: str, names: tuple[str, ...] = (), *, low: bool = False
) -> tuple[float, float] | None:
    """Weights of normal and abnormal of a group of tests; None when none of them says anything."""
    names = names or GROUPS[group]
    words = [status(labs.get(name)) for name in names]
    if "raised" in words or (low and "low" in words):
        return 0.0, 1.0
    done = sum(bool(word) for word in words)
    return (1.0, LEFT * (len(names) - done) / len(names)) if done else None


def _word(lab: LabFact | None, normal: str, others: tuple[str, ...]) -> Told | None:
    """A whole block in one word."""
    word = status(lab)
    if lab is None or word not in ("normal", "raised"):
        return None
    return {normal: float(word == "normal"), **dict.fromkeys(others, float(word == "raised"))}, (lab.text,)


def _texts(labs: Mapping[str, LabFact], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(labs[name].text for name in names if name in labs)
