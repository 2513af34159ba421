"""The DICOM node, in a process of its own: C-ECHO, C-STORE, C-FIND and C-MOVE, for listed application entities only.

An instance is answered with success once its file is on disk and its study stands in the job table
(``receive.receive_instance``); the study is filed and assessed after a quiet time. Nothing of an object is parsed here
but the few elements up to its StudyInstanceUID.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, cast

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from sqlalchemy import ColumnElement

from hepacalc.errors import DamagedFile, HepacalcError, TooLarge, Unavailable
from hepacalc.server import audit
from hepacalc.server.database import reading
from hepacalc.server.guarded import GuardedServer, message_is_handled
from hepacalc.server.node_settings import Node, Peer, read_node
from hepacalc.server.query import LEVELS, MATCHED, Level, find, held_instances
from hepacalc.server.receive import OpenUploads, receive_instance
from hepacalc.server.settings import Settings
from hepacalc.server.tables import studies
from hepacalc.server.telemetry import begin
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site
from hepacalc.study.guard import parsing, quiet

__all__ = ["SYNTAXES", "make_node", "run_node"]

SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2",  # explicit, implicit little endian
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.2",
)  # fmt: skip
"""Transfer syntaxes that are taken. The deflated one is not: a data set in it may expand without end."""
MOST_FOUND = 1000
_MOST_ELEMENTS_BYTES = 2**20
_SUCCESS, _PENDING, _CANCEL = 0x0000, 0xFF00, 0xFE00
_NO_RESOURCES, _NOT_UNDERSTOOD, _NOT_ALLOWED, _UNKNOWN_MOVE_TARGET = 0xA700, 0xC000, 0x0124, 0xA801
_WRONG_IDENTIFIER, _UNABLE = 0xA900, 0xC001
_LOG = logging.getLogger("hepacalc.server.dimse")


class _Service:
    """Answers the requests of associations."""

    def __init__(self, site: Site, node: Node) -> None:
        self.site, self.node, self.open = site, node, OpenUploads()

    def handlers(self) -> list[Any]:
        """Return the handlers as pynetdicom takes them."""
        return [
            (evt.EVT_REQUESTED, self.on_requested),
            (evt.EVT_C_ECHO, self.on_echo),
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_C_MOVE, self.on_move),
        ]

    def on_requested(self, event: evt.Event) -> None:
        """Refuse an association whose title does not come from that title's address."""
        asked: Any = event.assoc.requestor.primitive
        message_is_handled(event.assoc)
        peer = self.node.peer(str(asked.calling_ae_title).strip())
        address = _address(event)
        if peer is None or not peer.comes_from(address):
            self._refused(address, "calling AE title", 0x03, event)
        elif str(asked.called_ae_title).strip() != self.node.ae_title:
            self._refused(address, "called AE title", 0x07, event)

    def _refused(self, address: str, reason: str, diagnostic: int, event: evt.Event) -> None:
        _LOG.warning("association refused", extra={"address": address, "reason": reason})
        event.assoc.acse.send_reject(0x01, 0x01, diagnostic)
        event.assoc.kill()

    def _peer(self, event: evt.Event, right: str) -> Peer | None:
        """Return who asks, if it may."""
        message_is_handled(event.assoc)
        peer = self.node.peer(str(event.assoc.requestor.ae_title).strip())
        if peer is None or right not in peer.may:
            _LOG.warning("request refused", extra={"right": right})
            return None
        return peer

    def on_echo(self, event: evt.Event) -> int:
        """Answer C-ECHO (PS3.4 A.4)."""
        message_is_handled(event.assoc)
        return _SUCCESS

    def on_store(self, event: evt.Event) -> int:
        """Take one instance (PS3.4 B.2): success means that it survives whatever happens next."""
        peer = self._peer(event, "store")
        if peer is None:
            return _NOT_ALLOWED
        with begin("C-STORE", serves=True) as span, span.current():
            status = self._taken(event, peer)
            span.tell(hepacalc__dimse__status=status)
        return status

    def _taken(self, event: evt.Event, peer: Peer) -> int:
        """Bring an instance to disk and job table; return the status to answer with."""
        data, asked = event.encoded_dataset(), cast("Any", event.request)
        try:
            receive_instance(
                self.site.engine, self.site.settings, source=f"dicom:{peer.ae_title}", team=peer.team,
                study_uid=_study_uid(data), sop_uid=str(asked.AffectedSOPInstanceUID), data=[data], known=self.open,
            )  # fmt: skip
        except (Unavailable, TooLarge) as error:
            _LOG.warning("instance not taken", extra={"code": error.code})
            return _NO_RESOURCES
        except HepacalcError as error:
            _LOG.warning("instance not understood", extra={"code": error.code})
            return _NOT_UNDERSTOOD
        return _SUCCESS

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Tell what is held of the peer's team (PS3.4 C.4.1)."""
        peer = self._peer(event, "query")
        if peer is None:
            yield _NOT_ALLOWED, None
            return
        try:
            with quiet(), parsing(DamagedFile("an identifier cannot be read.", hint="Correct the query.")):
                asked = event.identifier
                level = str(asked.get("QueryRetrieveLevel", "")).strip()
                wanted = _wanted(asked)
            if level not in LEVELS:
                yield _WRONG_IDENTIFIER, None
                return
            with reading(self.site.engine) as connection:
                rows = find(connection, level, wanted, _of(peer), limit=MOST_FOUND)
        except HepacalcError as error:
            _LOG.warning("query failed", extra={"code": error.code})
            yield _UNABLE, None
            return
        self._note("dicom.find", f"{peer.ae_title}, {_address(event)}")
        for row in rows:
            if event.is_cancelled:
                yield _CANCEL, None
                return
            yield _PENDING, _answer(asked, row, level, self.node.ae_title)

    def on_move(self, event: evt.Event) -> Iterator[Any]:
        """Send what is held to a known peer (PS3.4 C.4.2), never to an address that a request names."""
        peer = self._peer(event, "retrieve")
        target = self.node.peer(str(event.move_destination).strip())
        if peer is None or target is None or not target.port or target.team != peer.team:
            yield None, None
            return
        found = self._asked_for(event, peer)
        syntaxes: dict[str, set[str]] = {}
        for one in found:
            syntaxes.setdefault(one.sop_class, set()).add(one.transfer_syntax)
        told: dict[str, Any] = {
            "ae_title": target.ae_title,
            "contexts": [build_context(c, s) for c, some in list(syntaxes.items())[:64] for s in sorted(some)][:128],
        }
        if target.tls:
            told["tls_args"] = (self.node.client_tls(), target.address)
        yield target.address, target.port, told
        yield len(found)
        for study_id in dict.fromkeys(one.study_id for one in found):
            who = f"{peer.ae_title} to {target.ae_title}, {_address(event)}"
            self._note("dicom.move", who, study_id)
        for one in found:
            if event.is_cancelled:
                yield _CANCEL, None
                return
            path = self.site.store.study(one.folder) / one.path
            with quiet():
                yield _PENDING, pydicom.dcmread(path)

    def _asked_for(self, event: evt.Event, peer: Peer) -> list[Any]:
        """Return the instances of a C-MOVE; none when it names no study."""
        try:
            with quiet(), parsing(DamagedFile("an identifier cannot be read.", hint="Correct the request.")):
                wanted = _wanted(event.identifier)
            if not wanted.get("StudyInstanceUID"):
                return []
            with reading(self.site.engine) as connection:
                found = [
                    one
                    for study in wanted["StudyInstanceUID"].split("\\")
                    for one in held_instances(connection, _of(peer), study=study)
                ]
        except HepacalcError as error:
            _LOG.warning("retrieval failed", extra={"code": error.code})
            return []
        for keyword, attribute in (("SeriesInstanceUID", "series_uid"), ("SOPInstanceUID", "sop_uid")):
            if uids := wanted.get(keyword, ""):
                found = [one for one in found if getattr(one, attribute) in uids.split("\\")]
        return found

    def _note(self, action: str, who: str, study_id: str = "") -> None:
        try:
            audit.note(self.site.engine, action, user_id=None, object_id=study_id, address=who)
        except Unavailable as error:
            _LOG.warning("audit failed", extra={"code": error.code})


def _address(event: evt.Event) -> str:
    found: Any = event.assoc.requestor.address_info
    return str(found.address)


def _of(peer: Peer) -> ColumnElement[bool]:
    return studies.c.team == peer.team


def _study_uid(data: bytes) -> str:
    """Return the StudyInstanceUID of an encoded object, reading no further.

    Raises:
        DamagedFile: it has none, or is no data set.
    """
    fault = DamagedFile("an object without StudyInstanceUID was sent.", hint="Send it again.")
    with quiet(), parsing(fault):
        head = read_partial(
            BytesIO(data[:_MOST_ELEMENTS_BYTES]), stop_when=lambda tag, _vr, _length: tag > 0x0020000D,
            specific_tags=[0x0020000D],
        )  # fmt: skip
        uid = str(head.get("StudyInstanceUID", "") or "").strip()
    if not 0 < len(uid) <= 64:
        raise fault
    return uid


def _wanted(identifier: Dataset) -> dict[str, str]:
    """Return the matching keys of an identifier as text."""
    found = {}
    for element in identifier:
        if element.keyword in MATCHED["IMAGE"] and element.value not in (None, ""):
            value = element.value
            several = not isinstance(value, str) and hasattr(value, "__iter__") and element.VR != "PN"
            found[element.keyword] = "\\".join(str(one) for one in value) if several else str(value)
    return found


def _answer(asked: Dataset, row: dict[str, Any], level: Level, title: str) -> Dataset:
    """Return one match: the attributes that were asked for, as far as they are known (PS3.4 C.4.1.1.3.2)."""
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.QueryRetrieveLevel = level
    out.RetrieveAETitle = title
    for element in asked:
        if element.keyword in row:
            value = row[element.keyword]
            setattr(out, element.keyword, "" if value is None else value)
        elif element.keyword not in ("QueryRetrieveLevel", "RetrieveAETitle", "SpecificCharacterSet", ""):
            setattr(out, element.keyword, [] if element.VR == "SQ" else None)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[: LEVELS.index(level) + 1]:
        setattr(out, keyword, row[keyword])
    return out


def make_node(site: Site, node: Node) -> GuardedServer:
    """Return the node's server, listening; its port may be read from ``server_address``.

    Raises:
        OSError: the port is taken.
    """
    _config.LOG_HANDLER_LEVEL = "none"  # it would write what objects hold
    entity = AE(node.ae_title)
    entity.maximum_associations = node.associations
    entity.maximum_pdu_size = node.pdu_bytes
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = node.timeout_s
    entity.require_called_aet = True
    entity.require_calling_aet = [peer.ae_title for peer in node.peers] or ["-"]
    contexts = [build_context(Verification)]
    contexts += [build_context(one.abstract_syntax, list(SYNTAXES)) for one in AllStoragePresentationContexts]
    for model in (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove):
        contexts.append(build_context(model, list(SYNTAXES[:2])))
    entity.supported_contexts = contexts
    made = entity.make_server(
        (node.host, node.port), ae_title=node.ae_title, contexts=contexts, ssl_context=node.server_tls(),
        evt_handlers=_Service(site, node).handlers(), server_class=GuardedServer, node=node,
    )  # fmt: skip
    return cast("GuardedServer", made)


def run_node(settings: Settings, _name: str, stopped: Callable[[], bool], _descriptor: int) -> None:
    """Be the node's process of the tree, see ``supervisor.py``; waits for a database that is away."""
    node, wait = read_node(settings), 0.5
    while not stopped():
        try:
            site = open_site(settings)
            break
        except Unavailable as error:
            _LOG.warning("database unavailable", extra={"code": error.code})
            time.sleep(wait)
            wait = min(wait * 2, 10.0)
    else:
        return
    server = make_node(site, node)
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    _LOG.info("node listens", extra={"port": server.server_address[1], "tls": bool(node.certificate)})
    while not stopped():
        time.sleep(0.2)
    server.shutdown()
