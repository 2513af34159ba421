"""Statistics of cohorts against published examples."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.cohort.statistics import bland_altman, cohen_kappa, icc_agreement, wilson

# Shrout and Fleiss 1979, Psychol Bull 86:420-428, table 2, first two judges
SHROUT = ([9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2])


def test_wilson_as_published():
    # Newcombe 1998, Stat Med 17:857-872, table I: 81 of 263, method 3
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20).low == 0
    assert round(wilson(0, 20).high, 4) == 0.1611
    assert math.isnan(wilson(0, 0).value)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_wilson_holds_the_share(count: int, n: int):
    found = wilson(min(count, n), n)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_kappa_of_a_known_table():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: kappa 0.4
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    # two categories: weighing changes nothing
    assert cohen_kappa(first, second, ordered=True).value == pytest.approx(0.4)


def test_kappa_of_one_category_is_not_a_number():
    assert math.isnan(cohen_kappa([1] * 6, [1] * 6).value)
    assert math.isnan(cohen_kappa([], []).value)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40))
def test_kappa_of_equal_readers_is_one(values: list[int]):
    found = cohen_kappa(values, values, ordered=True)
    assert found.value == pytest.approx(1) or len(set(values)) == 1


def test_icc_as_an_analysis_of_variance_gives_it():
    found = icc_agreement(*SHROUT)
    # mean squares of these two judges: rows 4.6833, columns 80.0833, error 0.6833
    expected = (4.683333 - 0.683333) / (4.683333 + 0.683333 + 2 * (80.083333 - 0.683333) / 6)
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.low < found.value < found.high
    assert icc_agreement([1, 2, 3], [1, 2, 3]).value == 1
    assert math.isnan(icc_agreement([2, 2], [2, 2]).value)


def test_bland_altman_by_hand():
    found = bland_altman([10, 20, 30, 40], [11, 22, 33, 44])
    assert found.bias.value == 2.5
    assert found.lower.value == pytest.approx(2.5 - 1.959964 * 1.290994, abs=1e-5)
    assert found.upper.value == pytest.approx(2.5 + 1.959964 * 1.290994, abs=1e-5)
    assert found.bias.low < 2.5 < found.bias.high
    assert math.isnan(bland_altman([1], [2]).bias.value)
