"""Contrast phase on digital patients, and how doubt is told."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hepacalc.geometry import Geometry, Reorientation
from hepacalc.liver.phase import detect_phase, vessel_reference
from hepacalc.phantom import Phantom, make_patient
from hepacalc.records import Acquisition, LiverMask, Measured, NotMeasured, Volume

PHASES = ("non-contrast", "arterial", "portal venous")


def patient(phase: str, **options: object) -> Phantom:
    return make_patient(21, phase=phase, spacing_mm=(5.0, 2.0, 2.0), foci=[], **options)  # type: ignore[arg-type]


def liver_of(phantom: Phantom) -> LiverMask:
    return LiverMask(phantom.liver, phantom.volume.geometry, "truth", "1", 1.0)


def plain(volume: Volume) -> Volume:
    """The same voxels without any header."""
    return replace(volume, acquisition=Acquisition())


@pytest.fixture(scope="module")
def phantoms() -> dict[str, Phantom]:
    return {phase: patient(phase) for phase in PHASES}


@pytest.mark.parametrize("phase", PHASES)
def test_phase_from_pixels_alone(phantoms: dict[str, Phantom], phase: str) -> None:
    phantom = phantoms[phase]
    found = detect_phase(plain(phantom.volume), liver_of(phantom))
    assert found.name == phase
    assert 0.6 <= found.probability < 1
    assert found.is_contrast is (phase != "non-contrast")
    assert isinstance(found.vessel_hu, Measured)
    assert found.vessel_hu.low <= found.vessel_hu.value <= found.vessel_hu.high
    assert any(words.startswith("aorta") for words in found.evidence)


@pytest.mark.parametrize("phase", PHASES)
def test_noise_and_thick_slices_do_not_change_it(phantoms: dict[str, Phantom], phase: str) -> None:
    phantom = phantoms[phase]
    rng = np.random.default_rng(5)
    noisy = phantom.volume.hu + rng.normal(0, 35, phantom.volume.hu.shape)
    found = detect_phase(replace(plain(phantom.volume), hu=noisy.astype(np.int16)), liver_of(phantom))
    assert found.name == phase
    affine = phantom.volume.geometry.affine.copy()
    affine[:3, 3] += affine[:3, 0] / 2
    affine[:3, 0] *= 2
    pairs = phantom.volume.hu[: len(phantom.volume.hu) // 2 * 2].reshape(-1, 2, *phantom.volume.hu.shape[1:])
    halves = phantom.liver[: len(pairs) * 2].reshape(pairs.shape).mean(1) > 0.5
    grid = Geometry((pairs.shape[0], pairs.shape[2], pairs.shape[3]), affine)
    thick = Volume(pairs.mean(1).astype(np.int16), grid)
    assert detect_phase(thick, LiverMask(halves, grid, "truth", "1", 1.0)).name == phase


@pytest.mark.parametrize("phase", ["non-contrast", "portal venous"])
@pytest.mark.parametrize("kind", ["fatty", "iron"])
def test_fatty_and_iron_livers(phase: str, kind: str) -> None:
    phantom = patient(phase, liver=kind)
    found = detect_phase(plain(phantom.volume), liver_of(phantom))
    assert found.name == phase


def test_every_axis_order_gives_the_same_phase(phantoms: dict[str, Phantom]) -> None:
    phantom = phantoms["portal venous"]
    expected = detect_phase(phantom.volume, liver_of(phantom))
    for order, flips in [((2, 0, 1), (True, False, True)), ((1, 2, 0), (False, True, True))]:
        turn = Reorientation(phantom.volume.geometry, order, flips)
        volume = replace(phantom.volume, hu=turn.apply(phantom.volume.hu), geometry=turn.geometry)
        found = detect_phase(volume, LiverMask(turn.apply(phantom.liver), turn.geometry, "truth", "1", 1.0))
        assert found.name == expected.name
        assert found.probability == pytest.approx(expected.probability, abs=1e-6)


def test_only_liver_in_view_is_never_called_non_contrast_on_a_contrast_scan(phantoms: dict[str, Phantom]) -> None:
    for phase, cut in itertools.product(("arterial", "portal venous"), ("box", "slab")):
        phantom = phantoms[phase]
        where = np.argwhere(phantom.liver)
        low, high = where.min(0), where.max(0) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        if cut == "slab":
            middle = int(low[0] + high[0]) // 2
            box = (slice(middle, middle + 5), slice(None), slice(None))
        grid = phantom.volume.geometry.crop((box[0], box[1], box[2]))
        found = detect_phase(
            Volume(phantom.volume.hu[box], grid), LiverMask(phantom.liver[box], grid, "truth", "1", 1.0)
        )
        assert found.is_contrast


def test_wrong_tags_are_told_and_not_believed(phantoms: dict[str, Phantom]) -> None:
    native, portal = phantoms["non-contrast"], phantoms["portal venous"]
    lying = Acquisition(modality="CT", contrast_bolus_agent="Iomeron 400", series_description="PORTAL VENOUS")
    found = detect_phase(replace(native.volume, acquisition=lying), liver_of(native))
    assert found.name == "non-contrast"
    assert any("contradicts the pixels: a contrast agent is named" in w for w in found.evidence)
    silent = Acquisition(modality="CT", series_description="ABD W/O CONTRAST")
    found = detect_phase(replace(portal.volume, acquisition=silent), liver_of(portal))
    assert found.name == "portal venous"
    assert any("names no contrast agent, but the pixels are enhanced" in w for w in found.evidence)
    assert any("description contradicts the pixels" in w for w in found.evidence)


@pytest.mark.parametrize("agent", ["NONE", "No", "n/a", " ", "without"])
def test_agent_that_says_none_is_no_agent(phantoms: dict[str, Phantom], agent: str) -> None:
    native = phantoms["non-contrast"]
    tagged = replace(native.volume, acquisition=Acquisition(modality="CT", contrast_bolus_agent=agent))
    assert not any("names a contrast agent" in w for w in detect_phase(tagged, liver_of(native)).evidence)


def test_nothing_to_see_is_undetermined_and_counts_as_contrast() -> None:
    grid = Geometry((10, 30, 30), np.diag([5.0, 3, 3, 1])[:, :] @ np.eye(4)[[2, 1, 0, 3]])
    empty = Volume(np.full((10, 30, 30), -1000, np.int16), grid)
    for mask in (np.zeros((10, 30, 30), bool), np.ones((10, 30, 30), bool)):
        found = detect_phase(empty, LiverMask(mask, grid, "truth", "1", 1.0))
        assert found.name == "undetermined"
        assert found.is_contrast


def test_vessel_reference_is_near_the_truth(phantoms: dict[str, Phantom]) -> None:
    seen = vessel_reference(phantoms["arterial"].volume, liver_of(phantoms["arterial"]))
    assert isinstance(seen.aorta_hu, Measured)
    assert seen.aorta_hu.value > 200
    assert len(seen.aorta_mm) > 5
    assert np.all(np.diff(seen.aorta_mm[:, 2]) > 0)
    native = vessel_reference(phantoms["non-contrast"].volume, liver_of(phantoms["non-contrast"]))
    assert isinstance(native.aorta_hu, Measured)
    assert 25 < native.aorta_hu.value < 60
    assert isinstance(native.liver_vessel_hu, NotMeasured)
