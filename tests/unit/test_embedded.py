"""The segmenter that comes with the package, on small digital patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import NoUsableLiver
from hepacalc.geometry import Geometry
from hepacalc.liver import embedded, liver_volume
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.liver.refine import Refined, refine
from hepacalc.phantom import FocusSpec, Phantom, make_body, make_patient
from hepacalc.records import LiverMask, Volume

SIZE = (5.0, 2.5, 2.5)


@pytest.fixture(scope="module")
def patient() -> Phantom:
    return make_patient(21, spacing_mm=SIZE, foci=[FocusSpec("nodular solid", 14, 700)], mimics=())


@pytest.fixture(scope="module")
def clear(patient: Phantom) -> LiverMask:
    return EmbeddedSegmenter().segment(patient.volume)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_patient(22, spacing_mm=SIZE, phase="portal venous", foci=[]),
        lambda: make_patient(23, spacing_mm=SIZE, liver="fatty", foci=[]),
        lambda: make_patient(24, spacing_mm=SIZE, liver="iron", foci=[], noise_hu=20),
        lambda: make_patient(25, spacing_mm=SIZE, foci=[], cut_top_mm=40.0),
    ],
    ids=["portal", "fatty", "iron, noisy", "cut at the top"],
)
def test_the_known_liver_is_found(make: Callable[[], Phantom]) -> None:
    made = make()
    found = EmbeddedSegmenter().segment(made.volume)
    assert overlap(found.mask, made.liver) > 0.9
    assert found.mask.sum() == pytest.approx(made.liver.sum(), rel=0.12)
    assert 0.3 < found.confidence < 1


def test_thick_slices_do_not_make_the_liver_small() -> None:
    thin = make_patient(26, spacing_mm=(2.0, 2.5, 2.5), phase="portal venous", foci=[])
    count, n = 4, thin.liver.shape[0] // 4
    hu = thin.volume.hu[: n * count].reshape(n, count, *thin.liver.shape[1:]).mean(1)
    true = thin.liver[: n * count].reshape(n, count, *thin.liver.shape[1:]).mean(1) >= 0.5
    affine = thin.volume.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (count - 1) / 2
    affine[:3, 0] *= count
    thick = replace(thin.volume, hu=hu.astype(np.int16), geometry=Geometry(hu.shape, affine))
    found = EmbeddedSegmenter().segment(thick).mask
    assert found.sum() / true.sum() > 0.93  # 0.921 where the edge is cut in the middle


def test_calcium_lies_inside(patient: Phantom, clear: LiverMask) -> None:
    assert clear.mask[patient.labels > 0].mean() > 0.98


@pytest.mark.parametrize("seed", [41, 43])
def test_large_calcifications_do_not_cost_liver(seed: int) -> None:
    """The network alone leaves holes and wedges around these."""
    foci = [FocusSpec("nodular solid", 20, 900), FocusSpec("rim complete", 30, 600), FocusSpec("septal", 45, 500)]
    made = make_patient(seed, spacing_mm=SIZE, foci=foci, mimics=())
    found = EmbeddedSegmenter().segment(made.volume)
    assert overlap(found.mask, made.liver) > 0.94
    for focus in made.truth.foci:
        assert found.mask[made.labels == focus.id].mean() > 0.9, focus


def filled(patient: Phantom, make: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Volume:
    hu = make(np.random.default_rng(0), patient.volume.hu.shape)
    return replace(patient.volume, hu=hu.astype(np.int16))


@pytest.mark.parametrize(
    "make",
    [
        lambda _rng, shape: np.full(shape, -1000),
        lambda _rng, shape: np.full(shape, 60),
        lambda rng, shape: rng.normal(0, 10, shape),
        lambda rng, shape: rng.normal(50, 300, shape),
        lambda rng, shape: rng.normal(-1000, 15, shape),
        lambda rng, shape: np.where(np.indices(shape)[0] % 2, 300, -300) + rng.normal(0, 5, shape),
    ],
    ids=["air", "one value", "water", "noise", "noisy air", "stripes"],
)
def test_what_is_no_patient_is_refused(patient: Phantom, make: Callable[..., np.ndarray]) -> None:
    with pytest.raises(NoUsableLiver) as raised:
        EmbeddedSegmenter().segment(filled(patient, make))
    assert raised.value.hint


def test_a_water_phantom_is_refused(patient: Phantom) -> None:
    z, y, x = np.indices(patient.volume.hu.shape)
    middle = [(n - 1) / 2 for n in patient.volume.hu.shape]
    inside = np.hypot((y - middle[1]) * 2.5, (x - middle[2]) * 2.5) < 110
    rng = np.random.default_rng(0)
    hu = np.where(inside, 0, -1000) + rng.normal(0, 8, inside.shape)
    with pytest.raises(NoUsableLiver):
        EmbeddedSegmenter().segment(replace(patient.volume, hu=hu.astype(np.int16)))
    assert z.shape == inside.shape


def test_legs_are_refused(patient: Phantom) -> None:
    _, y, x = np.indices(patient.volume.hu.shape)
    away = [np.hypot((y - 80) * 2.5, (x - 80) * 2.5 - side * 95) for side in (-1, 1)]
    near = np.minimum(*away)
    hu = np.select([near < 9, near < 15, near < 68, near < 85], [60.0, 1100.0, 55.0, -100.0], -1000.0)
    hu += np.random.default_rng(0).normal(0, 8, hu.shape)
    with pytest.raises(NoUsableLiver):
        EmbeddedSegmenter().segment(replace(patient.volume, hu=hu.astype(np.int16)))


def test_a_mirrored_body_is_found_and_told() -> None:
    made = make_body("situs inversus", 21, spacing_mm=SIZE)
    found = EmbeddedSegmenter().segment(made.volume)
    assert overlap(found.mask, made.liver) > 0.9
    assert any("situs inversus" in w for w in found.warnings)


def test_the_probability_lies_where_the_mask_does(patient: Phantom, clear: LiverMask) -> None:
    kept = clear.probability
    assert kept is not None
    assert kept.values.nbytes < 12e6
    at = np.argwhere(kept.values > 204)
    index = np.round(patient.volume.geometry.to_index(kept.geometry.to_world(at))).astype(int)
    assert clear.mask[tuple(index.T)].mean() > 0.99
    volume = liver_volume(clear)
    assert volume.low < patient.truth.liver_volume_ml < volume.high


def test_below_and_above_the_liver_nothing_is_found(patient: Phantom) -> None:
    levels = np.flatnonzero(patient.liver.any((1, 2)))
    for low, high in ((0, levels[0] - 2), (levels[-1] + 3, len(patient.liver))):
        if high - low < 6:
            continue
        box = (slice(int(low), int(high)), slice(None), slice(None))
        there = replace(patient.volume, hu=patient.volume.hu[box], geometry=patient.volume.geometry.crop(box))
        with pytest.raises(NoUsableLiver):
            EmbeddedSegmenter().segment(there)


def test_confidence_falls_with_noise_that_hides_the_liver(patient: Phantom, clear: LiverMask) -> None:
    rng = np.random.default_rng(0)
    trust = [clear.confidence]
    for sd in (60, 100):
        noisy = patient.volume.hu + rng.normal(0, sd, patient.volume.hu.shape)
        found = EmbeddedSegmenter().segment(replace(patient.volume, hu=noisy.astype(np.int16)))
        trust.append(found.confidence)
    assert trust[0] > trust[1] > trust[2] + 0.1
    assert any("inhomogeneous" in w for w in found.warnings)
    drowned = patient.volume.hu + rng.normal(0, 250, patient.volume.hu.shape)
    with pytest.raises(NoUsableLiver):
        EmbeddedSegmenter().segment(replace(patient.volume, hu=drowned.astype(np.int16)))


def test_confidence_falls_and_is_explained_when_the_edge_cannot_be_drawn(
    patient: Phantom, clear: LiverMask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(hu: np.ndarray, probability: np.ndarray, step_mm: float) -> Refined:
        return refine(hu, probability, step_mm, largest_change=-1.0)

    monkeypatch.setattr(embedded, "refine", kept)
    found = EmbeddedSegmenter().segment(patient.volume)
    assert found.confidence == pytest.approx(clear.confidence - 0.2, abs=0.1)
    assert any("edge is hard to see" in w for w in found.warnings)
    # the network's own contour is still a liver
    assert overlap(found.mask, patient.liver) > 0.85


def test_a_liver_that_vanishes_is_told(patient: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "refine", lambda hu, _p, _s: Refined(np.zeros(hu.shape, bool), True, 0.0, 0.0))
    with pytest.raises(NoUsableLiver, match="vanished"):
        EmbeddedSegmenter().segment(patient.volume)


def test_other_weights_are_used(patient: Phantom, clear: LiverMask, tmp_path: Path) -> None:
    own = files("hepacalc.liver").joinpath("weights/liver.onnx").read_bytes()
    other = tmp_path / "other.onnx"
    other.write_bytes(own)
    again = EmbeddedSegmenter(weights=other).segment(patient.volume)
    assert (again.mask == clear.mask).all()
    with pytest.raises(FileNotFoundError):
        EmbeddedSegmenter(weights=tmp_path / "missing.onnx").segment(patient.volume)
