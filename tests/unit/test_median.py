"""The median filter against SciPy's, for any small box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from hepacalc.foci import median
from hepacalc.foci.median import median_filter

BOXES = st.sampled_from([(1, 1, 1), (3, 3, 3), (1, 5, 5), (1, 3, 3), (3, 1, 1), (5, 1, 3)])


@given(
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=3, max_dims=3, min_side=3, max_side=7), elements=st.integers(-9, 9)),
    BOXES,
)
def test_it_is_the_median_that_scipy_finds(hu: np.ndarray, size: tuple[int, int, int]) -> None:
    np.testing.assert_array_equal(median_filter(hu, size), ndimage.median_filter(hu, size=size))


def test_planes_worked_on_apart_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hu = np.random.default_rng(0).normal(60, 20, (7, 9, 8)).astype(np.float32)
    monkeypatch.setattr(median, "CHUNK", 2 * 9 * 8)
    np.testing.assert_array_equal(median_filter(hu, (3, 3, 3)), ndimage.median_filter(hu, 3, mode="nearest"))
