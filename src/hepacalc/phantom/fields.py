"""Organs as signed distances on coarse grids, painted sharply onto the slices of a scan.

A distance varies slowly even where the tissue jumps, so a grid of 2-4 mm holds a smooth organ surface that can be
painted at any pixel size: planes are interpolated by cubic convolution (Keys 1981, IEEE Trans ASSP 29:1153).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom.shapes import Rod, rod_distance

__all__ = ["Brush", "Field", "Grid", "cubic_weights", "smooth_max", "smooth_min"]

Array = NDArray[np.float32]
Slices3 = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """Values on a regular grid: a signed distance in mm (negative inside) or a texture.

    Args:
        values: float32 ``(z, y, x)``.
        origin_mm: LPS ``(z, y, x)`` of ``values[0, 0, 0]``.
        step_mm: distance between values.
    """

    values: Array
    origin_mm: tuple[float, float, float]
    step_mm: float

    def at(self, points_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return interpolated values at ``(n, 3)`` LPS points given as ``(z, y, x)``."""
        index = (np.asarray(points_zyx, float) - self.origin_mm).T / self.step_mm
        out: NDArray[np.float64] = ndimage.map_coordinates(self.values, index, order=1, mode="nearest")
        return out

    def gradient_at(self, point_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unit direction ``(z, y, x)`` in which the values rise fastest."""
        steps = np.eye(3) * self.step_mm
        slope = self.at(point_zyx + steps) - self.at(point_zyx - steps)
        return np.asarray(slope / max(float(np.linalg.norm(slope)), 1e-9))


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """A coarse grid in the patient with the coordinates of the standard body at each point.

    The standard body is where organs are drawn; scale and a smooth random warp make this patient of it.

    Args:
        z: standard-body z at each point, float32 ``(z, y, x)``.
        y: likewise.
        x: likewise.
        origin_mm: LPS ``(z, y, x)`` of point ``(0, 0, 0)``.
        step_mm: distance between points.
    """

    z: Array
    y: Array
    x: Array
    origin_mm: tuple[float, float, float]
    step_mm: float

    def field(self, distance: Array, *, margin_mm: float = 9.0) -> Field | None:
        """Return the part of a full-grid distance near its surface and inside; None when all is outside."""
        near = distance < margin_mm
        if not (distance < self.step_mm).any():
            return None
        spans = [np.flatnonzero(near.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
        z, y, x = (o + s.start * self.step_mm for o, s in zip(self.origin_mm, box, strict=True))
        return Field(np.ascontiguousarray(distance[box], np.float32), (z, y, x), self.step_mm)

    def ellipsoid(
        self, centre: tuple[float, float, float], radii: tuple[float, float, float], tilt: NDArray[np.float64] | None = None
    ) -> Array:
        """Return the distance to an ellipsoid; ``(z, y, x)`` in the standard body, ``tilt`` its axes in columns."""
        d = [self.z - np.float32(centre[0]), self.y - np.float32(centre[1]), self.x - np.float32(centre[2])]
        if tilt is not None:
            turn = tilt.astype(np.float32)
            d = [turn[0, k] * d[0] + turn[1, k] * d[1] + turn[2, k] * d[2] for k in range(3)]
        unit = np.sqrt(sum((c / np.float32(r)) ** 2 for c, r in zip(d, radii, strict=True)))
        slope = np.sqrt(sum((c / np.float32(r * r)) ** 2 for c, r in zip(d, radii, strict=True)))
        out: Array = unit * (unit - 1) / np.maximum(slope, np.float32(1e-5))
        return np.where(unit < 0.05, np.float32(-min(radii)), out)

    def rods(self, rods: Iterable[Rod], *, reach_mm: float = 10.0) -> Array:
        """Return the distance to a union of rods given in the standard body, cut off at ``reach_mm``."""
        out = np.full(self.z.shape, np.float32(reach_mm))
        lines = [
            (self.z.min(axis=(1, 2)), self.z.max(axis=(1, 2))),
            (self.y.min(axis=(0, 2)), self.y.max(axis=(0, 2))),
            (self.x.min(axis=(0, 1)), self.x.max(axis=(0, 1))),
        ]
        for a, b, ra, rb in rods:
            wide = max(ra, rb) + reach_mm
            low, high = np.minimum(a, b) - wide, np.maximum(a, b) + wide
            spans = [
                np.flatnonzero((top >= lo) & (bottom <= hi))
                for (bottom, top), lo, hi in zip(lines, low, high, strict=True)
            ]
            if any(s.size == 0 for s in spans):
                continue
            box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
            gap = rod_distance(self.z[box], self.y[box], self.x[box], (a, b, ra, rb))
            out[box] = np.minimum(out[box], gap)
        return out


def smooth_min(a: Array, b: Array, blend_mm: float) -> Array:
    """Return the union of two distances with a rounded seam."""
    h = np.clip(0.5 + 0.5 * (b - a) / np.float32(blend_mm), 0, 1)
    out: Array = b + (a - b) * h - np.float32(blend_mm) * h * (1 - h)
    return out


def smooth_max(a: Array, b: Array, blend_mm: float) -> Array:
    """Return the intersection of two distances with a rounded seam."""
    return -smooth_min(-a, -b, blend_mm)


def cubic_weights(at_mm: NDArray[np.float64], origin_mm: float, step_mm: float, count: int) -> NDArray[np.float32]:
    """Return the ``(len(at_mm), count)`` matrix that interpolates grid values at ``at_mm``; edges are held."""
    t = (at_mm - origin_mm) / step_mm
    base = np.floor(t).astype(int)
    f = t - base
    taps = np.stack(
        [
            -0.5 * f + f**2 - 0.5 * f**3,
            1 - 2.5 * f**2 + 1.5 * f**3,
            0.5 * f + 2 * f**2 - 1.5 * f**3,
            -0.5 * f**2 + 0.5 * f**3,
        ]
    )
    out = np.zeros((len(at_mm), count), np.float32)
    rows = np.arange(len(at_mm))
    for k in range(4):
        np.add.at(out, (rows, np.clip(base + k - 1, 0, count - 1)), taps[k].astype(np.float32))
    return out


BLOCK = 80
"""Pixels in a strip: interpolation weights are banded, so a strip needs only the few grid columns under it."""


class Brush:
    """Paints one field onto slices of a fixed pixel grid.

    Args:
        field: distance or texture.
        y_mm: LPS y of the pixel rows.
        x_mm: LPS x of the pixel columns.
    """

    def __init__(self, field: Field, y_mm: NDArray[np.float64], x_mm: NDArray[np.float64]) -> None:
        self.field = field
        _, ny, nx = field.values.shape
        _, oy, ox = field.origin_mm
        h = field.step_mm
        self.rows = _span(y_mm, oy, oy + h * (ny - 1))
        self.columns = _span(x_mm, ox, ox + h * (nx - 1))
        y_mm, x_mm = y_mm[self.rows], x_mm[self.columns]
        self._wy = cubic_weights(y_mm, oy, h, ny)
        wx = cubic_weights(x_mm, ox, h, nx).T
        self._row_cell = ((y_mm - oy) / h).astype(int)
        self._strips: list[tuple[slice, slice, Array]] = []
        for start in range(0, x_mm.size, BLOCK):
            strip = slice(start, min(start + BLOCK, x_mm.size))
            used = np.flatnonzero(wx[:, strip].any(axis=1))
            cells = slice(int(used[0]), int(used[-1]) + 1)
            self._strips.append((strip, cells, np.ascontiguousarray(wx[cells, strip])))

    def plane(self, z_mm: float) -> Array | None:
        """Return the values of the field on its own grid at one height; None above or below it."""
        oz, h, n = self.field.origin_mm[0], self.field.step_mm, self.field.values.shape[0]
        if not oz - 0.5 * h <= z_mm <= oz + h * (n - 0.5):
            return None
        weights = cubic_weights(np.array([z_mm]), oz, h, n)[0]
        used = np.flatnonzero(weights)
        out = np.zeros(self.field.values.shape[1:], np.float32)
        for k in used:
            out += weights[k] * self.field.values[k]
        return out

    def values(self, z_mm: float) -> Array | None:
        """Return the values on ``[rows, columns]`` of a slice; None above or below the field."""
        plane = self.plane(z_mm)
        if plane is None:
            return None
        part = self._wy @ plane
        out = np.empty((part.shape[0], self.columns.stop - self.columns.start), np.float32)
        for strip, cells, weights in self._strips:
            np.matmul(part[:, cells], weights, out=out[:, strip])
        return out

    def cover(self, z_mm: float, pixel_mm: float) -> Iterator[tuple[tuple[slice, slice], Array]]:
        """Yield windows of a slice that the field's inside touches, and the share of each pixel it covers."""
        plane = self.plane(z_mm)
        if plane is None or not float(plane.min()) < self.field.step_mm:
            return
        near = plane < self.field.step_mm
        used = np.flatnonzero(near.any(axis=0))
        y0, x0 = self.rows.start, self.columns.start
        for strip, cells, weights in self._strips:
            if cells.stop <= used[0] or cells.start > used[-1]:
                continue
            tall = np.flatnonzero(near[:, cells].any(axis=1))
            if tall.size == 0:
                continue
            first, last = np.searchsorted(self._row_cell, [tall[0] - 1, tall[-1] + 2])
            if first >= last:
                continue
            low, high = max(int(tall[0]) - 4, 0), int(tall[-1]) + 5
            distance = (self._wy[first:last, low:high] @ plane[low:high, cells]) @ weights
            distance *= np.float32(-1 / pixel_mm)
            distance += np.float32(0.5)
            np.maximum(distance, 0, out=distance)
            np.minimum(distance, 1, out=distance)
            yield (slice(y0 + int(first), y0 + int(last)), slice(x0 + strip.start, x0 + strip.stop)), distance


def _span(line: NDArray[np.float64], low: float, high: float) -> slice:
    first, last = np.searchsorted(line, [low, high], side="left")
    return slice(int(first), int(last))
