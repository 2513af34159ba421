"""Shared by the benchmarks: run the walk on a volume, and match what it found with what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepacalc.assess import assess_volume
from hepacalc.phantom.truth import FocusTruth
from hepacalc.records import Assessment, Focus, LiverMask, Measured, Pattern, SeriesChoice, SeriesSummary, Volume
from hepacalc.study import open_study
from hepacalc.study.nifti import read_nifti_labels

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
NON_CONTRAST = {
    "ACRIN-FLT-001": "ct/acrin-flt-001",
    "TotalSegmentator 3 mm": "ct/totalsegmentator/example_ct.nii.gz",
    "ACRIN-FLT-013": "liver-train/acrin013/ct.nii.gz",
}
PORTAL = {
    "CPTAC C3L-00189": "ct/cptac-c3l-00189",
    "TotalSegmentator slab": "ct/totalsegmentator/example_ct_dicom",
    "3D-IRCADb-01": "ct/ircadb-01/dicom",
}


@dataclass(frozen=True)
class Match:
    """A true focus and the focus that was found at its place, if any."""

    truth: FocusTruth
    found: Focus | None
    scan: str
    phase: str
    thickness_mm: float
    source: str

    @property
    def mass_error(self) -> float | None:
        """Relative error of the mass, None when it was not measured."""
        mass = self.found.measurements["mass_mg"] if self.found else None
        return mass.value / self.truth.mass_mg - 1 if isinstance(mass, Measured) else None

    @property
    def is_covered(self) -> bool | None:
        """Whether the 90 % interval holds the true mass, None when it was not measured."""
        mass = self.found.measurements["mass_mg"] if self.found else None
        return mass.low <= self.truth.mass_mg <= mass.high if isinstance(mass, Measured) else None

    @property
    def pattern(self) -> str | None:
        """Dominant pattern that was found."""
        return self.found.pattern.dominant if self.found and isinstance(self.found.pattern, Pattern) else None


def walk(volume: Volume, liver: LiverMask | None = None) -> Assessment:
    """Assess a scan in memory."""
    summary = SeriesSummary("benchmark", None, "CT", volume.hu.shape[0], None, ())
    return assess_volume(volume, SeriesChoice(summary), liver_mask=liver)


def real_scan(name: str) -> Volume:
    """Read a real scan; the folder beside the checkout must be there."""
    return open_study(SHARED / (NON_CONTRAST | PORTAL)[name])[0]


def expert_liver(volume: Volume) -> np.ndarray:
    """Return the expert's mask of 3D-IRCADb-01 on the grid of its scan."""
    labels, geometry = read_nifti_labels(SHARED / "ct/ircadb-01/liver.nii.gz")
    return volume.geometry.canonical().undo(geometry.canonical().apply(labels)) > 0


def match(
    truths: Sequence[FocusTruth], assessment: Assessment, *, scan: str, phase: str, thickness_mm: float, source: str
) -> tuple[list[Match], list[Focus]]:
    """Match true foci with found ones, nearest first; return matches and calcifications that match nothing.

    A focus is found when one called calcification or indeterminate has its centre within 4 mm, or within half of the
    true diameter where that is more; parts of one true focus are not counted as false.
    """
    named = [f for f in assessment.foci if f.kind in ("calcification", "indeterminate")]
    pairs = []
    for t in truths:
        for f in named:
            gap = float(np.linalg.norm(np.subtract(t.centroid_mm, f.centroid_mm)))
            if gap <= max(4.0, t.diameter_mm / 2 + 2.0):
                pairs.append((gap, t.id, f.id))
    partner: dict[int, int] = {}
    near_truth = {f for _, _, f in pairs}
    taken: set[int] = set()
    for _, t, f in sorted(pairs):
        if t not in partner and f not in taken:
            partner[t] = f
            taken.add(f)
    by_id = {f.id: f for f in named}
    matches = [Match(t, by_id.get(partner.get(t.id, -1)), scan, phase, thickness_mm, source) for t in truths]
    return matches, [f for f in named if f.kind == "calcification" and f.id not in near_truth]


def row(name: str, value: Any, unit: str, target: str, ok: bool | None) -> dict[str, Any]:
    """Return one line of a benchmark."""
    if isinstance(value, float):
        value = round(value, 4)
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": ok}
