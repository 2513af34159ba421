"""Insertion into a scan: mass, place, what must stay as it was, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from hepacalc.errors import GridMismatch, InvalidLiverMask, UnsupportedGeometry, UsageError
from hepacalc.foci.calibration import calibration_for
from hepacalc.geometry import Geometry
from hepacalc.phantom import SIZES_MM, FocusSpec, estimate_psf, insert_foci, random_specs
from hepacalc.records import PATTERNS, Acquisition, Volume

SPACING = (2.5, 0.9, 0.9)


def make_scan(spacing: tuple[float, float, float] = SPACING, noise: float = 10.0, **more: object) -> Volume:
    """A ball of liver, 80 mm in radius, in fat."""
    n = tuple(int(200 / d) for d in spacing)
    z, y, x = np.meshgrid(
        *(np.arange(k) * d - 100 for k, d in zip(n, spacing, strict=True)), indexing="ij", sparse=True
    )
    inside = z**2 + y**2 + x**2 < 80**2
    hu = np.where(inside, 58.0, -100.0) + np.random.default_rng(0).normal(0, noise, inside.shape)
    affine = np.array([[0, 0, spacing[2], -90], [0, spacing[1], 0, 20], [spacing[0], 0, 0, -300], [0, 0, 0, 1.0]])
    geometry = Geometry((n[0], n[1], n[2]), affine)
    return Volume(np.rint(hu).astype(np.int16), geometry, Acquisition(kvp=120), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Volume:
    return make_scan()


@pytest.fixture(scope="module")
def liver(plain: Volume) -> np.ndarray:
    return np.asarray(plain.hu > -20)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_mass_that_appears_is_the_mass_in_the_truth(plain: Volume, liver: np.ndarray, pattern: str) -> None:
    spec = FocusSpec(pattern, SIZES_MM[pattern][0] if pattern != "punctate" else 3.0, 400.0)
    made = insert_foci(plain, liver, [spec], np.random.default_rng(1), sigma_mm=0.6)
    extra = (made.volume.hu.astype(float) - plain.hu).sum() * plain.geometry.voxel_mm3 / 1000
    slope = calibration_for(120).mg_per_ml_per_hu
    assert made.truth.slope_mg_per_ml_per_hu == slope
    noise = 0.5 * np.sqrt((made.volume.hu != plain.hu).sum() + 200) * plain.geometry.voxel_mm3 / 1000 * slope
    assert extra * slope == pytest.approx(made.truth.total_mass_mg, rel=0.005, abs=2.5 * noise)
    assert made.truth.foci[0].pattern == pattern


def test_foci_are_apart_inside_and_where_the_truth_says(plain: Volume, liver: np.ndarray) -> None:
    made = insert_foci(plain, liver, 25, np.random.default_rng(3), sigma_mm=0.6)
    assert [f.id for f in made.truth.foci] == list(range(1, 26))
    assert set(np.unique(made.labels)) == set(range(26))
    centres = np.array([f.centroid_mm for f in made.truth.foci])
    sizes = np.array([f.diameter_mm for f in made.truth.foci])
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) - sizes[:, None] / 2 - sizes[None] / 2
    assert gaps[~np.eye(25, dtype=bool)].min() > 3
    for focus in made.truth.foci:
        world = plain.geometry.to_world(np.argwhere(made.labels == focus.id))
        np.testing.assert_allclose(np.median(world, axis=0), focus.centroid_mm, atol=focus.diameter_mm / 2 + 2)
    assert liver[made.labels > 0].mean() > 0.97


def test_nothing_else_changes(plain: Volume, liver: np.ndarray) -> None:
    before = plain.hu.copy()
    made = insert_foci(plain, liver, 10, np.random.default_rng(5), sigma_mm=0.6)
    assert np.array_equal(plain.hu, before)
    assert made.volume.hu.dtype == np.int16
    changed = made.volume.hu != before
    world = plain.geometry.to_world(np.argwhere(changed))
    near = [np.linalg.norm(world - f.centroid_mm, axis=1) < f.diameter_mm + 8 for f in made.truth.foci]
    assert np.any(near, axis=0).all()
    assert ((made.volume.hu - before) >= 0).all()


def test_same_generator_same_scan(plain: Volume, liver: np.ndarray) -> None:
    first, second = (insert_foci(plain, liver, 6, np.random.default_rng(9), sigma_mm=0.6) for _ in range(2))
    assert np.array_equal(first.volume.hu, second.volume.hu)
    assert first.truth == second.truth


def test_bright_things_are_kept_off(plain: Volume, liver: np.ndarray) -> None:
    hu = plain.hu.copy()
    middle = tuple(n // 2 for n in hu.shape)
    hu[middle[0] - 14 : middle[0] + 14, middle[1] - 40 : middle[1] + 40, middle[2] - 40 : middle[2] + 40] = 900
    metal = replace(plain, hu=hu)
    made = insert_foci(metal, liver, 15, np.random.default_rng(2), sigma_mm=0.6)
    assert (hu[made.labels > 0] < 200).all()


def test_clipping_of_the_scan_is_kept_and_said(plain: Volume, liver: np.ndarray) -> None:
    hu = plain.hu.copy()
    hu[:2, :10, :10] = 1023
    low = replace(plain, hu=hu)
    made = insert_foci(low, liver, [FocusSpec("nodular solid", 12, 1500.0)], np.random.default_rng(2), sigma_mm=0.6)
    assert made.volume.hu.max() == 1023
    assert made.truth.foci[0].clipped
    free = insert_foci(plain, liver, [FocusSpec("nodular solid", 12, 1500.0)], np.random.default_rng(2), sigma_mm=0.6)
    assert free.volume.hu.max() > 1400
    assert not free.truth.foci[0].clipped


def test_slices_along_another_axis() -> None:
    scan = make_scan((0.9, 0.9, 3.0), slice_axis=2)
    made = insert_foci(
        scan, scan.hu > -20, [FocusSpec("nodular solid", 8.0, 500.0)], np.random.default_rng(4), sigma_mm=0.6
    )
    extra = (made.volume.hu.astype(float) - scan.hu).sum() * scan.geometry.voxel_mm3 / 1000 * 0.8
    assert extra == pytest.approx(made.truth.total_mass_mg, rel=0.01)
    assert made.truth.slice_thickness_mm == 3.0


def test_a_centre_can_be_asked_for(plain: Volume, liver: np.ndarray) -> None:
    centre = tuple(float(v) for v in plain.geometry.to_world(np.array(plain.hu.shape) / 2))
    spec = FocusSpec("nodular solid", 9.0, 400.0, centre_mm=(centre[0], centre[1], centre[2]))
    made = insert_foci(plain, liver, [spec], np.random.default_rng(1), sigma_mm=0.6)
    np.testing.assert_allclose(made.truth.foci[0].centroid_mm, centre, atol=0.1)


def test_a_cyst_darkens_what_its_rim_holds(plain: Volume, liver: np.ndarray) -> None:
    spec = FocusSpec("rim complete", 24.0, 500.0)
    made = insert_foci(plain, liver, [spec], np.random.default_rng(1), sigma_mm=0.6, hosts=True)
    z, y, x = np.round(plain.geometry.to_index(made.truth.foci[0].centroid_mm)).astype(int)
    assert made.volume.hu[z - 1 : z + 2, y - 4 : y + 5, x - 4 : x + 5].mean() == pytest.approx(10, abs=5)
    assert made.truth.foci[0].host == "fluid"


def test_what_cannot_take_foci_is_refused(plain: Volume, liver: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(GridMismatch):
        insert_foci(plain, liver[1:], 1, rng)
    with pytest.raises(InvalidLiverMask):
        insert_foci(plain, np.zeros_like(liver), 1, rng)
    with pytest.raises(UsageError, match="room"):
        insert_foci(plain, liver, [FocusSpec("nodular solid", 60.0)] * 9, rng, sigma_mm=0.6)
    sheared = plain.geometry.affine.copy()
    sheared[1, 0] = 0.6
    with pytest.raises(UnsupportedGeometry):
        insert_foci(replace(plain, geometry=Geometry(plain.geometry.shape, sheared)), liver, 1, rng)


@pytest.mark.parametrize("sigma", [0.4, 0.6, 0.9])
def test_resolution_is_found_at_the_skin(sigma: float) -> None:
    pixel, fine = 0.7, 0.175
    line = np.arange(2000) * fine - 175.0
    radius = np.hypot(line[:, None] / 0.8, line[None])
    body = np.select([radius < 140, radius < 142], [-95.0, 15.0], -1000.0)
    image = ndimage.gaussian_filter(body, sigma / fine)[::4, ::4]
    image += np.random.default_rng(1).normal(0, 5, image.shape)
    geometry = Geometry((6, 500, 500), np.array([[0, 0, pixel, 0], [0, pixel, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]]))
    found = estimate_psf(Volume(np.repeat(image[None], 6, axis=0).astype(np.float32), geometry))
    assert found.sigma_mm == pytest.approx(sigma, rel=0.2)
    assert found.edges >= 40


def test_without_skin_the_kernel_decides() -> None:
    geometry = Geometry((6, 60, 60), np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])
    sharp, soft = (
        estimate_psf(Volume(np.full((6, 60, 60), 50, np.int16), geometry, Acquisition(convolution_kernel=k)))
        for k in ("LUNG", "B30f")
    )
    assert sharp.edges == soft.edges == 0
    assert sharp.sigma_mm < soft.sigma_mm
    assert "kernel" in soft.evidence


def test_random_specs_stay_in_their_ranges() -> None:
    specs = random_specs(np.random.default_rng(0), 400, diameter_mm=(2, 10), delta_hu=(150, 900))
    assert all(2 <= s.diameter_mm <= 10 and 150 <= s.delta_hu <= 900 for s in specs)
    assert len({s.pattern for s in specs}) >= 6
    assert all(SIZES_MM[s.pattern][0] <= s.diameter_mm <= SIZES_MM[s.pattern][1] for s in specs)
    assert {s.pattern for s in random_specs(np.random.default_rng(0), 50, patterns=["comma", "septal"])} == {
        "comma",
        "septal",
    }


def test_uneven_sampling_is_told_in_the_truth() -> None:
    scan = replace(make_scan((4.25, 0.9, 0.9), noise=0.0), acquisition=Acquisition(kvp=120, slice_thickness_mm=5.0))
    specs = [FocusSpec("nodular solid", 3.0, 900.0)] * 6
    made = insert_foci(scan, scan.hu > -20, specs, np.random.default_rng(4), sigma_mm=0.6)
    shares = np.array([f.sampled for f in made.truth.foci])
    assert 0.01 < np.abs(shares - 1).max() < 0.2
    extra = (made.volume.hu.astype(float) - scan.hu).sum() * scan.geometry.voxel_mm3 / 1000 * 0.8
    assert extra == pytest.approx(sum(f.mass_mg * f.sampled for f in made.truth.foci), rel=0.01)
    exact = insert_foci(
        replace(scan, acquisition=Acquisition(kvp=120)), scan.hu > -20, specs, np.random.default_rng(4), sigma_mm=0.6
    )
    assert all(f.sampled == pytest.approx(1, abs=1e-3) for f in exact.truth.foci)
