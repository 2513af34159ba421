"""The English phrases of the report by key. ``locale/`` holds the translations (``scripts/catalogs.py``)."""

from __future__ import annotations

from hepacalc.report.cohort_phrases import CHECK_NAMES, COHORT_PHRASES, COHORT_WORDS, FAILURE_ADVICE, FAILURE_CLASSES
from hepacalc.report.comparison_phrases import COMPARISON_PHRASES, STATUS_NAMES
from hepacalc.report.marks import MARKS
from hepacalc.report.reason_phrases import (
    HARMS,
    REASON_PHRASES,
    SHORT_STATUSES,
    STATUSES,
    STRENGTHS,
    URGENCIES,
)
from hepacalc.report.sheet_phrases import SHEET_PHRASES
from hepacalc.report.text_phrases import TEXT_PHRASES

__all__ = ["CERTAINTIES", "KINDS", "LEVELS", "MEASUREMENTS", "PHASES", "PHRASES", "TABLES"]

KINDS: dict[str, str] = {
    "calcification": "calcification",
    "indeterminate": "indeterminate",
    "vessel": "vessel",
    "metal": "metal",
    "stone-like": "stone-like",
    "outside-liver": "outside the liver",
    "noise": "noise",
}

CERTAINTIES: dict[str, str] = {"certain": "certain", "probable": "probable", "possible": "possible"}

PHASES: dict[str, str] = {
    "non-contrast": "non-contrast",
    "arterial": "arterial",
    "portal venous": "portal venous",
    "delayed": "delayed",
    "undetermined": "undetermined",
}

LEVELS: dict[str, str] = {"ok": "OK", "note": "Note", "warning": "Warning", "severe": "Severe"}

MEASUREMENTS: dict[str, str] = {
    "volume_mm3": "Volume at half maximum",
    "mass_mg": "Calcium mass",
    "max_hu": "Maximum",
    "mean_hu": "Mean",
    "background_hu": "Liver around it",
    "total_hu_mm3": "Signal above background",
    "diameter_mm": "Largest diameter",
    "diameter_2_mm": "Second diameter",
    "diameter_3_mm": "Third diameter",
    "sphericity": "Sphericity (1 = ball)",
    "elongation": "Elongation",
    "hollowness": "Hollowness (rim share)",
    "parts": "Parts",
    "capsule_distance_mm": "Distance to liver capsule",
    "hilum_distance_mm": "Distance to hilum",
    "vessel_distance_mm": "Distance to nearest vessel",
    "fixed_130_volume_mm3": "Volume above 130 HU",
    "agatston": "Agatston-like score",
}

PHRASES: dict[str, str] = {
    # numbers
    "not-measured": "not measured: {reason}",
    "range": "{low} to {high}",
    "range.word": "to",
    "with-range": "{number} ({range})",
    "none-measured": "no lesion has a measured diameter",
    # headlines
    "headline.found.one": "1 calcified lesion in the liver",
    "headline.found.many": "{count} calcified lesions in the liver",
    "headline.in-view": "{headline}, in the part in view",
    "headline.indeterminate.one": "1 indeterminate lesion that may be calcium; no certain calcification",
    "headline.indeterminate.many": "{count} indeterminate lesions that may be calcium; no certain calcification",
    "headline.contrast": "{headline}; calcium not certain after contrast medium",
    "headline.hidden": "{headline}; more may be hidden",
    "headline.unjudged": "This scan cannot show that the liver is free of calcification",
    "headline.none": (
        "No calcification found. Solid foci of {smallest} or more, 250 HU above liver, would have been seen"
    ),
    "headline.none-limited": (
        "No calcification found, with limits. Solid foci of {smallest} or more, 250 HU above liver, "
        "should have been seen"
    ),
    "also.indeterminate.one": "1 more indeterminate",
    "also.indeterminate.many": "{count} more indeterminate",
    "sure.contrast": "calcium not certain: contrast medium can look the same",
    "size.total": "calcium mass {total} in all",
    "size.largest": "largest {largest} across",
    "segments.one": "segment {names}",
    "segments.many": "segments {names}",
    "segment.doubt": "{name} in doubt",
    "where.lobe": "{lobe}: {count}",
    "where.segments": "{lobe}: {count} ({segments})",
    "sure.count": "{count} {certainty}",
    "segment.sure": "{name} ({p})",
    "segment.possible": "{name} ({p}; {other} possible)",
    "segment.or": "{a} ({pa}) or {b} ({pb})",
    "lobe.right": "right lobe",
    "lobe.left": "left lobe",
    "lobe.caudate": "caudate lobe",
    "lobe.unknown": "segment not known",
    "line.sure": "How sure: {words}.",
    "line.size": "How big: {words}.",
    "line.where": "Where: {words}.",
    "line.limits": "What limits this answer:",
    # limits
    "limit.liver-confidence": "The liver outline is in doubt (confidence {confidence}).",
    "limit.no-liver-volume": "The liver could not be measured: {reason}.",
    "limit.no-smallest": "The smallest focus that could have been seen is not known: {reason}.",
    "limit.contrast": (
        "Contrast medium is present ({phase} phase): it can look like calcium and can hide small or faint calcium. "
        "A non-contrast scan would settle it."
    ),
    "limit.phase-undetermined": (
        "It is not known whether contrast medium was given; it can look like calcium and can hide it."
    ),
    "limit.liver-cut": "Part of the liver lies outside the scan and was not seen.",
    # page one
    "footer": "hepacalc: decision support, not a diagnosis",
    "mistaken.before": "might be mistaken for: ",
    "title": "Calcification in the liver on CT",
    "product": "hepacalc report",
    "disclaimer.short": "Decision support without clinical review; not a medical device, not a diagnosis.",
    "disclaimer": (
        "Decision support without clinical review. hepacalc is not a medical device and this report is not a "
        "diagnosis. Check every finding on the images."
    ),
    "answer": "Answer",
    "how-many": "How many",
    "how-sure": "How sure",
    "how-big": "How big",
    "where": "Where",
    "lesion.one": "calcified lesion",
    "lesion.many": "calcified lesions",
    "indeterminate.one": "1 indeterminate lesion",
    "indeterminate.many": "{count} indeterminate lesions",
    "mimic.one": "1 mimic set apart",
    "mimic.many": "{count} mimics set apart",
    "total-mass": "calcium in all, volume",
    "largest": "largest diameter ({lesion})",
    "liver": "Liver",
    "nothing-to-size": "nothing to measure",
    "nothing-to-place": "nothing to place",
    "no-lesion": "no lesion",
    "smallest.short": "Smallest visible focus",
    "limits": "What limits this answer",
    "marked-none": "marked; absence cannot be stated",
    "limits.more": "and {count} more: see {table}.",
    "limits.none": "No limit was found by the input checks.",
    "scan": "Scan",
    "study": "Study",
    "study-date": "Study date",
    "series": "Series",
    "phase": "Contrast phase",
    "tube": "Tube voltage",
    "kernel": "Kernel",
    "liver-outline": "Liver outline",
    "complete": "whole liver in view",
    "incomplete": "liver cut off at the edge of the scan",
    "liver-volume": "Liver volume in view",
    "parenchyma": "Liver parenchyma",
    "noise": "Noise in the liver",
    "quality": "Input quality",
    "level.ok.one": "1 check passed",
    "level.ok.many": "{count} checks passed",
    "level.note.one": "1 note",
    "level.note.many": "{count} notes",
    "level.warning.one": "1 warning",
    "level.warning.many": "{count} warnings",
    "level.severe.one": "1 severe fault",
    "level.severe.many": "{count} severe faults",
    "unknown": "not stated",
    "study-uid": "Study UID",
    "series-uid": "Series UID",
    "created": "Made",
    # lesions
    "lesions": "Lesions",
    "lesions.all": "All lesions",
    "lesions.none": "No lesion is listed: nothing was called calcification or indeterminate.",
    "lesion": "Lesion",
    "lesions.more": "The first {shown} of {total} lesions have pictures, largest mass first. All are in the table.",
    "foci.more": "The {shown} heaviest of {total} foci are shown; all are in foci.csv.",
    "kind": "Taken for",
    "certainty": "Certainty",
    "segment": "Segment",
    "pattern": "Pattern",
    "mass": "Mass",
    "volume": "Volume",
    "diameter": "Diameter",
    "extent": "Largest extent",
    "peak": "Peak",
    "foci": "Foci",
    "focus": "Focus",
    "interval": "90 % interval",
    "interval.note": "In brackets: 90 % intervals, from noise, the edge of the focus and the calibration.",
    "measurement": "Measurement",
    "value": "Value",
    "score": "Score for calcium in the liver",
    "centroid": "Centre (LPS, mm)",
    "why": "Why",
    "why.kind": "Why {kind}, {certainty}",
    "mistaken": "Might be mistaken for",
    "mistaken.none": "No particular mimic suggested.",
    "surroundings": "Surroundings, 3 to 8 mm around",
    "parenchyma.word": "liver parenchyma",
    "fluid.word": "fluid",
    "soft-tissue.word": "soft-tissue mass",
    "shell": "mean of the shell",
    "numbers": "Numbers",
    "numbers.foci": "Its foci",
    # pictures
    "picture.axial": "Axial",
    "picture.coronal": "Coronal",
    "picture.sagittal": "Sagittal",
    "window.wide": "Soft window, W {width} L {level}",
    "window.near": "Bone window, W {width} L {level}",
    "picture.caption": "{plane}, slice {number} of {count} {start}, {axis} = {position} mm",
    "start.axial": "from the feet",
    "start.coronal": "from the front",
    "start.sagittal": "from the right",
    "picture.alt": (
        "{plane} CT slice through {lesion}, {window}, {fov} mm wide, {axis} = {position} mm. Image edges: top {top}, "
        "bottom {bottom}, left {left}, right {right}. The focus is outlined in orange, the liver in blue."
    ),
    "picture.legend": (
        "Orange: this lesion. Blue: liver. Pink dashes: another candidate. White ticks: where the other two planes cut."
    ),
    "picture.scale": "{length} mm",
    "map": "Map of the liver",
    "map.caption": (
        "Brightest voxel along each line of sight, inside the liver outline only (W {width} L {level}). L1, L2 ...: "
        "lesions by falling mass. Squares: mimics by focus number. R right, L left, A front, P back, H head, F feet."
    ),
    "map.axial": "Seen from the feet (axial)",
    "map.coronal": "Seen from the front (coronal)",
    "map.alt": "Maximum-intensity projection of the liver, {plane}, {lesions}, {mimics}.",
    "map.none": "There is no map: the liver outline is empty.",
    "map.unnamed": "{count} further candidates are drawn without a number.",
    "map.outside": "{count} candidates lie outside this map.",
    "map.vessels": "{count} candidates taken for vessels are not drawn.",
    # mimics
    "mimics": "Mimics: kept, not counted",
    "mimics.intro": (
        "Bright candidates that were taken for something other than calcification of the liver. They are kept here so "
        "that a wrong decision can be seen."
    ),
    "mimics.none": "No mimic was found.",
    "mimics.more": "The first {shown} of {total} are listed; all are in foci.csv.",
    "may-be": "May be",
    # quality, methods
    "check": "Check",
    "level": "Level",
    "found": "Found",
    "remedy": "What would help",
    "quality.none": "No input check was run.",
    "methods": "Methods and sources",
    "calibration": "Calibration",
    "calibration.value": "{slope} mg per mL per HU ({kvp}), one standard deviation {sd}",
    "kvp.unknown": "tube voltage not stated",
    "phase.value": "{name}, probability {probability}",
    "vessels": "Large vessels in view",
    "transforms": "Done to the voxels",
    "transforms.none": "nothing; the voxels are used as they came",
    "series.chosen": "Series read",
    "series.others": "Series not read",
    "series.unfit": "cannot be measured",
    "series.score": "score {score}",
    "series.instances.one": "1 image",
    "series.instances.many": "{count} images",
    "passed-over": "Passed over",
    "versions": "Versions",
    "settings": "Settings",
    "timing": "Time",
    "timing.value": "{stage} {seconds} s",
    "how-measured": "How it was measured",
    "confidence": "confidence",
    "named.one": "1 lesion",
    "named.many": "{count} lesions",
    "pattern.unknown": "Pattern not known",
    "segment.line": "segment {segment}",
    "mass.calcium": "Calcium mass",
    "mean": "Mean",
    "field": "{fov} mm wide",
    "grid": "grid {shape} (z x y x x), {spacing} mm",
    "thickness": "slice thickness {mm} mm",
    "kvp": "{kvp} kV",
    "files": (
        "Numbers of this page stand with all digits in assessment.json (schema {schema}) and foci.csv; outlines in "
        "liver.nii.gz and foci.nii.gz."
    ),
}  # fmt: skip

PHRASES |= MARKS | REASON_PHRASES | TEXT_PHRASES | SHEET_PHRASES | COMPARISON_PHRASES | COHORT_PHRASES

TABLES: dict[str, dict[str, str]] = {
    "": PHRASES,
    "kind": KINDS,
    "certainty": CERTAINTIES,
    "phase-name": PHASES,
    "level-name": LEVELS,
    "number-of": MEASUREMENTS,
    "harm-name": HARMS,
    "urgency-name": URGENCIES,
    "status-name": STATUSES,
    "status-short": SHORT_STATUSES,
    "change-name": STATUS_NAMES,
    "failure-class": FAILURE_CLASSES,
    "failure-todo": FAILURE_ADVICE,
    "check-name": CHECK_NAMES,
    "cohort-word": COHORT_WORDS,
    "strength": {f"{least:g}": word for least, word in STRENGTHS},
}
"""Every phrase; the context of a translation is ``TABLE.KEY``, or the key alone of the first table."""
