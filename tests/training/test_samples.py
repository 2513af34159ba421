"""Samples: the same each time, and right by construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bodies import small_body
from hypothesis import given, settings
from hypothesis import strategies as st
from training.artefacts import add_artefacts, cut_off
from training.cases import LABELS
from training.disease import (
    Scene,
    add_calcium,
    add_effusion,
    add_fluid_rim,
    add_large_tumour,
    add_lesions,
    take_lobe_out,
)  # fmt: skip
from training.geometry import CROP, anchors_of, draw_positions, elastic, take
from training.negatives import draw_negative
from training.prepare import SOURCE_MM, Source
from training.samples import CHUNK, Generator, read_chunk, write_chunk
from training.tissue import redraw_tissue

SEEDS = st.integers(0, 2**32 - 1)
Make = Callable[[int], Scene]


def copied(scene: Scene) -> Scene:
    return Scene(scene.hu.copy(), scene.labels.copy(), scene.liver.copy())


def test_a_number_gives_the_same_sample_each_time(source: Source) -> None:
    one, other = Generator([source], 5), Generator([source], 5)
    for number in (0, 7):
        a, b = one.draw(number), other.draw(number)
        assert np.array_equal(a.x, b.x)
        assert np.array_equal(a.liver, b.liver)
        assert np.array_equal(a.labels, b.labels)
    assert not np.array_equal(one.draw(0).x, one.draw(1).x)
    assert not np.array_equal(one.draw(0).x, Generator([source], 6).draw(0).x)


@settings(max_examples=8, deadline=None)
@given(number=st.integers(0, 10_000))
def test_every_sample_is_what_the_network_takes(number: int) -> None:
    sample = Generator([small_body()], 1).draw(number)
    assert sample.x.shape == sample.labels.shape == sample.liver.shape == CROP
    assert np.isfinite(sample.x).all()
    assert sample.x.min() >= 0
    assert sample.x.max() <= 2.0
    assert sample.labels.max() < len(LABELS)
    assert sample.case in {"small", "negative"}


def test_cases_come_as_often_as_they_should() -> None:
    generator = Generator([small_body("a", 3.0), small_body("b", 1.0)], 1)
    assert generator.odds.tolist() == [0.75, 0.25]


def test_chunks_survive_their_file_and_are_waited_for(tmp_path: Path, source: Source) -> None:
    generator = Generator([source], 3)
    write_chunk(generator, 1, tmp_path)
    back = read_chunk(tmp_path, 1)
    assert len(back) == CHUNK
    fresh = generator.draw(CHUNK + 5)
    assert np.array_equal(back[5].x, fresh.x)
    assert (back[5].case, back[5].missing) == (fresh.case, fresh.missing)
    with pytest.raises(FileNotFoundError, match="samples"):
        read_chunk(tmp_path, 0)


def test_positions_of_the_voxels_themselves_give_the_source(source: Source) -> None:
    lines = [(np.arange(n, dtype=np.float32) + 0.5) * SOURCE_MM for n in source.hu.shape]
    hu, labels, liver = take(source, np.stack(np.meshgrid(*lines, indexing="ij")))
    assert np.allclose(hu, source.hu)
    assert np.array_equal(labels, source.labels)
    assert np.allclose(liver * 255, source.liver)


def test_beyond_the_source_is_air(source: Source) -> None:
    hu, labels, liver = take(source, np.full((3, 4, 4, 4), -500.0, np.float32))
    assert (hu == -1000).all()
    assert not labels.any()
    assert not liver.any()


def test_elastic_is_smooth_and_as_strong_as_said() -> None:
    fields = np.stack([elastic(np.random.default_rng(k), 45, 4.5, (40, 40, 40)) for k in range(8)])
    assert 2.0 < fields.std() < 4.5
    # 4 mm further on it is nearly the same
    assert np.abs(np.diff(fields, axis=2)).mean() < 0.15 * fields.std() * 4


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, cirrhosis=st.booleans())
def test_deformation_never_folds_far(seed: int, cirrhosis: bool) -> None:
    """Where the map folds, anatomy would appear twice: that may be the case in few voxels at most."""
    where = draw_positions(np.random.default_rng(seed), anchors_of(small_body()), cirrhosis=cirrhosis)
    steps = np.stack([np.diff(where, axis=a + 1)[:, :95, :79, :47] for a in range(3)], 1)
    volume = np.linalg.det(np.moveaxis(steps, (0, 1), (-2, -1)))
    folded = min((volume < 0).mean(), (volume > 0).mean())
    assert folded < 0.02


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_tissue_stays_finite_and_air_stays_air(plain: Make, seed: int) -> None:
    scene = plain(1)
    out = redraw_tissue(np.random.default_rng(seed), scene.hu, scene.labels)
    assert np.isfinite(out).all()
    outside = scene.labels == 0
    assert np.median(out[outside & (scene.hu < -990)]) < -900
    liver = np.median(out[scene.liver > 0.9])
    assert -60 < liver < 200


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
@pytest.mark.parametrize("illness", [add_lesions, add_large_tumour, add_calcium])
def test_what_grows_in_the_liver_stays_liver(
    plain: Make, illness: Callable[[np.random.Generator, Scene], None], seed: int
) -> None:
    before = plain(seed % 3)
    after = copied(before)
    illness(np.random.default_rng(seed), after)
    assert (after.liver >= before.liver).all()
    assert after.liver.max() <= 1
    changed = np.abs(after.hu - before.hu) > 60
    assert (after.liver[changed] > 0.1).all()
    assert (after.labels[before.labels == 1] == 1).all()


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_calcium_is_dense_and_liver(plain: Make, seed: int) -> None:
    before = plain(seed % 3)
    after = copied(before)
    add_calcium(np.random.default_rng(seed), after)
    dense = (after.hu > before.hu + 250) & (before.hu > -200)
    # what is half calcium or more at 4 mm is labelled as liver
    assert (after.liver[dense] > 0.15).all()
    assert after.hu.max() > before.hu.max() - 100


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
@pytest.mark.parametrize("surroundings", [add_fluid_rim, add_effusion])
def test_fluid_leaves_the_liver_alone(
    plain: Make, surroundings: Callable[[np.random.Generator, Scene], None], seed: int
) -> None:
    before = plain(seed % 3)
    after = copied(before)
    surroundings(np.random.default_rng(seed), after)
    assert np.array_equal(after.liver, before.liver)
    inside = before.liver == 1
    assert np.array_equal(after.hu[inside], before.hu[inside])
    assert not np.array_equal(after.hu, before.hu)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_a_lobe_taken_out_is_gone(plain: Make, seed: int) -> None:
    before = plain(seed % 3)
    after = copied(before)
    take_lobe_out(np.random.default_rng(seed), after)
    assert (after.liver <= before.liver).all()
    assert 0.1 < after.liver.sum() / before.liver.sum() < 0.95
    whole = after.liver == before.liver
    assert np.allclose(after.hu[whole], before.hu[whole])


def test_without_liver_nothing_happens() -> None:
    empty = Scene(np.zeros(CROP, np.float32), np.full(CROP, 13, np.uint8), np.zeros(CROP, np.float32))
    for illness in (add_lesions, add_large_tumour, add_calcium, add_fluid_rim, take_lobe_out, add_effusion):
        after = copied(empty)
        illness(np.random.default_rng(0), after)
        assert not after.hu.any()
        assert not after.liver.any()


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_a_cut_scan_has_no_liver_where_it_ends(plain: Make, seed: int) -> None:
    scene = plain(2)
    cut_off(np.random.default_rng(seed), scene)
    gone = scene.hu == -1000
    assert not scene.liver[gone & (scene.labels == 0)].any()


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_artefacts_change_the_picture_not_the_body(plain: Make, seed: int) -> None:
    scene = plain(3)
    out = add_artefacts(np.random.default_rng(seed), scene.hu)
    assert np.isfinite(out).all()
    inside = scene.liver > 0.95
    assert abs(np.median(out[inside]) - np.median(scene.hu[inside])) < 45


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_what_is_no_patient_has_no_liver(seed: int) -> None:
    scene = draw_negative(np.random.default_rng(seed))
    assert scene.hu.shape == CROP
    assert np.isfinite(scene.hu).all()
    assert not scene.liver.any()
    assert not (scene.labels == LABELS.index("liver")).any()
