"""Pictures of a lesion in three planes: grey PNG below, outlines and marks as SVG above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hepacalc.records import Assessment, Focus, Lesion, Measured
from hepacalc.report.contour import outline, path_data
from hepacalc.report.scene import PLANES, Box, Crop, Plane, Scene, Window, letters, png_uri

__all__ = ["BONE", "FAINT", "SOFT", "Grey", "Picture", "grey_picture", "lesion_pictures", "place_picture"]

SOFT = Window(400, 60)
BONE = Window(1200, 400)
FAINT = Window(700, 200)

_NEAR_MM, _WIDE_MM = (40.0, 130.0)
_FAINT_HU = 450.0
_UNITS = 240.0


@dataclass(frozen=True, slots=True)
class Grey:
    """A PNG and the rectangle ``x, y, width, height`` it fills on a picture."""

    uri: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, ready for the template; lengths in picture units.

    Args:
        plane: ``axial``, ``coronal``, ``sagittal``.
        view: ``near`` (bone window) or ``wide`` (soft window).
        window: grey scale.
        fov_mm: width of the picture.
        width: of the picture.
        height: of the picture.
        grey: the slice.
        focus: SVG path of this lesion.
        other: SVG path of other candidates.
        liver: SVG path of the liver.
        letters: directions at top, bottom, left, right.
        ticks: ``(x, y)`` where the other two planes cut.
        bar: length of the scale bar.
        bar_mm: the same in mm.
        number: slice number, from 1.
        count: slices along this direction.
        axis: letter of the LPS coordinate.
        position_mm: that coordinate at the crossing of the planes.
    """

    plane: str
    view: str
    window: Window
    fov_mm: float
    width: float
    height: float
    grey: Grey
    focus: str
    other: str
    liver: str
    letters: tuple[str, str, str, str]
    ticks: tuple[float, float]
    bar: float
    bar_mm: int
    number: int
    count: int
    axis: str
    position_mm: float


def lesion_pictures(
    assessment: Assessment, scene: Scene, lesion: Lesion, *, fine: bool = True
) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Return the near (bone window) and the wide (soft window) pictures of a lesion, three planes each.

    Args:
        assessment: whose focus records name the boxes.
        scene: its arrays in canonical orientation.
        lesion: what to show.
        fine: finer pixels; False keeps the file small when there are many lesions.
    """
    foci = [f for f in assessment.foci if f.id in lesion.focus_ids]
    box = _around([scene.box(f) for f in foci]) or _at(scene, lesion.centroid_mm)
    cut = tuple(slice(a, b) for a, b in box)
    labels = scene.labels[cut]
    member = np.isin(labels, np.array(lesion.focus_ids, labels.dtype))
    crossing = _crossing(member, box)
    spacing = scene.geometry.spacing_mm
    extent = max((b - a) * s for (a, b), s in zip(box, spacing, strict=True))
    near = _round_up(max(_NEAR_MM, 1.6 * extent))
    wide = max(_WIDE_MM, _round_up(1.2 * near))
    fields = ((near, _near_window(foci), "near", 0.2 if fine else 0.3), (wide, SOFT, "wide", 0.7 if fine else 0.9))
    middle = tuple((a + b - 1) / 2 for a, b in box)
    rows = tuple(
        tuple(
            _picture(scene, plane, crossing, middle, lesion.focus_ids, fov, window, view, pixel * max(fov / base, 1))
            for plane in PLANES
        )
        for (fov, window, view, pixel), base in zip(fields, (_NEAR_MM, _WIDE_MM), strict=True)
    )
    return rows[0], rows[1]


def place_picture(
    scene: Scene, place_mm: tuple[float, float, float], own: Sequence[int], *, near: bool = True
) -> Picture:
    """Return the axial picture of a place: 60 mm in the bone window, or 160 mm in the soft window.

    Args:
        scene: arrays in canonical orientation.
        place_mm: LPS; the nearest voxel of the scan is taken.
        own: ids of the foci to outline as this lesion.
        near: whether the narrow or the wide picture is wanted.
    """
    box = _at(scene, place_mm)
    crossing = (box[0][0], box[1][0], box[2][0])
    fov, window, view, pixel = (60.0, BONE, "near", 0.3) if near else (160.0, SOFT, "wide", 0.8)
    middle = tuple(float(k) for k in crossing)
    return _picture(scene, PLANES[0], crossing, middle, tuple(own), fov, window, view, pixel)


def grey_picture(hu: NDArray[Any], crop: Crop, window: Window, pixel_mm: float, units_per_mm: float) -> Grey:
    """Return ``hu`` of a crop, ``(rows, columns)``, as 8-bit grey on square pixels of ``pixel_mm``."""
    low = window.level - window.width / 2
    scaled = (np.asarray(hu, np.float32) - low) * (255.0 / window.width)
    grey = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    height, width = (n * s for n, s in zip(grey.shape, crop.spacing, strict=True))
    pixels = (max(1, round(width / pixel_mm)), max(1, round(height / pixel_mm)))
    image = Image.fromarray(np.ascontiguousarray(grey[::-1] if crop.plane.flipped else grey))
    image = image.resize(pixels, Image.Resampling.BICUBIC)
    (r0, r1), (c0, _) = crop.ranges
    x, y = crop.place(r1 - 0.5 if crop.plane.flipped else r0 - 0.5, c0 - 0.5)
    uri = png_uri(np.asarray(image))
    return Grey(uri, x * units_per_mm, y * units_per_mm, width * units_per_mm, height * units_per_mm)


def _picture(
    scene: Scene,
    plane: Plane,
    crossing: tuple[int, int, int],
    middle: tuple[float, ...],
    own: Sequence[int],
    fov: float,
    window: Window,
    view: str,
    pixel_mm: float,
) -> Picture:
    centre = (middle[plane.rows], middle[plane.columns])
    crop = scene.crop(plane, crossing[plane.normal], centre, (fov, fov))
    per_mm = _UNITS / fov
    (row0, _), (col0, _) = crop.ranges

    def place(row: float, column: float) -> tuple[float, float]:
        x, y = crop.place(row + row0, column + col0)
        return x * per_mm, y * per_mm

    labels = crop.cut(scene.labels)
    member = np.isin(labels, np.array(own, labels.dtype))
    bar_mm = 10 if fov < 80 else 20 if fov < 200 else 50
    x, y = crop.place(crossing[plane.rows], crossing[plane.columns])
    return Picture(
        plane=plane.name,
        view=view,
        window=window,
        fov_mm=fov,
        width=_UNITS,
        height=_UNITS,
        grey=grey_picture(crop.cut(scene.hu), crop, window, pixel_mm, per_mm),
        focus=path_data(outline(member), place),
        other=path_data(outline((labels > 0) & ~member), place),
        liver=path_data(outline(crop.cut(scene.liver)), place),
        letters=letters(scene.geometry, plane),
        ticks=(x * per_mm, y * per_mm),
        bar=bar_mm * per_mm,
        bar_mm=bar_mm,
        number=crossing[plane.normal] + 1,
        count=scene.geometry.shape[plane.normal],
        axis=plane.world,
        position_mm=float(scene.geometry.to_world(crossing)["xyz".index(plane.world)]),
    )


def _near_window(foci: Sequence[Focus]) -> Window:
    """The bone window, or a narrower one when the brightest voxel of the lesion would stay dark in it."""
    peaks = [m.value for f in foci if isinstance(m := f.measurements.get("max_hu"), Measured)]
    return FAINT if peaks and max(peaks) < _FAINT_HU else BONE


def _around(boxes: Sequence[Box]) -> Box | None:
    """The box around boxes."""
    if not boxes:
        return None
    spans = [(min(b[k][0] for b in boxes), max(b[k][1] for b in boxes)) for k in range(3)]
    return spans[0], spans[1], spans[2]


def _at(scene: Scene, centroid_mm: tuple[float, float, float]) -> Box:
    """The box of the voxel nearest to a point."""
    index = np.rint(scene.geometry.to_index(centroid_mm)).astype(int)
    spans = [(k, k + 1) for k in np.clip(index, 0, np.array(scene.geometry.shape) - 1).tolist()]
    return spans[0], spans[1], spans[2]


def _crossing(member: NDArray[np.bool_], box: Box) -> tuple[int, int, int]:
    """Where the three planes cross.

    In each direction the slice nearest to the middle of the voxels that shows at least half as much of the
    lesion as its fullest slice.
    """
    out = []
    for axis, (start, stop) in enumerate(box):
        area = member.sum(axis=tuple(k for k in range(3) if k != axis))
        if not area.any():
            out.append((start + stop - 1) // 2)
            continue
        middle = float(np.average(np.arange(area.size), weights=area))
        full = np.flatnonzero(2 * area >= area.max())
        out.append(start + int(full[np.argmin(np.abs(full - middle))]))
    return out[0], out[1], out[2]


def _round_up(length_mm: float) -> float:
    return float(10 * np.ceil(length_mm / 10))
