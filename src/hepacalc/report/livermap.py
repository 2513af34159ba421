"""Maximum-intensity map of the liver from the front and from the feet, with numbered lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepacalc.records import Assessment, Focus
from hepacalc.report.figures import Grey, grey_picture
from hepacalc.report.scene import AXIAL, CORONAL, Crop, Plane, Scene, Window, letters

FloatArray = NDArray[np.float64]

__all__ = ["MAP_WINDOW", "LiverMap", "Mark", "Tag", "liver_maps", "place_tags"]

MAP_WINDOW = Window(600, 250)

_MARGIN_MM = 14.0
_PIXEL_MM = 1.0
_UNITS_PER_MM = 2.0
_NAMED_LESIONS, _NAMED_MIMICS = 40, 12
_MOST_VESSELS = 6
_TAG_HEIGHT = 17.0
_GAPS = np.array([4.0, 10.0, 18.0, 28.0, 40.0, 54.0, 70.0])
_ANGLES = np.deg2rad([-45, 0, 45, -135, 180, 135, -90, 90, -22, 22, -158, 158])


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be numbered: centre and radius in picture units, and its text (empty: a mark without number)."""

    x: float
    y: float
    radius: float
    text: str
    is_lesion: bool


@dataclass(frozen=True, slots=True)
class Tag:
    """A number beside its mark: the mark, and the left, top, width and height of the text box."""

    mark: Mark
    x: float
    y: float
    width: float
    height: float

    @property
    def leader(self) -> tuple[float, float, float, float] | None:
        """Ends ``x0, y0, x1, y1`` of the line from the ring to the middle of the text box; None when they touch."""
        x, y = self.x + self.width / 2, self.y + self.height / 2
        away = float(np.hypot(x - self.mark.x, y - self.mark.y))
        if away <= self.mark.radius:
            return None
        part = self.mark.radius / away
        return self.mark.x + part * (x - self.mark.x), self.mark.y + part * (y - self.mark.y), x, y


@dataclass(frozen=True, slots=True)
class LiverMap:
    """One projection; lengths in picture units.

    Args:
        plane: ``axial`` or ``coronal``.
        width: of the picture.
        height: of the picture.
        grey: the projection.
        letters: directions at top, bottom, left, right.
        tags: numbered marks.
        bare: marks without a number.
        bar: length of the scale bar.
        bar_mm: the same in mm.
        outside: candidates that lie beyond the edge of the map.
        vessels: candidates taken for vessels that are not drawn, since there are many.
    """

    plane: str
    width: float
    height: float
    grey: Grey
    letters: tuple[str, str, str, str]
    tags: tuple[Tag, ...]
    bare: tuple[Mark, ...]
    bar: float
    bar_mm: int
    outside: int
    vessels: int


def liver_maps(assessment: Assessment, scene: Scene) -> tuple[LiverMap, ...]:
    """Return the coronal and the axial map; nothing when the liver mask is empty."""
    spans = _extent(scene)
    return () if spans is None else tuple(_map(assessment, scene, plane, spans) for plane in (CORONAL, AXIAL))


def place_tags(marks: Sequence[Mark], width: float, height: float) -> tuple[Tag, ...]:
    """Put a number beside every mark so that numbers cover neither each other nor a mark.

    Each number tries rings of growing distance around its mark and takes the first free place; when none is
    free it takes the place that covers least.
    """
    rings = np.array([(m.x - m.radius, m.y - m.radius, 2 * m.radius, 2 * m.radius) for m in marks]).reshape(-1, 4)
    taken = np.zeros((0, 4))
    tags = []
    for mark in marks:
        wide = 9.0 * len(mark.text) + 7.0
        reach = mark.radius + _GAPS[:, None]
        x = mark.x + np.cos(_ANGLES) * (reach + wide / 2) - wide / 2
        y = mark.y + np.sin(_ANGLES) * (reach + _TAG_HEIGHT / 2) - _TAG_HEIGHT / 2
        x = np.clip(x.ravel(), 1.0, max(width - wide - 1, 1.0))
        y = np.clip(y.ravel(), 1.0, max(height - _TAG_HEIGHT - 1, 1.0))
        places = np.stack([x, y, np.full_like(x, wide), np.full_like(x, _TAG_HEIGHT)], axis=1)
        best = places[int(np.argmin(4 * _overlap(places, taken) + _overlap(places, rings)))]
        taken = np.vstack([taken, best])
        tags.append(Tag(mark, *(float(v) for v in best)))
    return tuple(tags)


def _extent(scene: Scene) -> tuple[tuple[int, int], ...] | None:
    """Half-open index ranges of the liver along canonical (z, y, x)."""
    spans: list[tuple[int, int]] = []
    part = scene.liver
    for axis in range(3):
        hit = np.flatnonzero(part.any(axis=tuple(k for k in range(3) if k != axis)))
        if hit.size == 0:
            return None
        spans.append((int(hit[0]), int(hit[-1]) + 1))
        where = [slice(None)] * 3
        where[axis] = slice(*spans[-1])
        part = part[tuple(where)]
    return tuple(spans)


def _map(assessment: Assessment, scene: Scene, plane: Plane, spans: tuple[tuple[int, int], ...]) -> LiverMap:
    spacing = scene.geometry.spacing_mm
    size = tuple((spans[k][1] - spans[k][0]) * spacing[k] + 2 * _MARGIN_MM for k in (plane.rows, plane.columns))
    centre = tuple((spans[k][0] + spans[k][1] - 1) / 2 for k in (plane.rows, plane.columns))
    crop = scene.crop(plane, 0, (centre[0], centre[1]), (size[0], size[1]))
    where = [slice(*span) for span in spans]
    for axis, span in zip((plane.rows, plane.columns), crop.ranges, strict=True):
        where[axis] = slice(*span)
    inside = scene.liver[tuple(where)]
    floor = MAP_WINDOW.level - MAP_WINDOW.width / 2
    top = np.full(crop.cut(scene.hu).shape, floor, np.float32)
    hu = scene.hu[tuple(where)]
    for layer, seen in zip(np.moveaxis(hu, plane.normal, 0), np.moveaxis(inside, plane.normal, 0), strict=True):
        np.maximum(top, layer, out=top, where=seen, casting="unsafe")
    height, width = size[0] * _UNITS_PER_MM, size[1] * _UNITS_PER_MM
    lesions, mimics = _marks(assessment, scene, plane, crop)
    shown = [m for m in lesions + mimics if 0 <= m.x <= width and 0 <= m.y <= height]
    named = [m for m in shown if m.text]
    return LiverMap(
        plane=plane.name,
        width=width,
        height=height,
        grey=grey_picture(top, crop, MAP_WINDOW, _PIXEL_MM, _UNITS_PER_MM),
        letters=letters(scene.geometry, plane),
        tags=place_tags(named, width, height),
        bare=tuple(m for m in shown if not m.text),
        bar=50 * _UNITS_PER_MM,
        bar_mm=50,
        outside=len(lesions) + len(mimics) - len(shown),
        vessels=sum(f.lesion is None for f in assessment.foci) - len(mimics),
    )


def _marks(assessment: Assessment, scene: Scene, plane: Plane, crop: Crop) -> tuple[list[Mark], list[Mark]]:
    """Return the marks of lesions and those of mimics, the first of each with a number; many vessels are left out."""
    mimics = [f for f in assessment.foci if f.lesion is None]
    if sum(f.kind == "vessel" for f in mimics) > _MOST_VESSELS:
        mimics = [f for f in mimics if f.kind != "vessel"]
    return (
        [
            _mark(scene, plane, crop, [f for f in assessment.foci if f.id in le.focus_ids], le.centroid_mm,
                  f"L{le.id}" if k < _NAMED_LESIONS else "", is_lesion=True)
            for k, le in enumerate(assessment.lesions)
        ],
        [
            _mark(scene, plane, crop, [f], f.centroid_mm, f"#{f.id}" if k < _NAMED_MIMICS else "", is_lesion=False)
            for k, f in enumerate(mimics)
        ],
    )  # fmt: skip


def _mark(
    scene: Scene,
    plane: Plane,
    crop: Crop,
    foci: Sequence[Focus],
    centroid_mm: tuple[float, float, float],
    text: str,
    *,
    is_lesion: bool,
) -> Mark:
    """Return a ring around the boxes of ``foci``, or around the centroid when there are none."""
    middle = [float(v) for v in scene.geometry.to_index(centroid_mm)]
    across = 0.0
    for axis in (plane.rows, plane.columns) if foci else ():
        low = min(scene.box(f)[axis][0] for f in foci)
        high = max(scene.box(f)[axis][1] for f in foci)
        middle[axis] = (low + high - 1) / 2
        across = max(across, (high - low) * scene.geometry.spacing_mm[axis])
    x, y = crop.place(middle[plane.rows], middle[plane.columns])
    radius = min(max(across / 2 + 1.5, 3.0), 40.0)
    return Mark(x * _UNITS_PER_MM, y * _UNITS_PER_MM, radius * _UNITS_PER_MM, text, is_lesion)


def _overlap(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Return how much of each box ``(left, top, width, height)`` the others cover, summed, ``(boxes,)``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    area: FloatArray = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
    return area
