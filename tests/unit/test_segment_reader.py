"""The network that reads segments: where it lies, that it speaks only beside the anatomies, how it is held in check."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.liver import detect_phase
from hepacalc.liver.couinaud import LiverAnatomy, liver_anatomy
from hepacalc.liver.reader import GRID_MM, SHAPE, Reading, channels, middle
from hepacalc.phantom.patient import Phantom, draw_scene, scan
from hepacalc.records import LiverMask


@pytest.fixture(scope="module")
def patient() -> Phantom:
    return scan(draw_scene(33, phase="portal", foci=[], mimics=(), varied=True), spacing_mm=(4.0, 2.5, 2.5))


@pytest.fixture(scope="module")
def anatomy(patient: Phantom) -> LiverAnatomy:
    liver = LiverMask(patient.liver, patient.volume.geometry, "truth", "1", 1.0)
    found = liver_anatomy(liver, patient.volume, detect_phase(patient.volume, liver))
    assert isinstance(found, LiverAnatomy)
    return found


def places(patient: Phantom) -> np.ndarray:
    cells = np.argwhere(patient.liver)
    return patient.volume.geometry.to_world(cells[:: len(cells) // 200])


def test_its_grid_lies_about_the_middle_of_the_liver(patient: Phantom, anatomy: LiverAnatomy) -> None:
    assert anatomy.reading is not None
    assert anatomy.reading.add.shape == (9, *SHAPE)
    centre = anatomy.reading.start_mm + GRID_MM * (np.array(SHAPE[::-1]) - 1) / 2
    true = patient.volume.geometry.to_world(np.argwhere(patient.liver).mean(axis=0))
    assert np.abs(centre - true).max() < 4


def test_what_is_said_is_never_surer_than_the_surer_of_both(patient: Phantom, anatomy: LiverAnatomy) -> None:
    assert anatomy.reading is not None
    points = places(patient)
    own = anatomy.population.shares(points)
    again = anatomy.reading.read_again(0.98 * own + 0.02 / 9, points)
    said = anatomy.shares(points)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert (said.max(axis=1) <= np.maximum(own.max(axis=1), again.max(axis=1)) + 0.02).all()


def test_where_both_disagree_it_is_less_sure_than_either() -> None:
    grid = np.zeros((9, *SHAPE), np.float32)
    grid[6] = 3.0
    shares = np.full((1, 9), 0.01)
    shares[0, 5] = 0.8
    shares[0, 6] = 0.13
    again = Reading(grid, np.zeros(3)).read_again(shares, np.array([[20.0, 20.0, 20.0]]))
    assert again.argmax() == 6
    mixed = (shares + again) / 2
    assert mixed.max() < min(shares.max(), again.max())


def test_an_answer_lies_between_its_cells() -> None:
    grid = np.zeros((9, *SHAPE), np.float32)
    grid[0, :, :, 10] = np.log(4.0)
    reading = Reading(grid, np.array([100.0, 0.0, 0.0]))
    even = np.full((3, 9), 1 / 9)
    x = 100 + GRID_MM * np.array([10.0, 10.5, 12.0])
    first = reading.read_again(even, np.column_stack([x, np.full(3, 30.0), np.full(3, 30.0)]))[:, 0]
    np.testing.assert_allclose(first, [4 / 12, 2 / 10, 1 / 9], atol=1e-6)


def test_an_outline_alone_is_not_read(patient: Phantom) -> None:
    found = liver_anatomy(LiverMask(patient.liver, patient.volume.geometry, "truth", "1", 1.0))
    assert isinstance(found, LiverAnatomy)
    assert found.reading is None


def test_what_it_sees_does_not_change_with_the_level_of_the_liver() -> None:
    rng = np.random.default_rng(0)
    depth = np.full((12, 12, 12), -8.0, np.float32)
    depth[3:9, 3:9, 3:9] = 9.0
    hu = rng.normal(60, 5, depth.shape).astype(np.float32)
    tube = np.zeros((2, *depth.shape), np.float32)
    one, other = (channels(hu + shift, depth, tube, 60.0 + shift, middle(depth)) for shift in (0.0, 40.0))
    np.testing.assert_allclose(one, other, atol=1e-4)
