"""All 48 signed axis orders: left stays left from the file to the array to the mask file."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepacalc.geometry import Geometry
from hepacalc.study import open_study, read_nifti_labels, write_mask_nifti
from study_files import write_nifti, write_series

ORDERS = [(axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
SPACING = np.array([3.0, 0.75, 0.5])
ORIGIN = np.array([-31.0, 17.0, 203.0])


def _world_to_hu(world: np.ndarray) -> np.ndarray:
    """A field that tells every point of LPS space from every other: HU grow to left, back and head at three rates."""
    return np.rint(world @ np.array([8.0, 4.0, 12.0]) - 3000).astype(np.int16)


def _affine(axes: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """Affine ``(z, y, x) -> LPS`` whose array axis ``n`` runs along world axis ``axes[n]``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for n, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, n] = sign * SPACING[n]
    affine[:3, 3] = ORIGIN
    return affine


def _field(geometry: Geometry) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), -1)
    return _world_to_hu(geometry.to_world(index))


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_geometry_canonical_round_trip(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    geometry = Geometry((5, 6, 7), _affine(axes, signs))
    array = _field(geometry)
    turn = geometry.canonical()
    standard = turn.apply(array)
    np.testing.assert_array_equal(standard, _field(turn.geometry))
    np.testing.assert_array_equal(turn.undo(standard), array)
    direction = turn.geometry.affine[:3, :3]
    assert (direction[2, 0], direction[1, 1], direction[0, 2]) == pytest.approx(
        tuple(SPACING[list(axes).index(world)] for world in (2, 1, 0))
    )


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_nifti_volume_and_mask(tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    geometry = Geometry((5, 6, 7), _affine(axes, signs))
    ras = (np.diag([-1.0, -1, 1, 1]) @ geometry.affine)[:, [2, 1, 0, 3]]
    volume, _ = open_study(write_nifti(tmp_path / "ct.nii", _field(geometry), ras))
    np.testing.assert_array_equal(volume.hu, _world_to_hu(_grid(volume.geometry)))
    assert volume.geometry.same_grid(geometry, tolerance_mm=1e-3)
    assert volume.slice_axis == 0  # the largest spacing

    mask = np.zeros(volume.geometry.shape, np.uint16)
    mask[1, 2, 3], mask[4, 0, 6] = 7, 300
    write_mask_nifti(mask, volume, tmp_path / "mask.nii.gz")
    back, grid = read_nifti_labels(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(back, mask)
    assert grid.same_grid(volume.geometry, tolerance_mm=1e-3)
    # another reader sees the same point of the patient, by sform and by qform
    image = nib.load(tmp_path / "mask.nii.gz")
    i, j, k = np.argwhere(np.asarray(image.dataobj) == 7)[0]
    for affine in (image.affine, image.get_qform()):
        x, y, z = (affine @ [i, j, k, 1])[:3]
        np.testing.assert_allclose([-x, -y, z], volume.geometry.to_world((1, 2, 3)), atol=1e-3)
    np.testing.assert_array_equal(image.shape, nib.load(tmp_path / "ct.nii").shape)


def _grid(geometry: Geometry) -> np.ndarray:
    return geometry.to_world(np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), -1))


@pytest.mark.parametrize(("axes", "signs"), ORDERS)
def test_dicom_orientations(tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    """Slices along any axis, files in either order: every voxel keeps its place, and so does the mask."""
    affine = _affine(axes, signs)
    geometry = Geometry((5, 6, 7), affine)
    field = _field(geometry)
    write_series(
        tmp_path / "s",
        5,
        each=lambda k: {"hu": field[k], "ImagePositionPatient": [float(v) for v in geometry.to_world((k, 0, 0))]},
        ImageOrientationPatient=[float(v) for v in (*(affine[:3, 2] / SPACING[2]), *(affine[:3, 1] / SPACING[1]))],
        PixelSpacing=[float(SPACING[1]), float(SPACING[2])],
        PixelRepresentation=1,
        RescaleIntercept=0,
    )
    volume, _ = open_study(tmp_path)
    np.testing.assert_array_equal(volume.hu, _world_to_hu(_grid(volume.geometry)))
    assert volume.source_geometry is None
    point = geometry.to_world((1, 2, 3))
    mask = np.zeros(volume.geometry.shape, bool)
    mask[tuple(np.rint(volume.geometry.to_index(point)).astype(int))] = True
    write_mask_nifti(mask, volume, tmp_path / "mask.nii.gz")
    back, grid = read_nifti_labels(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(grid.to_world(np.argwhere(back)[0]), point, atol=1e-3)
