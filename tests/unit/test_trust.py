"""What the segmenter says of its own contour: warnings, probability, interval of the volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hepacalc.geometry import Geometry
from hepacalc.liver.refine import Refined
from hepacalc.liver.trust import (
    LARGER,
    Witness,
    liver_volume,
    other_parts_ml,
    resized,
    same_when_larger,
    trust,
    voxel_probability,
)
from hepacalc.records import LiverMask, LiverProbability

N = 40
STEADY = Witness(0.98, 0.0, 1400.0)


def ball(radius: float, off: float = 0.0) -> np.ndarray:
    mesh = np.indices((N, N, N)) - (N - 1) / 2
    mesh[2] -= off
    return (mesh**2).sum(0) < radius**2


def scene() -> tuple[np.ndarray, np.ndarray, Refined]:
    mask = ball(13)
    hu = np.where(mask, 55.0, -90.0).astype(np.float32)
    probability = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    return hu, probability, Refined(mask, False, 1.0, 1.2, probability)


def told(witness: Witness = STEADY, **changes: object) -> tuple[float, tuple[str, ...]]:
    hu, probability, refined = scene()
    values = {name: getattr(refined, name) for name in ("mask", "fell_back", "volume_ratio", "contrast", "field")}
    return trust(Refined(**{**values, **changes}), hu, probability, witness)


def test_a_clear_liver_has_no_warning() -> None:
    confidence, warnings = told()
    assert confidence > 0.85
    assert warnings == ()


@pytest.mark.parametrize(
    ("witness", "changes", "word"),
    [
        (Witness(0.7, 0.0, 1400.0), {}, "a tenth larger"),
        (Witness(0.98, 400.0, 1400.0), {}, "another part of 400 mL"),
        (Witness(0.98, 0.0, 1400.0, is_mirrored=True), {}, "left and right"),
        (STEADY, {"fell_back": True, "volume_ratio": 1.3}, "+30%"),
        (STEADY, {"contrast": 0.02}, "nearly the same HU"),
    ],
)
def test_each_doubt_is_told_and_costs_confidence(witness: Witness, changes: dict[str, object], word: str) -> None:
    confidence, warnings = told(witness, **changes)
    assert any(word in w and "check the contour" in w for w in warnings)
    assert confidence < told()[0] - 0.05


def test_the_same_answer_of_the_larger_scan_is_steady_and_another_is_not() -> None:
    mask = ball(13)
    larger = resized(mask.astype(np.float32), LARGER)
    assert larger.sum() == pytest.approx(LARGER**3 * mask.sum(), rel=0.03)
    assert same_when_larger(mask, larger) > 0.95
    assert same_when_larger(mask, resized(ball(13, 7.0).astype(np.float32), LARGER)) < 0.75
    assert same_when_larger(mask, np.zeros_like(larger)) == 0


def test_other_parts_are_measured() -> None:
    probability = (ball(6, -10) | ball(4, 10)).astype(np.float32)
    start = ball(6, -10)
    assert other_parts_ml(probability, start, 0.064) == pytest.approx(0.064 * ball(4, 10).sum())
    assert other_parts_ml(start.astype(np.float32), start, 0.064) == 0


def liver(mask: np.ndarray, values: np.ndarray | None) -> LiverMask:
    geometry = Geometry(mask.shape, np.diag([2.0, 2.0, 2.0, 1.0])[:, [2, 1, 0, 3]])
    kept = None if values is None else LiverProbability(values, geometry)
    return LiverMask(mask, geometry, "embedded", "1", 0.9, (), kept)


def test_probability_lies_on_the_side_of_the_mask() -> None:
    _, probability, refined = scene()
    for edge in (refined, Refined(refined.mask, True, 1.3, 1.2)):
        values = voxel_probability(edge, probability)
        np.testing.assert_array_equal(values > 127.5, refined.mask)


@settings(deadline=None, max_examples=30)
@given(sure=st.floats(3, 12), more=st.floats(0, 3), perhaps=st.floats(0, 3))
def test_the_interval_holds_the_volume_and_widens_with_doubt(sure: float, more: float, perhaps: float) -> None:
    mask = ball(sure + more)
    values = np.select([ball(sure), mask, ball(sure + more + perhaps)], [250, 140, 100], 0).astype(np.uint8)
    volume = liver_volume(liver(mask, values))
    assert volume.low < volume.value < volume.high
    assert volume.value == pytest.approx(mask.sum() * 0.008)
    assert volume.low <= min(ball(sure).sum() * 0.008, 0.97 * volume.value) + 1e-9
    assert volume.high >= max(ball(sure + more + perhaps).sum() * 0.008, 1.03 * volume.value) - 1e-9


def test_without_probabilities_the_confidence_makes_the_interval() -> None:
    volume = liver_volume(liver(ball(10), None))
    assert volume.high / volume.value - 1 == pytest.approx(0.065)
