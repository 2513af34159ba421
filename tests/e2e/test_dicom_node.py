"""The DICOM node against other people's programs: dcmtk's echoscu, storescu, findscu, movescu."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

pytest.importorskip("pynetdicom", reason="needs pynetdicom (pip install 'hepacalc[server]')")
pytest.importorskip("sqlalchemy")

import node_scenes as scenes
from hepacalc.errors import UsageError
from hepacalc.server.database import reading
from hepacalc.server.node_settings import read_node
from hepacalc.server.settings import Settings
from hepacalc.server.tables import audit, instances, jobs, studies, uploads

FINDS = ("-S", "-aet", "READER", "-aec", "HEPACALC", "127.0.0.1")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[scenes.Running]:
    with scenes.running(scenes.settings_of(tmp_path / "data")) as found:
        yield found


def rows(node: scenes.Running, table: Any) -> list[Any]:
    with reading(node.site.engine) as connection:
        return list(connection.execute(select(table)).mappings())


def filed(node: scenes.Running, tmp_path: Path, **changes: Any) -> list[Path]:
    """Three images, sent and filed."""
    paths = scenes.study(tmp_path / "sent", **changes)
    assert node.store(*paths).returncode == 0
    node.work("intake")
    return paths


def test_echo(node: scenes.Running):
    assert scenes.dcmtk("echoscu", "-aet", "CT01", "-aec", "HEPACALC", "127.0.0.1", node.port).returncode == 0


def test_a_study_is_filed_once_it_is_quiet(node: scenes.Running, tmp_path: Path):
    paths = scenes.study(tmp_path / "sent", 4)
    assert node.store(*paths).returncode == 0
    (upload,) = rows(node, uploads)
    assert upload["state"] == "received", "acknowledged, so on disk and in the job table"
    assert len(list((node.site.store.incoming(upload["id"])).iterdir())) == 4
    node.work("intake")
    (study,) = rows(node, studies)
    assert (study["uid"], study["instance_count"]) == (scenes.uid_of(paths[0], "StudyInstanceUID"), 4)
    assert [job["kind"] for job in rows(node, jobs) if job["state"] == "queued"] == ["assess"]
    for held in rows(node, instances):
        stored = (node.site.store.study(study["folder"]) / held["path"]).read_bytes()
        sent = next(p for p in paths if scenes.uid_of(p) == held["sop_uid"])
        assert pydicom.dcmread(sent) == pydicom.dcmread(node.site.store.study(study["folder"]) / held["path"])
        assert stored[128:132] == b"DICM"


@pytest.mark.parametrize(("calling", "called"), [("NOBODY", "HEPACALC"), ("CT01", "SOMEONE"), ("FAR", "HEPACALC")])
def test_who_is_not_listed_is_refused(node: scenes.Running, tmp_path: Path, calling: str, called: str):
    paths = scenes.study(tmp_path / "sent", 1)
    done = node.store(*paths, calling=calling, called=called)
    assert done.returncode != 0
    assert "Rejected" in done.stdout + done.stderr
    assert rows(node, uploads) == []


def test_find_is_for_those_who_may_and_of_their_team(node: scenes.Running, tmp_path: Path):
    paths = filed(node, tmp_path)

    def found(*keys: str, title: str = "READER") -> list[str]:
        asked = [part for key in keys for part in ("-k", key)]
        where = ("-v", *FINDS[:2], title, *FINDS[3:])
        done = scenes.dcmtk("findscu", *where, node.port, *asked)
        answers = re.split(r"Find Response: \d+", done.stdout + done.stderr)[1:]
        return [uid for one in answers for uid in re.findall(r"\(0020,000d\) UI \[([0-9.]+)", one)]

    uid = scenes.uid_of(paths[0], "StudyInstanceUID")
    level = "QueryRetrieveLevel=STUDY"
    for key in ("PatientName=PLANTED*", "PatientID=P-17", "StudyDate=20261001-20261130", "ModalitiesInStudy=CT",
                f"StudyInstanceUID={uid}", "AccessionNumber=A?1", "StudyDate=-20261101"):  # fmt: skip
        assert found(level, "StudyInstanceUID", key) == [uid], key
    for key in (
        "PatientName=Plant",
        "StudyDate=20261102-",
        "ModalitiesInStudy=MR",
        "PatientID=P_17",
        "PatientID=' OR 1=1",
    ):
        assert found(level, "StudyInstanceUID", key) == [], key
    assert found("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={uid}", "SeriesInstanceUID") == [uid]
    assert found("QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={uid}", "SOPInstanceUID") == [uid] * 3
    assert found(level, "StudyInstanceUID", title="OTHER") == [], "another team"
    assert found(level, "StudyInstanceUID", title="CT01") == [], "may store only"


def test_move_goes_to_a_listed_peer_only(tmp_path: Path):
    target = scenes.free_port()
    peers = [*scenes.PEERS, {"ae_title": "VIEWER", "address": "127.0.0.1", "port": target}]
    with scenes.running(scenes.settings_of(tmp_path / "data", peers=peers)) as node:
        paths = filed(node, tmp_path)
        uid = scenes.uid_of(paths[0], "StudyInstanceUID")
        out = tmp_path / "moved"
        out.mkdir()
        asked = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}", "-od", out)
        moved = ("-v", *FINDS[:-1], "--port", target, "-aem", "VIEWER", "127.0.0.1", node.port)
        assert scenes.dcmtk("movescu", *moved, *asked).returncode == 0
        got = {scenes.uid_of(p) for p in out.iterdir()}
        assert got == {scenes.uid_of(p) for p in paths}
        with reading(node.site.engine) as connection:
            study = connection.execute(select(studies.c.id)).scalar()
            noted = connection.execute(select(audit.c.object_id, audit.c.address)).all()
        assert noted == [(study, "READER to VIEWER, 127.0.0.1")]
        other = ("-v", *FINDS[:-1], "--port", target, "-aem", "STRANGER", "127.0.0.1", node.port)
        done = scenes.dcmtk("movescu", *other, *asked)
        assert "A801" in done.stdout + done.stderr or "MoveDestinationUnknown" in done.stdout + done.stderr


def test_uids_are_never_paths(node: scenes.Running, tmp_path: Path):
    evil = "../../../../tmp/x"
    pynetdicom = pytest.importorskip("pynetdicom")
    entity = pynetdicom.AE("CT01")
    entity.add_requested_context(scenes.CT)
    association = entity.associate("127.0.0.1", node.port, ae_title="HEPACALC")
    with pydicom.config.disable_value_validation():
        one = scenes.image(StudyInstanceUID=evil, SOPInstanceUID=evil, SeriesInstanceUID=evil)
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        status = association.send_c_store(one)
    association.release()
    assert status.Status == 0x0000
    node.work("intake")
    (held,) = rows(node, instances)
    assert ".." not in held["path"]
    everything = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert all(p.is_relative_to(tmp_path / "data") for p in everything)
    assert not re.search(r"[^0-9.]", held["sop_uid"]), "a UID that is none is replaced"


def test_deflated_is_not_negotiated(node: scenes.Running):
    pynetdicom = pytest.importorskip("pynetdicom")
    entity = pynetdicom.AE("CT01")
    entity.add_requested_context(scenes.CT, ["1.2.840.10008.1.2.1.99"])
    association = entity.associate("127.0.0.1", node.port, ae_title="HEPACALC")
    accepted = association.accepted_contexts
    association.abort() if association.is_established else None
    assert accepted == []


def connected(node: scenes.Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), timeout=10)


def test_oversized_pdu_ends_the_connection(node: scenes.Running, tmp_path: Path):
    with connected(node) as raw:
        raw.sendall(struct.pack(">BBL", 0x01, 0, 0xFFFFFFF0) + b"\0" * 4096)
        raw.settimeout(10)
        assert raw.recv(64)[:1] in (b"", b"\x07"), "closed or aborted at once"
    assert node.store(*scenes.study(tmp_path / "after", 1)).returncode == 0


def test_an_object_larger_than_the_site_takes_is_not_taken(tmp_path: Path):
    with scenes.running(scenes.settings_of(tmp_path / "data", object_bytes=300_000)) as node:
        large = scenes.image(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
        assert node.store(*scenes.written(tmp_path / "large", large)).returncode != 0
        assert rows(node, uploads) == []
        many = [scenes.image(Rows=256, Columns=256, PixelData=bytes(256 * 256 * 2)) for _ in range(6)]
        assert node.store(*scenes.written(tmp_path / "many", *many)).returncode == 0, "what was handled is not counted"


def test_floods_of_connections_leave_room(tmp_path: Path):
    with scenes.running(scenes.settings_of(tmp_path / "data", connections=6, timeout_s=2.0)) as node:
        held = [connected(node) for _ in range(60)]
        time.sleep(0.5)
        closed = 0
        for one in held:
            one.settimeout(0.05)
            try:
                closed += one.recv(1) == b""
            except (TimeoutError, ConnectionError):
                continue
        assert closed >= 50, "those beyond the limit are closed without a thread"
        for one in held:
            one.close()
        deadline = time.monotonic() + 20
        paths = scenes.study(tmp_path / "after", 1)
        while node.store(*paths).returncode != 0:
            assert time.monotonic() < deadline, "it recovers by itself"
            time.sleep(0.2)


def test_a_full_house_says_so(tmp_path: Path):
    pynetdicom = pytest.importorskip("pynetdicom")
    with scenes.running(scenes.settings_of(tmp_path / "data", associations=2)) as node:
        entity = pynetdicom.AE("CT01")
        entity.add_requested_context(scenes.CT)
        held = [entity.associate("127.0.0.1", node.port, ae_title="HEPACALC") for _ in range(3)]
        assert [one.is_established for one in held] == [True, True, False]
        assert held[2].acceptor.primitive.result == 0x02, "transient: try again"
        for one in held[:2]:
            one.release()


def test_an_unknown_address_gets_no_association(tmp_path: Path):
    peers = [{"ae_title": "CT01", "address": "192.0.2.0/24"}]
    with scenes.running(scenes.settings_of(tmp_path / "data", peers=peers)) as node:
        with connected(node) as raw:
            raw.settimeout(5)
            assert raw.recv(1) == b""
        assert node.store(*scenes.study(tmp_path / "sent", 1)).returncode != 0


@pytest.mark.parametrize("told", [
    {"ae_title": "SEVENTEEN_LETTERS"}, {"peers": [{"ae_title": "A", "address": "host"}]}, {"prot": 1}, {"port": "104"},
    {"send_to": ["GONE"]}, {"peers": [{"ae_title": "A"}]}, {"send": ["CT"]}, {"origins": ["*"]},
    {"archives": [{"name": "a", "url": "http://192.0.2.1/x"}]}, {"certificate": "a.pem"},
    {"peers": [{"ae_title": "A", "address": "10.0.0.0/24", "port": 104}], "send_to": ["A"]},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(tmp_path: Path, told: dict[str, Any]):
    with pytest.raises(UsageError):
        read_node(Settings(tmp_path, node=told))
