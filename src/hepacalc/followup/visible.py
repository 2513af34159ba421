"""Whether an exam could have shown a lesion that was seen at another: place, size, contrast medium, mimics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.followup.match import body_gap_mm
from hepacalc.followup.records import Exam, Seen
from hepacalc.records import Measured

__all__ = ["could_show", "in_view"]

F64 = NDArray[np.float64]
IN_PLANE_SIGMA_MM = 0.75
NOISE_FACTOR, LEAST_HU = 5.0, 40.0
SURE_FACTOR = 1.5
BLOOD_FACTOR = 1.2
EDGE_MM, OUTSIDE_LIVER_MM = 5.0, 6.0
BESIDE_MM = 3.0


def in_view(point_mm: F64, exam: Exam, *, margin_mm: float = EDGE_MM) -> bool:
    """Whether a place lies in the field of view of an exam, ``margin_mm`` from its edges or more."""
    grid = exam.view.geometry
    index = grid.to_index(point_mm)
    return all(
        margin_mm / d - 0.5 <= i <= n - 0.5 - margin_mm / d
        for i, n, d in zip(index, grid.shape, grid.spacing_mm, strict=True)
    )


def could_show(exam: Exam, lesion: Seen, place_mm: F64, body_mm: F64, *, place_sd_mm: float) -> tuple[str, ...]:
    """Return why an exam could not have shown a lesion; nothing when it could.

    Args:
        exam: at which it is not among the lesions.
        lesion: as it was seen at the other exam.
        place_mm: LPS of its centroid, carried to ``exam``.
        body_mm: likewise of its points ``(n, 3)``.
        place_sd_mm: how far places may be off.
    """
    reach = place_sd_mm * 2
    if not in_view(place_mm, exam, margin_mm=max(EDGE_MM, exam.slice_thickness_mm or 0.0)):
        return ("its place lies outside the field of view of the other exam",)
    reasons = []
    if _liver_gap(place_mm, exam) > OUTSIDE_LIVER_MM + reach / 2:
        reasons.append("its place lies outside the contour of the liver at the other exam")
    for other in exam.others:
        if body_gap_mm(body_mm, other.points_mm) <= BESIDE_MM + reach / 2:
            reasons.append(f"something that was taken for {other.kind} lies at its place at the other exam")
            break
    small = _too_faint(exam, lesion)
    return (*reasons, *((small,) if small else ()))


def _liver_gap(point_mm: F64, exam: Exam) -> float:
    """Return how far a place lies outside the liver's contour in mm, looked for within 20 mm; 0 inside."""
    grid = exam.view.geometry
    index = np.rint(grid.to_index(point_mm)).astype(int)
    reach = [int(np.ceil(20.0 / d)) for d in grid.spacing_mm]
    box = tuple(
        slice(max(int(i) - r, 0), max(min(int(i) + r + 1, n), 0))
        for i, r, n in zip(index, reach, exam.view.liver.shape, strict=True)
    )
    inside = np.argwhere(exam.view.liver[box])
    if not len(inside):
        return 20.0
    away = (inside + [b.start for b in box] - grid.to_index(point_mm)) * grid.spacing_mm
    return max(float(np.sqrt((away**2).sum(axis=1)).min()) - max(grid.spacing_mm), 0.0)


def _too_faint(exam: Exam, lesion: Seen) -> str:
    """Return why a lesion may be too small or too faint for an exam; empty when it is not."""
    if exam.slice_thickness_mm is None or not isinstance(exam.noise_hu, Measured):
        return "how small a focus the other exam could show is not known"
    if not isinstance(lesion.signal_hu_mm3, Measured) or not isinstance(lesion.contrast_hu, Measured):
        return "how bright it is was not measured"
    expected = _expected_hu(exam, lesion, lesion.signal_hu_mm3.value, lesion.contrast_hu.value)
    needed = max(NOISE_FACTOR * exam.noise_hu.value, LEAST_HU)
    if expected < SURE_FACTOR * needed:
        return (
            f"it would stand out by {expected:.0f} HU at the other exam, where {SURE_FACTOR * needed:.0f} HU are "
            "needed to be sure: below the smallest size that it could show"
        )
    if exam.is_contrast and isinstance(exam.vessel_hu, Measured) and isinstance(exam.parenchyma_hu, Measured):
        blood = BLOOD_FACTOR * (exam.vessel_hu.value - exam.parenchyma_hu.value)
        if expected < blood:
            return "contrast medium in the vessels of the other exam is as bright as it"
    return ""


def _expected_hu(exam: Exam, lesion: Seen, signal: float, contrast: float) -> float:
    """Return how far the brightest voxel would stand out from the liver, blurred as the other exam blurs."""
    spacing = exam.view.geometry.spacing_mm
    thickness = exam.slice_thickness_mm or max(spacing)
    in_plane = max(IN_PLANE_SIGMA_MM, 0.4 * sorted(spacing)[1])
    along = float(np.hypot(thickness / np.sqrt(12), 0.15 * thickness))
    volume = lesion.volume_mm3.value if isinstance(lesion.volume_mm3, Measured) else 0.0
    own = (3 * max(volume, 0.0) / (4 * np.pi)) ** (2 / 3) / 5
    spread = (2 * np.pi) ** 1.5 * float(np.sqrt((in_plane**2 + own) ** 2 * (along**2 + own)))
    # a lesion of several foci shows when its largest does
    share = 1.0 / np.sqrt(len(lesion.parts))
    return float(min(contrast, share * signal / spread))
