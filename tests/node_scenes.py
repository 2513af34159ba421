"""A deployment in a temporary folder with a DICOM node, and dcmtk's programs as other systems."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from sqlalchemy import select, update

from hepacalc.server.database import reading, writing
from hepacalc.server.jobs import claim
from hepacalc.server.settings import Settings
from hepacalc.server.tables import jobs
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site, run_job, work

CT = "1.2.840.10008.5.1.4.1.1.2"
PEERS = [
    {"ae_title": "CT01", "address": "127.0.0.1", "may": ["store"]},
    {"ae_title": "READER", "address": "127.0.0.1", "may": ["store", "query", "retrieve"]},
    {"ae_title": "FAR", "address": "192.0.2.7", "may": ["store"]},
    {"ae_title": "OTHER", "address": "127.0.0.1", "may": ["store", "query", "retrieve"], "team": "elsewhere"},
]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def tool(name: str) -> str:
    """Path of a program of dcmtk."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (Debian package dcmtk), which is not installed")
    return found


def dcmtk(name: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120)


@dataclass(frozen=True)
class Running:
    """A node that listens in this process."""

    site: Site
    port: int

    def store(self, *paths: Path, calling: str = "CT01", called: str = "HEPACALC") -> subprocess.CompletedProcess[str]:
        return dcmtk("storescu", "-v", "-aet", calling, "-aec", called, "127.0.0.1", self.port, *paths)

    def work(self, *kinds: str) -> None:
        """Do the jobs that are due, and those that become due."""
        idle = [0]

        def stopped() -> bool:
            with reading(self.site.engine) as connection:
                wanted = select(jobs.c.id).where(jobs.c.state == "queued")
                left = connection.execute(wanted.where(jobs.c.kind.in_(kinds)) if kinds else wanted).first()
            idle[0] = 0 if left else idle[0] + 1
            return idle[0] > 1

        work(self.site, "test-worker", stopped=stopped, kinds=kinds)


def run_due(site: Site, *kinds: str) -> int:
    """Do the jobs that are due now; return how many."""
    count = 0
    while (job := claim(site.engine, "test-worker", lease_s=600, kinds=kinds)) is not None:
        run_job(site, job)
        count += 1
    return count


def waited(site: Site) -> None:
    """Let the time pass that jobs wait for before they are tried again."""
    with writing(site.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.state == "queued").values(not_before=0.0))


def settings_of(folder: Path, *, quiet_s: float = 0.5, **node: Any) -> Settings:
    told = {"port": free_port(), "peers": PEERS, "timeout_s": 30.0, **node}
    return Settings(folder.absolute(), quiet_s=quiet_s, node=told)


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    from hepacalc.server.dimse import make_node
    from hepacalc.server.node_settings import read_node

    site = open_site(settings)
    server = make_node(site, read_node(settings))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Running(site, server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        site.engine.dispose()


def image(number: int = 1, **changes: Any) -> Dataset:
    """One small CT image of a study of its own, or of the one that is told."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CT, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "Planted^Name", "P-17", "19690203", "F"
    data.StudyDate, data.StudyTime, data.Modality, data.AccessionNumber = "20261101", "101500", "CT", "A-1"
    data.StudyDescription, data.SeriesDescription, data.SeriesNumber = "Liver", "native", 2
    data.InstanceNumber, data.Rows, data.Columns = number, 8, 8
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleIntercept, data.RescaleSlope = "0", "1"
    data.PixelSpacing, data.ImagePositionPatient = ["1", "1"], ["0", "0", str(number)]
    data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    data.PixelData = bytes([number % 256, 0] * 64)
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    return data


def written(folder: Path, *images: Dataset, syntax: str = ExplicitVRLittleEndian) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, one in enumerate(images):
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = syntax
        paths.append(folder / f"{n:05d}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


def study(folder: Path, count: int = 3, **changes: Any) -> list[Path]:
    same = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), **changes}
    return written(folder, *(image(n + 1, **same) for n in range(count)))


def uid_of(path: Path, keyword: str = "SOPInstanceUID") -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True)[keyword].value)


def hold(site: Site, folder: Path, *, pretend: Any = None, team: str = "") -> Any:
    """Have a small assessed study in a deployment, as `intake` and `assess` leave it; return its row."""
    from dicom_scenes import upright
    from hepacalc.server.receive import receive
    from hepacalc.server.tables import studies
    from hepacalc.server.work.output import write_arrays, write_result
    from hepacalc.server.work.storing import keep_assessment

    scene = upright(folder / "scan", PatientID="P-17", PatientName="Planted^Name", **(pretend or {}))
    with receive(site.engine, site.settings, source="api", user_id=None, team=team) as upload:
        for path in sorted((folder / "scan").iterdir()):
            upload.add([path.read_bytes()])
    intake = claim(site.engine, "hold", lease_s=600, kinds=("intake",))
    assert intake is not None
    run_job(site, intake)
    job = claim(site.engine, "hold", lease_s=600, kinds=("assess",))
    assert job is not None
    made = site.store.new_work()
    found = scene.assessment
    write_arrays(found.volume, found.liver_mask, found.labels, made)
    with mock.patch("hepacalc.server.work.output.pdf_is_available", return_value=False):
        told = write_result(found, made, study=folder / "scan", tell=lambda _stage, _share: None)
    keep_assessment(site, job, made, told)
    with reading(site.engine) as connection:
        return connection.execute(select(studies).where(studies.c.id == job.study_id)).mappings().one()


def token_of(site: Site, *scopes: str, role: str = "assess", team: str = "") -> str:
    from hepacalc.server.accounts import add_token, add_user

    user = add_user(site.engine, f"user-{generate_uid()[-12:]}", role, password=None, team=team)
    return add_token(site.engine, user, "test", scopes, 3600.0)[1]


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Answer HTTP in this process; give the address."""
    import uvicorn

    from hepacalc.server.app import make_app

    app = make_app(site)
    server = uvicorn.Server(
        uvicorn.Config(app, port=(port := free_port()), log_config=None, http="h11", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        readers = getattr(app.state, "readers", None)
        if readers is not None:
            readers.close()
