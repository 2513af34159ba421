"""Bodies of known shape."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hepacalc.errors import MeasurementError
from hepacalc.foci.shape import Body, describe_shape, fine_body
from hepacalc.phantom import build_shape
from hepacalc.phantom.shapes import Shape, deposit, sample

Spacing = tuple[float, float, float]
SPACINGS: list[Spacing] = [(0.7, 0.7, 0.7), (1.25, 0.8, 0.8), (2.5, 0.7, 0.7)]


def ball(diameter: float, wall: float | None = None) -> Shape:
    r = np.float32(diameter / 2)

    def distance(z, y, x):  # type: ignore[no-untyped-def]
        gap = np.sqrt(z**2 + y**2 + x**2) - r
        return gap if wall is None else np.maximum(gap, -gap - np.float32(wall))

    return Shape(distance, diameter / 2, wall or diameter)


def scanned(shape: Shape, spacing: Spacing, delta: float = 500.0) -> Body:
    occupancy = sample(shape)
    reach = shape.reach_mm + 12
    count = [int(2 * reach / d) + 1 for d in spacing]
    centre = np.array(count) * np.array(spacing) / 2 + 0.2
    found = deposit(
        occupancy, centre, shape=(count[0], count[1], count[2]), spacing_mm=spacing, width_mm=spacing,
        sigma_mm=(0.15 * spacing[0], 0.55, 0.55),
    )  # fmt: skip
    hu = np.zeros(count, np.float32)
    hu[found.box] = delta * found.share
    hu += np.random.default_rng(0).normal(0, 5, hu.shape).astype(np.float32)
    return fine_body(hu, hu > 0.5 * hu.max(), spacing)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("diameter", [8.0, 10.0, 16.0])
def test_ball(spacing: Spacing, diameter: float) -> None:
    shape = describe_shape(scanned(ball(diameter), spacing))
    tall = 0.5 * spacing[0]
    assert shape.diameter_mm == pytest.approx(diameter, abs=0.6 + tall)
    assert shape.diameter_3_mm == pytest.approx(diameter, abs=0.6 + tall)
    assert 0.94 <= shape.sphericity <= 1
    assert shape.elongation < 0.1
    assert shape.hollowness < 0.09
    assert shape.parts == 1
    # half height of a blurred ball lies a little inside its surface
    assert shape.volume_mm3 / (np.pi / 6 * diameter**3) == pytest.approx(0.93, abs=0.13)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_thin_shell_is_hollow(spacing: Spacing) -> None:
    shape = describe_shape(scanned(ball(30, wall=1.5), spacing))
    assert shape.hollowness > 0.55
    assert shape.sphericity < 0.5
    assert shape.diameter_mm == pytest.approx(30, abs=0.6 + spacing[0])
    assert shape.elongation < 0.08


def test_line_is_long() -> None:
    line = build_shape("linear vascular", 14, np.random.default_rng(2))
    shape = describe_shape(scanned(line, (1.0, 0.7, 0.7)))
    assert shape.elongation > 0.7
    assert shape.diameter_mm == pytest.approx(14, abs=1.2)
    assert shape.diameter_3_mm < 3.5
    assert shape.diameter_mm >= shape.diameter_2_mm >= shape.diameter_3_mm - 0.7


def solid(mask: np.ndarray) -> Body:
    return Body(mask, 0.5, (0.0, 0.0, 0.0), mask.astype(np.float32), mask)


def test_cube_has_the_sphericity_of_a_cube() -> None:
    mask = np.zeros((40, 40, 40), bool)
    mask[8:32, 8:32, 8:32] = True
    shape = describe_shape(solid(mask))
    # 13 directions see flat faces along the grid 10 % too small, the worst there is
    assert (np.pi / 6) ** (1 / 3) <= shape.sphericity <= 0.9
    assert shape.volume_mm3 == pytest.approx(12**3)
    assert shape.hollowness < 0.02
    assert shape.diameter_mm == pytest.approx(12 * 3**0.5, abs=0.7)


def test_two_parts_are_counted() -> None:
    hu = np.zeros((20, 40, 40), np.float32)
    hu[10, 10, 10] = hu[10, 30, 30] = 4000
    hu = ndimage.gaussian_filter(hu, 1.5)
    assert describe_shape(fine_body(hu, hu > 0.5 * hu.max(), (1.0, 1.0, 1.0))).parts == 2


def test_body_knows_where_it_lies() -> None:
    hu = np.zeros((20, 40, 40), np.float32)
    hu[8:13, 20:27, 14:17] = 300
    hu = ndimage.gaussian_filter(hu, 1.0)
    spacing = (2.0, 0.8, 0.9)
    body = fine_body(hu, hu > 150, spacing)
    centre = np.argwhere(body.mask).mean(axis=0) * body.step_mm + body.origin_mm
    assert centre == pytest.approx(np.array([10, 23, 15]) * spacing, abs=0.15)


def test_one_voxel_and_one_slice_have_a_shape() -> None:
    hu = np.zeros((1, 9, 9), np.float32)
    hu[0, 4, 4] = 200
    shape = describe_shape(fine_body(hu, hu > 100, (5.0, 0.8, 0.8)))
    assert shape.parts == 1
    assert 0 < shape.diameter_mm < 6
    assert 0 < shape.sphericity <= 1


def test_large_body_stays_within_its_budget() -> None:
    body = scanned(ball(60, wall=2), (2.5, 0.8, 0.8))
    assert body.mask.size < 200_000
    assert describe_shape(body).diameter_mm == pytest.approx(60, abs=2.5)


def test_empty_region_is_refused() -> None:
    with pytest.raises(MeasurementError, match="0 voxels"):
        fine_body(np.zeros((5, 5, 5), np.float32), np.zeros((5, 5, 5), bool), (1.0, 1.0, 1.0))
