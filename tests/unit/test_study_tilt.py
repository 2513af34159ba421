"""Gantry tilt: resampled to an orthogonal grid, masks back on the tilted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.errors import GridMismatch
from hepacalc.geometry import Geometry
from hepacalc.records import Volume
from hepacalc.study import open_study, read_nifti_labels, write_mask_nifti
from hepacalc.study.tilt import labels_from_source, labels_to_source, straighten
from study_files import write_nifti, write_series

ROWS, COLUMNS = 48, 40


def _ball(world: np.ndarray) -> np.ndarray:
    """HU of a smooth ball at (-85, -62, 60) mm in air, sampled at LPS points."""
    r = np.linalg.norm(world - np.array([-85.0, -62.0, 60.0]), axis=-1)
    return np.rint(-1000 + 1400 / (1 + np.exp((r - 8.0) / 1.0))).astype(np.int16)


def _tilted(tmp_path: Path, degrees: float) -> Path:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    along_y = np.array([0, cosine, -sine])
    y, x = np.mgrid[:ROWS, :COLUMNS]

    def each(k: int) -> dict[str, object]:
        position = np.array([-100.0, -80.0, 40.0 + 2.0 * k])
        world = position + y[..., None] * 0.8 * along_y + x[..., None] * np.array([0.7, 0, 0])
        return {"ImagePositionPatient": list(position), "hu": _ball(world)}

    orientation = [1, 0, 0, 0, round(float(cosine), 9), round(float(-sine), 9)]
    return write_series(tmp_path / "s", 22, each=each, ImageOrientationPatient=orientation)


@pytest.mark.parametrize("degrees", [18.5, -18.5, 5.0])
def test_a_tilted_series_is_straightened_where_it_lies(tmp_path: Path, degrees: float) -> None:
    volume, _ = open_study(_tilted(tmp_path, degrees))
    assert not volume.geometry.is_sheared
    assert volume.source_geometry is not None
    assert volume.source_geometry.is_sheared
    assert any(f"gantry tilt of {abs(degrees):.1f} degrees" in note for note in volume.transforms)
    assert volume.acquisition.gantry_tilt_degrees == pytest.approx(degrees, abs=0.05)
    index = np.stack(np.meshgrid(*map(np.arange, volume.geometry.shape), indexing="ij"), -1)
    wanted = _ball(volume.geometry.to_world(index))
    assert np.abs(volume.hu.astype(int) - wanted).max() < 60  # linear interpolation of an edge of 1400 HU
    assert volume.geometry.voxel_mm3 == pytest.approx(volume.source_geometry.voxel_mm3)


@pytest.mark.parametrize("degrees", [18.5, -18.5])
def test_masks_return_to_the_tilted_grid(tmp_path: Path, degrees: float) -> None:
    volume, _ = open_study(_tilted(tmp_path, degrees))
    mask = volume.hu > -300
    write_mask_nifti(mask, volume, tmp_path / "m.nii.gz")
    labels, geometry = read_nifti_labels(tmp_path / "m.nii.gz")
    assert volume.source_geometry is not None
    assert geometry.same_grid(volume.source_geometry, tolerance_mm=1e-3)
    where = geometry.to_world(np.argwhere(labels)).mean(axis=0)
    np.testing.assert_allclose(where, volume.geometry.to_world(np.argwhere(mask)).mean(axis=0), atol=0.25)
    assert labels.sum() == pytest.approx(mask.sum(), rel=0.03)


def test_hu_sums_are_kept(tmp_path: Path) -> None:
    """What lies outside is air of -1024, so sums above it are conserved."""
    rng = np.random.default_rng(1)
    hu = rng.integers(-1000, 1000, (9, 12, 11)).astype(np.float32)
    affine = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([2.0, 0.8, 0.7, 1.0])
    affine[:3, 0] += [0.13, 0.77, 0]
    straight, layout = straighten(hu, Geometry(hu.shape, affine), 0)
    assert (straight + 1024).sum() == pytest.approx((hu + 1024).sum(), rel=1e-5)
    assert layout.geometry.is_sheared is False


@settings(max_examples=40, deadline=None)
@given(
    axis=st.integers(0, 2),
    drift=st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)),
    shape=st.tuples(*[st.integers(3, 7)] * 3),
)
def test_labels_go_there_and_back(axis: int, drift: tuple[float, float], shape: tuple[int, int, int]) -> None:
    """Every source voxel finds the label that its nearest straight voxel has."""
    affine = np.diag([2.0, 0.8, 0.7, 1.0])
    others = [a for a in range(3) if a != axis]
    for a, d in zip(others, drift, strict=True):
        affine[:3, axis] += d * affine[:3, a]
    source = Geometry(shape, affine)
    _, layout = straighten(np.zeros(shape, np.int16), source, axis)
    labels = np.arange(np.prod(layout.geometry.shape), dtype=np.uint16).reshape(layout.geometry.shape)
    back = labels_to_source(labels, source, axis)
    index = np.argwhere(np.ones(shape, bool))
    near = layout.geometry.to_index(source.to_world(index))
    found = np.stack(np.unravel_index(back.reshape(-1), layout.geometry.shape), 1)
    assert np.abs(found - near).max() <= 0.5 + 2e-3
    again = labels_from_source(back, source, layout.geometry, axis)
    assert (again[again > 0] == labels[again > 0]).all()
    assert np.array_equal(labels_to_source(again, source, axis), back)


@pytest.mark.parametrize("degrees", [-11.3, 4.0, 26.56505117707799])
def test_masks_of_a_tilted_scan_come_back_from_their_file(tmp_path: Path, degrees: float) -> None:
    """The file keeps float32; drifts of half a pixel a slice are the hard case."""
    affine = np.diag([2.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]].copy()
    affine[1, 0] = np.round(2.0 * np.tan(np.radians(degrees)), 6)
    source = Geometry((21, 30, 32), affine)
    hu, layout = straighten(np.zeros(source.shape, np.int16), source, 0)
    labels = np.zeros(layout.geometry.shape, np.uint16)
    labels[4:15, 12:24, 9:20] = 1
    volume = Volume(hu, layout.geometry, source_geometry=source)
    write_mask_nifti(labels, volume, tmp_path / "m.nii.gz")
    read, grid = read_nifti_labels(tmp_path / "m.nii.gz")
    assert grid.is_sheared
    back = labels_from_source(read, grid, layout.geometry, 0)
    # what lies outside the tilted slices is not in the file
    inside = labels_from_source(np.ones(source.shape, np.uint8), source, layout.geometry, 0) > 0
    assert np.array_equal(back, labels * inside)
    with pytest.raises(GridMismatch):
        labels_from_source(read, grid, layout.geometry.crop((slice(0, 20), slice(None), slice(None))), 0)


def test_a_sheared_nifti_is_straightened_too(tmp_path: Path) -> None:
    ras = np.diag([-0.7, -0.8, 2.5, 1.0])
    ras[1, 2] = 0.9
    path = write_nifti(tmp_path / "a.nii", np.arange(6 * 8 * 9, dtype=np.int16).reshape(6, 8, 9), ras)
    volume, _ = open_study(path)
    assert volume.source_geometry is not None
    assert not volume.geometry.is_sheared
    write_mask_nifti(np.ones(volume.geometry.shape, np.uint8), volume, tmp_path / "m.nii")
    labels, geometry = read_nifti_labels(tmp_path / "m.nii")
    assert labels.shape == (6, 8, 9)
    assert geometry.same_grid(volume.source_geometry, tolerance_mm=1e-3)


def test_a_rounded_position_is_no_tilt(tmp_path: Path) -> None:
    write_series(tmp_path / "s", each=lambda k: {"ImagePositionPatient": [-100, -80 + 0.01 * k, 2.5 * k]})
    volume, _ = open_study(tmp_path)
    assert volume.source_geometry is None
    assert not volume.geometry.is_sheared
