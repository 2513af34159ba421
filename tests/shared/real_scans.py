"""The real scans with their liver contours, read the way hepacalc reads them."""

from __future__ import annotations

from pathlib import Path

from hepacalc.liver.place import place_exactly
from hepacalc.records import LiverMask, Volume
from hepacalc.study import open_study, read_nifti_labels

SCANS = {
    "acrin001": ("ct/acrin-flt-001", "liver-train/acrin001/labels.nii.gz", "non-contrast"),
    "cptac": ("ct/cptac-c3l-00189", "liver-train/cptac/labels.nii.gz", "portal venous"),
    "ts": ("ct/totalsegmentator/example_ct.nii.gz", "liver-train/ts/labels.nii.gz", "non-contrast"),
    "ts_slab": ("ct/totalsegmentator/example_ct_dicom", "liver-train/ts_slab/labels.nii.gz", "portal venous"),
    "ircadb": ("ct/ircadb-01/dicom", "ct/ircadb-01/liver.nii.gz", "portal venous"),
    "acrin013": ("liver-train/acrin013/ct.nii.gz", "liver-train/acrin013/labels.nii.gz", "non-contrast"),
    "cmb": ("liver-train/cmb/ct.nii.gz", "liver-train/cmb/labels.nii.gz", "arterial"),
}


def load(shared: Path, name: str) -> tuple[Volume, LiverMask]:
    scan, labels, _ = SCANS[name]
    volume = open_study(shared / scan)[0]
    values, grid = read_nifti_labels(shared / labels)
    placed = place_exactly(values == 1, grid, volume.geometry)
    assert placed is not None
    return volume, LiverMask(placed.mask, volume.geometry, "file", "1", 1.0)
