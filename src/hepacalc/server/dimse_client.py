"""Speaking DICOM with other systems: sending, finding, and having them send (C-STORE, C-FIND, C-MOVE as SCU)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from hepacalc.errors import PeerRefused, Unavailable
from hepacalc.server.node_settings import Node, Peer
from hepacalc.study.guard import quiet

__all__ = ["echo", "find_studies", "move_study", "send_files"]

_LOG = logging.getLogger("hepacalc.server.dimse")
_MOST_CONTEXTS = 128
_MOVE_S = 1800.0
_WAIT = "It is tried again by itself; look at the network and at the other system."
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_ASK_SEG = "If it knows no label maps, set seg_type in server.toml, see docs/howto/dicom-node.md."
_ASK = "Ask who runs the other system whether it accepts this server and these objects."


@contextmanager
def _association(node: Node, peer: Peer, contexts: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Association]:
    """Give an association with a peer.

    Raises:
        Unavailable: the peer cannot be reached or has no room just now.
        PeerRefused: it does not want this server.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    entity = AE(node.ae_title)
    entity.acse_timeout = entity.network_timeout = entity.connection_timeout = node.timeout_s
    entity.dimse_timeout = node.timeout_s
    for syntax, transfers in contexts[:_MOST_CONTEXTS]:
        entity.add_requested_context(syntax, list(transfers))
    tls: Any = (node.client_tls(), peer.address) if peer.tls else None
    found = entity.associate(peer.address, peer.port, ae_title=peer.ae_title, tls_args=tls)
    if not found.is_established:
        answer = found.acceptor.primitive
        if found.is_rejected and answer is not None and answer.result == 0x01:
            raise PeerRefused(f"{peer.ae_title} does not accept an association of this server.", hint=_ASK)
        if found.is_aborted and answer is not None and not found.accepted_contexts:
            raise PeerRefused(f"{peer.ae_title} takes none of these objects.", hint=_ASK)
        raise Unavailable(f"{peer.ae_title} cannot be reached.", hint=_WAIT)
    try:
        yield found
    finally:
        if found.is_established:
            found.release()


def echo(node: Node, peer: Peer) -> None:
    """Ask whether a peer is there (C-ECHO); errors as for :func:`send_files`."""
    with _association(node, peer, [(Verification, ["1.2.840.10008.1.2"])]) as found:
        status = found.send_c_echo().get("Status")
    if status != 0x0000:
        raise PeerRefused(f"{peer.ae_title} does not answer C-ECHO with success.", hint=_ASK)


def send_files(node: Node, peer: Peer, paths: Sequence[Path]) -> int:
    """Send DICOM files to a peer; return how many it took. It may have them already: the same UIDs are the same object.

    Args:
        node: this server.
        peer: where to.
        paths: of files of our own.

    Raises:
        Unavailable: the peer cannot be reached, or has no room just now.
        PeerRefused: it refuses this server or one of the objects.
    """
    with quiet():
        data = [pydicom.dcmread(path) for path in paths]
    as_held = {(str(one.SOPClassUID), str(one.file_meta.TransferSyntaxUID)) for one in data}
    plain = {(syntax, transfer) for syntax, _ in as_held for transfer in _PLAIN}
    with _association(node, peer, [(syntax, [transfer]) for syntax, transfer in sorted(as_held | plain)]) as found:
        taken = {(one.abstract_syntax, one.transfer_syntax[0]) for one in found.accepted_contexts}
        for one in data:
            kind, transfer = str(one.SOPClassUID), one.file_meta.TransferSyntaxUID
            if kind not in {syntax for syntax, _ in taken}:
                raise PeerRefused(
                    f"{peer.ae_title} does not take {one.Modality} objects ({one.SOPClassUID.name}).",
                    hint=_ASK_SEG if one.Modality == "SEG" else _ASK,
                )
            if transfer.is_compressed and (kind, transfer) not in taken:
                # every system takes the default transfer syntax (PS3.5, section 10.1)
                one.decompress(generate_instance_uid=False)
            try:
                status = found.send_c_store(one).get("Status")
            except RuntimeError as fault:  # the association ended
                raise Unavailable(f"{peer.ae_title} ended the association.", hint=_WAIT) from fault
            if status is None or status & 0xFF00 == 0xA700:
                raise Unavailable(f"{peer.ae_title} has no room or ended the association.", hint=_WAIT)
            if status != 0x0000 and status & 0xF000 != 0xB000:  # B000-BFFF are warnings: it is stored
                raise PeerRefused(f"{peer.ae_title} refused an object with status {status:04X}.", hint=_ASK)
    return len(data)


def find_studies(node: Node, peer: Peer, patient_id: str) -> list[Dataset]:
    """Return the studies of a patient that a peer holds (C-FIND), as it tells them.

    Args:
        node: this server.
        peer: who is asked.
        patient_id: matched exactly.

    Raises:
        Unavailable: the peer cannot be reached or ends early.
        PeerRefused: it refuses the query.
    """
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.PatientID = patient_id
    for keyword in ("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "PatientBirthDate"):
        setattr(asked, keyword, None)
    model = StudyRootQueryRetrieveInformationModelFind
    out: list[Dataset] = []
    with _association(node, peer, [(model, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])]) as found:
        for status, identifier in found.send_c_find(asked, model):
            code = status.get("Status")
            if code is None:
                raise Unavailable(f"{peer.ae_title} ended the association.", hint=_WAIT)
            if code in (0xFF00, 0xFF01) and identifier is not None:
                out.append(identifier)
            elif code != 0x0000:
                raise PeerRefused(f"{peer.ae_title} refused a query with status {code:04X}.", hint=_ASK)
    return out


def move_study(node: Node, peer: Peer, study_uid: str) -> int:
    """Have a peer send a study to this node (C-MOVE); return how many objects it sent.

    Raises:
        Unavailable: the peer cannot be reached, or some objects did not arrive.
        PeerRefused: it refuses, e.g. since it does not know this node as a destination.
    """
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = study_uid
    model, sent = StudyRootQueryRetrieveInformationModelMove, 0
    with _association(node, peer, [(model, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])]) as found:
        found.dimse_timeout = _MOVE_S
        for status, _ in found.send_c_move(asked, node.ae_title, model):
            code = status.get("Status")
            if code is None:
                raise Unavailable(f"{peer.ae_title} ended the association.", hint=_WAIT)
            sent = int(status.get("NumberOfCompletedSuboperations", sent) or 0)
            if code == 0xB000 or code & 0xFF00 == 0xA700:
                raise Unavailable(f"{peer.ae_title} could not send every object.", hint=_WAIT)
            if code not in (0xFF00, 0x0000):
                raise PeerRefused(f"{peer.ae_title} refused a retrieval with status {code:04X}.", hint=_ASK)
    return sent
