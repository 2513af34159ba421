"""Where foci go: random places inside a liver, apart from each other and from what is bright already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.phantom.fields import Field
from hepacalc.phantom.shapes import random_rotation

__all__ = ["Place", "Placer"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """A place for one focus: ``(z, y, x)`` in mm, and how it is turned."""

    centre_zyx: FloatArray
    rotation: FloatArray


class Placer:
    """Hands out places inside a liver.

    Args:
        liver: distance to the outline of the liver in mm, negative inside.
        rng: the only source of randomness.
        margin_mm: least depth of any part of a focus under the capsule.
        gap_mm: least distance between foci.
        lines: vessel branches ``(a, b)`` that linear foci follow; may be empty.
        blocked: distance to places that must stay free (bright things), or None.
    """

    def __init__(
        self,
        liver: Field,
        rng: np.random.Generator,
        *,
        margin_mm: float = 4.0,
        gap_mm: float = 8.0,
        lines: list[tuple[FloatArray, FloatArray]] | None = None,
        blocked: Field | None = None,
    ) -> None:
        self._liver = liver
        self._rng = rng
        self._margin = margin_mm
        self._gap = gap_mm
        self._lines = lines or []
        self._blocked = blocked
        self._taken: list[tuple[FloatArray, float]] = []
        depth = -liver.values
        self._cells = np.argwhere(depth > 0)
        self._depth = depth[depth > 0]

    def block(self, centre_zyx: FloatArray, radius_mm: float) -> None:
        """Keep a ball free."""
        self._taken.append((np.asarray(centre_zyx, float), radius_mm))

    def place(self, pattern: str, radius_mm: float) -> Place:
        """Return a place for a focus of a pattern that reaches ``radius_mm`` from its centre, and take it.

        Raises:
            UsageError: no room is left.
        """
        if pattern == "capsular plaque":
            low, high = 0.5, 2.5
        else:
            low, high = radius_mm + self._margin, np.inf
        # a large lesion may bulge: where the liver is nowhere thick enough, take its thickest third
        if pattern != "capsular plaque" and not (self._depth >= low).any():
            low = float(np.quantile(self._depth, 0.97))
        inside = np.flatnonzero((self._depth >= low) & (self._depth <= high))
        spots = self._rng.permutation(inside)[:3000] if inside.size else inside
        if pattern == "linear vascular" and self._lines:
            found = self._along_vessel(radius_mm)
            if found is not None:
                return found
        for k in spots:
            shake = self._rng.uniform(-0.5, 0.5, 3)
            centre = np.array(self._liver.origin_mm) + self._liver.step_mm * (self._cells[k] + shake)
            if self._is_free(centre, radius_mm):
                self._taken.append((centre, radius_mm))
                return Place(centre, self.rotation_at(pattern, centre))
        raise UsageError(
            f"wanted room for one more {pattern} focus reaching {radius_mm:.0f} mm from its centre, found none "
            f"among {len(self._taken)} that are there.",
            hint="Ask for fewer or smaller foci.",
        )

    def _is_free(self, centre: FloatArray, radius: float) -> bool:
        if self._blocked is not None and float(self._blocked.at(centre[None])[0]) < radius + self._gap:
            return False
        return all(float(np.linalg.norm(centre - c)) > r + radius + self._gap for c, r in self._taken)

    def rotation_at(self, pattern: str, centre: FloatArray) -> FloatArray:
        """Return how a focus lies at a place: a plaque along the capsule, the others at random."""
        if pattern != "capsular plaque":
            return random_rotation(self._rng)
        # the plate bulges to its local -y: that axis looks out of the liver
        out = self._liver.gradient_at(centre)
        side = np.cross(out, self._rng.normal(size=3))
        side /= np.linalg.norm(side)
        return np.stack([np.cross(-out, side), -out, side], axis=1)

    def _along_vessel(self, radius: float) -> Place | None:
        for k in self._rng.permutation(len(self._lines)):
            a, b = self._lines[int(k)]
            centre = (a + b) / 2
            if float(self._liver.at(centre[None])[0]) > -(0.5 * radius + self._margin):
                continue
            if self._is_free(centre, radius):
                along = (b - a) / np.linalg.norm(b - a)
                side = np.cross(along, self._rng.normal(size=3))
                side /= np.linalg.norm(side)
                self._taken.append((centre, radius))
                return Place(centre, np.stack([side, np.cross(along, side), along], axis=1))
        return None
