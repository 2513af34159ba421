"""Test bodies: each is what its name says, truth by construction, the same seed the same bytes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hepacalc.errors import UsageError
from hepacalc.phantom import FocusSpec, Phantom, make_body

SIZE = (6.0, 2.5, 2.5)


@cache
def made(name: str, seed: int = 3) -> Phantom:
    return make_body(name, seed, spacing_mm=SIZE)


def hu(body: Phantom) -> float:
    return float(np.median(body.volume.hu[body.liver]))


def ml(body: Phantom, part: np.ndarray | None = None) -> float:
    inside = body.liver if part is None else body.liver & part
    return float(inside.sum()) * body.volume.geometry.voxel_mm3 / 1000


@pytest.fixture(scope="module")
def usual() -> Phantom:
    return made("non-contrast")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cirrhotic", "arms down", "situs inversus"])
def test_the_same_seed_gives_the_same_bytes_and_another_another(name: str) -> None:
    first, again, other = made(name), made.__wrapped__(name), made(name, 4)
    assert first.volume.hu.tobytes() == again.volume.hu.tobytes()
    assert first.liver.tobytes() == again.liver.tobytes()
    assert first.volume.hu.dtype == np.int16
    assert first.liver.shape == first.volume.hu.shape
    assert first.volume.hu.tobytes() != other.volume.hu.tobytes()
    assert 200 < ml(first) < 2600


@pytest.mark.slow
def test_fat_and_iron_change_the_liver_as_in_life() -> None:
    for seed in (1, 2):
        assert -5 < hu(made("fatty", seed)) < 35
        assert 85 < hu(made("iron", seed)) < 145
        assert 85 < hu(made("amiodarone", seed)) < 130


@pytest.mark.slow
def test_shapes_are_what_they_are_called(usual: Phantom) -> None:
    x = np.arange(usual.volume.hu.shape[2]) * SIZE[2] + usual.volume.geometry.affine[0, 3]
    right = np.broadcast_to(x < -25, usual.liver.shape)

    def share_right(name: str) -> float:
        body = made(name)
        return ml(body, right[: len(body.liver)]) / ml(body)

    normal = ml(usual, right) / ml(usual)
    assert share_right("cirrhotic") < normal - 0.05
    assert share_right("right hepatectomy") < normal - 0.15
    assert share_right("left hepatectomy") > normal + 0.1
    assert share_right("situs inversus") < 0.3
    assert ml(made("right hepatectomy")) < 0.75 * ml(usual)
    assert ml(made("child")) < 0.5 * ml(usual)
    tall = [np.ptp(np.flatnonzero(b.liver.any((1, 2)))) * SIZE[0] for b in (made("Riedel lobe"), usual)]
    assert tall[0] > tall[1] + 40


@pytest.mark.slow
def test_ascites_and_tumour_are_seen(usual: Phantom) -> None:
    body = made("ascites")
    fluid = (np.abs(body.volume.hu.astype(int) - 9) < 12) & ~body.liver
    assert fluid.sum() > 2 * ((np.abs(usual.volume.hu.astype(int) - 9) < 12) & ~usual.liver).sum()
    ill = made("large tumour")
    dark = ill.liver & (ill.volume.hu < hu(ill) - 20)
    assert dark.sum() * ill.volume.geometry.voxel_mm3 / 1000 > 100


def test_foci_lie_where_the_mirrored_truth_says() -> None:
    body = make_body("situs inversus", 2, spacing_mm=(3.0, 1.5, 1.5), foci=(FocusSpec("nodular solid", 14, 700),))
    focus = body.truth.foci[0]
    z, y, x = np.round(body.volume.geometry.to_index(focus.centroid_mm)).astype(int)
    assert body.labels[z, y, x] == focus.id
    assert body.volume.hu[z, y, x] > 400
    assert focus.centroid_mm[0] > 0


def test_an_unknown_body_is_told() -> None:
    with pytest.raises(UsageError, match="headless"):
        make_body("headless", 1)
