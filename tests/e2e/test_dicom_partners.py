"""Orthanc both ways: results go there, studies and priors come from there; and a PACS that is away for a while."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select, update

pytest.importorskip("pynetdicom", reason="needs pynetdicom (pip install 'hepacalc[server]')")
pytest.importorskip("fastapi", reason="needs fastapi (pip install 'hepacalc[server]')")

from test_orthanc import Server, get, server

import node_scenes as scenes
from hepacalc.server.database import reading, writing
from hepacalc.server.outgoing import queue_sends
from hepacalc.server.tables import assessments, instances, jobs, studies, uploads
from hepacalc.server.work.priors import priors_among
from hepacalc.server.worker import open_site

__all__ = ["server"]  # the fixture


def rows(site: Any, table: Any, *where: Any) -> list[Any]:
    with reading(site.engine) as connection:
        return list(connection.execute(select(table).where(*where)).mappings())


def put(url: str, body: Any, method: str = "PUT") -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def upload(server: Server, *paths: Path) -> None:
    for path in paths:
        request = urllib.request.Request(f"{server.http}/instances", path.read_bytes(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()


def modalities(server: Server, study_uid: str) -> list[str]:
    query = json.dumps({"Level": "Series", "Query": {"StudyInstanceUID": study_uid}, "Expand": True}).encode()
    with urllib.request.urlopen(f"{server.http}/tools/find", data=query, timeout=30) as answer:
        return sorted(one["MainDicomTags"]["Modality"] for one in json.loads(answer.read()))


def partners(server: Server) -> dict[str, Any]:
    return {
        "peers": [*scenes.PEERS, {"ae_title": "ORTHANC", "address": "127.0.0.1", "port": server.dicom_port,
                                  "may": ["store", "query", "retrieve"]}],
        "archives": [{"name": "web", "url": f"{server.http}/dicom-web"}],
    }  # fmt: skip


def test_results_go_where_the_site_says(server: Server, tmp_path: Path):
    site = open_site(scenes.settings_of(tmp_path / "data", send_to=["ORTHANC", "web"], **partners(server)))
    row = scenes.hold(site, tmp_path)
    sends = rows(site, jobs, jobs.c.kind == "send")
    assert sorted(job["payload"]["to"] for job in sends) == ["ORTHANC", "web"], "queued with the assessment"
    assert scenes.run_due(site, "send") == 2
    assert [job["result"]["sent"] for job in rows(site, jobs, jobs.c.kind == "send")] == [3, 3]
    assert modalities(server, row["uid"]) == ["SEG", "SEG", "SR"]
    for held in rows(site, instances, instances.c.modality == "SEG"):
        known = pydicom.dcmread(site.store.study(row["folder"]) / held["path"])
        query = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": held["sop_uid"]}}).encode()
        with urllib.request.urlopen(f"{server.http}/tools/find", data=query, timeout=30) as answer:
            (found,) = json.loads(answer.read())
        got = get(f"{server.http}/instances/{found}/file")
        assert known.PixelData in got
    site.engine.dispose()


def test_a_pacs_that_is_away_is_tried_again_and_said(server: Server, tmp_path: Path):
    away = scenes.free_port()
    peers = [{"ae_title": "PACS", "address": "127.0.0.1", "port": away}]
    archives = [{"name": "web", "url": f"http://127.0.0.1:{away}/dicom-web"}]
    told: dict[str, Any] = {"send_to": ["PACS", "web"], "peers": peers, "archives": archives}
    site = open_site(scenes.settings_of(tmp_path / "data", **told))
    row = scenes.hold(site, tmp_path)
    waits = []
    for _ in range(2):
        began = time.time()
        assert scenes.run_due(site, "send") == 2
        both = rows(site, jobs, jobs.c.kind == "send")
        assert [(job["state"], job["error_code"], job["tries"]) for job in both] == [("queued", "SRV-07", 0)] * 2
        assert all("cannot be reached" in job["error"] for job in both)
        waits.append(min(job["not_before"] for job in both) - began)
        scenes.waited(site)
    assert waits[0] + 5 < waits[1], "longer and longer"
    (study,) = rows(site, studies)
    assert study["state"] == "assessed", "the study itself is not touched by it"
    # it is back, at the same address as far as the job is concerned
    told |= {**partners(server), "send_to": ["ORTHANC", "web"]}
    with writing(site.engine) as connection:
        for job in rows(site, jobs, jobs.c.kind == "send"):
            to = {"PACS": "ORTHANC"}.get(job["payload"]["to"], "web")
            connection.execute(update(jobs).where(jobs.c.id == job["id"]).values(payload={**job["payload"], "to": to}))
    back = open_site(scenes.settings_of(tmp_path / "data", **told))
    assert scenes.run_due(back, "send") == 2
    assert {job["state"] for job in rows(back, jobs, jobs.c.kind == "send")} == {"done"}
    assert modalities(server, row["uid"]) == ["SEG", "SEG", "SR"]
    site.engine.dispose()
    back.engine.dispose()


def test_a_peer_that_refuses_is_said_on_the_study(server: Server, tmp_path: Path):
    peers = [{"ae_title": "WRONG", "address": "127.0.0.1", "port": server.dicom_port}]
    settings = scenes.settings_of(tmp_path / "data", send_to=["WRONG"], peers=peers, ae_title="STRANGER")
    site = open_site(settings)
    scenes.hold(site, tmp_path)
    asked = 0
    # a busy machine may not reach the peer in time; that is no refusal and does not count as one
    while asked < 4 * site.settings.limits.tries and not rows(site, jobs, jobs.c.state == "failed"):
        scenes.waited(site)
        assert scenes.run_due(site, "send") == 1
        asked += 1
    assert asked >= site.settings.limits.tries, "not given up at once"
    (job,) = rows(site, jobs, jobs.c.kind == "send")
    (study,) = rows(site, studies)
    assert (job["state"], job["error_code"], study["state"]) == ("failed", "SRV-10", "assessed")
    assert "did not get to WRONG" in study["error"]
    site.engine.dispose()


def test_a_peer_that_takes_nothing_compressed_gets_it_uncompressed(tmp_path: Path):
    port = scenes.free_port()
    (tmp_path / "pacs").mkdir()
    command = [scenes.tool("storescp"), "-pm", "-aet", "PACS", "-od", str(tmp_path / "pacs"), str(port)]
    peers = [{"ae_title": "PACS", "address": "127.0.0.1", "port": port}]
    site = open_site(scenes.settings_of(tmp_path / "data", send_to=["PACS"], peers=peers))
    scenes.hold(site, tmp_path)
    with subprocess.Popen(command) as pacs:
        while scenes.dcmtk("echoscu", "127.0.0.1", port).returncode:
            time.sleep(0.05)
        scenes.run_due(site, "send")
        pacs.terminate()
    held = {one["sop_uid"]: one for one in rows(site, instances, instances.c.modality == "SEG")}
    assert held
    got = [pydicom.dcmread(path) for path in (tmp_path / "pacs").iterdir()]
    for one in (one for one in got if one.Modality == "SEG"):
        assert not one.file_meta.TransferSyntaxUID.is_compressed
        (study,) = rows(site, studies)
        known = pydicom.dcmread(site.store.study(study["folder"]) / held.pop(one.SOPInstanceUID)["path"])
        assert known.file_meta.TransferSyntaxUID.is_compressed, "as we keep it"
        assert (one.pixel_array == known.pixel_array).all()
    assert not held
    site.engine.dispose()


def test_only_the_newest_assessment_is_sent(server: Server, tmp_path: Path):
    site = open_site(scenes.settings_of(tmp_path / "data", send_to=["web"], **partners(server)))
    row = scenes.hold(site, tmp_path)
    with writing(site.engine) as connection:
        connection.execute(update(studies).values(assessment_id="0" * 32))
    scenes.run_due(site, "send")
    (job,) = rows(site, jobs, jobs.c.kind == "send")
    assert job["result"] == {"sent": 0, "superseded": True, "to": "web"}
    (made,) = rows(site, assessments)
    with writing(site.engine) as connection:
        connection.execute(jobs.delete().where(jobs.c.kind == "send"))
        first = queue_sends(connection, site.settings, row["id"], made["id"], "edit")
        again = queue_sends(connection, site.settings, row["id"], made["id"], "edit")
    (later,) = rows(site, jobs, jobs.c.kind == "send")
    assert (first, later["not_before"] > time.time() + 200) == (again, True), "corrections settle first"
    site.engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ORTHANC", "web"])
def test_a_study_comes_and_its_priors_are_fetched(server: Server, tmp_path: Path, way: str):
    number = f"PRIOR-{way}"
    same = {"PatientID": number, "StudyDescription": "Liver"}
    older = scenes.study(tmp_path / "older", 2, StudyDate="20240301", **same)
    oldest = scenes.study(tmp_path / "oldest", 2, StudyDate="20010301", **same)
    other = scenes.study(tmp_path / "other", 1, StudyDate="20250301", PatientBirthDate="20010101", **same)
    new = scenes.study(tmp_path / "new", 3, StudyDate="20261101", **same)
    upload(server, *older, *oldest, *other, *new)
    settings = scenes.settings_of(tmp_path / "data", priors_from=[way], prior_years=10, **partners(server))
    with scenes.running(settings) as node:
        put(f"{server.http}/modalities/client", {"AET": "HEPACALC", "Host": "127.0.0.1", "Port": node.port})
        query = json.dumps({"Level": "Study", "Query": {"StudyInstanceUID": scenes.uid_of(new[0], "StudyInstanceUID")}})
        with urllib.request.urlopen(f"{server.http}/tools/find", data=query.encode(), timeout=30) as answer:
            (found,) = json.loads(answer.read())
        put(f"{server.http}/modalities/client/store", [found], "POST")
        node.work("intake", "priors", "fetch")
        assert [(j["kind"], j["error"]) for j in rows(node.site, jobs, jobs.c.state == "failed")] == []
        assert [j["result"] for j in rows(node.site, jobs, jobs.c.kind == "priors")] == [{"found": 1}]
        held = {row["uid"]: row for row in rows(node.site, studies)}
        assert set(held) == {scenes.uid_of(new[0], "StudyInstanceUID"), scenes.uid_of(older[0], "StudyInstanceUID")}
        assert held[scenes.uid_of(older[0], "StudyInstanceUID")]["instance_count"] == 2
        sources = {one["source"] for one in rows(node.site, uploads)}
        assert sources == ({"dicom:ORTHANC"} if way == "ORTHANC" else {"dicom:ORTHANC", "wado:web"})
        assert len(rows(node.site, jobs, jobs.c.kind == "priors")) == 1, "a prior's own priors are not asked for"


def test_priors_are_of_the_same_patient_and_earlier():
    study = {"patient_id": "7", "birth_date": "19500101", "study_date": "20260101", "held": ["1.9"]}

    def told(uid: str, **changes: str) -> dict[str, str]:
        base = {"StudyInstanceUID": uid, "StudyDate": "20250101", "ModalitiesInStudy": "CT\\SR",
                "PatientBirthDate": "19500101", "PatientID": "7"}  # fmt: skip
        return {**base, **changes}

    found = [
        told("1.1"), told("1.2", StudyDate="20250601"), told("1.3", ModalitiesInStudy="MR"), told("1.9"),
        told("1.4", StudyDate="20270101"), told("1.5", StudyDate="20100101"), told("1.6", PatientID="77"),
        told("1.7", PatientBirthDate="19500102"), told("../1"), told("1.8", StudyDate=""),
        told("1.10", PatientBirthDate="", StudyDate="20240101"),
    ]  # fmt: skip
    assert priors_among(found, study, most=9, years=10) == ["1.2", "1.1", "1.10"]
    assert priors_among(found, study, most=1, years=10) == ["1.2"]


def certificate(folder: Path) -> dict[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which is not installed")
    key, made = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made, "-days", "2",
         "-subj", "/CN=hepacalc", "-addext", "basicConstraints=critical,CA:TRUE"], check=True, capture_output=True,
    )  # fmt: skip
    return {"certificate": str(made), "key": str(key), "authority": str(made)}


def test_tls(tmp_path: Path):
    pem = certificate(tmp_path)
    with scenes.running(scenes.settings_of(tmp_path / "data", **pem)) as node:
        paths = scenes.study(tmp_path / "sent", 2)
        tls = ("+tls", pem["key"], pem["certificate"], "+cf", pem["certificate"])
        where = ("-aet", "CT01", "-aec", "HEPACALC", "127.0.0.1", node.port)
        assert scenes.dcmtk("storescu", *tls, *where, *paths).returncode == 0
        assert node.store(*paths).returncode != 0, "without TLS"
        nobody = ("--anonymous-tls", "+cf", pem["certificate"])
        assert scenes.dcmtk("storescu", *nobody, *where, *paths).returncode != 0, "without a certificate"
        assert [one["state"] for one in rows(node.site, uploads)] == ["received"]
        from hepacalc.server.dimse_client import send_files
        from hepacalc.server.node_settings import Peer, read_node

        peer = Peer("HEPACALC", "127.0.0.1", node.port, tls=True)
        mine = read_node(scenes.settings_of(tmp_path / "other", ae_title="CT01", **pem))
        assert send_files(mine, peer, scenes.study(tmp_path / "more", 1)) == 1


NODE = """
import sys, json
from pathlib import Path
from hepacalc.server.dimse import run_node
from hepacalc.server.settings import Settings
run_node(Settings(Path(sys.argv[1]), node=json.loads(sys.argv[2]), quiet_s=3600.0), "node", lambda: False, -1)
"""


def started(folder: Path, node: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", NODE, str(folder), json.dumps(node)], stderr=subprocess.DEVNULL)
    for _ in range(300):
        done = scenes.dcmtk("echoscu", "-aet", "CT01", "-aec", "HEPACALC", "127.0.0.1", node["port"])
        if done.returncode == 0:
            return process
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("the node does not answer")


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, ended: list[subprocess.Popen[bytes]]):
    pynetdicom = pytest.importorskip("pynetdicom")
    node = {"port": scenes.free_port(), "peers": scenes.PEERS}
    folder = tmp_path / "data"
    acknowledged: set[str] = set()
    same = generate_uid()
    number = 0
    for after in (3, 11, 1, 7):
        ended.append(started(folder, node))
        entity = pynetdicom.AE("CT01")
        entity.add_requested_context(scenes.CT)
        association = entity.associate("127.0.0.1", node["port"], ae_title="HEPACALC")
        raw = association.dul.socket.socket  # pynetdicom leaves it open when the other side is dead
        for n in range(after + 1):
            number += 1
            one = scenes.image(number, StudyInstanceUID=same, Rows=128, Columns=128, PixelData=bytes(128 * 128 * 2))
            one.file_meta = pydicom.dataset.FileMetaDataset()
            one.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            if n == after:
                os.kill(ended[-1].pid, signal.SIGKILL)
            try:
                status = association.send_c_store(one)
            except RuntimeError:
                break
            if status and status.Status == 0x0000:
                acknowledged.add(one.SOPInstanceUID)
        association.abort()
        ended[-1].wait()
        raw.close()
    assert len(acknowledged) >= 22
    site = open_site(scenes.settings_of(folder))
    scenes.waited(site)
    scenes.run_due(site, "intake")
    held = {one["sop_uid"] for one in rows(site, instances)}
    assert acknowledged <= held
    assert len(rows(site, studies)) == 1
    site.engine.dispose()
