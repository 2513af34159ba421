"""Identifiers of what we write: UIDs made from what stays, so that the same content keeps the same UID.

A UID here is ``2.25.`` and a name-based UUID (PS3.5 B.2; RFC 9562, version 5) of everything that decides the content.
Exporting the same assessment twice gives the same objects, so an archive keeps one copy; anything that differs
(version, type of segmentation, language, contour) gives another UID.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hepacalc.records import Assessment, Focus

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
    """Return what decides the content of every object of an assessment: scan, time, version, contours, numbers."""
    digest = hashlib.sha256()
    for array in (np.packbits(assessment.liver_mask.mask), assessment.labels):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr([(f.id, f.kind, f.certainty, sorted(f.measurements.items())) for f in assessment.foci]).encode())
    known = assessment.acquisition
    return (
        known.study_instance_uid or "", known.series_instance_uid or "", assessment.run.created,
        assessment.run.hepacalc_version, digest.hexdigest(),
    )  # fmt: skip


def content_uid(content: tuple[str, ...], *words: str) -> str:
    """Return the UID of one object, or series, of an assessment.

    Args:
        content: :func:`content_words` of it.
        words: which object, and every choice that changes it.
    """
    return derived_uid("object", *content, *words)


def focus_tracking(assessment: Assessment, focus: Focus, known: Mapping[int, Tracking] | None = None) -> Tracking:
    """Return the tracking identifier of a focus.

    It comes from the series and from the focus' brightest voxel, which stays where it is when the threshold, the order
    of the foci or a person's contour changes. On a follow-up scan the brightest voxel lies elsewhere: a comparison
    that has matched the foci passes their earlier identifiers in.

    Args:
        assessment: whose focus it is.
        focus: the focus.
        known: focus id -> identifier that it has already, from an earlier scan or the contour that was given.
    """
    if known is not None and focus.id in known:
        return known[focus.id]
    series = assessment.acquisition.series_instance_uid or ""
    return _tracking("focus", series, *(str(i) for i in focus.peak_index))


def lesion_tracking(assessment: Assessment, lesion_id: int, known: Mapping[int, Tracking] | None = None) -> Tracking:
    """Return the tracking identifier of a lesion: that of its only focus, or one made from that of its first.

    Args:
        assessment: whose lesion it is.
        lesion_id: id of the lesion.
        known: as for :func:`focus_tracking`.
    """
    lesion = next(one for one in assessment.lesions if one.id == lesion_id)
    foci = {one.id: one for one in assessment.foci}
    first = focus_tracking(assessment, foci[lesion.focus_ids[0]], known)
    return first if len(lesion.focus_ids) == 1 else _tracking("lesion", first.uid)


def _tracking(kind: str, *words: str) -> Tracking:
    uid = derived_uid("tracking", kind, *words)
    return Tracking(f"{kind}-{int(uid.removeprefix('2.25.')) >> 96:08x}", uid)
