"""A liver on a grid of 4 mm along the patient's axes: what a registration sees of an exam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.errors import NoOverlap
from hepacalc.followup.records import LiverView
from hepacalc.geometry import Geometry

__all__ = ["REACH_MM", "STEP_MM", "Coarse", "places"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
STEP_MM = 4.0
MARGIN_MM = 24.0
REACH_MM = 12.0
VESSEL_HU = 25.0
LEAST_SPOT = 0.02


@dataclass(frozen=True, eq=False, slots=True)
class Coarse:
    """A liver on a grid of 4 mm along the patient's axes: ``(z, y, x)``, first voxel lowest, foremost, rightmost."""

    grid: Geometry
    inside: NDArray[np.bool_]
    share: F32
    distance: F32
    vessels: F32

    @classmethod
    def of(cls, view: LiverView) -> Coarse:
        """Return the coarse form of a view."""
        spans = [np.flatnonzero(view.liver.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        if any(not len(s) for s in spans):
            raise NoOverlap("one of the livers is empty.", hint="Give a liver mask with --liver-mask.")
        margin = [int(np.ceil(MARGIN_MM / d)) for d in view.geometry.spacing_mm]
        box = tuple(
            slice(max(int(s[0]) - m, 0), min(int(s[-1]) + m + 1, n))
            for s, m, n in zip(spans, margin, view.liver.shape, strict=True)
        )
        crop = (box[0], box[1], box[2])
        share, rough = _shrunk(view.liver[crop], view.geometry.crop(crop))
        grid = _upright(rough, share)
        world = places(grid)
        index = rough.to_index(world)
        # the edge that counts is that of the scan, not that of the crop
        whole = view.geometry.to_index(world)
        inside = np.ones(grid.shape, bool)
        for axis, n in enumerate(view.geometry.shape):
            inside &= (whole[..., axis] >= -0.5) & (whole[..., axis] <= n - 0.5)
        at = np.moveaxis(index, -1, 0)
        mask = ndimage.map_coordinates(share, at, np.float32, order=1, mode="nearest")
        if not inside.all():
            nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
            mask = mask[tuple(nearest)]
        solid = mask > 0.5
        distance = ndimage.distance_transform_edt(solid) - ndimage.distance_transform_edt(~solid)
        # half a voxel is won back from the share of each voxel at the surface
        distance = np.where(np.abs(distance) <= 1, mask - 0.5, distance - 0.5 * np.sign(distance)) * STEP_MM
        vessels = np.zeros(grid.shape, np.float32)
        if view.hu is not None and view.parenchyma_hu is not None:
            low, high = view.parenchyma_hu - VESSEL_HU * 2, view.parenchyma_hu + VESSEL_HU * 2
            hu, _ = _shrunk(np.clip(view.hu[crop], low, high), view.geometry.crop(crop))
            values = ndimage.map_coordinates(hu, at, np.float32, order=1, mode="nearest")
            deep = (distance > 1.5 * STEP_MM) & inside
            if view.ignored is not None:
                spots, _ = _shrunk(view.ignored[crop], view.geometry.crop(crop))
                spread = ndimage.map_coordinates(spots, at, np.float32, order=1, mode="nearest")
                deep &= ~ndimage.binary_dilation(spread > LEAST_SPOT)
            vessels = _vessels(values, deep)
        return cls(grid, inside, mask.astype(np.float32), distance.astype(np.float32), vessels)

    @property
    def surface(self) -> F32:
        """Distance to the surface, cut off: 1 deep inside, -1 far outside."""
        out: F32 = np.clip(self.distance / REACH_MM, -1, 1).astype(np.float32)
        return out

    def through(self, target: Coarse, turn: F64, shift: F64) -> Coarse:
        """Return this liver on the grid of another through a rigid motion: ``turn @ point + shift``."""
        world = places(target.grid)
        return self._at(target.grid, world @ turn.T + shift)

    def bent(self, bend_mm: F32) -> Coarse:
        """Return this liver with a displacement of its grid."""
        return self._at(self.grid, places(self.grid) + bend_mm)

    def _at(self, grid: Geometry, world: F64) -> Coarse:
        index = np.moveaxis(self.grid.to_index(world), -1, 0)

        def read(values: NDArray[np.float32] | NDArray[np.uint8], order: int, mode: str) -> F32:
            out: F32 = ndimage.map_coordinates(values, index, np.float32, order=order, mode=mode)
            return out

        return Coarse(
            grid,
            read(self.inside.view(np.uint8), 0, "nearest") > 0,
            read(self.share, 1, "nearest"),
            read(self.distance, 1, "nearest"),
            read(self.vessels, 1, "constant"),
        )


def places(grid: Geometry) -> F64:
    """Return the LPS place of each voxel of a grid, ``(z, y, x, 3)``."""
    lines = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    return grid.to_world(np.stack(lines, axis=-1))


def _shrunk(array: NDArray[np.generic], grid: Geometry) -> tuple[F32, Geometry]:
    """Return means over blocks of about 4 mm, and their grid."""
    factor = [max(1, round(0.75 * STEP_MM / d)) for d in grid.spacing_mm]
    count = [max(n // f, 1) for n, f in zip(array.shape, factor, strict=True)]
    factor = [min(f, n) for f, n in zip(factor, array.shape, strict=True)]
    cut = array[tuple(slice(0, c * f) for c, f in zip(count, factor, strict=True))]
    parts = cut.reshape(count[0], factor[0], count[1], factor[1], count[2], factor[2])
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world([(f - 1) / 2 for f in factor])
    affine[:3, :3] = affine[:3, :3] * np.array(factor)
    mean: F32 = parts.mean(axis=(1, 3, 5), dtype=np.float32)
    return mean, Geometry((count[0], count[1], count[2]), affine)


def _upright(rough: Geometry, share: F32) -> Geometry:
    """Return a grid of 4 mm along the patient's axes around the liver, with a margin."""
    world = rough.to_world(np.argwhere(share > 0.5))
    low, high = world.min(0) - MARGIN_MM, world.max(0) + MARGIN_MM
    nx, ny, nz = (int(np.ceil(d / STEP_MM)) + 1 for d in high - low)
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, STEP_MM], [0, STEP_MM, 0], [STEP_MM, 0, 0]]
    affine[:3, 3] = low
    return Geometry((nz, ny, nx), affine)


def _vessels(values: F32, deep: NDArray[np.bool_]) -> F32:
    """Return how far the liver's inside departs from its surroundings, about -1 to 1; 0 outside."""
    if deep.sum() < 200:
        return np.zeros(values.shape, np.float32)
    weight = deep.astype(np.float32)
    filled = np.where(deep, values, 0).astype(np.float32)

    def local(sigma: float) -> F32:
        mean: F32 = ndimage.gaussian_filter(filled, sigma) / np.maximum(ndimage.gaussian_filter(weight, sigma), 0.05)
        return mean

    fine = np.where(deep, local(0.7) - local(5.0), 0)
    spread = float(np.sqrt(np.mean(fine[deep] ** 2)))
    out: F32 = (np.clip(fine / max(2.5 * spread, 1e-3), -1, 1) * ndimage.gaussian_filter(weight, 0.7)).astype(
        np.float32
    )
    return out
