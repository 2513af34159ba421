"""A scan that cuts the body at a side: the liver is followed to the edge, and told to be cut.

To the network the cut looked like skin: it left out the liver within some centimetres of it, so that no cut was told.
"""

from dataclasses import replace

import numpy as np

from hepacalc.liver import liver_coverage
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.phantom import make_patient


def test_the_liver_of_half_a_body_reaches_the_edge_and_is_told_to_be_cut() -> None:
    body = make_patient(64, foci=[], mimics=(), spacing_mm=(5.0, 2.0, 2.0), phase="portal", z_range_mm=(-260.0, 60.0))
    end = int(np.flatnonzero(body.liver.any((0, 1))).mean())
    box = (slice(None), slice(None), slice(0, end))
    hu = np.ascontiguousarray(body.volume.hu[box])
    half = replace(body.volume, hu=hu, geometry=body.volume.geometry.crop(box))
    liver = body.liver[box]
    found = EmbeddedSegmenter().segment(half)
    assert [cut.side for cut in liver_coverage(found, half).cuts] == ["left"]
    assert np.count_nonzero(found.mask[..., -1] & liver[..., -1]) > 0.4 * np.count_nonzero(liver[..., -1])
    assert 2 * np.count_nonzero(found.mask & liver) > 0.9 * (np.count_nonzero(found.mask) + np.count_nonzero(liver))
