"""From an assessment to what a comparison needs of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.followup.records import Exam, LiverView, Part, Seen
from hepacalc.geometry import Geometry
from hepacalc.records import Assessment, Focus, Lesion, Measured, Measurement, NotMeasured, Pattern

__all__ = ["MOST_POINTS", "exam_of", "parts_of"]

MOST_POINTS = 400
BRIGHT = ("calcification", "indeterminate", "stone-like", "metal")
"""Kinds that are no vessels: a fit must not follow them, as they come and go."""


def exam_of(assessment: Assessment, *, hu: NDArray[np.int16] | NDArray[np.float32] | None, ordinal: int | None) -> Exam:
    """Return an exam from its assessment.

    Args:
        assessment: the exam.
        hu: its CT numbers ``(z, y, x)``; None where only the stored assessment is at hand.
        ordinal: day of the exam as a number of days; None when not known.
    """
    parts = parts_of(assessment.labels, assessment.geometry)
    foci = {focus.id: focus for focus in assessment.foci}
    lesions = tuple(
        _lesion(lesion, [foci[k] for k in lesion.focus_ids], [parts[k] for k in lesion.focus_ids if k in parts])
        for lesion in assessment.lesions
        if any(k in parts for k in lesion.focus_ids)
    )
    others = tuple(_other(f, parts[f.id]) for f in assessment.foci if f.lesion is None and f.id in parts)
    told, parenchyma = assessment.acquisition, assessment.liver.parenchyma_hu
    known = isinstance(parenchyma, Measured)
    spots = [f.id for f in assessment.foci if f.kind in BRIGHT]
    view = LiverView(
        assessment.liver_mask.mask, assessment.geometry, hu if known else None,
        parenchyma.value if isinstance(parenchyma, Measured) else None,
        np.isin(assessment.labels, np.array(spots, np.uint16)) if known and hu is not None and spots else None,
    )  # fmt: skip
    scanner = "|".join(str(word) for word in (told.manufacturer, told.manufacturer_model_name) if word)
    return Exam(
        lesions, others, view, assessment.phase.name, assessment.phase.is_contrast, assessment.phase.vessel_hu,
        parenchyma, assessment.liver.noise_hu, assessment.volume.slice_thickness_mm, assessment.calibration, scanner,
        ordinal,
    )  # fmt: skip


def parts_of(labels: NDArray[np.uint16], geometry: Geometry) -> dict[int, Part]:
    """Return the body of each focus in a label map, by id."""
    radius = max(geometry.spacing_mm) / 2
    out = {}
    for k, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        index = np.argwhere(labels[box] == k)
        thinned = max(len(index) / MOST_POINTS, 1.0)
        if thinned > 1.0:
            index = index[np.linspace(0, len(index) - 1, MOST_POINTS).astype(int)]
        out[k] = Part(k, geometry.to_world(index + [s.start for s in box]), radius * thinned ** (1 / 3))
    return out


def _lesion(lesion: Lesion, foci: list[Focus], parts: list[Part]) -> Seen:
    return Seen(
        id=lesion.id, kind=lesion.kind, certainty=lesion.certainty, centroid_mm=lesion.centroid_mm, parts=tuple(parts),
        mass_mg=lesion.mass_mg, volume_mm3=lesion.volume_mm3, extent_mm=lesion.extent_mm,
        signal_hu_mm3=_sum(f.measurements["total_hu_mm3"] for f in foci), contrast_hu=_contrast(foci),
        patterns=dict(lesion.pattern.probabilities) if isinstance(lesion.pattern, Pattern) else {},
    )  # fmt: skip


def _other(focus: Focus, part: Part) -> Seen:
    numbers = focus.measurements
    return Seen(
        focus.id, focus.kind, focus.certainty, focus.centroid_mm, (part,), numbers["mass_mg"], numbers["volume_mm3"],
        numbers["diameter_mm"], numbers["total_hu_mm3"], _contrast([focus]),
    )  # fmt: skip


def _sum(numbers: Iterable[Measurement]) -> Measurement:
    """Return the sum of the signal of foci; not measured where one is not."""
    held = list(numbers)
    for number in held:
        if isinstance(number, NotMeasured):
            return number
    known = [n for n in held if isinstance(n, Measured)]
    value, low, high = (sum(getattr(n, end) for n in known) for end in ("value", "low", "high"))
    return Measured(value, "HU.mm3", low, high, "sum over its foci")


def _contrast(foci: list[Focus]) -> Measurement:
    """Return how far the brightest voxel of foci stands out from the liver around it."""
    found = []
    for focus in foci:
        top, around = focus.measurements["max_hu"], focus.measurements["background_hu"]
        if isinstance(top, Measured) and isinstance(around, Measured):
            found.append(
                Measured(top.value - around.value, "HU", top.low - around.value, top.high - around.value, "peak")
            )
    if not found:
        return NotMeasured("the brightest voxel was not measured")
    return max(found, key=lambda number: number.value)
