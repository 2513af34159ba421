"""Block averages, growing and short distances against SciPy's and NumPy's own, for any shape."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from hepacalc.foci.blocks import block_max, block_mean, distance_within, enlarge, spread, tight_box

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
MASKS = hnp.arrays(bool, SHAPES)
STEPS = st.tuples(*[st.integers(0, 4)] * 3)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-1000, 3000, width=32)), st.tuples(*[st.integers(1, 4)] * 3))
def test_blocks_are_those_of_the_array_with_its_edge_repeated(hu: np.ndarray, factor: tuple[int, int, int]) -> None:
    wide = np.pad(hu, [(0, -n % f) for n, f in zip(hu.shape, factor, strict=True)], mode="edge")
    shape = [k for n, f in zip(wide.shape, factor, strict=True) for k in (n // f, f)]
    parts = wide.reshape(shape)
    np.testing.assert_allclose(block_mean(hu, factor), parts.mean(axis=(1, 3, 5)), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(block_max(hu, factor), parts.max(axis=(1, 3, 5)))
    mask = hu > 0
    share = (wide > 0).reshape(shape).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(block_mean(mask, factor), share, rtol=1e-6)
    assert enlarge(block_mean(hu, factor), factor, hu.shape).shape == hu.shape


@given(MASKS, STEPS)
def test_a_mask_spreads_as_the_box_does(mask: np.ndarray, half: tuple[int, int, int]) -> None:
    expected = ndimage.maximum_filter(mask, size=[2 * n + 1 for n in half], mode="constant", cval=0)
    np.testing.assert_array_equal(spread(mask, half), expected)


@given(MASKS.filter(np.any), st.tuples(*[st.floats(0.3, 3.0)] * 3), st.floats(0.1, 6.0))
def test_short_distances_are_exact_and_long_ones_infinite(
    mask: np.ndarray, step: tuple[float, float, float], reach: float
) -> None:
    whole = ndimage.distance_transform_edt(~mask, sampling=step)
    found = distance_within(mask, step, reach)
    near = np.isfinite(found)
    np.testing.assert_allclose(found[near], whole[near], rtol=1e-5)
    assert (whole[near] <= reach * 1.00001).all()
    assert (whole[~near] >= reach * 0.99999).all()


def test_nothing_is_near_an_empty_mask() -> None:
    assert np.isinf(distance_within(np.zeros((3, 4, 5), bool), (1.0, 1.0, 1.0), 2.0)).all()


@given(MASKS.filter(np.any))
def test_the_tight_box_holds_all_of_a_mask_and_no_empty_edge(mask: np.ndarray) -> None:
    box = tight_box(mask)
    assert mask[box].sum() == mask.sum()
    assert all(np.take(mask[box], end, axis=axis).any() for axis in range(3) for end in (0, -1))
