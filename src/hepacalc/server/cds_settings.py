"""Table ``[cds]`` of ``server.toml``: which record systems may ask, and what may be fetched from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hepacalc.errors import UsageError
from hepacalc.server.settings import Settings

__all__ = ["Cds", "Client", "read_cds"]

_HINT = "See docs/howto/cds-hooks.md."


@dataclass(frozen=True, slots=True)
class Client:
    """A record system that signs its requests (CDS Hooks 2.0, "Trusting CDS Clients").

    Args:
        issuer: its ``iss``.
        keys_file: JSON Web Key Set with its public keys.
        team: whose studies it may hear of.
    """

    issuer: str
    keys_file: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class Cds:
    """CDS Hooks of a deployment.

    Args:
        clients: who signs; others need an API token with the scope ``cds``.
        patient_id_system: system of the FHIR identifier that DICOM's PatientID is; any identifier, checked by the date
            of birth, when empty.
        fhir_servers: base URLs from which missing prefetch may be fetched; nothing is fetched from anywhere else.
        fetch_s: how long fetching may take, of the 0.5 s of an answer.
    """

    clients: tuple[Client, ...] = ()
    patient_id_system: str = ""
    fhir_servers: tuple[str, ...] = ()
    fetch_s: float = 0.25


def read_cds(settings: Settings) -> Cds:
    """Return the checked table ``[cds]``.

    Raises:
        UsageError: a value is not known or of the wrong type.
    """
    told = dict(settings.cds)
    if unknown := set(told) - {f.name for f in fields(Cds)}:
        raise UsageError(f"[cds]: there is no such setting as {min(unknown)!r}.", hint=_HINT)
    clients = told.get("clients", [])
    texts = (told.get("patient_id_system", ""), *_list(told.get("fhir_servers", [])))
    seconds = told.get("fetch_s", 0.25)
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= 5
    if not all(isinstance(one, str) for one in texts) or not is_number:
        raise UsageError("[cds]: patient_id_system, fhir_servers or fetch_s has another type.", hint=_HINT)
    servers = tuple(one.rstrip("/") for one in texts[1:])
    for server in servers:
        parts = urlsplit(server)
        is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not (parts.scheme == "https" or (parts.scheme == "http" and is_local)) or parts.username or parts.query:
            raise UsageError("[cds]: a FHIR server begins with https://.", hint=_HINT)
    return Cds(tuple(_client(one) for one in _list(clients)), texts[0], servers, float(seconds))


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list | tuple):
        raise UsageError("[cds]: clients and fhir_servers are lists.", hint=_HINT)
    return list(found)


def _client(found: Any) -> Client:
    known = {"issuer", "keys_file", "team"}
    if not isinstance(found, dict) or not {"issuer", "keys_file"} <= set(found) <= known:
        raise UsageError("[[cds.clients]]: wanted issuer, keys_file and perhaps team.", hint=_HINT)
    if not all(isinstance(one, str) for one in found.values()) or not Path(found["keys_file"]).is_file():
        raise UsageError("[[cds.clients]]: keys_file is not there.", hint=_HINT)
    return Client(**found)
