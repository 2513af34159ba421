"""What the rows of cost rest on: how growth is told, and that the scans are what they are said to be."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hepacalc.geometry import Geometry
from hepacalc.phantom import Phantom
from hepacalc.records import Acquisition, Volume

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from speed_cost import BALL_HU, growth, resliced, with_balls


def test_growth_is_one_when_linear_and_more_when_quadratic():
    at = (50, 150, 300, 600, 1500)
    assert growth([(n, 4 + 0.01 * n) for n in at]) == pytest.approx(1)
    assert growth([(n, n**2 / 1e4) for n in at]) > 2
    assert growth([(n, np.sqrt(n)) for n in at]) < 0.7
    assert growth([(1, 1.0), (2, 2.0)]) is None


def test_scans_have_the_slices_and_the_balls_that_are_asked_for():
    shape = (20, 50, 50)
    hu = np.repeat(np.arange(20, dtype=np.int16), 2500).reshape(shape)
    geometry = Geometry(shape, np.array([[0, 0, 4.0, 0], [0, 4.0, 0, 0], [8.0, 0, 0, 0], [0, 0, 0, 1]]))
    volume = Volume(hu, geometry, Acquisition(modality="CT"), sop_instance_uids=("1.2.3",) * 20)
    made = Phantom(volume, None, np.ones(shape, bool), np.zeros(shape, np.uint16))
    more = resliced(made, 100)
    assert len(more.volume.hu) == len(more.volume.sop_instance_uids) == 100
    assert len(set(more.volume.sop_instance_uids)) == 100
    assert more.volume.geometry.spacing_mm[0] * 100 == pytest.approx(8.0 * len(made.volume.hu))
    assert np.array_equal(more.volume.hu[-1], made.volume.hu[-1])
    added = with_balls(made, 30).volume.hu - made.volume.hu
    assert np.count_nonzero(added == BALL_HU) == 30
    with pytest.raises(ValueError, match="places"):
        with_balls(made, 100_000)
