"""Orthanc, as in a hospital: takes our objects over C-STORE and STOW-RS and gives them back unchanged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicom_scenes import upright
from hepacalc.report.writers import ExportContext, SourceStudy, get_writers

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
BORDER = b"hepacalc-border"


@dataclass(frozen=True)
class Server:
    http: str
    dicom_port: int


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if shutil.which("Orthanc") is None and shutil.which("orthanc") is None:
        pytest.skip("needs Orthanc (Debian package orthanc), which is not installed")
    if not PLUGIN.exists():
        pytest.skip("needs the DICOMweb plugin of Orthanc (Debian package orthanc-dicomweb), which is not installed")
    http, dicom = free_port(), free_port()
    process = subprocess.Popen(
        [str(ROOT / "scripts" / "orthanc"), str(http), str(dicom)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{http}", process)
        yield Server(f"http://127.0.0.1:{http}", dicom)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "Orthanc ended at once"
        try:
            get(f"{url}/system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Orthanc did not answer in 30 s")


def get(url: str, accept: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("objects")
    scene = upright(folder / "scan", per_lesion=2)
    paths = []
    for kind in ("LABELMAP", "BINARY"):
        (folder / kind).mkdir()
        for writer in get_writers("seg,sr,ko" if kind == "LABELMAP" else "seg"):
            context = ExportContext(source=SourceStudy(scene.datasets), segmentation_type=kind)  # type: ignore[arg-type]
            writer.write(scene.assessment, folder / kind, context)
        paths += sorted((folder / kind).glob("*.dcm"))
    assert len(paths) == 6
    return paths


def body(data: bytes) -> bytes:
    """The data set of a file, without its preamble and meta information, which an archive writes anew."""
    assert data[128:132] == b"DICM"
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def stored(server: Server, path: Path) -> bytes:
    uid = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
    query = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": uid}}).encode()
    with urllib.request.urlopen(f"{server.http}/tools/find", data=query, timeout=30) as answer:
        (found,) = json.loads(answer.read())
    return get(f"{server.http}/instances/{found}/file")


def test_c_store(server: Server, objects: list[Path]) -> None:
    pynetdicom = pytest.importorskip("pynetdicom", reason="needs pynetdicom (pip install 'hepacalc[test]')")
    entity = pynetdicom.AE("HEPACALC")
    datasets = [pydicom.dcmread(path) for path in objects]
    for dataset in datasets:
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert association.is_established
    try:
        for dataset in datasets:
            assert association.send_c_store(dataset).Status == 0x0000
    finally:
        association.release()
    for path in objects:
        assert body(stored(server, path)) == body(path.read_bytes())


def test_stow_and_wado(server: Server, objects: list[Path]) -> None:
    parts = b"".join(
        b"--" + BORDER + b"\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n"
        for path in objects
    )
    request = urllib.request.Request(
        f"{server.http}/dicom-web/studies",
        data=parts + b"--" + BORDER + b"--\r\n",
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BORDER.decode()}',
            "Accept": "application/dicom+json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.loads(answer.read())
    assert len(told["00081199"]["Value"]) == len(objects)
    assert told.get("00081198", {}).get("Value", []) == [], "some were refused"
    for path in objects:
        known = pydicom.dcmread(path, stop_before_pixels=True)
        url = (
            f"{server.http}/dicom-web/studies/{known.StudyInstanceUID}/series/{known.SeriesInstanceUID}"
            f"/instances/{known.SOPInstanceUID}"
        )
        answer = get(url, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        assert body(path.read_bytes()) in answer


def test_they_stand_in_the_study(server: Server, objects: list[Path]) -> None:
    """A viewer that asks for the series of the study finds each object with its modality."""
    test_stow_and_wado(server, objects)
    study = pydicom.dcmread(objects[0], stop_before_pixels=True).StudyInstanceUID
    series = json.loads(get(f"{server.http}/dicom-web/studies/{study}/series", "application/dicom+json"))
    assert sorted({one["00080060"]["Value"][0] for one in series}) == ["KO", "SEG", "SR"]
