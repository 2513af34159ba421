"""Checks that look at the liver: coverage, phase, noise, kernel and the smallest focus to be trusted."""

from __future__ import annotations

import contextlib

from hepacalc.errors import MeasurementError
from hepacalc.liver.coverage import Cut, liver_coverage
from hepacalc.records import QualityFinding
from hepacalc.study.quality.resolution import smallest_trusted_mm
from hepacalc.study.quality.tags import named_sharp
from hepacalc.study.quality.view import CannotJudge, View, note, ok, severe, warning

__all__ = ["coverage", "kernel", "noise", "phase", "thickness"]

_FOCUS_HU = 250.0
_SHARP_MM, _SOFT_MM = 0.58, 0.70


def coverage(view: View) -> QualityFinding:
    """Whether the liver is cut by the edge of the scan, and by about how much."""
    if not view.liver.any() or view.liver_mask is None:
        raise CannotJudge("there is no liver mask")
    found = liver_coverage(view.liver_mask, view.volume)
    if found.is_complete:
        return ok("QC-COV", f"the whole liver is in view ({found.seen_ml:.0f} mL)")
    share = 100 * found.missing_share
    text = (
        "; ".join(_cut(cut) for cut in found.cuts)
        + f"; {found.seen_ml:.0f} mL in view, so about {share:.0f} % of the liver is not"
    )
    fix = "Send the series that holds the whole liver; foci out of view are not counted."
    if share < 2:
        return note("QC-COV", text, fix)
    if share > 60 or found.seen_ml < 150:
        return severe("QC-COV", text, fix)
    return warning("QC-COV", text, fix)


def _cut(cut: Cut) -> str:
    about = "at least about" if cut.is_at_least else "about"
    share = f", {100 * cut.share_of_largest:.0f} % of its largest" if cut.side in {"top", "bottom"} else ""
    return f"cut at the {cut.side} (section {cut.area_cm2:.0f} cm2{share}): {about} {cut.missing_ml:.0f} mL missing"


def phase(view: View) -> QualityFinding:
    """The contrast phase and what it means for calcium."""
    found = view.phase
    if found is None:
        raise CannotJudge("the contrast phase was not looked for")
    text = f"{found.name} ({100 * found.probability:.0f} %): {'; '.join(found.evidence)}"
    if not found.is_contrast:
        return ok("QC-PHASE", text)
    if found.name == "undetermined":
        return warning("QC-PHASE", text, "Calcium and contrast medium may be confused; give the non-contrast phase.")
    return warning("QC-PHASE", text, "Contrast medium may pass for calcium; give the non-contrast phase.")


def noise(view: View) -> QualityFinding:
    """Noise of one voxel of liver."""
    sd, mean = view.noise.sd_hu, view.noise.mean_hu
    text = f"noise {sd:.0f} HU in a liver of {mean:.0f} HU"
    if sd > 60:
        return severe("QC-NOISE", text, "Use a softer kernel or thicker slices: foci cannot be told from noise.")
    if sd > 30:
        return warning("QC-NOISE", text, "Use a softer kernel or thicker slices.")
    if not -20 <= mean <= 200:
        return warning("QC-NOISE", text, "Check that the contour is the liver.")
    return ok("QC-NOISE", text)


def thickness(view: View) -> QualityFinding:
    """Slice thickness and the smallest focus of 250 HU above liver that would be seen."""
    slice_mm = view.volume.slice_thickness_mm
    spacing = [s for a, s in enumerate(view.volume.geometry.spacing_mm) if a != view.volume.slice_axis]
    sd, grain, source = 15.0, None, " (noise not measured, 15 HU assumed)"
    with contextlib.suppress(CannotJudge):
        sd, grain, source = view.noise.sd_hu, view.noise.grain_mm, ""
    try:
        smallest = smallest_trusted_mm(sd, slice_mm, max(spacing), _FOCUS_HU, noise_grain_mm=grain)
    except MeasurementError as error:
        return severe("QC-THICK", error.message, error.hint)
    text = (
        f"slices of {slice_mm:.1f} mm: solid foci of {_FOCUS_HU:.0f} HU above liver are trusted from {smallest:.1f} mm"
    )
    text += source
    fix = "Use thinner slices with a soft kernel; smaller foci may be missed."
    if slice_mm > 7 or smallest > 6:
        return severe("QC-THICK", text, fix) if slice_mm > 12 or smallest > 15 else warning("QC-THICK", text, fix)
    if slice_mm > 3.5 or smallest > 3:
        return note("QC-THICK", text, fix)
    return ok("QC-THICK", text)


def kernel(view: View) -> QualityFinding:
    """Sharp or soft kernel by its name and by the noise it leaves, and where they disagree."""
    name = view.volume.acquisition.convolution_kernel
    named = None if not name else named_sharp(name)
    seen: bool | None = None
    words = ""
    try:
        found = view.noise
        if found.pixel_mm <= 1.15 and found.sd_hu > 3:
            undershoot = min(found.correlation)
            grainy = found.sd_hu > (18 if undershoot < -0.015 else 25)
            # between the two lengths soft kernels and sharp ones are both seen
            between = grainy and _SHARP_MM <= found.half_correlation_mm < _SOFT_MM
            seen = None if between else grainy and found.half_correlation_mm < _SHARP_MM
            words = f"noise of {found.sd_hu:.0f} HU is correlated over {found.half_correlation_mm:.2f} mm"
            words += ", as soft and sharp kernels may leave it" if between else ""
        else:
            words = f"pixels of {found.pixel_mm:.1f} mm are too large to judge it from noise"
    except CannotJudge as reason:
        words = f"not judged from noise: {reason}"
    said = f"kernel {name}" if name else "kernel not stated"
    fix = "Use a soft-tissue kernel (such as STANDARD, B30f, Br38, FC08)."
    if seen is None and named is None:
        raise CannotJudge(f"{said}; {words}")
    if named is not None and seen is not None and named != seen:
        return warning("QC-KERN", f"{said} is {_word(named)} by name, but the pixels look {_word(seen)}: {words}", fix)
    if named or seen:
        return warning("QC-KERN", f"{said}, sharp: {words}; edges overshoot, so foci look denser than they are", fix)
    return ok("QC-KERN", f"{said}, soft: {words}")


def _word(is_sharp: bool) -> str:
    return "sharp" if is_sharp else "soft"
