"""The main job on one page: study -> liver -> foci -> assessment."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.consult import consult
from hepacalc.days import today
from hepacalc.errors import MeasurementError, UsageError
from hepacalc.foci.calibration import calibration_for
from hepacalc.foci.detect import MOST_CANDIDATES
from hepacalc.foci.find import FociResult, find_foci
from hepacalc.foci.scene import look_at
from hepacalc.interop.foci_file import FociMask, as_tracked, read_foci_mask
from hepacalc.interop.same_patient import refuse_other_patient
from hepacalc.knowledge import Knowledge, load_knowledge
from hepacalc.liver import (
    LiverAnatomy,
    detect_phase,
    get_segmenter,
    liver_anatomy,
    liver_coverage,
    liver_volume,
    read_liver_mask,
    vessel_reference,
)
from hepacalc.patient.read import read_patient_file
from hepacalc.patient.schema import Patient
from hepacalc.records import (
    Assessment,
    Calibration,
    Focus,
    Liver,
    LiverMask,
    Measured,
    Measurement,
    NotMeasured,
    Run,
    Segment,
    SeriesChoice,
    Volume,
)
from hepacalc.report.schema import SCHEMA_VERSION
from hepacalc.report.words import obstacles
from hepacalc.study import open_study
from hepacalc.study.calibration_file import read_calibration
from hepacalc.study.quality import assess_quality, require_ct_numbers, smallest_trusted_mm
from hepacalc.threads import thread_pool

__all__ = ["assess", "assess_volume"]

Progress = Callable[[str, float], None]
Path_ = str | os.PathLike[str]


def assess(
    study: Path_,
    *,
    series: str | None = None,
    liver_mask: Path_ | None = None,
    foci_mask: Path_ | None = None,
    segmenter: str = "embedded",
    calibration: Path_ | Calibration | None = None,
    agatston: bool = False,
    allow_gaps: bool = False,
    patient: Path_ | Patient | None = None,
    knowledge: Path_ | Knowledge | None = None,
    priors: Sequence[Path_] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Assessment:
    """Assess one CT study: find the liver and what is bright in it, tell calcium from mimics, measure.

    Args:
        study: DICOM folder or file, a zip of one, or NIfTI.
        series: SeriesInstanceUID (or its unique ending) to use instead of the one chosen for calcium.
        liver_mask: the liver as NIfTI or DICOM SEG, in place of a segmenter.
        foci_mask: the foci as NIfTI or DICOM SEG, drawn or corrected by a person: measured as they are, in place of a
            search.
        segmenter: name of the segmenter.
        calibration: a site's own HU-to-mg line (a file or a record), in place of the table by kVp.
        agatston: whether to compute an Agatston-like score (refused on contrast).
        allow_gaps: whether to measure the largest regular block of a series with missing slices.
        patient: what is known of the patient (a file or a record): adds causes, red flags and a plan.
        knowledge: a site's own priors and thresholds (a file), laid over the knowledge base; or one that is loaded.
        priors: earlier exams of the patient to compare with, as for :func:`hepacalc.compare.compare`.
        now: time stamp of the assessment; the clock when None.
        progress: called with the stage and a fraction 0-1.

    Returns:
        The assessment, with the scan, the liver and the focus labels on the scan's grid.

    Raises:
        HepacalcError: one of its leaves, see :mod:`hepacalc.errors`.
    """
    watch = _Watch(progress)
    person = _patient(patient, now)
    known = None if person is None else _knowledge(knowledge)
    with watch("reading the study"):
        volume, choice = open_study(os.fspath(study), series=series, allow_gaps=allow_gaps, progress=watch.inner)
    for mask in (liver_mask, foci_mask):
        if mask is not None:
            refuse_other_patient(Path(mask), Path(study), volume)
    options = {"segmenter": segmenter, "calibration": calibration}
    return assess_volume(
        volume,
        choice,
        compared=partial(_compared, Path(study), tuple(priors), now, options) if priors else None,
        liver_mask=liver_mask,
        foci_mask=foci_mask,
        segmenter=segmenter,
        calibration=calibration,
        agatston=agatston,
        patient=person,
        knowledge=known,
        now=now,
        watch=watch,
    )


def assess_volume(
    volume: Volume,
    choice: SeriesChoice,
    *,
    liver_mask: Path_ | LiverMask | None = None,
    foci_mask: Path_ | FociMask | None = None,
    segmenter: str = "embedded",
    calibration: Path_ | Calibration | None = None,
    agatston: bool = False,
    patient: Path_ | Patient | None = None,
    knowledge: Path_ | Knowledge | None = None,
    compared: Callable[[Assessment], Assessment] | None = None,
    now: datetime | None = None,
    watch: _Watch | None = None,
) -> Assessment:
    """Assess a scan that is already in memory; arguments as for :func:`assess`, ``compared`` adds earlier exams."""
    watch = watch or _Watch(None)
    if liver_mask is not None and segmenter != "embedded":
        raise UsageError(f"both a liver mask and the segmenter {segmenter!r} were given.", hint="Give one of the two.")
    line = _calibration(calibration, volume)
    person = _patient(patient, now)
    known = None if person is None else _knowledge(knowledge)
    with watch("finding the liver"):
        require_ct_numbers(volume)
        if isinstance(liver_mask, LiverMask):
            liver = liver_mask
        elif liver_mask is not None:
            liver = read_liver_mask(Path(liver_mask), volume)
        else:
            liver = get_segmenter(segmenter).segment(volume, progress=watch.inner)
        given = read_foci_mask(Path(foci_mask), volume) if isinstance(foci_mask, str | os.PathLike) else foci_mask
    with watch("judging phase and quality"), thread_pool(1) as pool:
        # resolution and noise are the foci's, but a second core is free here
        looked = pool.submit(look_at, volume, liver)
        reference = vessel_reference(volume, liver)
        phase = detect_phase(volume, liver, reference=reference)
        quality = assess_quality(volume, liver, phase)
        scene = looked.result()
    with watch("reading the liver's anatomy"):
        anatomy = liver_anatomy(liver, volume, phase)
    with watch("finding and measuring foci"):
        result = find_foci(
            volume,
            liver,
            phase=phase,
            calibration=line,
            liver_vessel_hu=reference.liver_vessel_hu,
            smallest_trusted_mm=partial(_smallest, volume),
            locate=partial(_locate, anatomy),
            agatston=agatston,
            drawn=None if given is None else given.drawn,
            scene=scene,
        )
        result = replace(result, foci=_with_distances(result.foci, anatomy))
    if given is not None:
        result = as_tracked(result, given)
    run = Run(
        version("hepacalc"),
        (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        _versions(liver),
        (
            ("segmenter", liver.method), ("calibration", line.source), ("agatston", str(agatston).lower()),
            *((("foci_mask", given.version),) if given is not None else ()),
        ),
    )  # fmt: skip
    assessment = Assessment(
        SCHEMA_VERSION, run, choice, volume.acquisition, volume.geometry, volume.transforms, quality, phase, line,
        _liver(volume, liver, result), result.burden, result.lesions, result.foci, (), volume, liver, result.labels,
    )  # fmt: skip
    assessment = replace(assessment, limits=_limits(assessment, result, anatomy))
    if compared is not None:
        with watch("comparing with earlier exams"):
            assessment = compared(assessment)
    if person is not None and known is not None:
        with watch("weighing the causes"):
            reasoning = consult(person, known, today=today(now), assessment=assessment)
            assessment = replace(assessment, reasoning=reasoning)
    return replace(assessment, run=replace(run, seconds=watch.seconds))


def _compared(
    study: Path, priors: Sequence[Path_], now: datetime | None, options: dict[str, Any], assessment: Assessment
) -> Assessment:
    """Return an assessment with what became of its lesions since earlier exams, and their Tracking UIDs."""
    from hepacalc.compare import follow, tracked

    found = follow(assessment, study, priors, now=now, **options)
    return replace(tracked(assessment, found), followup=found)


class _Watch:
    """Times the stages and tells whoever watches."""

    def __init__(self, progress: Progress | None) -> None:
        self._tell = progress or (lambda _stage, _part: None)
        self._stage = ""
        self.seconds: tuple[tuple[str, float], ...] = ()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time one stage."""
        self._stage = stage
        start = time.perf_counter()
        self._tell(stage, 0.0)
        yield
        self._tell(stage, 1.0)
        self.seconds += ((stage, round(time.perf_counter() - start, 3)),)

    def inner(self, _word: str, part: float) -> None:
        """Pass a stage's own progress on."""
        self._tell(self._stage, part)


def _patient(given: Path_ | Patient | None, now: datetime | None) -> Patient | None:
    """Return what is known of the patient, read before any work is done."""
    if given is None or isinstance(given, Patient):
        return given
    return read_patient_file(Path(given), today=today(now))


def _knowledge(given: Path_ | Knowledge | None) -> Knowledge:
    """Return the knowledge base, loaded before any work is done."""
    return given if isinstance(given, Knowledge) else load_knowledge(None if given is None else Path(given))


def _calibration(given: Path_ | Calibration | None, volume: Volume) -> Calibration:
    """Return the line that turns HU into mg for this scan."""
    if isinstance(given, Calibration):
        return given
    if given is not None:
        return read_calibration(Path(given), volume.acquisition.kvp)
    return calibration_for(volume.acquisition.kvp)


def _locate(anatomy: LiverAnatomy | NotMeasured, points_mm: NDArray[np.float64]) -> list[Segment | NotMeasured]:
    return [anatomy] * len(points_mm) if isinstance(anatomy, NotMeasured) else anatomy.segments(points_mm)


def _with_distances(foci: tuple[Focus, ...], anatomy: LiverAnatomy | NotMeasured) -> tuple[Focus, ...]:
    """Return foci with their distances from the hilum and from the nearest large vessel."""
    points = np.array([f.centroid_mm for f in foci], float).reshape(-1, 3)
    hila: list[Measurement]
    vessels: list[Measurement]
    if isinstance(anatomy, NotMeasured):
        hila = vessels = [anatomy] * len(foci)
    else:
        hila, vessels = anatomy.hilum_distances(points), anatomy.vessel_distances(points)
    return tuple(
        replace(f, measurements=f.measurements | {"hilum_distance_mm": hilum, "vessel_distance_mm": vessel})
        for f, hilum, vessel in zip(foci, hila, vessels, strict=True)
    )


def _smallest(volume: Volume, noise_hu: float, fwhm_mm: float) -> Measurement:
    """Return the smallest focus that this scan would show."""
    in_plane = [s for axis, s in enumerate(volume.geometry.spacing_mm) if axis != volume.slice_axis]
    try:
        value = smallest_trusted_mm(noise_hu, volume.slice_thickness_mm, max(in_plane), in_plane_fwhm_mm=fwhm_mm)
    except MeasurementError as error:
        return NotMeasured(error.message)
    return Measured(
        value, "mm", 0.8 * value, 1.25 * value, "solid focus of 250 HU above liver, from noise and resolution"
    )


def _liver(volume: Volume, liver: LiverMask, result: FociResult) -> Liver:
    """Return the numbers about the liver."""
    coverage = liver_coverage(liver, volume)
    return Liver(
        f"{liver.method} {liver.version}".strip(),
        liver.confidence,
        liver_volume(liver),
        result.parenchyma_hu,
        result.noise_hu,
        coverage.is_complete,
        liver.warnings,
    )


def _versions(liver: LiverMask) -> tuple[tuple[str, str], ...]:
    """Return the versions that decide the numbers."""
    names = ("numpy", "scipy", "pydicom", "onnxruntime")
    return (("python", platform.python_version()), *((n, version(n)) for n in names), (liver.method, liver.version))


def _limits(assessment: Assessment, result: FociResult, anatomy: LiverAnatomy | NotMeasured) -> tuple[str, ...]:
    """Return what limits the answer, gravest first."""
    grave, mild = obstacles(assessment)
    clipped = [f.id for f in assessment.foci if isinstance(f.measurements["max_hu"], NotMeasured) and f.lesion]
    more = [f"HU are cut off in focus {', '.join(map(str, clipped))}: metal is not excluded"] if clipped else []
    if isinstance(anatomy, LiverAnatomy) and anatomy.is_mirrored:
        more.append("The liver lies on the left side of the body (situs inversus?): segments are read as in a mirror.")
    if result.is_capped:
        more.append(
            f"The liver holds more bright places than are looked at ({MOST_CANDIDATES}, the brightest): "
            "number, volume and mass are at least what is listed."
        )
    seen = dict.fromkeys((*grave, *more, *mild, *_liver_words(assessment), *result.notes))
    return tuple(seen)


def _liver_words(assessment: Assessment) -> tuple[str, ...]:
    """Return whose contour a given one is, and the liver's own warnings, as sentences."""
    given = assessment.liver_mask
    whose = (
        f"The liver's contour is the one that was given ({given.version}), not drawn by hepacalc; "
        "its volume and all that follows rest on it.",
    )
    own = tuple(w[:1].upper() + w[1:] + "." if not w.endswith(".") else w for w in assessment.liver.warnings)
    return (whose if given.method == "file" else ()) + own
