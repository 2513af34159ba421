"""To an isotropic grid and back: means are kept, a ramp stays a ramp, a mask comes back to where it was."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.liver.resample import IsoGrid, average_weights, iso_grid, linear_weights, shrink, spread

GRIDS = [((20, 31, 27), (2.5, 0.8, 0.8)), ((9, 24, 24), (7.0, 1.6, 1.6)), ((40, 16, 18), (1.0, 3.0, 5.0))]


def positions(grid: IsoGrid, axis: int) -> np.ndarray:
    """Centres of the new voxels in mm from the outer edge of the source."""
    return grid.start_mm[axis] + np.arange(grid.shape[axis]) * grid.step_mm


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
@pytest.mark.parametrize("step", [2.0, 4.0])
def test_the_grid_covers_the_array_and_no_more_than_a_step_beyond(shape, spacing, step) -> None:
    grid = iso_grid(shape, spacing, step)
    for n, d, m, start in zip(shape, spacing, grid.shape, grid.start_mm, strict=True):
        assert start == step / 2
        assert n * d <= m * step + 1e-6
        assert (m - 1) * step < n * d


def test_a_box_is_kept_inside_the_array() -> None:
    grid = iso_grid((20, 30, 30), (2.0, 1.0, 1.0), 2.0, ((-10.0, 9.0), (5.0, 15.0), (20.0, 99.0)))
    assert grid.shape == (5, 5, 5)
    assert grid.start_mm == (1.0, 6.0, 21.0)


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
def test_weights_of_every_new_voxel_add_up_to_one(shape, spacing) -> None:
    grid = iso_grid(shape, spacing, 4.0)
    for axis in range(3):
        for weights in (average_weights(grid, axis), linear_weights(grid, axis)):
            assert weights.shape == (grid.shape[axis], shape[axis])
            assert weights.min() >= 0
            np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
def test_a_constant_stays_and_a_ramp_stays_a_ramp(shape, spacing) -> None:
    grid = iso_grid(shape, spacing, 4.0)
    assert np.allclose(shrink(np.full(shape, -37, np.int16), grid), -37)
    for axis in range(3):
        centres = (np.arange(shape[axis]) + 0.5) * spacing[axis]
        ramp = np.broadcast_to(centres.reshape([-1 if a == axis else 1 for a in range(3)]), shape).astype(np.float32)
        small = shrink(ramp, grid)
        assert small.shape == grid.shape
        found = np.moveaxis(small, axis, 0)[:, 0, 0]
        # the outermost voxels may reach beyond the source; voxels that are cut count with their own centre
        np.testing.assert_allclose(found[1:-1], positions(grid, axis)[1:-1], atol=0.3 * min(spacing[axis], 1.0))


def test_the_mean_of_a_fine_array_is_kept() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(50, 30, (32, 40, 24)).astype(np.float32)
    small = shrink(array, iso_grid(array.shape, (1.0, 1.0, 1.0), 4.0))
    assert small.shape == (8, 10, 6)
    assert small.mean() == pytest.approx(array.mean(), abs=1e-3)
    np.testing.assert_allclose(small[0, 0, 0], array[:4, :4, :4].mean(), rtol=1e-4)


@pytest.mark.parametrize(("shape", "spacing"), [((30, 60, 60), (2.5, 0.9, 0.9)), ((14, 40, 40), (6.0, 1.5, 1.5))])
def test_a_ball_goes_there_and_back(shape, spacing) -> None:
    mesh = [(i - (n - 1) / 2) * d for i, n, d in zip(np.indices(shape), shape, spacing, strict=True)]
    ball = sum(m**2 for m in mesh) < 18.0**2
    grid = iso_grid(shape, spacing, 2.0)
    back = spread(shrink(ball.astype(np.float32), grid), grid, 0.5)
    assert back.shape == shape
    assert back.dtype == bool
    assert 2 * (ball & back).sum() / (ball.sum() + back.sum()) > 0.95


def test_outside_of_a_box_nothing_comes_back() -> None:
    grid = iso_grid((20, 30, 30), (2.0, 1.0, 1.0), 2.0, ((10.0, 20.0), (10.0, 20.0), (10.0, 20.0)))
    back = spread(np.ones(grid.shape, np.float32), grid, 0.5)
    z, y, x = np.nonzero(back)
    assert (z.min(), z.max()) == (5, 9)
    assert y.min() in (9, 10)
    assert x.max() in (19, 20)
    assert not spread(np.zeros(grid.shape, np.float32), grid, 0.5).any()
