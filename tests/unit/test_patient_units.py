import pytest

from hepacalc.errors import UsageError
from hepacalc.patient.analytes import ANALYTES, SOURCES, convert, default_limits, units_of
from hepacalc.patient.units import parse_unit


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        # enzymes: 1 ukat/L is 60 U/L by definition of both
        ("alt", 1.0, "ukat/L", 60.0), ("ast", 0.5, "µkat/L", 30.0), ("alp", 2000, "nkat/L", 120.0),
        ("ggt", 40, "IU/L", 40.0), ("alt", 40, "[IU]/L", 40.0),
        # bilirubin, molar mass 584.67 g/mol
        ("bilirubin", 1.0, "mg/dL", 17.1037), ("bilirubin", 21, "umol/L", 21.0),
        ("calcium", 10.0, "mg/dL", 2.49513), ("phosphate", 4.0, "mg/dL", 1.29141), ("pth", 65, "pg/mL", 6.89655),
        ("creatinine", 1.0, "mg/dL", 88.402), ("albumin", 4.0, "g/dL", 40.0), ("crp", 2.0, "mg/dL", 20.0),
        ("hbv_dna", 2000, "IU/mL", 2000.0), ("hbv_dna", 2, "k[IU]/mL", 2000.0), ("hbv_dna", 2e6, "[IU]/L", 2000.0),
        ("hbv_dna", 11640, "copies/mL", 2000.0), ("hbv_dna", 11640, "{copies}/mL", 2000.0),
        ("hbv_dna", 4.0, "log10 IU/mL", 10000.0), ("hbv_dna", 4.0, "{Log_IU}/mL", 10000.0),
        # the Japanese guideline: 2000 IU/mL is 4.07 log copies/mL by TaqMan
        ("hbv_dna", 4.06595, "log10 copies/mL", 2000.0),
        ("afp", 10, "ug/L", 10.0), ("afp", 8.26446, "kU/L", 10.0), ("afp", 8.26446, "[IU]/mL", 10.0),
        ("ca19_9", 37, "kU/L", 37.0), ("ca125", 35, "[arb'U]/mL", 35.0), ("cea", 5, "ug/L", 5.0),
        ("calcitonin", 10, "pg/mL", 10.0), ("calcitonin", 1, "pmol/L", 3.418), ("psa", 4, "ug/L", 4.0),
        ("eosinophils", 500, "/uL", 0.5), ("eosinophils", 500, "cells/mm3", 0.5), ("eosinophils", 0.5, "10^9/L", 0.5),
        ("eosinophils", 0.5, "x10^9/L", 0.5), ("platelets", 200, "K/uL", 200.0), ("platelets", 200, "G/L", 200.0),
        ("esr", 20, "mm/h", 20.0), ("esr", 20, "mm", 20.0), ("hiaa", 9, "mg/24h", 47.07),
        ("egfr", 60, "mL/min/1.73m2", 60.0), ("inr", 1.1, "1", 1.1),
    ],
)  # fmt: skip
def test_values_are_converted(name: str, value: float, unit: str, expected: float) -> None:
    assert convert(name, value, unit) == pytest.approx(expected, rel=1e-4)


def test_copies_depend_on_the_assay() -> None:
    assert convert("hbv_dna", 6820, "copies/mL", copies_per_iu=3.41) == pytest.approx(2000)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("alt", "mg/dL"), ("alt", "g/L"), ("calcium", "U/L"), ("hbv_dna", "U/L"), ("crp", "mmol/L"), ("cea", "U/mL"),
     ("alt", "copies/mL"), ("platelets", "%"), ("esr", "mm/s/L")],
)  # fmt: skip
def test_a_unit_of_something_else_is_refused(name: str, unit: str) -> None:
    with pytest.raises(UsageError, match="wanted a unit of"):
        convert(name, 1.0, unit)


@pytest.mark.parametrize(
    "unit", ["foo", "", " ", "U/", "u/l", "U//L", "L" * 50, "<script>", "10*999/L", "log10", "\x00"]
)
def test_an_unknown_unit_is_refused(unit: str) -> None:
    with pytest.raises(UsageError, match="wanted a unit"):
        parse_unit(unit)


def test_case_counts() -> None:
    assert parse_unit("mmol/L").scale != parse_unit("Mmol/L").scale
    with pytest.raises(UsageError):
        parse_unit("UMOL/L")


@pytest.mark.parametrize("name", list(ANALYTES))
def test_every_analyte_knows_its_units_and_limits(name: str) -> None:
    about = ANALYTES[name]
    assert convert(name, 1.0, about.unit) == pytest.approx(1.0)
    for unit in units_of(name):
        assert convert(name, 1.0, unit) > 0
    low, high = about.possible
    assert 0 <= low < high
    for limits in filter(None, (about.limits, about.limits_female)):
        assert limits.source in SOURCES
        assert low < limits.upper < high
        assert limits.lower is None or low < limits.lower < limits.upper


def test_limits_follow_age_sex_and_pregnancy() -> None:
    def limit(name: str, age: float | None = 40, female: bool | None = None, pregnant: bool = False) -> float | None:
        found = default_limits(name, age=age, female=female, pregnant=pregnant)
        return found.upper if found else None

    assert limit("ggt", female=True) == 40
    assert limit("ggt", female=False) == limit("ggt") == 60
    assert limit("esr", 60, female=False) == 30
    assert limit("esr", 60, female=True) == limit("esr", 60) == 35
    assert limit("esr", None) is None
    # no sound default: bone growth, placenta, newborn
    assert limit("alp", 10) is limit("afp", 0.5) is limit("phosphate", 3) is None
    assert limit("alp", 30, pregnant=True) is limit("afp", 30, pregnant=True) is None
    assert limit("alp", None) == 130
