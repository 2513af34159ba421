"""The nouns of a follow-up: what was seen at an exam, and what became of each lesion. Frozen; units stand in names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepacalc.geometry import Geometry
from hepacalc.records import Assessment, Calibration, Certainty, Kind, Measurement, NotMeasured, Run

__all__ = [
    "STATUSES",
    "Comparison",
    "Exam",
    "ExamNote",
    "FollowUp",
    "LesionChange",
    "LiverView",
    "OpenedExam",
    "Part",
    "Seen",
    "Status",
    "StoredComparisons",
]

F64 = NDArray[np.float64]
Status = Literal["new", "gone", "grew", "shrank", "merged", "split", "stable", "not comparable"]
STATUSES: tuple[Status, ...] = ("new", "grew", "merged", "split", "shrank", "gone", "not comparable", "stable")
"""What can become of a lesion, in the order in which a reader wants to know."""


@dataclass(frozen=True, eq=False, slots=True)
class LiverView:
    """One exam's liver.

    Args:
        liver: bool ``(z, y, x)``.
        geometry: its grid.
        hu: CT numbers on it; None where only the contour is at hand.
        parenchyma_hu: typical HU of the liver; None with ``hu``.
        ignored: bool ``(z, y, x)``, what must not guide the fit although it is bright: foci come, go and change.
    """

    liver: NDArray[np.bool_]
    geometry: Geometry
    hu: NDArray[np.int16] | NDArray[np.float32] | None = None
    parenchyma_hu: float | None = None
    ignored: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One focus of a lesion: one body.

    Args:
        focus_id: its id at its exam.
        points_mm: ``(n, 3)`` LPS centres of its voxels, or of some hundred of them.
        radius_mm: half the size of a voxel, so far may the body reach beyond its points.
    """

    focus_id: int
    points_mm: F64
    radius_mm: float


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """A lesion, or a candidate taken for something else, as it was seen at one exam.

    Args:
        id: of the lesion; of the focus where it is no lesion.
        kind: what it was taken for.
        certainty: how sure that was.
        centroid_mm: LPS.
        parts: its foci, at least one.
        mass_mg: calcium.
        volume_mm3: at half maximum.
        extent_mm: largest diameter.
        signal_hu_mm3: HU above background times volume.
        contrast_hu: brightest voxel above background.
        patterns: ``name -> probability``; empty when not known.
    """

    id: int
    kind: Kind
    certainty: Certainty
    centroid_mm: tuple[float, float, float]
    parts: tuple[Part, ...]
    mass_mg: Measurement
    volume_mm3: Measurement
    extent_mm: Measurement
    signal_hu_mm3: Measurement
    contrast_hu: Measurement
    patterns: dict[str, float] = field(default_factory=dict)

    @property
    def points_mm(self) -> F64:
        """All points of its parts."""
        out: F64 = np.concatenate([part.points_mm for part in self.parts])
        return out


@dataclass(frozen=True, eq=False, slots=True)
class Exam:
    """One exam, as far as a comparison needs it.

    Args:
        lesions: what may be calcium.
        others: candidates taken for something else.
        view: the liver.
        phase: name of the contrast phase; empty when only contours are known.
        is_contrast: whether contrast medium can hide or mimic calcium; None when not known.
        vessel_hu: of the large vessels.
        parenchyma_hu: of the liver.
        noise_hu: of one voxel.
        slice_thickness_mm: of the scan; None when only contours are known.
        calibration: HU to mg; None when only contours are known.
        scanner: manufacturer, model and the like: two exams with the same text share their calibration error.
        ordinal: day of the exam as a number of days; None when not known.
    """

    lesions: tuple[Seen, ...]
    others: tuple[Seen, ...]
    view: LiverView
    phase: str
    is_contrast: bool | None
    vessel_hu: Measurement
    parenchyma_hu: Measurement
    noise_hu: Measurement
    slice_thickness_mm: float | None
    calibration: Calibration | None
    scanner: str
    ordinal: int | None


@dataclass(frozen=True, slots=True)
class ExamNote:
    """What ``comparison.json`` says of an exam. Never an identity.

    Args:
        study_date: ISO date; None when not known.
        study_instance_uid: of the study; None for NIfTI.
        series_instance_uid: of the series that was read.
        source: ``scan``, ``assessment`` or ``foci`` (a DICOM SEG of foci).
        phase: contrast phase; empty when not known.
        slice_thickness_mm: None when not known.
        kvp: None when not known.
        lesions: number of lesions.
    """

    study_date: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    source: Literal["scan", "assessment", "foci"]
    phase: str
    slice_thickness_mm: float | None
    kvp: float | None
    lesions: int


@dataclass(frozen=True, eq=False, slots=True)
class LesionChange:
    """What became of one lesion, or of several that merged or split.

    Args:
        id: from 1, in the order of :data:`STATUSES`, largest first.
        status: what became of it.
        prior: ids of its lesions at the earlier exam.
        current: ids of its lesions at the later exam.
        foci: pairs of ids of the same focus, earlier and later.
        reasons: why this status, or why there is none.
        prior_mass_mg: calcium at the earlier exam.
        current_mass_mg: calcium at the later exam.
        mass_change_mg: later minus earlier, with the errors of both.
        mass_change_percent: of the earlier mass.
        prior_volume_mm3: volume at half maximum, earlier.
        current_volume_mm3: likewise, later.
        volume_change_mm3: later minus earlier.
        volume_change_percent: of the earlier volume.
        smallest_change_percent: smallest change of mass (of volume where no mass is known) that this pair of exams
            could have shown for this lesion.
        prior_place_mm: LPS at the earlier exam; where it would have been if it was not seen.
        current_place_mm: LPS at the later exam; where it should be if it is not seen.
        gap_mm: from where the earlier place was carried to where the lesion lies.
    """

    id: int
    status: Status
    prior: tuple[int, ...]
    current: tuple[int, ...]
    foci: tuple[tuple[int, int], ...]
    reasons: tuple[str, ...]
    prior_mass_mg: Measurement
    current_mass_mg: Measurement
    mass_change_mg: Measurement
    mass_change_percent: Measurement
    prior_volume_mm3: Measurement
    current_volume_mm3: Measurement
    volume_change_mm3: Measurement
    volume_change_percent: Measurement
    smallest_change_percent: Measurement
    prior_place_mm: tuple[float, float, float]
    current_place_mm: tuple[float, float, float]
    gap_mm: Measurement = field(default_factory=lambda: NotMeasured("it was seen at one exam only"))


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """Two exams of one patient, and what became of each lesion.

    Args:
        prior: the earlier exam.
        current: the later exam.
        interval_days: between them; None when a date is missing.
        liver_overlap: of the livers once they lie on each other, 0-1.
        surface_gap_mm: mean distance of their surfaces there.
        method: how places were carried over.
        lesions: what became of each.
        limits: what limits the comparison, one sentence each.
        back: rows of a ``(3, 4)`` affine, LPS mm: about where a place of the later exam lies at the earlier one, the
            liver taken as stiff. For looking at both side by side; places of lesions are told exactly in ``lesions``.
    """

    prior: ExamNote
    current: ExamNote
    interval_days: int | None
    liver_overlap: float
    surface_gap_mm: float
    method: str
    lesions: tuple[LesionChange, ...]
    limits: tuple[str, ...]
    back: tuple[tuple[float, ...], ...] | None = None

    def of_current(self, lesion: int) -> LesionChange | None:
        """Return what is said of a lesion of the later exam."""
        return next((change for change in self.lesions if lesion in change.current), None)


@dataclass(frozen=True, eq=False, slots=True)
class OpenedExam:
    """An exam with all that is at hand of it.

    Args:
        exam: what is compared.
        note: what is told of it.
        assessment: None where only a DICOM SEG of foci was given.
        tracking: focus id -> DICOM Tracking UID.
    """

    exam: Exam
    note: ExamNote
    assessment: Assessment | None
    tracking: dict[int, str]


@dataclass(frozen=True, eq=False, slots=True)
class FollowUp:
    """One exam against one earlier exam or several.

    Args:
        run: what produced it.
        current: the later exam.
        priors: earlier ones, the latest first.
        comparisons: of the current exam with each of ``priors``.
        notes: what limits all of it, one sentence each.
    """

    run: Run
    current: OpenedExam
    priors: tuple[OpenedExam, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    @property
    def tracking(self) -> tuple[dict[int, str], ...]:
        """Of each earlier exam: focus id -> DICOM Tracking UID."""
        return tuple(prior.tracking for prior in self.priors)

    def to_dict(self) -> dict[str, object]:
        """Return what is told of the exams, for a log; the document is made by ``report/comparison.py``."""
        return {"priors": len(self.priors), "lesions": sum(len(c.lesions) for c in self.comparisons)}


@dataclass(frozen=True, eq=False, slots=True)
class StoredComparisons:
    """Comparisons of one exam as ``comparison.json`` keeps them: without the exams' voxels.

    Args:
        comparisons: of the current exam with each earlier one, the latest first.
        tracking: of each earlier exam: focus id -> DICOM Tracking UID, of the foci that are seen in both.
    """

    comparisons: tuple[Comparison, ...]
    tracking: tuple[dict[int, str], ...]

    def to_dict(self) -> dict[str, object]:
        """Return what is told of the exams, for a log."""
        return {"priors": len(self.comparisons), "lesions": sum(len(c.lesions) for c in self.comparisons)}
