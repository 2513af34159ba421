"""Who asks, and whether they may: dependencies of every route."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy import ColumnElement, Connection, RowMapping, select, true

from hepacalc.errors import NotThere
from hepacalc.server import audit
from hepacalc.server.accounts import Identity, of_session, of_token
from hepacalc.server.database import reading
from hepacalc.server.faults import NotAllowed, NotSignedIn
from hepacalc.server.tables import assessments, studies
from hepacalc.server.work import Site

__all__ = [
    "COOKIE",
    "address_of",
    "assessment_of",
    "cookie_name",
    "identity_of",
    "need",
    "note",
    "note_look",
    "optional_identity",
    "own",
    "site_of",
    "study_of",
]

COOKIE = "hepacalc"
_ID = re.compile(r"[0-9a-f]{32}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def site_of(request: Request) -> Site:
    """Return the deployment that a request came to."""
    site: Site = request.app.state.site
    return site


def cookie_name(site: Site) -> str:
    """Return the name of the session's cookie; by TLS one that a sibling host cannot set (RFC 6265bis 4.1.3.2)."""
    return f"__Host-{COOKIE}" if site.settings.is_https else COOKIE


def address_of(request: Request) -> str:
    """Return the address a request came from; uvicorn has put that of a trusted proxy's client there."""
    return request.client.host if request.client else ""


def optional_identity(request: Request) -> Identity | None:
    """Return who asks, or None."""
    found: Identity | None = getattr(request.state, "identity", None)
    if found is not None:
        return found
    site = site_of(request)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = of_token(site.engine, secret.strip()) if scheme.lower() == "bearer" else None
    elif cookie := request.cookies.get(cookie_name(site)):
        found = of_session(site.engine, site.settings, cookie)
    request.state.identity = found
    return found


def identity_of(request: Request) -> Identity:
    """Return who asks.

    Raises:
        NotSignedIn: nobody, or a session or token that is over.
    """
    found = optional_identity(request)
    if found is None:
        raise NotSignedIn("nobody is signed in.", hint="Sign in, or send an API token.")
    return found


def need(role: str, *, scope: str = "") -> Callable[[Request], Identity]:
    """Return a dependency that lets in who has a role, and for what changes something only with the session's secret.

    Args:
        role: ``read``, ``assess`` or ``admin``.
        scope: further scope that lets an API token in, e.g. ``dicomweb``.
    """

    def check(request: Request) -> Identity:
        who = identity_of(request)
        by_scope = bool(scope) and scope in who.scopes and Identity(who.user_id, "", who.role, "").may(role)
        if not (who.may(role) or by_scope):
            note(request, "refused", outcome="refused")
            raise NotAllowed(f"this needs the role {role!r}.", hint="Ask an administrator.")
        if request.method not in _SAFE and who.session:
            require_csrf(request, who, request.headers.get("x-csrf-token", ""))
        return who

    return check


def require_csrf(request: Request, who: Identity, given: str) -> None:
    """Refuse a request that another site made this browser send.

    Raises:
        NotAllowed: it lacks the session's secret, or says that it comes from elsewhere.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        note(request, "csrf", outcome="refused")
        raise NotAllowed("the request comes from another site.", hint="Use the pages of this server.")
    if not hmac.compare_digest(given.encode(), who.csrf.encode()):
        note(request, "csrf", outcome="refused")
        raise NotAllowed("the request lacks the secret of this session.", hint="Load the page again.")


def note(
    request: Request, action: str, object_id: str = "", outcome: str = "ok", *, within: Connection | None = None
) -> None:
    """Write a line of the audit log about a request; an object that is none of our ids is not written down."""
    who: Identity | None = getattr(request.state, "identity", None)
    audit.note(
        site_of(request).engine, action, user_id=who.user_id if who else None,
        object_id=object_id if _ID.fullmatch(object_id) else "", outcome=outcome,
        address=address_of(request), request_id=getattr(request.state, "request_id", ""), within=within,
    )  # fmt: skip


def note_look(request: Request, action: str, study_id: str) -> None:
    """Write that somebody looks at a study, by what is asked for slice by slice: a line in ``audit.SEEN_S``."""
    seen: audit.Seen = request.app.state.seen
    if seen.is_new(identity_of(request).user_id, address_of(request), action, study_id):
        note(request, action, study_id)


def own(who: Identity) -> ColumnElement[bool]:
    """Return the condition on ``studies`` for what a user may see."""
    return true() if who.is_admin else studies.c.team == who.team


def study_of(request: Request, who: Identity, study_id: str) -> RowMapping:
    """Return a study that a user may see.

    Raises:
        NotThere: there is none, or it is another team's: the answer is the same.
    """
    with reading(site_of(request).engine) as connection:
        row = connection.execute(select(studies).where(studies.c.id == study_id, own(who))).mappings().first()
    if row is None:
        note(request, "study.missing", study_id, "refused")
        raise NotThere("there is no such study.", hint="Look at the worklist.")
    return row


def assessment_of(request: Request, who: Identity, assessment_id: str) -> tuple[RowMapping, Any]:
    """Return an assessment that a user may see, and the folder of its files.

    Raises:
        NotThere: there is none, or it is another team's.
    """
    site = site_of(request)
    joined = select(assessments, studies.c.folder.label("study_folder"), studies.c.kind.label("study_kind")).join(
        studies, studies.c.id == assessments.c.study_id
    )
    with reading(site.engine) as connection:
        row = connection.execute(joined.where(assessments.c.id == assessment_id, own(who))).mappings().first()
    if row is None:
        note(request, "assessment.missing", assessment_id, "refused")
        raise NotThere("there is no such assessment.", hint="Look at the study.")
    return row, site.store.study(row["study_folder"]) / row["folder"]
