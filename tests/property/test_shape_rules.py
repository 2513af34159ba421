"""What must hold for every body, and what a turn, a mirror or a shift must not change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.foci.pattern import classify_pattern
from hepacalc.foci.shape import Body, describe_shape, fine_body
from hepacalc.records import PATTERNS

TURNS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((1, -1), repeat=3)]


def lump(seed: int, size: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(size, size, size)), 1.6, mode="constant")
    line = np.linspace(-1, 1, size)
    ball = 1 - line[:, None, None] ** 2 - line[:, None] ** 2 - line**2
    return np.asarray(400 * np.clip(ball + 3 * noise, 0, None), np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(7, 20), st.tuples(*[st.floats(0.6, 5.0)] * 3))
def test_shapes_are_possible(seed: int, size: int, spacing: tuple[float, float, float]) -> None:
    hu = lump(seed, size)
    shape = describe_shape(fine_body(hu, hu > 0.5 * hu.max(), spacing))
    assert shape.diameter_mm >= shape.diameter_2_mm >= shape.diameter_3_mm > 0
    assert 0 < shape.sphericity <= 1
    assert 0 <= shape.elongation < 1
    assert 0 <= shape.hollowness < 1
    assert shape.parts >= 1
    # no body is larger than the ball around it
    assert shape.volume_mm3 <= 1.2 * np.pi / 6 * shape.diameter_mm**3 + 3.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(TURNS))
def test_turns_and_mirrors_change_nothing(seed: int, turn: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    axes, flips = turn
    hu = lump(seed, 15)
    turned = np.ascontiguousarray(np.transpose(hu, axes)[tuple(slice(None, None, f) for f in flips)])
    one, two = (describe_shape(fine_body(h, h > 0.5 * h.max(), (1.0, 1.0, 1.0))) for h in (hu, turned))
    assert two.volume_mm3 == pytest.approx(one.volume_mm3, rel=0.06, abs=1.0)
    assert two.diameter_mm == pytest.approx(one.diameter_mm, abs=0.9)
    assert two.sphericity == pytest.approx(one.sphericity, abs=0.06)
    assert two.hollowness == pytest.approx(one.hollowness, abs=0.06)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.6, 6.0), st.booleans())
def test_probabilities_are_probabilities(seed: int, thickness: float, known: bool) -> None:
    hu = lump(seed, 12)
    body = fine_body(hu, hu > 0.5 * hu.max(), (1.5, 0.8, 0.8))
    depth = np.full(body.mask.shape, 9, np.float32) if known else None
    found = classify_pattern(body, depth_mm=depth, thickness_mm=thickness)
    values = [p for _, p in found.probabilities]
    assert {n for n, _ in found.probabilities} == set(PATTERNS)
    assert sum(values) == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert min(values) >= 0
    assert found.reasons


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.2, 5.0))
def test_any_mask_can_be_classified(seed: int, size: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((size, size + 1, size + 2)) > 0.6
    mask[0, 0, 0] = True
    body = Body(mask, step, (0.0, 0.0, 0.0), mask.astype(np.float32), mask)
    found = classify_pattern(body, depth_mm=None, thickness_mm=2.5)
    assert np.isfinite([p for _, p in found.probabilities]).all()
