"""REST: users, API tokens and the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import delete, select, update
from starlette.responses import Response

from hepacalc.errors import InvalidRequest, NotThere
from hepacalc.server.access import address_of, need, note, site_of
from hepacalc.server.accounts import LINK_SCOPE, ROLES, SCOPES, Identity, add_token, add_user, set_password, sign_in
from hepacalc.server.database import now, reading, writing
from hepacalc.server.faults import NotAllowed, NotSignedIn
from hepacalc.server.tables import audit, sessions, tokens, users

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["people"])
Reader = Annotated[Identity, Depends(need("read"))]
Admin = Annotated[Identity, Depends(need("admin"))]
DAY_S = 86400.0


class NewUser(BaseModel):
    """A user to be made."""

    name: str = Field(min_length=1, max_length=80)
    role: Literal["read", "assess", "admin"]
    password: str = Field(max_length=1000)
    team: str = Field(default="", max_length=80)


class UserChange(BaseModel):
    """What changes about a user."""

    role: Literal["read", "assess", "admin"] | None = None
    team: str | None = Field(default=None, max_length=80)
    password: str | None = Field(default=None, max_length=1000)
    is_disabled: bool | None = None


class NewToken(BaseModel):
    """An API token to be made."""

    name: str = Field(min_length=1, max_length=80)
    scopes: list[Literal["read", "assess", "admin", "dicomweb", "cds"]] = Field(min_length=1, max_length=5)
    days: int = Field(default=90, ge=1, le=366)


class NewPassword(BaseModel):
    """A change of one's own password."""

    old: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


@router.get("/users")
def list_users(request: Request, _who: Admin) -> dict[str, Any]:
    """All users."""
    names = ("id", "name", "role", "team", "is_disabled", "created")
    with reading(site_of(request).engine) as connection:
        rows = connection.execute(select(*(users.c[n] for n in names)).order_by(users.c.name)).mappings().all()
    return {"users": [dict(row) for row in rows]}


@router.post("/users", status_code=201)
def new_user(request: Request, _who: Admin, told: NewUser) -> dict[str, str]:
    """Make a user."""
    site = site_of(request)
    user_id = add_user(site.engine, told.name, told.role, password=told.password, team=told.team)
    note(request, "user.add", user_id)
    return {"id": user_id}


@router.patch("/users/{user_id}", status_code=204)
def change_user(request: Request, who: Admin, user_id: str, told: UserChange) -> Response:
    """Change role, team or password of a user, or shut the user out; open sessions end."""
    values = told.model_dump(exclude_none=True, exclude={"password"})
    if user_id == who.user_id and (values.get("is_disabled") or values.get("role", "admin") != "admin"):
        raise InvalidRequest("nobody shuts himself out.", hint="Let another administrator do it.")
    with writing(site_of(request).engine) as connection:
        if connection.execute(select(users.c.id).where(users.c.id == user_id)).first() is None:
            raise NotThere("there is no such user.", hint="Look at the list of users.")
        if values:
            connection.execute(update(users).where(users.c.id == user_id).values(**values))
            if user_id != who.user_id:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        if told.password is not None:
            set_password(connection, user_id, told.password, keep=who.session)
    note(request, "user.change", user_id)
    return Response(status_code=204)


@router.post("/password", status_code=204)
def change_password(request: Request, who: Reader, told: NewPassword) -> Response:
    """Change one's own password; other sessions and all API tokens of this user end."""
    site = site_of(request)
    if not who.session:
        raise NotAllowed("a token changes no password.", hint="Sign in with a browser.")
    try:
        sign_in(site.engine, site.settings, who.name, told.old, address_of(request))
    except NotSignedIn:
        note(request, "password.change", who.user_id, "refused")
        raise NotAllowed("the present password is wrong.", hint="Try again.") from None
    with writing(site.engine) as connection:
        set_password(connection, who.user_id, told.new, keep=who.session)
    note(request, "password.change", who.user_id)
    return Response(status_code=204)


@router.get("/tokens")
def list_tokens(request: Request, who: Reader) -> dict[str, Any]:
    """One's own API tokens, without their secrets."""
    names = ("id", "name", "scopes", "created", "expires", "used")
    with reading(site_of(request).engine) as connection:
        rows = connection.execute(
            select(*(tokens.c[n] for n in names))
            .where(tokens.c.user_id == who.user_id, tokens.c.scopes != LINK_SCOPE, tokens.c.expires > now())
            .order_by(tokens.c.created)
        ).mappings().all()  # fmt: skip
    return {"tokens": [dict(row) for row in rows]}


@router.post("/tokens", status_code=201)
def new_token(request: Request, who: Reader, told: NewToken) -> dict[str, str]:
    """Make an API token for oneself; its secret is shown this once."""
    if who.scopes:
        raise NotAllowed("a token makes no further tokens.", hint="Sign in with a browser.")
    too_much = [s for s in told.scopes if s in ROLES and not who.may(s)]
    if too_much:
        raise NotAllowed(f"the scope {too_much[0]} is more than this user may do.", hint="Leave it out.")
    scopes = tuple(s for s in SCOPES if s in told.scopes)
    token_id, secret = add_token(site_of(request).engine, who.user_id, told.name, scopes, told.days * DAY_S)
    note(request, "token.add", token_id)
    return {"id": token_id, "token": secret}


@router.delete("/tokens/{token_id}", status_code=204)
def drop_token(request: Request, who: Reader, token_id: str) -> Response:
    """Revoke one of one's own API tokens."""
    with writing(site_of(request).engine) as connection:
        done = connection.execute(delete(tokens).where(tokens.c.id == token_id, tokens.c.user_id == who.user_id))
    if done.rowcount != 1:
        note(request, "token.missing", token_id, "refused")
        raise NotThere("there is no such token.", hint="Look at the list of tokens.")
    note(request, "token.drop", token_id)
    return Response(status_code=204)


@router.get("/audit")
def read_audit(
    request: Request, _who: Admin, before: Annotated[int | None, Query(ge=1)] = None,
    study_id: Annotated[str, Query(max_length=32)] = "", limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:  # fmt: skip
    """Who saw or did what, newest first."""
    wanted = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(audit.c.id < before)
    if study_id:
        wanted = wanted.where(audit.c.object_id == study_id)
    with reading(site_of(request).engine) as connection:
        rows = [dict(row) for row in connection.execute(wanted).mappings()]
    note(request, "audit.view")
    return {"audit": rows, "next": rows[-1]["id"] if len(rows) == limit else None}
