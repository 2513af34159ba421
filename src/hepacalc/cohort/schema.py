"""The tables of a cohort: columns, types, units, meaning. ``docs/reference/cohort-tables.md`` is made from it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ABOUT", "COMPARED", "TABLES", "Column"]


class Column(NamedTuple):
    """One column: name, DuckDB type, unit (empty where it has none), meaning."""

    name: str
    type: str
    unit: str
    about: str


_KEY = Column("study_key", "VARCHAR", "", "hash of what is in the files of the study; joins all tables")
_LESION = Column("lesion_id", "INTEGER", "", "lesion in this study, from 1")
_WHY = Column("not_measured", "VARCHAR", "", "JSON: why a column is NULL, by its name; NULL when all were measured")


def _measured(name: str, unit: str, about: str, *, interval: bool = True) -> tuple[Column, ...]:
    ends = (
        Column(f"{name}_low", "DOUBLE", unit, "lower end of its 90 % interval"),
        Column(f"{name}_high", "DOUBLE", unit, "upper end"),
    )
    return (Column(name, "DOUBLE", unit, about), *(ends if interval else ()))


_PLACE = (
    Column("x_mm", "DOUBLE", "mm", "centroid, LPS: to the patient's left"),
    Column("y_mm", "DOUBLE", "mm", "to the back"),
    Column("z_mm", "DOUBLE", "mm", "to the head"),
    Column("pattern", "VARCHAR", "", "likeliest pattern"),
    Column("pattern_probability", "DOUBLE", "1", "of that pattern"),
    Column("segment", "VARCHAR", "", "likeliest Couinaud segment"),
    Column("segment_probability", "DOUBLE", "1", "of that segment"),
    Column("around_parenchyma", "DOUBLE", "1", "probability that liver lies around it"),
    Column("around_fluid", "DOUBLE", "1", "that fluid does"),
    Column("around_soft_tissue_mass", "DOUBLE", "1", "that another soft tissue does"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "studies": (
        _KEY,
        Column("study_uid", "VARCHAR", "", "StudyInstanceUID; NULL where the files have none"),
        Column("source", "VARCHAR", "", "path below the root, or StudyInstanceUID on a server; the first of several"),
        Column("copies", "INTEGER", "", "how many paths hold these same files"),
        Column("site", "VARCHAR", "", "from the manifest or the patient table"),
        Column("age_years", "DOUBLE", "a", "at the scan, from the patient table or header; 90 is 90 and more"),
        Column("sex", "VARCHAR", "", "`female`, `male`, `other`"),
        Column("series_uid", "VARCHAR", "", "SeriesInstanceUID that was read; the file name for NIfTI"),
        Column("year", "INTEGER", "", "of StudyDate"),
        Column("manufacturer", "VARCHAR", "", "Manufacturer"),
        Column("model", "VARCHAR", "", "ManufacturerModelName"),
        Column("kvp", "DOUBLE", "kV", "KVP"),
        Column("kernel", "VARCHAR", "", "ConvolutionKernel"),
        Column("slice_thickness_mm", "DOUBLE", "mm", "SliceThickness"),
        Column("spacing_z_mm", "DOUBLE", "mm", "between slices"),
        Column("pixel_mm", "DOUBLE", "mm", "size of a pixel, the larger side"),
        Column("phase", "VARCHAR", "", "contrast phase"),
        Column("phase_probability", "DOUBLE", "1", "of that phase"),
        Column("is_contrast", "BOOLEAN", "", "whether contrast medium can pass for calcium"),
        Column("liver_method", "VARCHAR", "", "what found the liver, and its version"),
        Column("liver_confidence", "DOUBLE", "1", "that its contour can be used"),
        Column("liver_is_complete", "BOOLEAN", "", "false when the liver is cut at an edge of the scan"),
        Column("calcifications", "INTEGER", "", "lesions called calcification"),
        Column("certain", "INTEGER", "", "of these, certain"),
        Column("indeterminate", "INTEGER", "", "lesions called indeterminate"),
        Column("mimics", "INTEGER", "", "foci called anything else"),
        *_measured("liver_ml", "mL", "volume of the liver in view"),
        *_measured("parenchyma_hu", "HU", "mean of the parenchyma", interval=False),
        *_measured("noise_hu", "HU", "standard deviation of one voxel of parenchyma", interval=False),
        *_measured("total_mass_mg", "mg", "calcium hydroxyapatite over the calcifications"),
        *_measured("total_volume_mm3", "mm3", "over the calcifications"),
        *_measured("smallest_trusted_mm", "mm", "smallest solid focus that this scan would show", interval=False),
        _WHY,
        Column("worst_quality", "VARCHAR", "", "worst level of the checks of the input"),
        Column("quality_codes", "VARCHAR[]", "", "checks that are not ok, as `code:level`"),
        Column("limits", "INTEGER", "", "number of sentences about what limits the answer"),
        Column("red_flags", "INTEGER", "", "red flags of the plan; NULL without patient data"),
        Column("hepacalc_version", "VARCHAR", "", "of the package"),
        Column("version", "VARCHAR", "", "hashes of the stages: liver, foci, reason"),
    ),
    "foci": (
        _KEY,
        Column("focus_id", "INTEGER", "", "focus in this study, from 1; label in `foci.nii.gz`"),
        Column("lesion_id", "INTEGER", "", "lesion that it belongs to; NULL for mimics"),
        Column("kind", "VARCHAR", "", "what it is taken for"),
        Column("certainty", "VARCHAR", "", "`certain`, `probable`, `possible`"),
        Column("score", "DOUBLE", "1", "that it is calcium in the liver; not calibrated"),
        Column("mimic", "VARCHAR", "", "what it might be mistaken for, most likely first"),
        *_PLACE,
        *_measured("volume_mm3", "mm3", "at half maximum"),
        *_measured("mass_mg", "mg", "calcium hydroxyapatite, integrated"),
        *_measured("max_hu", "HU", "brightest voxel", interval=False),
        *_measured("mean_hu", "HU", "mean at half maximum", interval=False),
        *_measured("background_hu", "HU", "liver around it", interval=False),
        *_measured("total_hu_mm3", "HU.mm3", "signal above the liver around it", interval=False),
        *_measured("diameter_mm", "mm", "largest"),
        *_measured("diameter_2_mm", "mm", "across it", interval=False),
        *_measured("diameter_3_mm", "mm", "smallest", interval=False),
        *_measured("sphericity", "1", "1 is a sphere", interval=False),
        *_measured("elongation", "1", "0 is as long as wide", interval=False),
        *_measured("hollowness", "1", "0 is solid", interval=False),
        *_measured("parts", "1", "connected parts", interval=False),
        *_measured("capsule_distance_mm", "mm", "to the surface of the liver", interval=False),
        *_measured("hilum_distance_mm", "mm", "to the hilum", interval=False),
        *_measured("vessel_distance_mm", "mm", "to the nearest large vessel", interval=False),
        *_measured("fixed_130_volume_mm3", "mm3", "over 130 HU, for comparison", interval=False),
        *_measured("agatston", "1", "Agatston-like score, when asked for", interval=False),
        _WHY,
    ),
    "lesions": (
        _KEY,
        _LESION,
        Column("foci", "INTEGER", "", "number of its foci"),
        Column("kind", "VARCHAR", "", "`calcification` or `indeterminate`"),
        Column("certainty", "VARCHAR", "", "`certain`, `probable`, `possible`"),
        *_PLACE,
        *_measured("volume_mm3", "mm3", "sum over its foci"),
        *_measured("mass_mg", "mg", "sum over its foci"),
        *_measured("extent_mm", "mm", "between its outer edges"),
        _WHY,
    ),
    "findings": (
        _KEY,
        Column("lesion_id", "INTEGER", "", "lesion that it is about; NULL: the patient"),
        Column("block", "VARCHAR", "", "block of the knowledge base"),
        Column("states", "VARCHAR", "", "JSON: state -> weight 0-1"),
        Column("said", "VARCHAR", "", "what was said, in words"),
        Column("said_by", "VARCHAR", "", "`measured`, `person`, `laboratory`, `report`, `history`"),
        Column("overruled", "BOOLEAN", "", "kept and not used"),
    ),
    "differential": (
        _KEY,
        Column("lesion_id", "INTEGER", "", "lesion; NULL: the patient"),
        Column("what", "VARCHAR", "", "`cause` (the ten likeliest), or `harm` (all causes of that harm together)"),
        Column("rank", "INTEGER", "", "place in the list"),
        Column("name", "VARCHAR", "", "id of the cause, or the harm"),
        Column("probability", "DOUBLE", "1", "posterior"),
        Column("low", "DOUBLE", "1", "5 % point of its band"),
        Column("high", "DOUBLE", "1", "95 % point"),
        Column("harm", "VARCHAR", "", "`benign`, `watch`, `dangerous`, `malignant`"),
        Column("setting", "VARCHAR", "", "whose prior was used"),
    ),
    "plans": (
        _KEY,
        Column("what", "VARCHAR", "", "`flag`, `item`, or `stop`"),
        Column("rule", "VARCHAR", "", "id of the rule"),
        Column("urgency", "VARCHAR", "", "`emergency`, `urgent`, `soon`, `routine`, `none`"),
        Column("said", "VARCHAR", "", "in English"),
        Column("modality", "VARCHAR", "", "how"),
        Column("due_in", "VARCHAR", "", "when, in words"),
        Column("due_from", "VARCHAR", "", "earliest day, YYYY-MM-DD"),
        Column("due_to", "VARCHAR", "", "latest day"),
        Column("status", "VARCHAR", "", "of its sources: read, unchecked, recalled, ours, judgement"),
    ),
    "failures": (
        Column("source", "VARCHAR", "", "path relative to the root, or StudyInstanceUID on a server"),
        Column("study_key", "VARCHAR", "", "NULL when the files could not be read"),
        Column("study_uid", "VARCHAR", "", "StudyInstanceUID, where a header told it"),
        Column("site", "VARCHAR", "", "as in `studies`"),
        Column("age_years", "DOUBLE", "a", "as in `studies`"),
        Column("sex", "VARCHAR", "", "as in `studies`"),
        Column("class", "VARCHAR", "", "class of the error, in words"),
        Column("code", "VARCHAR", "", "see errors.md"),
        Column("name", "VARCHAR", "", "of the error"),
        Column("message", "VARCHAR", "", "what was wanted and found"),
        Column("hint", "VARCHAR", "", "what to do"),
    ),
    "flow": (
        Column("step", "INTEGER", "", "order"),
        Column("what", "VARCHAR", "", "`found`, `gone`, `duplicate`, `waiting`, `failed`, `assessed`"),
        Column("studies", "BIGINT", "", "how many"),
    ),
    "runs": (
        Column("source", "VARCHAR", "", "path relative to the root, or StudyInstanceUID on a server"),
        Column("version", "VARCHAR", "", "by which it was tried"),
        Column("attempt", "INTEGER", "", "of this study with this version, from 1"),
        Column("status", "VARCHAR", "", "`done`, `failed`, `again`"),
        Column("stages", "VARCHAR", "", "done in this attempt; empty: found in the store"),
        Column("code", "VARCHAR", "", "of the error"),
        Column("seconds", "DOUBLE", "s", "on the worker"),
        Column("peak_mb", "DOUBLE", "MB", "most resident memory of the worker; 0: not known"),
        Column("worker", "VARCHAR", "", "machine and process"),
        Column("ended", "VARCHAR", "", "UTC"),
    ),
}

COMPARED = tuple(name for name in TABLES if name != "runs")
"""Tables that are the same bytes whatever engine made them, in whatever order; ``runs`` holds clocks."""

ABOUT = {
    "studies": "One row for each study that was assessed.",
    "foci": "One row for each candidate, mimics included.",
    "lesions": "One row for each lesion that is a calcification or indeterminate.",
    "findings": "What was said or measured, when something about the patient was given.",
    "differential": "The likeliest causes of the patient and of each lesion, when patient data were given.",
    "plans": "Red flags and what to do, when something about the patient was given.",
    "failures": "One row for each path that could not be assessed.",
    "flow": "How many studies went which way.",
    "runs": "One row for each attempt: the only table with clocks, so the only one that differs between two runs.",
}
