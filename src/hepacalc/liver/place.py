"""A mask from its own grid onto the scan's grid: exactly where the voxels coincide, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.geometry import Geometry

__all__ = ["Placed", "describe_grid", "place_exactly", "resample_nearest"]

_TOLERANCE_VOXEL = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """A mask on the scan's grid.

    Args:
        mask: bool ``(z, y, x)`` on the target grid.
        outside: mask voxels that lie outside the target grid and are left out.
    """

    mask: NDArray[np.bool_]
    outside: int


def describe_grid(geometry: Geometry) -> str:
    """Return size, spacing and first voxel of a grid in words."""
    z, y, x = geometry.shape
    dz, dy, dx = geometry.spacing_mm
    ox, oy, oz = geometry.affine[:3, 3]
    return (
        f"{z} x {y} x {x} voxels (z, y, x) of {dz:.3g} x {dy:.3g} x {dx:.3g} mm from ({ox:.1f}, {oy:.1f}, {oz:.1f}) mm"
    )


def place_exactly(
    mask: NDArray[np.bool_], source: Geometry, target: Geometry, *, onto: NDArray[np.bool_] | None = None
) -> Placed | None:
    """Return ``mask`` on ``target`` when every source voxel coincides with a target voxel, else None.

    The source may have its axes in another order or direction, and may cover a part of the target
    or more than it. The centres must agree within a tenth of a voxel. A source of one slice needs no
    true slice spacing.

    Args:
        mask: bool ``(z, y, x)`` on ``source``.
        source: its grid.
        target: the scan's grid.
        onto: bool ``(z, y, x)`` on ``target`` to add the mask to, in place; a new one when None.
    """
    inverse = np.linalg.inv(target.affine)
    step = inverse[:3, :3] @ source.affine[:3, :3]
    start = target.to_index(source.affine[:3, 3])
    if min(source.shape) < 1:
        return None
    axes = _signed_permutation(step, source.shape)
    if axes is None:
        return None
    exact = np.zeros((3, 3))
    exact[axes[0], np.arange(3)] = axes[1]
    origin = np.rint(start)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in source.shape], indexing="ij")).reshape(3, -1)
    if np.abs(step @ corners + start[:, None] - exact @ corners - origin[:, None]).max() > _TOLERANCE_VOXEL:
        return None
    order = np.argsort(axes[0])
    signs = np.array(axes[1])[order]
    turned = np.transpose(mask, order)[tuple(slice(None, None, -1) if s < 0 else slice(None) for s in signs)]
    size = np.array(turned.shape)
    first = np.where(signs < 0, origin - (size - 1), origin).astype(np.int64)
    low = np.maximum(first, 0)
    high = np.maximum(np.minimum(first + size, np.array(target.shape)), low)
    out = np.zeros(target.shape, dtype=bool) if onto is None else onto
    part = turned[tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))]
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if part.size:
        out[box] |= part
    return Placed(out, int(np.count_nonzero(mask)) - int(np.count_nonzero(part)))


def _signed_permutation(step: NDArray[Any], shape: tuple[int, int, int]) -> tuple[list[int], list[float]] | None:
    """Return target axis and sign for each source axis; an axis of one voxel takes the axis left over."""
    axis = [-1, -1, -1]
    sign = [1.0, 1.0, 1.0]
    for a in range(3):
        if shape[a] == 1:
            continue
        axis[a] = int(np.argmax(np.abs(step[:, a])))
        sign[a] = float(np.sign(step[axis[a], a]))
    left = [t for t in range(3) if t not in axis]
    for a in range(3):
        if axis[a] < 0:
            axis[a] = left.pop()
    return (axis, sign) if sorted(axis) == [0, 1, 2] else None


def resample_nearest(mask: NDArray[np.bool_], source: Geometry, target: Geometry) -> NDArray[np.bool_]:
    """Return ``mask`` on ``target`` by nearest neighbour; False outside ``source``.

    Args:
        mask: bool ``(z, y, x)`` on ``source``.
        source: its grid.
        target: the scan's grid.
    """
    to_source = np.linalg.inv(source.affine) @ target.affine
    moved: NDArray[np.bool_] = ndimage.affine_transform(
        mask.astype(np.uint8), to_source[:3, :3], to_source[:3, 3], output_shape=target.shape, order=0, cval=0
    ).astype(bool)
    return moved
