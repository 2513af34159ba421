"""Slices in any order, with any of them missing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hepacalc.errors import GeometryError, TooFewSlices, UnsupportedGeometry
from hepacalc.study.slices import Head, Slice
from hepacalc.study.stack import MIN_SLICES, build_stack, largest_block, order_slices


def _slice(k: int, z: float) -> Slice:
    values = {"InstanceNumber": k + 1, "SeriesInstanceUID": "1.2"}
    head = Head(Path("x"), values, None, 1, 8, 9, 16, 12, 11, False, 0, 0)
    return Slice(head, 0, {}, (0.0, 0.0, z), (1, 0, 0, 0, 1, 0), (0.7, 0.7), 1.0, 0.0)


@settings(max_examples=200, deadline=None)
@given(
    kept=st.sets(st.integers(0, 30), min_size=1, max_size=31),
    step=st.floats(0.3, 8),
    start=st.floats(-2000, 2000),
    order=st.randoms(use_true_random=False),
)
def test_a_stack_is_accepted_only_without_holes(kept: set[int], step: float, start: float, order: object) -> None:
    numbers = sorted(kept)
    shuffled = list(numbers)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    slices = [_slice(k, round(start + k * step, 4)) for k in shuffled]
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    gaps = set(steps)
    assume(len(gaps) < 2 or max(gaps) - min(gaps) > 0.15 * float(np.median(steps)))
    if len(numbers) < MIN_SLICES:
        with pytest.raises(TooFewSlices):
            build_stack(slices)
    elif len(gaps) == 1:
        stack = build_stack(slices)
        assert stack.geometry.spacing_mm[0] == pytest.approx(step * gaps.pop(), abs=1e-3)
        assert [one.instance - 1 for one in stack.slices] == numbers
        np.testing.assert_allclose(stack.geometry.to_world((0, 0, 0))[2], start + numbers[0] * step, atol=1e-3)
    else:
        with pytest.raises(UnsupportedGeometry):
            build_stack(slices)


@settings(max_examples=200, deadline=None)
@given(gaps=st.lists(st.sampled_from([0.0, 1.0, 1.0, 1.0, 2.0, 3.5]), min_size=1, max_size=25))
def test_the_largest_block_is_regular_and_no_run_is_longer(gaps: list[float]) -> None:
    slices = [_slice(k, z) for k, z in enumerate(np.cumsum([0.0, *gaps]))]
    ordered, depths = order_slices(slices)
    first, last = largest_block(depths)
    longest, run = 1, 1
    for k, gap in enumerate(gaps):
        run = run + 1 if gap and k and gap == gaps[k - 1] and run > 1 else (2 if gap else 1)
        longest = max(longest, run)
    assert last - first == longest
    if last - first >= MIN_SLICES:
        build_stack(ordered[first:last])
    else:
        with pytest.raises(GeometryError):
            build_stack(ordered[first:last])
