"""Signing in and out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from hepacalc.errors import NotThere
from hepacalc.server.access import (
    address_of,
    cookie_name,
    identity_of,
    note,
    optional_identity,
    require_csrf,
    site_of,
)
from hepacalc.server.accounts import begin_session, end_session, enter_by_link, sign_in
from hepacalc.server.faults import NotAllowed, NotSignedIn, TooMany
from hepacalc.server.web import LANGUAGE_COOKIE, render

__all__ = ["let_in", "router"]

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def sign_in_page(request: Request, to: Annotated[str, Query(max_length=300)] = "/") -> Response:
    """Ask for name and password."""
    if optional_identity(request) is not None:
        return RedirectResponse(_own_path(to), 303)
    return render(request, "sign_in.html.j2", to=_own_path(to), failed=False)


@router.post("/sign-in")
def signing_in(
    request: Request, name: Annotated[str, Form(max_length=80)], password: Annotated[str, Form(max_length=1000)],
    to: Annotated[str, Form(max_length=300)] = "/",
) -> Response:  # fmt: skip
    """Take name and password."""
    site = site_of(request)
    if site.settings.login == "token":
        raise NotThere("names and passwords are not used here.", hint="Open the link that the server printed.")
    _refuse_other_site(request)
    try:
        user_id = sign_in(site.engine, site.settings, name, password, address_of(request))
    except (NotSignedIn, TooMany) as error:
        note(request, "sign-in", outcome="refused")
        request.app.state.metrics.refused.labels(error.code).inc()
        return render(request, "sign_in.html.j2", error.status.http, to=_own_path(to), failed=True)
    return let_in(request, user_id, to)


@router.get("/enter")
def enter_page(request: Request, token: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Show the door of a one-time link; it is used up by pressing the button, not by a browser's preview."""
    return render(request, "enter.html.j2", token=token)


@router.post("/enter")
def enter(request: Request, token: Annotated[str, Form(max_length=100)]) -> Response:
    """Let in who has a one-time link."""
    site = site_of(request)
    _refuse_other_site(request)
    try:
        user_id = enter_by_link(site.engine, site.settings, token, address_of(request))
    except (NotSignedIn, TooMany):
        note(request, "enter", outcome="refused")
        raise
    return let_in(request, user_id, "/")


@router.post("/sign-out")
def sign_out(request: Request, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
    """End the session."""
    who = identity_of(request)
    require_csrf(request, who, csrf)
    end_session(site_of(request).engine, who.session)
    note(request, "sign-out")
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(site_of(request)), path="/")
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


@router.get("/language/{language}")
def choose_language(request: Request, language: str, to: Annotated[str, Query(max_length=300)] = "/") -> Response:
    """Remember the language of pages."""
    answer = RedirectResponse(_own_path(to), 303)
    if language in ("en", "zh"):
        answer.set_cookie(
            LANGUAGE_COOKIE, language, max_age=31536000, path="/", samesite="lax", httponly=True,
            secure=site_of(request).settings.is_https,
        )  # fmt: skip
    return answer


def let_in(request: Request, user_id: str, to: str) -> Response:
    """Begin a session and go on; an earlier one of this browser ends."""
    site = site_of(request)
    name = cookie_name(site)
    cookie = begin_session(site.engine, user_id, old=request.cookies.get(name, ""))
    answer = RedirectResponse(_own_path(to), 303)
    answer.set_cookie(
        name, cookie, max_age=int(site.settings.session_s), path="/", httponly=True, samesite="lax",
        secure=site.settings.is_https,
    )  # fmt: skip
    request.state.identity = None
    note(request, "sign-in", user_id)
    return answer


def _own_path(to: str) -> str:
    """Return a path of ours, whatever was asked for: never the address of another site."""
    parts = urlsplit(to)
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and not parts.netloc and "\\" not in to
    return to if safe and to.isprintable() else "/"


def _refuse_other_site(request: Request) -> None:
    """Refuse a form that another site sends, which would sign this browser in as somebody else."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        note(request, "csrf", outcome="refused")
        raise NotAllowed("the request comes from another site.", hint="Use the pages of this server.")
