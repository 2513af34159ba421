"""The depth below the liver's surface, and the plaque of the capsule that is known by it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import as_liver, as_volume, block_liver, grid
from hepacalc.foci.depth import REACH_MM, depth_on_body
from hepacalc.foci.find import FociResult, find_foci
from hepacalc.foci.pattern import classify_pattern
from hepacalc.foci.scene import Scene, look_at
from hepacalc.foci.shape import Body, fine_body
from hepacalc.records import Calibration, LiverMask, Measured, NotMeasured, Pattern, Phase, Volume

PLAIN = Phase("non-contrast", 0.97, False, NotMeasured("not enhanced"), ())


def slab(spacing: tuple[float, float, float], *, axis: int = 2, thick_mm: float = 60.0) -> Scene:
    """A slab of liver with flat faces at right angles to ``axis``; it reaches both ends of the scan otherwise."""
    shape = [round(90 / d) for d in spacing]
    index = np.indices(shape)[axis]
    mask = index < round(thick_mm / spacing[axis])
    rng = np.random.default_rng(0)
    hu = np.where(mask, 55.0, -80.0) + rng.normal(0, 5, shape)
    geometry = grid((shape[0], shape[1], shape[2]), spacing)
    return look_at(as_volume(hu, geometry), as_liver(mask, geometry), 0.7)


def cube(scene: Scene, centre: tuple[int, int, int], half: int = 2) -> tuple[Body, tuple[int, int, int]]:
    """A bright cube as a body, and where the array lies that it was made from."""
    region = np.zeros((2 * half + 5,) * 3, bool)
    region[2:-2, 2:-2, 2:-2] = True
    above = ndimage.gaussian_filter(region * 400.0, 0.5).astype(np.float32)
    start = (centre[0] - half - 2, centre[1] - half - 2, centre[2] - half - 2)
    return fine_body(above, region, scene.spacing_mm), start


@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (2.5, 0.8, 0.8), (5.0, 1.5, 1.5)])
@pytest.mark.parametrize("axis", [1, 2])
def test_depth_below_a_flat_face(spacing: tuple[float, float, float], axis: int) -> None:
    scene = slab(spacing, axis=axis)
    faces = int(np.flatnonzero(scene.liver.any(axis=tuple({0, 1, 2} - {axis})))[-1])
    surface_mm = (faces + 0.5) * spacing[axis]
    for below_mm in (6.0, 12.0):
        centre = [n // 2 for n in scene.hu.shape]
        centre[axis] = round((surface_mm - below_mm) / spacing[axis])
        body, start = cube(scene, (centre[0], centre[1], centre[2]))
        depth = depth_on_body(scene, body, start)
        assert depth.shape == body.mask.shape
        assert depth.dtype == np.float32
        index = np.argwhere(body.mask)
        along = (start[axis]) * spacing[axis] + body.origin_mm[axis] + index[:, axis] * body.step_mm
        # the surface is known to a voxel of the grid on which it is looked at
        np.testing.assert_allclose(depth[body.mask], surface_mm - along, atol=max(1.4, 0.75 * spacing[axis]))


def test_what_lies_deep_is_given_the_reach_and_outside_is_zero() -> None:
    scene = slab((2.5, 0.8, 0.8), thick_mm=70.0)
    body, start = cube(scene, (18, 56, 20))
    assert (depth_on_body(scene, body, start)[body.mask] == REACH_MM).all()
    outside, where = cube(scene, (18, 56, 100))
    assert (depth_on_body(scene, outside, where)[outside.mask] == 0).all()


def test_the_end_of_the_scan_is_no_surface() -> None:
    scene = slab((2.5, 0.8, 0.8))
    body, start = cube(scene, (2, 56, 20))
    assert depth_on_body(scene, body, start)[body.mask].min() > 10


def plate(*, depth_mm: float, pieces: int = 1) -> tuple[Volume, LiverMask]:
    """An ellipsoid of liver with a plate 2 mm thick that follows its surface, in pieces 1.6 mm apart."""
    spacing = (1.5, 0.8, 0.8)
    hu, mask, geometry = block_liver(spacing=spacing, noise=6.0, seed=4, extent_mm=(90.0, 90.0, 100.0))
    inner = ndimage.distance_transform_edt(mask, sampling=spacing)
    mesh = [(i - (n - 1) / 2) * d for i, n, d in zip(np.indices(mask.shape), mask.shape, spacing, strict=True)]
    sheet = (inner > depth_mm) & (inner < depth_mm + 2.0) & (mesh[2] > 0)
    sheet &= (np.abs(mesh[0]) < 12) & (np.abs(mesh[1]) < 12)
    if pieces > 1:
        sheet &= np.abs(mesh[1]) > 0.9
    hu += ndimage.gaussian_filter(sheet * 700.0, [0.5, 0.8, 0.8]).astype(np.float32)
    return as_volume(hu, geometry), as_liver(mask, geometry)


def run(volume: Volume, liver: LiverMask) -> FociResult:
    return find_foci(
        volume, liver, phase=PLAIN, calibration=Calibration(120.0, 0.8, 0.0, "exact"),
        liver_vessel_hu=NotMeasured("test"), smallest_trusted_mm=lambda _n, _f: Measured(3.0, "mm", 2.5, 3.5, "test"),
    )  # fmt: skip


def chance(pattern: Pattern | NotMeasured, name: str) -> float:
    assert isinstance(pattern, Pattern)
    return dict(pattern.probabilities)[name]


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_plate_at_the_surface_is_a_capsular_plaque_and_a_deep_one_is_not(pieces: int) -> None:
    found = []
    for depth_mm in (0.0, 22.0):
        result = run(*plate(depth_mm=depth_mm, pieces=pieces))
        assert len(result.lesions) == 1
        lesion = result.lesions[0]
        assert len(lesion.focus_ids) == pieces
        found.append(chance(lesion.pattern, "capsular plaque"))
    assert found[0] > 0.7
    assert found[1] < 0.5 * found[0]


def test_the_pattern_of_one_body_turns_on_its_depth() -> None:
    scene = slab((1.5, 0.8, 0.8))
    region = np.zeros((16, 30, 10), bool)
    region[3:13, 3:27, 3:6] = True
    body = fine_body(ndimage.gaussian_filter(region * 600.0, [0.4, 0.7, 0.7]).astype(np.float32), region,
                     scene.spacing_mm)  # fmt: skip
    at_skin = depth_on_body(scene, body, (20, 40, 69))
    deep = depth_on_body(scene, body, (20, 40, 25))
    doubts = [
        1 - chance(classify_pattern(body, depth_mm=d, thickness_mm=1.5), "capsular plaque") for d in (at_skin, deep)
    ]
    assert doubts[0] < 0.1 * doubts[1]
