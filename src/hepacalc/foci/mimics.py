"""Calcium, or something that looks like it: one test for each mimic, with its reasons in words.

Nothing is thrown away: what fails a test keeps its own kind. Safety errs one way: on an enhanced scan, at cut-off HU
and beside metal calcium is never called certain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepacalc.foci.detect import Candidate
from hepacalc.foci.scene import Mask, Scene
from hepacalc.foci.signs import Signs
from hepacalc.foci.vessels import Blood, vessel_reason
from hepacalc.records import Certainty, Kind

__all__ = ["Verdict", "is_beside", "judge", "judge_vessel"]

CALCIUM_HU = 130.0
FATTY_HU, PLAIN_BLOOD_HU = 40.0, 65.0
"""Below so many HU of liver its vessels outshine it without contrast medium; blood is no brighter than this then."""
INDETERMINATE_HU = 90.0
METAL_HU = 1000.0
LIPIODOL_HU = 700.0
OUTSHINES_HU = 4.0
OUTSHINES_NOISE = 0.4
SMALL_OUTSHINES = 0.4
SURELY_METAL_HU = 1900.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a candidate is taken for, how surely, and why."""

    kind: Kind
    certainty: Certainty
    score: float
    mimic: tuple[str, ...]
    reasons: tuple[str, ...]


def judge_vessel(scene: Scene, candidate: Candidate, blood: Blood) -> Verdict | None:
    """Return the verdict on what is plainly a vessel, without a closer look; else None."""
    reason = vessel_reason(scene, candidate, blood)
    return None if reason is None else Verdict("vessel", "probable", 0.05, ("enhanced vessel",), (reason,))


def judge(signs: Signs, blood: Blood, *, near_metal: bool) -> Verdict:
    """Return what a candidate is taken for.

    Args:
        signs: what can be seen of it.
        blood: what contrast medium can look like.
        near_metal: whether metal lies within 5 mm of it.
    """
    for test in (_is_metal, _is_outside, _is_stone, _is_gas_edge):
        verdict = test(signs)
        if verdict is not None:
            return verdict
    if near_metal:
        return Verdict(
            "metal", "probable", 0.08, ("metal or its streaks",),
            (f"{signs.peak_hu:.0f} HU within 5 mm of metal: part of it or a streak",),
        )  # fmt: skip
    return _on_contrast(signs, blood) if blood.is_contrast else _on_plain(signs)


def is_beside(metal: Mask, candidate: Candidate, scene: Scene, mm: float = 5.0) -> bool:
    """Whether metal comes within ``mm`` of a candidate."""
    box = tuple(
        slice(max(b.start - int(np.ceil(mm / d)), 0), b.stop + int(np.ceil(mm / d)))
        for b, d in zip(candidate.box, scene.spacing_mm, strict=True)
    )
    return bool(metal[box].any())


def _is_metal(signs: Signs) -> Verdict | None:
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


def _is_outside(signs: Signs) -> Verdict | None:
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
        "outside-liver", "probable", 0.08, ("rib or costal cartilage", "bowel contents", "calcium of another organ"),
        (reason,),
    )  # fmt: skip


def _is_stone(signs: Signs) -> Verdict | None:
    """Stone or dense bile: it lies in fluid (gallbladder, dilated duct)."""
    if signs.fluid_share < 0.62 or signs.liver_share > 0.3:
        return None
    return Verdict(
        "stone-like", "probable" if signs.peak_hu > CALCIUM_HU else "possible", 0.2,
        ("stone in the gallbladder or a dilated duct", "wall of a cyst"),
        (f"{signs.fluid_share:.0%} of what surrounds it is fluid",),
    )  # fmt: skip


def _is_gas_edge(signs: Signs) -> Verdict | None:
    """Overshoot or streak beside gas (lung, bowel, air in the ducts)."""
    within = signs.inside > 0.95 and signs.depth_mm > 4.0 and signs.is_compact and signs.significance > 7.0
    if signs.gas_mm < 7.0 and signs.above_hu < 130 and signs.liver_share < 0.9 and not within:
        return Verdict(
            "noise", "probable", 0.05, ("edge or streak beside gas",),
            (f"{signs.above_hu:.0f} HU above liver, {signs.gas_mm:.0f} mm from gas",),
        )  # fmt: skip
    return None


def _edge_doubts(signs: Signs) -> list[str]:
    """Return what else a candidate might be, from where it lies."""
    doubts: list[str] = []
    if signs.is_clipped or signs.peak_hu >= METAL_HU:
        doubts.append("metal or Lipiodol")
    if signs.inside < 0.8 or signs.leaves_liver or (signs.depth_mm < 8.0 and signs.liver_share < 0.75):
        doubts.append("rib or costal cartilage")
    if signs.fluid_share > 0.35:
        doubts.append("stone in a duct")
    return doubts


def _may_be_chest_wall(signs: Signs, mimic: list[str]) -> bool:
    """Whether a shallow focus may be a rib or cartilage that the mask took in.

    It then has fat or lung beside it, too little liver around it, or ends where the scan ends.
    """
    beside = signs.dark_share > 0.08 or signs.inside < 0.8
    if signs.depth_mm < 8.0 and beside and signs.liver_share < 0.7:
        return True
    shallow = "rib or costal cartilage" in mimic and signs.depth_mm < 4.0
    return shallow and (signs.liver_share < 0.4 or signs.at_scan_edge)


def _on_plain(signs: Signs) -> Verdict:
    """Without contrast medium: calcium by its HU, with partial volume allowed for."""
    floor = max(CALCIUM_HU, signs.peak_hu - signs.above_hu + max(45.0, 1.5 * signs.noise_hu))
    reasons = [f"{signs.peak_hu:.0f} HU, {signs.above_hu:.0f} HU above the liver around it, no contrast medium"]
    mimic = _edge_doubts(signs)
    if signs.peak_hu - signs.above_hu < FATTY_HU and signs.surely_hu <= PLAIN_BLOOD_HU and not signs.is_compact:
        reasons.append("no brighter than blood without contrast medium: vessels outshine a fatty liver")
        return Verdict("vessel", "probable", 0.1, ("vessel in a fatty liver",), tuple(reasons))
    if _may_be_chest_wall(signs, mimic):
        reasons.append("at the edge of the liver and of what can be followed: it may belong to the chest wall")
        return Verdict("indeterminate", "possible", 0.35, tuple(mimic), tuple(reasons))
    if signs.peak_hu >= floor and signs.significance >= 6.0 and signs.core_hu >= floor - 15:
        sure = signs.significance >= 9.0 and not mimic and signs.gas_mm > 4.0 and signs.above_hu > 3 * signs.noise_hu
        if signs.peak_hu >= LIPIODOL_HU and "metal or Lipiodol" not in mimic:
            mimic.append("Lipiodol")
            reasons.append("Lipiodol after an embolisation can look the same: the history decides")
            sure = sure and signs.peak_hu < METAL_HU
        score = float(np.clip(0.75 + (signs.peak_hu - floor) / 400, 0.75, 0.98)) - 0.15 * (not sure)
        return Verdict("calcification", "certain" if sure else "probable", score, tuple(mimic), tuple(reasons))
    if signs.true_hu >= floor + 60 and signs.is_compact and signs.significance >= 6.5 and signs.sureness >= 5.5:
        reasons.append(f"compact: partial volume has lowered it from about {min(signs.true_hu, 3000):.0f} HU")
        return Verdict("calcification", "probable", 0.7, (*mimic, "noise"), tuple(reasons))
    seen = signs.significance >= 6.3 or (signs.significance >= 5.5 and signs.sureness >= 4.0)
    if seen and (signs.peak_hu >= INDETERMINATE_HU or signs.true_hu >= floor):
        reasons.append("too faint or too small to tell")
        return Verdict("indeterminate", "possible", 0.4, (*mimic, "dense bile", "haemorrhage", "noise"), tuple(reasons))
    return Verdict("noise", "possible", 0.1, ("noise",), (*reasons, "no clearer than noise"))


def _on_contrast(signs: Signs, blood: Blood) -> Verdict:
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
    if signs.is_pool:
        reasons.append("it goes on outside the liver as a large, even body as bright: vena cava or heart")
        if signs.leaves_liver:
            return Verdict("vessel", "probable", 0.1, ("enhanced vessel",), tuple(reasons))
        # so much of it lies in the liver that it might be something else
        return Verdict("indeterminate", "possible", 0.3, tuple(mimic), tuple(reasons))
    if signs.core_hu > top + signs.margin_hu and signs.significance >= 6.5:
        if _may_be_chest_wall(signs, mimic):
            reasons.append("at the edge of the liver and of what can be followed: it may belong to the chest wall")
            return Verdict("indeterminate", "possible", 0.3, tuple(mimic), tuple(reasons))
        return Verdict("calcification", "probable", 0.8, tuple(mimic), (*reasons, "brighter than any vessel"))
    outshines = signs.core_hu > top + max(OUTSHINES_HU, OUTSHINES_NOISE * signs.noise_hu) or (
        signs.is_compact and signs.surely_hu > top + SMALL_OUTSHINES * (top - liver)
    )
    if outshines and signs.significance >= 5.0 and (signs.is_compact or signs.continues_mm <= 6.0):
        return Verdict(
            "indeterminate", "possible", 0.3, tuple(mimic),
            (*reasons, "a little brighter than blood, but too small or too noisy to tell"),
        )  # fmt: skip
    if signs.continues_mm > 6.0 or not signs.is_compact:
        why = "vessel-like brightness goes on beyond it" if signs.continues_mm > 6.0 else "drawn out as a vessel is"
        return Verdict("vessel", "probable", 0.1, ("enhanced vessel",), (*reasons, why))
    strong = signs.significance >= 6.5 and signs.sureness >= 6.0
    bright = signs.core_hu - liver > 0.8 * (top - liver)
    if strong and bright and signs.true_hu > top + max(60.0, 1.5 * (top - liver)) and signs.continues_mm < 4.0:
        return Verdict(
            "calcification", "possible", 0.6, tuple(mimic),
            (*reasons, f"compact and alone: partial volume lowered it from about {min(signs.true_hu, 3000):.0f} HU"),
        )  # fmt: skip
    if strong and bright and signs.true_hu > top:
        return Verdict(
            "indeterminate", "possible", 0.35, tuple(mimic), (*reasons, "compact and alone, but no brighter than blood")
        )
    return Verdict("vessel", "possible", 0.1, ("enhanced vessel", "noise"), (*reasons, "no brighter than blood"))
