"""Shapes: closed-form volumes, and deposits that neither lose nor make mass."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.phantom import SIZES_MM, build_shape
from hepacalc.phantom.shapes import Occupancy, Shape, deposit, random_rotation, sample
from hepacalc.records import PATTERNS

GRIDS = [(0.6, 0.6, 0.6), (1.0, 0.7, 0.7), (2.5, 0.8, 0.8), (5.0, 0.98, 0.98), (8.0, 0.9, 0.9)]


def total_mm3(occupancy: Occupancy, spacing: tuple[float, float, float], centre: float = 60.0) -> float:
    shape = tuple(int(2 * centre / d) + 2 for d in spacing)
    put = deposit(
        occupancy,
        np.array([centre + 0.31, centre - 0.17, centre + 0.05]),
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=spacing,
        width_mm=spacing,
        sigma_mm=(0.15 * spacing[0], 0.5, 0.5),
    )
    return float(put.share.sum(dtype=float) * np.prod(spacing))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_keeps_its_volume_on_every_grid(pattern: str) -> None:
    rng = np.random.default_rng(5)
    occupancy = sample(build_shape(pattern, SIZES_MM[pattern][0], rng), random_rotation(rng))
    for spacing in GRIDS:
        assert total_mm3(occupancy, spacing) == pytest.approx(occupancy.volume_mm3, rel=1e-4)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_volume_does_not_depend_on_how_finely_a_shape_is_sampled(pattern: str) -> None:
    shape = build_shape(
        pattern, float(np.mean(SIZES_MM[pattern])) / 2 + SIZES_MM[pattern][0] / 2, np.random.default_rng(2)
    )
    coarse = sample(shape)
    finer = Shape(shape.distance, shape.reach_mm, shape.thinnest_mm * 0.7, None)
    assert sample(finer).volume_mm3 == pytest.approx(coarse.volume_mm3, rel=0.025)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_size_is_what_was_asked_for(pattern: str) -> None:
    for size in SIZES_MM[pattern]:
        found = sample(build_shape(pattern, size, np.random.default_rng(3))).diameter_mm
        assert 0.7 * size - 0.5 <= found <= 1.3 * size + 0.6


def test_sphere_and_shell_have_their_closed_form_volume() -> None:
    rng = np.random.default_rng(0)
    shell = build_shape("rim complete", 10.0, rng)
    walls = [1 - (1 - 2 * w / 10) ** 3 for w in (1.0, 2.0)]
    assert shell.exact_mm3 is not None
    assert walls[0] <= shell.exact_mm3 / (np.pi / 6 * 1000) <= walls[1]
    assert sample(shell).volume_mm3 == pytest.approx(shell.exact_mm3, rel=1e-5)
    free = Shape(shell.distance, shell.reach_mm, shell.thinnest_mm)
    assert sample(free).volume_mm3 == pytest.approx(shell.exact_mm3, rel=0.01)


def test_incomplete_rim_keeps_40_to_80_percent_of_the_whole() -> None:
    for seed in range(6):
        part = sample(build_shape("rim incomplete", 12.0, np.random.default_rng(seed))).volume_mm3
        wall_and_radii = build_shape("rim complete", 12.0, np.random.default_rng(seed))
        assert 0.4 <= part / sample(wall_and_radii).volume_mm3 <= 0.85


def test_turning_a_shape_keeps_its_volume() -> None:
    rng = np.random.default_rng(9)
    shape = build_shape("septal", 30.0, rng)
    volumes = [sample(shape, random_rotation(rng)).volume_mm3 for _ in range(3)]
    assert np.ptp(volumes) / np.mean(volumes) < 0.01


def test_centroid_is_carried_through_the_deposit() -> None:
    rng = np.random.default_rng(4)
    occupancy = sample(build_shape("comma", 9.0, rng), random_rotation(rng))
    spacing, centre = (1.0, 0.8, 0.8), np.array([20.2, 20.1, 19.9])
    put = deposit(occupancy, centre, shape=(40, 50, 50), spacing_mm=spacing, width_mm=spacing, sigma_mm=(0.2, 0.5, 0.5))
    index = np.indices(put.share.shape).reshape(3, -1) + np.array([[s.start] for s in put.box])
    found = (index * put.share.ravel()).sum(axis=1) / put.share.sum() * spacing
    np.testing.assert_allclose(found, centre + occupancy.centroid_mm, atol=0.02)


def test_a_deposit_off_the_grid_is_cut_and_does_not_fail() -> None:
    occupancy = sample(build_shape("nodular solid", 8.0, np.random.default_rng(1)))
    edge = {
        "shape": (10, 20, 20),
        "spacing_mm": (1.0, 1.0, 1.0),
        "width_mm": (1.0, 1.0, 1.0),
        "sigma_mm": (0.2, 0.5, 0.5),
    }
    half = deposit(occupancy, np.array([-0.5, 10.0, 10.0]), **edge)
    assert half.share.sum() == pytest.approx(occupancy.volume_mm3 / 2, rel=0.1)
    assert deposit(occupancy, np.array([-90.0, 10.0, 10.0]), **edge).share.size == 0


@pytest.mark.parametrize(("pattern", "size"), [("snowman", 5.0), ("punctate", 0.0), ("punctate", float("nan"))])
def test_what_cannot_be_built_is_refused(pattern: str, size: float) -> None:
    with pytest.raises(UsageError, match="wanted a pattern"):
        build_shape(pattern, size, np.random.default_rng(0))
