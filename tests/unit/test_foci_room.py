"""The foci room as a whole, on small scenes with known truth."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foci_scenes import add_ball, as_liver, as_volume, block_liver
from hepacalc.errors import MeasurementError
from hepacalc.foci import detect
from hepacalc.foci.calibration import TABLE, calibration_for
from hepacalc.foci.find import FociResult, find_foci
from hepacalc.geometry import Geometry
from hepacalc.records import MEASUREMENTS, Calibration, LiverMask, Measured, NotMeasured, Phase, Volume

PLAIN = Phase("non-contrast", 0.97, False, NotMeasured("not enhanced"), ())
PORTAL = Phase("portal venous", 0.97, True, Measured(150.0, "HU", 140.0, 160.0, "test"), ())
EXACT = Calibration(120.0, 0.8, 0.0, "exact")


def run(volume: Volume, liver: LiverMask, phase: Phase = PLAIN, **more: object) -> FociResult:
    """Run the room with what it needs at least."""
    return find_foci(
        volume, liver, phase=phase, calibration=EXACT, liver_vessel_hu=NotMeasured("test"),
        smallest_trusted_mm=lambda _noise, _fwhm: Measured(3.0, "mm", 2.5, 3.5, "test"), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def middle(geometry: Geometry) -> list[float]:
    return [(n - 1) / 2 * d for n, d in zip(geometry.shape, geometry.spacing_mm, strict=True)]


def test_plain_liver_has_no_calcification() -> None:
    hu, mask, geometry = block_liver()
    result = run(as_volume(hu, geometry), as_liver(mask, geometry))
    assert result.burden.calcifications == 0
    assert result.burden.total_mass_mg == Measured(0.0, "mg", 0.0, 0.0, "sum over calcified lesions")
    assert not result.labels[np.isin(result.labels, [f.id for f in result.foci if f.lesion])].any()


@pytest.mark.parametrize(
    ("diameter", "delta", "thickness"), [(4, 700, 1.25), (6, 400, 2.5), (10, 300, 2.5), (14, 900, 5.0)]
)
def test_mass_of_a_ball(diameter: float, delta: float, thickness: float) -> None:
    hu, mask, geometry = block_liver(spacing=(thickness, 0.8, 0.8), seed=3)
    at = middle(geometry)
    total = add_ball(hu, geometry, (at[0] + 1.1, at[1] - 4.3, at[2] + 7.7), diameter, delta)
    result = run(as_volume(hu, geometry), as_liver(mask, geometry))
    assert result.burden.calcifications == 1
    focus = result.foci[0]
    assert (focus.kind, focus.id, focus.lesion) == ("calcification", 1, 1)
    mass = focus.measurements["mass_mg"]
    assert isinstance(mass, Measured)
    assert mass.unit == "mg"
    assert mass.low < mass.value < mass.high
    assert mass.value == pytest.approx(total * 0.8e-3, rel=0.12)
    wanted = (at[2] + 7.7, at[1] - 4.3, at[0] + 1.1)
    assert np.linalg.norm(np.subtract(focus.centroid_mm, wanted)) < 1.0
    assert result.labels[focus.peak_index] == 1
    assert set(focus.measurements) == set(MEASUREMENTS)


def test_more_candidates_than_are_looked_at_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hu, mask, geometry = block_liver(seed=1)
    at = middle(geometry)
    for shift in (-20.0, 0.0, 20.0):
        add_ball(hu, geometry, (at[0], at[1], at[2] + shift), 8, 600)
    volume, liver = as_volume(hu, geometry), as_liver(mask, geometry)
    monkeypatch.setattr(detect, "MOST_CANDIDATES", 3)
    assert not run(volume, liver).is_capped
    monkeypatch.setattr(detect, "MOST_CANDIDATES", 2)
    capped = run(volume, liver)
    assert capped.is_capped
    assert len(capped.foci) == 2


def test_certain_needs_a_plain_scan() -> None:
    hu, mask, geometry = block_liver(seed=1)
    add_ball(hu, geometry, middle(geometry), 8, 600)
    volume, liver = as_volume(hu, geometry), as_liver(mask, geometry)
    plain, enhanced = run(volume, liver).foci[0], run(volume, liver, PORTAL).foci[0]
    assert (plain.kind, plain.certainty) == ("calcification", "certain")
    assert (enhanced.kind, enhanced.certainty) == ("calcification", "probable")
    assert any("contrast medium" in r for r in enhanced.reasons)
    assert isinstance(enhanced.measurements["fixed_130_volume_mm3"], NotMeasured)


def test_a_focus_no_brighter_than_blood_is_not_calcium_on_an_enhanced_scan() -> None:
    hu, mask, geometry = block_liver(seed=2, liver_hu=100.0)
    add_ball(hu, geometry, middle(geometry), 7, 55)
    result = run(as_volume(hu, geometry), as_liver(mask, geometry), PORTAL)
    assert all(f.kind != "calcification" for f in result.foci)


@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90])
def test_a_piece_of_a_vessel_is_a_vessel_whichever_way_it_runs(degrees: int) -> None:
    phase = replace(PORTAL, vessel_hu=Measured(200.0, "HU", 190.0, 210.0, "test"))
    hu, mask, geometry = block_liver(seed=4, liver_hu=110.0, spacing=(1.6, 0.6, 0.6))
    at, way = middle(geometry), np.deg2rad(degrees)
    for step in np.arange(-5.0, 5.1, 0.5):
        # as bright as blood, and alone: what it hangs on is too faint to be seen
        add_ball(hu, geometry, [at[0], at[1] + step * np.sin(way), at[2] + step * np.cos(way)], 2.6, 32)
    found = run(as_volume(hu, geometry), as_liver(mask, geometry), phase).foci
    assert found
    assert {f.kind for f in found} == {"vessel"}


@pytest.mark.parametrize(("taken_in", "kind"), [(10, "vessel"), (12, "indeterminate")])
def test_a_vena_cava_in_the_mask_is_no_calcium_though_brighter_than_the_aorta(taken_in: int, kind: str) -> None:
    phase = replace(PORTAL, vessel_hu=Measured(200.0, "HU", 190.0, 210.0, "test"))
    hu, mask, geometry = block_liver(seed=3, liver_hu=100.0, background=60.0)
    z, y, x = np.indices(hu.shape)
    at = [m / d for m, d in zip(middle(geometry), geometry.spacing_mm, strict=True)]
    at[1] += 30  # where the liver is narrower than its box: what lies far outside of that is not looked at
    edge = int(np.flatnonzero(mask[int(at[0]), int(at[1])])[-1])
    across = np.hypot((x - edge - 13) * geometry.spacing_mm[2], (y - at[1]) * geometry.spacing_mm[1])
    cava = (across <= 12.0) & (np.abs(z - at[0]) <= 8)
    hu[cava] = 250.0 + np.random.default_rng(3).normal(size=int(cava.sum())) * 8.0
    found = run(as_volume(hu, geometry), as_liver(mask | (cava & (x <= edge + taken_in)), geometry), phase).foci
    assert {f.kind for f in found} == {kind}


def test_as_bright_but_all_in_the_liver_is_no_vena_cava() -> None:
    phase = replace(PORTAL, vessel_hu=Measured(200.0, "HU", 190.0, 210.0, "test"))
    hu, mask, geometry = block_liver(seed=3, liver_hu=100.0)
    add_ball(hu, geometry, middle(geometry), 14, 200)
    assert run(as_volume(hu, geometry), as_liver(mask, geometry), phase).foci[0].kind == "calcification"


@pytest.mark.parametrize(("liver_hu", "above", "kind"), [(15.0, 7, "vessel"), (15.0, 40, "calcification")])
def test_the_vessels_of_a_fatty_liver_are_no_focus_without_contrast_medium(
    liver_hu: float, above: float, kind: str
) -> None:
    hu, mask, geometry = block_liver(seed=5, liver_hu=liver_hu, noise=5.0, spacing=(2.0, 1.0, 1.0))
    at = middle(geometry)
    for along in np.arange(-25.0, 25.1, 1.0):
        add_ball(hu, geometry, [at[0], at[1] + 0.4 * along, at[2] + along], 6.0, above)
    found = run(as_volume(hu, geometry), as_liver(mask, geometry)).foci
    assert {f.kind for f in found if f.kind != "noise"} == {kind}


def test_metal_is_metal_and_has_no_mass() -> None:
    hu, mask, geometry = block_liver(seed=4)
    add_ball(hu, geometry, middle(geometry), 6, 3000)
    focus = run(as_volume(np.clip(hu, -1024, 3071), geometry), as_liver(mask, geometry)).foci[0]
    assert (focus.kind, focus.lesion) == ("metal", None)
    assert isinstance(focus.measurements["mass_mg"], NotMeasured)


def test_hu_that_are_cut_off_are_not_measured() -> None:
    hu, mask, geometry = block_liver(seed=5)
    add_ball(hu, geometry, middle(geometry), 12, 1100)
    focus = run(as_volume(np.minimum(hu, 700), geometry), as_liver(mask, geometry)).foci[0]
    assert isinstance(focus.measurements["max_hu"], NotMeasured)
    assert isinstance(focus.measurements["mass_mg"], NotMeasured)
    assert focus.certainty != "certain"


def test_rib_beside_the_liver_is_outside() -> None:
    hu, mask, geometry = block_liver(seed=6)
    z, y, x = np.indices(hu.shape)
    at = [m / d for m, d in zip(middle(geometry), geometry.spacing_mm, strict=True)]
    edge = int(np.flatnonzero(mask[int(at[0]), int(at[1])])[-1])
    hu[(np.abs(x - edge - 5) <= 6) & (np.abs(z - at[0]) <= 6) & (np.abs(y - at[1]) <= 25)] = 600.0
    kinds = {f.kind for f in run(as_volume(hu, geometry), as_liver(mask, geometry)).foci}
    assert "calcification" not in kinds


def test_focus_at_the_end_of_the_scan_is_not_measured() -> None:
    hu, mask, geometry = block_liver(seed=7)
    cut = len(hu) // 2
    hu, mask = hu[cut:].copy(), mask[cut:].copy()
    lower = Geometry(hu.shape, geometry.affine)
    at = middle(lower)
    add_ball(hu, lower, (0.5, at[1], at[2]), 10, 500)
    focus = run(as_volume(hu, lower), as_liver(mask, lower)).foci[0]
    mass = focus.measurements["mass_mg"]
    assert isinstance(mass, NotMeasured)
    assert "edge of the scan" in mass.reason


def test_agatston_only_when_asked_and_never_on_contrast() -> None:
    hu, mask, geometry = block_liver(seed=8)
    add_ball(hu, geometry, middle(geometry), 8, 600)
    volume, liver = as_volume(hu, geometry), as_liver(mask, geometry)
    assert isinstance(run(volume, liver).foci[0].measurements["agatston"], NotMeasured)
    score = run(volume, liver, agatston=True).foci[0].measurements["agatston"]
    assert isinstance(score, Measured)
    assert score.value > 50
    refused = run(volume, liver, PORTAL, agatston=True).foci[0].measurements["agatston"]
    assert isinstance(refused, NotMeasured)
    assert "contrast" in refused.reason


def test_all_48_orientations_give_the_same_answer() -> None:
    hu, mask, geometry = block_liver(spacing=(2.5, 1.2, 1.2), extent_mm=(60.0, 60.0, 70.0), seed=9)
    at = middle(geometry)
    add_ball(hu, geometry, (at[0] + 3, at[1] - 6, at[2] + 9), 7, 500)
    volume = as_volume(hu, geometry)
    reference = run(volume, as_liver(mask, geometry)).foci[0]
    for axes in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            step = tuple(slice(None, None, -1) if f else slice(None) for f in flips)
            affine = np.eye(4)
            corner = np.array([geometry.shape[a] - 1 if f else 0 for a, f in zip(axes, flips, strict=True)])
            start = np.zeros(3)
            for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
                affine[:3, new] = geometry.affine[:3, old] * (-1 if flip else 1)
                start[old] = corner[new]
            affine[:3, 3] = geometry.to_world(start)
            turned = np.ascontiguousarray(np.transpose(volume.hu, axes)[step])
            there = Geometry(turned.shape, affine)
            again = Volume(turned, there, volume.acquisition, slice_axis=axes.index(0))
            turned_mask = np.ascontiguousarray(np.transpose(mask, axes)[step])
            result = run(again, as_liver(turned_mask, there))
            focus = result.foci[0]
            assert focus.measurements["mass_mg"] == reference.measurements["mass_mg"]
            assert focus.centroid_mm == pytest.approx(reference.centroid_mm, abs=1e-6)
            assert result.labels.shape == turned.shape
            assert result.labels[focus.peak_index] == 1
            low = [a for a, _ in focus.box]
            high = [b for _, b in focus.box]
            index = np.argwhere(result.labels == 1)
            assert (index.min(0) == low).all()
            assert (index.max(0) + 1 == high).all()


def test_an_empty_mask_is_refused() -> None:
    hu, mask, geometry = block_liver()
    with pytest.raises(MeasurementError, match="empty"):
        run(as_volume(hu, geometry), as_liver(np.zeros_like(mask), geometry))


def test_nothing_is_changed_and_the_answer_repeats() -> None:
    hu, mask, geometry = block_liver(seed=10)
    add_ball(hu, geometry, middle(geometry), 8, 400)
    volume, liver = as_volume(hu, geometry), as_liver(mask, geometry)
    before = volume.hu.copy()
    first, second = run(volume, liver), run(volume, liver)
    assert (volume.hu == before).all()
    assert first.foci[0].measurements == second.foci[0].measurements
    assert (first.labels == second.labels).all()


def test_calibration_table_rises_with_voltage_and_doubts_what_it_does_not_know() -> None:
    slopes = [TABLE[k] for k in sorted(TABLE)]
    assert slopes == sorted(slopes)
    assert calibration_for(120).mg_per_ml_per_hu == pytest.approx(0.8)
    unknown, far = calibration_for(None), calibration_for(200)
    assert unknown.kvp is None
    assert unknown.relative_sd > calibration_for(120).relative_sd < far.relative_sd
    assert "not stated" in unknown.source
