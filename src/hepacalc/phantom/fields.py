"""Organs as signed distances on coarse grids, painted sharply onto the slices of a scan.

A distance varies slowly even where the tissue jumps, so a grid of 2-4 mm holds a smooth organ surface that can be
painted at any pixel size: planes are interpolated by cubic convolution (Keys 1981, IEEE Trans ASSP 29:1153).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.phantom.shapes import Rod, rod_distance

__all__ = ["Brush", "Field", "Grid", "cubic_taps", "smooth_max", "smooth_min"]

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
        self,
        centre: tuple[float, float, float],
        radii: tuple[float, float, float],
        tilt: NDArray[np.float64] | None = None,
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


def smooth_min(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], blend_mm: float) -> Array:
    """Return the union of two distances with a rounded seam."""
    h = np.clip(0.5 + 0.5 * (b - a) / np.float32(blend_mm), 0, 1)
    out = b + (a - b) * h - np.float32(blend_mm) * h * (1 - h)
    return out.astype(np.float32, copy=False)


def smooth_max(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], blend_mm: float) -> Array:
    """Return the intersection of two distances with a rounded seam."""
    return -smooth_min(-a, -b, blend_mm)


def cubic_taps(
    at_mm: NDArray[np.float64], origin_mm: float, step_mm: float, count: int
) -> tuple[NDArray[np.intp], Array]:
    """Return for each position the four grid values it needs and their weights, both ``(4, n)``; edges are held."""
    t = (at_mm - origin_mm) / step_mm
    base = np.floor(t).astype(np.intp)
    f = t - base
    weights = np.stack(
        [
            -0.5 * f + f**2 - 0.5 * f**3,
            1 - 2.5 * f**2 + 1.5 * f**3,
            0.5 * f + 2 * f**2 - 1.5 * f**3,
            -0.5 * f**2 + 0.5 * f**3,
        ]
    )
    index = np.clip(base[None] + np.arange(-1, 3)[:, None], 0, count - 1)
    return index, weights.astype(np.float32)


class Brush:
    """Paints one field onto slices of a fixed pixel grid.

    Sums of four weighted rows and columns, not matrix products: those would wake every thread of the linear algebra
    library for a millisecond's work, which is ten times slower on a busy machine.

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
        self._y = cubic_taps(y_mm[self.rows], oy, h, ny)
        self._x = cubic_taps(x_mm[self.columns], ox, h, nx)

    def plane(self, z_mm: float) -> Array | None:
        """Return the values of the field on its own grid at one height; None above or below it."""
        oz, h, n = self.field.origin_mm[0], self.field.step_mm, self.field.values.shape[0]
        if not oz - 0.5 * h <= z_mm <= oz + h * (n - 0.5):
            return None
        index, weights = cubic_taps(np.array([z_mm]), oz, h, n)
        out = np.zeros(self.field.values.shape[1:], np.float32)
        for k, w in zip(index[:, 0], weights[:, 0], strict=True):
            out += w * self.field.values[k]
        return out

    def values(self, z_mm: float) -> Array | None:
        """Return the values on ``[rows, columns]`` of a slice; None above or below the field."""
        plane = self.plane(z_mm)
        if plane is None:
            return None
        return self._expand(plane, slice(None), slice(None))

    def cover(self, z_mm: float, pixel_mm: float) -> tuple[tuple[slice, slice], Array] | None:
        """Return the window of a slice that the field's inside touches, and the share of each pixel it covers."""
        plane = self.plane(z_mm)
        if plane is None:
            return None
        near = plane < self.field.step_mm
        tall, wide = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if tall.size == 0:
            return None
        rows = slice(*(int(k) for k in np.searchsorted(self._y[0][1], [tall[0] - 1, tall[-1] + 1])))
        columns = slice(*(int(k) for k in np.searchsorted(self._x[0][1], [wide[0] - 1, wide[-1] + 1])))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        share = self._expand(plane, rows, columns)
        share *= np.float32(-1 / pixel_mm)
        share += np.float32(0.5)
        np.maximum(share, 0, out=share)
        np.minimum(share, 1, out=share)
        y0, x0 = self.rows.start, self.columns.start
        return (slice(y0 + rows.start, y0 + rows.stop), slice(x0 + columns.start, x0 + columns.stop)), share

    def _expand(self, plane: Array, rows: slice, columns: slice) -> Array:
        index, weights = self._x[0][:, columns], self._x[1][:, columns]
        middle = plane[:, index[0]] * weights[0]
        for k in range(1, 4):
            middle += plane[:, index[k]] * weights[k]
        index, weights = self._y[0][:, rows], self._y[1][:, rows, None]
        out: Array = middle[index[0]]
        out *= weights[0]
        for k in range(1, 4):
            part = middle[index[k]]
            part *= weights[k]
            out += part
        return out


def _span(line: NDArray[np.float64], low: float, high: float) -> slice:
    first, last = np.searchsorted(line, [low, high], side="left")
    return slice(int(first), int(last))
