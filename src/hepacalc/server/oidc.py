"""Sign-in by the site's identity provider: OpenID Connect, authorization code with PKCE, by Authlib.

The provider's own documents are read once, by this server; where they point is checked to be the issuer's, so that
nothing from a browser ever decides which address is asked.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from fastapi import APIRouter, Query, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.responses import RedirectResponse, Response

from hepacalc.errors import NotThere, Unavailable
from hepacalc.server.access import note, site_of
from hepacalc.server.accounts import ROLES, user_of_subject
from hepacalc.server.faults import NotSignedIn
from hepacalc.server.pages_sign_in import let_in
from hepacalc.server.settings import Oidc, Settings

__all__ = ["Provider", "role_of", "router"]

router = APIRouter(prefix="/oidc", include_in_schema=False)
COOKIE = "hepacalc-oidc"
WAIT_S = 10.0
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


class Provider:
    """An identity provider.

    Args:
        settings: issuer, client, roles.
        transport: that asks it; over the network when None.
    """

    def __init__(self, settings: Oidc, transport: httpx.BaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport
        self._document: dict[str, Any] = {}

    def begin(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where the browser is sent to.

        Raises:
            Unavailable: the provider does not answer.
        """
        endpoint = self._endpoint("authorization_endpoint")
        with self._client(redirect_uri) as client:
            address, _ = client.create_authorization_url(endpoint, state, code_verifier=verifier, nonce=nonce)
        return str(address)

    def claims(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> dict[str, Any]:
        """Return the claims of the ID token that a code stands for.

        Raises:
            NotSignedIn: the code or the token is not valid.
            Unavailable: the provider does not answer.
        """
        endpoint, keys = self._endpoint("token_endpoint"), self._ask(self._endpoint("jwks_uri"))
        try:
            with self._client(redirect_uri) as client:
                answer = client.fetch_token(endpoint, code=code, code_verifier=verifier)
            token = jwt.decode(str(answer.get("id_token", "")), KeySet.import_key_set(keys), _ALGORITHMS)  # type: ignore[arg-type]
            _registry(self._settings, nonce).validate(token.claims)
        except httpx.HTTPError as fault:
            raise Unavailable("the identity provider cannot be reached.", hint="Try again later.") from fault
        except (JoseError, AuthlibBaseError, ValueError) as fault:
            raise NotSignedIn("the provider's token is not valid.", hint="Sign in again.") from fault
        return dict(token.claims)

    def _client(self, redirect_uri: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        secret = self._settings.client_secret_file
        return OAuth2Client(
            client_id=self._settings.client_id,
            client_secret=Path(secret).read_text("utf-8").strip() if secret else None,
            token_endpoint_auth_method="client_secret_post" if secret else "none",
            scope="openid profile", redirect_uri=redirect_uri, code_challenge_method="S256",
            transport=self._transport, timeout=WAIT_S,
        )  # fmt: skip

    def _endpoint(self, name: str) -> str:
        if not self._document:
            address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = self._ask(address)
            if found.get("issuer") != self._settings.issuer:
                raise Unavailable("the identity provider calls itself by another name.", hint="Correct oidc.issuer.")
            self._document = found
        endpoint = str(self._document.get(name, ""))
        here, there = urlsplit(self._settings.issuer), urlsplit(endpoint)
        if there.scheme != here.scheme or not there.netloc:
            raise Unavailable(f"the identity provider has no usable {name}.", hint="Correct oidc.issuer.")
        return endpoint

    def _ask(self, address: str) -> dict[str, Any]:
        try:
            with httpx.Client(transport=self._transport, timeout=WAIT_S, follow_redirects=False) as client:
                answer = client.get(address)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, json.JSONDecodeError) as fault:
            raise Unavailable("the identity provider cannot be reached.", hint="Try again later.") from fault
        return found


def _registry(settings: Oidc, nonce: str) -> jwt.JWTClaimsRegistry:
    """Return what the claims of an ID token have to be (OpenID Connect Core 3.1.3.7)."""
    return jwt.JWTClaimsRegistry(
        leeway=60,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.client_id},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
        exp={"essential": True},
    )


def role_of(claims: dict[str, Any], settings: Oidc) -> str:
    """Return the greatest role that the claims give.

    Raises:
        NotSignedIn: they give none.
    """
    held = claims.get(settings.role_claim, [])
    groups = [held] if isinstance(held, str) else [str(one) for one in held] if isinstance(held, list) else []
    roles = [settings.roles[group] for group in groups if settings.roles.get(group) in ROLES]
    if not roles:
        raise NotSignedIn("this account has no role here.", hint="Ask an administrator.")
    return max(roles, key=ROLES.index)


@router.get("/begin")
def begin(request: Request, to: Annotated[str, Query(max_length=300)] = "/") -> Response:
    """Send the browser to the provider."""
    settings = _settings(request)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    answer = RedirectResponse(provider_of(request).begin(_redirect(request), state, nonce, verifier), 303)
    held = base64.urlsafe_b64encode(json.dumps([state, nonce, verifier, to]).encode()).decode()
    answer.set_cookie(COOKIE, held, max_age=600, path="/oidc", httponly=True, samesite="lax", secure=settings.is_https)
    return answer


@router.get("/callback")
def callback(
    request: Request,
    code: Annotated[str, Query(max_length=4000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Take the browser back from the provider."""
    settings = _settings(request)
    try:
        wanted, nonce, verifier, to = json.loads(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")))
    except (ValueError, TypeError):
        raise NotSignedIn("this sign-in was not begun here.", hint="Sign in again.") from None
    if not code or not hmac.compare_digest(str(wanted), state):
        note(request, "sign-in", outcome="refused")
        raise NotSignedIn("this sign-in was not begun here.", hint="Sign in again.")
    claims = provider_of(request).claims(code, _redirect(request), str(nonce), str(verifier))
    role = role_of(claims, settings.oidc)
    team = str(claims.get(settings.oidc.team_claim, "")) if settings.oidc.team_claim else ""
    name = str(claims.get("preferred_username") or claims.get("name") or claims["sub"])
    subject = f"{settings.oidc.issuer} {claims['sub']}"
    answer = let_in(request, user_of_subject(site_of(request).engine, subject, name, role, team[:80]), str(to))
    answer.delete_cookie(COOKIE, path="/oidc")
    return answer


def provider_of(request: Request) -> Provider:
    """Return the provider of a deployment."""
    if getattr(request.app.state, "provider", None) is None:
        request.app.state.provider = Provider(_settings(request).oidc)
    found: Provider = request.app.state.provider
    return found


def _settings(request: Request) -> Settings:
    settings = site_of(request).settings
    if settings.login != "oidc":
        raise NotThere("sign-in by a provider is not used here.", hint="Sign in with name and password.")
    return settings


def _redirect(request: Request) -> str:
    settings = site_of(request).settings
    base = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    return f"{base}/oidc/callback"
