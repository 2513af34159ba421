"""What a site may set: ``server.toml`` in the data folder, with every default good for one person on a laptop."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from hepacalc.errors import UsageError

__all__ = ["SETTINGS_FILE", "Limits", "LoginKind", "Oidc", "Settings", "read_settings"]

SETTINGS_FILE = "server.toml"
LoginKind = Literal["token", "users", "oidc"]
_LOCAL = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken from outside, and how much one job may use.

    Args:
        upload_bytes: of one upload.
        upload_files: of one upload.
        unpacked_bytes: of a zip, unpacked.
        pixels: of one image (Rows x Columns x frames).
        request_bytes: of every other request.
        upload_s: time an upload may take.
        job_s: time one job may take.
        job_bytes: address space of the process of one job.
        tries: how often the process of a job may die before the job is set aside.
        cache_bytes: of scans kept ready for the viewer.
        sign_in_tries: wrong passwords for one name or from one address before it has to wait.
        sign_in_wait_s: the first wait; doubled with each further try, up to an hour.
    """

    upload_bytes: int = 8 * 2**30
    upload_files: int = 20_000
    unpacked_bytes: int = 16 * 2**30
    pixels: int = 2**31
    request_bytes: int = 2 * 2**20
    upload_s: float = 3600.0
    job_s: float = 1800.0
    job_bytes: int = 12 * 2**30
    tries: int = 3
    cache_bytes: int = 20 * 2**30
    sign_in_tries: int = 5
    sign_in_wait_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Oidc:
    """Sign-in by the site's identity provider.

    Args:
        issuer: its address; ``/.well-known/openid-configuration`` below it is read.
        client_id: of this server.
        client_secret_file: file that holds the secret.
        role_claim: claim of the ID token that lists groups or roles.
        roles: value of the claim -> role here; who has none of them does not get in.
        team_claim: claim with the team; one team when empty.
    """

    issuer: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    role_claim: str = "groups"
    roles: dict[str, str] = field(default_factory=dict)
    team_claim: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment.

    Args:
        data: folder of everything this server keeps.
        database: ``postgresql://user@host/name``; SQLite in ``data`` when empty.
        host: address to listen on.
        port: 0 lets the system choose.
        login: ``token`` (one person, one-time token), ``users`` (names and passwords), ``oidc``.
        public_url: how browsers reach this server (``https://...``), when it stands behind a proxy.
        trusted_proxies: addresses whose X-Forwarded-For and -Proto are believed.
        workers: processes that assess.
        quiet_s: a study that comes file by file is complete after so long without a further file.
        session_idle_s: a session ends after so long without a request.
        session_s: a session ends after so long whatever happens.
        lease_s: a job belongs to another worker after so long without a sign of life.
        knowledge: the site's own knowledge file, if any.
        language: of pages when a browser does not say.
        limits: how much is taken.
        oidc: the identity provider.
        node: table ``[node]`` of the settings file, for the DICOM node.
        cds: table ``[cds]``, for CDS Hooks.
    """

    data: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8042
    login: LoginKind = "token"
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    workers: int = 1
    quiet_s: float = 20.0
    session_idle_s: float = 1800.0
    session_s: float = 12 * 3600.0
    lease_s: float = 30.0
    knowledge: str = ""
    language: Literal["en", "zh"] = "en"
    limits: Limits = field(default_factory=Limits)
    oidc: Oidc = field(default_factory=Oidc)
    node: dict[str, Any] = field(default_factory=dict)
    cds: dict[str, Any] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """URL of the database."""
        return self.database or f"sqlite:///{self.data / 'hepacalc.sqlite'}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in _LOCAL

    @property
    def is_https(self) -> bool:
        """Whether browsers come by TLS (through the site's proxy)."""
        return self.public_url.startswith("https://")

    def checked(self) -> Settings:
        """Return itself, when it may be served.

        Raises:
            UsageError: it would let in anybody on the network, or contradicts itself.
        """
        if self.login not in ("token", "users", "oidc"):
            raise UsageError(f"login = {self.login!r} is not known.", hint="Choose token, users or oidc.")
        if not self.is_local and self.login == "token":
            raise UsageError(
                f"{self.host} can be reached by others, and nobody would have to sign in.",
                hint='Set login = "users" or "oidc" in server.toml, or stay on 127.0.0.1.',
            )
        if self.login == "oidc" and not (self.oidc.issuer and self.oidc.client_id and self.oidc.roles):
            raise UsageError(
                "sign-in by OIDC needs an issuer, a client and roles.",
                hint="Set issuer, client_id and [oidc.roles] in server.toml; see docs/howto/serve.md.",
            )
        if self.public_url and not self.public_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise UsageError("public_url has to begin with https://.", hint="Put a proxy with TLS in front.")
        if self.workers < 0 or self.lease_s < 1 or self.limits.tries < 1:
            raise UsageError("workers, lease_s or limits.tries is too small.", hint="Correct server.toml.")
        return self


def read_settings(data: Path, **given: Any) -> Settings:
    """Return the settings of a data folder.

    Args:
        data: the folder; ``server.toml`` in it need not be there.
        given: settings that go before the file's, such as command line options; None means not given.

    Raises:
        UsageError: the file cannot be read, or names a setting that does not exist or has another type.
    """
    settings = Settings(data=data.absolute())
    path = data / SETTINGS_FILE
    if path.exists():
        try:
            found = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
            raise UsageError(f"{SETTINGS_FILE} cannot be read.", hint="It has to be TOML in UTF-8.") from fault
        settings = _merged(settings, found, "")
    told = {name: value for name, value in given.items() if value is not None}
    return replace(settings, **told) if told else settings


def _merged(base: Any, found: dict[str, Any], where: str) -> Any:
    """Return a record with what a table of the file says."""
    hints = get_type_hints(type(base))
    known = {f.name for f in fields(base)} - {"data"}
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name not in known:
            raise UsageError(f"{SETTINGS_FILE}: {where}{name} is no setting.", hint="See docs/howto/serve.md.")
        old = getattr(base, name)
        if is_dataclass(old) and isinstance(value, dict):
            values[name] = _merged(old, value, f"{where}{name}.")
        elif isinstance(old, tuple) and isinstance(value, list):
            values[name] = tuple(str(one) for one in value)
        elif isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif type(value) is type(old):
            values[name] = value
        else:
            raise UsageError(f"{SETTINGS_FILE}: {where}{name} has another type than {hints[name]}.",
                             hint="See docs/howto/serve.md.")  # fmt: skip
    return replace(base, **values)
