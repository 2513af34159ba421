"""Segments of the liver: from its vessels where they show, from its shape where not, and always with honest doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver import detect_phase
from hepacalc.liver.couinaud import SEGMENTS, LiverAnatomy, hilum_mm, liver_anatomy, lobe_of, segment_of
from hepacalc.liver.coverage import liver_coverage
from hepacalc.phantom.patient import Phantom, Scene, draw_scene, scan
from hepacalc.phantom.segments import SegmentTruth
from hepacalc.records import LiverMask, Measured, NotMeasured, Segment, Volume

SPACING = (4.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(31, phase="portal", foci=[], mimics=(), varied=True)


@pytest.fixture(scope="module")
def patient(scene: Scene) -> Phantom:
    return scan(scene, spacing_mm=SPACING)


@pytest.fixture(scope="module")
def truth(scene: Scene) -> SegmentTruth:
    assert scene.anatomy.segments is not None
    return scene.anatomy.segments


@pytest.fixture(scope="module")
def liver(patient: Phantom) -> LiverMask:
    return LiverMask(patient.liver, patient.volume.geometry, "truth", "1", 1.0)


@pytest.fixture(scope="module")
def anatomy(patient: Phantom, liver: LiverMask) -> LiverAnatomy:
    return known(liver_anatomy(liver, patient.volume, detect_phase(patient.volume, liver)))


@pytest.fixture(scope="module")
def by_shape(liver: LiverMask) -> LiverAnatomy:
    return known(liver_anatomy(liver))


def known(found: LiverAnatomy | NotMeasured) -> LiverAnatomy:
    assert isinstance(found, LiverAnatomy)
    return found


def inner_points(liver: LiverMask, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(3)
    index = np.argwhere(liver.mask)
    return liver.geometry.to_world(index[rng.choice(len(index), count, replace=False)])


def surest(found: list[Segment | NotMeasured]) -> np.ndarray:
    return np.array([s.probabilities[0][1] for s in found if isinstance(s, Segment)])


def test_probabilities_are_a_distribution_and_never_certain(anatomy: LiverAnatomy, liver: LiverMask) -> None:
    for found in anatomy.segments(inner_points(liver)):
        assert isinstance(found, Segment)
        names, shares = zip(*found.probabilities, strict=True)
        assert sorted(names) == sorted(SEGMENTS)
        assert sum(shares) == pytest.approx(1)
        assert list(shares) == sorted(shares, reverse=True)
        assert 0 < min(shares) < max(shares) < 1


def test_enhanced_veins_are_followed(anatomy: LiverAnatomy, liver: LiverMask, truth: SegmentTruth) -> None:
    points = inner_points(liver)
    right = np.array([f.dominant for f in anatomy.segments(points) if isinstance(f, Segment)]) == truth.at(points)
    assert right.mean() > 0.75
    assert right[truth.margin_mm(points) >= 10].mean() > 0.88
    assert "hepatic vein" in anatomy.basis
    assert anatomy.basis.endswith("seen")


def test_without_a_scan_the_doubt_is_wider_and_said(
    anatomy: LiverAnatomy, by_shape: LiverAnatomy, liver: LiverMask
) -> None:
    points = inner_points(liver)
    assert surest(by_shape.segments(points)).mean() < surest(anatomy.segments(points)).mean() - 0.05
    assert by_shape.basis == "shape of the outline only"
    assert all(isinstance(d, NotMeasured) for d in by_shape.vessel_distances(points))


def test_a_scan_of_noise_gives_no_more_than_the_outline(
    by_shape: LiverAnatomy, liver: LiverMask, patient: Phantom
) -> None:
    hu = np.random.default_rng(1).normal(60, 12, patient.volume.hu.shape).astype(np.int16)
    blank = known(liver_anatomy(liver, replace(patient.volume, hu=hu)))
    points = inner_points(liver)
    assert surest(blank.segments(points)).mean() < surest(by_shape.segments(points)).mean() + 0.08
    assert not blank.basis.startswith("hepatic veins seen")


def test_extreme_points_lie_in_the_segments_they_must(by_shape: LiverAnatomy, liver: LiverMask) -> None:
    place = inner_points(liver, 3000)
    x, y, z = place.T
    names = np.array([s.dominant for s in by_shape.segments(place) if isinstance(s, Segment)])
    lobes = np.array([lobe_of(s).dominant for s in by_shape.segments(place) if isinstance(s, Segment)])
    assert set(lobes[x > np.quantile(x, 0.97)]) == {"left"}
    assert set(lobes[x < np.quantile(x, 0.03)]) == {"right"}
    lateral = x < np.quantile(x, 0.35)
    low, high = lateral & (z < np.quantile(z, 0.1)), lateral & (z > np.quantile(z, 0.8))
    assert set(names[low]) <= {"V", "VI"}
    assert set(names[high & (y > np.quantile(y, 0.85))]) <= {"VII"}


@settings(max_examples=3, deadline=None)
@given(axes=st.permutations((0, 1, 2)), flips=st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_axis_order_does_not_matter(
    anatomy: LiverAnatomy, liver: LiverMask, patient: Phantom, axes: list[int], flips: tuple[bool, bool, bool]
) -> None:
    points = inner_points(liver, 40)
    turn = Reorientation(liver.geometry, (axes[0], axes[1], axes[2]), flips)
    mask = LiverMask(turn.apply(liver.mask), turn.geometry, "truth", "1", 1.0)
    volume = Volume(turn.apply(patient.volume.hu), turn.geometry, patient.volume.acquisition)
    turned = known(liver_anatomy(mask, volume, detect_phase(patient.volume, liver)))
    assert turned.basis == anatomy.basis
    for one, other in zip(anatomy.segments(points), turned.segments(points), strict=True):
        assert isinstance(one, Segment)
        assert isinstance(other, Segment)
        assert dict(other.probabilities) == pytest.approx(dict(one.probabilities), abs=1e-6)


def test_a_mirrored_body_is_read_as_in_a_mirror(anatomy: LiverAnatomy, liver: LiverMask, patient: Phantom) -> None:
    def mirrored(geometry: Geometry) -> Geometry:
        return Geometry(geometry.shape, np.diag([-1.0, 1, 1, 1]) @ geometry.affine)

    mask = replace(liver, geometry=mirrored(liver.geometry))
    volume = replace(patient.volume, geometry=mirrored(patient.volume.geometry))
    found = known(liver_anatomy(mask, volume, detect_phase(patient.volume, liver)))
    assert found.is_mirrored
    assert not anatomy.is_mirrored
    assert "situs inversus?" in found.basis
    points = inner_points(liver, 30)
    for one, other in zip(anatomy.segments(points), found.segments(points * [-1, 1, 1]), strict=True):
        assert isinstance(one, Segment)
        assert isinstance(other, Segment)
        assert other.probabilities == one.probabilities
    np.testing.assert_allclose(np.multiply(found.hilum.position_mm, [-1, 1, 1]), anatomy.hilum.position_mm, atol=1e-6)


def test_the_answer_repeats(anatomy: LiverAnatomy, liver: LiverMask, patient: Phantom) -> None:
    again = known(liver_anatomy(liver, patient.volume, detect_phase(patient.volume, liver)))
    points = inner_points(liver, 20)
    assert again.segments(points) == anatomy.segments(points)


def test_point_outside_the_liver(anatomy: LiverAnatomy, liver: LiverMask) -> None:
    found = anatomy.segments(inner_points(liver, 1) + np.array([[0, 0, 400.0]]))[0]
    assert isinstance(found, NotMeasured)
    assert "outside the liver" in found.reason


def cut(liver: LiverMask, low: float, high: float) -> LiverMask:
    levels = np.flatnonzero(liver.mask.any(axis=(1, 2)))
    height = levels[-1] + 1 - levels[0]
    box = (slice(int(levels[0] + low * height), int(levels[0] + high * height)), slice(None), slice(None))
    return LiverMask(liver.mask[box], liver.geometry.crop(box), "truth", "1", 1.0)


@pytest.mark.parametrize(("low", "high"), [(0.65, 1.0), (0.4, 0.6)])
def test_a_piece_of_liver_has_no_segments(liver: LiverMask, low: float, high: float) -> None:
    part = cut(liver, low, high)
    assert all(isinstance(s, NotMeasured) for s in segment_of(inner_points(part, 5), part))
    assert isinstance(hilum_mm(part), NotMeasured)


def test_a_liver_cut_at_its_top_is_told_with_more_doubt(by_shape: LiverAnatomy, liver: LiverMask) -> None:
    lower = cut(liver, 0.0, 0.9)
    assert not liver_coverage(lower).is_complete
    points = inner_points(lower, 200)
    assert surest(segment_of(points, lower)).mean() < surest(by_shape.segments(points)).mean() + 0.03


def test_small_piece_and_empty_mask() -> None:
    affine = np.eye(4)[:, [2, 1, 0, 3]] * np.array([2.0, 2, 2, 1])
    grid = Geometry((40, 40, 40), affine)
    mask = np.zeros(grid.shape, bool)
    assert isinstance(segment_of([[10, 10, 10]], LiverMask(mask, grid, "", "", 1.0))[0], NotMeasured)
    mask[10:20, 10:20, 10:20] = True
    found = segment_of([[30, 30, 30]], LiverMask(mask, grid, "", "", 1.0))[0]
    assert isinstance(found, NotMeasured)
    assert "8 mL" in found.reason


def test_hilum_lies_where_the_portal_vein_parts(anatomy: LiverAnatomy, truth: SegmentTruth) -> None:
    found = anatomy.hilum
    assert np.linalg.norm(np.subtract(found.position_mm, truth.fork_mm)) < 25
    assert 4 <= found.sd_mm < 15


def test_distances_have_intervals_that_grow_with_doubt(
    anatomy: LiverAnatomy, by_shape: LiverAnatomy, liver: LiverMask
) -> None:
    points = inner_points(liver, 50)
    widths = []
    for one in (anatomy, by_shape):
        found = one.hilum_distances(points)
        assert all(isinstance(m, Measured) and 0 <= m.low <= m.value <= m.high for m in found)
        widths.append(np.mean([m.high - m.low for m in found if isinstance(m, Measured)]))
    assert widths[0] < widths[1]
    vessels = anatomy.vessel_distances(points)
    assert all(isinstance(m, Measured) and m.low <= m.value <= m.high for m in vessels)
    on_line = anatomy.vessel_distances([anatomy.population.points["right mid"].mean(axis=0)])[0]
    assert isinstance(on_line, Measured)
    assert on_line.low == 0
    assert "right hepatic vein" in on_line.method


@pytest.mark.parametrize(("low", "high", "side"), [(0.15, 1.0, "bottom"), (0.3, 1.0, "bottom"), (0.0, 0.88, "top")])
def test_missing_volume_is_within_a_factor_of_three(liver: LiverMask, low: float, high: float, side: str) -> None:
    part = cut(liver, low, high)
    missing_ml = (liver.mask.sum() - part.mask.sum()) * liver.geometry.voxel_mm3 / 1000
    found = liver_coverage(part)
    assert found.cuts[0].side == side
    assert missing_ml / 3 < found.cuts[0].missing_ml < missing_ml * 3


def test_cut_at_the_side(liver: LiverMask) -> None:
    columns = np.flatnonzero(liver.mask.any(axis=(0, 1)))
    middle = int(columns[0] + 0.2 * (columns[-1] - columns[0]))
    box = (slice(None), slice(None), slice(middle, None))
    part = LiverMask(liver.mask[box], liver.geometry.crop(box), "truth", "1", 1.0)
    sides = {c.side for c in liver_coverage(part).cuts}
    assert "right" in sides
