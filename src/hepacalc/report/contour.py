"""Outline of a mask as closed polygons (marching squares at one half, on voxel centres)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["outline", "path_data"]

Loop = list[tuple[float, float]]

# A cell is four neighbouring voxels, bits NW 8, NE 4, SE 2, SW 1. Each segment runs from one edge midpoint to
# another with the inside on its right; (row, column) in half voxels from the north-west voxel.
_N, _E, _S, _W = (0, 1), (1, 2), (2, 1), (1, 0)
_SEGMENTS: dict[int, tuple[tuple[tuple[int, int], tuple[int, int]], ...]] = {
    8: ((_N, _W),), 4: ((_E, _N),), 2: ((_S, _E),), 1: ((_W, _S),),
    12: ((_E, _W),), 6: ((_S, _N),), 3: ((_W, _E),), 9: ((_N, _S),),
    14: ((_S, _W),), 7: ((_W, _N),), 11: ((_N, _E),), 13: ((_E, _S),),
    10: ((_N, _W), (_S, _E)), 5: ((_E, _N), (_W, _S)),
}  # fmt: skip


def outline(mask: NDArray[np.bool_]) -> list[Loop]:
    """Return the closed polygons around ``mask``.

    Args:
        mask: bool ``(rows, columns)``. Beyond its edge nothing is inside.

    Returns:
        Polygons as ``(row, column)`` corners in voxels, voxel centres at whole numbers, the inside on the
        right; the last corner is not repeated. Corners on a straight run are left out.
    """
    padded = np.pad(np.asarray(mask, bool), 1).astype(np.uint8)
    code = 8 * padded[:-1, :-1] + 4 * padded[:-1, 1:] + 2 * padded[1:, 1:] + padded[1:, :-1]
    following: dict[tuple[int, int], tuple[int, int]] = {}
    for row, col in np.argwhere((code > 0) & (code < 15)).tolist():
        for (r0, c0), (r1, c1) in _SEGMENTS[int(code[row, col])]:
            following[2 * row + r0, 2 * col + c0] = (2 * row + r1, 2 * col + c1)
    loops = []
    while following:
        start, here = following.popitem()
        corners = [start]
        while here != start:
            corners.append(here)
            here = following.pop(here)
        loops.append([(r / 2 - 1, c / 2 - 1) for r, c in _without_straight_runs(corners)])
    return loops


def path_data(loops: list[Loop], place: Callable[[float, float], tuple[float, float]]) -> str:
    """Return SVG path data for ``loops``; ``place`` takes (row, column) to (x, y) on the picture."""
    out = []
    for loop in loops:
        points = [place(row, col) for row, col in loop]
        out.append("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) + "Z")
    return "".join(out)


def _without_straight_runs(corners: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept = []
    for before, here, after in zip(corners[-1:] + corners[:-1], corners, corners[1:] + corners[:1], strict=True):
        first = (here[0] - before[0], here[1] - before[1])
        second = (after[0] - here[0], after[1] - here[1])
        if first[0] * second[1] != first[1] * second[0]:
            kept.append(here)
    return kept


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
