"""``/healthz`` and ``/metrics``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from hepacalc.errors import Unavailable
from hepacalc.server.access import address_of, optional_identity, site_of
from hepacalc.server.database import reading
from hepacalc.server.faults import NotAllowed

__all__ = ["router"]

router = APIRouter()
_HERE = frozenset({"127.0.0.1", "::1"})
LEAST_FREE = 256 * 2**20
"""Bytes; below this the server says that it is not well."""


@router.get("/healthz", tags=["health"])
def healthz(request: Request) -> Response:
    """Tell whether database and disk can be used."""
    site = site_of(request)
    checks = {"database": "ok", "disk": "ok"}
    try:
        with reading(site.engine) as connection:
            connection.execute(text("SELECT 1"))
    except Unavailable:
        checks["database"] = "unavailable"
    if site.store.free_bytes() < LEAST_FREE:
        checks["disk"] = "full"
    well = set(checks.values()) == {"ok"}
    return JSONResponse({"status": "ok" if well else "unavailable", **checks}, 200 if well else 503)


@router.get("/metrics", tags=["health"])
def metrics(request: Request) -> Response:
    """Prometheus metrics: to this machine, or to whoever has a token of an administrator."""
    who = optional_identity(request)
    came_by_proxy = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    is_here = address_of(request) in _HERE and not came_by_proxy
    if not is_here and not (who and who.may("admin")):
        raise NotAllowed("metrics are told to this machine only.", hint="Use a token of an administrator.")
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4")
