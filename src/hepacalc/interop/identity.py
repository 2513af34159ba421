"""Identifiers of what we write: UIDs made from what stays, so that the same content keeps the same UID.

A UID here is ``2.25.`` and a name-based UUID (PS3.5 B.2; RFC 9562, version 5) of everything that decides the content.
Exporting the same assessment twice gives the same objects, so an archive keeps one copy; anything that differs
(version, type of segmentation, language, contour) gives another UID.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass

from hepacalc.records import Assessment, Focus, Lesion
from hepacalc.report.schema import document

__all__ = ["Tracking", "content_uid", "content_words", "derived_uid", "focus_tracking", "lesion_tracking"]

_NAMESPACE = uuid.UUID("0f6d453c-80e1-5f38-ba82-c8dd9227deb9")


@dataclass(frozen=True, slots=True)
class Tracking:
    """By what a focus or lesion is followed over time.

    Args:
        id: short text for people, stable.
        uid: Tracking UID, stable.
    """

    id: str
    uid: str


def derived_uid(*words: str) -> str:
    """Return the UID that these words always give."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(words)).int}"


def content_words(assessment: Assessment) -> tuple[str, ...]:
    """Return what decides the content of every object of an assessment: what ``assessment.json`` says of it."""
    # the values of assessment.json without its line feeds: these take half the time of a segmentation
    said = json.dumps(document(assessment), ensure_ascii=False, allow_nan=False)
    return (hashlib.sha256(said.encode()).hexdigest(),)


def content_uid(content: tuple[str, ...], *words: str) -> str:
    """Return the UID of one object, or series, of an assessment.

    Args:
        content: :func:`content_words` of it.
        words: which object, and every choice that changes it.
    """
    return derived_uid("object", *content, *words)


def focus_tracking(assessment: Assessment, focus: Focus) -> Tracking:
    """Return the tracking identifier of a focus.

    It comes from the series and from the focus' brightest voxel, which stays where it is when the threshold, the order
    of the foci or a person's contour changes. On a follow-up scan the brightest voxel lies elsewhere: a comparison
    that has matched the foci hands their earlier identifiers on in ``Focus.tracking_uid``.
    """
    if focus.tracking_uid:
        return _tracking("focus", focus.tracking_uid)
    series = assessment.acquisition.series_instance_uid or repr(assessment.geometry.affine.round(3).tolist())
    return _tracking("focus", derived_uid("tracking", "focus", series, *(str(i) for i in focus.peak_index)))


def lesion_tracking(assessment: Assessment, lesion: Lesion) -> Tracking:
    """Return the tracking identifier of a lesion: that of its only focus, or one made from that of its first."""
    first = next(one for one in assessment.foci if one.id == lesion.focus_ids[0])
    tracking = focus_tracking(assessment, first)
    if len(lesion.focus_ids) == 1:
        return tracking
    return _tracking("lesion", derived_uid("tracking", "lesion", tracking.uid))


def _tracking(kind: str, uid: str) -> Tracking:
    return Tracking(f"{kind}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}", uid)
