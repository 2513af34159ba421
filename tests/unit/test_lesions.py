"""Which foci are one lesion."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepacalc.foci.lesions import Placed, group_foci

A = np.array


def ball(centre: tuple[float, float, float], size: float, name: str = "nodular solid", seed: int = 0) -> Placed:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(400, 3))
    p *= size / 2 * rng.random((400, 1)) ** (1 / 3) / np.linalg.norm(p, axis=1)[:, None]
    return Placed(p + centre, name, size, 500.0)


def cap(radius: float, axis: NDArray[np.float64], share: float, name: str = "rim incomplete") -> Placed:
    rng = np.random.default_rng(1)
    p = rng.normal(size=(6000, 3))
    p /= np.linalg.norm(p, axis=1)[:, None]
    p = p[p @ axis > 1 - 2 * share]
    p *= radius + rng.uniform(-0.7, 0.7, (len(p), 1))
    return Placed(p, name, float(2 * radius), 500.0)


def line(start: tuple[float, float, float], end: tuple[float, float, float]) -> Placed:
    rng = np.random.default_rng(2)
    a, b = A(start, float), A(end, float)
    p = a + (b - a) * rng.random((300, 1)) + 0.4 * rng.normal(size=(300, 3))
    return Placed(p, "linear vascular", float(np.linalg.norm(b - a)), 400.0)


def members(bodies: list[Placed]) -> list[tuple[int, ...]]:
    return [g.members for g in group_foci(bodies)]


def test_nothing_is_no_group() -> None:
    assert group_foci([]) == []


def test_two_nodules_15_mm_apart_are_two_lesions() -> None:
    groups = group_foci([ball((0, 0, 0), 10), ball((0, 0, 15), 10)])
    assert [g.members for g in groups] == [(0,), (1,)]
    assert all(g.reasons == () for g in groups)


def test_touching_nodules_are_one() -> None:
    groups = group_foci([ball((0, 0, 0), 10), ball((0, 0, 11.5), 10)])
    assert [g.members for g in groups] == [(0, 1)]
    assert "3 mm" in groups[0].reasons[0]


@pytest.mark.parametrize("gap", [4.0, 5.0, 6.0])
def test_many_grains_are_one(gap: float) -> None:
    grains = [ball((0, gap * (k // 3), gap * (k % 3)), 1.2, "punctate") for k in range(9)]
    groups = group_foci(grains)
    assert [g.members for g in groups] == [tuple(range(9))]
    assert any("sand" in r for r in groups[0].reasons)


def test_two_grains_are_two() -> None:
    assert members([ball((0, 0, 0), 1.2, "punctate"), ball((0, 0, 6), 1.2, "punctate")]) == [(0,), (1,)]


def test_halves_of_a_rim_are_one() -> None:
    up = A([1.0, 0, 0])
    groups = group_foci([cap(12, up, 0.35), cap(12, -up, 0.3, "curvilinear")])
    assert [g.members for g in groups] == [(0, 1)]
    assert "24 mm" in groups[0].reasons[0]


def test_nodule_beside_a_rim_is_its_own_and_inside_it_is_not() -> None:
    rim = cap(12, A([1.0, 0, 0]), 0.6)
    assert members([rim, ball((0, 0, 30), 8)]) == [(0,), (1,)]
    assert members([rim, ball((0, 0, 0), 4)]) == [(0, 1)]


def test_lines_that_follow_or_run_side_by_side() -> None:
    first = line((0, 0, 0), (0, 0, 15))
    assert members([first, line((0, 1, 20), (0, 2, 34))]) == [(0, 1)]
    assert members([first, line((0, 5, 1), (0, 5, 16))]) == [(0, 1)]
    assert members([first, line((0, 15, 1), (0, 15, 16))]) == [(0,), (1,)]


def test_every_focus_is_in_one_group_whatever_the_order() -> None:
    rng = np.random.default_rng(3)
    foci = [
        ball(tuple(rng.uniform(0, 60, 3)), float(rng.choice([1.5, 4.0, 8.0])), "punctate", seed=k) for k in range(40)
    ]
    once = {frozenset(g) for g in members(foci)}
    assert sorted(k for g in once for k in g) == list(range(40))
    turned = {frozenset(39 - k for k in g) for g in members(foci[::-1])}
    assert turned == once
