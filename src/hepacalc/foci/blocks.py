"""Block averages of an array and the way back, for what changes slowly; boxes around masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Slices3

__all__ = ["any_of_blocks", "block_max", "block_mean", "enlarge", "spread", "tight_box"]

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


def block_mean(array: NDArray[np.generic], factor: Sequence[int]) -> F32:
    """Return block means; of a mask, the share of each block. The last block is filled by repeating the edge."""
    exact = np.uint16 if array.dtype == np.bool_ else np.float32
    return _fold(array, factor, np.add, exact).astype(np.float32, copy=False) / np.float32(np.prod(factor))


def block_max(array: F32, factor: Sequence[int]) -> F32:
    """Return block maxima."""
    return np.asarray(_fold(array, factor, np.maximum, np.float32), np.float32)


def any_of_blocks(mask: Mask, start: Sequence[int], factor: Sequence[int]) -> Mask:
    """Return which blocks of a larger grid a mask, whose first voxel lies at ``start`` of that grid, touches."""
    whole = np.pad(mask, [(s % f, 0) for s, f in zip(start, factor, strict=True)])
    return np.asarray(_fold(whole, factor, np.logical_or, np.bool_), bool)


def _fold(array: NDArray[np.generic], factor: Sequence[int], join: np.ufunc, kind: type) -> NDArray[np.generic]:
    """Join the values of each block, one axis after the other."""
    out = array
    for axis, f in enumerate(factor):
        if f == 1:
            continue
        line = np.moveaxis(out, axis, -1)
        total: NDArray[np.generic] = line[..., ::f].astype(kind)
        for i in range(1, f):
            part = line[..., i::f]
            join(total[..., : part.shape[-1]], part, out=total[..., : part.shape[-1]])
            if part.shape[-1] < total.shape[-1]:
                join(total[..., -1], line[..., -1], out=total[..., -1])
        out = np.moveaxis(total, -1, axis)
    return out


def enlarge(array: F32, factor: Sequence[int], shape: Sequence[int]) -> F32:
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


def spread(mask: Mask, half: Sequence[int]) -> Mask:
    """Return a mask grown by a box of ``2 half + 1`` voxels; nothing comes in from beyond the array."""
    out = mask
    for axis, n in enumerate(half):
        reach = 0
        while reach < n:
            step = min(reach + 1, n - reach)
            before = np.moveaxis(out, axis, 0)
            out = out.copy()
            after = np.moveaxis(out, axis, 0)
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
            reach += step
    return out


def tight_box(mask: Mask) -> Slices3:
    """Return the smallest box ``(z, y, x)`` that holds every True voxel of a mask that has some."""
    first = _ends(np.any(mask, axis=(1, 2)))
    flat = np.any(mask[first], axis=0)
    return first, _ends(np.any(flat, axis=1)), _ends(np.any(flat, axis=0))


def _ends(line: Mask) -> slice:
    at = np.flatnonzero(line)
    return slice(int(at[0]), int(at[-1]) + 1)


def distance_within(mask: Mask, step: Sequence[float], reach: float) -> F32:
    """Return the Euclidean distance from a mask where it is at most ``reach``; infinity beyond.

    Only the box that the reach can touch is worked on, one axis after the other.

    Args:
        mask: bool ``(z, y, x)``.
        step: edges of a voxel ``(z, y, x)``, in the unit of ``reach``.
        reach: in mm or any other unit.
    """
    out = np.full(mask.shape, np.inf, np.float32)
    if not mask.any():
        return out
    steps = [int(reach / d) for d in step]
    box = tuple(slice(max(b.start - n, 0), b.stop + n) for b, n in zip(tight_box(mask), steps, strict=True))
    square = np.where(mask[box], np.float32(0), np.float32(np.inf))
    for axis, (n, d) in enumerate(zip(steps, step, strict=True)):
        before = np.moveaxis(square, axis, 0)
        square = square.copy()
        after = np.moveaxis(square, axis, 0)
        for k in range(1, min(n, len(after) - 1) + 1):
            more = np.float32((k * d) ** 2)
            np.minimum(after[k:], before[:-k] + more, out=after[k:])
            np.minimum(after[:-k], before[k:] + more, out=after[:-k])
    distance = np.sqrt(square, out=square)
    out[box] = np.where(distance <= reach, distance, np.float32(np.inf))
    return out
