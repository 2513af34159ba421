"""Digital patients as sources."""

from __future__ import annotations

import numpy as np
from training.cases import LABELS
from training.digital import organ_map

from hepacalc.phantom import draw_scene


def test_the_organ_map_has_organs_where_they_are() -> None:
    scene = draw_scene(3, foci=[])
    z, y, x = (np.arange(*span, 6.0) for span in ((-250, 60), (-150, 180), (-200, 200)))
    labels = organ_map(scene, z, y, x)
    counts = np.bincount(labels.ravel(), minlength=len(LABELS)) * 6.0**3 / 1000
    low = {"liver": 700, "spleen": 60, "kidney": 120, "heart": 150, "lung": 600, "bone": 300, "bowel": 100}
    for name, least in low.items():
        assert counts[LABELS.index(name)] > least, name
    middle = {n: (np.argwhere(labels == LABELS.index(n)).mean(0)) for n in ("liver", "spleen", "heart")}
    # LPS: the liver lies right of the spleen, the heart above the liver
    assert middle["liver"][2] < middle["spleen"][2]
    assert middle["heart"][0] > middle["liver"][0]
