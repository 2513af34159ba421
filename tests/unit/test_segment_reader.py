"""The network that reads segments: where it lies, what it sees, how its word is mixed with that of the anatomies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepacalc.liver import detect_phase
from hepacalc.liver.couinaud import LiverAnatomy, liver_anatomy
from hepacalc.liver.reader import GRID_MM, SHAPE, Reading, channels, middle, places, read
from hepacalc.phantom.patient import Phantom, Scene, draw_scene, scan
from hepacalc.records import LiverMask


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(33, phase="portal", foci=[], mimics=(), varied=True)


@pytest.fixture(scope="module")
def patient(scene: Scene) -> Phantom:
    return scan(scene, spacing_mm=(4.0, 2.5, 2.5))


@pytest.fixture(scope="module")
def anatomy(patient: Phantom) -> LiverAnatomy:
    liver = LiverMask(patient.liver, patient.volume.geometry, "truth", "1", 1.0)
    found = liver_anatomy(liver, patient.volume, detect_phase(patient.volume, liver))
    assert isinstance(found, LiverAnatomy)
    return found


def some(patient: Phantom) -> np.ndarray:
    cells = np.argwhere(patient.liver)
    return patient.volume.geometry.to_world(cells[:: len(cells) // 200])


def ball() -> np.ndarray:
    """Depth in a ball that is a little off the middle of the grid."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (GRID_MM * (15 - np.sqrt((z - 30) ** 2 + (y - 26) ** 2 + (x - 31.5) ** 2))).astype(np.float32)


def test_its_grid_lies_about_the_middle_of_the_liver(patient: Phantom, anatomy: LiverAnatomy) -> None:
    assert anatomy.reading is not None
    half = np.array(SHAPE) // 2
    assert anatomy.reading.log.shape == (9, *half)
    centre = anatomy.reading.start_mm + 2 * GRID_MM * (half[::-1] - 1) / 2
    true = patient.volume.geometry.to_world(np.argwhere(patient.liver).mean(axis=0))
    assert np.abs(centre - true).max() < 4


def test_both_words_are_shares_and_differ(patient: Phantom, anatomy: LiverAnatomy) -> None:
    assert anatomy.reading is not None
    points = some(patient)
    network = np.exp(anatomy.reading.log_shares(points))
    said = anatomy.shares(points)
    np.testing.assert_allclose(network.sum(axis=1), 1)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    own = anatomy.population.shares(points)
    for other in (network, own):
        assert (said.argmax(axis=1) == other.argmax(axis=1)).mean() > 0.7
        assert np.abs(said - other).max() > 0.1


def test_a_digital_liver_is_read_right(scene: Scene, patient: Phantom, anatomy: LiverAnatomy) -> None:
    assert scene.anatomy.segments is not None
    points = some(patient)
    assert anatomy.reading is not None
    right = anatomy.reading.log_shares(points).argmax(axis=1) == scene.anatomy.segments.index_at(points)
    assert right.mean() > 0.65


def test_an_answer_lies_between_its_cells() -> None:
    grid = np.zeros((9, *(n // 2 for n in SHAPE)), np.float32)
    grid[0, :, :, 10] = np.log(4.0)
    reading = Reading(grid, np.array([100.0, 0.0, 0.0]))
    x = 100 + 2 * GRID_MM * np.array([10.0, 10.5, 12.0])
    points = np.column_stack([x, np.full(3, 60.0), np.full(3, 60.0)])
    np.testing.assert_allclose(np.exp(reading.log_shares(points))[:, 0], [4 / 12, 2 / 10, 1 / 9], atol=1e-6)


def test_an_outline_alone_is_not_read(anatomy: LiverAnatomy) -> None:
    assert read(replace(anatomy.marks, hu=None, liver_hu=None)) is None


def test_what_it_sees_does_not_change_with_the_level_of_the_liver() -> None:
    depth = ball()
    hu = np.random.default_rng(0).normal(60, 5, depth.shape).astype(np.float32)
    np.testing.assert_allclose(channels(hu, depth, 60.0), channels(hu + 40, depth, 100.0), atol=1e-3)


def test_a_tube_stands_out_with_its_sign() -> None:
    depth = ball()
    hu = np.full(depth.shape, 100, np.float32) + np.random.default_rng(0).normal(0, 2, depth.shape).astype(np.float32)
    hu[20:40, 24:26, 20:22] += 50
    hu[20:40, 24:26, 40:42] -= 30
    seen = channels(hu, depth, 100.0)
    for channel in (4, 5):
        assert seen[channel, 30, 24:26, 20:22].min() > 1
        assert seen[channel, 30, 24:26, 40:42].max() < -1


def test_places_count_from_the_middle_and_from_the_box_of_the_liver() -> None:
    depth = ball()
    found = places(depth)
    np.testing.assert_allclose(found[:3].mean(axis=(1, 2, 3)), 0, atol=1e-6)
    assert np.ptp(found[2]) == pytest.approx((SHAPE[2] - 2) * GRID_MM / 80)
    z, y, x = (round(v) // 2 for v in middle(depth))
    assert np.abs(found[3:, z, y, x]).max() < 0.15
    assert found[3, 25, y, x] > 1.0
