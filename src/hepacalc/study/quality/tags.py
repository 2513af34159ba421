"""Checks of what the header says, alone and against the pixels."""

from __future__ import annotations

import re

import numpy as np

from hepacalc.records import QualityFinding
from hepacalc.study.quality.view import CannotJudge, View, note, ok, severe, warning

__all__ = ["body_part", "compression", "contrast_tag", "kvp", "modality", "padding", "resampled", "slice_gaps"]

_SHARP = re.compile(
    r"^(lung|bone\w*|edge|detail|ultra|[bhu][6-9]\d?[a-z]?|[bh]r?[5-9]\d[a-z]?|bl5\d|[bhq]r[5-9]\d|fc(?:3|5|8)\d|yb|yc|yd|e|d)$",
    re.I,
)
_ABDOMEN = re.compile(
    r"abd|liver|pelv|panc|trunk|body|whole|chest|thora|\bcap\b|\btap\b|kidney|spleen|lung|breast|partial", re.I
)
_ELSEWHERE = re.compile(
    r"head|brain|skull|neck|knee|foot|ankle|hand|wrist|elbow|shoulder|extrem|sinus|\bleg|\barm", re.I
)


def modality(view: View) -> QualityFinding:
    """Whether the header says CT."""
    found = view.volume.acquisition.modality
    if found == "CT":
        return ok("QC-MOD", "modality CT")
    if found is None:
        return note("QC-MOD", "the file does not say its modality; taken as CT", "Give the DICOM series.")
    return severe("QC-MOD", f"modality {found}, not CT", "Give a CT scan.")


def kvp(view: View) -> QualityFinding:
    """Whether the tube voltage is known, since the calibration of mass depends on it."""
    found = view.volume.acquisition.kvp
    if found is None:
        return warning(
            "QC-KVP", "tube voltage unknown: mass is given for 120 kV", "Give the DICOM series, or a calibration line."
        )
    if not 60 <= found <= 160:
        return warning(
            "QC-KVP", f"tube voltage {found:g} kV is not that of a CT scan", "Check the header; mass is doubtful."
        )
    if min(abs(found - usual) for usual in (80, 90, 100, 110, 120, 130, 140)) > 0.5:
        return note(
            "QC-KVP", f"tube voltage {found:g} kV is unusual; calibration is interpolated", "Give a calibration line."
        )
    return ok("QC-KVP", f"tube voltage {found:g} kV")


def named_sharp(kernel: str) -> bool:
    """Return whether a ConvolutionKernel names a sharp one (lung, bone, Siemens 50 and up, Toshiba FC3x, 5x, 8x)."""
    return any(_SHARP.match(part.strip()) for part in re.split(r"[\\/ +]", kernel) if part.strip())


def slice_gaps(view: View) -> QualityFinding:
    """Stated slice thickness against the spacing of the slices."""
    stated = view.volume.acquisition.slice_thickness_mm
    spacing = view.volume.geometry.spacing_mm[view.volume.slice_axis]
    if stated is None or stated <= 0:
        return note("QC-GAP", f"slice thickness unknown; slices are {spacing:.2f} mm apart", "Give the DICOM series.")
    if stated < 0.9 * spacing:
        unseen = 100 * (1 - stated / spacing)
        return warning(
            "QC-GAP",
            f"slices of {stated:.2f} mm lie {spacing:.2f} mm apart: {unseen:.0f} % of the liver is not imaged",
            "Send contiguous or overlapping slices.",
        )
    if stated > 4 * spacing:
        return note(
            "QC-GAP",
            f"stated thickness {stated:.2f} mm is {stated / spacing:.1f} times the spacing of {spacing:.2f} mm",
            "Check SliceThickness.",
        )
    return ok("QC-GAP", f"slices of {stated:.2f} mm, {spacing:.2f} mm apart")


def contrast_tag(view: View) -> QualityFinding:
    """Contrast agent in the header against the phase seen in the pixels."""
    phase, acquisition = view.phase, view.volume.acquisition
    if phase is None or phase.name == "undetermined":
        raise CannotJudge("the contrast phase is not known from the pixels")
    agent = acquisition.contrast_bolus_agent
    contradictions = [w for w in phase.evidence if "contradicts" in w]
    if contradictions:
        return warning("QC-CTAG", "; ".join(contradictions), "Check the protocol; the pixels were believed.")
    if phase.is_contrast and not agent:
        return note("QC-CTAG", f"no contrast agent is named, but the scan is {phase.name}", "The pixels were believed.")
    return ok("QC-CTAG", f"contrast agent {'named' if agent else 'not named'}, in keeping with a {phase.name} scan")


def body_part(view: View) -> QualityFinding:
    """BodyPartExamined against a scan in which a liver was found."""
    stated = view.volume.acquisition.body_part_examined
    if not stated:
        return ok("QC-BODY", "body part not stated")
    if _ELSEWHERE.search(stated) and not _ABDOMEN.search(stated):
        if view.liver_mask is not None and view.liver_mask.mask.any():
            return warning(
                "QC-BODY", f"the header says {stated}, but a liver was found", "Check that the contour is a liver."
            )
        return warning("QC-BODY", f"the header says {stated}", "Give a scan of the upper abdomen.")
    return ok("QC-BODY", f"body part {stated}")


def compression(view: View) -> QualityFinding:
    """Lossy compression changes small foci."""
    lossy = view.volume.acquisition.has_lossy_compression
    if lossy is None:
        return ok("QC-LOSS", "compression history not stated")
    if lossy:
        return warning(
            "QC-LOSS",
            "the images were compressed with loss: small foci and noise are altered",
            "Send the original images.",
        )
    return ok("QC-LOSS", "no lossy compression")


def padding(view: View) -> QualityFinding:
    """Share of voxels outside the field of view."""
    share = 100 * float(view.volume.acquisition.padding_fraction)
    if share > 60:
        return warning("QC-PAD", f"{share:.0f} % of the voxels are padding", "Check that this is the whole series.")
    if share > 0.1:
        return ok("QC-PAD", f"{share:.0f} % of the voxels are padding outside the round field of view")
    return ok("QC-PAD", "no padding")


def resampled(view: View) -> QualityFinding:
    """What was done to the voxels on the way in, gantry tilt, and the shape of the voxels."""
    volume = view.volume
    tilt = volume.acquisition.gantry_tilt_degrees
    dz, dy, dx = view.spacing_mm
    parts = list(volume.transforms)
    if volume.source_geometry is not None:
        stated = f" of {tilt:.1f} degrees" if tilt else ""
        return note(
            "QC-TILT",
            "; ".join([f"gantry tilt{stated}: the scan was resampled", *parts]),
            "Scan without tilt; resampling blurs foci by up to a voxel.",
        )
    if volume.geometry.is_sheared or (tilt and abs(tilt) > 0.1 and volume.geometry.is_sheared):
        return warning(
            "QC-TILT", "the slices are tilted and were not resampled", "Distances are skewed; scan without tilt."
        )
    if abs(dy - dx) > 0.02 * max(dy, dx):
        return note("QC-TILT", f"pixels are not square: {dy:.3f} x {dx:.3f} mm", "Check PixelSpacing.")
    ratio = max(dz, dy, dx) / min(dz, dy, dx)
    text = f"voxels of {dz:.2f} x {dy:.2f} x {dx:.2f} mm (z, y, x)"
    if not np.isfinite(ratio) or min(dz, dy, dx) < 0.1 or max(dz, dy, dx) > 20:
        return severe("QC-TILT", f"{text}: not the spacing of a CT scan", "Check the geometry of the file.")
    if ratio > 8:
        return note(
            "QC-TILT", f"{text}: {ratio:.0f} times longer than wide", "Use thinner slices for shape and diameter."
        )
    return ok("QC-TILT", "; ".join([f"{text}, no tilt", *parts]))
