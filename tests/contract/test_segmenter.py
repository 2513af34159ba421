"""What every segmenter must do, whoever wrote it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hepacalc.errors import MissingDependency, NoUsableLiver, SegmenterUnavailable
from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver import Segmenter, get_segmenter, segmenter_names
from hepacalc.phantom import Phantom, make_patient
from hepacalc.records import LiverMask, Volume

SIGNED_ORDERS = [
    (order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]
FEW_ORDERS = [SIGNED_ORDERS[i] for i in (5, 19, 42)]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_patient(11, spacing_mm=(5.0, 2.5, 2.5), foci=[])


@pytest.fixture(scope="module", params=segmenter_names())
def run(request: pytest.FixtureRequest, phantom: Phantom) -> tuple[Segmenter, LiverMask]:
    """A segmenter and what it made of the phantom."""
    made = get_segmenter(request.param)
    try:
        return made, made.segment(phantom.volume)
    except (MissingDependency, SegmenterUnavailable) as missing:
        pytest.skip(f"{request.param} cannot run here: {missing.message}")


@pytest.fixture(scope="module")
def segmenter(run: tuple[Segmenter, LiverMask]) -> Segmenter:
    return run[0]


@pytest.fixture(scope="module")
def found(run: tuple[Segmenter, LiverMask]) -> LiverMask:
    return run[1]


def turned(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[Volume, Reorientation]:
    """Return the same scan with its axes in another order and direction, and the way back."""
    turn = Reorientation(volume.geometry, (order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))
    return Volume(np.ascontiguousarray(turn.apply(volume.hu)), turn.geometry, volume.acquisition), turn


def test_follows_the_protocol(segmenter: Segmenter) -> None:
    assert isinstance(segmenter, Segmenter)
    assert segmenter.name in segmenter_names()
    assert segmenter.version


def test_mask_is_bool_on_the_grid_of_the_scan_and_finds_the_liver(
    segmenter: Segmenter, found: LiverMask, phantom: Phantom
) -> None:
    assert found.mask.dtype == bool
    assert found.mask.shape == phantom.volume.hu.shape
    assert found.geometry.same_grid(phantom.volume.geometry)
    assert found.method == segmenter.name
    assert found.version
    assert 0 < found.confidence <= 1
    dice = 2 * (found.mask & phantom.liver).sum() / (found.mask.sum() + phantom.liver.sum())
    assert dice > 0.75


def test_is_deterministic_and_leaves_the_scan_alone(segmenter: Segmenter, found: LiverMask, phantom: Phantom) -> None:
    before = phantom.volume.hu.copy()
    told: list[tuple[str, float]] = []
    again = segmenter.segment(phantom.volume, progress=lambda step, share: told.append((step, share)))
    np.testing.assert_array_equal(again.mask, found.mask)
    np.testing.assert_array_equal(phantom.volume.hu, before)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(step for step, _ in told)


@pytest.mark.parametrize(("order", "flips"), FEW_ORDERS)
def test_every_axis_order_gives_the_same_mask(
    segmenter: Segmenter, found: LiverMask, phantom: Phantom, order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    volume, turn = turned(phantom.volume, order, flips)
    other = segmenter.segment(volume)
    assert other.geometry.same_grid(volume.geometry)
    np.testing.assert_array_equal(turn.undo(other.mask), found.mask)


def test_empty_scan_is_refused(segmenter: Segmenter) -> None:
    affine = np.eye(4)[:, [2, 1, 0, 3]] * np.array([5, 2, 2, 1])
    empty = Volume(np.full((40, 96, 96), -1024, np.int16), Geometry((40, 96, 96), affine))
    with pytest.raises(NoUsableLiver) as raised:
        segmenter.segment(empty)
    assert raised.value.hint
