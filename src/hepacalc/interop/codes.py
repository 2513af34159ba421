"""Codes of the field that DICOM and FHIR objects share: SNOMED CT, DCM, UCUM, LOINC, and our own where none fits.

SNOMED CT and DCM codes are those of the context groups of DICOM PS3.16 that stand beside them; a test looks each of
them up. Codes of our own carry the designator :data:`LOCAL` and mean what ``docs/reference`` says of the word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hepacalc.records import KINDS, PATTERNS, Kind

__all__ = [
    "CALIBRATION_SLOPE", "CERTAINTIES", "CERTAINTY", "CONCLUSION", "COUINAUD", "EXTENT", "FINDINGS",
    "IMAGING_MEASUREMENT_REPORT", "IMAGING_REPORT", "INTERVAL_HIGH", "INTERVAL_LOW", "KIND", "KIND_CODES", "LIVER",
    "LIVER_SEGMENT", "LOCAL", "LOCAL_UID", "MEASUREMENT_CODES", "OF_INTEREST", "PATTERN", "PATTERN_CODES", "RED_FLAG",
    "SEGMENT_CODES", "SYSTEMS", "UNITS", "URGENCIES", "URGENCY", "VOLUME", "Code", "SegmentCode", "cause_code",
    "segment_site", "unit_code",
]  # fmt: skip

LOCAL = "99HEPACALC"
"""Coding scheme designator of our own codes (PS3.16 8.2: private designators begin with 99)."""
LOCAL_UID = "2.25.50388742168786444787727775034911457701"
"""UID of that scheme."""

SYSTEMS: Mapping[str, str] = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "LN": "http://loinc.org",
    LOCAL: f"urn:oid:{LOCAL_UID}",
}
"""Coding scheme designator of DICOM -> system URI of FHIR."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept.

    Args:
        value: the code.
        scheme: coding scheme designator: ``SCT``, ``DCM``, ``UCUM``, ``LN`` or :data:`LOCAL`.
        meaning: in words.
    """

    value: str
    scheme: str
    meaning: str

    @property
    def system(self) -> str:
        """System URI of FHIR."""
        return SYSTEMS[self.scheme]


@dataclass(frozen=True, slots=True)
class SegmentCode:
    """What a segment is: category and type of its property, and the colour to show it in.

    Args:
        category: of CID 7150.
        type: of CID 7151.
        rgb: sRGB, 0-255 each.
    """

    category: Code
    type: Code
    rgb: tuple[int, int, int]


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _own(value: str, meaning: str) -> Code:
    return Code(value, LOCAL, meaning)


# ---------------------------------------------------------------- where

LIVER = _sct("10200004", "Liver")
_ANATOMY = _sct("91723000", "Anatomical Structure")
_ABNORMAL = _sct("49755003", "Morphologically Abnormal Structure")
_OBJECT = _sct("260787004", "Physical object")
_TISSUE = _sct("85756007", "Tissue")

COUINAUD: Mapping[str, Code] = {
    "I": _sct("71133005", "Couinaud hepatic segment I"),
    "II": _sct("277956007", "Couinaud hepatic segment II"),
    "III": _sct("277957003", "Couinaud hepatic segment III"),
    "IV": _sct("277958008", "Couinaud hepatic segment IV"),
    "V": _sct("277959000", "Couinaud hepatic segment V"),
    "VI": _sct("277960005", "Couinaud hepatic segment VI"),
    "VII": _sct("277961009", "Couinaud hepatic segment VII"),
    "VIII": _sct("277962002", "Couinaud hepatic segment VIII"),
}
"""Liver segments; IVa and IVb are coded as IV, see :func:`segment_site`."""


def segment_site(name: str) -> Code:
    """Return the code of a Couinaud segment (``"IVa"`` and ``"IVb"`` as IV); the liver where the name is unknown."""
    return COUINAUD.get(name.rstrip("ab"), LIVER)


# ---------------------------------------------------------------- what

KIND = _own("kind", "Kind of focus")
KIND_CODES: Mapping[str, Code] = {kind: _own(kind, kind.capitalize()) for kind in KINDS}
"""What a focus is taken for."""

CERTAINTY = _own("certainty", "Certainty of kind")
CERTAINTIES: Mapping[str, Code] = {word: _own(word, word.capitalize()) for word in ("certain", "probable", "possible")}

PATTERN = _own("pattern", "Pattern of calcification")
PATTERN_CODES: Mapping[str, Code] = {p: _own(p.replace(" ", "-"), p.capitalize()) for p in PATTERNS}

SEGMENT_CODES: Mapping[Kind | str, SegmentCode] = {
    "liver": SegmentCode(_ANATOMY, LIVER, (221, 130, 101)),
    "calcification": SegmentCode(_ABNORMAL, _sct("18115005", "Pathologic calcification"), (255, 214, 0)),
    "indeterminate": SegmentCode(_ABNORMAL, _sct("52988006", "Lesion"), (255, 140, 26)),
    "vessel": SegmentCode(_ANATOMY, _sct("59820001", "Blood Vessel"), (216, 101, 79)),
    "metal": SegmentCode(_OBJECT, _sct("19227008", "Foreign body"), (120, 170, 255)),
    "stone-like": SegmentCode(_ABNORMAL, _own("stone-like", "Stone-like"), (111, 184, 210)),
    "outside-liver": SegmentCode(_TISSUE, _own("outside-liver", "Outside-liver"), (128, 174, 128)),
    "noise": SegmentCode(_ABNORMAL, _own("noise", "Noise"), (170, 170, 170)),
}
"""Kind of a focus, or ``"liver"`` -> property codes. Where CID 7151 has no code, ours stands."""

# ---------------------------------------------------------------- numbers

VOLUME = _sct("118565006", "Volume")
EXTENT = _own("extent", "Extent of lesion")
MEASUREMENT_CODES: Mapping[str, Code] = {
    "volume_mm3": VOLUME,
    "mass_mg": _own("calcium-mass", "Calcium hydroxyapatite mass"),
    "max_hu": _dcm("112180", "Maximum Attenuation Coefficient"),
    "mean_hu": _dcm("112181", "Mean Attenuation Coefficient"),
    "background_hu": _own("background-hu", "Attenuation around the focus"),
    "total_hu_mm3": _own("total-hu", "Attenuation above background, integrated"),
    "diameter_mm": _sct("103339001", "Long axis"),
    "diameter_2_mm": _sct("103340004", "Short axis"),
    "diameter_3_mm": _own("diameter-3", "Extent at right angles to both axes"),
    "sphericity": _own("sphericity", "Sphericity"),
    "elongation": _own("elongation", "Elongation"),
    "hollowness": _own("hollowness", "Hollowness"),
    "parts": _own("parts", "Number of parts"),
    "capsule_distance_mm": _own("capsule-distance", "Distance from liver surface"),
    "hilum_distance_mm": _own("hilum-distance", "Distance from hilum"),
    "vessel_distance_mm": _own("vessel-distance", "Distance from nearest vessel"),
    "fixed_130_volume_mm3": _own("volume-130", "Volume above 130 HU"),
    "agatston": _own("agatston-like", "Agatston-like score"),
}
"""Name of a measurement in ``records.MEASUREMENTS`` -> concept. Definitions: ``docs/reference/measurements``."""

INTERVAL_LOW = _own("interval-low", "Lower end of interval")
INTERVAL_HIGH = _own("interval-high", "Upper end of interval")
CALIBRATION_SLOPE = _own("ha-slope", "Hydroxyapatite per HU")

UNITS: Mapping[str, Code] = {
    "mm": Code("mm", "UCUM", "millimeter"),
    "mm3": Code("mm3", "UCUM", "cubic millimeter"),
    "mL": Code("mL", "UCUM", "milliliter"),
    "ml": Code("mL", "UCUM", "milliliter"),
    "mg": Code("mg", "UCUM", "milligram"),
    "HU": Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "HU.mm3": Code("[hnsf'U].mm3", "UCUM", "Hounsfield unit cubic millimeter"),
    "mg/mL/HU": Code("mg/mL/[hnsf'U]", "UCUM", "milligram per milliliter per Hounsfield unit"),
    "1": Code("1", "UCUM", "no units"),
}
"""Unit of a :class:`hepacalc.records.Measured` -> UCUM."""


def unit_code(unit: str) -> Code:
    """Return the UCUM code of a unit; one that is not listed is taken as it is written."""
    return UNITS.get(unit, Code(unit, "UCUM", unit))


# ---------------------------------------------------------------- documents

IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
OF_INTEREST = _dcm("113000", "Of Interest")
CONCLUSION = _dcm("121077", "Conclusion")
LIVER_SEGMENT = _own("liver-segment", "Couinaud segment")
RED_FLAG = _own("red-flag", "Red flag")
URGENCY = _own("urgency", "Urgency")
URGENCIES: Mapping[str, Code] = {
    word: _own(f"due-{word}", word.capitalize()) for word in ("emergency", "urgent", "soon", "routine", "none")
}
IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic Imaging Report")
FINDINGS = Code("59776-5", "LN", "Findings")


def cause_code(cause: str, name: str) -> Code:
    """Return the code of a cause of the knowledge base: its id, in our own scheme."""
    return _own(cause, name)
