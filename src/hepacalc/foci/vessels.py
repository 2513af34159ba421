"""What contrast medium can look like: blood of this scan, and candidates that are plainly vessels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hepacalc.foci.blocks import block_mean
from hepacalc.foci.detect import Candidate
from hepacalc.foci.scene import F32, Mask, Scene, bulk

__all__ = [
    "Blood",
    "blood_margin",
    "brightest_long",
    "brightest_tree",
    "continues_mm",
    "core_hu",
    "is_compact",
    "vessel_reason",
]

LONG_QUANTILE = 0.97


@dataclass(frozen=True, slots=True)
class Blood:
    """What contrast medium can look like in this scan.

    Args:
        is_contrast: whether the scan is enhanced (or may be).
        brightest_hu: blood in the large vessels; None when they were not found.
        phase: name of the phase, for words.
        limit_hu: what blood cannot exceed, from the aorta and the vessels that are known; None when nothing is.
    """

    is_contrast: bool
    brightest_hu: float | None
    phase: str
    limit_hu: float | None = None


def vessel_reason(scene: Scene, candidate: Candidate, blood: Blood) -> str | None:
    """Return why a candidate is plainly a vessel, without a closer look; None when it is not plain.

    A vessel is no brighter than blood and either long, or drawn out, or goes on beyond the candidate as bright.
    """
    if not blood.is_contrast or blood.brightest_hu is None:
        return None
    top = blood.brightest_hu
    values = _smooth_values(scene, candidate)
    extent = _extent_mm(scene, candidate)
    if _is_long(scene, candidate) and _quantile(values, candidate, 0.85) <= top + blood_margin(scene):
        reason = f"{candidate.peak_hu:.0f} HU over {extent:.0f} mm"
    elif _quantile(values, candidate) > top + blood_margin(scene):
        return None
    elif not is_compact(scene, candidate.region):
        reason = f"{candidate.peak_hu:.0f} HU, drawn out as a vessel is"
    elif continues_mm(scene, candidate, blood) > 6.0:
        reason = f"{candidate.peak_hu:.0f} HU, and vessel-like brightness goes on beyond it"
    else:
        return None
    return f"{reason}; blood reaches {top:.0f} HU"


def brightest_tree(scene: Scene, limit_hu: float) -> float | None:
    """Return HU of the largest vessel tree inside the liver, at the scale of 2.6 mm; None when there is none.

    The largest, not the brightest: one calcified duct must not pass for blood. What exceeds ``limit_hu`` is calcium
    that lies against the tree, and does not count.
    """
    factor = tuple(max(round(2.6 / d), 1) for d in scene.spacing_mm)
    mean = block_mean(scene.hu, factor)
    liver = block_mean(scene.liver, factor) >= 0.8
    sd = bulk(mean[liver])[1] if liver.any() else scene.spread_hu
    labels, _ = ndimage.label(liver & (mean > scene.parenchyma_hu + max(2.5 * sd, 20.0)), np.ones((3, 3, 3)))
    step = np.asarray(scene.spacing_mm) * factor
    tops: list[tuple[int, float]] = []
    for k, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == k
        extent = max((s.stop - s.start) * d for s, d in zip(box, step, strict=True))
        if extent >= 25.0 and part.mean() < 0.35 and part.sum() * float(np.prod(step)) >= 800.0:
            values = mean[box][part]
            blood = values[values <= limit_hu]
            if len(blood) > 0.5 * len(values):
                tops.append((int(part.sum()), float(np.quantile(blood, 0.97))))
    return max(tops)[1] if tops else None


def brightest_long(scene: Scene, candidates: Sequence[Candidate]) -> float | None:
    """Return HU of the largest long, tree-like structure inside the liver: on an enhanced scan, a vessel."""
    long = [
        c
        for c in candidates
        if c.inside > 0.35 and c.depth_mm > 12.0 and _is_long(scene, c) and _extent_mm(scene, c) >= 35.0
    ]
    # not its very brightest part: a calcification may lie against it
    return core_hu(scene, max(long, key=lambda c: int(c.region.sum())), LONG_QUANTILE) if long else None


def _extent_mm(scene: Scene, candidate: Candidate) -> float:
    return float(max(n * d for n, d in zip(candidate.region.shape, scene.spacing_mm, strict=True)))


def _is_long(scene: Scene, candidate: Candidate) -> bool:
    return _extent_mm(scene, candidate) >= 25.0 and float(candidate.region.mean()) <= 0.35


def blood_margin(scene: Scene) -> float:
    """Return by how much calcium must be brighter than blood."""
    return max(22.0, 1.4 * scene.curve.at(float(np.prod(scene.spacing_mm)) * 4.0))


def core_hu(scene: Scene, candidate: Candidate, share: float = 1.0) -> float:
    """Return the peak (or a lower quantile) of a candidate after averaging over about the resolution in the plane."""
    return _quantile(_smooth_values(scene, candidate), candidate, share)


def _quantile(values: F32, candidate: Candidate, share: float = 1.0) -> float:
    value = float(values.max() if share == 1.0 else np.quantile(values, share))
    return min(value, candidate.peak_hu + 8.0)


def _smooth_values(scene: Scene, candidate: Candidate) -> F32:
    """Return the HU of a candidate's voxels, averaged over about the resolution in the plane."""
    box = tuple(slice(max(b.start - 4, 0), b.stop + 4) for b in candidate.box)
    sigma = [0.0 if axis == scene.slice_axis and d > 1.5 else 0.9 / d for axis, d in enumerate(scene.spacing_mm)]
    smooth = ndimage.gaussian_filter(scene.hu[box], sigma, truncate=3)
    inner = tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(candidate.box, box, strict=True))
    return np.asarray(smooth[inner][candidate.region])


def is_compact(scene: Scene, region: Mask) -> bool:
    """Whether a region is about as long as it is wide, given thick slices."""
    extent = [n * d for n, d in zip(region.shape, scene.spacing_mm, strict=True)]
    if max(extent) > 25.0 or (max(extent) > 12.0 and region.mean() < 0.3):
        return False
    along = extent[scene.slice_axis]
    short, wide = _plane_axes_mm(scene, region)
    return bool(wide <= 2.2 * short + 1.0 and along <= 2.0 * wide + 1.5 * scene.slice_thickness_mm)


def _plane_axes_mm(scene: Scene, region: Mask) -> tuple[float, float]:
    """Return the axes in mm of the ellipse that a region looks like when seen along the slice axis, shorter first.

    Its own axes, not those of the grid: a vessel that runs across the grid fills a box as wide as long.
    """
    pixel = np.array([d for axis, d in enumerate(scene.spacing_mm) if axis != scene.slice_axis])
    points = np.argwhere(region.any(axis=scene.slice_axis)) * pixel
    spread = np.cov(points.T, bias=True) + np.diag(pixel**2 / 12.0)
    short, wide = 4.0 * np.sqrt(np.linalg.eigvalsh(spread))
    return float(short), float(wide)


def continues_mm(scene: Scene, candidate: Candidate, blood: Blood) -> float:
    """Return how far in mm vessel-like brightness goes on from the peak beyond the focus itself."""
    reach = 16.0
    box = tuple(
        slice(max(p - int(reach / d), 0), min(p + int(reach / d) + 1, n))
        for p, d, n in zip(candidate.peak, scene.spacing_mm, scene.hu.shape, strict=True)
    )
    hu = scene.hu[box]
    width = 0.8 if scene.noise_hu < 15 else 1.3
    smooth = ndimage.gaussian_filter(hu, [width / d if d < 2 else 0.0 for d in scene.spacing_mm])
    top = candidate.peak_hu if blood.brightest_hu is None else min(blood.brightest_hu, candidate.peak_hu)
    low = candidate.background_hu + max(0.45 * (top - candidate.background_hu), 2.0 * scene.noise_hu * 0.6, 15.0)
    bright = smooth > low
    at = tuple(p - b.start for p, b in zip(candidate.peak, box, strict=True))
    bright[at] = True
    labels, _ = ndimage.label(bright, ndimage.generate_binary_structure(3, 1))
    part = np.argwhere(labels == labels[at])
    own = np.argwhere(candidate.region) + [b.start - o.start for b, o in zip(candidate.box, box, strict=True)]
    far, size = (float(np.sqrt((((index - at) * scene.spacing_mm) ** 2).sum(axis=1).max())) for index in (part, own))
    return far - min(size, far)
