"""The English phrases of the page that tells of a cohort, by key, and of its groups, by what they are called."""

from __future__ import annotations

__all__ = ["CHECK_NAMES", "COHORT_PHRASES", "COHORT_WORDS", "FAILURE_CLASSES"]

FAILURE_CLASSES: dict[str, str] = {
    "IN": "input cannot be used",
    "GEO": "geometry cannot be trusted",
    "LIV": "no usable liver",
    "MEA": "cannot be measured",
    "KNO": "knowledge base",
    "OUT": "results cannot be written",
    "DEP": "something is not installed",
    "USE": "options contradict each other",
    "RUN-01": "out of memory",
    "RUN-02": "out of time",
    "RUN-03": "process or machine lost",
    "RUN-04": "fault of hepacalc",
    "SRV-04": "larger than is taken",
    "SRV-07": "DICOMweb server away",
    "SRV-10": "DICOMweb server refuses",
    "": "other",
}
"""Words for an error code, or for the letters before its dash."""

CHECK_NAMES: dict[str, str] = {
    "QC-MOD": "modality",
    "QC-UNIT": "values in HU",
    "QC-COV": "whole liver in view",
    "QC-PHASE": "contrast phase",
    "QC-CTAG": "header and phase agree",
    "QC-THICK": "smallest focus that can be trusted",
    "QC-GAP": "gaps between slices",
    "QC-KVP": "tube voltage known",
    "QC-KERN": "kernel",
    "QC-NOISE": "noise",
    "QC-CLIP": "bright values cut off",
    "QC-METAL": "metal near the liver",
    "QC-MOVE": "movement",
    "QC-CAL": "air and fat as they should be",
    "QC-TILT": "gantry tilt, voxels",
    "QC-BODY": "body part",
    "QC-LOSS": "compression with loss",
    "QC-PAD": "padding",
}
"""What the checks of the input ask, in a few words."""

COHORT_WORDS: dict[str, str] = {
    word: word
    for word in (
        "Age in years", "Sex", "Year of the scan", "Site", "Contrast phase", "Calcified lesions per study",
        "Mass of a calcified lesion", "Largest extent of a calcified lesion", "Pattern of calcified lesions",
        "Couinaud segment of calcified lesions", "Certainty of calcified lesions", "What candidates were taken for",
        "Tube voltage", "Slice thickness", "Worst check of the input", "not known", "not measured", "80 and over",
        "more than 10", "less than 1 mg", "1 g and more", "less than 5 mm", "20 mm and more", "up to 1.5 mm",
        "more than 5 mm", "Total mass of a study with calcification",
    )
}  # fmt: skip
"""Titles and groups that are words; numbers with units are the same in every language."""

COHORT_PHRASES: dict[str, str] = {
    "cohort.title": "Liver calcification in a cohort",
    "cohort.candidates": "Candidates",
    "cohort.lesions": "Lesions",
    "cohort.versions": "Versions of the stages",
    "cohort.disclaimer": "Decision support for research, not reviewed by clinicians; no diagnosis. What counts as "
    "calcification here is what hepacalc calls one.",
    "cohort.answer": "Calcification in the liver in {share} of {count} assessed studies",
    "cohort.nothing": "No study was assessed",
    "cohort.ci": "95 % CI",
    "cohort.any": "At least one calcification",
    "cohort.any-certain": "At least one certain",
    "cohort.unclear": "Only indeterminate foci",
    "cohort.unclear-why": "neither counted as calcification nor as none",
    "cohort.failed": "Could not be assessed",
    "cohort.failed-why": "of {count} found; not counted as negative",
    "cohort.limits": "What limits these numbers",
    "cohort.limit-persons": "They count studies, not persons: who was scanned twice counts twice.",
    "cohort.limit-small": "A focus smaller than a scan can show is not found. Smallest that these scans show, solid "
    "and 250 HU above liver: {smallest}.",
    "cohort.smallest": "median {median} mm (5th to 95th percentile {low}-{high} mm)",
    "cohort.limit-contrast": "{count} studies have contrast medium, in which calcium is never certain and small foci "
    "drown: compare groups of the same phase.",
    "cohort.limit-cut": "{count} livers are cut at an edge of the scan.",
    "cohort.limit-waiting": "{count} studies are not done yet.",
    "cohort.flow": "From what was found to what was counted",
    "cohort.flow-chart": "Flow chart: studies found, left out, failed, assessed",
    "cohort.found": "studies found",
    "cohort.gone": "gone from where they were",
    "cohort.duplicate": "the same content a second time",
    "cohort.waiting": "not done yet",
    "cohort.assessed": "assessed",
    "cohort.with": "with calcification",
    "cohort.only-unclear": "only indeterminate foci",
    "cohort.none-found": "no calcification found",
    "cohort.prevalence": "Prevalence",
    "cohort.studies": "studies",
    "cohort.certain": "certain",
    "cohort.plot": "Share with calcification and its 95 % CI; dashed line: all studies.",
    "cohort.wilson": "Shares with Wilson score intervals. Groups are as they were found, not adjusted for each other.",
    "cohort.what": "What was found",
    "cohort.median": "median {median} {unit} (quartiles {low}-{high} {unit}; {count} measured, {missing} not)",
    "cohort.none": "none",
    "cohort.scans": "The scans",
    "cohort.checks": "Checks of the input that were not passed, studies",
    "cohort.check": "check",
    "cohort.failures": "What could not be assessed",
    "cohort.class": "class",
    "cohort.code": "code",
    "cohort.error": "error",
    "cohort.todo": "what to do",
    "cohort.again": "{count} of them may end differently when they are tried again:",
    "cohort.by-path": "By path",
    "cohort.first": "By path, the first {shown} of {count}",
    "cohort.no-failure": "Nothing failed.",
    "cohort.methods": "How this page came about",
    "cohort.query": "Every number is one query over the Parquet tables beside this page "
    "(docs/reference/cohort-tables.md).",
    "cohort.spent": "{count} assessments, median {median} s each (95 %: {high} s), at most {memory} MB in one worker, "
    "{hours} hours of workers together.",
    "cohort.others": "{count} others",
}
