"""What a DICOMweb client takes (PS3.18 8.7), and whose pages may ask (CORS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["EXPLICIT", "CrossOrigin", "Media", "accepted", "media_of", "wants_stored"]

EXPLICIT = "1.2.840.10008.1.2.1"
_MOST = 16


@dataclass(frozen=True, slots=True)
class Media:
    """One media range of ``Accept``.

    Args:
        type: e.g. ``multipart/related``.
        inner: type of the parts, or of the only one.
        syntax: transfer syntax that is wanted; empty when none is said.
        single: whether one part comes without an envelope.
    """

    type: str
    inner: str
    syntax: str
    single: bool


def accepted(request: Request) -> list[Media]:
    """Return what a client takes, best first; anything when it says nothing."""
    header = request.query_params.get("accept") or request.headers.get("accept") or "*/*"
    found: list[tuple[float, Media]] = []
    for one in _ranges(header)[:_MOST]:
        kind, options = parse_options_header(one.strip())
        name = kind.decode("latin-1").lower()
        inner = options.get(b"type", b"*/*" if name.startswith(("multipart/", "*")) else kind).decode("latin-1").lower()
        syntax = options.get(b"transfer-syntax", b"").decode("latin-1")
        try:
            quality = float(options.get(b"q", b"1"))
        except ValueError:
            quality = 0.0
        if quality > 0:
            found.append((-quality, Media(name, inner, syntax, not name.startswith(("multipart/", "*")))))
    return [media for _, media in sorted(found, key=lambda pair: pair[0])]


def _ranges(header: str) -> list[str]:
    """Return the ranges of a header, divided at commas outside of quotes."""
    out, quoted = [""], False
    for char in header[:4000]:
        if char == '"':
            quoted = not quoted
        if char == "," and not quoted:
            out.append("")
        else:
            out[-1] += char
    return [one for one in out if one.strip()]


def media_of(request: Request, wanted: str) -> Media | None:
    """Return how a client takes a type, in an envelope or alone; None when it does not."""
    for media in accepted(request):
        if media.type in ("multipart/related", "multipart/*", "*/*") and media.inner in (wanted, "*/*"):
            return Media("multipart/related", wanted, media.syntax, False)
        if media.single and media.type == wanted:
            return media
    return None


def wants_stored(media: Media, stored: str) -> bool:
    """Whether a file goes out as it is: nothing else is wanted, or it is already what is the default."""
    return media.syntax in ("*", stored) or (media.syntax in ("", EXPLICIT) and stored == EXPLICIT)


class CrossOrigin:
    """ASGI middleware: pages of the site's listed origins may read DICOMweb and CDS Hooks, nobody else's.

    Args:
        app: what is inside.
        origins: e.g. ``https://viewer.example``; none by default.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._cors: Any = CORSMiddleware(
            app, allow_origins=list(origins), allow_methods=["GET", "POST"],
            allow_headers=["authorization", "accept", "content-type"], expose_headers=["warning"], max_age=600,
        )  # fmt: skip
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_ours = scope["type"] == "http" and scope["path"].startswith(("/dicomweb", "/cds-services"))
        if not (is_ours and self._origins):
            await self._app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cross-origin-resource-policy", b"cross-origin")]
            await send(message)

        await self._cors(scope, receive, sending)
