"""Who may come in: users, passwords, sessions, one-time links, API tokens, and a brake on guessing."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, delete, insert, select, update

from hepacalc.errors import InvalidRequest, NotThere
from hepacalc.server.database import new_id, now, reading, writing
from hepacalc.server.faults import Conflict, NotSignedIn, TooMany
from hepacalc.server.settings import Settings
from hepacalc.server.tables import attempts, sessions, tokens, users

__all__ = [
    "LINK_SCOPE",
    "ROLES",
    "SCOPES",
    "Identity",
    "add_token",
    "add_user",
    "begin_session",
    "end_session",
    "enter_by_link",
    "local_link",
    "of_session",
    "of_token",
    "set_password",
    "sign_in",
    "user_of_subject",
]

ROLES = ("read", "assess", "admin")
"""Each may do what those before it may."""
SCOPES = ("read", "assess", "admin", "dicomweb", "cds")
"""Of API tokens: what the token may do, never more than its user."""
LINK_SCOPE = "enter"
LINK_S = 3600.0
LOCAL_USER = "local"
SHORTEST_PASSWORD = 10
_MOST_WAIT_S = 3600.0
_FORGET_S = 24 * 3600.0

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Args:
        user_id: id of the user.
        name: by which the user signs in.
        role: one of :data:`ROLES`.
        team: whose studies the user sees; administrators see all.
        scopes: of an API token; empty for a session.
        csrf: what forms of this session must carry; empty for an API token.
        session: digest of the session's cookie; empty for an API token.
        language: that the user chose, or empty.
    """

    user_id: str
    name: str
    role: str
    team: str
    scopes: tuple[str, ...] = ()
    csrf: str = ""
    session: str = ""
    language: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether all teams are seen."""
        return self.role == "admin"

    def may(self, role: str) -> bool:
        """Whether the user, and the token if there is one, may do what a role may."""
        able = ROLES.index(self.role) >= ROLES.index(role)
        return able and (
            not self.scopes or any(s in ROLES and ROLES.index(s) >= ROLES.index(role) for s in self.scopes)
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# ---------------------------------------------------------------- users


def add_user(engine: Engine, name: str, role: str, *, password: str | None, team: str = "", subject: str = "") -> str:
    """Make a user and return the id.

    Raises:
        InvalidRequest: the name, the role or the password is not acceptable.
        Conflict: the name is taken.
    """
    if not (0 < len(name) <= 80) or not name.isprintable() or name != name.strip():
        raise InvalidRequest("the name of a user has 1 to 80 characters.", hint="Choose another name.")
    if role not in ROLES:
        raise InvalidRequest("the role is not known.", hint=f"Choose one of {', '.join(ROLES)}.")
    user_id = new_id()
    values = {"id": user_id, "name": name, "role": role, "team": team[:80], "subject": subject or None,
              "password": None if password is None else _hashed(password), "created": now()}  # fmt: skip
    with writing(engine) as connection:
        if connection.execute(select(users.c.id).where(users.c.name == name)).first() is not None:
            raise Conflict("there is a user of this name.", hint="Choose another name.")
        connection.execute(insert(users).values(**values, is_disabled=False))
    return user_id


def set_password(connection: Connection, user_id: str, password: str, *, keep: str = "") -> None:
    """Set a password; every session of the user ends, but the one of digest ``keep``, and so do API tokens.

    Raises:
        InvalidRequest: it is too short.
        NotThere: there is no such user.
    """
    done = connection.execute(update(users).where(users.c.id == user_id).values(password=_hashed(password)))
    if done.rowcount != 1:
        raise NotThere("there is no such user.", hint="Look at the list of users.")
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.digest != keep))
    connection.execute(delete(tokens).where(tokens.c.user_id == user_id))


def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= 1000:
        raise InvalidRequest(f"a password has at least {SHORTEST_PASSWORD} characters.", hint="Choose a longer one.")
    return _HASHER.hash(password)


# ---------------------------------------------------------------- signing in


def sign_in(engine: Engine, settings: Settings, name: str, password: str, address: str) -> str:
    """Return the id of the user whose name and password these are.

    Raises:
        NotSignedIn: they are not; it is not told which of the two is wrong.
        TooMany: too many wrong tries for this name or from this address.
    """
    keys = (_digest(f"name\0{name.casefold()}"), _digest(f"from\0{address}"))
    _refuse_waiting(engine, keys)
    with reading(engine) as connection:
        row = connection.execute(
            select(users.c.id, users.c.password).where(users.c.name == name, users.c.is_disabled.is_(False))
        ).first()
    # an unknown name costs as much time as a wrong password
    held = row.password if row is not None and row.password else _NOBODY
    try:
        _HASHER.verify(held, password)
    except (VerificationError, InvalidHashError):
        row = None
    if row is None or held == _NOBODY:
        _count_failure(engine, settings, keys)
        raise NotSignedIn("name or password is wrong.", hint="Try again.")
    with writing(engine) as connection:
        connection.execute(delete(attempts).where(attempts.c.key.in_(keys)))
        if _HASHER.check_needs_rehash(held):
            connection.execute(update(users).where(users.c.id == row.id).values(password=_HASHER.hash(password)))
    return str(row.id)


def _refuse_waiting(engine: Engine, keys: tuple[str, ...]) -> None:
    with reading(engine) as connection:
        until = connection.execute(select(attempts.c.until).where(attempts.c.key.in_(keys))).scalars().all()
    wait = max(until, default=0.0) - now()
    if wait > 0:
        raise TooMany("too many wrong tries.", hint=f"Wait {int(wait) + 1} seconds.")


def _count_failure(engine: Engine, settings: Settings, keys: tuple[str, ...]) -> None:
    limits, moment = settings.limits, now()
    with writing(engine) as connection:
        connection.execute(delete(attempts).where(attempts.c.last < moment - _FORGET_S))
        for key in keys:
            failures = (connection.execute(select(attempts.c.failures).where(attempts.c.key == key)).scalar() or 0) + 1
            over = failures - limits.sign_in_tries
            wait = min(limits.sign_in_wait_s * 2 ** min(over, 16), _MOST_WAIT_S) if over >= 0 else 0.0
            connection.execute(delete(attempts).where(attempts.c.key == key))
            connection.execute(insert(attempts).values(key=key, failures=failures, until=moment + wait, last=moment))


def local_link(engine: Engine) -> str:
    """Return the secret of a one-time link for the one person of this machine; the user is made when missing."""
    with reading(engine) as connection:
        user_id = connection.execute(select(users.c.id).where(users.c.name == LOCAL_USER)).scalar()
    if user_id is None:
        user_id = add_user(engine, LOCAL_USER, "admin", password=None)
    return add_token(engine, user_id, "one-time link", (LINK_SCOPE,), LINK_S)[1]


def enter_by_link(engine: Engine, settings: Settings, secret: str, address: str) -> str:
    """Return the id of the user whom a one-time link lets in, and use it up.

    Raises:
        NotSignedIn: it was used, is over, or never was.
        TooMany: too many wrong ones from this address.
    """
    keys = (_digest(f"link\0{address}"),)
    _refuse_waiting(engine, keys)
    with writing(engine) as connection:
        held = (tokens.c.digest == _digest(secret), tokens.c.scopes == LINK_SCOPE, tokens.c.expires > now())
        user_id = connection.execute(select(tokens.c.user_id).where(*held)).scalar()
        used = connection.execute(delete(tokens).where(*held)).rowcount
    if user_id is None or used != 1:
        _count_failure(engine, settings, keys)
        raise NotSignedIn("this link was used or is over.", hint="Run `hepacalc serve --new-link` for another one.")
    return str(user_id)


def user_of_subject(engine: Engine, subject: str, name: str, role: str, team: str) -> str:
    """Return the id of the user whom an identity provider names; made or brought up to date.

    Raises:
        NotSignedIn: the user was disabled here.
    """
    with writing(engine) as connection:
        row = connection.execute(select(users.c.id, users.c.is_disabled).where(users.c.subject == subject)).first()
        if row is not None:
            if row.is_disabled:
                raise NotSignedIn("this user was disabled.", hint="Ask an administrator.")
            connection.execute(update(users).where(users.c.id == row.id).values(role=role, team=team))
            return str(row.id)
        taken = connection.execute(select(users.c.id).where(users.c.name == name)).first()
    shown = name if taken is None else f"{name[:60]} {secrets.token_hex(3)}"
    return add_user(engine, shown[:80], role, password=None, team=team, subject=subject)


# ---------------------------------------------------------------- sessions


def begin_session(engine: Engine, user_id: str, *, old: str = "") -> str:
    """Return the cookie of a new session; one that the browser came with (``old``) ends, so none can be planted."""
    cookie, moment = secrets.token_urlsafe(32), now()
    with writing(engine) as connection:
        if old:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(old)))
        connection.execute(
            insert(sessions).values(
                digest=_digest(cookie), user_id=user_id, csrf=secrets.token_urlsafe(32), created=moment, seen=moment
            )
        )
    return cookie


def of_session(engine: Engine, settings: Settings, cookie: str) -> Identity | None:
    """Return whose session a cookie is of; None when there is none or it is over."""
    moment, digest = now(), _digest(cookie)
    joined = select(sessions, users.c.name, users.c.role, users.c.team).join(users, users.c.id == sessions.c.user_id)
    with reading(engine) as connection:
        row = connection.execute(
            joined.where(sessions.c.digest == digest, users.c.is_disabled.is_(False))
        ).mappings().first()  # fmt: skip
    if row is None or moment - row["seen"] > settings.session_idle_s or moment - row["created"] > settings.session_s:
        return None
    if moment - row["seen"] > settings.session_idle_s / 20:
        with writing(engine) as connection:
            connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen=moment))
    return Identity(
        row["user_id"], row["name"], row["role"], row["team"], csrf=row["csrf"], session=digest,
        language=row["language"] or "",
    )  # fmt: skip


def end_session(engine: Engine, digest: str) -> None:
    """End a session."""
    with writing(engine) as connection:
        connection.execute(delete(sessions).where(sessions.c.digest == digest))


# ---------------------------------------------------------------- API tokens


def add_token(engine: Engine, user_id: str, name: str, scopes: tuple[str, ...], seconds: float) -> tuple[str, str]:
    """Return id and secret of a new API token; the secret is kept nowhere."""
    secret, token_id = f"hc_{secrets.token_urlsafe(32)}", new_id()
    with writing(engine) as connection:
        connection.execute(delete(tokens).where(tokens.c.expires < now()))
        connection.execute(
            insert(tokens).values(
                id=token_id, digest=_digest(secret), user_id=user_id, name=name[:80], scopes=" ".join(scopes),
                created=now(), expires=now() + seconds,
            )
        )  # fmt: skip
    return token_id, secret


def of_token(engine: Engine, secret: str) -> Identity | None:
    """Return whose API token this is; None when it is none, or over."""
    joined = select(tokens, users.c.name.label("user_name"), users.c.role, users.c.team).join(
        users, users.c.id == tokens.c.user_id
    )
    with reading(engine) as connection:
        row: Any = connection.execute(
            joined.where(
                tokens.c.digest == _digest(secret), tokens.c.scopes != LINK_SCOPE, tokens.c.expires > now(),
                users.c.is_disabled.is_(False),
            )
        ).mappings().first()  # fmt: skip
    if row is None:
        return None
    if now() - (row["used"] or 0.0) > 60:
        with writing(engine) as connection:
            connection.execute(update(tokens).where(tokens.c.id == row["id"]).values(used=now()))
    return Identity(row["user_id"], row["user_name"], row["role"], row["team"], scopes=tuple(row["scopes"].split()))
