"""A PACS that is gone for an hour: ``hepacalc serve`` assesses meanwhile, keeps the results, and sends them by itself.

The PACS is dcmtk's ``storescp``; it takes what comes, but for the hour nothing listens at its address.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cohort_studies import slices, varied
from hepacalc.server.settings import Settings
from hepacalc.server.worker import open_site
from node_scenes import free_port
from sections import run
from server import Tree, row, token_of

AWAY_S = 3600.0
STUDIES = 3
MOST_WAIT_S = 3600.0
"""The longest that a result may wait once the PACS is back: tries come ever more seldom, an hour apart at most."""
NODE = """
[node]
send_to = ["PACS"]
seg_type = "BINARY"
peers = [{{ ae_title = "PACS", address = "127.0.0.1", port = {port} }}]
"""


def rows(only: Collection[str] = (), share: float = 1.0) -> Iterator[dict[str, Any]]:
    """Return the rows of a PACS that is away."""
    yield from run(SECTIONS, only, share)


def _away(folder: Path, share: float) -> list[dict[str, Any]]:
    port = free_port()
    site = open_site(Settings(data=folder / "data", workers=1, port=free_port()))
    headers = {"authorization": f"Bearer {token_of(site)}"}
    with Tree(site, NODE.format(port=port)) as tree, httpx.Client(base_url=tree.base, headers=headers) as client:
        began = time.monotonic()
        for k in range(STUDIES):
            _upload(client, varied(slices(1, folder), k))
        while any(one["state"] != "assessed" for one in _worklist(client)) or len(_worklist(client)) < STUDIES:
            if any(one["state"] == "failed" for one in _worklist(client)):
                raise SystemExit(f"a study was not assessed: {_worklist(client)}")
            time.sleep(1)
        time.sleep(max(began + AWAY_S * share - time.monotonic(), 0))
        said = sum(any(wait["kind"] == "send" for wait in one["waits"]) for one in _worklist(client))
        (folder / "pacs").mkdir()
        with subprocess.Popen(["storescp", "-aet", "PACS", "-od", str(folder / "pacs"), str(port)]) as pacs:
            back = time.monotonic()
            while time.monotonic() - back < MOST_WAIT_S and any(one["waits"] for one in _worklist(client)):
                time.sleep(1)
            took = time.monotonic() - back
            time.sleep(5)
            left = sum(bool(one["waits"]) for one in _worklist(client))
            pacs.terminate()
    came = [pydicom.dcmread(path, stop_before_pixels=True) for path in (folder / "pacs").iterdir()]
    held = Counter((str(one.StudyInstanceUID), str(one.Modality)) for one in came)
    studies = {study for study, kind in held if kind == "SR"} & {study for study, kind in held if kind == "SEG"}
    twice = len(came) - len({str(one.SOPInstanceUID) for one in came})
    name = f"PACS away for {AWAY_S * share / 60:.0f} minutes, {STUDIES} studies assessed meanwhile"
    return [
        row(f"{name}: the worklist says that their results wait", said, "studies", f"{STUDIES}", said == STUDIES),
        row(f"{name}: sent by itself once it was back", len(studies), "studies", f"{STUDIES}",
            len(studies) == STUDIES and left == 0),
        row(f"{name}: objects sent twice", twice, "objects", "0", twice == 0),
        row(f"{name}: until the last was sent", took, "s", None, None),
    ]  # fmt: skip


def _upload(client: httpx.Client, images: Iterator[Dataset]) -> None:
    parts = []
    for k, image in enumerate(images):
        file = io.BytesIO()
        image.save_as(file)
        parts.append(("files", (f"{k}.dcm", file.getvalue())))
    client.post("/api/uploads", files=parts, timeout=120).raise_for_status()


def _worklist(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/studies", timeout=60).json()["studies"]
    return found


SECTIONS = {"partner-away": _away}
