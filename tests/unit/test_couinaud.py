"""Segments from the shape of the liver: order of the parts, honest doubt."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver.couinaud import SEGMENTS, Landmark, hilum_mm, lobe_of, segment_of
from hepacalc.liver.coverage import liver_coverage
from hepacalc.phantom import make_patient
from hepacalc.records import LiverMask, NotMeasured, Segment


@pytest.fixture(scope="module")
def liver() -> LiverMask:
    phantom = make_patient(31, spacing_mm=(4.0, 2.5, 2.5), foci=[], z_range_mm=(-255.0, 45.0))
    return LiverMask(phantom.liver, phantom.volume.geometry, "truth", "1", 1.0)


def inner_points(liver: LiverMask, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(3)
    index = np.argwhere(liver.mask)
    return liver.geometry.to_world(index[rng.choice(len(index), count, replace=False)])


def found_at(point: np.ndarray, liver: LiverMask) -> Segment:
    found = segment_of(point, liver)[0]
    assert isinstance(found, Segment)
    return found


def test_probabilities_are_a_distribution_and_never_sure(liver: LiverMask) -> None:
    for found in segment_of(inner_points(liver), liver):
        assert isinstance(found, Segment)
        names, shares = zip(*found.probabilities, strict=True)
        assert sorted(names) == sorted(SEGMENTS)
        assert sum(shares) == pytest.approx(1)
        assert list(shares) == sorted(shares, reverse=True)
        assert shares[0] <= 0.8
        assert min(shares) > 0


def test_shares_of_volume_are_those_of_a_liver(liver: LiverMask) -> None:
    total = dict.fromkeys(SEGMENTS, 0.0)
    found = segment_of(inner_points(liver, 1500), liver)
    for one in found:
        assert isinstance(one, Segment)
        for name, share in one.probabilities:
            total[name] += share / len(found)
    right = sum(total[s] for s in ("V", "VI", "VII", "VIII"))
    assert 0.52 < right < 0.75
    assert 0.01 < total["I"] < 0.08
    assert all(0.02 < total[s] < 0.32 for s in SEGMENTS if s != "I")


def test_extreme_points_lie_in_the_segments_they_must(liver: LiverMask) -> None:
    place = inner_points(liver, 3000)
    x, _, z = place.T
    middle_z = np.median(z)
    lobes = {
        "left": place[np.argmax(x)],
        "right": place[np.argmin(x)],
    }
    for lobe, point in lobes.items():
        assert lobe_of(found_at(point, liver)).dominant == lobe
    right = place[x < np.quantile(x, 0.35)]
    low, high = right[right[:, 2] < middle_z - 25], right[right[:, 2] > middle_z + 15]
    assert found_at(low[np.argmax(low[:, 1])], liver).dominant == "VI"
    assert found_at(low[np.argmin(low[:, 1])], liver).dominant in {"V", "IVb"}
    assert found_at(high[np.argmax(high[:, 1])], liver).dominant == "VII"
    assert found_at(place[np.argmax(x)], liver).dominant in {"II", "III"}


def test_axis_order_does_not_matter(liver: LiverMask) -> None:
    points = inner_points(liver, 40)
    expected = segment_of(points, liver)
    turn = Reorientation(liver.geometry, (2, 0, 1), (True, True, False))
    turned = LiverMask(turn.apply(liver.mask), turn.geometry, "truth", "1", 1.0)
    for one, other in zip(expected, segment_of(points, turned), strict=True):
        assert isinstance(one, Segment)
        assert isinstance(other, Segment)
        assert dict(other.probabilities) == pytest.approx(dict(one.probabilities), abs=0.02)


def test_point_outside_the_liver(liver: LiverMask) -> None:
    far = inner_points(liver, 1) + np.array([[0, 0, 400.0]])
    found = segment_of(far, liver)[0]
    assert isinstance(found, NotMeasured)
    assert "outside the liver" in found.reason


def cut(liver: LiverMask, low: float, high: float) -> LiverMask:
    levels = np.flatnonzero(liver.mask.any(axis=(1, 2)))
    height = levels[-1] + 1 - levels[0]
    box = (slice(int(levels[0] + low * height), int(levels[0] + high * height)), slice(None), slice(None))
    return LiverMask(liver.mask[box], liver.geometry.crop(box), "truth", "1", 1.0)


def test_cut_liver_is_wider_or_not_told(liver: LiverMask) -> None:
    for low, high in ((0.65, 1.0), (0.4, 0.6)):
        part = cut(liver, low, high)
        assert all(isinstance(s, NotMeasured) for s in segment_of(inner_points(part, 5), part))
        assert isinstance(hilum_mm(part), NotMeasured)
    slightly = cut(liver, 0.08, 1.0)
    assert not liver_coverage(slightly).is_complete
    points = inner_points(slightly, 200)

    def doubt(mask: LiverMask) -> float:
        return float(np.mean([s.probabilities[0][1] for s in segment_of(points, mask) if isinstance(s, Segment)]))

    assert doubt(slightly) < doubt(liver)


def test_small_piece_and_empty_mask() -> None:
    affine = np.eye(4)[:, [2, 1, 0, 3]] * np.array([2.0, 2, 2, 1])
    grid = Geometry((40, 40, 40), affine)
    mask = np.zeros(grid.shape, bool)
    assert isinstance(segment_of([[10, 10, 10]], LiverMask(mask, grid, "", "", 1.0))[0], NotMeasured)
    mask[10:20, 10:20, 10:20] = True
    found = segment_of([[30, 30, 30]], LiverMask(mask, grid, "", "", 1.0))[0]
    assert isinstance(found, NotMeasured)
    assert "8 mL" in found.reason


def test_hilum_lies_between_the_lobes_at_the_surface(liver: LiverMask) -> None:
    found = hilum_mm(liver)
    assert isinstance(found, Landmark)
    index = np.rint(liver.geometry.to_index(found.position_mm)).astype(int)
    near = liver.mask[tuple(slice(max(i - 12, 0), i + 13) for i in index)]
    assert near.any()
    place = liver.geometry.to_world(np.argwhere(liver.mask))
    low, high = np.quantile(place, [0.1, 0.9], axis=0)
    assert np.all(found.position_mm > low - 10)
    assert np.all(found.position_mm < high + 10)


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
