"""Whatever the shape, size, place and grid: a deposit holds the volume of its shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.phantom import SIZES_MM, build_shape
from hepacalc.phantom.shapes import deposit, random_rotation, sample
from hepacalc.records import PATTERNS


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    pattern=st.sampled_from(PATTERNS),
    relative=st.floats(0, 1),
    seed=st.integers(0, 10_000),
    place=st.tuples(*(st.floats(-2, 2) for _ in range(3))),
    slice_mm=st.sampled_from((0.6, 1.0, 2.5, 5.0, 8.0)),
    slices_thick=st.integers(1, 3),
    pixel_mm=st.floats(0.5, 1.2),
    sigma_mm=st.floats(0.35, 1.2),
)
def test_volume_is_conserved(
    pattern: str,
    relative: float,
    seed: int,
    place: tuple[float, float, float],
    slice_mm: float,
    slices_thick: int,
    pixel_mm: float,
    sigma_mm: float,
) -> None:
    low, high = SIZES_MM[pattern]
    rng = np.random.default_rng(seed)
    size = low + relative * (min(high, 36.0) - low)
    occupancy = sample(build_shape(pattern, size, rng), random_rotation(rng))
    assert occupancy.volume_mm3 > 0
    thickness = slice_mm * slices_thick
    reach = 30 + 2 * thickness
    put = deposit(
        occupancy,
        reach + np.array(place),
        shape=(int(2 * reach / slice_mm) + 1, int(2 * reach / pixel_mm) + 1, int(2 * reach / pixel_mm) + 1),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
        width_mm=(thickness, pixel_mm, pixel_mm),
        sigma_mm=(0.15 * thickness, sigma_mm, sigma_mm),
    )
    assert put.share.min() >= -1e-5
    assert put.share.max() <= 1.15
    total = put.share.sum(dtype=float) * slice_mm * pixel_mm**2
    assert total == pytest.approx(occupancy.volume_mm3, rel=1e-3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(size=st.floats(1, 20), seed=st.integers(0, 1000), slope=st.floats(0.4, 1.0))
def test_one_scene_weighs_the_same_at_1_2_and_5_mm(size: float, seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    occupancy = sample(build_shape("nodular solid", size, rng), random_rotation(rng))
    masses = []
    for slice_mm in (1.0, 2.5, 5.0):
        put = deposit(
            occupancy,
            np.array([25.0, 25.0, 25.0]) + rng.uniform(-3, 3, 3),
            shape=(int(50 / slice_mm), 62, 62),
            spacing_mm=(slice_mm, 0.8, 0.8),
            width_mm=(slice_mm, 0.8, 0.8),
            sigma_mm=(0.15 * slice_mm, 0.55, 0.55),
        )
        masses.append(put.share.sum(dtype=float) * slice_mm * 0.64 * 400 * slope)
    np.testing.assert_allclose(masses, masses[0], rtol=2e-3)
