"""Studies in the database: filing what came, and what the worklist searches by."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from hepacalc.server.database import new_id, now
from hepacalc.server.files import folder_name
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.tables import instances, studies, terms

__all__ = ["DERIVED", "add_instances", "file_study", "index_terms", "plain", "words_of"]

DERIVED = frozenset({"SEG", "SR", "KO", "PR", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "DOC", "FID", "RWV", "PLAN"})
"""Modalities of objects about images; that one arrives is no reason to assess a study again."""
_SEARCHED = ("patient_name", "patient_id", "accession", "description", "study_date")


def file_study(connection: Connection, found: dict[str, Any], team: str, *, user_id: str | None) -> str:
    """Add what came to a study, or make it; queue its assessment when its images changed; return its id.

    Args:
        connection: a transaction.
        found: columns of ``studies`` with ``instances``, as :mod:`hepacalc.server.headers` reads them.
        team: whose study it is.
        user_id: who sent it.
    """
    columns = {name: value for name, value in found.items() if name in studies.c}
    row = connection.execute(
        select(studies.c.id, studies.c.digest).where(studies.c.uid == found["uid"], studies.c.team == team)
    ).first()
    moment = now()
    if row is None:
        study_id, before = new_id(), ""
        connection.execute(
            insert(studies).values(
                **{**columns, "id": study_id, "team": team, "folder": folder_name(found["uid"], team),
                   "state": "waiting", "created": moment, "updated": moment, "bytes": 0},
            )
        )  # fmt: skip
        index_terms(connection, study_id, columns)
    else:
        study_id, before = str(row.id), str(row.digest)
    rows = [{**one, "path": f"files/{one['name']}"} for one in found["instances"]]
    add_instances(connection, study_id, rows)
    digest = _count(connection, study_id)
    if digest and digest != before:
        connection.execute(
            update(studies)
            .where(studies.c.id == study_id)
            .values(digest=digest, state="waiting", updated=moment, error="", error_code="")
        )
        work = Work("assess", f"assess:{study_id}:{digest}", study_id=study_id, user_id=user_id)
        enqueue(connection, work)
    return study_id


def add_instances(
    connection: Connection, study_id: str, rows: Iterable[dict[str, Any]], assessment_id: str | None = None
) -> int:
    """Note instances that are not known yet; return how many those were."""
    known = set(connection.execute(select(instances.c.sop_uid).where(instances.c.study_id == study_id)).scalars())
    fresh: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["sop_uid"] not in known:
            columns = {name: value for name, value in row.items() if name in instances.c}
            fresh[row["sop_uid"]] = {**columns, "study_id": study_id, "assessment_id": assessment_id}
    if fresh:
        connection.execute(insert(instances), list(fresh.values()))
    return len(fresh)


def _count(connection: Connection, study_id: str) -> str:
    """Bring the counts of a study up to date; return a digest of which received images there are."""
    mine = instances.c.study_id == study_id
    total, size = connection.execute(select(func.count(), func.sum(instances.c.bytes)).where(mine)).one()
    kinds = sorted(set(connection.execute(select(instances.c.modality).where(mine)).scalars()))
    connection.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(instance_count=total, bytes=size or 0, modalities=" ".join(kinds)[:80])
    )
    images = connection.execute(
        select(instances.c.sop_uid, instances.c.sha256)
        .where(mine, instances.c.assessment_id.is_(None), instances.c.modality.not_in(DERIVED))
        .order_by(instances.c.sop_uid)
    ).all()
    return hashlib.sha256(repr([tuple(i) for i in images]).encode()).hexdigest() if images else ""


def words_of(text: str) -> set[str]:
    """Return the words by which a text is found: lower case, without accents of compatibility forms."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return {word[:80] for word in re.split(r"[\s^=,;/\\]+", plain) if word}


def index_terms(connection: Connection, study_id: str, columns: dict[str, Any]) -> None:
    """Note the words by which a study is found."""
    connection.execute(delete(terms).where(terms.c.study_id == study_id))
    words = set().union(*(words_of(str(columns.get(name, ""))) for name in _SEARCHED))
    if words:
        connection.execute(insert(terms), [{"study_id": study_id, "term": word} for word in sorted(words)])


def plain(text: str, most: int) -> str:
    """Return a text without control characters, cut to ``most`` characters."""
    normal = unicodedata.normalize("NFC", text)
    return "".join(c for c in normal if unicodedata.category(c)[0] != "C").strip()[:most]
