"""A person's corrections of foci: what is drawn is what is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepacalc.errors import MeasurementError
from hepacalc.server.work.editing import edited
from hepacalc.server.work.output import view_of, write_arrays
from hepacalc.server.work.storing import LIVER_BIT
from report_example import make_example


@pytest.fixture(scope="module")
def stored():
    return make_example()


def labels_of(stored, *edits):
    mask = edited(stored, stored.volume, list(edits))
    return mask.drawn.labels, dict(mask.drawn.stated)


def test_confirming_and_renaming_leave_the_contours(stored):
    first = stored.foci[0].id
    labels, stated = labels_of(
        stored, {"op": "confirm", "focus": first}, {"op": "relabel", "focus": first + 1, "kind": "vessel"}
    )
    assert (labels == stored.labels).all()
    assert stated == {first: stored.foci[0].kind, first + 1: "vessel"}


def test_deleting_takes_a_focus_away_and_no_other(stored):
    first = stored.foci[0].id
    labels, _ = labels_of(stored, {"op": "delete", "focus": first})
    assert set(np.unique(labels)) == set(np.unique(stored.labels)) - {first}
    assert ((labels == stored.labels) | (stored.labels == first)).all()


def test_a_new_focus_is_drawn_where_nothing_was(stored):
    flat = int(np.flatnonzero(stored.labels.ravel() == 0)[1000])
    labels, stated = labels_of(stored, {"op": "draw", "focus": 0, "runs": [[flat, 3]], "kind": "calcification"})
    new = int(stored.labels.max()) + 1
    assert stated == {new: "calcification"}
    turn = stored.geometry.canonical()
    assert np.flatnonzero(turn.apply(labels).ravel() == new).tolist() == [flat, flat + 1, flat + 2]


def test_drawing_over_another_focus_leaves_it_its_voxels(stored):
    turn = stored.geometry.canonical()
    flat = np.flatnonzero(turn.apply(stored.labels).ravel() == stored.foci[0].id)
    run = [[int(flat[0]) - 2, 4]]
    labels, _ = labels_of(stored, {"op": "draw", "focus": 0, "runs": run})
    assert (labels == stored.foci[0].id).sum() == len(flat)


def test_a_threshold_takes_what_is_connected_within_its_ball(stored):
    focus = stored.foci[0]
    turn = stored.geometry.canonical()
    held = turn.apply(stored.volume.hu)
    seed = np.unravel_index(int(np.argmax(np.where(turn.apply(stored.labels) == focus.id, held, -9999))), held.shape)
    edit = {"op": "threshold", "focus": focus.id, "seed": [int(k) for k in seed], "hu": 200.0, "radius_mm": 30.0}
    labels, stated = labels_of(stored, edit)
    grown = turn.apply(labels) == focus.id
    assert grown[seed]
    assert held[grown].min() >= 200
    spacing = np.array(turn.geometry.spacing_mm)
    assert (np.linalg.norm((np.argwhere(grown) - seed) * spacing, axis=1) <= 30).all()
    assert stated[focus.id] == focus.kind
    with pytest.raises(MeasurementError, match="below"):
        labels_of(stored, {**edit, "hu": 3000.0})


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "delete", "focus": 999},
        {"op": "draw", "focus": 0, "runs": [[-5, 3]]},
        {"op": "draw", "focus": 0, "runs": [[10**12, 3]]},
        {"op": "threshold", "focus": 0, "seed": [-1, 0, 0], "hu": 1, "radius_mm": 5},
        {"op": "threshold", "focus": 0, "seed": [10**6, 0, 0], "hu": 1, "radius_mm": 5},
    ],
)
def test_what_lies_elsewhere_is_refused(stored, edit):
    with pytest.raises(MeasurementError):
        labels_of(stored, edit)


def test_the_viewers_arrays_hold_scan_liver_and_foci(stored, tmp_path):
    write_arrays(stored.volume, stored.liver_mask, stored.labels, tmp_path)
    turn = stored.geometry.canonical()
    scan, both = np.load(tmp_path / "scan.npy"), np.load(tmp_path / "labels.npy")
    assert scan.dtype == np.dtype("<i2")
    assert (scan == turn.apply(stored.volume.hu)).all()
    assert ((both & ~np.uint16(LIVER_BIT)) == turn.apply(stored.labels)).all()
    assert ((both & LIVER_BIT > 0) == turn.apply(stored.liver_mask.mask)).all()
    assert view_of(replace(stored.volume))["shape"] == list(scan.shape)
