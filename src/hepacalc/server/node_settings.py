"""Table ``[node]`` of ``server.toml``: who may speak DICOM with this server, and where results go."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from hepacalc.errors import Unavailable, UsageError
from hepacalc.report.writers import SegmentationType
from hepacalc.server.settings import Settings

__all__ = ["KINDS", "RIGHTS", "Archive", "Node", "Peer", "read_node"]

SEG_TYPES = get_args(SegmentationType)
RIGHTS = ("store", "query", "retrieve")
"""What a peer may do here: send objects, ask what is there, have it sent to itself."""
KINDS = ("SEG", "SR", "KO")
"""Modalities of the objects that an assessment gives."""
_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")  # PS3.5 table 6.2-1, AE: no backslash, no control
_HINT = "See docs/howto/dicom-node.md."


@dataclass(frozen=True, slots=True)
class Peer:
    """One application entity that this server knows.

    Args:
        ae_title: its title.
        address: where it connects from and listens: an IP address or a network (``10.0.3.0/24``); one address if
            results are sent to it.
        port: on which it listens; 0 when nothing is ever sent to it.
        team: whose studies it sends and sees.
        may: what it may do, of :data:`RIGHTS`.
        tls: whether what is sent to it goes by TLS.
    """

    ae_title: str
    address: str
    port: int = 0
    team: str = ""
    may: tuple[str, ...] = ("store",)
    tls: bool = False

    def comes_from(self, address: str) -> bool:
        """Whether an address is one of this peer's."""
        found = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(found, "ipv4_mapped", None)
        return (mapped or found) in ipaddress.ip_network(self.address, strict=False)


@dataclass(frozen=True, slots=True)
class Archive:
    """A DICOMweb server that results are sent to or priors are fetched from.

    Args:
        name: by which ``send_to`` and ``priors_from`` call it.
        url: the root below which ``/studies`` lies; ``https``, or ``http`` on this machine.
        token_file: file that holds a bearer token, or empty.
        team: whose studies it holds.
    """

    name: str
    url: str
    token_file: str = ""
    team: str = ""

    def authorization(self) -> str:
        """Return the header Authorization, or nothing.

        Raises:
            Unavailable: the token cannot be read.
        """
        if not self.token_file:
            return ""
        try:
            return f"Bearer {Path(self.token_file).read_text('utf-8').strip()}"
        except OSError as fault:
            raise Unavailable(f"the token of {self.name} cannot be read.", hint="Check token_file.") from fault


@dataclass(frozen=True, slots=True)
class Node:
    """The DICOM node of a deployment.

    Args:
        ae_title: of this server; associations that call another one are refused.
        host: address to listen on.
        port: 0 when nothing listens: then there is no node.
        peers: who may connect, and who is sent to.
        archives: DICOMweb servers.
        send_to: peers and archives that results go to.
        send: kinds of object that are sent, of :data:`KINDS`.
        seg_type: of all DICOM SEG made here, ``LABELMAP`` (Label Map Segmentation Storage) or ``BINARY`` (Segmentation
            Storage), which older systems know.
        settle_s: corrections by a person are sent after so long without a further one.
        priors_from: peers and archives that are asked for earlier studies.
        most_priors: so many are fetched for one study, the latest ones.
        prior_years: no prior is older.
        associations: at once.
        connections: at once, from one address.
        pdu_bytes: largest PDU that is taken.
        object_bytes: largest object that is taken.
        timeout_s: an association that says nothing for so long is ended; also how long another system may take.
        certificate: PEM file with this server's certificate; with ``key``, the node speaks TLS only.
        key: PEM file with its key.
        authority: PEM file with the authority whose certificates peers must show.
        origins: web origins (``https://viewer.example``) from which a browser may read DICOMweb and CDS Hooks.
    """

    ae_title: str = "HEPACALC"
    host: str = "127.0.0.1"
    port: int = 0
    peers: tuple[Peer, ...] = ()
    archives: tuple[Archive, ...] = ()
    send_to: tuple[str, ...] = ()
    send: tuple[str, ...] = ("SEG", "SR")
    seg_type: str = "LABELMAP"
    settle_s: float = 300.0
    priors_from: tuple[str, ...] = ()
    most_priors: int = 3
    prior_years: int = 10
    associations: int = 16
    connections: int = 32
    pdu_bytes: int = 131_072
    object_bytes: int = 2**30
    timeout_s: float = 30.0
    certificate: str = ""
    key: str = ""
    authority: str = ""
    origins: tuple[str, ...] = field(default=())

    def peer(self, ae_title: str) -> Peer | None:
        """Return the peer with a title."""
        return next((p for p in self.peers if p.ae_title == ae_title), None)

    def partner(self, name: str) -> Peer | Archive:
        """Return the peer or archive of a name.

        Raises:
            UsageError: there is none any more.
        """
        found = self.peer(name) or next((a for a in self.archives if a.name == name), None)
        if found is None:
            raise UsageError("a job is about a DICOM peer that is no longer in server.toml.", hint=_HINT)
        return found

    def server_tls(self) -> ssl.SSLContext | None:
        """Return how the node listens by TLS (PS3.15 B.9), or None."""
        if not self.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.authority:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_tls(self) -> ssl.SSLContext:
        """Return how this server connects to a peer by TLS: the peer's certificate is checked."""
        context = ssl.create_default_context(cafile=self.authority or None)
        # peers are configured by address, and their certificates name application entities or hosts: with an authority
        # of the site's own, belonging to it is what counts
        context.check_hostname = not self.authority
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


def read_node(settings: Settings) -> Node:
    """Return the checked table ``[node]``.

    Raises:
        UsageError: a value is not known, of the wrong type or contradicts another.
    """
    told = dict(settings.node)
    peers = tuple(_made(Peer, one, "peers") for one in _tables(told.pop("peers", []), "peers"))
    archives = tuple(_made(Archive, one, "archives") for one in _tables(told.pop("archives", []), "archives"))
    node: Node = _made(Node, {**told, "peers": peers, "archives": archives}, "")
    _check_entities(node)
    names = [p.ae_title for p in peers] + [a.name for a in archives]
    if len(set(names)) != len(names):
        raise UsageError("[node]: two peers or archives have one name.", hint=_HINT)
    for name in (*node.send_to, *node.priors_from):
        if name not in names:
            raise UsageError("[node]: send_to or priors_from names nobody among peers and archives.", hint=_HINT)
        peer = node.peer(name)
        if peer is not None and not (peer.port and ipaddress.ip_network(peer.address, strict=False).num_addresses == 1):
            raise UsageError("[node]: a peer that is connected to needs one address and a port.", hint=_HINT)
        if peer is not None and name in node.priors_from and not node.port:
            raise UsageError("[node]: C-MOVE brings priors to this node, which has no port.", hint=_HINT)
    if not set(node.send) <= set(KINDS) or any(not set(p.may) <= set(RIGHTS) for p in peers):
        raise UsageError(f"[node]: send takes {', '.join(KINDS)}; may takes {', '.join(RIGHTS)}.", hint=_HINT)
    if node.seg_type not in SEG_TYPES:
        raise UsageError(f"[node]: seg_type takes {', '.join(SEG_TYPES)}.", hint=_HINT)
    if bool(node.certificate) != bool(node.key):
        raise UsageError("[node]: certificate and key belong together.", hint=_HINT)
    if node.pdu_bytes < 4096 or node.associations < 1 or node.connections < 1 or node.timeout_s <= 0:
        raise UsageError("[node]: pdu_bytes, associations, connections or timeout_s is too small.", hint=_HINT)
    return node


def _check_entities(node: Node) -> None:
    for title in (node.ae_title, *(p.ae_title for p in node.peers)):
        if not _TITLE.fullmatch(title):
            raise UsageError("[node]: an AE title has 1 to 16 printable characters.", hint=_HINT)
    for peer in node.peers:
        try:
            ipaddress.ip_network(peer.address, strict=False)
        except ValueError:
            raise UsageError("[node]: address of a peer is no IP address or network.", hint=_HINT) from None
    for archive in node.archives:
        parts = urlsplit(archive.url)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not (parts.scheme == "https" or (parts.scheme == "http" and local)) or parts.query or parts.username:
            raise UsageError("[node]: url of an archive begins with https://.", hint=_HINT)
        if archive.token_file and not Path(archive.token_file).is_file():
            raise UsageError("[node]: token_file of an archive is not there.", hint=_HINT)
    for origin in node.origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise UsageError("[node]: an origin is a scheme and a host, https://viewer.example.", hint=_HINT)


def _tables(found: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError(f"[[node.{where}]]: wanted tables.", hint=_HINT)
    return found


def _made(kind: Any, found: dict[str, Any], where: str) -> Any:
    """Return a record of what a table says; every value has the type of its default."""
    known = {f.name: f for f in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name not in known:
            raise UsageError(f"[node] {where}: there is no such setting as {name!r}.", hint=_HINT)
        wanted = str(known[name].type)
        if wanted.startswith("tuple"):
            is_right = isinstance(value, list | tuple)
            value = tuple(value) if is_right else value
            is_right = is_right and (name in ("peers", "archives") or all(isinstance(one, str) for one in value))
        elif wanted == "float":
            is_right = isinstance(value, int | float) and not isinstance(value, bool)
        else:
            is_right = type(value).__name__ == wanted
        if not is_right:
            raise UsageError(f"[node] {where}: {name} has another type than {wanted}.", hint=_HINT)
        values[name] = value
    try:
        return kind(**values)
    except TypeError:
        raise UsageError(f"[node] {where}: a name or an address is missing.", hint=_HINT) from None
