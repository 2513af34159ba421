"""The association server of the node: pynetdicom's, with limits on what a stranger or a broken peer can cost.

pynetdicom announces a largest PDU but reads whatever a header claims, begins a TLS handshake in the thread that accepts
connections, and starts a thread for everybody. Here a connection is refused before it costs a thread, a handshake runs
in the connection's own thread and in limited time, and neither one PDU nor what piles up of a message can grow without
end.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from socketserver import BaseServer
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from hepacalc.server.node_settings import Node

__all__ = ["GuardedServer", "message_is_handled"]

_LOG = logging.getLogger("hepacalc.server.dimse")
_CHUNK = 2**18
_SLACK = 2**16
"""Bytes beside the largest object that may be waiting: commands, and a PDU that has just begun."""


class _GuardedSocket(AssociationSocket):
    """Reads in large pieces, and ends a connection that sends more than it may."""

    most_pdu, most_waiting = 2**17, 2**30
    waiting = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Return so many bytes, or fewer when the connection ends.

        Raises:
            OSError: more is announced, or waits to be handled, than is taken.
        """
        if nr_bytes > self.most_pdu or self.waiting + nr_bytes > self.most_waiting:
            _LOG.warning("oversized PDU or message", extra={"bytes": nr_bytes})
            raise OSError("more than is taken")
        self.waiting += nr_bytes
        assert self.socket is not None
        data = bytearray(nr_bytes)
        view, read = memoryview(data), 0
        while read < nr_bytes:
            found = self.socket.recv_into(view[read : read + _CHUNK])
            if not found:
                break
            read += found
        view.release()
        del data[read:]
        return data

    def _shutdown_socket(self) -> None:
        """Close the connection, also when the other side is gone already: then pynetdicom would leave it open."""
        found = self.socket
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            found.close()


def message_is_handled(association: Association) -> None:
    """Forget how many bytes came: the message that they were is dealt with."""
    found = association.dul.socket
    if isinstance(found, _GuardedSocket):
        found.waiting = 0


class _Handler(RequestHandler):
    """Makes the association of one connection."""

    server: GuardedServer

    def _create_association(self) -> Association:
        association = super()._create_association()
        node = self.server.node
        guarded = _GuardedSocket(association, client_socket=self.request)
        guarded.most_pdu = node.pdu_bytes + _SLACK
        guarded.most_waiting = node.object_bytes + _SLACK
        association.dul.event_queue.queue.clear()  # two sockets told of one connection
        association.dul.event_queue.put("Evt5")
        association.dul.socket = guarded
        return association


class GuardedServer(ThreadedAssociationServer):
    """Takes connections from the addresses of known peers, no more at once than the site allows."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, entity: Any, address: Any, ae_title: str, contexts: Any, tls: ssl.SSLContext | None, *, node: Node,
        **more: Any,
    ) -> None:  # fmt: skip
        self.node = node
        self._open: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        super().__init__(entity, address, ae_title, contexts, tls, request_handler=_Handler, **more)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return a connection as it is: TLS begins in its own thread."""
        request, address = self.socket.accept()  # type: ignore[union-attr]
        request.settimeout(self.node.timeout_s)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return request, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection is taken at all."""
        address = str(client_address[0])
        with self._lock:
            self._open = {one: where for one, where in self._open.items() if one.fileno() != -1}
            mine = sum(where == address for where in self._open.values())
            why = ""
            if not any(peer.comes_from(address) for peer in self.node.peers):
                why = "unknown address"
            elif mine >= self.node.connections or len(self._open) >= 4 * self.node.connections:
                why = "too many connections"
            else:
                self._open[request] = address
        if why:
            _LOG.warning("connection refused", extra={"reason": why, "address": address})
        return not why

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Begin TLS, if wanted, and then the association."""
        found = request
        if self.ssl_context is not None:
            try:
                found = self.ssl_context.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                _LOG.warning("TLS handshake failed", extra={"address": str(client_address[0])})
                self.shutdown_request(request)
                return
            with self._lock:
                self._open.pop(request, None)
                self._open[found] = str(client_address[0])
        super().process_request_thread(found, client_address)

    def shutdown(self) -> None:
        """Take no more connections, and end those that are."""
        BaseServer.shutdown(self)
        self.server_close()
        for association in self.active_associations:
            association.abort()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note that a connection failed, without what it said."""
        _LOG.warning("connection failed", extra={"address": str(client_address[0])})
