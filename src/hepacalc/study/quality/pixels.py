"""Checks of the voxel values: are they clipped, is there metal, did the patient move, do air and fat lie right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepacalc.records import QualityFinding
from hepacalc.study.quality.view import PADDING_HU, CannotJudge, View, note, ok, severe, warning

__all__ = ["calibration", "clipping", "metal", "motion"]

_FAT_HU, _FAT_RANGE = -100.0, (-125.0, -75.0)
_AIR_HU, _AIR_TOLERANCE = -1000.0, 40.0
_METAL_HU = 2500
_LEAST_METAL_MM3 = 30.0
_STREAK_MM = 40.0


def clipping(view: View) -> QualityFinding:
    """Whether bright values were cut off, so that dense foci cannot be measured."""
    top = int(view.top_hu)
    near_top = view.volume.hu[view.volume.hu >= top - 20]
    at_top = int(np.count_nonzero(near_top == view.top_hu))
    just_below = len(near_top) - at_top
    if top < 2000 and at_top >= 20 and at_top > 3 * max(just_below, 1) / 20:
        return warning(
            "QC-CLIP",
            f"HU are cut off at {top} ({at_top} voxels): denser foci are measured too low, metal is not told apart",
            "Export the series again without clipping.",
        )
    if at_top >= 20 and top >= 2000:
        return ok("QC-CLIP", f"HU reach {top}, the end of the usual range ({at_top} voxels)")
    return ok("QC-CLIP", f"HU reach {top}, not cut off")


def metal(view: View) -> QualityFinding:
    """Large objects above 2500 HU, and how near they are to the liver."""
    top = view.top_hu
    if top <= _METAL_HU:
        if top < 2000 and clipping(view).level != "ok":
            raise CannotJudge(f"HU are cut off at {top:.0f}")
        return ok("QC-METAL", f"no metal: highest value {top:.0f} HU")
    where = np.argwhere(view.hu > _METAL_HU)
    voxel = float(np.prod(view.spacing_mm))
    cells = (where * view.spacing_mm // 4).astype(int)
    cells -= cells.min(axis=0)
    grid = np.zeros(cells.max(axis=0) + 1, dtype=bool)
    grid[tuple(cells.T)] = True
    labels, count = ndimage.label(grid, np.ones((3, 3, 3)))
    owner = labels[tuple(cells.T)]
    sizes = np.bincount(owner, minlength=count + 1) * voxel
    large = [i for i in range(1, count + 1) if sizes[i] >= _LEAST_METAL_MM3]
    if not large:
        return ok("QC-METAL", f"no large metal: {len(where)} voxels above {_METAL_HU} HU in {count} specks")
    largest = max(sizes[i] for i in large)
    text = f"{len(large)} object{'s' * (len(large) > 1)} above {_METAL_HU} HU, the largest {largest:.0f} mm3"
    try:
        nearest = _distance_to_liver(view, where[np.isin(owner, large)])
    except CannotJudge:
        return note("QC-METAL", f"{text}; distance to the liver unknown", "Look for streaks in the liver.")
    if nearest > _STREAK_MM:
        return note("QC-METAL", f"{text}, {nearest:.0f} mm from the liver", "Streaks may still cross it: look at them.")
    place = "in or at the liver" if nearest < 3 else f"{nearest:.0f} mm from the liver"
    return warning(
        "QC-METAL",
        f"{text}, {place}{_streaks(view, where)}",
        "Foci beside it are doubtful; use metal artefact reduction.",
    )


def _distance_to_liver(view: View, voxels: NDArray[np.int_]) -> float:
    z, y, x = view.steps
    liver = view.liver[::z, ::y, ::x]
    if not liver.any():
        raise CannotJudge("the liver mask is too small")
    spacing = tuple(s * n for s, n in zip(view.spacing_mm, view.steps, strict=True))
    distance = ndimage.distance_transform_edt(~liver, sampling=spacing)
    index = np.minimum(voxels // np.array(view.steps), np.array(liver.shape) - 1)
    return float(distance[tuple(index.T)].min())


def _streaks(view: View, metal_voxels: NDArray[np.int_]) -> str:
    """Say how much noisier the liver is in slices with metal."""
    with_metal = np.unique(metal_voxels[:, 0])
    _, y, x = view.steps
    inner = ndimage.binary_erosion(view.liver[:, ::y, ::x], np.ones((1, 3, 3)))
    spread = np.full(len(inner), np.nan)
    for z in np.flatnonzero(inner.sum(axis=(1, 2)) > 100):
        values = view.hu[z, ::y, ::x][inner[z]]
        low, high = np.percentile(values, [10, 90])
        spread[z] = high - low
    there = spread[with_metal]
    other = np.delete(spread, with_metal)
    if np.isfinite(there).sum() < 1 or np.isfinite(other).sum() < 1:
        return ""
    ratio = float(np.nanmedian(there) / max(np.nanmedian(other), 1.0))
    return f"; the liver varies {ratio:.1f} times as much in those slices" if ratio > 1.25 else "; no marked streaks"


def calibration(view: View) -> QualityFinding:
    """Where air around the patient and subcutaneous fat lie, against -1000 and about -100 HU."""
    fat, air = _fat_peak(view), _air_peak(view)
    if fat is None and air is None:
        raise CannotJudge("neither air around the patient nor fat under the skin shows a clear peak")
    fat_shift = 0.0 if fat is None else fat - _FAT_HU
    air_shift = 0.0 if air is None else air - _AIR_HU
    text = "fat under the skin not judged" if fat is None else f"fat {fat:.0f} HU ({fat_shift:+.0f})"
    text += ", air not judged" if air is None else f", air {air:.0f} HU ({air_shift:+.0f})"
    if abs(fat_shift) > 70 or abs(air_shift) > 100:
        return severe(
            "QC-CAL",
            f"{text}: expected about {_FAT_HU:.0f} and {_AIR_HU:.0f} HU",
            "Check rescale; calibrate the scanner.",
        )
    if (fat is not None and not _FAT_RANGE[0] <= fat <= _FAT_RANGE[1]) or abs(air_shift) > _AIR_TOLERANCE:
        return warning(
            "QC-CAL",
            f"{text}: expected about {_FAT_HU:.0f} and {_AIR_HU:.0f} HU; foci and mass may be off likewise",
            "Have the scanner calibrated; check for a cone-beam or converted series.",
        )
    return ok("QC-CAL", f"{text}: as expected")


def _fat_peak(view: View) -> float | None:
    """Return the peak of fat under the skin; None where there is little of it or no clear peak."""
    near_edge = view.body & ~ndimage.binary_erosion(view.body, np.ones((1, 3, 3)), iterations=6)
    values = view.sample[near_edge & (view.sample > -250) & (view.sample < -10)]
    if values.size < 500:
        return None
    counts, edges = np.histogram(values, np.arange(-250, -9, 4))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 3.0)
    peak = int(np.argmax(smooth))
    if peak in (0, len(smooth) - 1) or smooth[peak] < 1.3 * np.mean(smooth):
        return None
    return float(edges[peak] + 2)


def _air_peak(view: View) -> float | None:
    """Return the median of air around the patient; None where it is padding or cut off."""
    around = ~ndimage.binary_dilation(view.body, np.ones((1, 3, 3)), iterations=2)
    lowest = float(view.sample.min())
    values = view.sample[around & (view.sample < -600) & (view.sample > -1400)]
    values = values[(values != PADDING_HU) & (values != lowest)]
    return float(np.median(values)) if values.size > 2000 else None


def motion(view: View) -> QualityFinding:
    """Jumps of the body outline and of the liver outline from one slice to the next."""
    dz = view.spacing_mm[0]
    if view.hu.shape[0] < 12:
        raise CannotJudge(f"only {view.hu.shape[0]} slices")
    if dz > 6:
        raise CannotJudge(f"slices are {dz:.1f} mm apart")
    try:
        levels = np.flatnonzero(view.liver.any(axis=(1, 2)))
        low, high = int(levels[0]), int(levels[-1]) + 1
    except CannotJudge:
        low, high = 0, view.hu.shape[0]
    if high - low < 10:
        raise CannotJudge("too few slices of liver")
    _, y, x = view.steps
    pixel = view.spacing_mm[1] * y, view.spacing_mm[2] * x
    outline = view.hu[low:high, ::y, ::x] > -300
    outline = ndimage.binary_opening(outline, np.ones((1, 3, 3)))
    # a shift of the whole outline: changed area over the length of the outline
    changed = (outline[1:] ^ outline[:-1]).sum(axis=(1, 2)) * pixel[0] * pixel[1]
    rim = outline & ~ndimage.binary_erosion(outline, np.ones((1, 3, 3)))
    length = np.maximum(rim.sum(axis=(1, 2))[1:] * np.mean(pixel), 1)
    shift = changed / length
    usual = ndimage.median_filter(shift, 9, mode="nearest")
    typical = 1.4826 * float(np.median(np.abs(shift - usual))) + 0.15
    jumps = np.flatnonzero((shift > usual + 8 * typical) & (shift > 2.5 * usual) & (shift > 1.5))
    inner = jumps[(jumps > 0) & (jumps < len(shift) - 1)]
    if len(inner):
        worst = int(inner[np.argmax(shift[inner])])
        return warning(
            "QC-MOVE",
            f"{len(inner)} jump{'s' * (len(inner) > 1)} between slices of the liver, the largest {shift[worst]:.1f} mm"
            f" after slice {low + worst + 1} from the feet",
            "Foci there may be doubled or lost; repeat in one breath-hold.",
        )
    return ok(
        "QC-MOVE",
        f"no jump between slices of the liver (outline moves {np.median(shift):.1f} mm a slice); blur is not judged",
    )
