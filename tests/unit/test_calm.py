"""Dense islands taken out before the network: calcium in soft tissue goes, bone and large organs stay."""

from __future__ import annotations

import numpy as np
import pytest

from hepacalc.liver.calm import without_dense


@pytest.fixture
def tissue() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(60, 4, (40, 40, 40)).astype(np.float32)


def test_an_island_in_soft_tissue_becomes_soft_tissue(tissue: np.ndarray) -> None:
    tissue[15:20, 15:20, 15:20] = 800
    before = tissue.copy()
    calm = without_dense(tissue)
    assert calm.max() < 100
    assert calm[15:20, 15:20, 15:20].mean() == pytest.approx(60, abs=3)
    np.testing.assert_array_equal(tissue, before)
    far = np.ones(tissue.shape, bool)
    far[13:22, 13:22, 13:22] = False
    np.testing.assert_array_equal(calm[far], tissue[far])


def test_a_rib_between_lung_and_fat_stays(tissue: np.ndarray) -> None:
    tissue[:, :, :14] = -850
    tissue[:, :, 16:] = -100
    tissue[10:30, 18:22, 13:17] = 500
    np.testing.assert_array_equal(without_dense(tissue), tissue)


def test_what_is_large_stays(tissue: np.ndarray) -> None:
    tissue[8:24, 8:24, 8:24] = 400
    np.testing.assert_array_equal(without_dense(tissue), tissue)


def test_an_island_at_the_edge_of_the_scan(tissue: np.ndarray) -> None:
    tissue[0:3, 0:3, 0:3] = 700
    assert without_dense(tissue).max() < 100
    alone = np.full((4, 4, 4), 900, np.float32)
    np.testing.assert_array_equal(without_dense(alone), alone)
