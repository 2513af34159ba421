"""The scan as a reader looks at it: planes in radiological orientation, cut out of the volume in millimetres.

Everything works on views and small crops; the volume is never converted as a whole.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hepacalc.geometry import Geometry, Reorientation
from hepacalc.records import Assessment, Focus

__all__ = ["AXIAL", "CORONAL", "PLANES", "SAGITTAL", "Crop", "Plane", "Scene", "Window", "letters", "png_uri"]

RUN_LENGTHS = 3
"""``Z_RLE`` of zlib."""

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Window:
    """CT window: width and level in HU."""

    width: float
    level: float


@dataclass(frozen=True, slots=True)
class Plane:
    """One viewing plane on canonical axes ``(z up, y back, x left)``.

    Args:
        name: ``axial``, ``coronal`` or ``sagittal``.
        normal: axis through the slices.
        rows: axis down the picture.
        columns: axis across the picture.
        flipped: whether the picture's first row is the last index of ``rows`` (head on top).
        world: letter of the LPS coordinate along ``normal``.
    """

    name: str
    normal: int
    rows: int
    columns: int
    flipped: bool
    world: str


AXIAL = Plane("axial", 0, 1, 2, flipped=False, world="z")
CORONAL = Plane("coronal", 1, 0, 2, flipped=True, world="y")
SAGITTAL = Plane("sagittal", 2, 0, 1, flipped=True, world="x")
PLANES = (AXIAL, CORONAL, SAGITTAL)


@dataclass(frozen=True, eq=False, slots=True)
class Crop:
    """A rectangle of one plane: index ranges in the plane and where they lie on a picture, in mm.

    Args:
        plane: which plane.
        index: slice index along ``plane.normal``.
        ranges: half-open index ranges ``((row0, row1), (col0, col1))``, inside the volume.
        spacing: ``(row, column)`` step in mm.
        centre: ``(row, column)`` index in the middle of the picture.
        size: ``(height, width)`` of the picture in mm.
    """

    plane: Plane
    index: int
    ranges: tuple[tuple[int, int], tuple[int, int]]
    spacing: tuple[float, float]
    centre: tuple[float, float]
    size: tuple[float, float]

    def place(self, row: float, column: float) -> tuple[float, float]:
        """Return ``(x, y)`` in mm from the top left corner of the picture for indices in the plane."""
        down = (row - self.centre[0]) * self.spacing[0] * (-1 if self.plane.flipped else 1)
        across = (column - self.centre[1]) * self.spacing[1]
        return across + self.size[1] / 2, down + self.size[0] / 2

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the rectangle of a canonical ``(z, y, x)`` array, as a view, rows in index order."""
        (r0, r1), (c0, c1) = self.ranges
        where: list[Any] = [slice(None)] * 3
        where[self.plane.normal] = self.index
        where[self.plane.rows] = slice(r0, r1)
        where[self.plane.columns] = slice(c0, c1)
        found: NDArray[Any] = array[tuple(where)]
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """Scan, liver and focus labels as views in canonical orientation."""

    hu: NDArray[Any]
    liver: NDArray[np.bool_]
    labels: NDArray[np.uint16]
    geometry: Geometry
    turn: Reorientation

    @classmethod
    def of(cls, assessment: Assessment) -> Scene:
        """Return the scene of an assessment."""
        turn = assessment.geometry.canonical()
        return cls(
            turn.apply(assessment.volume.hu),
            turn.apply(assessment.liver_mask.mask),
            turn.apply(assessment.labels),
            turn.geometry,
            turn,
        )

    def box(self, focus: Focus) -> Box:
        """Return the index box of a focus on canonical axes, inside the volume and never empty."""
        out = []
        for old, flip in zip(self.turn.axes, self.turn.flips, strict=True):
            count = self.turn.source.shape[old]
            start = min(max(focus.box[old][0], 0), count - 1)
            stop = min(max(focus.box[old][1], start + 1), count)
            out.append((count - stop, count - start) if flip else (start, stop))
        return out[0], out[1], out[2]

    def crop(self, plane: Plane, index: int, centre: tuple[float, float], size: tuple[float, float]) -> Crop:
        """Return the rectangle of ``size`` (height, width in mm) around ``centre`` (row, column index)."""
        spacing = self.geometry.spacing_mm
        ranges = []
        for axis, middle, extent in zip((plane.rows, plane.columns), centre, size, strict=True):
            half, count = extent / 2 / spacing[axis], self.geometry.shape[axis]
            start = min(max(int(np.floor(middle - half)), 0), count - 1)
            ranges.append((start, max(min(int(np.ceil(middle + half)) + 1, count), start + 1)))
        return Crop(plane, index, (ranges[0], ranges[1]), (spacing[plane.rows], spacing[plane.columns]), centre, size)


def letters(geometry: Geometry, plane: Plane) -> tuple[str, str, str, str]:
    """Return the directions at the ``(top, bottom, left, right)`` edges of a plane: R, L, A, P, H, F.

    A direction more than 20 degrees off an axis gets a second letter, as DICOM's PatientOrientation does.
    """
    down = geometry.affine[:3, plane.rows] * (-1 if plane.flipped else 1)
    across = geometry.affine[:3, plane.columns]
    return _towards(-down), _towards(down), _towards(-across), _towards(across)


def png_uri(grey: NDArray[np.uint8]) -> str:
    """Return an 8-bit grey picture as a data URI; the same pixels give the same bytes."""
    held = io.BytesIO()
    # run lengths alone: smaller than the usual strategy on smooth pictures, and twice as fast
    Image.fromarray(grey).save(held, "PNG", optimize=False, compress_level=6, compress_type=RUN_LENGTHS)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def _towards(step: NDArray[np.float64]) -> str:
    unit = step / np.linalg.norm(step)
    order = [int(k) for k in np.argsort(-np.abs(unit), kind="stable")]
    named = [("LPH" if unit[k] > 0 else "RAF")[k] for k in order if abs(unit[k]) > np.sin(np.deg2rad(20))]
    return "".join(named[:2])
