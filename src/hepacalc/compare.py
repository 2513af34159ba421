"""Two exams or more of one patient: open each, lay it on the current one, say what became of each lesion. One page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pydicom

from hepacalc.errors import HepacalcError, NoOverlap, UsageError
from hepacalc.followup.compare import compare_exams
from hepacalc.followup.exam import exam_of
from hepacalc.followup.records import Comparison, ExamNote, FollowUp, OpenedExam, StoredComparisons
from hepacalc.followup.register import Registration, identity
from hepacalc.interop.identity import focus_tracking
from hepacalc.interop.same_patient import refuse_two_patients
from hepacalc.interop.seg_exam import read_seg_exam
from hepacalc.liver.seg_file import is_segmentation
from hepacalc.records import Assessment, Run
from hepacalc.report.stored import UnreadVolume, read_stored

__all__ = ["compare", "follow", "open_assessment", "open_exam", "tracked"]

Path_ = str | os.PathLike[str]
UNNAMED = "nothing in the files shows that both exams are of one patient"


def compare(prior: Path_ | Sequence[Path_], current: Path_, *, now: datetime | None = None, **options: Any) -> FollowUp:
    """Say what became of each lesion between earlier exams and a current one.

    Args:
        prior: one earlier exam or several: a scan (as for :func:`hepacalc.assess`), a folder that ``hepacalc assess
            -o`` wrote, or a DICOM SEG of foci.
        current: the later exam, likewise.
        now: time stamp; the clock when None.
        options: how scans are assessed, as for :func:`hepacalc.assess`; ``progress`` is told of the comparison too.

    Raises:
        OtherStudy: the exams name different patients.
        UsageError: an earlier exam is later than the current one.
        NoOverlap: the livers cannot be laid on each other.
        HepacalcError: an exam cannot be read; the message says which.
    """
    paths = [Path(prior)] if isinstance(prior, str | os.PathLike) else [Path(one) for one in prior]
    if not paths:
        raise UsageError("no earlier exam was named.", hint="Give PRIOR and CURRENT.")
    for path in paths:
        refuse_two_patients(path, Path(current))
    with _named("the current exam", Path(current)):
        later, frame = open_exam(Path(current), now=now, **options)
    return _follow(later, frame, Path(current), paths, now, options)


def follow(
    assessment: Assessment, study: Path, priors: Sequence[Path_], *, now: datetime | None = None, **options: Any
) -> FollowUp:
    """Say what became of each lesion of an assessment since earlier exams; as :func:`compare`.

    Args:
        assessment: the current exam.
        study: where its scan was read from.
        priors: earlier exams.
        now: time stamp; the clock when None.
        options: how earlier scans are assessed.
    """
    for path in priors:
        refuse_two_patients(Path(path), study)
    later = open_assessment(assessment, "scan")
    frame = assessment.acquisition.frame_of_reference_uid or ""
    return _follow(later, frame, study, [Path(p) for p in priors], now, options)


def _follow(
    later: OpenedExam, frame: str, study: Path, paths: Sequence[Path], now: datetime | None, options: dict[str, Any]
) -> FollowUp:
    opened: list[tuple[OpenedExam, Comparison]] = []
    notes: dict[str, None] = {}
    tell = options.get("progress") or (lambda _stage, _share: None)
    for done, path in enumerate(paths):
        tell("comparing with earlier exams", done / len(paths))
        with _named("the earlier exam", path):
            earlier, its_frame = open_exam(path, now=now, **options)
            _refuse_later(earlier, later)
            fit = _shared_frame(earlier, later, frame, its_frame)
        told = (earlier.note, later.note)
        opened.append((earlier, compare_exams(earlier.exam, later.exam, told, registration=fit)))
        if not refuse_two_patients(path, study):
            notes[UNNAMED] = None
    opened.sort(key=lambda one: -(one[0].exam.ordinal or 0))
    run = Run(
        version("hepacalc"), (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        tuple((name, version(name)) for name in ("numpy", "scipy", "SimpleITK")), (),
    )  # fmt: skip
    return FollowUp(run, later, tuple(o for o, _ in opened), tuple(c for _, c in opened), tuple(notes))


def open_exam(path: Path, *, now: datetime | None = None, **options: Any) -> tuple[OpenedExam, str]:
    """Open a scan, a stored assessment or a DICOM SEG of foci; return the exam and its frame of reference.

    Args:
        path: folder or file.
        now: time stamp of an assessment that is made.
        options: as for :func:`hepacalc.assess`.

    Raises:
        HepacalcError: it cannot be read or assessed.
    """
    if path.is_dir() and (path / "assessment.json").is_file():
        stored = read_stored(path)
        return open_assessment(stored, "assessment"), stored.acquisition.frame_of_reference_uid or ""
    if path.is_file() and is_segmentation(path):
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyDate", "ContentDate"])
        iso = _iso(str(head.get("StudyDate") or head.get("ContentDate") or ""))
        return read_seg_exam(path, ordinal=_ordinal(iso), study_date=iso)
    from hepacalc.assess import assess

    made = assess(path, now=now, **options)
    return open_assessment(made, "scan"), made.acquisition.frame_of_reference_uid or ""


def tracked(assessment: Assessment, followup: FollowUp | StoredComparisons) -> Assessment:
    """Return an assessment whose foci carry the Tracking UIDs that they had at earlier exams, the latest first."""
    known: dict[int, str] = {}
    for earlier, comparison in zip(followup.tracking, followup.comparisons, strict=True):
        for change in comparison.lesions:
            for before, after in change.foci:
                if after not in known and before in earlier:
                    known[after] = earlier[before]
    foci = tuple(
        f if f.tracking_uid or f.id not in known else replace(f, tracking_uid=known[f.id]) for f in assessment.foci
    )
    return replace(assessment, foci=foci)


def open_assessment(assessment: Assessment, source: Literal["scan", "assessment"]) -> OpenedExam:
    """Return an exam that was assessed.

    Args:
        assessment: of the exam; its voxels are used where they are at hand.
        source: whether the scan itself was given or a stored assessment.
    """
    told = assessment.acquisition
    iso = _iso(told.study_date or "")
    hu = None if isinstance(assessment.volume, UnreadVolume) else assessment.volume.hu
    note = ExamNote(
        iso, told.study_instance_uid, told.series_instance_uid, source,
        assessment.phase.name, assessment.volume.slice_thickness_mm, told.kvp, len(assessment.lesions),
    )  # fmt: skip
    tracking = {focus.id: focus_tracking(assessment, focus).uid for focus in assessment.foci}
    return OpenedExam(exam_of(assessment, hu=hu, ordinal=_ordinal(iso)), note, assessment, tracking)


def _shared_frame(earlier: OpenedExam, later: OpenedExam, first: str, second: str) -> Registration | None:
    """Return the identity for exams in one frame of reference of which one has no liver; else None."""
    lacking = not (earlier.exam.view.liver.any() and later.exam.view.liver.any())
    if lacking and first and first == second:
        return identity(later.exam.view.geometry, "both exams share their coordinates")
    if lacking:
        raise NoOverlap(
            "a segmentation of foci without the liver can only be compared in its own frame of reference.",
            hint="Export it with a segment for the liver, or give the folder that hepacalc assess wrote.",
        )
    return None


def _refuse_later(earlier: OpenedExam, later: OpenedExam) -> None:
    one, two = earlier.exam.ordinal, later.exam.ordinal
    if one is not None and two is not None and one > two:
        raise UsageError(
            f"it is of {earlier.note.study_date}, the current one of {later.note.study_date}.",
            hint="Give the earlier exam first.",
        )


@contextmanager
def _named(which: str, path: Path) -> Iterator[None]:
    """Say of every error which exam it is about."""
    try:
        yield
    except HepacalcError as error:
        raise type(error)(f"{which} {path.name!r} cannot be used: {error.message}", hint=error.hint) from error


def _iso(stamp: str) -> str | None:
    """Return a DICOM date as an ISO date; None for anything else."""
    try:
        return datetime.strptime(stamp.strip(), "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return None


def _ordinal(iso: str | None) -> int | None:
    return None if iso is None else date.fromisoformat(iso).toordinal()
