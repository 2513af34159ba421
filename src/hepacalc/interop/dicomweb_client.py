"""Speaking DICOMweb as a client: STOW-RS, QIDO-RS, WADO-RS (PS3.18). Needs the extra ``server``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from hepacalc.errors import InvalidRequest, NotThere, PeerRefused, Unavailable
from hepacalc.interop.multipart import Part, RelatedReader, boundary_of, new_boundary, related

__all__ = ["ASK", "Partner", "query", "receive_parts", "store_files"]

ASK = "Ask who runs the archive whether its token and this server are known there."
"""What to do when a partner refuses, or sends what was not asked for."""
_WAIT = "It is tried again by itself; look at the network and at the archive."
_CHUNK = 2**20
_MOST_JSON = 16 * 2**20
_DICOM_JSON = "application/dicom+json"


class Partner(Protocol):
    """A DICOMweb server that is spoken with: an archive of the server, or where a cohort lies."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def url(self) -> str:
        """Root below which ``/studies`` lies."""
        ...

    def authorization(self) -> str:
        """Return the header Authorization, or nothing.

        Raises:
            Unavailable: it cannot be read.
        """
        ...


@contextmanager
def _client(archive: Partner, timeout_s: float) -> Iterator[httpx.Client]:
    """Give a client that goes to this archive only: no redirects, no proxy of the environment.

    Raises:
        Unavailable: the archive cannot be reached, or fails.
    """
    told = archive.authorization()
    headers = {"Authorization": told} if told else {}
    try:
        with httpx.Client(timeout=timeout_s, headers=headers, follow_redirects=False, trust_env=False) as client:
            yield client
    except httpx.HTTPError as fault:
        raise Unavailable(f"{archive.name} cannot be reached ({type(fault).__name__}).", hint=_WAIT) from fault


def _check(archive: Partner, status: int) -> None:
    if status >= 500 or status in (408, 425, 429):
        raise Unavailable(f"{archive.name} answers with status {status}.", hint=_WAIT)
    if status not in (200, 202, 204):
        raise PeerRefused(f"{archive.name} refuses with status {status}.", hint=ASK)


def store_files(archive: Partner, paths: Sequence[Path], *, timeout_s: float) -> int:
    """Send DICOM files by STOW-RS; return how many were taken.

    Args:
        archive: where to.
        paths: of files of our own.
        timeout_s: how long one step may take.

    Raises:
        Unavailable: the archive cannot be reached, or fails.
        PeerRefused: it refuses the request or one of the objects.
    """
    boundary = new_boundary()
    parts = [("Content-Type: application/dicom", _content(path)) for path in paths]
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
               "Accept": _DICOM_JSON}  # fmt: skip
    with _client(archive, timeout_s) as client:
        answer = client.post(f"{archive.url}/studies", content=related(parts, boundary), headers=headers)
    if answer.status_code == 409:
        raise PeerRefused(f"{archive.name} took none of the objects.", hint=ASK)
    _check(archive, answer.status_code)
    failed = _told(answer.content).get("00081198", {}).get("Value", []) if answer.content else []
    if failed:
        raise PeerRefused(f"{archive.name} refused {len(failed)} of {len(paths)} objects.", hint=ASK)
    return len(paths)


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _told(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def query(archive: Partner, path: str, wanted: Mapping[str, str], *, timeout_s: float) -> list[dict[str, Any]]:
    """Return the answer to a QIDO-RS query, as DICOM JSON.

    Args:
        archive: who is asked.
        path: below its root, such as ``/studies``.
        wanted: attributes to match or to include, ``limit`` and ``offset``.
        timeout_s: how long one step may take.

    Raises:
        Unavailable: the archive cannot be reached or fails.
        NotThere: it does not know the path.
        PeerRefused: it refuses the request, or answers something else.
    """
    with _client(archive, timeout_s) as client, client.stream(
        "GET", f"{archive.url}{path}", params=dict(wanted), headers={"Accept": _DICOM_JSON}
    ) as answer:  # fmt: skip
        _check_found(archive, answer.status_code)
        body = b""
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > _MOST_JSON:
                raise PeerRefused(f"{archive.name} answers a query with too much.", hint=ASK)
    if not body:
        return []
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise PeerRefused(f"{archive.name} does not answer with DICOM JSON.", hint=ASK) from fault
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _check_found(archive: Partner, status: int) -> None:
    if status in (404, 410):
        raise NotThere(f"{archive.name} does not hold what was asked for.", hint="Look at its address and the UID.")
    _check(archive, status)


def receive_parts(archive: Partner, path: str, begin: Callable[[], Part], *, timeout_s: float) -> None:
    """Fetch DICOM files by WADO-RS, each as it is stored.

    Args:
        archive: where from.
        path: below its root, such as ``/studies/1.2.3``.
        begin: called for each file; gives where it is written.
        timeout_s: how long one step may take.

    Raises:
        Unavailable: the archive cannot be reached or the answer ends early.
        NotThere: it does not hold them.
        PeerRefused: it refuses, or sends something else.
    """
    wanted = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    with _client(archive, timeout_s) as client, client.stream(
        "GET", f"{archive.url}{path}", headers={"Accept": wanted}
    ) as answer:  # fmt: skip
        _check_found(archive, answer.status_code)
        try:
            reader = RelatedReader(boundary_of(answer.headers.get("content-type", ""), "application/dicom"), begin)
            try:
                for chunk in answer.iter_bytes(_CHUNK):
                    reader.write(chunk)
                reader.close()
            finally:
                reader.abandon()
        except InvalidRequest as fault:
            raise Unavailable(f"{archive.name} does not send a whole study.", hint=_WAIT) from fault
