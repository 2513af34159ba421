"""DICOMweb (PS3.18) over what is held: QIDO-RS, WADO-RS, STOW-RS. What is supported: docs/reference/dicomweb.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from hepacalc.errors import InvalidRequest, NotThere
from hepacalc.interop.multipart import new_boundary, related
from hepacalc.server import dicom_reading as reading_files
from hepacalc.server.access import need, note, note_look, own, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.database import reading
from hepacalc.server.dicom_reading import NATIVE, Readers
from hepacalc.server.media import EXPLICIT, Media, accepted, media_of, wants_stored
from hepacalc.server.query import MATCHED, Held, Level, find, held_instances

__all__ = ["DICOM", "JSON", "UID", "base_of", "readers_of", "router"]

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"])
Reader = Annotated[Identity, Depends(need("read", scope="dicomweb"))]

JSON = "application/dicom+json"
DICOM = "application/dicom"
OCTETS = "application/octet-stream"
MOST_MATCHES, USUAL_MATCHES = 5000, 500
MOST_FRAMES, MOST_PARTS = 500, 5000
_CHUNK = 2**20
_METADATA_STEP = 40
UID = re.compile(r"[0-9.]{1,64}")


def readers_of(request: Request) -> Readers:
    """Return the processes that read files for this application."""
    found: Readers | None = getattr(request.app.state, "readers", None)
    if found is None:
        found = request.app.state.readers = Readers(site_of(request).settings.limits.job_bytes)
    return found


# ---------------------------------------------------------------- QIDO-RS


@router.get("/studies")
def search_studies(request: Request, who: Reader) -> Response:
    """Search for studies (PS3.18 10.6)."""
    return _search(request, who, "STUDY")


@router.get("/series")
def search_all_series(request: Request, who: Reader) -> Response:
    """Search for series of all studies."""
    return _search(request, who, "SERIES")


@router.get("/instances")
def search_all_instances(request: Request, who: Reader) -> Response:
    """Search for instances of all studies."""
    return _search(request, who, "IMAGE")


@router.get("/studies/{study}/series")
def search_series(request: Request, who: Reader, study: str) -> Response:
    """Search for series of a study."""
    return _search(request, who, "SERIES", StudyInstanceUID=study)


@router.get("/studies/{study}/instances")
def search_instances(request: Request, who: Reader, study: str) -> Response:
    """Search for instances of a study."""
    return _search(request, who, "IMAGE", StudyInstanceUID=study)


@router.get("/studies/{study}/series/{series}/instances")
def search_series_instances(request: Request, who: Reader, study: str, series: str) -> Response:
    """Search for instances of a series."""
    return _search(request, who, "IMAGE", StudyInstanceUID=study, SeriesInstanceUID=series)


def _search(request: Request, who: Identity, level: Level, **fixed: str) -> Response:
    if not any(m.type in (JSON, "application/json", "*/*", "application/*") for m in accepted(request)):
        raise HTTPException(406)
    wanted, warnings = {}, []
    numbers = {"limit": USUAL_MATCHES, "offset": 0}
    for name, value in request.query_params.multi_items():
        keyword = keyword_for_tag(name) if re.fullmatch(r"[0-9A-Fa-f]{8}", name) else name
        if name in numbers:
            if not re.fullmatch(r"\d{1,9}", value):
                raise InvalidRequest(f"{name} is no number.", hint="Leave it out.")
            numbers[name] = int(value)
        elif name in ("includefield", "accept"):
            continue
        elif keyword in MATCHED[level]:
            wanted[keyword] = value[:4000]
        else:
            warnings.append("fuzzymatching" if name == "fuzzymatching" else "an attribute is not matched")
    for name, value in fixed.items():
        if not UID.fullmatch(value):
            raise InvalidRequest(f"{name} is no UID.", hint="Digits and dots only.")
        wanted[name] = value
    limit = min(numbers["limit"] or USUAL_MATCHES, MOST_MATCHES)
    with reading(site_of(request).engine) as connection:
        rows = find(connection, level, wanted, own(who), limit=limit, offset=numbers["offset"])
    note(request, "dicomweb.search")
    base = base_of(request)
    headers = {"warning": f'299 hepacalc "{"; ".join(sorted(set(warnings)))}"'} if warnings else {}
    return JSONResponse([_as_json(row, level, base) for row in rows], headers=headers, media_type=JSON)


def base_of(request: Request) -> str:
    """Return the address of DICOMweb, as clients reach it."""
    return (site_of(request).settings.public_url or str(request.base_url)).rstrip("/") + "/dicomweb"


def _as_json(row: dict[str, Any], level: Level, base: str) -> dict[str, Any]:
    """Return one match in the DICOM JSON model."""
    url = f"{base}/studies/{row['StudyInstanceUID']}"
    if level != "STUDY":
        url += f"/series/{row['SeriesInstanceUID']}"
    if level == "IMAGE":
        url += f"/instances/{row['SOPInstanceUID']}"
    out: dict[str, Any] = {}
    for keyword, value in {**row, "RetrieveURL": url, "InstanceAvailability": "ONLINE"}.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        vr = dictionary_VR(tag)
        values = value if isinstance(value, list) else [value] if value not in ("", None) else []
        if vr == "PN":
            names = ("Alphabetic", "Ideographic", "Phonetic")
            values = [{n: part for n, part in zip(names, str(v).split("="), strict=False) if part} for v in values]
        out[f"{tag:08X}"] = {"vr": vr, **({"Value": values} if values else {})}
    return dict(sorted(out.items()))


# ---------------------------------------------------------------- WADO-RS


def _held(request: Request, who: Identity, study: str, series: str = "", instance: str = "") -> list[Held]:
    """Return what an address names.

    Raises:
        NotThere: nothing, or nothing that this user may see.
    """
    found: list[Held] = []
    if all(UID.fullmatch(uid) for uid in (study, series, instance) if uid):
        with reading(site_of(request).engine) as connection:
            found = held_instances(
                connection, own(who), study=study, series=series, instance=instance, only_current=not instance
            )
    if not found:
        raise NotThere("there is no such object.", hint="Search for it.")
    note_look(request, "dicomweb.view", found[0].study_id)
    return found


def _path(request: Request, one: Held) -> Path:
    return site_of(request).store.study(one.folder) / one.path


def _url(request: Request, one: Held) -> str:
    return f"{base_of(request)}/studies/{one.study_uid}/series/{one.series_uid}/instances/{one.sop_uid}"


@router.get("/studies/{study}")
def get_study(request: Request, who: Reader, study: str) -> Response:
    """Retrieve a study (PS3.18 10.4)."""
    return _objects(request, _held(request, who, study))


@router.get("/studies/{study}/series/{series}")
def get_series(request: Request, who: Reader, study: str, series: str) -> Response:
    """Retrieve a series."""
    return _objects(request, _held(request, who, study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}")
def get_instance(request: Request, who: Reader, study: str, series: str, instance: str) -> Response:
    """Retrieve an instance."""
    return _objects(request, _held(request, who, study, series, instance))


def _objects(request: Request, found: list[Held]) -> Response:
    """Return files: as they are stored where that is wanted or the default, else decompressed."""
    media = media_of(request, DICOM)
    if media is None or (media.single and len(found) > 1):
        raise HTTPException(406)
    if media.syntax not in ("", "*", EXPLICIT) and any(one.transfer_syntax != media.syntax for one in found):
        raise HTTPException(406)
    readers = readers_of(request)

    def content(one: Held) -> Iterator[bytes]:
        if wants_stored(media, one.transfer_syntax):
            yield from _pieces(_path(request, one))
        else:
            yield readers.call(reading_files.explicit_of, str(_path(request, one)))

    if media.single:
        return StreamingResponse(content(found[0]), media_type=DICOM)
    boundary = new_boundary()
    parts = ((f"Content-Type: {DICOM}\r\nContent-Location: {_url(request, one)}", content(one)) for one in found)
    return _multipart(parts, boundary, DICOM)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _multipart(parts: Iterable[tuple[str, Iterable[bytes]]], boundary: str, kind: str) -> Response:
    told = f'multipart/related; type="{kind}"; boundary={boundary}'
    return StreamingResponse(related(parts, boundary), headers={"content-type": told})


@router.get("/studies/{study}/metadata")
def get_study_metadata(request: Request, who: Reader, study: str) -> Response:
    """Retrieve the attributes of all instances of a study, without their pixels."""
    return _metadata(request, _held(request, who, study))


@router.get("/studies/{study}/series/{series}/metadata")
def get_series_metadata(request: Request, who: Reader, study: str, series: str) -> Response:
    """Retrieve the attributes of all instances of a series."""
    return _metadata(request, _held(request, who, study, series))


@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
def get_instance_metadata(request: Request, who: Reader, study: str, series: str, instance: str) -> Response:
    """Retrieve the attributes of an instance."""
    return _metadata(request, _held(request, who, study, series, instance))


def _metadata(request: Request, found: list[Held]) -> Response:
    readers = readers_of(request)
    named = [(str(_path(request, one)), _url(request, one)) for one in found]
    # the first piece is read before the answer begins: a file that cannot be read is told with a status
    first = readers.call(reading_files.metadata_of, named[:_METADATA_STEP])

    def content() -> Iterator[str]:
        yield "[" + first
        for start in range(_METADATA_STEP, len(named), _METADATA_STEP):
            yield "," + readers.call(reading_files.metadata_of, named[start : start + _METADATA_STEP])
        yield "]"

    return StreamingResponse(content(), media_type=JSON)


@router.get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{number}")
def get_bulk(request: Request, who: Reader, study: str, series: str, instance: str, number: str) -> Response:
    """Retrieve one large value that metadata points to."""
    (one, *_) = _held(request, who, study, series, instance)
    media = media_of(request, OCTETS)
    if media is None:
        raise HTTPException(406)
    data = readers_of(request).call(reading_files.bulk_of, str(_path(request, one)), number)
    if media.single:
        return Response(data, media_type=OCTETS)
    return _multipart([(f"Content-Type: {OCTETS}", [data])], new_boundary(), OCTETS)


@router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}")
def get_frames(request: Request, who: Reader, study: str, series: str, instance: str, frames: str) -> Response:
    """Retrieve frames: as plain pixels, or compressed as they are stored when the client takes that."""
    (one, *_) = _held(request, who, study, series, instance)
    numbers = _frame_numbers(frames)
    media, kind, as_stored = _frame_media(request, one)
    path = str(_path(request, one))
    data = readers_of(request).call(reading_files.frames_of, path, numbers, as_stored)
    if media.single:
        if len(data) > 1:
            raise HTTPException(406)
        return Response(data[0], media_type=kind)
    syntax = one.transfer_syntax if as_stored else "1.2.840.10008.1.2.1"
    where = _url(request, one)
    parts = [
        (f"Content-Type: {kind}; transfer-syntax={syntax}\r\nContent-Location: {where}/frames/{n}", [frame])
        for n, frame in zip(numbers, data, strict=True)
    ]
    return _multipart(parts, new_boundary(), kind)


def _frame_numbers(frames: str) -> list[int]:
    if not re.fullmatch(r"\d{1,6}(,\d{1,6})*", frames) or frames.count(",") >= MOST_FRAMES:
        raise InvalidRequest("wanted numbers of frames, divided by commas.", hint=f"At most {MOST_FRAMES} at once.")
    return [int(number) for number in frames.split(",")]


_COMPRESSED = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys(("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
                     "1.2.840.10008.1.2.4.70"), "image/jpeg"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), "image/jls"),
    **dict.fromkeys(("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"), "image/jp2"),
}  # fmt: skip


def _frame_media(request: Request, one: Held) -> tuple[Media, str, bool]:
    """Return what a client takes of an instance's frames, its media type, and whether they go out as stored."""
    own_kind = _COMPRESSED.get(one.transfer_syntax)
    plain = media_of(request, OCTETS)
    if own_kind is not None:
        for media in accepted(request):
            # some viewers ask for octets and name any syntax: that is the compressed frame as well
            fits = media.inner == own_kind or (media.inner in (OCTETS, "*/*", "") and media.syntax == "*")
            if fits and media.syntax in ("", "*", one.transfer_syntax):
                return media, own_kind, True
    if plain is None or (plain.syntax not in ("", "*", *NATIVE)):
        raise HTTPException(406)
    return plain, OCTETS, False


@router.get("/studies/{study}/series/{series}/instances/{instance}/rendered")
def get_rendered(request: Request, who: Reader, study: str, series: str, instance: str) -> Response:
    """Retrieve a picture of an instance's first frame."""
    return _picture(request, who, (study, series, instance), 1, 0)


@router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered")
def get_rendered_frame(
    request: Request, who: Reader, study: str, series: str, instance: str, frame: str
) -> Response:  # fmt: skip
    """Retrieve a picture of one frame."""
    return _picture(request, who, (study, series, instance), _frame_numbers(frame)[0], 0)


@router.get("/studies/{study}/series/{series}/instances/{instance}/thumbnail")
def get_thumbnail(request: Request, who: Reader, study: str, series: str, instance: str) -> Response:
    """Retrieve a small picture of an instance."""
    return _picture(request, who, (study, series, instance), 1, 160)


def _picture(request: Request, who: Identity, uids: tuple[str, str, str], frame: int, size: int) -> Response:
    (one, *_) = _held(request, who, *uids)
    taken = [m.type for m in accepted(request)]
    kind = next((k for k in ("image/jpeg", "image/png") if k in taken), None)
    if kind is None and not {"*/*", "image/*"} & set(taken):
        raise HTTPException(406)
    kind = kind or "image/jpeg"
    window = None
    if asked := request.query_params.get("window"):
        numbers = re.fullmatch(r"(-?\d{1,6}(?:\.\d{1,3})?),(\d{1,6}(?:\.\d{1,3})?)(?:,linear)?", asked.lower())
        if numbers is None:
            raise InvalidRequest("window is centre,width[,linear].", hint="Leave it out.")
        window = (float(numbers[1]), float(numbers[2]))
    told = (str(_path(request, one)), frame, window, size, "PNG" if kind == "image/png" else "JPEG")
    return Response(readers_of(request).call(reading_files.rendered_of, *told), media_type=kind)
