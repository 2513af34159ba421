"""The nouns of hepacalc: frozen records that one room hands to the next.

Arrays are ``(z, y, x)``. World coordinates are LPS millimetres. A number that could not be measured is
:class:`NotMeasured` with its reason, never 0, None or NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Geometry

__all__ = [
    "KINDS",
    "MEASUREMENTS",
    "PATTERNS",
    "PHASES",
    "Acquisition",
    "Assessment",
    "Burden",
    "Calibration",
    "Certainty",
    "Focus",
    "Followed",
    "Kind",
    "Lesion",
    "Level",
    "Liver",
    "LiverMask",
    "LiverProbability",
    "Measured",
    "Measurement",
    "NotMeasured",
    "Pattern",
    "Phase",
    "PhaseName",
    "QualityFinding",
    "Run",
    "Segment",
    "SeriesChoice",
    "SeriesSummary",
    "Surroundings",
    "Volume",
]


# ---------------------------------------------------------------- numbers


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured number with its unit, its 90 % interval and its method.

    Args:
        value: best estimate.
        unit: UCUM-like unit, e.g. ``"mm3"``, ``"mg"``, ``"HU"``, ``"mm"``, ``"1"``.
        low: lower end of the interval at ``level``.
        high: upper end of the interval at ``level``.
        method: a few words, or the name of a page in ``docs/reference/measurements``.
        level: probability that the interval is meant to hold the truth.
    """

    value: float
    unit: str
    low: float
    high: float
    method: str
    level: float = 0.90


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A number that could not be measured, and why (one sentence for a reader)."""

    reason: str


Measurement = Measured | NotMeasured


@dataclass(frozen=True, slots=True)
class Calibration:
    """How HU above background becomes mg of calcium hydroxyapatite.

    Args:
        kvp: tube voltage the line belongs to; None when the scan does not say.
        mg_per_ml_per_hu: slope.
        relative_sd: one standard deviation of the slope, as a fraction of it.
        source: where the slope comes from.
    """

    kvp: float | None
    mg_per_ml_per_hu: float
    relative_sd: float
    source: str


# ---------------------------------------------------------------- the study


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What the headers say about the scan; None where they say nothing. Never an identity."""

    modality: str | None = None
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    convolution_kernel: str | None = None
    contrast_bolus_agent: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    series_description: str | None = None
    body_part_examined: str | None = None
    image_type: tuple[str, ...] = ()
    patient_position: str | None = None
    study_date: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    frame_of_reference_uid: str | None = None
    pixel_padding_value: float | None = None
    gantry_tilt_degrees: float | None = None
    padding_fraction: float = 0.0
    has_lossy_compression: bool | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Volume:
    """A CT scan on a regular grid.

    Args:
        hu: CT numbers in HU, ``(z, y, x)``, int16 or float32, finite. Padding outside the field of view has been
            set to -1024 (its share is ``acquisition.padding_fraction``).
        geometry: grid of ``hu``.
        acquisition: what the headers say.
        source_geometry: grid of the file, where it differs from ``geometry`` (gantry tilt resampled); masks
            are carried back to it when written.
        sop_instance_uids: one per slice along the file's slice axis; empty for NIfTI.
        transforms: what was done to the voxels on the way in, one sentence each.
        slice_axis: array axis along which the scanner took slices.
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    source_geometry: Geometry | None = None
    sop_instance_uids: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    slice_axis: int = 0

    @property
    def slice_thickness_mm(self) -> float:
        """Slice thickness in mm: the header's when it gives one, else the slice spacing."""
        spacing = self.geometry.spacing_mm[self.slice_axis]
        stated = self.acquisition.slice_thickness_mm
        return stated if stated is not None and stated > 0 else spacing


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """One series of the study and what was thought of it.

    Args:
        series_instance_uid: its UID (or the file name for NIfTI).
        description: SeriesDescription, if any.
        modality: Modality.
        instances: number of images.
        score: fitness for measuring calcium, higher is better; None when it cannot be measured at all.
        reasons: words for and against it.
    """

    series_instance_uid: str
    description: str | None
    modality: str | None
    instances: int
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """Which series was read, why, and what else was there.

    Args:
        chosen: the series that was read.
        others: the remaining series, best first.
        passed_over: files that were not used, counted by reason (scout, secondary capture, not DICOM ...).
    """

    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...] = ()
    passed_over: tuple[tuple[str, int], ...] = ()


Level = Literal["ok", "note", "warning", "severe"]


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """The answer of one check of the input.

    Args:
        code: stable code such as ``"QC-KVP"``.
        level: ``ok``, ``note``, ``warning`` or ``severe``.
        text: what was found, with numbers and units.
        fix: what would make it better; empty when ``ok``.
    """

    code: str
    level: Level
    text: str
    fix: str = ""


PhaseName = Literal["non-contrast", "arterial", "portal venous", "delayed"]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)


@dataclass(frozen=True, slots=True)
class Phase:
    """Contrast phase with its evidence.

    Args:
        name: ``non-contrast``, ``arterial``, ``portal venous``, ``delayed`` or ``undetermined``.
        probability: of ``name``.
        is_contrast: whether calcium can be confused with contrast medium. True when undetermined.
        vessel_hu: typical HU of the large vessels in view, or why not.
        evidence: words.
    """

    name: PhaseName | Literal["undetermined"]
    probability: float
    is_contrast: bool
    vessel_hu: Measurement
    evidence: tuple[str, ...]


# ---------------------------------------------------------------- the liver


@dataclass(frozen=True, eq=False, slots=True)
class LiverProbability:
    """How probable liver is, on a grid of its own around the liver; 0 beyond it.

    Args:
        values: uint8 ``(z, y, x)``, 255ths; above a half inside the mask.
        geometry: grid of ``values``.
    """

    values: NDArray[np.uint8]
    geometry: Geometry


@dataclass(frozen=True, eq=False, slots=True)
class LiverMask:
    """Where the liver is.

    Args:
        mask: bool ``(z, y, x)``.
        geometry: grid of ``mask``: that of the volume it belongs to.
        method: name of the segmenter, or ``file``.
        version: of the method or its weights.
        confidence: 0-1, that the contour can be used.
        warnings: what a reader should check, in words.
        probability: of liver near the contour, when the segmenter gives one.
    """

    mask: NDArray[np.bool_]
    geometry: Geometry
    method: str
    version: str
    confidence: float
    warnings: tuple[str, ...] = ()
    probability: LiverProbability | None = None


@dataclass(frozen=True, slots=True)
class Liver:
    """Numbers about the liver.

    Args:
        method: how it was found, and with which version.
        confidence: 0-1.
        volume_ml: of the part in view.
        parenchyma_hu: robust mean of the parenchyma.
        noise_hu: robust standard deviation of one voxel of parenchyma.
        is_complete: False when it is cut at an edge of the scan.
        warnings: what a reader should check.
    """

    method: str
    confidence: float
    volume_ml: Measurement
    parenchyma_hu: Measurement
    noise_hu: Measurement
    is_complete: bool
    warnings: tuple[str, ...] = ()


# ---------------------------------------------------------------- foci

Kind = Literal["calcification", "indeterminate", "vessel", "metal", "stone-like", "outside-liver", "noise"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Certainty = Literal["certain", "probable", "possible"]

PATTERNS: tuple[str, ...] = (
    "punctate", "nodular solid", "rim complete", "rim incomplete", "curvilinear", "septal", "central stellate",
    "amorphous", "branching duct", "linear vascular", "capsular plaque", "comma",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pattern:
    """Shape of a calcification: a probability for each of :data:`PATTERNS`.

    Args:
        probabilities: ``(name, probability)`` in falling order, summing to 1.
        reasons: what in the shape decided.
    """

    probabilities: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...] = ()

    @property
    def dominant(self) -> str:
        """Name of the most probable pattern."""
        return self.probabilities[0][0]


@dataclass(frozen=True, slots=True)
class Segment:
    """Couinaud segment of a point, with doubt: ``(name, probability)`` in falling order."""

    probabilities: tuple[tuple[str, float], ...]
    method: str

    @property
    def dominant(self) -> str:
        """Name of the most probable segment."""
        return self.probabilities[0][0]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies in the shell 3-8 mm around a focus: probabilities that sum to 1.

    Args:
        parenchyma: like the rest of this liver.
        fluid: darker than this liver, homogeneous (cyst, bile).
        soft_tissue_mass: another soft tissue than this liver (tumour, granuloma).
        shell_hu: mean HU of the shell.
        reasons: words.
    """

    parenchyma: float
    fluid: float
    soft_tissue_mass: float
    shell_hu: Measurement
    reasons: tuple[str, ...] = ()


MEASUREMENTS: tuple[str, ...] = (
    "volume_mm3", "mass_mg", "max_hu", "mean_hu", "background_hu", "total_hu_mm3", "diameter_mm",
    "diameter_2_mm", "diameter_3_mm", "sphericity", "elongation", "hollowness", "parts",
    "capsule_distance_mm", "hilum_distance_mm", "vessel_distance_mm", "fixed_130_volume_mm3", "agatston",
)  # fmt: skip
"""Names of the measurements of a focus, in the order in which they are shown."""


@dataclass(frozen=True, eq=False, slots=True)
class Focus:
    """One bright candidate, calcification or mimic.

    Args:
        id: label in the focus mask, from 1.
        lesion: id of the lesion it belongs to; None for mimics.
        kind: what it is taken for.
        certainty: how sure the kind is.
        score: probability-like number 0-1 that it is calcium in the liver.
        mimic: what it is or might be mistaken for (``"surgical clip"``, ``"enhanced vessel"`` ...), most likely first.
        reasons: what decided, in words.
        centroid_mm: LPS, weighted by HU above background.
        peak_index: ``(z, y, x)`` of the brightest voxel on the volume's grid.
        box: half-open index ranges ``((z0, z1), (y0, y1), (x0, x1))`` of the focus on the volume's grid.
        measurements: ``name -> Measurement`` for every name in :data:`MEASUREMENTS`.
        pattern: shape, or why not.
        segment: Couinaud segment, or why not.
        surroundings: what lies around it, or why not.
        tracking_uid: DICOM Tracking UID that it has already, from an earlier scan or a contour that was given; None
            when it gets its own (see ``interop/identity.py``).
    """

    id: int
    lesion: int | None
    kind: Kind
    certainty: Certainty
    score: float
    mimic: tuple[str, ...]
    reasons: tuple[str, ...]
    centroid_mm: tuple[float, float, float]
    peak_index: tuple[int, int, int]
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    measurements: dict[str, Measurement]
    pattern: Pattern | NotMeasured
    segment: Segment | NotMeasured
    surroundings: Surroundings | NotMeasured
    tracking_uid: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Lesion:
    """Foci that belong together: parts of one rim, of one septal grid, along one duct.

    Args:
        id: from 1, largest mass first.
        focus_ids: its foci.
        kind: of its surest focus.
        certainty: of its surest focus.
        centroid_mm: LPS.
        volume_mm3: sum over its foci.
        mass_mg: sum over its foci.
        extent_mm: largest distance between its outer edges.
        pattern: of the foci together.
        segment: where its centroid lies.
        surroundings: of its largest focus.
        reasons: why its foci were joined, what it might be mistaken for.
    """

    id: int
    focus_ids: tuple[int, ...]
    kind: Kind
    certainty: Certainty
    centroid_mm: tuple[float, float, float]
    volume_mm3: Measurement
    mass_mg: Measurement
    extent_mm: Measurement
    pattern: Pattern | NotMeasured
    segment: Segment | NotMeasured
    surroundings: Surroundings | NotMeasured
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Burden:
    """The whole liver in a line.

    Args:
        calcifications: number of lesions called calcification.
        certain: of these, certain.
        indeterminate: number of lesions called indeterminate.
        mimics: number of foci called anything else.
        total_mass_mg: over the calcifications.
        total_volume_mm3: over the calcifications.
        smallest_trusted_mm: smallest solid focus of 250 HU above liver that this scan would show.
    """

    calcifications: int
    certain: int
    indeterminate: int
    mimics: int
    total_mass_mg: Measurement
    total_volume_mm3: Measurement
    smallest_trusted_mm: Measurement


# ---------------------------------------------------------------- the result


@dataclass(frozen=True, slots=True)
class Run:
    """What produced an assessment: versions, settings, and time per stage in seconds."""

    hepacalc_version: str
    created: str
    versions: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    seconds: tuple[tuple[str, float], ...] = ()


class Told(Protocol):
    """What the reasoning room hands on; its nouns stand in ``reason/reasoning.py``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values for JSON."""
        ...


class Followed(Protocol):
    """What the follow-up room hands on; its nouns stand in ``followup/records.py``."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values for a log."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Assessment:
    """Everything that is known about one study; what ``assessment.json`` holds (without the arrays).

    Args:
        schema_version: of ``assessment.json``.
        run: what produced it.
        series: which series was read and why.
        acquisition: what the headers say.
        geometry: grid of the volume.
        transforms: what was done to the voxels on the way in.
        quality: the battery of input checks.
        phase: contrast phase.
        calibration: HU to mg.
        liver: numbers about the liver.
        burden: the whole liver in a line.
        lesions: calcified or indeterminate lesions.
        foci: every candidate, mimics included.
        limits: what limits the answer, one sentence each, gravest first.
        volume: the scan (not written to JSON).
        liver_mask: the liver (not written to JSON).
        labels: uint16 ``(z, y, x)`` focus ids on the volume's grid (not written to JSON).
        reasoning: causes, red flags and plan, when something about the patient was given.
        followup: what became of each lesion since earlier exams, when they were given (written to
            ``comparison.json``, not here).
    """

    schema_version: str
    run: Run
    series: SeriesChoice
    acquisition: Acquisition
    geometry: Geometry
    transforms: tuple[str, ...]
    quality: tuple[QualityFinding, ...]
    phase: Phase
    calibration: Calibration
    liver: Liver
    burden: Burden
    lesions: tuple[Lesion, ...]
    foci: tuple[Focus, ...]
    limits: tuple[str, ...]
    volume: Volume
    liver_mask: LiverMask
    labels: NDArray[np.uint16]
    reasoning: Told | None = None
    followup: Followed | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values for JSON, without the arrays; ``reasoning`` only when there is one."""
        skip = {"volume", "liver_mask", "labels", "reasoning", "followup"}
        out = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in skip}
        return out if self.reasoning is None else out | {"reasoning": self.reasoning.to_dict()}


def _plain(value: Any) -> Any:
    """Turn records, tuples and NumPy scalars into JSON values; pairs of (name, value) into objects.

    Pairs are told by their look, whatever the value is, and a geometry by what is read back: the assessment's own form.
    """
    if isinstance(value, Geometry):
        # the spacing is that of the rounded steps, so that what is read back says the same again
        stored = Geometry(value.shape, value.affine.round(6))
        return {
            "shape_zyx": list(value.shape),
            "spacing_zyx_mm": [round(s, 6) for s in stored.spacing_mm],
            "affine_zyx_to_lps_mm": [[float(v) for v in row] for row in stored.affine],
        }
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        if value and all(isinstance(v, tuple) and len(v) == 2 and isinstance(v[0], str) for v in value):
            return {k: _plain(v) for k, v in value}
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
