"""``comparison.json`` as the registry reads it: which lesions of the later exam are which of the earlier one.

It names lesions by study and number; the registry knows which Tracking UID had that number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from hepacalc.errors import InvalidAssessment, NotInRegistry, OtherStudy
from hepacalc.registry import tables as t
from hepacalc.registry.intake import LesionLink
from hepacalc.study.slices import shown_uid

__all__ = ["Compared", "comparisons_of", "read_comparisons", "resolved"]

LARGEST = 64 * 2**20
VERSION = "1"
"""First number of the version of ``comparison.json`` that is read."""
_AGAIN = "Compare the exams again."


class Compared(NamedTuple):
    """One comparison.

    Args:
        prior_study: StudyInstanceUID of the earlier exam.
        current_study: of the later one.
        lesions: numbers of lesions of the earlier exam, of the later one, and what became of them.
    """

    prior_study: str
    current_study: str
    lesions: tuple[tuple[tuple[int, ...], tuple[int, ...], str], ...]


def read_comparisons(path: Path) -> tuple[Compared, ...]:
    """Read what ``hepacalc compare`` wrote.

    Raises:
        InvalidAssessment: the file cannot be read, is no comparison, or is one without identity.
    """
    try:
        text = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as fault:
        raise InvalidAssessment(
            f"the comparison {path.name} cannot be read: {os.strerror(fault.errno or 0)}.", hint=_AGAIN
        ) from fault
    try:
        return comparisons_of(json.loads(text))
    except (ValueError, RecursionError) as fault:
        raise InvalidAssessment(f"{path.name} is no JSON document.", hint=_AGAIN) from fault


def comparisons_of(document: Any) -> tuple[Compared, ...]:
    """Return the comparisons of a document.

    Raises:
        InvalidAssessment: it is none, of another version, or does not say of which studies it is.
    """
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, str) or version.partition(".")[0] != VERSION:
        raise InvalidAssessment(f"a comparison of version {VERSION} is wanted, found another document.", hint=_AGAIN)
    try:
        current = document["current"]["study_instance_uid"]
        found = tuple(
            Compared(one["prior"]["study_instance_uid"], current, tuple(map(_lesion, one["lesions"])))
            for one in document["comparisons"]
        )
    except (KeyError, TypeError, AttributeError) as fault:
        raise InvalidAssessment("the comparison does not follow its schema.", hint=_AGAIN) from fault
    for one in found:
        if not isinstance(one.prior_study, str) or not isinstance(one.current_study, str):
            raise InvalidAssessment(
                "the comparison names no studies, so nothing shows which exams it is of.",
                hint="Compare DICOM studies, with identity.",
            )
    return found


def _lesion(told: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    status = told["status"]
    prior, current = (tuple(told[name]) for name in ("prior", "current"))
    if not isinstance(status, str) or not all(type(number) is int for number in (*prior, *current)):
        raise TypeError(status)
    return prior, current, status


def resolved(
    connection: Connection, comparisons: Sequence[Compared], study: str | None, lesions: Sequence[Mapping[str, Any]]
) -> list[LesionLink]:
    """Return the links that comparisons mean.

    Args:
        connection: to look up the lesions of earlier exams.
        comparisons: of the assessment that is taken in with earlier ones.
        study: StudyInstanceUID of that assessment.
        lesions: its lesions, with ``number`` and ``uid``.

    Raises:
        OtherStudy: a comparison is of another study.
        NotInRegistry: the earlier exam, or a lesion of it, is not known.
        InvalidAssessment: it names a lesion that the assessment does not have.
    """
    own = {one["number"]: str(one["uid"]) for one in lesions}
    out: list[LesionLink] = []
    for compared in comparisons:
        if compared.current_study != study:
            raise OtherStudy(
                f"comparison of study {shown_uid(compared.current_study)}, assessment of {shown_uid(study)}.",
                hint="Give the comparison of this exam with earlier ones.",
            )
        out += _links(compared, _numbers(connection, compared.prior_study), own)
    return out


def _numbers(connection: Connection, study: str) -> dict[int, str]:
    """Return number -> Tracking UID of the lesions of the last assessment of a study."""
    joined = t.assessment.join(t.exam)
    query = select(t.assessment.c.id).select_from(joined).where(t.exam.c.study_uid == study)
    last = connection.execute(query.order_by(t.assessment.c.id.desc()).limit(1)).scalar()
    if last is None:
        raise NotInRegistry(
            f"study {shown_uid(study)} of the comparison is not in the registry.",
            hint="Add the assessment of the earlier exam first.",
        )
    rows = connection.execute(select(t.sighting.c.number, t.sighting.c.lesion).where(t.sighting.c.assessment == last))
    return {row.number: row.lesion for row in rows}


def _links(compared: Compared, before: Mapping[int, str], own: Mapping[int, str]) -> Iterator[LesionLink]:
    for prior, current, status in compared.lesions:
        try:
            old, new = [before[number] for number in prior], [own[number] for number in current]
        except KeyError as fault:
            raise InvalidAssessment(
                f"the comparison names lesion {fault.args[0]}, which its exam does not have here.", hint=_AGAIN
            ) from fault
        first: str | None
        then: str | None
        for first, then in product(old or (None,), new or (None,)):
            yield LesionLink(first, then, status)
