"""Sign-in by the site's identity provider: OpenID Connect, authorization code with PKCE, by Authlib.

The provider's own documents are read once, by this server; where they point is checked to be the issuer's, so that
nothing from a browser ever decides which address is asked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import httpx
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from hepacalc.server.access import note, site_of
from hepacalc.server.accounts import ROLES, user_of_subject
from hepacalc.server.faults import NotSignedIn, NotThere, Unavailable
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
        client: that asks it; one is made when None.
    """

    def __init__(self, settings: Oidc, client: httpx.Client | None = None) -> None:
        self._settings = settings
        self._client = client or httpx.Client(timeout=WAIT_S, follow_redirects=False)
        self._document: dict[str, Any] = {}

    def begin(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where the browser is sent to.

        Raises:
            Unavailable: the provider does not answer.
        """
        asked = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": redirect_uri,
            "scope": "openid profile", "state": state, "nonce": nonce, "code_challenge_method": "S256",
            "code_challenge": _challenge(verifier),
        }  # fmt: skip
        return f"{self._endpoint('authorization_endpoint')}?{urlencode(asked)}"

    def claims(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> dict[str, Any]:
        """Return the claims of the ID token that a code stands for.

        Raises:
            NotSignedIn: the code or the token is not valid.
            Unavailable: the provider does not answer.
        """
        told = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
                "client_id": self._settings.client_id, "code_verifier": verifier}  # fmt: skip
        if self._settings.client_secret_file:
            told["client_secret"] = Path(self._settings.client_secret_file).read_text("utf-8").strip()
        answer = self._ask("POST", self._endpoint("token_endpoint"), data=told)
        keys = JsonWebKey.import_key_set(self._ask("GET", self._endpoint("jwks_uri")))
        try:
            claims = JsonWebToken(_ALGORITHMS).decode(
                str(answer.get("id_token", "")), keys,
                claims_options={
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                    "exp": {"essential": True}, "sub": {"essential": True},
                },
            )  # fmt: skip
            claims.validate(leeway=60)
        except (JoseError, ValueError) as fault:
            raise NotSignedIn("the provider's token is not valid.", hint="Sign in again.") from fault
        if not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
            raise NotSignedIn("the provider's token is of another sign-in.", hint="Sign in again.")
        return dict(claims)

    def _endpoint(self, name: str) -> str:
        if not self._document:
            address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = self._ask("GET", address)
            if found.get("issuer") != self._settings.issuer:
                raise Unavailable("the identity provider calls itself by another name.", hint="Correct oidc.issuer.")
            self._document = found
        endpoint = str(self._document.get(name, ""))
        here, there = urlsplit(self._settings.issuer), urlsplit(endpoint)
        if there.scheme != here.scheme or not there.netloc:
            raise Unavailable(f"the identity provider has no usable {name}.", hint="Correct oidc.issuer.")
        return endpoint

    def _ask(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, address, **more)
            if answer.status_code == 400:
                raise NotSignedIn("the provider did not accept the sign-in.", hint="Sign in again.")
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, json.JSONDecodeError) as fault:
            raise Unavailable("the identity provider cannot be reached.", hint="Try again later.") from fault
        return found


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


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
