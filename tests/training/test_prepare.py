"""From a scan to a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bodies import SHAPE, ellipsoid, small_body
from training.cases import CASES, LABELS
from training.prepare import SOURCE_MM, Source, mark_chest, prepare_case, source_of

from hepacalc.geometry import Geometry


@pytest.mark.parametrize("direction", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
def test_network_order_is_right_front_head(direction: tuple[int, int, int]) -> None:
    """Whatever the direction of the axes, a block at the patient's right, back and head lands there."""
    shape, step = (40, 50, 60), 2.0
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, sign in enumerate(direction):
        affine[2 - axis, axis] = step * sign
        affine[2 - axis, 3] = 0 if sign > 0 else step * (shape[axis] - 1)
    geometry = Geometry(shape, affine)
    world = geometry.to_world(np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1))
    # LPS: the right is small x, the back large y, the head large z
    block = (world[..., 0] < 30) & (world[..., 1] > 70) & (world[..., 2] > 60)
    hu = np.where(block, 60, -100).astype(np.int16)
    made = source_of("block", hu, block.astype(np.uint8), block, geometry)
    x, y, z = (np.argwhere(made.liver > 127).mean(0) / made.liver.shape).tolist()
    assert x > 0.7
    assert y < 0.3
    assert z > 0.6
    assert made.liver.sum() / 255 * SOURCE_MM**3 == pytest.approx(block.sum() * step**3, rel=0.05)
    assert (made.labels[made.liver > 200] == 1).all()
    assert made.hu[made.liver == 255].min() > 40


def test_padding_beyond_the_field_of_view_is_air() -> None:
    hu = np.full((8, 8, 8), -3024, np.int16)
    none = np.zeros((8, 8, 8), bool)
    made = source_of("pad", hu, none.astype(np.uint8), none, Geometry((8, 8, 8), np.diag([2.0, 2, 2, 1])[[2, 1, 0, 3]]))
    assert made.hu.min() == -1024


def test_the_chest_is_marked_between_the_lungs_only() -> None:
    labels = small_body().labels
    labels[ellipsoid((56, 46, 64), (6, 12, 10))] = LABELS.index("other")
    marked = mark_chest(labels)
    heart = marked == LABELS.index("heart")
    assert heart[56, 46, 64]
    assert not heart[:, :, :30].any()
    assert (labels[heart] == LABELS.index("other")).all()
    assert (marked[~heart] == labels[~heart]).all()


def test_without_lungs_nothing_is_marked() -> None:
    labels = np.full(SHAPE, LABELS.index("other"), np.uint8)
    assert (mark_chest(labels) == labels).all()


def test_a_source_survives_its_file(tmp_path: Path, source: Source) -> None:
    source.save(tmp_path)
    back = Source.load(tmp_path / "small.npz")
    assert (back.name, back.missing, back.weight) == (source.name, source.missing, source.weight)
    for name in ("hu", "labels", "liver"):
        assert np.array_equal(getattr(back, name), getattr(source, name))


def test_no_case_is_the_one_kept_for_measuring() -> None:
    assert not [case for case in CASES if "ircad" in case.scan.lower()]
    assert all(case.licence for case in CASES)


@pytest.mark.shared
def test_a_real_scan_becomes_a_source(shared: Path) -> None:
    """Labels lie where the organ is: the liver's HU is that of a liver, and its volume is kept."""
    slab = next(case for case in CASES if case.name == "ts_slab")
    made = prepare_case(slab, shared)
    assert 60 < np.median(made.hu[made.liver > 250]) < 160
    assert made.liver.sum() / 255 * SOURCE_MM**3 / 1000 == pytest.approx(699, rel=0.02)
    assert np.median(made.hu[made.labels == LABELS.index("bone")]) > 100
