"""Block averages of an array and the way back, for what changes slowly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Slices3

__all__ = ["enlarge", "reduce_blocks", "tight_box"]

F32 = NDArray[np.float32]


def reduce_blocks(array: NDArray[np.generic], factor: tuple[int, ...]) -> tuple[F32, F32]:
    """Return block means and block maxima; the last block is filled by repeating the edge."""
    pad = [(0, -n % f) for n, f in zip(array.shape, factor, strict=True)]
    wide = np.pad(array, pad, mode="edge") if any(p[1] for p in pad) else array
    if factor == (1, 1, 1):
        out = np.asarray(wide, np.float32)
        return out, out
    parts = (
        np.asarray(wide[i :: factor[0], j :: factor[1], k :: factor[2]], np.float32)
        for i in range(factor[0])
        for j in range(factor[1])
        for k in range(factor[2])
    )
    total = next(parts).copy()
    top = total.copy()
    for part in parts:
        total += part
        np.maximum(top, part, out=top)
    return total / np.float32(np.prod(factor)), top


def enlarge(array: F32, factor: tuple[int, ...], shape: tuple[int, ...]) -> F32:
    """Interpolate block averages linearly back to ``shape``, held constant beyond the outer block centres."""
    out = array
    for axis, (f, n) in enumerate(zip(factor, shape, strict=True)):
        if f == 1:
            out = np.take(out, np.arange(n), axis)
            continue
        position = np.clip((np.arange(n) + 0.5) / f - 0.5, 0, out.shape[axis] - 1)
        low = np.minimum(position.astype(int), max(out.shape[axis] - 2, 0))
        high = np.minimum(low + 1, out.shape[axis] - 1)
        part = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        out = np.take(out, low, axis) * (1 - part) + np.take(out, high, axis) * part
    return np.asarray(out, np.float32)


def tight_box(mask: NDArray[np.bool_]) -> Slices3:
    """Return the smallest box ``(z, y, x)`` that holds every True voxel of a mask that has some."""
    flat = np.any(mask, axis=0)
    found = []
    for line in (np.any(mask, axis=(1, 2)), np.any(flat, axis=1), np.any(flat, axis=0)):
        at = np.flatnonzero(line)
        found.append(slice(int(at[0]), int(at[-1]) + 1))
    return found[0], found[1], found[2]
