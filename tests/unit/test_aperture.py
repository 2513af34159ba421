"""The integrated signal of known balls: alone, beside another one, on a slope, at the liver's edge."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import add_ball, as_liver, as_volume, block_liver
from hepacalc.foci.aperture import Signal, measure_signal
from hepacalc.foci.faint import faint_signal
from hepacalc.foci.scene import Scene, look_at
from hepacalc.foci.window import Window, background_field, open_window, share_out
from hepacalc.geometry import Geometry

SIGMA = 0.75


def middle(geometry: Geometry) -> np.ndarray:
    return np.array([(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)])


def look(hu: np.ndarray, mask: np.ndarray, geometry: Geometry) -> Scene:
    return look_at(as_volume(hu, geometry), as_liver(mask, geometry), SIGMA)


def regions(scene: Scene, level_hu: float) -> np.ndarray:
    return ndimage.label(scene.hu > level_hu)[0]


def measured(scene: Scene, labels: np.ndarray, at_mm: np.ndarray, others: bool = True) -> tuple[Window, Signal]:
    """Signal of the region at a place given in the frame of the whole scan."""
    index = np.rint(at_mm / scene.spacing_mm).astype(int) - scene.start
    number = labels[tuple(index)]
    assert number > 0
    box = ndimage.find_objects(labels)[number - 1]
    region = labels[box] == number
    rest = (labels > 0) & (labels != number) if others else np.zeros(labels.shape, bool)
    window = open_window(scene, box, region, rest, float(scene.hu[box][region].max()))
    return window, measure_signal(scene, window)


@pytest.mark.parametrize(("diameter", "delta", "thickness"), [(5, 800, 1.25), (8, 400, 2.5), (14, 300, 2.5)])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.6, 0.3, -0.35)])
def test_a_known_ball(diameter: float, delta: float, thickness: float, shift: tuple[float, ...]) -> None:
    hu, mask, geometry = block_liver(spacing=(thickness, 0.8, 0.8), noise=6.0, seed=1)
    at = middle(geometry) + shift
    truth = add_ball(hu, geometry, at, diameter, delta, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    window, signal = measured(scene, regions(scene, 55 + 0.45 * delta), at)
    assert signal.total_hu_mm3 == pytest.approx(truth, rel=0.10)
    assert abs(signal.total_hu_mm3 - truth) < 3 * np.hypot(signal.noise_sd, signal.edge_sd)
    assert 0 <= signal.tail_share < 0.6
    assert signal.aperture_mm3 > 0
    assert np.median(window.background[window.region]) == pytest.approx(55, abs=3)
    assert not (window.clean & window.region).any()


def test_the_signal_grows_in_proportion() -> None:
    totals = []
    for delta in (300, 600, 900):
        hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), noise=4.0, seed=2)
        at = middle(geometry)
        add_ball(hu, geometry, at, 8, delta, sigma_mm=SIGMA)
        scene = look(hu, mask, geometry)
        totals.append(measured(scene, regions(scene, 55 + 0.5 * delta), at)[1].total_hu_mm3)
    assert totals[1] / totals[0] == pytest.approx(2, rel=0.06)
    assert totals[2] / totals[0] == pytest.approx(3, rel=0.06)


def test_two_balls_beside_each_other_keep_to_their_own() -> None:
    hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), noise=4.0, seed=3)
    places = [middle(geometry) + np.array([0, 0, x]) for x in (-6.5, 6.5)]
    truths = [add_ball(hu, geometry, at, size, 500, sigma_mm=SIGMA) for at, size in zip(places, (8, 7), strict=True)]
    scene = look(hu, mask, geometry)
    labels = regions(scene, 55 + 250)
    for at, truth in zip(places, truths, strict=True):
        window, signal = measured(scene, labels, at)
        assert signal.total_hu_mm3 == pytest.approx(truth, rel=0.12)
        # the neighbour does not count as background
        assert window.hu[window.clean].max() < 55 + 150


def test_a_slope_of_the_background_is_followed() -> None:
    hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), noise=4.0, seed=4)
    at = middle(geometry) + np.array([0, 0, 20])
    x = (np.arange(hu.shape[2]) * 0.8 - at[2] + 20)[None, None, :]
    hu += np.where(mask, 0.6 * x, 0).astype(np.float32)
    truth = add_ball(hu, geometry, at, 9, 350, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    window, signal = measured(scene, regions(scene, 55 + 12 + 170), at)
    assert signal.total_hu_mm3 == pytest.approx(truth, rel=0.10)
    assert np.median(window.background[window.region]) == pytest.approx(55 + 12, abs=4)


def test_fat_beside_the_liver_is_not_its_background() -> None:
    hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), noise=4.0, seed=5)
    centre = [n // 2 for n in mask.shape]
    edge = int(np.flatnonzero(mask[centre[0], centre[1]])[-1])
    at = np.array([centre[0] * 1.5, centre[1] * 0.8, edge * 0.8 - 8.0])
    truth = add_ball(hu, geometry, at, 8, 500, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    window, signal = measured(scene, regions(scene, 55 + 250), at)
    assert (~window.liver).any()
    assert np.median(window.background[window.region]) == pytest.approx(55, abs=6)
    assert signal.total_hu_mm3 == pytest.approx(truth, rel=0.12)


def test_noise_widens_the_interval() -> None:
    spreads = []
    for noise in (3.0, 25.0):
        hu, mask, geometry = block_liver(spacing=(2.5, 0.8, 0.8), noise=noise, seed=6)
        at = middle(geometry)
        add_ball(hu, geometry, at, 7, 600, sigma_mm=SIGMA)
        scene = look(hu, mask, geometry)
        spreads.append(measured(scene, regions(scene, 55 + 300), at)[1].noise_sd)
    assert spreads[1] > 3 * spreads[0] > 0


def test_background_leaves_outliers_out_and_falls_back_to_the_parenchyma() -> None:
    hu, mask, geometry = block_liver(spacing=(2.5, 0.8, 0.8), noise=4.0, seed=7)
    scene = look(hu, mask, geometry)
    liver = np.ones((8, 20, 20), bool)
    plain = np.full(liver.shape, 60.0, np.float32)
    plain[3, 4, 4] = 900.0
    field = background_field(plain, liver, liver, scene)
    assert field == pytest.approx(np.full(liver.shape, 60.0), abs=1.0)
    nothing = background_field(plain, np.zeros(liver.shape, bool), liver, scene)
    assert (nothing == np.float32(scene.parenchyma_hu)).all()


def test_a_region_flooded_over_the_liver_stays_background() -> None:
    """A bright spot in a dark lesion can be flooded over all parenchyma around; the liver stays the liver."""
    hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), noise=6.0, seed=9)
    at = middle(geometry)
    lesion = np.zeros(hu.shape, bool)
    centre = [n // 2 for n in hu.shape]
    lesion[centre[0] - 6 : centre[0] + 6, centre[1] - 10 : centre[1] + 10, centre[2] - 32 : centre[2] - 12] = True
    hu[lesion & mask] -= 60
    truth = add_ball(hu, geometry, at, 9, 400, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    index = np.rint(at / scene.spacing_mm).astype(int) - scene.start
    labels = regions(scene, 55 + 200)
    number = labels[tuple(index)]
    box = ndimage.find_objects(labels)[number - 1]
    region = labels[box] == number
    flooded = ndimage.gaussian_filter(scene.hu, 1.0) > 25
    flooded[box] &= ~region
    window = open_window(scene, box, region, flooded, float(scene.hu[box][region].max()))
    assert np.median(window.background[window.region]) == pytest.approx(55, abs=4)
    assert measure_signal(scene, window).total_hu_mm3 == pytest.approx(truth, rel=0.08)


def test_what_noise_alone_brings_over_the_limit_is_taken_off() -> None:
    hu, mask, geometry = block_liver(spacing=(2.5, 0.8, 0.8), noise=12.0, seed=9)
    scene = look(hu, mask, geometry)
    zone = ndimage.binary_erosion(scene.liver, iterations=6)
    rest = (scene.hu - scene.parenchyma_hu).astype(np.float32)
    total, sd = faint_signal(scene, rest, zone)
    whole_mm3 = float(zone.sum()) * scene.voxel_mm3
    # noise without a signal: nothing that its own doubt does not cover, and less than 1 HU everywhere
    assert total < max(3 * sd, 1.0 * whole_mm3)
    # a faint grid of lines stands out; where only what is as bright as blood counts, it does not
    rest[:, ::8] += 60.0
    truth = 60.0 * float(zone[:, ::8].sum()) * scene.voxel_mm3
    assert faint_signal(scene, rest, zone)[0] == pytest.approx(truth, rel=0.35)
    assert faint_signal(scene, rest, zone, 150.0) == (0.0, 0.0)


@pytest.mark.parametrize("thickness", [2.5, 4.0])
def test_the_arms_of_a_star_count(thickness: float) -> None:
    hu, mask, geometry = block_liver(spacing=(thickness, 0.8, 0.8), noise=6.0, seed=10)
    at = middle(geometry)
    truth = add_ball(hu, geometry, at, 4.0, 450, sigma_mm=SIGMA)
    for turn in np.deg2rad([0, 72, 144, 216, 288]):
        for far in np.arange(2.0, 7.1, 0.5):  # arms get thin and faint
            place = at + np.array([0.0, far * np.sin(turn), far * np.cos(turn)])
            truth += add_ball(hu, geometry, place, 2.2 - 0.15 * far, 110 - 8 * far, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    peak = float(scene.hu.max())
    _, signal = measured(scene, regions(scene, 55 + 0.5 * (peak - 55)), at)
    assert signal.total_hu_mm3 == pytest.approx(truth, rel=0.14)


def test_two_peaks_of_one_cloud_share_what_lies_between_them() -> None:
    hu, mask, geometry = block_liver(spacing=(1.25, 0.8, 0.8), noise=4.0, seed=11)
    at, truth = middle(geometry), 0.0
    for side in (-3.0, 3.0):
        truth += add_ball(hu, geometry, at + np.array([0.0, 0.0, side]), 2.5, 700, sigma_mm=SIGMA)
    for row in (-2.0, 0.0, 2.0):
        for column in (-1.5, 0.0, 1.5):  # grains too faint to be peaks of their own
            truth += add_ball(hu, geometry, at + np.array([0.0, row, column]), 1.6, 250, sigma_mm=SIGMA)
    scene = look(hu, mask, geometry)
    labels = regions(scene, 55 + 0.6 * (float(scene.hu.max()) - 55))
    windows = [measured(scene, labels, at + np.array([0.0, 0.0, side]))[0] for side in (-3.0, 3.0)]
    both = sum(measure_signal(scene, w).total_hu_mm3 for w in windows)
    shared = sum(measure_signal(scene, share_out(scene, w, labels > 0)).total_hu_mm3 for w in windows)
    assert both > 1.2 * truth
    assert shared == pytest.approx(truth, rel=0.12)
    alone = labels == labels[tuple(np.rint((at - [0.0, 0.0, 3.0]) / scene.spacing_mm).astype(int) - scene.start)]
    assert share_out(scene, windows[0], alone) is windows[0]
