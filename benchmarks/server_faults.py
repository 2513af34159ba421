"""The server under fire: kill -9 of any of its processes while studies arrive by DICOM, HTTP and STOW-RS.

Whatever was acknowledged has to be filed, whole, and assessed or set aside exactly once. Whoever is not answered sends
again, as a scanner does. The supervisor, too, is killed; who started it (systemd) starts it again.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
from sqlalchemy import func, select, update

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hepacalc.server.database import reading, writing
from hepacalc.server.settings import Settings
from hepacalc.server.tables import assessments, instances, jobs, studies, uploads
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site
from node_scenes import CT, free_port
from sections import run
from server import Tree, row, token_of
from server_help import dicom_bytes

SENT, KILLS, SLICES = 100, 200, 3
PAUSES_S = (0.2, 2.0)
"""Between two kills."""
LONGEST_S = 3600.0
NODE = """
[node]
port = {port}
timeout_s = 10.0
peers = [{{ ae_title = "CT01", address = "127.0.0.1", may = ["store"] }}]
"""


def rows(only: Collection[str] = (), share: float = 1.0) -> Iterator[dict[str, Any]]:
    """Return the rows of being killed."""
    yield from run(SECTIONS, only, share)


def _killed(folder: Path, share: float) -> list[dict[str, Any]]:
    count, kills = (max(int(n * share), 6) for n in (SENT, KILLS))
    dicom_port = free_port()
    site = open_site(Settings(data=folder / "data", workers=2, port=free_port(), lease_s=3.0, quiet_s=10.0))
    token = token_of(site, ("assess", "dicomweb"))
    ways = (_Http(token), _Stow(token), _Dicom(dicom_port))
    uids = {way: [f"1.2.826.{n}.{k}" for k in range(n, count, len(ways))] for n, way in enumerate(ways)}
    killed: Counter[str] = Counter()
    acknowledged: list[str] = []
    pause = kills * sum(PAUSES_S) / 2 / max(len(some) for some in uids.values())
    with Tree(site, NODE.format(port=dicom_port)) as tree:
        threads = [
            threading.Thread(target=_send_all, args=(way, tree.base, some, pause, acknowledged), daemon=True)
            for way, some in uids.items()
        ]
        threads.append(threading.Thread(target=_kill_all, args=(tree, kills, killed), daemon=True))
        end = time.monotonic() + LONGEST_S
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        while time.monotonic() < end and not _is_idle(site):
            time.sleep(0.5)
    return _told(site, count, acknowledged, killed)


def _told(site: Site, count: int, acknowledged: list[str], killed: Counter[str]) -> list[dict[str, Any]]:
    with reading(site.engine) as connection:
        filed = Counter(connection.execute(select(studies.c.uid)).scalars())
        images = connection.execute(select(func.count()).select_from(instances)).scalar() or 0
        left = connection.execute(select(func.count()).select_from(uploads).where(uploads.c.state != "filed")).scalar()
        ended = Counter(connection.execute(
            select(jobs.c.study_id).where(jobs.c.kind == "assess", jobs.c.state.in_(("done", "failed")))
        ).scalars())  # fmt: skip
        starts = connection.execute(select(func.sum(jobs.c.starts))).scalar() or 0
        stored = connection.execute(select(func.count()).select_from(assessments)).scalar() or 0
    lost = sum(uid not in filed for uid in acknowledged)
    twice = sum(n > 1 for n in filed.values()) + sum(n > 1 for n in ended.values())
    name = f"kill -9 at {sum(killed.values())} moments while {len(acknowledged)} studies came by DICOM, HTTP and STOW"
    told = {"killed": dict(killed), "job_starts": starts, "assessments": stored}
    return [
        row(f"{name}: acknowledged and not filed", lost, "studies", "0", lost == 0 and len(acknowledged) == count,
            **told),
        row(f"{name}: filed or ended twice", twice, "studies", "0", twice == 0),
        row(f"{name}: not ended", len(filed) - len(ended), "studies", "0", len(filed) == len(ended)),
        row(f"{name}: uploads left over", left, "uploads", "0", left == 0),
        row(f"{name}: slices missing", SLICES * count - images, "files", "0", images == SLICES * count),
    ]  # fmt: skip


def _send_all(way: Any, base: str, uids: list[str], pause: float, acknowledged: list[str]) -> None:
    for uid in uids:
        files = [dicom_bytes(study=uid, series=f"{uid}.1", sop=f"{uid}.1.{k}", number=k) for k in range(SLICES)]
        end = time.monotonic() + pause
        while not way.send(base, uid, files):
            time.sleep(0.2)
        acknowledged.append(uid)
        time.sleep(max(end - time.monotonic(), 0))


class _Http:
    """Uploads, with a key by which the same one sent again is known."""

    def __init__(self, token: str) -> None:
        self.headers = {"authorization": f"Bearer {token}"}

    def send(self, base: str, uid: str, files: list[bytes]) -> bool:
        """Send one study; True once all of it is acknowledged."""
        parts = [("files", (f"{k}.dcm", data)) for k, data in enumerate(files)]
        headers = {**self.headers, "idempotency-key": uid}
        try:
            return httpx.post(f"{base}/api/uploads", files=parts, headers=headers, timeout=20).status_code == 202
        except httpx.TransportError:
            return False


class _Stow(_Http):
    """STOW-RS."""

    def send(self, base: str, uid: str, files: list[bytes]) -> bool:
        """Send one study; True once all of it is acknowledged."""
        parts = [b"--part\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in files]
        told = 'multipart/related; type="application/dicom"; boundary=part'
        headers = {**self.headers, "content-type": told, "accept": "application/dicom+json"}
        body = b"".join(parts) + b"--part--\r\n"
        try:
            answer = httpx.post(f"{base}/dicomweb/studies", content=body, headers=headers, timeout=20)
            return answer.status_code == 200 and "00081198" not in answer.json()
        except (httpx.TransportError, ValueError):
            return False


class _Dicom:
    """C-STORE."""

    def __init__(self, port: int) -> None:
        from pynetdicom import AE

        self.port, self.entity = port, AE("CT01")
        self.entity.add_requested_context(CT)
        self.entity.acse_timeout = self.entity.dimse_timeout = self.entity.network_timeout = 10
        self.entity.connection_timeout = 5

    def send(self, base: str, uid: str, files: list[bytes]) -> bool:
        """Send one study; True once all of it is acknowledged."""
        association = self.entity.associate("127.0.0.1", self.port, ae_title="HEPACALC")
        try:
            for data in files:
                status = association.send_c_store(pydicom.dcmread(io.BytesIO(data)))
                if not status or status.Status != 0x0000:
                    return False
        except (RuntimeError, ValueError):  # the association is over, or never was
            return False
        finally:
            if association.is_established:
                association.release()
        return True


def _kill_all(tree: Tree, kills: int, killed: Counter[str]) -> None:
    draw = random.Random(4)
    while sum(killed.values()) < kills:
        time.sleep(draw.uniform(*PAUSES_S))
        if victim := _victim(tree.process.pid, draw):
            os.kill(victim[0], signal.SIGKILL)
            killed[victim[1]] += 1
            if victim[1] == "supervisor":
                tree.start_again()


def _victim(supervisor: int, draw: random.Random) -> tuple[int, str] | None:
    """Return a process of the tree, and what it is."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().decode()
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        parents.setdefault(parent, []).append((int(path.name), line))
    own = parents.get(supervisor, [])
    below = [(pid, "job") for child, _ in own for pid, line in parents.get(child, []) if "server.child" in line]
    found = [(pid, "web, node or worker") for pid, line in own if "server.supervisor" in line] + below
    return draw.choice([*found, (supervisor, "supervisor")]) if found else None


def _is_idle(site: Site) -> bool:
    """Whether nothing is left to do; a study whose process was killed does not wait for its next try here."""
    with writing(site.engine) as connection:
        late = jobs.c.not_before > time.time() + 15  # what comes by DICOM is quiet for less
        connection.execute(update(jobs).where(jobs.c.state == "queued", late).values(not_before=0.0))
    with reading(site.engine) as connection:
        left = connection.execute(select(func.count()).where(jobs.c.state.in_(("queued", "running")))).scalar()
        coming = connection.execute(select(func.count()).where(uploads.c.state.in_(("open", "received")))).scalar()
    return left == 0 and coming == 0


SECTIONS = {"killed": _killed}
