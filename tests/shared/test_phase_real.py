"""Contrast phase of every real scan, and where the aorta was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_scans import SCANS, load

from hepacalc.geometry import Geometry
from hepacalc.liver.phase import detect_phase, vessel_reference
from hepacalc.records import LiverMask, Measured, Volume
from hepacalc.study import read_nifti_labels

pytestmark = pytest.mark.shared


def slab(volume: Volume, liver: LiverMask, low: float, high: float) -> tuple[Volume, LiverMask]:
    """Return the part of a scan between two shares of the liver's height."""
    turn = volume.geometry.canonical()
    levels = np.flatnonzero(turn.apply(liver.mask).any(axis=(1, 2)))
    height = levels[-1] + 1 - levels[0]
    box = (slice(int(levels[0] + low * height), int(levels[0] + high * height)), slice(None), slice(None))
    grid: Geometry = turn.geometry.crop(box)
    part = Volume(turn.apply(volume.hu)[box], grid, volume.acquisition)
    return part, LiverMask(turn.apply(liver.mask)[box], grid, "file", "1", 1.0)


@pytest.mark.parametrize("name", list(SCANS))
def test_phase_of_the_whole_and_of_parts(shared: Path, name: str) -> None:
    volume, liver = load(shared, name)
    found = detect_phase(volume, liver)
    assert found.name == SCANS[name][2], found.evidence
    assert found.probability > 0.75
    for low, high in ((0.0, 0.5), (0.5, 1.0), (0.33, 0.67)):
        part = detect_phase(*slab(volume, liver, low, high))
        assert part.name in {SCANS[name][2], "undetermined"}, (low, high, part.evidence)


def test_centre_line_runs_in_the_labelled_aorta(shared: Path) -> None:
    volume, liver = load(shared, "ts")
    labels, grid = read_nifti_labels(shared / "ct/totalsegmentator/example_ct-labels.nii.gz")
    seen = vessel_reference(volume, liver)
    index = np.rint(grid.to_index(seen.aorta_mm)).astype(int)
    assert (labels[tuple(index.T)] == 52).mean() > 0.9
    assert isinstance(seen.aorta_hu, Measured)
    truth = volume.hu[(labels == 52) if volume.geometry.same_grid(grid) else np.zeros_like(labels, bool)]
    assert seen.aorta_hu.value == pytest.approx(truth.mean(), abs=5)
