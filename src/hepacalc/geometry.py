"""Where voxels lie: index (z, y, x) to LPS millimetres, and views in a standard orientation.

The affine of a :class:`Geometry` takes ``(z, y, x, 1)`` array indices to ``(x, y, z, 1)`` LPS
millimetres (DICOM PS3.3 C.7.6.2.1.1: x to the patient's left, y to the back, z to the head).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Geometry", "Reorientation"]

FloatArray = NDArray[np.float64]
Slices3 = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, slots=True)
class Geometry:
    """A regular voxel grid in space.

    Args:
        shape: ``(z, y, x)`` voxel counts.
        affine: ``(4, 4)``; column 0, 1, 2 is the step in LPS mm along array axis z, y, x, column 3 the
            centre of voxel ``(0, 0, 0)``. May be sheared (gantry tilt), never singular.
    """

    shape: tuple[int, int, int]
    affine: FloatArray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along array axes ``(z, y, x)``, in mm."""
        dz, dy, dx = (float(n) for n in np.linalg.norm(self.affine[:3, :3], axis=0))
        return dz, dy, dx

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm^3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not orthogonal (more than 0.1 degrees off)."""
        unit = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        gram = unit.T @ unit - np.eye(3)
        return bool(np.abs(gram).max() > np.sin(np.deg2rad(0.1)))

    def to_world(self, index: Any) -> FloatArray:
        """Return LPS mm ``(..., 3)`` as ``(x, y, z)`` for array indices ``(..., 3)`` as ``(z, y, x)``."""
        index_array: FloatArray = np.asarray(index, float)
        world: FloatArray = index_array @ self.affine[:3, :3].T + self.affine[:3, 3]
        return world

    def to_index(self, world: Any) -> FloatArray:
        """Return fractional array indices ``(..., 3)`` as ``(z, y, x)`` for LPS mm ``(..., 3)``."""
        inverse = np.linalg.inv(self.affine)
        index: FloatArray = np.asarray(world, float) @ inverse[:3, :3].T + inverse[:3, 3]
        return index

    def crop(self, box: Slices3) -> Geometry:
        """Return the grid of ``array[box]`` (slices with step 1)."""
        starts = [s.indices(n)[0] for s, n in zip(box, self.shape, strict=True)]
        stops = [s.indices(n)[1] for s, n in zip(box, self.shape, strict=True)]
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(starts)
        dz, dy, dx = (max(b - a, 0) for a, b in zip(starts, stops, strict=True))
        return Geometry((dz, dy, dx), affine)

    def same_grid(self, other: Geometry, *, tolerance_mm: float = 0.05) -> bool:
        """Whether both grids have the same shape and their corner voxels agree within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        gap = np.linalg.norm(self.to_world(corners) - other.to_world(corners), axis=1)
        return bool(gap.max() <= tolerance_mm)

    def canonical(self) -> Reorientation:
        """Return the flips and the axis order that bring this grid closest to ``(z up, y back, x left)``."""
        direction = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        # row: wanted LPS axis (z, y, x) = world row 2, 1, 0; column: array axis
        weight = np.abs(direction[::-1])
        best = max(
            ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)),
            key=lambda p: sum(weight[row, axis] for row, axis in enumerate(p)),
        )
        flips = tuple(bool(direction[2 - row, axis] < 0) for row, axis in enumerate(best))
        return Reorientation(self, best, (flips[0], flips[1], flips[2]))


@dataclass(frozen=True, eq=False, slots=True)
class Reorientation:
    """A signed permutation of array axes, and its way back.

    ``apply`` turns an array on ``source`` into one whose axes point to head, back and left as nearly as
    possible; ``undo`` turns it back. Both return views.
    """

    source: Geometry
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def geometry(self) -> Geometry:
        """Grid of the reoriented array."""
        shape = tuple(self.source.shape[a] for a in self.axes)
        affine = np.eye(4)
        corner = np.zeros(3)
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            affine[:3, new] = self.source.affine[:3, old] * (-1 if flip else 1)
            if flip:
                corner[old] = self.source.shape[old] - 1
        affine[:3, 3] = self.source.to_world(corner)
        return Geometry((shape[0], shape[1], shape[2]), affine)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of ``array`` (on the source grid) in the standard orientation."""
        out = np.transpose(array, self.axes)
        return out[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of ``array`` (in the standard orientation) on the source grid."""
        out = array[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]
        return np.transpose(out, np.argsort(self.axes))
