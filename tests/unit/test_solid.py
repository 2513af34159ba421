"""A small focus fitted as a blurred ellipsoid: right without noise, steadier than an aperture with it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import add_ball, as_liver, as_volume, block_liver
from hepacalc.foci.aperture import measure_signal
from hepacalc.foci.scene import Scene, look_at
from hepacalc.foci.solid import Solid, fit_solid
from hepacalc.foci.window import Window, crop_window, open_window

SIGMA = 0.75


def ball(
    diameter: float, delta: float, *, noise: float, seed: int, slice_mm: float = 2.5
) -> tuple[Scene, Window, float]:
    """A scene with one ball in its middle, the window on it, and its true HU mm^3."""
    hu, mask, geometry = block_liver(spacing=(slice_mm, 0.8, 0.8), noise=noise, seed=seed, extent_mm=(50.0, 60.0, 60.0))
    at = np.array([(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)])
    at += np.random.default_rng(seed).uniform(-0.5, 0.5, 3) * geometry.spacing_mm
    truth = add_ball(hu, geometry, at, diameter, delta, sigma_mm=SIGMA)
    scene = look_at(as_volume(hu, geometry), as_liver(mask, geometry), SIGMA)
    index = tuple(np.rint(at / scene.spacing_mm).astype(int) - scene.start)
    near = tuple(slice(max(i - 1, 0), i + 2) for i in index)
    peak = float(scene.hu[near].max())
    labels = ndimage.label(scene.hu > 55 + 0.5 * (peak - 55), np.ones((3, 3, 3)))[0]
    number = int(labels[near].max())
    box = ndimage.find_objects(labels)[number - 1]
    return scene, open_window(scene, box, labels[box] == number, np.zeros(labels.shape, bool), peak), truth


def fitted(scene: Scene, window: Window) -> Solid | None:
    cropped = crop_window(window)
    return fit_solid(scene, cropped, cropped.hu - cropped.background)


@pytest.mark.parametrize(("diameter", "delta"), [(3, 800), (5, 400), (7, 300)])
@pytest.mark.parametrize("slice_mm", [1.25, 5.0])
def test_a_ball_almost_without_noise(diameter: float, delta: float, slice_mm: float) -> None:
    scene, window, truth = ball(diameter, delta, noise=1.0, seed=8, slice_mm=slice_mm)
    found = fitted(scene, window)
    assert found is not None
    assert found.total_hu_mm3 == pytest.approx(truth, rel=0.07)
    assert found.misfit < 0.2


def test_in_noise_it_is_steadier_than_the_aperture_and_knows_its_doubt() -> None:
    solid, both, doubts = [], [], []
    for seed in range(12):
        scene, window, truth = ball(4.5, 350, noise=22.0, seed=seed)
        found = fitted(scene, window)
        assert found is not None
        solid.append(found.total_hu_mm3 / truth - 1)
        doubts.append(found.sd / truth)
        both.append(measure_signal(scene, window).total_hu_mm3 / truth - 1)
    assert abs(float(np.median(solid))) < 0.08
    assert float(np.quantile(np.abs(both), 0.9)) < 0.30
    # standard scores that are about standard
    assert 0.4 < float(np.sqrt(np.mean((np.array(solid) / doubts) ** 2))) < 1.6


def test_what_is_large_is_left_to_the_aperture() -> None:
    scene, window, _ = ball(16, 400, noise=5.0, seed=3)
    assert fitted(scene, window) is None


def test_a_shape_that_is_no_ellipsoid_is_told_by_its_misfit() -> None:
    hu, mask, geometry = block_liver(spacing=(1.25, 0.8, 0.8), noise=3.0, seed=5)
    at = np.array([(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)])
    for way in ((0.0, 3.2, 0.0), (0.0, -1.6, 2.8), (0.0, -1.6, -2.8)):
        add_ball(hu, geometry, at + np.array(way), 2.6, 900, sigma_mm=SIGMA)
    scene = look_at(as_volume(hu, geometry), as_liver(mask, geometry), SIGMA)
    region = scene.hu > 55 + 100
    box = ndimage.find_objects(region.astype(int))[0]
    found = fitted(
        scene, open_window(scene, box, region[box], np.zeros(region.shape, bool), float(scene.hu[box].max()))
    )
    assert found is not None
    assert found.misfit > 0.3
