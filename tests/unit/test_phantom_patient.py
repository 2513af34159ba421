"""The digital patient: mass in the picture is mass in the truth, same seed same bytes, plausible anatomy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.foci.calibration import calibration_for
from hepacalc.phantom import MIMICS, SIZES_MM, FocusSpec, Phantom, Scene, draw_scene, make_patient, scan
from hepacalc.phantom.patient import scanner_slope
from hepacalc.phantom.shapes import Shape, deposit, sample
from hepacalc.phantom.tissue import tissues
from hepacalc.records import KINDS, PATTERNS

SIZE = {name: max(low, min(16.0, high)) for name, (low, high) in SIZES_MM.items()}


@pytest.fixture(scope="module")
def scene() -> Scene:
    """One patient with a focus of every pattern."""
    specs = [FocusSpec(name, SIZE[name], 300.0 + 30 * k) for k, name in enumerate(PATTERNS)]
    return draw_scene(11, foci=specs, calibration_sd=0.0)


@pytest.fixture(scope="module")
def bare() -> Scene:
    """A patient without foci and mimics."""
    return draw_scene(8, foci=[], mimics=())


@pytest.fixture(
    scope="module", params=[pytest.param((1.0, 1.0), marks=pytest.mark.slow), (2.5, 2.5), (5.0, 5.0), (2.5, 5.0)]
)
def pair(scene: Scene, request: pytest.FixtureRequest) -> tuple[Phantom, Phantom]:
    """The same scene with and without calcium, at several slice spacings and thicknesses."""
    spacing, thickness = request.param
    args = {
        "spacing_mm": (spacing, 1.0, 1.0), "slice_thickness_mm": thickness, "noise_hu": 0.0, "rounded": False,
        "matrix": 340,
        "z_range_mm": (-225.0, 10.0),
    }  # fmt: skip
    return scan(scene, **args), scan(scene, calcium=False, **args)


def test_mass_in_the_picture_is_the_true_mass(pair: tuple[Phantom, Phantom]) -> None:
    with_calcium, without = pair
    geometry = with_calcium.volume.geometry
    extra = (with_calcium.volume.hu - without.volume.hu).astype(float)
    # each voxel belongs to the nearest focus: foci are apart, so a ball about each holds it whole
    taken = np.zeros(extra.shape, bool)
    for focus in with_calcium.truth.foci:
        radius = focus.diameter_mm * 0.8 + 9
        centre = geometry.to_index(focus.centroid_mm)
        low = np.maximum(np.floor(centre - radius / np.array(geometry.spacing_mm)), 0).astype(int)
        high = np.ceil(centre + radius / np.array(geometry.spacing_mm)).astype(int) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        index = np.indices(extra[box].shape).reshape(3, -1).T + low
        near = (np.linalg.norm(geometry.to_world(index) - focus.centroid_mm, axis=1) < radius).reshape(extra[box].shape)
        own = near & ~_others(with_calcium, focus.id, geometry.to_world(index)).reshape(near.shape)
        mass = extra[box][own].sum() * geometry.voxel_mm3 / 1000 * with_calcium.truth.slope_mg_per_ml_per_hu
        assert mass == pytest.approx(focus.mass_mg, rel=0.005), focus.pattern
        taken[box] |= near
    total = extra.sum() * geometry.voxel_mm3 / 1000 * with_calcium.truth.slope_mg_per_ml_per_hu
    assert total == pytest.approx(with_calcium.truth.total_mass_mg, rel=0.002)
    assert abs(extra[~taken]).max() < 1e-3


def _others(phantom: Phantom, own: int, points: np.ndarray) -> np.ndarray:
    gaps = [np.linalg.norm(points - f.centroid_mm, axis=1) / (f.diameter_mm + 4) for f in phantom.truth.foci]
    return np.argmin(gaps, axis=0) != own - 1


def test_labels_lie_where_the_truth_says(pair: tuple[Phantom, Phantom]) -> None:
    phantom = pair[0]
    geometry = phantom.volume.geometry
    assert set(np.unique(phantom.labels)) == set(range(len(PATTERNS) + 1))
    for focus in phantom.truth.foci:
        world = geometry.to_world(np.argwhere(phantom.labels == focus.id))
        away = np.linalg.norm(world - focus.centroid_mm, axis=1)
        assert away.max() <= focus.diameter_mm + geometry.spacing_mm[0]
        assert phantom.liver[phantom.labels == focus.id].mean() > (0.2 if focus.pattern == "capsular plaque" else 0.9)


def test_a_big_ball_is_as_bright_as_it_should_be() -> None:
    sphere = sample(Shape(lambda z, y, x: np.sqrt(z * z + y * y + x * x) - 7, 7.0, 14.0, 4 / 3 * np.pi * 343))
    for spacing in ((1.0, 0.8, 0.8), (0.6, 0.6, 0.6), (2.5, 1.0, 1.0)):
        put = deposit(
            sphere, np.full(3, 20.3), shape=(80, 80, 80), spacing_mm=spacing, width_mm=spacing, sigma_mm=(0.3, 0.5, 0.5)
        )
        assert put.share.max() == pytest.approx(1, abs=0.01)


def test_concentration_gives_less_contrast_at_higher_voltage() -> None:
    spec = FocusSpec("nodular solid", 6, concentration_mg_ml=300.0)
    args = {"foci": [spec], "calibration_sd": 0.0, "spacing_mm": (10.0, 2.0, 2.0)}
    low, high = (make_patient(2, kvp=k, **args).truth for k in (80, 140))
    assert low.foci[0].mass_mg == pytest.approx(high.foci[0].mass_mg)
    ratio = calibration_for(140).mg_per_ml_per_hu / calibration_for(80).mg_per_ml_per_hu
    assert low.foci[0].delta_hu / high.foci[0].delta_hu == pytest.approx(ratio)


def test_scanner_slope_is_drawn_about_the_table() -> None:
    table = calibration_for(100)
    off = [scanner_slope(s, 100) / table.mg_per_ml_per_hu - 1 for s in range(300)]
    assert np.std(off) == pytest.approx(table.relative_sd, rel=0.15)
    assert abs(np.mean(off)) < 0.3 * table.relative_sd
    assert scanner_slope(1, 100, 0) == table.mg_per_ml_per_hu


def test_same_seed_same_bytes_in_another_process_and_another_seed_differs() -> None:
    code = (
        "import hashlib, numpy as np; from hepacalc.phantom import make_patient\n"
        "for seed in (5, 6):\n"
        "    p = make_patient(seed, phase='arterial', spacing_mm=(6, 1.6, 1.6), mimics=('surgical clip', 'lipiodol'))\n"
        "    parts = (p.volume.hu.tobytes(), p.labels.tobytes(), p.liver.tobytes(), str(p.truth.to_dict()).encode(),\n"
        "             str(p.volume.acquisition).encode())\n"
        "    print(hashlib.sha256(b''.join(parts)).hexdigest())\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    first, second = (r.stdout.split() for r in runs)
    assert first == second
    assert first[0] != first[1]


@pytest.mark.parametrize("phase", ["non-contrast", "arterial", "portal venous", "delayed"])
def test_organs_have_the_hu_of_their_phase(phase: str) -> None:
    phantom = make_patient(8, phase=phase, foci=[], spacing_mm=(5, 1.6, 1.6), noise_hu=10)
    values = phantom.volume.hu[phantom.liver]
    assert np.median(values) == pytest.approx(phantom.truth.liver_hu, abs=4)
    expected = {"non-contrast": (45, 70), "arterial": (52, 85), "portal venous": (90, 135), "delayed": (75, 110)}[phase]
    assert expected[0] < phantom.truth.liver_hu < expected[1]
    assert 1000 < phantom.truth.liver_volume_ml < 2400
    assert phantom.truth.liver_is_complete
    assert phantom.liver.sum() * phantom.volume.geometry.voxel_mm3 / 1000 == pytest.approx(
        phantom.truth.liver_volume_ml, rel=0.02
    )


def test_noise_is_as_asked_and_its_texture_follows_the_kernel(bare: Scene) -> None:
    args = {"spacing_mm": (5.0, 0.8, 0.8), "z_range_mm": (-110.0, -60.0)}
    quiet = scan(bare, noise_hu=0, rounded=False, **args)
    core = quiet.liver
    roughness = {}
    for kernel in ("soft", "sharp"):
        loud = scan(bare, noise_hu=20, kernel=kernel, rounded=False, **args)
        plain = scan(bare, noise_hu=0, kernel=kernel, rounded=False, **args)
        noise = loud.volume.hu - plain.volume.hu
        assert noise[core].std() == pytest.approx(20, rel=0.12)
        roughness[kernel] = np.corrcoef(noise[:, :, :-1][core[:, :, :-1]], noise[:, :, 1:][core[:, :, :-1]])[0, 1]
    assert roughness["sharp"] < 0.15 < 0.35 < roughness["soft"]


def test_overlapping_slices_share_noise(bare: Scene) -> None:
    args = {"spacing_mm": (2.0, 1.6, 1.6), "z_range_mm": (-110.0, -60.0), "rounded": False}
    found = []
    for thickness in (2.0, 4.0):
        loud, quiet = (scan(bare, noise_hu=n, slice_thickness_mm=thickness, **args) for n in (20, 0))
        noise, core = loud.volume.hu - quiet.volume.hu, quiet.liver[:-1]
        assert noise[quiet.liver].std() == pytest.approx(20, rel=0.12)
        found.append(np.corrcoef(noise[:-1][core], noise[1:][core])[0, 1])
    assert abs(found[0]) < 0.1
    assert 0.3 < found[1] < 0.7


@pytest.mark.parametrize(("kind", "low", "high"), [("fatty", -5, 30), ("iron", 80, 110), ("amiodarone", 72, 105)])
def test_diseased_livers(kind: str, low: float, high: float) -> None:
    for seed in range(20):
        assert low < tissues("non-contrast", 120, kind, np.random.default_rng(seed))["liver"].hu < high


def test_a_cut_liver_is_said_to_be_cut(bare: Scene) -> None:
    phantom = scan(bare, cut_top_mm=30, spacing_mm=(5, 2, 2))
    assert not phantom.truth.liver_is_complete
    assert phantom.liver[-1].any()
    low = scan(bare, cut_bottom_mm=40, spacing_mm=(5, 2, 2))
    assert low.liver[0].any()
    assert not low.liver[-1].any()


def test_every_mimic_is_there_and_says_what_it_is() -> None:
    phantom = make_patient(1, mimics=MIMICS, foci=[], spacing_mm=(2.5, 1.0, 1.0))
    scene_names = {m.name for m in phantom.truth.mimics}
    assert scene_names == set(MIMICS) - {"enhanced vessel", "gallstone"}  # a clip means no gallbladder
    assert all(m.kind is None or m.kind in KINDS for m in phantom.truth.mimics)
    assert phantom.volume.hu.max() == 3071
    stones = make_patient(1, mimics=("gallstone",), foci=[], spacing_mm=(2.5, 1.0, 1.0))
    for stone in stones.truth.mimics:
        z, y, x = np.round(stones.volume.geometry.to_index(stone.centroid_mm)).astype(int)
        assert stones.volume.hu[z - 1 : z + 2, y - 3 : y + 4, x - 3 : x + 4].max() > 60
        assert not stones.liver[z, y, x]


def test_a_focus_is_put_where_it_is_asked_to_be() -> None:
    free = make_patient(6, foci=[FocusSpec("nodular solid", 8)], spacing_mm=(5, 2, 2))
    x, y, z = free.truth.foci[0].centroid_mm
    spec = replace(FocusSpec("nodular solid", 5), centre_mm=(x + 3, y, z))
    fixed = make_patient(6, foci=[spec], spacing_mm=(5, 2, 2))
    np.testing.assert_allclose(fixed.truth.foci[0].centroid_mm, (x + 3, y, z), atol=0.1)


@pytest.mark.parametrize(
    "wrong",
    [{"phase": "excretory"}, {"liver": "golden"}, {"mimics": ("unicorn",)}, {"foci": [FocusSpec("septal", 80.0)] * 9}],
)
def test_what_the_phantom_cannot_do_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        draw_scene(1, **wrong)  # type: ignore[arg-type]
