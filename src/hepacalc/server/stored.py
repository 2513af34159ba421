"""Stored assessments in memory: what pages and what-if questions need again and again."""

from __future__ import annotations

import gc
import json
import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from sqlalchemy import select

from hepacalc.consult import consult
from hepacalc.days import today
from hepacalc.errors import HepacalcError
from hepacalc.followup.records import StoredComparisons
from hepacalc.knowledge import Knowledge, load_knowledge
from hepacalc.patient.read import patient_from_data
from hepacalc.reason.network import network_of
from hepacalc.reason.reasoning import Reasoning
from hepacalc.reason.uncertainty import draw_bank
from hepacalc.records import Assessment
from hepacalc.report.stored import comparisons_from, read_document, reasoning_from, record_from
from hepacalc.server.access import assessment_of, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import reading
from hepacalc.server.follow_up import comparison_for
from hepacalc.server.tables import comparisons, studies
from hepacalc.server.work import Site

__all__ = ["compared_record_of", "knowledge_of", "read_json", "reasoning_of", "record_of", "warm"]

COLLECT = (10_000, 50, 100)
"""When garbage is collected, see :func:`gc.set_threshold`: what one answer makes is young garbage, without cycles."""
_LOG = logging.getLogger("hepacalc.server.stored")


def read_json(path: Path) -> Any:
    """Return what a JSON file of ours holds."""
    return json.loads(path.read_text("utf-8"))


def knowledge_of(request: Request) -> Knowledge:
    """Return the knowledge base of a deployment."""
    return _knowledge(site_of(request).settings.knowledge)


@lru_cache(maxsize=2)
def _knowledge(path: str) -> Knowledge:
    return load_knowledge(Path(path) if path else None)


def warm(site: Site) -> None:
    """Load the knowledge base and what reasoning derives from it once, so that nobody who asks waits for it.

    All of it stays as long as the process: the collector of garbage, which would look through it for 0.2 s at every
    sixteenth question or so, is told to leave it alone, and to look through everything that comes later seldom.
    """
    try:
        knowledge = _knowledge(site.settings.knowledge)
        consult(patient_from_data({"schema_version": "1.0"}, today=today()), knowledge, today=today())
    except HepacalcError as error:
        _LOG.warning("knowledge cannot be used", extra={"code": error.code})
        return
    for name in knowledge.networks:
        draw_bank(network_of(knowledge, name)).fill()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def record_of(request: Request, who: Identity, assessment_id: str) -> Assessment | None:
    """Return a stored assessment without voxels and masks; None for a study without a scan.

    Raises:
        NotThere: there is none that this user may see.
    """
    row, folder = assessment_of(request, who, assessment_id)
    return None if row["study_kind"] == "form" else _record(folder)


def reasoning_of(request: Request, who: Identity, assessment_id: str) -> Reasoning | None:
    """Return the reasoning of an assessment, with a scan or without.

    Raises:
        NotThere: there is none that this user may see.
    """
    row, folder = assessment_of(request, who, assessment_id)
    if row["study_kind"] == "form":
        return _explanation(folder)
    found: Any = _record(folder).reasoning
    return found if isinstance(found, Reasoning) else None


def compared_record_of(request: Request, who: Identity, assessment_id: str) -> Assessment | None:
    """Return :func:`record_of` with what became of its lesions since earlier exams, where that was compared.

    Raises:
        NotThere: there is none that this user may see.
    """
    found, site = record_of(request, who, assessment_id), site_of(request)
    with reading(site.engine) as connection:
        row = connection.execute(
            select(comparisons.c.folder, studies.c.folder.label("study"))
            .join(studies, studies.c.id == comparisons.c.study_id)
            .where(comparisons.c.id == comparison_for(connection, assessment_id))
        ).first()  # fmt: skip
    if found is None or row is None:
        return found
    return replace(found, followup=_comparisons(site.store.study(row.study) / row.folder / "comparison.json"))


@lru_cache(maxsize=64)
def _comparisons(path: Path) -> StoredComparisons:
    return comparisons_from(read_json(path))


@lru_cache(maxsize=64)
def _record(folder: Path) -> Assessment:
    return record_from(read_document(folder / "assessment.json"))


@lru_cache(maxsize=64)
def _explanation(folder: Path) -> Reasoning:
    return reasoning_from(read_json(folder / "explanation.json")["reasoning"])
