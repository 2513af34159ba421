"""STOW-RS (PS3.18 10.5): objects that a DICOMweb client stores go the way of every upload."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hepacalc.errors import HepacalcError, InvalidRequest
from hepacalc.interop.multipart import RelatedReader, boundary_of
from hepacalc.server import dicom_reading as reading_files
from hepacalc.server.access import need, note, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.dicomweb import DICOM, JSON, UID, base_of, readers_of
from hepacalc.server.receive import Upload, receive

__all__ = ["router"]

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])
Sender = Annotated[Identity, Depends(need("assess", scope="dicomweb"))]


@router.post("/studies")
async def store(request: Request, who: Sender) -> Response:
    """Store instances (PS3.18 10.5): answered when they are on disk and in the job table."""
    return await _store(request, who, "")


@router.post("/studies/{study}")
async def store_in_study(request: Request, who: Sender, study: str) -> Response:
    """Store instances of one study."""
    if not UID.fullmatch(study):
        raise InvalidRequest("the study is no UID.", hint="Digits and dots only.")
    return await _store(request, who, study)


async def _store(request: Request, who: Identity, study: str) -> Response:
    try:
        boundary = boundary_of(request.headers.get("content-type", ""), DICOM)
    except InvalidRequest:
        raise HTTPException(415) from None
    site, base = site_of(request), base_of(request)
    stored: list[dict[str, str]] = []
    failed: list[dict[str, str]] = []
    try:
        with receive(site.engine, site.settings, source="stow", user_id=who.user_id, team=who.team) as upload:
            reader = RelatedReader(boundary, upload.begin)
            try:
                async for chunk in request.stream():
                    if chunk:
                        await run_in_threadpool(reader.write, chunk)
                reader.close()
            finally:
                reader.abandon()
            await run_in_threadpool(_look, request, upload, study, stored, failed)
            if not stored:
                raise _NothingStored
    except _NothingStored:
        return JSONResponse(_answer(base, stored, failed), 409, media_type=JSON)
    request.app.state.metrics.received.labels("stow").inc(upload.bytes)
    await run_in_threadpool(note, request, "dicomweb.store", upload.id)
    return JSONResponse(_answer(base, stored, failed), 202 if failed else 200, media_type=JSON)


class _NothingStored(Exception):
    """None of the parts can be filed."""


def _look(
    request: Request, upload: Upload, study: str, stored: list[dict[str, str]], failed: list[dict[str, str]]
) -> None:
    """Sort what was received; what cannot be filed is removed."""
    readers = readers_of(request)
    for path in sorted(p for p in upload.folder.iterdir() if not p.name.startswith(".")):
        try:
            found = readers.call(reading_files.identity_of, str(path))
        except HepacalcError:
            found, reason = {}, "49152"  # C000: cannot understand
        else:
            whole = all(UID.fullmatch(uid) for uid in found.values())
            reason = "" if whole and study in ("", found["StudyInstanceUID"]) else "43264"  # A900: does not match
        if reason:
            path.unlink()
            failed.append({**found, "reason": reason})
        else:
            stored.append(found)


def _answer(base: str, stored: list[dict[str, str]], failed: list[dict[str, str]]) -> dict[str, Any]:
    """Return the Store Instances Response Module (PS3.18 I)."""
    out: dict[str, Any] = {}
    uids = sorted({one["StudyInstanceUID"] for one in stored})
    if len(uids) == 1:
        out["00081190"] = {"vr": "UR", "Value": [f"{base}/studies/{uids[0]}"]}
    if failed:
        out["00081198"] = {"vr": "SQ", "Value": [
            {**_reference(one), "00081197": {"vr": "US", "Value": [int(one["reason"])]}} for one in failed
        ]}  # fmt: skip
    if stored:
        out["00081199"] = {"vr": "SQ", "Value": [
            {**_reference(one),
             "00081190": {"vr": "UR", "Value": [f"{base}/studies/{one['StudyInstanceUID']}"]}} for one in stored
        ]}  # fmt: skip
    return out


def _reference(one: dict[str, str]) -> dict[str, Any]:
    named = (("00081150", one.get("SOPClassUID", "")), ("00081155", one.get("SOPInstanceUID", "")))
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in named if UID.fullmatch(uid)}
