"""What is held, found by DICOM attributes: for QIDO-RS (PS3.18 10.6) and C-FIND (PS3.4 C.4.1) alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, false, func, or_, select

from hepacalc.server.tables import instances, studies

__all__ = ["LEVELS", "MATCHED", "Held", "Level", "find", "held_instances"]

Level = Literal["STUDY", "SERIES", "IMAGE"]
LEVELS: tuple[Level, ...] = ("STUDY", "SERIES", "IMAGE")

_STUDY = {
    "StudyInstanceUID": studies.c.uid,
    "StudyDate": studies.c.study_date,
    "StudyTime": studies.c.study_time,
    "AccessionNumber": studies.c.accession,
    "ReferringPhysicianName": studies.c.referrer,
    "StudyDescription": studies.c.description,
    "StudyID": studies.c.study_id,
    "PatientName": studies.c.patient_name,
    "PatientID": studies.c.patient_id,
    "PatientBirthDate": studies.c.birth_date,
    "PatientSex": studies.c.sex,
}
_SERIES = {
    "SeriesInstanceUID": instances.c.series_uid,
    "Modality": instances.c.modality,
    "SeriesNumber": instances.c.series_number,
    "SeriesDescription": instances.c.series_description,
}
_IMAGE = {
    "SOPClassUID": instances.c.sop_class,
    "SOPInstanceUID": instances.c.sop_uid,
    "InstanceNumber": instances.c.number,
    "Rows": instances.c.rows,
    "Columns": instances.c.columns,
    "NumberOfFrames": instances.c.frames,
}
MATCHED: dict[Level, frozenset[str]] = {
    "STUDY": frozenset({*_STUDY, "ModalitiesInStudy"}),
    "SERIES": frozenset({*_STUDY, *_SERIES, "ModalitiesInStudy"}),
    "IMAGE": frozenset({*_STUDY, *_SERIES, *_IMAGE, "ModalitiesInStudy"}),
}
"""Attributes that can be matched at each level."""
_NAMES = frozenset({"PatientName", "ReferringPhysicianName"})
_RANGES = frozenset({"StudyDate", "StudyTime", "PatientBirthDate"})
_UIDS = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"})
_NUMBERS = frozenset({"SeriesNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames"})


@dataclass(frozen=True, slots=True)
class Held:
    """One instance that is held.

    Args:
        study_id: our own id of its study.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        sop_uid: SOPInstanceUID.
        sop_class: SOPClassUID.
        transfer_syntax: as it is stored.
        folder: of its study, see ``files.Store``.
        path: below that folder.
        frames: number of frames.
        bytes: of its file.
    """

    study_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    folder: str
    path: str
    frames: int
    bytes: int


def _current() -> ColumnElement[bool]:
    """What was received, and what the latest assessment gave; earlier ones are superseded and not offered."""
    return or_(instances.c.assessment_id.is_(None), instances.c.assessment_id == studies.c.assessment_id)


def find(
    connection: Connection, level: Level, wanted: Mapping[str, str], mine: ColumnElement[bool], *, limit: int,
    offset: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what matches, as values by DICOM keyword; newest study first.

    Args:
        connection: for reading.
        level: of what is returned.
        wanted: keyword -> value to match: single value, UIDs divided by backslash or comma, range of dates or times,
            wild cards ``*`` and ``?``; an empty one matches everything. Keywords not in :data:`MATCHED` are ignored.
        mine: condition on ``studies`` for what the asker may see.
        limit: at most so many.
        offset: so many are left out at the beginning.
    """
    if level == "STUDY":
        found: Select[Any] = select(*(c.label(k) for k, c in _STUDY.items()), studies.c.id)
        found = found.where(studies.c.instance_count > 0, *_where("STUDY", wanted))
    else:
        found = _below(level).where(*_where(level, wanted), _current())
    found = found.where(mine, studies.c.kind == "dicom").limit(limit).offset(offset)
    order: tuple[Any, ...] = (studies.c.study_date.desc(), studies.c.id)
    if level == "SERIES":
        found, order = found.group_by(studies.c.id, instances.c.series_uid), (*order, instances.c.series_uid)
    elif level == "IMAGE":
        order = (*order, instances.c.series_uid, instances.c.number, instances.c.sop_uid)
    rows = [dict(row) for row in connection.execute(found.order_by(*order)).mappings()]
    _count(connection, level, rows)
    return rows


def _below(level: Level) -> Select[Any]:
    study = [c.label(k) for k, c in _STUDY.items()]
    if level == "IMAGE":
        columns: list[Any] = [c.label(k) for k, c in {**_SERIES, **_IMAGE}.items()]
    else:
        columns = [instances.c.series_uid.label("SeriesInstanceUID"),
                   *(func.min(_SERIES[k]).label(k) for k in ("Modality", "SeriesNumber", "SeriesDescription")),
                   func.count().label("NumberOfSeriesRelatedInstances")]  # fmt: skip
    return select(*study, studies.c.id, *columns).join(instances, instances.c.study_id == studies.c.id)


def _count(connection: Connection, level: Level, rows: list[dict[str, Any]]) -> None:
    """Add what is counted by study."""
    ids = sorted({row["id"] for row in rows})
    counts: dict[str, tuple[int, int, set[str]]] = {}
    for start in range(0, len(ids), 500):
        told = connection.execute(
            select(instances.c.study_id, instances.c.series_uid, func.min(instances.c.modality), func.count())
            .join(studies, studies.c.id == instances.c.study_id)
            .where(instances.c.study_id.in_(ids[start : start + 500]), _current())
            .group_by(instances.c.study_id, instances.c.series_uid)
        )
        for study_id, _, modality, number in told:
            series, total, kinds = counts.get(study_id, (0, 0, set()))
            counts[study_id] = (series + 1, total + number, kinds | {modality})
    for row in rows:
        series, total, kinds = counts.get(row.pop("id"), (0, 0, set()))
        row["ModalitiesInStudy"] = sorted(kinds - {""})
        row["NumberOfStudyRelatedSeries"], row["NumberOfStudyRelatedInstances"] = series, total


def _where(level: Level, wanted: Mapping[str, str]) -> list[ColumnElement[bool]]:
    columns = {**_STUDY, **({} if level == "STUDY" else _SERIES), **(_IMAGE if level == "IMAGE" else {})}
    out: list[ColumnElement[bool]] = []
    for keyword, value in wanted.items():
        if value in ("", "*"):
            continue
        if not value.isprintable():  # control characters are in no attribute, and PostgreSQL refuses NUL
            out.append(false())
            continue
        if keyword in columns:
            out.append(_matches(keyword, columns[keyword], value))
        elif keyword == "ModalitiesInStudy":
            kinds = _listed(value)
            with_it = select(instances.c.study_id).where(instances.c.modality.in_(kinds))
            out.append(studies.c.id.in_(with_it))
    return out


def _listed(value: str) -> list[str]:
    return [one.strip() for one in re.split(r"[\\,]", value) if one.strip()][:1000]


def _matches(keyword: str, column: Any, value: str) -> ColumnElement[bool]:
    if keyword in _UIDS or keyword == "Modality":
        found: ColumnElement[bool] = column.in_(_listed(value))
    elif keyword in _NUMBERS:
        number = value.strip()
        found = column == int(number) if re.fullmatch(r"-?\d{1,9}", number) else false()
    elif keyword in _RANGES and "-" in value:
        first, _, last = value.partition("-")
        found = column != ""
        if first.strip():
            found = and_(found, column >= first.strip())
        if last.strip():
            # 12 as the end of a range is the whole hour: every longer time that begins with it
            found = and_(found, column < last.strip() + "~")
    elif keyword in _NAMES:
        # a family name alone finds the person: PS3.4 C.2.2.2.1.1 leaves the sensitivity of names to the server
        pattern = _pattern(value.strip().lower())
        found = or_(func.lower(column).like(pattern, escape="!"), func.lower(column).like(pattern + "^%", escape="!"))
    elif "*" in value or "?" in value:
        found = column.like(_pattern(value), escape="!")
    else:
        found = column == value.strip()
    return found


def _pattern(value: str) -> str:
    plain = re.sub(r"([!%_])", r"!\1", value)
    return plain.replace("*", "%").replace("?", "_")


def held_instances(
    connection: Connection, mine: ColumnElement[bool], *, study: str = "", series: str = "", instance: str = "",
    only_current: bool = True,
) -> list[Held]:  # fmt: skip
    """Return instances by their UIDs, in the order of series and number.

    Args:
        connection: for reading.
        mine: condition on ``studies`` for what the asker may see.
        study: StudyInstanceUID.
        series: SeriesInstanceUID, or all.
        instance: SOPInstanceUID, or all.
        only_current: leave out what earlier assessments gave.
    """
    columns: list[Any] = [
        studies.c.id, studies.c.uid, instances.c.series_uid, instances.c.sop_uid, instances.c.sop_class,
        instances.c.transfer_syntax, studies.c.folder, instances.c.path, instances.c.frames, instances.c.bytes,
    ]  # fmt: skip
    found: Select[Any] = select(*columns).join(instances, instances.c.study_id == studies.c.id)
    found = found.where(mine, studies.c.kind == "dicom")
    for column, value in ((studies.c.uid, study), (instances.c.series_uid, series), (instances.c.sop_uid, instance)):
        if value:
            found = found.where(column == value)
    if only_current:
        found = found.where(_current())
    rows = connection.execute(found.order_by(instances.c.series_uid, instances.c.number, instances.c.sop_uid))
    return [Held(*row) for row in rows]
