"""A sphere or a straight line through the points of a focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Line", "Sphere", "fit_line", "fit_sphere"]

F64 = NDArray[np.float64]

LARGEST_ANGLE = np.deg2rad(28.0)
SIDEWAYS_MM = 3.5


@dataclass(frozen=True, eq=False, slots=True)
class Sphere:
    """Least-squares sphere; ``misfit`` is the residual over the radius."""

    centre_mm: F64
    radius_mm: float
    misfit: float


@dataclass(frozen=True, eq=False, slots=True)
class Line:
    """Straight line along the first principal axis; ``ratio`` is the second over the first standard deviation."""

    centre_mm: F64
    axis: F64
    half_mm: float
    ratio: float

    def follows(self, other: Line) -> bool:
        """Whether the two point the same way and one continues the other."""
        if self._angle(other) > LARGEST_ANGLE:
            return False
        between = other.centre_mm - self.centre_mm
        for line in (self, other):
            along = float(between @ line.axis)
            if np.linalg.norm(between - along * line.axis) > SIDEWAYS_MM + 0.15 * abs(along):
                return False
            if abs(along) < 0.7 * max(self.half_mm, other.half_mm):
                return False
        return True

    def beside(self, other: Line) -> bool:
        """Whether the two run side by side for most of the shorter one."""
        if self._angle(other) > LARGEST_ANGLE or max(self.ratio, other.ratio) > 0.4:
            return False
        along = abs(float((other.centre_mm - self.centre_mm) @ self.axis))
        overlap = self.half_mm + other.half_mm - along
        return overlap > 1.2 * min(self.half_mm, other.half_mm)

    def _angle(self, other: Line) -> float:
        return float(np.arccos(np.clip(abs(float(self.axis @ other.axis)), 0, 1)))


def fit_sphere(points_mm: F64) -> Sphere | None:
    """Return the least-squares sphere through points ``(n, 3)``; None when there is none."""
    if len(points_mm) < 8:
        return None
    middle = points_mm.mean(axis=0)
    local = points_mm - middle
    design = np.column_stack([2 * local, np.ones(len(local))])
    normal = design.T @ design
    if np.linalg.cond(normal) > 1e10:
        return None
    solution = np.linalg.solve(normal, design.T @ (local**2).sum(axis=1))
    square = float(solution[3] + solution[:3] @ solution[:3])
    if square <= 0:
        return None
    radius = float(np.sqrt(square))
    gap = np.linalg.norm(local - solution[:3], axis=1) - radius
    return Sphere(middle + solution[:3], radius, float(np.sqrt((gap**2).mean())) / radius)


def fit_line(points_mm: F64) -> Line:
    """Return the line through points ``(n, 3)``."""
    centre = points_mm.mean(axis=0)
    local = points_mm - centre
    values, axes = np.linalg.eigh(local.T @ local / max(len(local), 1) + 0.03 * np.eye(3))
    axis = axes[:, -1]
    along = local @ axis
    ratio = float(np.sqrt(max(values[1], 0) / values[2]))
    return Line(centre + axis * (along.max() + along.min()) / 2, axis, float(along.max() - along.min()) / 2, ratio)
