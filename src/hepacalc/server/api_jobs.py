"""REST: jobs and their progress, also as server-sent events (HTML Living Standard 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from hepacalc.errors import NotThere
from hepacalc.server.access import need, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import reading
from hepacalc.server.tables import jobs, studies, uploads
from hepacalc.server.worklist import page_of, progress_of, waits_of

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["jobs"])
Reader = Annotated[Identity, Depends(need("read"))]
LOOK_S, LIST_S = 0.5, 2.0
"""How often a job, and the worklist of each reader, is looked at."""
LONGEST_S = 900.0
"""After so long a stream ends; the browser begins another one by itself."""
_SHOWN = ("id", "kind", "study_id", "upload_id", "state", "stage", "share", "tries", "error_code", "error", "hint",
          "result", "created", "started", "finished")  # fmt: skip


@router.get("/jobs/{job_id}")
def get_job(request: Request, who: Reader, job_id: str) -> dict[str, Any]:
    """How far a job is."""
    return _job(request, who, job_id)


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
def job_events(request: Request, who: Reader, job_id: str) -> StreamingResponse:
    """The same, sent whenever it changes, until the job ends."""
    _job(request, who, job_id)

    async def changes() -> AsyncIterator[str]:
        last = ""
        async for _ in _ticks(request):
            job = await run_in_threadpool(_job, request, who, job_id)
            told = json.dumps(job)
            if told != last:
                yield f"event: job\ndata: {told}\n\n"
                last = told
            if job["state"] in ("done", "failed"):
                return

    return _stream(changes())


@router.get("/events", response_class=StreamingResponse)
def worklist_events(request: Request, who: Reader) -> StreamingResponse:
    """Changes of the newest studies of the worklist: state, stage and share of each, without names."""

    def look() -> list[dict[str, Any]]:
        with reading(site_of(request).engine) as connection:
            rows, _ = page_of(connection, who, limit=50)
            ids = [row["id"] for row in rows]
            doing, waits = progress_of(connection, ids), waits_of(connection, ids)
        return [
            {**{name: row[name] for name in ("id", "state", "updated")}, "job": doing.get(row["id"]),
             "waits": waits.get(row["id"], [])}
            for row in rows
        ]  # fmt: skip

    async def changes() -> AsyncIterator[str]:
        last = ""
        async for _ in _ticks(request, LIST_S):
            told = json.dumps(await run_in_threadpool(look))
            if told != last:
                yield f"event: studies\ndata: {told}\n\n"
                last = told

    return _stream(changes())


async def _ticks(request: Request, every_s: float = LOOK_S) -> AsyncIterator[int]:
    for tick in range(int(LONGEST_S / every_s)):
        if await request.is_disconnected():
            return
        yield tick
        await asyncio.sleep(every_s)


def _stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _job(request: Request, who: Identity, job_id: str) -> dict[str, Any]:
    wanted = (
        select(jobs, studies.c.team.label("study_team"), uploads.c.team.label("upload_team"))
        .outerjoin(studies, studies.c.id == jobs.c.study_id)
        .outerjoin(uploads, uploads.c.id == jobs.c.upload_id)
    )
    with reading(site_of(request).engine) as connection:
        row = connection.execute(wanted.where(jobs.c.id == job_id)).mappings().first()
    if row is None or not (who.is_admin or who.team in (row["study_team"], row["upload_team"])):
        raise NotThere("there is no such job.", hint="Look at the worklist.")
    return {name: row[name] for name in _SHOWN}
