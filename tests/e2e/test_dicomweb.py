"""DICOMweb against dicomweb-client, and what must be refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, generate_uid
from sqlalchemy import select

pytest.importorskip("fastapi", reason="needs fastapi (pip install 'hepacalc[server]')")
pytest.importorskip("dicomweb_client", reason="needs dicomweb-client (pip install 'hepacalc[server]')")

import httpx
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session

import node_scenes as scenes
from hepacalc.server.database import reading
from hepacalc.server.tables import audit, instances, jobs, uploads
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site


@dataclass(frozen=True)
class World:
    site: Site
    url: str
    row: Any
    scan: list[Path]
    token: str

    def client(self, token: str | None = None) -> DICOMwebClient:
        session = create_session()
        session.headers["Authorization"] = f"Bearer {token or self.token}"
        return DICOMwebClient(f"{self.url}/dicomweb", session=session)

    def get(self, path: str, accept: str = "*/*", token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Accept": accept, "Authorization": f"Bearer {token or self.token}", **more.pop("headers", {})}
        return httpx.get(f"{self.url}/dicomweb{path}", headers=headers, timeout=60, trust_env=False, **more)

    def post(self, path: str, *bodies: bytes, kind: str = "application/dicom") -> httpx.Response:
        content = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in bodies)
        headers = {"Authorization": f"Bearer {self.token}",
                   "Content-Type": f'multipart/related; type="{kind}"; boundary=b'}  # fmt: skip
        return httpx.post(f"{self.url}/dicomweb{path}", content=content + b"--b--\r\n", headers=headers, timeout=60,
                          trust_env=False)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dicomweb")
    site = open_site(scenes.settings_of(folder / "data", origins=["https://viewer.example"]))
    row = scenes.hold(site, folder)
    token = scenes.token_of(site, "dicomweb")
    with scenes.served(site) as url:
        yield World(site, url, row, sorted((folder / "scan").iterdir()), token)
    site.engine.dispose()


def test_search(world: World):
    client = world.client()
    (study,) = client.search_for_studies(search_filters={"PatientName": "planted*"})
    assert study["0020000D"]["Value"] == [world.row["uid"]]
    assert study["00100010"]["Value"] == [{"Alphabetic": "Planted^Name"}]
    assert {"CT", "SEG", "SR"} <= set(study["00080061"]["Value"])
    series = client.search_for_series(study_instance_uid=world.row["uid"], search_filters={"Modality": "CT"})
    assert [one["00201209"]["Value"] for one in series] == [[len(world.scan)]]
    found = client.search_for_instances(study_instance_uid=world.row["uid"], limit=4, offset=2)
    assert len(found) == 4
    assert client.search_for_studies(search_filters={"00100020": "nobody"}) == []
    assert client.search_for_series(search_filters={"StudyDate": "20240501-20240531"}, limit=1) != []
    answer = world.get("/studies?FavouriteColour=blue&fuzzymatching=true")
    assert len(answer.json()) == 1
    assert "fuzzymatching" in answer.headers["warning"]


def test_retrieve(world: World):
    client = world.client()
    sent = {scenes.uid_of(p): pydicom.dcmread(p) for p in world.scan}
    series = scenes.uid_of(world.scan[0], "SeriesInstanceUID")
    got = client.retrieve_series(world.row["uid"], series)
    assert {one.SOPInstanceUID for one in got} == set(sent)
    for one in got:
        assert one.PixelData == sent[one.SOPInstanceUID].PixelData
    everything = client.retrieve_study(world.row["uid"])
    assert {"CT", "SEG", "SR"} <= {one.Modality for one in everything}
    uid = next(iter(sent))
    instance = client.retrieve_instance(world.row["uid"], series, uid)
    assert instance == sent[uid]
    (frame,) = client.retrieve_instance_frames(world.row["uid"], series, uid, frame_numbers=[1])
    assert frame == sent[uid].PixelData
    picture = client.retrieve_instance_rendered(world.row["uid"], series, uid, media_types=("image/png",))
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"


def test_metadata_and_bulk_values(world: World):
    client = world.client()
    series = scenes.uid_of(world.scan[0], "SeriesInstanceUID")
    told = client.retrieve_series_metadata(world.row["uid"], series)
    assert len(told) == len(world.scan)
    for one in told:
        read = pydicom.dataset.Dataset.from_json({k: v for k, v in one.items() if k != "7FE00010"})
        path = next(p for p in world.scan if scenes.uid_of(p) == read.SOPInstanceUID)
        assert read.ImagePositionPatient == pydicom.dcmread(path).ImagePositionPatient
        pixels = world.get(one["7FE00010"]["BulkDataURI"].split("/dicomweb")[1], "application/octet-stream")
        assert pixels.content == pydicom.dcmread(path).PixelData
    # a value too large to stand in JSON is pointed to, also inside a sequence
    large = scenes.image(StudyInstanceUID=generate_uid())
    inner = pydicom.dataset.Dataset()
    inner.add_new(0x00420011, "OB", bytes(range(256)) * 20)
    large.RequestAttributesSequence = [inner]
    buffer = encoded(large)
    assert world.post("/studies", buffer).status_code == 200
    done(world)
    (meta,) = client.retrieve_study_metadata(large.StudyInstanceUID)
    link = meta["00400275"]["Value"][0]["00420011"]["BulkDataURI"].split("/dicomweb")[1]
    assert world.get(link, "application/octet-stream").content == bytes(range(256)) * 20
    assert world.get(link.replace("bulkdata/1", "bulkdata/7")).status_code == 404


def encoded(data: Any, syntax: str = ExplicitVRLittleEndian) -> bytes:
    buffer = BytesIO()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def done(world: World) -> None:
    scenes.Running(world.site, 0).work("intake")


def test_compressed_frames_as_stored_and_as_pixels(world: World):
    array = np.arange(64, dtype=np.int16).reshape(8, 8)
    one = scenes.image(StudyInstanceUID=generate_uid(), PixelData=array.tobytes())
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.compress(JPEGLSLossless, generate_instance_uid=False)
    buffer = BytesIO()
    one.save_as(buffer, enforce_file_format=True)
    assert world.post("/studies", buffer.getvalue()).status_code == 200
    done(world)
    where = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
    plain = world.get(f"{where}/frames/1", 'multipart/related; type="application/octet-stream"')
    assert array.tobytes() in plain.content
    stored = world.get(f"{where}/frames/1", 'multipart/related; type="image/jls"')
    assert b"image/jls; transfer-syntax=1.2.840.10008.1.2.4.80" in stored.content
    usual = pydicom.dcmread(BytesIO(world.get(where, "application/dicom").content))
    assert usual.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (usual.pixel_array == array).all()
    as_is = pydicom.dcmread(BytesIO(world.get(where, "application/dicom; transfer-syntax=*").content))
    assert as_is.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert world.get(f"{where}/frames/2").status_code == 404
    assert world.get(f"{where}/frames/1", "image/gif").status_code == 406


def test_store_answers_once_it_is_safe(world: World):
    same = generate_uid()
    images = [scenes.image(n, StudyInstanceUID=same) for n in (1, 2)]
    client = world.client()
    told = client.store_instances([pydicom.dcmread(BytesIO(encoded(one))) for one in images])
    assert {item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence} == {i.SOPInstanceUID for i in images}
    with reading(world.site.engine) as connection:
        upload = connection.execute(select(uploads).order_by(uploads.c.created.desc())).mappings().first()
        job = connection.execute(select(jobs).where(jobs.c.upload_id == upload["id"])).mappings().one()
    assert (upload["source"], upload["state"], job["kind"]) == ("stow", "received", "intake")
    done(world)
    assert len(client.search_for_instances(study_instance_uid=same)) == 2


def test_store_says_what_it_does_not_take(world: World):
    good, other = scenes.image(), scenes.image()
    answer = world.post(f"/studies/{good.StudyInstanceUID}", encoded(good), encoded(other), b"no DICOM")
    assert answer.status_code == 202
    assert [r["00081197"]["Value"] for r in answer.json()["00081198"]["Value"]] == [[43264], [49152]]
    assert len(answer.json()["00081199"]["Value"]) == 1
    nothing = world.post("/studies", b"no DICOM")
    assert nothing.status_code == 409
    assert world.post("/studies", encoded(good), kind="application/json").status_code == 415
    done(world)


def test_a_deflated_bomb_is_not_taken(world: World):
    one = scenes.image()
    head = encoded(one, "1.2.840.10008.1.2.1.99")
    start = 144 + int.from_bytes(head[140:144], "little")
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = engine.compress(zlib.decompress(head[start:], -zlib.MAX_WBITS))
    body += engine.flush(zlib.Z_FULL_FLUSH)
    # what follows a full flush looks back to nothing, so that one packed block of zeros may be repeated
    body += (engine.compress(bytes(2**24)) + engine.flush(zlib.Z_FULL_FLUSH)) * 80
    assert len(body) < 4_000_000
    answer = world.post("/studies", head[:start] + body)
    assert answer.status_code == 409
    assert world.get("/studies").status_code == 200


def test_who_may(world: World):
    assert httpx.get(f"{world.url}/dicomweb/studies", trust_env=False).status_code == 401
    assert world.get("/studies", token=scenes.token_of(world.site, "cds")).status_code == 403
    reader = scenes.token_of(world.site, "dicomweb", role="read")
    assert world.get("/studies", token=reader).status_code == 200
    stranger = scenes.token_of(world.site, "dicomweb", team="elsewhere")
    assert world.get("/studies", token=stranger).json() == []
    assert world.get(f"/studies/{world.row['uid']}/metadata", token=stranger).status_code == 404
    denied = httpx.post(f"{world.url}/dicomweb/studies", headers={"Authorization": f"Bearer {reader}"}, trust_env=False)
    assert denied.status_code == 403
    with reading(world.site.engine) as connection:
        actions = set(connection.execute(select(audit.c.action)).scalars())
    assert {"dicomweb.search", "dicomweb.view", "dicomweb.store", "refused"} <= actions


@pytest.mark.parametrize("path", [
    "/studies/..%2F..%2F/metadata", "/studies/1.2/series/1%27%20OR%201=1/metadata", "/studies/1.2/series/../../x",
    "/studies/%00/metadata", "/studies/1.2.3/series/1/instances/1/frames/1",
    "/studies/1.2.3/series/1/instances/1/bulkdata/..%2F..%2Fserver.toml",
])  # fmt: skip
def test_paths_lead_nowhere(world: World, path: str):
    assert world.get(path).status_code in (404, 422)


def test_queries_are_values(world: World):
    for value in ("' OR 1=1 --", "%", "_", "!", "\\", "*' ; DROP TABLE studies"):
        assert world.get("/studies", params={"PatientID": value}).json() == []
    assert world.get("/studies?limit=x").status_code == 422
    assert world.get("/studies?limit=999999999").status_code == 200


def test_other_origins_are_listed_ones_only(world: World):
    for origin, allowed in (("https://viewer.example", True), ("https://evil.example", False)):
        answer = world.get("/studies", headers={"Origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        asked = httpx.options(
            f"{world.url}/dicomweb/studies", trust_env=False,
            headers={"Origin": origin, "Access-Control-Request-Method": "GET",
                     "Access-Control-Request-Headers": "authorization"},
        )  # fmt: skip
        assert (asked.status_code == 200) is allowed
    assert (
        "access-control-allow-origin"
        not in httpx.get(f"{world.url}/healthz", headers={"Origin": "https://viewer.example"}, trust_env=False).headers
    )


def test_a_damaged_file_is_told_and_harms_nobody(world: World):
    one = scenes.image(StudyInstanceUID=generate_uid())
    assert world.post("/studies", encoded(one)).status_code == 200
    done(world)
    with reading(world.site.engine) as connection:
        held = connection.execute(select(instances).where(instances.c.sop_uid == one.SOPInstanceUID)).mappings().one()
    (path,) = (world.site.store.data / "studies").rglob(Path(held["path"]).name)
    path.write_bytes(path.read_bytes()[:200])
    answer = world.get(f"/studies/{one.StudyInstanceUID}/metadata")
    assert answer.status_code in (200, 422)
    frames = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}/frames/1"
    assert world.get(frames).status_code in (404, 422)
    assert json.loads(world.get("/studies").content) != []
