"""What ``hepacalc doctor`` says of the DICOM node, of those it sends to, and of CDS Hooks."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from sqlalchemy import func, select

from hepacalc.errors import HepacalcError
from hepacalc.server.cds_settings import read_cds
from hepacalc.server.database import open_database, reading
from hepacalc.server.node_settings import Node, Peer, read_node
from hepacalc.server.settings import Settings
from hepacalc.server.tables import jobs

__all__ = ["node_checks"]

_LOCAL = ("127.0.0.1", "::1", "localhost")


def node_checks(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, level, text and remedy of each thing that was looked at; partners are asked by C-ECHO."""
    try:
        read_cds(settings)
        node = read_node(settings)
    except HepacalcError as error:
        yield "DICOM, CDS", "fail", f"{error.code} {error.message}", error.hint
        return
    if node.port:
        yield from _listening(node)
    for name in dict.fromkeys((*node.send_to, *node.priors_from)):
        partner = node.partner(name)
        if isinstance(partner, Peer):
            yield _echoed(node, partner)
    yield from _waiting(settings)


def _listening(node: Node) -> Iterator[tuple[str, str, str, str]]:
    host = "127.0.0.1" if node.host == "0.0.0.0" else node.host
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        answers = probe.connect_ex((host, node.port)) == 0
    said = f"{node.ae_title}, port {node.port}, {len(node.peers)} peers"
    yield "DICOM node", "ok", said + (": it answers." if answers else ": it does not run now."), ""
    if not node.certificate and node.host not in _LOCAL:
        yield "DICOM TLS", "warn", "objects go over the network in the clear.", "Set certificate and key in [node]."
    if not node.peers:
        yield "DICOM node", "fail", "it knows no peer, so nobody may send.", "Add [[node.peers]]."


def _echoed(node: Node, peer: Peer) -> tuple[str, str, str, str]:
    from hepacalc.server.dimse_client import echo

    try:
        echo(node, peer)
    except HepacalcError as error:
        return f"peer {peer.ae_title}", "fail", error.message, error.hint
    return f"peer {peer.ae_title}", "ok", "it answers C-ECHO.", ""


def _waiting(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    try:
        engine = open_database(settings)
    except HepacalcError:
        return  # the check of the database says so
    with reading(engine) as connection:
        count = connection.execute(
            select(func.count()).where(
                jobs.c.kind.in_(("send", "priors", "fetch")), jobs.c.state == "queued", jobs.c.error_code != ""
            )
        ).scalar()
    engine.dispose()
    if count:
        yield (
            "DICOM jobs",
            "warn",
            f"{count} wait for another system that is away.",
            "They are tried again by themselves.",
        )
