"""The English phrases of the page that tells of a cohort, by key, and of its groups, by what they are called."""

from __future__ import annotations

__all__ = ["CHECK_NAMES", "COHORT_PHRASES", "COHORT_WORDS", "FAILURE_ADVICE", "FAILURE_CLASSES"]

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

FAILURE_ADVICE: dict[str, str] = {
    "IN-01": "Check that every file of the study is there and may be read.",
    "IN-02": "Give a folder or zip of DICOM CT files, an enhanced multi-frame CT file, or a NIfTI file.",
    "IN-03": "Give the CT of this patient, or take the study out.",
    "IN-04": "Check the series in the manifest.",
    "IN-05": "Send the original axial images of the abdomen, with position, orientation and pixel spacing.",
    "IN-06": "Copy or export the files again; they are damaged or end early.",
    "IN-07": "Unpack the archive yourself and give the folder.",
    "IN-08": "Export the scan again in HU, without NaN; or name another series in the manifest.",
    "IN-09": "Correct the row of this study in the table of patients.",
    "IN-14": "Sort them into one folder a study, or name the studies in a manifest.",
    "GEO-01": "Send the whole series.",
    "GEO-02": "Send the series again from the scanner or the archive, one reconstruction or phase at a time.",
    "GEO-03": "Send the missing slices again, or measure the largest block without gaps with --allow-gaps.",
    "GEO-04": "Give the mask that was made on this series.",
    "LIV-01": "Send a scan of the upper abdomen, or name a liver mask in the manifest.",
    "LIV-02": "Check the liver mask that the manifest names.",
    "LIV-03": "Check --segmenter and its weights; the embedded one needs none.",
    "MEA-01": "Look at the study by itself with hepacalc assess.",
    "MEA-02": "Correct the calibration file.",
    "KNO-02": "Correct the site's own knowledge file; hepacalc knowledge check shows what is wrong.",
    "OUT-01": "Check space and rights where the results are written.",
    "DEP-01": "Install what is missing on every machine; hepacalc assess of one study names it.",
    "RUN-01": "Give more memory with --memory-limit, or run fewer workers at the same time.",
    "RUN-02": "Give more time with --time-limit.",
    "RUN-03": "Look at the study by itself with hepacalc assess, and at the machine for a lack of memory.",
    "RUN-04": "Please report it; hepacalc assess --debug STUDY shows where it happened.",
    "SRV-04": "Fetch one series of the study and not all: name it in the manifest.",
    "SRV-07": "Run the cohort again when the DICOMweb server is back.",
    "SRV-10": "Check what the DICOMweb server answers, and the rights of the account.",
}
"""What to do about an error of a study, by its code: one sentence for all studies that failed of it."""

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
