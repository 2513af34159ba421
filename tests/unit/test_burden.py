"""Sums with their intervals, and the line about the whole liver."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hepacalc.foci.burden import add_up, count_burden, name_doubts
from hepacalc.records import Measured, NotMeasured
from report_example import make_example


def mg(value: float, half: float) -> Measured:
    return Measured(value, "mg", value - half, value + half, "test")


def test_nothing_adds_up_to_a_measured_zero() -> None:
    assert add_up([], "mg", "sum") == Measured(0.0, "mg", 0.0, 0.0, "sum")


def test_independent_errors_add_up_by_squares() -> None:
    total = add_up([mg(10, 3), mg(20, 4)], "mg", "sum")
    assert isinstance(total, Measured)
    assert (total.value, total.unit, total.method) == (30, "mg", "sum")
    assert total.high - total.value == pytest.approx(5)
    assert total.value - total.low == pytest.approx(5)


def test_the_error_of_the_calibration_adds_up_fully() -> None:
    half = 1.645 * 0.1
    alone = add_up([mg(10, 10 * half)] * 4, "mg", "sum", shared_sd=0.1)
    assert isinstance(alone, Measured)
    assert alone.high - alone.value == pytest.approx(40 * half)
    # an interval narrower than the shared part alone leaves no own part, and is never made narrower than the shared one
    narrow = add_up([mg(10, 0.0)] * 4, "mg", "sum", shared_sd=0.1)
    assert isinstance(narrow, Measured)
    assert narrow.high - narrow.value == pytest.approx(40 * half)


def test_one_part_that_is_not_measured_makes_the_sum_not_measured() -> None:
    total = add_up([mg(1, 1), NotMeasured("cut off"), NotMeasured("at the edge"), NotMeasured("cut off")], "mg", "sum")
    assert total == NotMeasured("3 of 4 parts could not be measured: at the edge; cut off")


def test_the_line_about_the_liver_counts_lesions_and_mimics() -> None:
    example = make_example()
    lesions, foci = example.lesions, example.foci
    smallest = NotMeasured("test")
    found = count_burden(lesions, foci, smallest, 0.05)
    calcified = [n for n in lesions if n.kind == "calcification"]
    assert found.calcifications == len(calcified) > 0
    assert found.certain == sum(n.certainty == "certain" for n in calcified)
    assert found.indeterminate == sum(n.kind == "indeterminate" for n in lesions)
    assert found.mimics == sum(f.lesion is None for f in foci) > 0
    assert found.smallest_trusted_mm is smallest
    masses = [n.mass_mg.value for n in calcified if isinstance(n.mass_mg, Measured)]
    if len(masses) == len(calcified):
        assert isinstance(found.total_mass_mg, Measured)
        assert found.total_mass_mg.value == pytest.approx(np.sum(masses))
    unmeasured = [replace(calcified[0], mass_mg=NotMeasured("why")), *calcified[1:]]
    assert isinstance(count_burden(unmeasured, foci, smallest, 0.05).total_mass_mg, NotMeasured)
    nothing = count_burden([], [], smallest, 0.05)
    assert nothing.calcifications == 0
    assert isinstance(nothing.total_mass_mg, Measured)


def test_what_the_total_leaves_out_is_said_and_does_not_widen_it() -> None:
    lesions = [replace(n, kind="calcification", certainty="certain", mass_mg=mg(20, 2)) for n in make_example().lesions]
    assert name_doubts(lesions, is_contrast=False) == ()
    unsure = [replace(lesions[0], certainty="probable"), *lesions[1:]]
    assert name_doubts(unsure, is_contrast=False) == (
        "The total calcium mass holds 20 mg of lesions that are not certain to be calcium.",
    )
    left_out = [replace(lesions[0], kind="indeterminate"), *lesions[1:]]
    assert name_doubts(left_out, is_contrast=False) == (
        "Indeterminate lesions that are not in the total calcium mass: 1, together 20 mg.",
    )
    first, second = name_doubts([replace(left_out[0], mass_mg=NotMeasured("cut")), *lesions[1:]], is_contrast=True)
    assert first.endswith("total calcium mass: 1.")
    assert "blood" in second
    one, all_of_them = (
        count_burden(n, [], NotMeasured("test"), 0.05).total_mass_mg
        for n in (lesions[1:], [*left_out[:1], *lesions[1:]])
    )
    assert one == all_of_them
