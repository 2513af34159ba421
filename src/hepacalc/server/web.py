"""Pages: Jinja2 templates of ours beside those of the report, in the language that the reader wants."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.loaders import ChoiceLoader
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hepacalc.errors import HepacalcError
from hepacalc.report.html import HTML_LANG, page_environment
from hepacalc.report.language import WHOLE, speaking
from hepacalc.report.localise import localised
from hepacalc.report.reason_views import reason_view
from hepacalc.report.reason_words import said, urgency_text
from hepacalc.server.access import optional_identity, site_of
from hepacalc.server.phrases import say
from hepacalc.server.views import day, mass, moment, person
from hepacalc.server.worklist import words_of_wait

__all__ = ["error_page", "language_of", "redirect_to_sign_in", "render"]

LANGUAGE_COOKIE = "hepacalc-language"


def language_of(request: Request) -> str:
    """Return the language of pages: what the reader chose, else what the browser wants, else the site's."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in WHOLE:
        return chosen
    wanted = request.headers.get("accept-language", "")
    first = wanted.split(",")[0].split("-")[0].split(";")[0].strip().lower()
    return first if first in WHOLE else site_of(request).settings.language


def render(request: Request, template: str, status: int = 200, *, language: str = "", **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: that is answered.
        template: in ``server/templates``.
        status: HTTP status.
        language: the reader's when empty.
        values: for the template; ``reasoning`` is put into the reader's language and turned into views.
    """
    language = language or language_of(request)
    with speaking(language):
        if values.get("reasoning") is not None:
            told = localised(values["reasoning"])
            values |= {"reasoning": told, "reason": reason_view(told, values.get("day", ""))}
        page = environment().get_template(template).render(
            who=optional_identity(request), lang=HTML_LANG[language], language=language,
            login=site_of(request).settings.login, path=request.url.path, **values,
        )  # fmt: skip
    return HTMLResponse(page, status)


def error_page(request: Request, error: HepacalcError) -> Response:
    """Return an error as a page."""
    return render(request, "error.html.j2", error.status.http, error=error)


def redirect_to_sign_in(request: Request) -> Response:
    """Return the way to the sign-in page, and back to a page of ours."""
    return RedirectResponse(f"/sign-in?to={quote(request.url.path)}", 303)


@cache
def environment() -> Environment:
    """Return the templates with what they may call: those of the report, and our own."""
    report = page_environment()
    found = Environment(
        loader=ChoiceLoader(
            [PackageLoader("hepacalc.server", "templates"), PackageLoader("hepacalc.report", "templates")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=report.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(report.globals)
    found.filters.update(report.filters)
    found.tests.update(report.tests)
    found.globals.update(w=say, static=static, urgency_text=urgency_text, words_of_wait=words_of_wait)
    found.filters.update(person=person, day=day, moment=moment, mass=mass, names=said)
    return found


@cache
def static(name: str) -> str:
    """Return the address of a static file, which changes with its content."""
    places = (
        resources.files("hepacalc.server") / "static" / name,
        resources.files("hepacalc.report") / "templates" / name,
    )
    data = next(place for place in places if place.is_file()).read_bytes()
    return Markup(f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}")
