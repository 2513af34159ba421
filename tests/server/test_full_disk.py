"""A disk that is full, for real: a file system of a few megabytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_settings import small
from sqlalchemy import func, select

from conftest import serving
from hepacalc.server.database import reading
from hepacalc.server.tables import studies, uploads
from server_help import dicom_bytes, zip_bytes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_what_finds_no_room_is_not_acknowledged_and_is_taken_once_there_is_some(disk: Path):
    scan = zip_bytes({f"{k}.dcm": dicom_bytes(sop=f"1.2.{k}", number=k) for k in range(3)})
    send = {"content": scan, "headers": {"content-type": "application/zip"}}
    with serving(small(disk / "data")) as running:
        client = running.client("anna")
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (2**16, 2**10):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue
        answer = client.post("/api/uploads", **send)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.json()["code"].startswith("SRV-")
        filler.unlink()
        assert client.post("/api/uploads", **send).status_code == 202
        running.do_jobs("intake")
        with reading(running.site.engine) as connection:
            states = connection.execute(select(uploads.c.state)).scalars().all()
            assert states == ["filed"], "nothing is left of what found no room"
            assert connection.execute(select(func.count()).select_from(studies)).scalar() == 1
