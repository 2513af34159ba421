"""What every answer carries and every request must keep to: headers, limits, an id, a log line, a count."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hepacalc.errors import HepacalcError, InvalidRequest, TooLarge
from hepacalc.server.database import new_id
from hepacalc.server.metrics import Metrics
from hepacalc.server.settings import Settings
from hepacalc.server.telemetry import begin

__all__ = ["DOCUMENT_POLICY", "PAGE_POLICY", "Guard", "problem"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of our pages: nothing inline, nothing from elsewhere."""
DOCUMENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; frame-ancestors 'self'"
)
"""Of reports, which carry their own style and pictures: no script can run in them."""
MOST_HEADER_BYTES = 16 * 1024
_LOG = logging.getLogger("hepacalc.server.request")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "x-frame-options": "SAMEORIGIN",
}


def problem(error: HepacalcError) -> dict[str, Any]:
    """Return an error as RFC 9457 wants it told."""
    return {"title": type(error).__name__, "status": error.status.http, "code": error.code, "detail": error.message,
            "hint": error.hint}  # fmt: skip


class Guard:
    """ASGI middleware around everything.

    Args:
        app: what is inside.
        settings: limits, and under which names this server is reached.
        metrics: counters.
        large: paths whose bodies may be larger than ``limits.request_bytes``; they limit themselves.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, large: Iterable[str] = ()) -> None:
        self._app, self._settings, self._metrics, self._large = app, settings, metrics, tuple(large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = new_id()[:16], time.perf_counter(), [500]
        over, span = threading.Event(), begin("request", serves=True)
        scope.setdefault("state", {})["request_id"] = request_id

        async def answering(message: Message) -> None:
            if over.is_set():
                # whoever was reading the body may have made another error of it
                if message["type"] == "http.response.start":
                    await _answer(sending, TooLarge("the request is too large.", hint="Send less at once."))
                return
            await sending(message)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", PAGE_POLICY)
                headers.setdefault("cache-control", "no-store")
                headers["x-request-id"] = request_id
                if self._settings.is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is not None:
                await _answer(sending, refused)
            else:
                with span.current():
                    await self._app(scope, self._counted(scope, receive, over), answering)
        finally:
            self._tell(scope, status[0], time.perf_counter() - began, request_id)
            route, method = _route(scope), scope["method"][:8]
            span.tell(
                f"{method} {route}", http__request__method=method, http__route=route,
                http__response__status_code=status[0], hepacalc__request_id=request_id,
            )  # fmt: skip
            span.end(failed=status[0] >= 500)

    def _refusal(self, scope: Scope) -> HepacalcError | None:
        headers = scope["headers"]
        if sum(len(k) + len(v) for k, v in headers) > MOST_HEADER_BYTES:
            return TooLarge("the headers of the request are too large.", hint="Send less.")
        given = dict(headers)
        host = urlsplit("//" + given.get(b"host", b"").decode("latin-1")).hostname or ""
        if not self._is_known(host):
            # another name that leads here is how DNS rebinding gets past the browser
            return InvalidRequest("this server has another name.", hint="Use the address that it printed.")
        length = given.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._most(scope):
            return TooLarge("the request is too large.", hint="Send less at once.")
        return None

    def _is_known(self, host: str) -> bool:
        settings = self._settings
        if settings.public_url and host == urlsplit(settings.public_url).hostname:
            return True
        if host in ("127.0.0.1", "localhost", "::1"):
            return True
        return not settings.is_local and not settings.public_url

    def _most(self, scope: Scope) -> int:
        limits = self._settings.limits
        return limits.upload_bytes * 2 if scope["path"].startswith(self._large) else limits.request_bytes

    def _counted(self, scope: Scope, receive: Receive, over: threading.Event) -> Receive:
        most, seen = self._most(scope), [0]

        async def receiving() -> Message:
            message = await receive()
            seen[0] += len(message.get("body", b""))
            if seen[0] > most:
                over.set()
                raise TooLarge("the request is too large.", hint="Send less at once.")
            return message

        return receiving

    def _tell(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = _route(scope)
        self._metrics.requests.labels(scope["method"][:8], route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if route not in ("/healthz", "/metrics") and not route.startswith("/static"):
            who = scope["state"].get("identity")
            told = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1),
                    "request_id": request_id, "user_id": who.user_id if who else ""}  # fmt: skip
            _LOG.info("request", extra=told)


def _route(scope: Scope) -> str:
    """Return the route of a request, never its address."""
    return getattr(scope.get("route"), "path", "") or "none"


async def _answer(send: Send, error: HepacalcError) -> None:
    body = json.dumps(problem(error)).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status.http, "headers": headers})
    await send({"type": "http.response.body", "body": body})
