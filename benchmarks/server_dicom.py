"""The DICOM node, DICOMweb and CDS Hooks under load, and killed: real sockets and processes, storescu as sender.

Sending is measured in wall seconds with the sender on the same machine; the node's CPU seconds stand beside it, since
they do not depend on what else the machine is doing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import generate_uid
from sqlalchemy import select

from matching import row
from sections import run

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

SLICES, SIDE = 300, 512
STUDIES, FIRST = 2000, 200
KILLS, CALLS = 20, 100
LEAST_MB_S, MOST_GROWTH_MB, MOST_ANSWER_MS = 30.0, 20.0, 500.0

NODE = """
import sys, json
from pathlib import Path
from hepacalc.server.dimse import run_node
from hepacalc.server.settings import Settings
run_node(Settings(Path(sys.argv[1]), node=json.loads(sys.argv[2]), quiet_s=3600.0), "node", lambda: False, -1)
"""


def rows(only: Collection[str] = (), share: float = 1.0) -> Iterator[dict[str, Any]]:
    """Return the rows of receiving, of being killed, and of answering."""
    yield from run(SECTIONS, only, share)


class _Node:
    """A node in a process of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        import node_scenes

        self.port = port or node_scenes.free_port()
        told = json.dumps({"port": self.port, "peers": node_scenes.PEERS})
        self.process = subprocess.Popen([sys.executable, "-c", NODE, str(folder), told], stderr=subprocess.DEVNULL)
        while node_scenes.dcmtk("echoscu", "-aet", "CT01", "-aec", "HEPACALC", "127.0.0.1", self.port).returncode:
            if self.process.poll() is not None:
                raise SystemExit("the node ended")
            time.sleep(0.1)

    def __enter__(self) -> _Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
        raise SystemExit("VmRSS is not told by this system")

    def send(self, folder: Path) -> float:
        """Send a folder by storescu; return the seconds."""
        command = ["storescu", "-R", "-aet", "CT01", "-aec", "HEPACALC", "--max-pdu", "131072", "--max-send-pdu",
                   "131072", "+sd", "127.0.0.1", str(self.port), str(folder)]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began


def _images(folder: Path, count: int, side: int, *, one_study: bool) -> int:
    """Write CT images; return their bytes."""
    import node_scenes

    rng = np.random.default_rng(5)
    same = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()} if one_study else {}
    pixels = rng.integers(-1000, 1500, side * side, dtype=np.int16).tobytes()
    images = [
        node_scenes.image(n + 1, Rows=side, Columns=side, PixelData=pixels, **same) for n in range(count)
    ]  # fmt: skip
    return sum(path.stat().st_size for path in node_scenes.written(folder, *images))


def _sending(folder: Path, share: float) -> list[dict[str, Any]]:
    slices = max(int(SLICES * share), 3)
    size = _images(folder / "study", slices, SIDE, one_study=True) / 1e6
    with _Node(folder / "data") as node:
        speeds, cpu = [], []
        for _ in range(3):
            before = node.cpu_s()
            speeds.append(size / node.send(folder / "study"))
            cpu.append(size / max(node.cpu_s() - before, 1e-3))
    title = f"C-STORE into the queue, {slices} slices of {SIDE}x{SIDE}, fsynced"
    return [
        row(title, max(speeds), "MB/s", f">= {LEAST_MB_S:g}", max(speeds) >= LEAST_MB_S),
        row(f"{title}: for each CPU second of the node", max(cpu), "MB/s", "", None),
    ]


def _memory(folder: Path, share: float) -> list[dict[str, Any]]:
    first, count = (max(int(n * share), 2) for n in (FIRST, STUDIES))
    _images(folder / "first", first, 64, one_study=False)
    _images(folder / "rest", count - first, 64, one_study=False)
    with _Node(folder / "data") as node:
        node.send(folder / "first")
        before = node.memory_mb()
        node.send(folder / "rest")
        growth = node.memory_mb() - before
    held = sum(1 for path in (folder / "data" / "incoming").rglob("*") if path.is_file())
    return [
        row(f"memory of the node: growth from study {first} to {count}", growth, "MB", f"<= {MOST_GROWTH_MB:g}",
            growth <= MOST_GROWTH_MB),
        row(f"studies on disk of {count} that were acknowledged", held, "", f"= {count}", held == count),
    ]  # fmt: skip


def _killed(folder: Path, share: float) -> list[dict[str, Any]]:
    """Kill the node at random moments while images arrive; every acknowledged one has to be filed."""
    from pynetdicom import AE

    import node_scenes
    from hepacalc.server.database import reading
    from hepacalc.server.tables import instances
    from hepacalc.server.worker import open_site

    rng, kills = np.random.default_rng(9), max(int(KILLS * share), 2)
    acknowledged: set[str] = set()
    entity = AE("CT01")
    entity.add_requested_context(node_scenes.CT)
    port, same = node_scenes.free_port(), generate_uid()
    for _ in range(kills):
        with _Node(folder / "data", port) as node:
            association = entity.associate("127.0.0.1", port, ae_title="HEPACALC")
            killer = subprocess.Popen(["sh", "-c", f"sleep {rng.uniform(0.05, 0.8):.3f}; kill -9 {node.process.pid}"])
            for n in range(1000):
                one = node_scenes.image(
                    n % 250, StudyInstanceUID=same, Rows=128, Columns=128, PixelData=bytes(128 * 128 * 2)
                )
                one.file_meta = pydicom.dataset.FileMetaDataset()
                one.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
                try:
                    status = association.send_c_store(one)
                except RuntimeError:  # the association is over
                    break
                if not status or status.Status != 0x0000:
                    break
                acknowledged.add(str(one.SOPInstanceUID))
            association.abort()
            killer.wait()
    site = open_site(node_scenes.settings_of(folder / "data"))
    node_scenes.waited(site)
    node_scenes.run_due(site, "intake")
    with reading(site.engine) as connection:
        held = set(connection.execute(select(instances.c.sop_uid)).scalars())
    lost = len(acknowledged - held)
    return [
        row(f"kill -9 of the receiver at {kills} random moments: acknowledged instances", len(acknowledged), "", "",
            None),
        row("lost of them", lost, "", "= 0", lost == 0),
    ]  # fmt: skip


def _web(folder: Path, share: float) -> list[dict[str, Any]]:
    """Frames and metadata of a series, as a viewer asks for them."""
    import httpx

    import node_scenes
    from hepacalc.server.worker import open_site

    site = open_site(node_scenes.settings_of(folder / "data"))
    _images(folder / "study", max(int(SLICES * share), 3), SIDE, one_study=True)
    paths = sorted((folder / "study").iterdir())
    from hepacalc.server.receive import receive

    with receive(site.engine, site.settings, source="api", user_id=None, team="") as upload:
        for path in paths:
            upload.add([path.read_bytes()])
    node_scenes.run_due(site, "intake")
    study, series = (node_scenes.uid_of(paths[0], k) for k in ("StudyInstanceUID", "SeriesInstanceUID"))
    headers = {"Authorization": f"Bearer {node_scenes.token_of(site, 'dicomweb')}"}
    with node_scenes.served(site) as url, httpx.Client(headers=headers, timeout=120, trust_env=False) as client:
        base = f"{url}/dicomweb/studies/{study}/series/{series}"
        client.get(f"{base}/instances/{node_scenes.uid_of(paths[0])}/metadata")  # the readers are there now
        began = time.perf_counter()
        told = client.get(f"{base}/metadata").json()
        seconds = time.perf_counter() - began
        times = []
        for one in told[:100]:
            start = time.perf_counter()
            client.get(f"{base}/instances/{one['00080018']['Value'][0]}/frames/1").raise_for_status()
            times.append((time.perf_counter() - start) * 1000)
    site.engine.dispose()
    return [
        row(f"WADO-RS metadata of {len(told)} instances", seconds, "s", "", None),
        row(f"WADO-RS frame of {SIDE}x{SIDE}, median", float(np.median(times)), "ms", "", None),
    ]


def _cards(folder: Path, share: float) -> list[dict[str, Any]]:
    """Calls of patient-view with 200 laboratory values, by HTTP."""
    import httpx

    import node_scenes
    from e2e.test_cds_hooks import VIEW, bundle, hook, observation, prefetch
    from hepacalc.server.settings import Settings
    from hepacalc.server.worker import open_site

    site = open_site(Settings(folder / "data"))
    node_scenes.hold(site, folder)
    codes = (("1742-6", "U/L", 40), ("1920-8", "U/L", 38), ("1834-1", "ng/mL", 3), ("777-3", "10*9/L", 210))
    labs = [observation(code, value + n % 5, unit, f"2026-{n % 10 + 1:02d}-11")
            for n in range(50) for code, unit, value in codes]  # fmt: skip
    headers = {"Authorization": f"Bearer {node_scenes.token_of(site, 'cds', role='read')}"}
    times, calls = [], max(int(CALLS * share), 3)
    with node_scenes.served(site) as url, httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        for n in range(calls):
            body = hook(prefetch=prefetch(labs=bundle(*labs[n % 20 :])))
            began = time.perf_counter()
            answer = client.post(url + VIEW, json=body)
            times.append((time.perf_counter() - began) * 1000)
            if not answer.json()["cards"]:
                raise SystemExit("no card was given")
    site.engine.dispose()
    p95 = float(np.percentile(times[1:], 95))
    return [
        row(f"CDS Hooks patient-view with {len(labs)} laboratory values: 95 % of {calls - 1} within", p95, "ms",
            f"<= {MOST_ANSWER_MS:g}", p95 <= MOST_ANSWER_MS),
        row("the first call, which reads knowledge and assessment", times[0], "ms", "", None),
    ]  # fmt: skip


SECTIONS = {"sending": _sending, "memory": _memory, "receiver-killed": _killed, "web": _web, "cards": _cards}
