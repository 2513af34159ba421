import math

import pytest

from hepacalc.records import Measured
from hepacalc.report.numbers import MINUS, fixed, percent, shown, significant


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "expected"),
    [
        (12.3456, 10.9, 13.8, "mg", ("12.3", "10.9", "13.8", "mg")),
        (740.4, 680.2, 810.9, "mg", ("740", "680", "810", "mg")),
        (1234.5, 1100, 1400, "mm3", ("1230", "1100", "1400", "mm³")),
        (523.4, 519.9, 527.1, "HU", ("523", "520", "527", "HU")),
        (123456, 120000, 127000, "mm3", ("123_500", "120_000", "127_000", "mm³")),
        (0.0042, 0.004, 0.0044, "mg", ("0.0042", "0.0040", "0.0044", "mg")),
        (-3.2, -6.1, 0.4, "HU", (f"{MINUS}3", f"{MINUS}6", "0", "HU")),
        (57.9, 57.7, 58.1, "HU", ("57.9", "57.7", "58.1", "HU")),
        (3, 3, 3, "1", ("3", "", "", "")),
        (2.5, 2.5, 2.5, "mm", ("2.5", "", "", "mm")),
        (0, 0, 0, "mg", ("0", "", "", "mg")),
    ],
)  # fmt: skip
def test_the_interval_sets_the_digits(
    value: float, low: float, high: float, unit: str, expected: tuple[str, ...]
) -> None:
    found = shown(Measured(value, unit, low, high, "m"))
    assert tuple(part.replace("\N{NO-BREAK SPACE}", "_") for part in found) == expected


def test_minus_zero_is_zero() -> None:
    assert fixed(-0.04, 1) == "0.0"
    assert math.copysign(1, significant(-0.0)) == 1


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0.0, "0 %"), (0.002, "< 1 %"), (0.5, "50 %"), (0.9999, "> 99 %"), (1.0, "100 %")],
)
def test_percent_never_rounds_to_certainty(probability: float, expected: str) -> None:
    assert percent(probability).replace("\N{NO-BREAK SPACE}", " ") == expected


def test_six_digits_are_kept() -> None:
    assert significant(123.4567891) == 123.457
    assert significant(-0.000123456789) == -0.000123457
