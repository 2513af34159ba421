"""Segments of digital livers: veins along the planes, every liver its own, old bodies untouched."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.phantom.patient import Scene, draw_scene
from hepacalc.phantom.segments import SEGMENTS, SegmentTruth, draw_plan


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(12, foci=[], mimics=(), varied=True)


@pytest.fixture(scope="module")
def truth(scene: Scene) -> SegmentTruth:
    assert scene.anatomy.segments is not None
    return scene.anatomy.segments


def inside(truth: SegmentTruth, count: int = 4000) -> np.ndarray:
    cells = np.argwhere(truth.liver.values < 0)
    picked = cells[np.random.default_rng(1).choice(len(cells), min(count, len(cells)), replace=False)]
    return (np.array(truth.liver.origin_mm) + truth.liver.step_mm * picked)[:, ::-1]


def test_a_body_without_a_plan_knows_no_segments() -> None:
    assert draw_scene(12, foci=[], mimics=()).anatomy.segments is None


def test_every_segment_is_there_and_the_right_lobe_is_the_larger(truth: SegmentTruth) -> None:
    names, counts = np.unique(truth.at(inside(truth)), return_counts=True)
    assert set(names) == set(SEGMENTS)
    share = dict(zip(names, counts / counts.sum(), strict=True))
    assert 0.5 < sum(share[s] for s in ("V", "VI", "VII", "VIII")) < 0.85


def test_main_veins_run_along_the_planes(truth: SegmentTruth) -> None:
    plan = truth.plan
    for line, plane in ((plan.veins[0], plan.right), (plan.veins[1], plan.main)):
        for point in line:
            assert abs((point - plane[0]) @ plane[1]) < 6


def test_portal_twigs_stay_in_their_segment(scene: Scene, truth: SegmentTruth) -> None:
    ends = np.array([(a, b) for a, b, radius, _ in scene.anatomy.trees.portal_rods if radius < 1.6])
    first, last = truth.at(ends[:, 0, ::-1]), truth.at(ends[:, 1, ::-1])
    assert np.mean(np.array(first) == np.array(last)) > 0.9


def test_margin_is_the_way_to_another_segment(truth: SegmentTruth) -> None:
    points = inside(truth, 60)
    margin = truth.margin_mm(points)
    own = truth.index_at(points)
    near = np.random.default_rng(2).normal(size=(60, 40, 3))
    near *= ((margin - 1.5).clip(0)[:, None] / np.linalg.norm(near, axis=2))[..., None]
    around = points[:, None] + near
    same = truth.index_at(around.reshape(-1, 3)).reshape(60, 40) == own[:, None]
    is_liver = truth.liver.at(around.reshape(-1, 3)[:, ::-1]).reshape(60, 40) < 0
    assert np.mean(same[is_liver]) > 0.98


def test_plans_differ_from_seed_to_seed_and_repeat() -> None:
    plans = [draw_plan(np.random.default_rng(k)) for k in range(40)]
    azimuth = [np.degrees(np.arctan2(-p.main[1][1], p.main[1][2])) for p in plans]
    assert 4 < np.std(azimuth) < 14
    assert np.std([p.portal[0][-1][0] for p in plans]) > 4
    again = draw_plan(np.random.default_rng(3))
    np.testing.assert_array_equal(again.main[1], plans[3].main[1])
