"""The laboratory values that hepacalc reads: units, what is possible, and limits where the laboratory gave none.

Each default limit has its source. A laboratory's own limit is always better and always wins; a default is named as one
in the output. Where a sound default does not exist (ALP and phosphate of a child, AFP in pregnancy or under one year)
there is none, and the value then says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from hepacalc.errors import UsageError
from hepacalc.patient.units import Dimension, parse_unit

__all__ = ["ANALYTES", "COPIES_PER_IU", "SOURCES", "Analyte", "Limits", "convert", "default_limits", "units_of"]

COPIES_PER_IU = 5.82
"""HBV DNA copies in one IU: COBAS TaqMan. By assay it is 3.41 (Abbott) to 5.82 (Roche).

Reference: Japan Society of Hepatology, Guidelines for hepatitis B, Hepatol Res 2014;44 Suppl S1, table 10."""

SOURCES: Mapping[str, str] = {
    "table": "Usual adult limits, as in textbook tables of reference values (e.g. Kratz et al., N Engl J Med 2004;"
    "351:1548); from memory, not checked",
    "miller": "Miller et al., Br Med J 1983;286:266 (ESR: men age/2, women (age + 10)/2); from memory, not checked",
    "markers": "Usual cut-off of the assay; from memory, not checked",
}
"""Where the default limits come from."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of normal in the analyte's own unit, and the key of their source."""

    upper: float | None
    lower: float | None = None
    source: str = "table"


@dataclass(frozen=True, slots=True)
class Analyte:
    """One laboratory value.

    Args:
        text: what it is.
        unit: UCUM unit in which it is kept.
        possible: least and greatest value that a living person can have, in ``unit``.
        bridges: units of another dimension and how many ``unit`` one of them is.
        group: what it tells about: ``hepatocellular``, ``cholestatic``, ``inflammation``, ``eosinophils``,
            ``markers``, ``calcium``, ``virus`` or empty.
        limits: of an adult; None where there is no default.
        limits_female: where they differ.
        child: whether the default holds for a person under 18.
        state: state of the block ``markers``.
    """

    text: str
    unit: str
    possible: tuple[float, float]
    bridges: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    limits: Limits | None = None
    limits_female: Limits | None = None
    child: bool = True
    state: str = ""


def _enzyme(text: str, group: str, upper: float, female: float | None = None, *, child: bool = True) -> Analyte:
    """An enzyme; ``[IU]/L`` is printed for ``U/L``."""
    low = None if female is None else Limits(female)
    return Analyte(text, "U/L", (0.0, 100000.0), {"[IU]/L": 1.0}, group, Limits(upper), low, child)


def _marker(
    text: str, unit: str, greatest: float, upper: float, bridges: Mapping[str, float], state: str, *, child: bool = True
) -> Analyte:
    limits = Limits(upper, None, "markers")
    return Analyte(text, unit, (0.0, greatest), bridges, "markers", limits, child=child, state=state)


# marker units: what one assay calls U, another calls IU or arbitrary units
_UNITS = {"[IU]/mL": 1.0, "[arb'U]/mL": 1.0}
# molar masses in g/mol
_BILIRUBIN, _CALCIUM, _PHOSPHORUS, _PTH, _CALCITONIN, _CREATININE = 584.67, 40.078, 30.974, 9425.0, 3418.0, 113.12

ANALYTES: Mapping[str, Analyte] = {
    "alt": _enzyme("alanine aminotransferase", "hepatocellular", 40),
    "ast": _enzyme("aspartate aminotransferase", "hepatocellular", 40),
    "alp": _enzyme("alkaline phosphatase", "cholestatic", 130, child=False),
    "ggt": _enzyme("gamma-glutamyl transferase", "cholestatic", 60, 40),
    "bilirubin": Analyte(
        "bilirubin, total", "umol/L", (0, 1500), {"mg/dL": 1e4 / _BILIRUBIN}, "cholestatic", Limits(21)
    ),
    "bilirubin_direct": Analyte("bilirubin, direct", "umol/L", (0, 1200), {"mg/dL": 1e4 / _BILIRUBIN}),
    "albumin": Analyte("albumin", "g/L", (5, 80), {}, "", Limits(50, 35)),
    "creatinine": Analyte("creatinine", "umol/L", (5, 4000), {"mg/dL": 1e4 / _CREATININE}),
    "egfr": Analyte("estimated glomerular filtration rate", "mL/min/{1.73_m2}", (0, 250)),
    "ferritin": Analyte("ferritin", "ug/L", (0, 200000)),
    "platelets": Analyte("platelets", "10*9/L", (0, 5000)),
    "inr": Analyte("INR", "1", (0.5, 30)),
    "haemoglobin": Analyte("haemoglobin", "g/L", (10, 300), {"mmol/L": 16.114}),
    "crp": Analyte("C-reactive protein", "mg/L", (0, 1000), {}, "inflammation", Limits(10)),
    "esr": Analyte("erythrocyte sedimentation rate", "mm/h", (0, 200), {"mm": 1.0}, "inflammation"),
    "wbc": Analyte("white cells", "10*9/L", (0, 1000), {}, "inflammation", Limits(11, 4), child=False),
    "eosinophils": Analyte("eosinophils", "10*9/L", (0, 300), {}, "eosinophils", Limits(0.5)),
    "eosinophils_percent": Analyte("eosinophils, share of white cells", "%", (0, 100), {}, "eosinophils", Limits(6)),
    "calcium": Analyte(
        "calcium, total", "mmol/L", (0.5, 8), {"mg/dL": 10 / _CALCIUM}, "calcium", Limits(2.60, 2.10), child=False
    ),
    "calcium_ionised": Analyte(
        "calcium, ionised", "mmol/L", (0.2, 4), {"mg/dL": 10 / _CALCIUM}, "calcium", Limits(1.32, 1.12), child=False
    ),
    "phosphate": Analyte(
        "phosphate (as phosphorus)",
        "mmol/L",
        (0.05, 10),
        {"mg/dL": 10 / _PHOSPHORUS},
        "calcium",
        Limits(1.45, 0.80),
        child=False,
    ),
    "pth": Analyte("parathyroid hormone", "pmol/L", (0, 1000), {"pg/mL": 1e3 / _PTH}, "calcium", Limits(6.9, 1.6)),
    "afp": _marker("alpha-fetoprotein", "ng/mL", 1e7, 10, {"[IU]/mL": 1.21, "U/mL": 1.21}, "afp", child=False),
    "cea": _marker("carcinoembryonic antigen", "ng/mL", 1e6, 5, {}, "cea"),
    "ca19_9": _marker("CA 19-9", "U/mL", 1e7, 37, _UNITS, "ca19_9"),
    "ca125": _marker("CA-125", "U/mL", 1e6, 35, _UNITS, "ca125"),
    "ca15_3": _marker("CA 15-3", "U/mL", 1e6, 30, _UNITS, "ca15_3"),
    "calcitonin": _marker("calcitonin", "ng/L", 1e7, 10, {"pmol/L": _CALCITONIN / 1e3}, "calcitonin", child=False),
    "psa": _marker("prostate-specific antigen", "ng/mL", 1e5, 4, {}, "psa", child=False),
    "cga": _marker("chromogranin A", "ug/L", 1e6, 100, {}, "cga", child=False),
    "hiaa": _marker("5-HIAA in urine of 24 hours", "umol/d", 1e5, 47, {"mg/d": 5.23}, "cga", child=False),
    "hbv_dna": Analyte("hepatitis B virus DNA", "[IU]/mL", (0, 1e12), {}, "virus"),
    "hcv_rna": Analyte("hepatitis C virus RNA", "[IU]/mL", (0, 1e10), {}, "virus"),
}
"""By name. AFP: 1 IU is 1.21 ng (WHO standard 72/225); the other factors are molar masses."""


def units_of(name: str) -> tuple[str, ...]:
    """Return units that this analyte is often given in."""
    analyte = ANALYTES[name]
    more = {"U/L": ("ukat/L",), "[IU]/mL": ("{copies}/mL", "{Log_IU}/mL") if name == "hbv_dna" else ("{Log_IU}/mL",)}
    return (analyte.unit, *analyte.bridges, *more.get(analyte.unit, ()))


def convert(name: str, value: float, unit: str, *, copies_per_iu: float = COPIES_PER_IU) -> float:
    """Return a value of an analyte in the analyte's own unit.

    Args:
        name: of the analyte.
        value: the number as given.
        unit: UCUM, or a usual spelling.
        copies_per_iu: of the HBV DNA assay.

    Raises:
        UsageError: no such analyte or unit, or a unit that this analyte does not have.
    """
    if name not in ANALYTES:
        raise UsageError(
            f"wanted the name of a laboratory value, found {name!r}.", hint=f"Known: {', '.join(ANALYTES)}."
        )
    given = parse_unit(unit)
    if given.log10:
        if value > 15:
            raise UsageError("wanted a decimal logarithm up to 15.", hint="Check number and unit.")
        value = float(10.0**value)
    for dimension, scale, factor in _accepted(name, copies_per_iu):
        if given.dimension == dimension:
            return value * (given.scale / scale) * factor
    raise UsageError(
        f"wanted a unit of {ANALYTES[name].text}, found {unit!r}.", hint=f"Use {' or '.join(units_of(name))}."
    )


@lru_cache(maxsize=256)
def _accepted(name: str, copies_per_iu: float) -> tuple[tuple[Dimension, float, float], ...]:
    """Dimensions that the analyte has, scale of one unit of each, and how many of the analyte's own unit that is."""
    analyte = ANALYTES[name]
    bridges = {analyte.unit: 1.0, **analyte.bridges}
    if name == "hbv_dna":
        bridges |= {"{copies}/mL": 1 / copies_per_iu, "/mL": 1 / copies_per_iu}
    found = []
    for unit, factor in bridges.items():
        parsed = parse_unit(unit)
        found.append((parsed.dimension, parsed.scale, factor))
    return tuple(found)


def default_limits(name: str, *, age: float | None, female: bool | None, pregnant: bool) -> Limits | None:
    """Return the limits to use where the laboratory gave none; None where there is no sound default.

    Args:
        name: of the analyte.
        age: years; None when not known.
        female: None when not known; the wider limit then holds.
        pregnant: ALP, AFP and CA-125 rise in pregnancy; there is no default then.
    """
    analyte = ANALYTES[name]
    if pregnant and name in ("alp", "afp", "ca125", "albumin"):
        return None
    if name == "esr":
        return None if age is None else Limits((age + (0 if female is False else 10)) / 2, None, "miller")
    if age is not None and age < 18 and not analyte.child:
        return None
    if name == "ggt" and age is not None and age < 1:
        return None
    return analyte.limits_female if female and analyte.limits_female else analyte.limits
