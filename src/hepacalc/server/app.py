"""The web process: one ASGI application of REST, pages and what else speaks HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import resources
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from hepacalc.errors import HepacalcError, InvalidRequest, NotThere, ServerError
from hepacalc.server import (
    api_assessments,
    api_comparisons,
    api_differential,
    api_images,
    api_jobs,
    api_knowledge,
    api_people,
    api_registry,
    api_studies,
    cds_hooks,
    dicomweb,
    dicomweb_store,
    health,
    oidc,
    pages,
    pages_knowledge,
    pages_sign_in,
    pages_space,
)
from hepacalc.server.audit import Seen
from hepacalc.server.faults import NotAllowed, NotSignedIn
from hepacalc.server.media import CrossOrigin
from hepacalc.server.metrics import Metrics
from hepacalc.server.middleware import Guard, problem
from hepacalc.server.node_settings import read_node
from hepacalc.server.settings import Settings
from hepacalc.server.stored import warm
from hepacalc.server.web import error_page, redirect_to_sign_in
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site

__all__ = ["documented_app", "make_app", "run_web", "server_config"]

ROUTERS = (
    health.router,
    api_studies.router,
    api_jobs.router,
    api_assessments.router,
    api_images.router,
    api_comparisons.router,
    api_registry.router,
    api_differential.router,
    api_knowledge.router,
    api_people.router,
    dicomweb.router,
    dicomweb_store.router,
    cds_hooks.router,
    pages_sign_in.router,
    pages.router,
    pages_space.router,
    pages_knowledge.router,
    oidc.router,
)
"""Every router of the server; a new one is added here."""
LARGE = ("/api/uploads", "/dicomweb/studies")
"""Paths that take large bodies, and limit them themselves."""
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False,
                     "auto_configure": False}  # fmt: skip
"""FastAPI's own telemetry stays off, whatever the environment says: it would send messages of exceptions."""
TITLE = "hepacalc"
DESCRIPTION = (
    "Finds and measures calcification in the liver on CT. Decision support without clinical review; not a medical "
    "device, not a diagnosis. Send an API token as `Authorization: Bearer hc_...`."
)


def documented_app() -> FastAPI:
    """Return an application that answers nothing, for its OpenAPI document only."""
    app = FastAPI(title=TITLE, description=DESCRIPTION)
    _include(app)
    return app


def _include(app: FastAPI) -> None:
    for router in ROUTERS:
        app.include_router(router)


def make_app(site: Site) -> FastAPI:
    """Return the ASGI application of a deployment."""
    from hepacalc import __version__

    app = FastAPI(
        title=TITLE, version=__version__, description=DESCRIPTION, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None, telemetry=NO_TELEMETRY,
    )  # fmt: skip
    app.state.site = site
    app.state.seen = Seen()
    app.state.metrics = Metrics(site.engine, site.settings)
    _include(app)
    app.add_api_route("/static/{name}.css", _report_style, include_in_schema=False)
    static = resources.files("hepacalc.server") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    app.add_exception_handler(HepacalcError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(CrossOrigin, origins=read_node(site.settings).origins)
    app.add_middleware(Guard, settings=site.settings, metrics=app.state.metrics, large=LARGE)
    return app


def _report_style(name: str) -> Response:
    """Give out the style of the report, so that pages and reports look alike."""
    for package, folder in (("hepacalc.report", "templates"), ("hepacalc.server", "static")):
        found = resources.files(package) / folder / f"{name}.css"
        if name.isidentifier() and found.is_file():
            return Response(found.read_text("utf-8"), media_type="text/css", headers={"cache-control": "max-age=86400"})
    raise NotThere("there is no such style.", hint="Load the page again.")


def _on_error(request: Request, error: Any) -> Response:
    """Tell one of our errors: as a problem document to programs, as a page to people."""
    request.app.state.metrics.refused.labels(error.code).inc()
    headers = {"www-authenticate": "Bearer"} if isinstance(error, NotSignedIn) else {}
    if _wants_page(request):
        if isinstance(error, NotSignedIn) and request.method == "GET" and request.url.path != "/enter":
            return redirect_to_sign_in(request)
        return error_page(request, error)
    return JSONResponse(problem(error), error.status.http, headers, media_type="application/problem+json")


def _on_invalid(request: Request, error: Any) -> Response:
    """Name the fields that are wrong, never what they hold."""
    fields = sorted({".".join(str(part) for part in one["loc"][1:])[:80] for one in error.errors()})
    return _on_error(request, InvalidRequest(f"wrong: {', '.join(fields)[:300] or 'body'}.", hint="See the API."))


def _on_http(request: Request, error: Any) -> Response:
    """Tell an error of the framework as one of ours."""
    kinds: dict[int, HepacalcError] = {
        404: NotThere("there is nothing at this address.", hint="Begin at the worklist."),
        403: NotAllowed("this is not allowed.", hint="Ask an administrator."),
    }
    found = kinds.get(error.status_code)
    if found is None:
        told = ServerError("the request cannot be served.", hint="See the API's page.")
        body = {**problem(told), "status": error.status_code}
        return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")
    return _on_error(request, found)


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api/", "/dicomweb", "/cds-services")) and "text/html" in (
        request.headers.get("accept", "")
    )


def run_web(settings: Settings, _name: str, stopped: Callable[[], bool], descriptor: int) -> None:
    """Be the web process of the tree, see ``supervisor.py``."""
    site = open_site(settings)
    server = uvicorn.Server(server_config(make_app(site), settings, descriptor))
    threading.Thread(target=warm, args=(site,), daemon=True).start()
    threading.Thread(target=_end_when, args=(server, stopped), daemon=True).start()
    server.run()


def server_config(app: Any, settings: Settings, descriptor: int) -> uvicorn.Config:
    """Return how uvicorn is run."""
    return uvicorn.Config(
        app, fd=descriptor, http="h11", h11_max_incomplete_event_size=64 * 1024, log_config=None, access_log=False,
        server_header=False, date_header=True, timeout_keep_alive=20, timeout_graceful_shutdown=5,
        forwarded_allow_ips=list(settings.trusted_proxies) or "", proxy_headers=bool(settings.trusted_proxies),
    )  # fmt: skip


def _end_when(server: uvicorn.Server, stopped: Callable[[], bool]) -> None:
    import time

    while not stopped():
        time.sleep(0.2)
    server.should_exit = True
