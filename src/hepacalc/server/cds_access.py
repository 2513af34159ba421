"""Who may ask for cards: an API token with the scope ``cds``, or a record system that signs its requests."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hepacalc.server.access import identity_of, need, note, site_of
from hepacalc.server.accounts import Identity
from hepacalc.server.cds_settings import Client, read_cds
from hepacalc.server.faults import NotSignedIn

__all__ = ["ALGORITHMS", "asker"]

ALGORITHMS = ["ES384", "RS384", "ES256", "RS256", "PS384", "PS256"]
"""Signatures that are taken; never ``none`` and never one whose key is a shared secret."""
LONGEST_S, SKEW_S = 3600.0, 60.0
_MOST_TOKEN, _MOST_REMEMBERED = 8000, 100_000
_by_token = need("read", scope="cds")


def asker(request: Request) -> Identity:
    """Return who asks for cards: a dependency of routes.

    Raises:
        NotSignedIn: nobody whom the site knows.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    clients = read_cds(site_of(request).settings).clients
    if clients and scheme.lower() == "bearer" and token.count(".") == 2:
        request.state.identity = _signed(request, clients, token.strip())
        return identity_of(request)
    return _by_token(request)


def _signed(request: Request, clients: tuple[Client, ...], token: str) -> Identity:
    """Return the record system that signed a token (RFC 7519; CDS Hooks 2.0 asks for iss, aud, exp, iat and jti)."""
    refused = NotSignedIn("the signature of the request is not accepted.", hint="See docs/howto/cds-hooks.md.")
    client, claims = _verified(clients, token) if len(token) <= _MOST_TOKEN else (None, {})
    moment = time.time()
    site = site_of(request)
    mine = f"{site.settings.public_url or str(request.base_url).rstrip('/')}{request.url.path}"
    audience = claims.get("aud")
    times = [claims.get("iat"), claims.get("exp")]
    if client is None or mine not in (audience if isinstance(audience, list) else [audience]):
        raise _noted(request, refused)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in times):
        raise _noted(request, refused)
    begin, end = float(times[0] or 0), float(times[1] or 0)
    if not (begin - SKEW_S <= moment < end + SKEW_S and end - begin <= LONGEST_S):
        raise _noted(request, refused)
    if not _is_new(request, str(claims.get("jti") or ""), end):
        raise _noted(request, refused)
    return Identity(f"cds:{client.issuer}"[:32], client.issuer[:80], "read", client.team, scopes=("cds",))


def _noted(request: Request, error: NotSignedIn) -> NotSignedIn:
    note(request, "cds.refused", outcome="refused")
    return error


def _verified(clients: tuple[Client, ...], token: str) -> tuple[Client | None, dict[str, Any]]:
    """Return the client whose key a token is signed with: keys come from the site, never from where a token says."""
    for client in clients:
        try:
            keys = _keys(client.keys_file, Path(client.keys_file).stat().st_mtime_ns)
            found = jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError, OSError):
            continue
        if found.claims.get("iss") == client.issuer:
            return client, dict(found.claims)
    return None, {}


@lru_cache(maxsize=16)
def _keys(path: str, _changed: int) -> KeySet:
    return KeySet.import_key_set(json.loads(Path(path).read_text("utf-8")))


def _is_new(request: Request, jti: str, end: float) -> bool:
    """Whether a token is used for the first time."""
    used: dict[str, float] = request.app.state.__dict__.setdefault("cds_used", {})
    moment = time.time()
    for old in [key for key, until in used.items() if until + SKEW_S < moment]:
        del used[old]
    if not 0 < len(jti) <= 200 or jti in used or len(used) >= _MOST_REMEMBERED:
        return False
    used[jti] = end
    return True
