"""A stored assessment as the registry holds it: versions, numbers, lesions by their tracking UIDs, the plan's steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from hepacalc.errors import InvalidAssessment
from hepacalc.followup.schedule import Schedule, schedule_of
from hepacalc.interop.identity import content_words, lesion_tracking
from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Assessment, Measured, Measurement, NotMeasured
from hepacalc.report.numbers import significant

__all__ = ["Intake", "LesionLink", "intake", "moment"]

_SAME = ("stable", "grew", "shrank", "same", "unchanged", "not comparable", "not-comparable")
"""Statuses of a comparison that say that two lesions are one."""


class LesionLink(NamedTuple):
    """What a comparison says of a lesion.

    Args:
        prior: Tracking UID in the earlier exam; None for a new lesion.
        current: Tracking UID in the later exam; None for one that is gone.
        status: ``new``, ``gone``, ``merged``, ``split``, ``grew``, ``shrank``, ``stable``, ``not comparable``.
    """

    prior: str | None
    current: str | None
    status: str

    @property
    def is_same(self) -> bool:
        """Whether both are one lesion."""
        return self.prior is not None and self.current is not None and self.status in _SAME


@dataclass(frozen=True, slots=True)
class Intake:
    """What an assessment brings into the registry.

    Args:
        study: StudyInstanceUID; None for NIfTI.
        series: SeriesInstanceUID.
        day: StudyDate; None where the scan does not say.
        modality: Modality.
        phase: contrast phase.
        assessment: versions and numbers, as the body of an event holds them.
        lesions: as the body of an event holds them, without ``new``.
        schedule: of the plan; None without one.
        plan_day: day from which its intervals run.
    """

    study: str | None
    series: str | None
    day: str | None
    modality: str | None
    phase: str
    assessment: dict[str, Any]
    lesions: tuple[dict[str, Any], ...]
    schedule: Schedule | None
    plan_day: str

    @property
    def order(self) -> tuple[str, float]:
        """By which a plan is the later one: day of the exam (of the plan, where it is not known), then when."""
        return self.day or self.plan_day, moment(str(self.assessment["made"]))


def intake(assessment: Assessment) -> Intake:
    """Return what an assessment brings into the registry.

    Args:
        assessment: fresh, or read with :func:`hepacalc.report.stored.read_stored`.

    Raises:
        InvalidAssessment: two of its lesions have the same tracking UID, or a number has another unit.
    """
    acquisition, run, burden = assessment.acquisition, assessment.run, assessment.burden
    reasoning = assessment.reasoning if isinstance(assessment.reasoning, Reasoning) else None
    lesions = tuple(_lesion(assessment, number) for number in range(len(assessment.lesions)))
    if len({one["uid"] for one in lesions}) != len(lesions):
        raise InvalidAssessment(
            "two lesions of the assessment have the same Tracking UID.", hint="Assess the study again."
        )
    day = _plan_day(reasoning, run.created)
    schedule = None
    if reasoning is not None:
        schedule = schedule_of(
            reasoning.plan,
            today=day,
            knowledge_version=reasoning.knowledge_version,
            citations={note.id: note.citation for note in reasoning.sources},
        )
    return Intake(
        study=acquisition.study_instance_uid,
        series=acquisition.series_instance_uid,
        day=_dicom_day(acquisition.study_date),
        modality=acquisition.modality,
        phase=assessment.phase.name,
        assessment={
            "digest": content_words(assessment)[0],
            "made": run.created,
            "hepacalc": run.hepacalc_version,
            "knowledge": None if reasoning is None else reasoning.knowledge_version,
            "versions": dict(run.versions),
            "phase": assessment.phase.name,
            "calcifications": burden.calcifications,
            "certain": burden.certain,
            "indeterminate": burden.indeterminate,
            "mimics": burden.mimics,
            "mass": _number(burden.total_mass_mg, "mg"),
            "volume": _number(burden.total_volume_mm3, "mm3"),
        },
        lesions=lesions,
        schedule=schedule,
        plan_day=day,
    )


def _lesion(assessment: Assessment, place: int) -> dict[str, Any]:
    lesion = assessment.lesions[place]
    tracking = lesion_tracking(assessment, lesion)
    return {
        "number": lesion.id,
        "uid": tracking.uid,
        "name": tracking.id,
        "kind": lesion.kind,
        "certainty": lesion.certainty,
        "segment": None if isinstance(lesion.segment, NotMeasured) else lesion.segment.dominant,
        "pattern": None if isinstance(lesion.pattern, NotMeasured) else lesion.pattern.dominant,
        "mass": _number(lesion.mass_mg, "mg"),
        "volume": _number(lesion.volume_mm3, "mm3"),
        "extent": _number(lesion.extent_mm, "mm"),
        "centroid_mm": [significant(one) for one in lesion.centroid_mm],
    }


def _number(told: Measurement, unit: str) -> dict[str, Any]:
    if isinstance(told, Measured):
        if told.unit != unit:
            raise InvalidAssessment(f"a number in {unit} is wanted, found {told.unit[:10]!r}.", hint="Assess it again.")
        return {"value": significant(told.value), "low": significant(told.low), "high": significant(told.high)}
    return {"reason": told.reason}


def _dicom_day(stamp: str | None) -> str | None:
    """Return a DICOM date as a day; None where it is none."""
    if stamp is None or len(stamp) != 8 or not (stamp.isascii() and stamp.isdecimal()):
        return None
    try:
        return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:])).isoformat()
    except ValueError:
        return None


def _plan_day(reasoning: Reasoning | None, created: str) -> str:
    """Return the day from which the plan's intervals run.

    What is due now begins on that day. Where nothing is, it is the day at which it was made, in this place.
    """
    items: Sequence[Any] = () if reasoning is None else reasoning.plan.items
    now = {item.due[0] for item in items if item.due and dict(item.interval).get("en", "").startswith("now")}
    if len(now) == 1:
        return str(now.pop())
    return datetime.fromtimestamp(moment(created), UTC).astimezone().date().isoformat()


def moment(stamp: str) -> float:
    """Return a time stamp as seconds since 1970.

    Raises:
        InvalidAssessment: it is none.
    """
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError, OSError) as fault:
        raise InvalidAssessment("the time stamp of the assessment is none.", hint="Assess the study again.") from fault
