"""Calcium, or something that looks like it: one test for each mimic, with its reasons in words.

Nothing is thrown away: what fails a test keeps its own kind. Safety errs one way: on an enhanced scan, at cut-off HU
and beside metal calcium is never called certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hepacalc.foci.aperture import Window
from hepacalc.foci.blocks import reduce_blocks
from hepacalc.foci.detect import Candidate
from hepacalc.foci.scene import Mask, Scene, bulk
from hepacalc.records import Certainty, Kind

__all__ = ["Blood", "Verdict", "brightest_long", "brightest_tree", "judge", "judge_vessel"]

CALCIUM_HU = 130.0
INDETERMINATE_HU = 90.0
METAL_HU = 1000.0
SURELY_METAL_HU = 1900.0
GAS_HU = -250.0


@dataclass(frozen=True, slots=True)
class Blood:
    """What contrast medium can look like in this scan.

    Args:
        is_contrast: whether the scan is enhanced (or may be).
        brightest_hu: blood in the large vessels; None when they were not found.
        phase: name of the phase, for words.
    """

    is_contrast: bool
    brightest_hu: float | None
    phase: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a candidate is taken for, how surely, and why."""

    kind: Kind
    certainty: Certainty
    score: float
    mimic: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Signs:
    """What the tests look at."""

    peak_hu: float
    core_hu: float
    margin_hu: float
    true_hu: float
    above_hu: float
    total: float
    sureness: float
    noise_hu: float
    significance: float
    inside: float
    depth_mm: float
    at_scan_edge: bool
    leaves_liver: bool
    continues_mm: float
    gas_mm: float
    fluid_share: float
    liver_share: float
    streak_hu: float
    is_clipped: bool
    volume_mm3: float
    is_compact: bool


def judge_vessel(scene: Scene, candidate: Candidate, blood: Blood) -> Verdict | None:
    """Return the verdict on what is plainly a vessel, without a closer look; else None.

    A vessel is no brighter than blood and either long, or goes on beyond the candidate at vessel-like brightness.
    """
    if not blood.is_contrast or blood.brightest_hu is None:
        return None
    top = blood.brightest_hu
    core = _core_of(scene, candidate)
    extent = _extent_mm(scene, candidate)
    if _is_long(scene, candidate) and core <= top + 1.5 * _margin(scene):
        reason = f"{candidate.peak_hu:.0f} HU over {extent:.0f} mm"
    elif core <= top + _margin(scene) and (
        _continues(scene, candidate, blood) > 6.0 or not _is_compact(scene, candidate.region)
    ):
        reason = f"{candidate.peak_hu:.0f} HU, and vessel-like brightness goes on beyond it"
    else:
        return None
    return Verdict("vessel", "probable", 0.05, ("enhanced vessel",), (f"{reason}; blood reaches {top:.0f} HU",))


def brightest_long(scene: Scene, candidates: Sequence[Candidate]) -> float | None:
    """Return HU of the brightest long, tree-like structure inside the liver: on an enhanced scan, a vessel."""
    cores = [
        _core_of(scene, c) for c in candidates if c.inside > 0.6 and _is_long(scene, c) and _extent_mm(scene, c) >= 35.0
    ]
    return max(cores) if cores else None


def _extent_mm(scene: Scene, candidate: Candidate) -> float:
    return max(n * d for n, d in zip(candidate.region.shape, scene.spacing_mm, strict=True))


def _is_long(scene: Scene, candidate: Candidate) -> bool:
    return _extent_mm(scene, candidate) >= 25.0 and float(candidate.region.mean()) <= 0.35


def _margin(scene: Scene) -> float:
    """Return by how much calcium must be brighter than blood."""
    return max(25.0, 2.0 * scene.curve.at(float(np.prod(scene.spacing_mm)) * 4.0))


def _core_of(scene: Scene, candidate: Candidate) -> float:
    """Return the peak of a candidate after averaging over about the resolution in the plane."""
    box = tuple(slice(max(b.start - 4, 0), b.stop + 4) for b in candidate.box)
    sigma = [0.0 if axis == scene.slice_axis and d > 1.5 else 0.9 / d for axis, d in enumerate(scene.spacing_mm)]
    smooth = ndimage.gaussian_filter(scene.hu[box], sigma)
    inner = tuple(
        slice(b.start - o.start, b.stop - o.start) for b, o in zip(candidate.box, box, strict=True)
    )
    return float(smooth[inner][candidate.region].max())


def brightest_tree(scene: Scene) -> float | None:
    """Return HU of the brightest large vessels inside the liver, at the scale of 2.6 mm; None when there are none."""
    factor = tuple(max(round(2.6 / d), 1) for d in scene.spacing_mm)
    mean = reduce_blocks(scene.hu, factor)[0]
    liver = reduce_blocks(scene.liver.view(np.uint8), factor)[0] >= 0.8
    sd = bulk(mean[liver])[1] if liver.any() else scene.spread_hu
    labels, n = ndimage.label(liver & (mean > scene.parenchyma_hu + max(2.5 * sd, 20.0)), np.ones((3, 3, 3)))
    step = np.asarray(scene.spacing_mm) * factor
    tops: list[float] = []
    for k, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == k
        extent = max((s.stop - s.start) * d for s, d in zip(box, step, strict=True))
        if extent >= 25.0 and part.mean() < 0.35 and part.sum() * float(np.prod(step)) >= 800.0:
            tops.append(float(np.quantile(mean[box][part], 0.97)))
    return max(tops) if tops else None


def judge(scene: Scene, candidate: Candidate, window: Window, blood: Blood, metal: Mask | None) -> Verdict:
    """Return what a candidate is taken for.

    Args:
        scene: the liver.
        candidate: the bright peak.
        window: it and its surroundings.
        blood: what contrast medium can look like.
        metal: bool on the scene's grid, metal found so far, or None.
    """
    signs = _look(scene, candidate, window, blood)
    for test in (_is_metal, _is_outside, _is_stone, _is_gas_edge):
        verdict = test(signs)
        if verdict is not None:
            return verdict
    if metal is not None and _beside(metal, candidate, scene, 5.0):
        return Verdict(
            "metal", "probable", 0.08, ("metal or its streaks",),
            (f"{signs.peak_hu:.0f} HU within 5 mm of metal: part of it or a streak",),
        )  # fmt: skip
    return _on_contrast(signs, blood) if blood.is_contrast else _on_plain(signs)


# ------------------------------------------------------------------ what is looked at


def _look(scene: Scene, candidate: Candidate, window: Window, blood: Blood) -> _Signs:
    """Collect what the tests need."""
    region = window.region
    distance = window.distance_mm
    shell = (distance > 1.5 * max(scene.sigma_mm[1:])) & (distance <= 6.0) & window.clean
    if shell.sum() < 20:
        shell = (distance > 0) & (distance <= 8.0)
    values = window.hu[shell]
    width = 1.0 if scene.noise_hu < 15 else 1.6
    smooth = ndimage.gaussian_filter(window.hu, [width / d if d < 2.5 else 0.0 for d in scene.spacing_mm])[shell]
    tolerance = 15.0 + 2.5 * scene.curve.at(5.0 * width**2 * max(scene.spacing_mm))
    liver_like = np.abs(smooth - scene.parenchyma_hu) < tolerance
    fluid_top = min(30.0, scene.parenchyma_hu - 20.0)
    gas = (window.hu < GAS_HU) & ~region
    gas_mm = float(distance[gas].min()) if gas.any() else np.inf
    near = values[distance[shell] <= 5.0] if (distance[shell] <= 5.0).any() else values
    behind = float(np.median(window.background[region]))
    total, total_sd = _rough_total(scene, window)
    return _Signs(
        peak_hu=candidate.peak_hu,
        core_hu=_core_of(scene, candidate),
        margin_hu=_margin(scene),
        true_hu=_true_height(scene, window, total) + behind,
        above_hu=candidate.peak_hu - behind,
        total=total,
        sureness=total / total_sd,
        noise_hu=scene.noise_hu,
        significance=candidate.significance,
        inside=candidate.inside,
        depth_mm=candidate.depth_mm,
        at_scan_edge=candidate.at_scan_edge,
        leaves_liver=_leaves_liver(scene, candidate),
        continues_mm=_continues(scene, candidate, blood) if blood.is_contrast else 0.0,
        gas_mm=gas_mm,
        fluid_share=float(((smooth > -25) & (smooth < fluid_top)).mean()),
        liver_share=float(liver_like.mean()),
        streak_hu=float(np.percentile(near, 2)) - scene.parenchyma_hu,
        is_clipped=bool((window.hu[region] >= scene.clip_hu).any()),
        volume_mm3=float(region.sum()) * scene.voxel_mm3,
        is_compact=_is_compact(scene, region),
    )


def _rough_total(scene: Scene, window: Window) -> tuple[float, float]:
    """Return the sum of HU above background over the region and a rim, and its noise, in HU mm^3."""
    rim = ndimage.binary_dilation(window.region, ndimage.generate_binary_structure(3, 1)) & (
        window.clean | window.region
    )
    near = window.distance_mm <= 2.0 * max(scene.sigma_mm[1:])
    aperture = rim | (near & ~window.clean)
    mm3 = float(aperture.sum()) * scene.voxel_mm3
    total = float((window.hu - window.background)[aperture].sum()) * scene.voxel_mm3
    return total, scene.curve.at(mm3) * mm3


def _true_height(scene: Scene, window: Window, total: float) -> float:
    """Return HU above background before blurring, for a compact focus taken as long as it is wide.

    Partial volume lowers the peak of a small focus but keeps its sum; the sum over the volume that its width in the
    plane suggests (at least 2 mm) is what it would show on infinitely thin slices. Never below the measured height.
    """
    planes = np.moveaxis(window.region, scene.slice_axis, 0)
    pixel = scene.voxel_mm3 / scene.spacing_mm[scene.slice_axis]
    area = float(planes.sum((1, 2)).max()) * pixel
    seen = 2 * np.sqrt(area / np.pi)
    blur = 2.355 * max(s for axis, s in enumerate(scene.sigma_mm) if axis != scene.slice_axis)
    width = max(np.sqrt(max(seen**2 - 0.9 * blur**2, 0.0)), 0.6 * seen, 2.0)
    return max(total / (np.pi / 6 * width**3), window.height)


def _is_compact(scene: Scene, region: Mask) -> bool:
    """Whether a region is about as long as it is wide, given thick slices."""
    extent = [n * d for n, d in zip(region.shape, scene.spacing_mm, strict=True)]
    if max(extent) > 25.0 or (max(extent) > 12.0 and region.mean() < 0.3):
        return False
    in_plane = [e for axis, e in enumerate(extent) if axis != scene.slice_axis]
    along = extent[scene.slice_axis]
    wide = max(in_plane)
    return wide <= 2.2 * min(in_plane) + 1.0 and along <= 2.0 * wide + 1.5 * scene.slice_thickness_mm


def _leaves_liver(scene: Scene, candidate: Candidate) -> bool:
    """Whether the bright structure at the liver's edge is the tip of a larger one outside (rib, cartilage, bowel)."""
    if candidate.depth_mm > 9.0 and candidate.inside > 0.5:
        return False
    reach = 14.0
    box = tuple(
        slice(max(b.start - int(reach / d), 0), min(b.stop + int(reach / d), n))
        for b, d, n in zip(candidate.box, scene.spacing_mm, scene.hu.shape, strict=True)
    )
    hu, liver = scene.hu[box], scene.liver[box]
    low = candidate.background_hu + max(0.3 * (candidate.peak_hu - candidate.background_hu), 45.0, 3 * scene.noise_hu)
    bright = ndimage.uniform_filter(hu, [1 if d > 2 else 3 for d in scene.spacing_mm]) > low
    at = tuple(p - b.start for p, b in zip(candidate.peak, box, strict=True))
    bright[at] = True
    labels, _ = ndimage.label(bright, np.ones((3, 3, 3)))
    part = labels == labels[at]
    outside = float((part & ~liver).sum()) * scene.voxel_mm3
    within = float((part & liver).sum()) * scene.voxel_mm3
    own = float(candidate.region.sum()) * scene.voxel_mm3
    return outside > max(1.2 * within, 0.8 * own, 60.0)


def _continues(scene: Scene, candidate: Candidate, blood: Blood) -> float:
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
    far = np.linalg.norm((part - at) * scene.spacing_mm, axis=1).max()
    size = np.linalg.norm((own - at) * scene.spacing_mm, axis=1).max()
    return float(far - min(size, far))


def _beside(mask: Mask, candidate: Candidate, scene: Scene, mm: float) -> bool:
    """Whether a mask comes within ``mm`` of a candidate."""
    box = tuple(
        slice(max(b.start - int(np.ceil(mm / d)), 0), b.stop + int(np.ceil(mm / d)))
        for b, d in zip(candidate.box, scene.spacing_mm, strict=True)
    )
    return bool(mask[box].any())


# ------------------------------------------------------------------ the tests


def _is_metal(signs: _Signs) -> Verdict | None:
    """Clip, stent, coil: far above calcium, or above 1000 HU with dark streaks."""
    if signs.peak_hu < METAL_HU and not signs.is_clipped:
        return None
    streaks = signs.streak_hu < -110 and signs.gas_mm > 3.0
    if signs.peak_hu >= SURELY_METAL_HU or (signs.peak_hu >= METAL_HU and streaks and signs.peak_hu >= 1300):
        reason = f"{signs.peak_hu:.0f} HU" + (" with dark streaks beside it" if streaks else "")
        return Verdict(
            "metal", "certain" if signs.peak_hu >= SURELY_METAL_HU else "probable", 0.02,
            ("clip, stent or coil", "Lipiodol"), (f"{reason}: denser than calcified tissue",),
        )  # fmt: skip
    return None


def _is_outside(signs: _Signs) -> Verdict | None:
    """Rib, costal cartilage, bowel contrast, or calcium of a neighbouring organ."""
    shallow = signs.depth_mm < 4.0
    if signs.inside < 0.25 and signs.depth_mm < 6.0:
        reason = f"only {signs.inside:.0%} of it lies in the liver"
    elif signs.leaves_liver and (signs.inside < 0.8 or signs.liver_share < 0.7) and signs.depth_mm < 8.0:
        reason = "it is the tip of a larger bright structure outside the liver"
    elif shallow and signs.inside < 0.5:
        reason = f"only {signs.inside:.0%} of it lies in the liver, {signs.depth_mm:.0f} mm deep"
    else:
        return None
    if signs.fluid_share > 0.5:
        return Verdict(
            "stone-like", "probable", 0.1, ("gallstone", "dense bile"), (reason, "it lies in fluid beside the liver")
        )
    return Verdict(
        "outside-liver", "probable", 0.08, ("rib or costal cartilage", "bowel contents", "calcium of a neighbouring organ"),
        (reason,),
    )  # fmt: skip


def _is_stone(signs: _Signs) -> Verdict | None:
    """Stone or dense bile: it lies in fluid (gallbladder, dilated duct)."""
    if signs.fluid_share < 0.62 or signs.liver_share > 0.3:
        return None
    return Verdict(
        "stone-like", "probable" if signs.peak_hu > CALCIUM_HU else "possible", 0.2,
        ("stone in the gallbladder or a dilated duct", "wall of a cyst"),
        (f"{signs.fluid_share:.0%} of what surrounds it is fluid",),
    )  # fmt: skip


def _is_gas_edge(signs: _Signs) -> Verdict | None:
    """Overshoot or streak beside gas (lung, bowel, air in the ducts)."""
    if signs.gas_mm < 7.0 and signs.above_hu < 130 and signs.liver_share < 0.9:
        return Verdict(
            "noise", "probable", 0.05, ("edge or streak beside gas",),
            (f"{signs.above_hu:.0f} HU above liver, {signs.gas_mm:.0f} mm from gas",),
        )  # fmt: skip
    return None


def _edge_doubts(signs: _Signs) -> list[str]:
    """Return what else a candidate might be, from where it lies."""
    doubts: list[str] = []
    if signs.is_clipped or signs.peak_hu >= METAL_HU:
        doubts.append("metal or Lipiodol")
    if signs.inside < 0.8 or signs.leaves_liver or (signs.depth_mm < 4.0 and signs.liver_share < 0.5):
        doubts.append("rib or costal cartilage")
    if signs.fluid_share > 0.35:
        doubts.append("stone in a duct")
    return doubts


def _may_be_chest_wall(signs: _Signs, mimic: list[str]) -> bool:
    """Whether a shallow focus has so little liver around it, or ends at the scan's edge, that a rib is as likely."""
    shallow = "rib or costal cartilage" in mimic and signs.depth_mm < 4.0
    return shallow and (signs.liver_share < 0.4 or signs.at_scan_edge)


def _on_plain(signs: _Signs) -> Verdict:
    """Without contrast medium: calcium by its HU, with partial volume allowed for."""
    floor = max(CALCIUM_HU, signs.peak_hu - signs.above_hu + max(45.0, 1.5 * signs.noise_hu))
    reasons = [f"{signs.peak_hu:.0f} HU, {signs.above_hu:.0f} HU above the liver around it, no contrast medium"]
    mimic = _edge_doubts(signs)
    if _may_be_chest_wall(signs, mimic):
        reasons.append("at the edge of the liver and of what can be followed: it may belong to the chest wall")
        return Verdict("indeterminate", "possible", 0.35, tuple(mimic), tuple(reasons))
    if signs.peak_hu >= floor and signs.significance >= 6.0 and signs.core_hu >= floor - 15:
        sure = signs.significance >= 9.0 and not mimic and signs.gas_mm > 4.0 and signs.above_hu > 3 * signs.noise_hu
        score = float(np.clip(0.75 + (signs.peak_hu - floor) / 400, 0.75, 0.98)) - 0.15 * bool(mimic)
        return Verdict("calcification", "certain" if sure else "probable", score, tuple(mimic), tuple(reasons))
    if signs.true_hu >= floor + 60 and signs.is_compact and signs.significance >= 6.0 and signs.sureness >= 5.0:
        reasons.append(f"compact: partial volume has lowered it from about {min(signs.true_hu, 3000):.0f} HU")
        return Verdict("calcification", "probable", 0.7, (*mimic, "noise"), tuple(reasons))
    seen = signs.significance >= 6.3 or (signs.significance >= 5.5 and signs.sureness >= 4.0)
    if seen and (signs.peak_hu >= INDETERMINATE_HU or signs.true_hu >= floor):
        reasons.append("too faint or too small to tell")
        return Verdict("indeterminate", "possible", 0.4, (*mimic, "dense bile", "haemorrhage", "noise"), tuple(reasons))
    return Verdict("noise", "possible", 0.1, ("noise",), (*reasons, "no clearer than noise"))


def _on_contrast(signs: _Signs, blood: Blood) -> Verdict:
    """With contrast medium: only what no vessel of this scan can be is called calcium, and never certain."""
    liver = signs.peak_hu - signs.above_hu
    top = blood.brightest_hu if blood.brightest_hu is not None else max(250.0, liver + 150)
    reasons = [f"{signs.peak_hu:.0f} HU, {signs.above_hu:.0f} HU above the liver around it"]
    reasons.append(
        "blood in the large vessels was not found" if blood.brightest_hu is None
        else f"blood in the large vessels {top:.0f} HU"
    )  # fmt: skip
    reasons.append("contrast medium is in the scan, so calcium is not certain")
    mimic = ["enhanced vessel", *_edge_doubts(signs)]
    if signs.core_hu > top + signs.margin_hu and signs.significance >= 6.5:
        if _may_be_chest_wall(signs, mimic):
            reasons.append("at the edge of the liver and of what can be followed: it may belong to the chest wall")
            return Verdict("indeterminate", "possible", 0.3, tuple(mimic), tuple(reasons))
        return Verdict("calcification", "probable", 0.8, tuple(mimic), (*reasons, "brighter than any vessel"))
    if signs.continues_mm > 6.0 or not signs.is_compact:
        return Verdict(
            "vessel", "probable", 0.1, ("enhanced vessel",), (*reasons, "vessel-like brightness goes on beyond it")
        )
    strong = signs.significance >= 6.5 and signs.sureness >= 6.0
    bright = signs.core_hu - liver > 0.8 * (top - liver)
    if strong and bright and signs.true_hu > top + max(60.0, 1.5 * (top - liver)) and signs.continues_mm < 4.0:
        return Verdict(
            "calcification", "possible", 0.6, tuple(mimic),
            (*reasons, f"compact and alone: partial volume has lowered it from about {min(signs.true_hu, 3000):.0f} HU"),
        )  # fmt: skip
    if strong and bright and signs.true_hu > top:
        return Verdict(
            "indeterminate", "possible", 0.35, tuple(mimic), (*reasons, "compact and alone, but no brighter than blood")
        )
    return Verdict("vessel", "possible", 0.1, ("enhanced vessel", "noise"), (*reasons, "no brighter than blood"))
