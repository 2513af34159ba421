"""From stated shares and published counts to Dirichlet parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.knowledge.tables import COUNT_CAP, FLOOR, Cohort, blend, complete, fold_counts, picture_shares

BASE = np.array([0.5, 0.3, 0.15, 0.05])
STATES = ("a", "b", "c", "d")


def cohort(states: str, n: int, size: int, key: str = "work") -> Cohort:
    return Cohort(np.array([state in states for state in STATES]), n, size, key)


def test_states_not_named_share_what_is_left_as_the_base_does():
    assert complete({"d": 0.6}, STATES, BASE) == pytest.approx([*(0.4 * BASE[:3] / 0.95), 0.6])


def test_shares_of_all_states_are_scaled_to_one():
    found = complete({"a": 0.2, "b": 0.1, "c": 0.1, "d": 0.1}, STATES, BASE)
    assert found == pytest.approx([0.4, 0.2, 0.2, 0.2])


def test_blend_leaves_nothing_impossible_and_hardly_moves_the_rest():
    found = blend(np.array([1.0, 0, 0, 0]), BASE, FLOOR)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= FLOOR / 2 / 4
    assert found[0] > 1 - FLOOR


def test_pictures_are_a_mixture_of_products():
    axes, bases = (("x", "y"), STATES), (np.array([0.9, 0.1]), BASE)
    found = picture_shares([(0.5, {"x": 1}, {"a": 1}), (0.5, {"y": 1}, {"d": 1})], axes, bases).reshape(2, 4)
    assert found.sum() == pytest.approx(1)
    assert found[0, 0] == pytest.approx(found[1, 3], rel=0.05)
    # a product of margins could not know that x goes with a and y with d
    assert found[0, 0] > 10 * found[0, 3]
    assert found[0, 0] > 10 * found[1, 0]


def test_weight_that_no_picture_takes_is_the_base():
    axes, bases = (("x", "y"), STATES), (np.array([0.9, 0.1]), BASE)
    assert picture_shares([], axes, bases) == pytest.approx(np.outer(*bases).ravel())


def test_a_count_adds_its_patients():
    alpha = fold_counts(8 * BASE, [cohort("c", 12, 20)])
    assert alpha.sum() == pytest.approx(8 + 20)
    assert alpha[2] == pytest.approx(8 * 0.15 + 12)
    # outside of the set the proportions stay
    assert alpha[[0, 1, 3]] / BASE[[0, 1, 3]] == pytest.approx(np.full(3, alpha[0] / 0.5))


def test_inside_a_union_the_proportions_stay():
    alpha = fold_counts(8 * BASE, [cohort("ab", 10, 20)])
    assert alpha[0] / alpha[1] == pytest.approx(0.5 / 0.3)
    assert alpha[:2].sum() == pytest.approx(8 * 0.8 + 10)


def test_a_large_series_is_capped():
    alpha = fold_counts(8 * BASE, [cohort("a", 502, 516)])
    assert alpha.sum() == pytest.approx(8 + COUNT_CAP)
    assert alpha[0] == pytest.approx(4 + COUNT_CAP * 502 / 516)


def test_counts_of_one_cohort_are_one_sample():
    parts = [cohort("a", 9, 14), cohort("b", 4, 14), cohort("c", 1, 14)]
    assert fold_counts(8 * BASE, parts) == pytest.approx(8 * BASE + [9, 4, 1, 0])


def test_overlapping_counts_of_one_cohort_share_its_patients():
    alpha = fold_counts(8 * BASE, [cohort("a", 29, 34), cohort("a", 21, 34)])
    assert alpha.sum() == pytest.approx(8 + 34)
    assert alpha[0] == pytest.approx(4 + 25)


def test_two_cohorts_add_up():
    alpha = fold_counts(8 * BASE, [cohort("a", 10, 20, "one"), cohort("a", 5, 10, "two")])
    assert alpha.sum() == pytest.approx(38)


COUNTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "cd", "ab", "bcd"]), st.integers(0, 20), st.integers(20, 90), st.sampled_from("xyz")
    ),
    max_size=5,
)


@given(COUNTS, st.randoms(use_true_random=False))
def test_the_order_of_counts_makes_no_difference(given_counts, random):
    counts = [cohort(*one) for one in given_counts]
    shuffled = counts.copy()
    random.shuffle(shuffled)
    assert np.array_equal(fold_counts(8 * BASE, counts), fold_counts(8 * BASE, shuffled))


@given(COUNTS)
def test_counts_add_patients_and_leave_nothing_impossible(given_counts):
    alpha = fold_counts(8 * BASE, [cohort(*one) for one in given_counts])
    cohorts = {(key, size) for _, _, size, key in given_counts}
    assert alpha.sum() == pytest.approx(8 + sum(min(size, COUNT_CAP) for _, size in cohorts))
    assert (alpha > 0).all()


@given(st.integers(0, 30), st.integers(0, 30))
def test_more_patients_with_it_raise_it(few, more):
    shares = [
        alpha[0] / alpha.sum() for alpha in (fold_counts(8 * BASE, [cohort("a", n, 30)]) for n in sorted((few, more)))
    ]
    assert shares[0] <= shares[1] + 1e-12
