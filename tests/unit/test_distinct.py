"""No focus is counted twice."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hepacalc.assess import assess_volume
from hepacalc.foci.detect import Candidate
from hepacalc.foci.distinct import distinct
from hepacalc.phantom import make_patient
from hepacalc.records import LiverMask, Measured, SeriesChoice, SeriesSummary


def block(low: tuple[int, int, int], high: tuple[int, int, int], peak_hu: float, background: float = 50.0) -> Candidate:
    """A box-shaped candidate with its peak in the corner ``low``."""
    shape = tuple(b - a for a, b in zip(low, high, strict=True))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return Candidate(low, peak_hu, background, peak_hu / 10, (box[0], box[1], box[2]), np.ones(shape, bool),
                     1.0, 20.0, 15.0, False, False)  # fmt: skip


def test_a_skin_around_a_brighter_part_is_joined_to_it() -> None:
    whole, part = block((0, 0, 0), (6, 6, 6), 400), block((2, 2, 2), (4, 4, 4), 600)
    skin = whole.region.copy()
    skin[2:4, 2:4, 2:4] = False
    found = distinct([part, replace(whole, region=skin)])
    assert len(found) == 1
    assert found[0].region.all()
    assert (found[0].peak, found[0].peak_hu) == ((2, 2, 2), 600)


def test_a_faint_skin_is_joined_and_a_faint_neighbour_is_not() -> None:
    part = block((2, 2, 2), (5, 5, 5), 500)
    skin = np.ones((5, 5, 5), bool)
    skin[1:4, 1:4, 1:4] = False
    # thick slices leave what lies around a peak below half of it: here a third of its height
    around = replace(block((1, 1, 1), (6, 6, 6), 200), region=skin)
    assert len(distinct([part, around])) == 1
    assert len(distinct([replace(part, peak_hu=1500), around])) == 2
    long = block((2, 2, 5), (5, 5, 40), 200)
    assert len(distinct([part, long])) == 2


def test_calcium_along_a_vessel_is_no_part_of_it_and_cannot_be_swallowed_one_after_the_other() -> None:
    vessel = block((0, 0, 0), (4, 4, 90), 290)
    foci = [block((4, 0, 10 * k), (5, 3, 10 * k + 3), 400 + 150 * k) for k in range(3)]
    assert len(distinct([vessel, *foci], vessel_hu=200.0)) == 1
    found = distinct([vessel, *foci], vessel_hu=200.0, is_vessel=lambda candidate: candidate.peak_hu < 300)
    assert found == (*reversed(foci), vessel)
    # what lies around a focus like a skin is not far larger than it
    skin = block((3, 0, 0), (4, 3, 6), 290)
    assert len(distinct([skin, foci[0]], vessel_hu=200.0, is_vessel=lambda _: True)) == 1


def test_a_focus_beside_a_rib_is_no_part_of_the_rib() -> None:
    rib, focus = block((0, 0, 0), (9, 9, 4), 700), block((4, 4, 4), (6, 6, 6), 500)
    outside = replace(rib, inside=0.1)
    found = distinct([outside, focus])
    assert len(found) == 2
    assert found[0] is outside
    assert found[1] is focus


def test_apart_and_side_by_side_stay_as_they_are_brightest_first() -> None:
    one, two, three = (
        block((0, 0, 0), (4, 4, 4), 300),
        block((0, 0, 4), (4, 4, 9), 500),
        block((9, 9, 9), (11, 11, 11), 400),
    )
    assert distinct([one, two, three]) == (two, three, one)
    assert distinct([]) == ()


def test_a_brighter_part_gives_its_peak_to_the_whole() -> None:
    whole, part = block((0, 0, 0), (6, 6, 6), 400), block((2, 2, 2), (5, 5, 5), 600)
    for order in ([whole, part], [part, whole]):
        found = distinct(order)
        assert len(found) == 1
        assert found[0].region.sum() == whole.region.sum()
        assert (found[0].peak, found[0].peak_hu) == ((2, 2, 2), 600)


def test_metal_within_calcium_stays_a_thing_of_its_own() -> None:
    whole, part = block((0, 0, 0), (8, 8, 8), 400), block((4, 4, 4), (6, 6, 6), 3000)
    first, second = distinct([whole, part])
    assert first is part
    assert second.peak_hu == 400
    assert second.region.sum() == whole.region.sum() - part.region.sum()


def test_calcium_in_a_vessel_is_cut_out_of_the_vessel() -> None:
    vessel, part = block((0, 0, 0), (3, 3, 30), 180, 100), block((0, 0, 20), (3, 3, 24), 260, 100)
    first, second = distinct([vessel, part], vessel_hu=190.0)
    assert first is part
    # what hangs on the vessel's own peak is left
    assert second.region.shape == (3, 3, 20)
    # on a plain scan the two are one
    assert len(distinct([vessel, part])) == 1


def test_a_whole_whose_peak_belongs_to_the_part_gives_way() -> None:
    whole, part = block((0, 0, 0), (3, 3, 9), 180, 100), block((0, 0, 0), (3, 3, 4), 185, 100)
    assert distinct([whole, part], vessel_hu=190.0) == (part,)


@pytest.mark.parametrize("seed", [31, 32])
def test_the_rims_of_a_coarse_scan_are_counted_once(seed: int) -> None:
    made = make_patient(seed, spacing_mm=(5.0, 2.0, 2.0), mimics=())
    liver = LiverMask(made.liver, made.volume.geometry, "truth", "1", 1.0)
    found = assess_volume(made.volume, SeriesChoice(SeriesSummary("1", None, "CT", 1, 1.0, ())), liver_mask=liver)
    for focus in found.foci:
        assert (found.labels == focus.id).any(), "each focus has voxels of its own"
    total = found.burden.total_mass_mg
    assert isinstance(total, Measured)
    assert total.value < 1.1 * made.truth.total_mass_mg
