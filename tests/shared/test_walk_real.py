"""The whole walk on the real scans as they are: none of them holds a calcification in the liver.

Nothing made of these scans is kept: results live in memory or in a temporary folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from real_scans import SCANS, load

from hepacalc.assess import assess, assess_volume
from hepacalc.errors import HepacalcError, NoUsableLiver
from hepacalc.records import Assessment, SeriesChoice, SeriesSummary, Volume
from hepacalc.report import OUTPUTS, write_outputs

pytestmark = pytest.mark.shared

CHOICE = SeriesChoice(SeriesSummary("1.2", None, "CT", 1, 1.0, ()))
# what the walk may say besides on an enhanced scan: at most this many false calcifications, none of them certain
MOST_FALSE = {"non-contrast": 0, "arterial": 1, "portal venous": 1}


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def about_metal(found: Assessment) -> None:
    """The biliary stent of this scan is the trap: it is metal and has no mass."""
    metal = [f for f in found.foci if f.kind == "metal"]
    assert metal
    assert metal[0].certainty == "certain"
    assert "clip, stent or coil" in metal[0].mimic
    assert all(f.lesion is None for f in metal)
    brightest = found.labels[found.volume.hu >= 2500]
    assert set(np.unique(brightest)) <= {0, *(f.id for f in metal)}


@pytest.mark.parametrize("name", list(SCANS))
def test_no_calcification_is_claimed_for_certain(shared: Path, name: str, tmp_path: Path) -> None:
    scan, _, phase = SCANS[name]
    found = assess(shared / scan)
    _, liver = load(shared, name)
    assert found.phase.name == phase
    assert overlap(found.liver_mask.mask, liver.mask) > 0.9
    assert found.burden.certain == 0
    assert [f for f in found.foci if (f.kind, f.certainty) == ("calcification", "certain")] == []
    assert found.burden.calcifications <= MOST_FALSE[phase]
    if name == "cptac":
        about_metal(found)
    if name == "ts_slab":
        paths = write_outputs(found, tmp_path / "out")
        assert set(paths) == set(OUTPUTS)
        image = nib.load(paths["liver.nii.gz"])
        assert image.shape == found.volume.geometry.shape[::-1]
        assert (np.asarray(image.dataobj).transpose(2, 1, 0) > 0).sum() == found.liver_mask.mask.sum()


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("reader/gantry-tilt/GE", "LIV-01"),
        ("reader/gantry-tilt/Philips-S21570", "GEO-03"),
        ("reader/not-a-volume/gantrytilting", "LIV-01"),
        ("reader/not-a-volume/sliceincrement", "GEO-03"),
        ("reader/not-a-volume/slicecount", "GEO-01"),
        ("reader/not-a-volume/sliceorientation", "IN-03"),
        ("reader/not-a-volume/notavolume", "GEO-01"),
        ("reader/transfer-syntaxes/US-YBR_FULL_422-EVRLE.dcm", "IN-03"),
        ("reader/transfer-syntaxes/CT2_J2KR", "GEO-01"),
        ("ct/totalsegmentator/example_ct-labels.nii.gz", "IN-08"),
        ("liver-train/acrin013/labels.nii.gz", "IN-08"),
        ("dicom-objects/dcmqi", "LIV-01"),
    ],
)
def test_what_shows_no_liver_ends_with_one_clear_error(shared: Path, place: str, code: str) -> None:
    with pytest.raises(HepacalcError) as raised:
        assess(shared / place)
    assert raised.value.code == code
    assert raised.value.message
    assert raised.value.hint


def part(volume: Volume, low: int, high: int) -> Volume:
    """Slices ``low`` to ``high`` of a scan."""
    box = (slice(low, high), slice(None), slice(None))
    return replace(
        volume,
        hu=volume.hu[box],
        geometry=volume.geometry.crop(box),
        sop_instance_uids=volume.sop_instance_uids[low:high],
    )


@pytest.mark.parametrize("name", ["acrin001", "ircadb"])
def test_the_same_patient_without_the_liver_is_refused(shared: Path, name: str) -> None:
    volume, liver = load(shared, name)
    assert volume.slice_axis == 0
    levels = np.flatnonzero(liver.mask.any((1, 2)))
    gap = int(np.ceil(10 / volume.geometry.spacing_mm[0]))
    refused = 0
    for low, high in ((0, levels[0] - gap), (levels[-1] + gap + 1, len(volume.hu))):
        if high - low >= 8:
            with pytest.raises(NoUsableLiver):
                assess_volume(part(volume, int(low), int(high)), CHOICE)
            refused += 1
    assert refused
