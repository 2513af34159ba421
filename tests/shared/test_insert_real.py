"""Foci of known mass in the real scans: the mass appears, the rest of the scan stays as it was."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepacalc.phantom import estimate_psf, insert_foci, random_specs
from hepacalc.records import Volume
from hepacalc.study import open_study, read_nifti_labels

pytestmark = pytest.mark.shared

CASES = {
    "acrin-flt-001": ("liver-train/acrin001/labels.nii.gz", 0.06),
    "cptac-c3l-00189": ("liver-train/cptac/labels.nii.gz", 0.01),
    "ircadb-01/dicom": ("ct/ircadb-01/liver.nii.gz", 0.01),
}


def load(shared: Path, name: str) -> tuple[Volume, np.ndarray]:
    volume, _ = open_study(shared / "ct" / name)
    labels, geometry = read_nifti_labels(shared / CASES[name][0])
    mask = np.zeros(volume.hu.shape, bool)
    inside = np.argwhere(labels == 1)
    at = np.round(volume.geometry.to_index(geometry.to_world(inside))).astype(int)
    mask[tuple(at.T)] = True
    assert mask.sum() == len(inside)
    return volume, mask


@pytest.mark.parametrize("name", CASES)
def test_known_mass_in_a_real_scan(shared: Path, name: str) -> None:
    volume, mask = load(shared, name)
    specs = random_specs(np.random.default_rng(4), 14, diameter_mm=(3, 14), delta_hu=(150, 700))
    made = insert_foci(volume, mask, specs, np.random.default_rng(2))
    extra = made.volume.hu.astype(float) - volume.hu
    assert made.volume.hu.dtype == volume.hu.dtype
    assert made.volume.hu.max() <= max(int(volume.hu.max()), 3071)
    if name.startswith("ircad"):
        assert made.volume.hu.max() <= 1023
    assert not any(f.clipped for f in made.truth.foci)
    mass = extra.sum() * volume.geometry.voxel_mm3 / 1000 * made.truth.slope_mg_per_ml_per_hu
    # where slices are thicker than their spacing (4.25 / 5 mm) sampling itself gains or loses a little, and says so
    assert mass == pytest.approx(made.truth.total_mass_mg, rel=CASES[name][1])
    assert mass == pytest.approx(sum(f.mass_mg * f.sampled for f in made.truth.foci), rel=0.005)
    assert set(np.unique(made.labels)) == set(range(15))
    assert mask[made.labels > 0].mean() > 0.95
    assert (extra != 0).mean() < 0.02


@pytest.mark.parametrize(("name", "low", "high"), [("acrin-flt-001", 0.5, 1.0), ("cptac-c3l-00189", 0.2, 0.6),
                                                    ("ircadb-01/dicom", 0.45, 0.95)])  # fmt: skip
def test_resolution_of_real_scans(shared: Path, name: str, low: float, high: float) -> None:
    volume, _ = open_study(shared / "ct" / name)
    found = estimate_psf(volume)
    assert found.edges > 500
    assert low < found.sigma_mm < high


def test_an_isotropic_nifti_takes_foci(shared: Path) -> None:
    volume, _ = open_study(shared / "ct" / "totalsegmentator" / "example_ct.nii.gz")
    labels = nib.load(shared / "ct" / "totalsegmentator" / "example_ct-labels.nii.gz")
    mask = np.asarray(labels.dataobj).transpose(2, 1, 0) == 5
    made = insert_foci(volume, mask, 6, np.random.default_rng(1))
    assert made.truth.kvp is None
    assert not made.truth.liver_is_complete
    assert len(made.truth.foci) == 6
