"""From foci to lesions: numbered by mass, mimics left alone, a lesion described from its foci together."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import add_ball, as_liver, as_volume, block_liver
from hepacalc.foci.find import FociResult, find_foci
from hepacalc.records import Calibration, Focus, Lesion, Measured, NotMeasured, Phase

PLAIN = Phase("non-contrast", 0.97, False, NotMeasured("not enhanced"), ())


def value(number: object) -> float:
    assert isinstance(number, Measured)
    return number.value


@pytest.fixture(scope="module")
def result() -> FociResult:
    """A large nodule, a pair that touches, a faint small one, and a clip."""
    hu, mask, geometry = block_liver(spacing=(1.5, 0.8, 0.8), seed=12)
    at = [(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)]
    for offset, diameter, delta in (
        ((0, -22, 0), 12, 500),
        ((0, 15, -10), 7, 500),
        ((0, 15, -1.6), 7, 400),
        ((10, 0, 25), 5, 300),
        ((-14, 0, 20), 5, 3500),
    ):
        add_ball(hu, geometry, np.add(at, offset), diameter, delta)
    volume = as_volume(np.clip(hu, -1024, 3071), geometry)
    return find_foci(
        volume, as_liver(mask, geometry), phase=PLAIN, calibration=Calibration(120.0, 0.8, 0.04, "exact"),
        liver_vessel_hu=NotMeasured("test"), smallest_trusted_mm=lambda _n, _f: Measured(3.0, "mm", 2.5, 3.5, "test"),
    )  # fmt: skip


def foci_of(result: FociResult, lesion: Lesion) -> list[Focus]:
    return [f for f in result.foci if f.id in lesion.focus_ids]


def test_ids_are_the_order_and_lesions_come_by_mass(result: FociResult) -> None:
    assert [f.id for f in result.foci] == list(range(1, len(result.foci) + 1))
    assert [n.id for n in result.lesions] == [1, 2, 3]
    masses = [value(n.mass_mg) for n in result.lesions]
    assert masses == sorted(masses, reverse=True)
    for lesion in result.lesions:
        assert [f.lesion for f in foci_of(result, lesion)] == [lesion.id] * len(lesion.focus_ids)


def test_metal_belongs_to_no_lesion_and_comes_last(result: FociResult) -> None:
    metal = [f for f in result.foci if f.kind == "metal"]
    assert len(metal) == 1
    assert metal[0].lesion is None
    assert metal[0].id > max(max(n.focus_ids) for n in result.lesions)
    assert result.burden.mimics == sum(f.lesion is None for f in result.foci)


def test_a_pair_that_touches_is_one_lesion_and_says_why(result: FociResult) -> None:
    pairs = [n for n in result.lesions if len(n.focus_ids) == 2]
    assert len(pairs) == 1
    pair, members = pairs[0], foci_of(result, pairs[0])
    assert any("within 3 mm" in r for r in pair.reasons)
    assert value(pair.mass_mg) == pytest.approx(sum(value(f.measurements["mass_mg"]) for f in members))
    assert value(pair.volume_mm3) == pytest.approx(sum(value(f.measurements["volume_mm3"]) for f in members))
    # from end to end: 7 + 8.4 mm, blurred a little
    assert value(pair.extent_mm) == pytest.approx(15.4, abs=1.5)
    assert value(pair.extent_mm) > max(value(f.measurements["diameter_mm"]) for f in members)
    low, high = np.min([f.centroid_mm for f in members], 0), np.max([f.centroid_mm for f in members], 0)
    assert ((pair.centroid_mm >= low - 1e-9) & (pair.centroid_mm <= high + 1e-9)).all()


def test_a_lesion_of_one_focus_is_that_focus(result: FociResult) -> None:
    single = result.lesions[0]
    focus = foci_of(result, single)[0]
    assert len(single.focus_ids) == 1
    assert single.pattern == focus.pattern
    assert single.extent_mm == focus.measurements["diameter_mm"]
    assert (single.kind, single.certainty) == (focus.kind, focus.certainty)
    np.testing.assert_allclose(single.centroid_mm, focus.centroid_mm)


def test_labels_and_burden_agree_with_the_foci(result: FociResult) -> None:
    assert set(np.unique(result.labels)) == {0, *(f.id for f in result.foci)}
    assert result.burden.calcifications == 3
    assert value(result.burden.total_mass_mg) == pytest.approx(sum(value(n.mass_mg) for n in result.lesions))
