"""A coarse mask sharpened against grey values: the edge goes where the scan shows it, calcium stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hepacalc.liver.refine import Refined, largest_component, likeness, refine, robust_mean_sd

STEP = 2.0
N = 56


def scene(*, noise: float = 8.0, around: float = -90.0, off: tuple[int, int, int] = (0, 0, 0), seed: int = 0):
    """A ball of liver at 2 mm in other tissue: HU, true mask, and a blurred probability that may lie ``off``."""
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    radius = np.sqrt((mesh**2).sum(0)) * STEP
    true = radius < 36
    rng = np.random.default_rng(seed)
    hu = np.where(true, 55.0, around) + rng.normal(0, noise, true.shape)
    moved = np.roll(true, off, axis=(0, 1, 2)).astype(np.float32)
    probability = np.clip(ndimage.gaussian_filter(moved, 2.0), 0.001, 0.999)
    return hu.astype(np.float32), true, probability.astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("around", [-90.0, 20.0])
def test_the_edge_moves_to_where_the_scan_shows_it(around: float) -> None:
    hu, true, probability = scene(around=around, off=(0, 2, -2))
    before = overlap(probability > 0.5, true)
    found = refine(hu, probability, STEP)
    assert not found.fell_back
    assert overlap(found.mask, true) > 0.97 > before
    assert found.contrast > 0.3


def test_without_an_edge_in_the_scan_the_contrast_says_so() -> None:
    hu, true, probability = scene(around=55.0)
    found = refine(hu, probability, STEP)
    assert found.contrast < 0.1
    assert overlap(found.mask, true) > 0.9


def test_a_mask_that_would_change_too_much_is_kept() -> None:
    hu, true, _probability = scene()
    small = ndimage.gaussian_filter(ndimage.binary_erosion(true, iterations=4).astype(np.float32), 1.5)
    found = refine(hu, np.clip(small, 0.001, 0.999), STEP, largest_change=0.02)
    assert found.fell_back
    assert overlap(found.mask, small > 0.5) > 0.98
    assert abs(found.volume_ratio - 1) > 0.02


@pytest.mark.parametrize("place", ["deep", "at the rim"])
def test_calcium_stays_inside(place: str) -> None:
    hu, _true, probability = scene()
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    centre = (0, 0, 0) if place == "deep" else (0, 0, 13)
    focus = (((mesh.transpose(1, 2, 3, 0) - centre) ** 2).sum(-1) * STEP**2) < 7**2
    hu[focus] = 700
    found = refine(hu, probability, STEP)
    assert found.mask[focus].all()


def test_a_rib_beside_the_liver_is_given_away() -> None:
    hu, _true, probability = scene()
    rib = np.zeros((N, N, N), bool)
    rib[20:36, 12:44, 44:51] = True
    hu[rib] = 500
    probability[20:36, 12:44, 44:46] = 0.7
    found = refine(hu, probability, STEP)
    assert not (found.mask & rib).any()


def test_a_layer_of_fluid_is_given_away_and_a_cyst_stays() -> None:
    hu, true, _probability = scene()
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    radius = np.sqrt((mesh**2).sum(0)) * STEP
    wet = (radius >= 36) & (radius < 46)
    cyst = np.sqrt(((mesh.transpose(1, 2, 3, 0) - (0, 0, 2)) ** 2).sum(-1)) * STEP < 11
    rng = np.random.default_rng(2)
    hu[wet | cyst] = (8 + rng.normal(0, 8, true.shape))[wet | cyst]
    # the network took the fluid for liver
    probability = np.clip(ndimage.gaussian_filter((radius < 44).astype(np.float32), 1.5), 0.001, 0.999)
    found = refine(hu, probability, STEP)
    assert overlap(probability > 0.5, true) < 0.75
    assert overlap(found.mask, true) > 0.95
    assert found.mask[cyst].all()


def test_a_plaque_between_liver_and_rib_stays_and_the_rib_goes() -> None:
    hu, _true, probability = scene(around=55.0)
    hu[:, :, 46:] = -90
    plaque = np.zeros((N, N, N), bool)
    plaque[24:32, 22:34, 43:45] = True
    rib = np.zeros((N, N, N), bool)
    rib[22:34, 8:48, 46:51] = True
    hu[plaque | rib] = 600
    found = refine(hu, probability, STEP)
    assert found.mask[plaque].mean() > 0.9
    assert not (found.mask & rib).any()


def test_a_plaque_that_touches_the_spine_stays_and_the_spine_goes() -> None:
    hu, true, _probability = scene()
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    radius = np.sqrt((mesh**2).sum(0)) * STEP
    plaque = (radius > 26) & (radius < 33) & (mesh[2] > 0) & (np.hypot(mesh[0], mesh[1]) * STEP < 16)
    spine = np.zeros((N, N, N), bool)
    spine[:, 12:44, 49:] = True
    neck = np.zeros((N, N, N), bool)
    neck[26:29, 26:29, 43:49] = True
    hu[spine | neck] = 230
    hu[plaque] = 600
    # the network left a hole for it
    hole = np.clip(ndimage.gaussian_filter((true & ~plaque).astype(np.float32), 1.0), 0.001, 1)
    found = refine(hu, np.minimum(hole, 0.999), STEP)
    assert found.mask[plaque & true].mean() > 0.98
    assert not (found.mask & spine).any()
    assert overlap(found.mask, true) > 0.97


def test_a_hole_that_the_network_left_for_calcium_is_taken_in() -> None:
    hu, true, probability = scene()
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    away = np.sqrt(((mesh.transpose(1, 2, 3, 0) - (0, 0, 6)) ** 2).sum(-1)) * STEP
    hu[away < 9] = 800
    probability[away < 12] = 0.05
    found = refine(hu, probability, STEP)
    assert found.mask[away < 9].all()
    assert overlap(found.mask, true) > 0.97


def test_likeness_is_the_walkers_on_the_side_of_the_mask() -> None:
    field = np.array([[[0.9, 0.6, 0.4, 0.1]]], np.float32)
    given_away = np.array([[[True, False, True, False]]])
    found = likeness(Refined(given_away, False, 1.0, 1.0, field))
    np.testing.assert_allclose(found, [[[0.9, 0.4, 0.6, 0.1]]], atol=1e-6)


def test_the_edge_is_finer_than_the_grid() -> None:
    """A wall of liver that moves by a quarter of a voxel moves the edge, which a cut of the mask would not."""

    def edge(at: float) -> float:
        mesh = np.broadcast_to(np.arange(N, dtype=np.float32), (N, N, N))
        share = np.clip(at - mesh + 0.5, 0, 1)
        hu = 60 * share - 90 * (1 - share)
        line = likeness(refine(hu, np.clip(ndimage.gaussian_filter(share, 2.0), 0.001, 0.999), STEP))[N // 2, N // 2]
        last = int(np.flatnonzero(line > 0.5)[-1])
        return last + float(line[last] - 0.5) / float(line[last] - line[last + 1])

    moved = [edge(30 + part) - edge(30.0) for part in (0.25, 0.5, 0.75, 1.0)]
    assert moved == sorted(moved)
    assert 0 < moved[0] < 1
    assert moved[-1] == pytest.approx(1.0, abs=0.05)


def test_nothing_stays_nothing_and_the_answer_repeats() -> None:
    hu, _true, probability = scene()
    empty = refine(hu, np.zeros_like(probability), STEP)
    assert not empty.mask.any()
    assert empty.fell_back
    before = hu.copy()
    first, second = refine(hu, probability, STEP), refine(hu, probability, STEP)
    np.testing.assert_array_equal(first.mask, second.mask)
    np.testing.assert_array_equal(hu, before)


def test_largest_component() -> None:
    mask = np.zeros((6, 6, 6), bool)
    assert not largest_component(mask).any()
    mask[0, 0, :3] = True
    mask[3:5, 3:5, 3:5] = True
    assert largest_component(mask).sum() == 8


def test_robust_mean_and_spread_leave_outliers_out() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(60, 10, 20000), np.full(900, 1000.0)])
    mean, sd = robust_mean_sd(values)
    assert mean == pytest.approx(60, abs=0.6)
    assert sd == pytest.approx(10, rel=0.06)
