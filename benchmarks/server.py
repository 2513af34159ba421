"""The server under load: the worklist of 100,000 studies, what-if questions. Under fire: ``server_faults.py``.

Load comes from a process of its own, so both share the machine's cores. Answers are whole: by TCP, with sign-in, audit
line and JSON.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hepacalc.server.accounts import add_token, local_link
from hepacalc.server.database import new_id, now, reading, writing
from hepacalc.server.filing import words_of
from hepacalc.server.settings import Settings
from hepacalc.server.tables import studies, terms, users
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site
from node_scenes import free_port
from report_example import make_example
from sections import run
from server_help import add_result, add_study

STUDIES, USERS, QUESTIONS = 100_000, 50, 200
WORKLIST_MS, WHAT_IF_MS = 200.0, 100.0
FAMILY = ("SMITH", "MEYER", "GARCIA", "KHAN", "NOVAK", "ROSSI", "SILVA", "WANG", "ABE", "OKAFOR")


def rows(only: Collection[str] = (), share: float = 1.0) -> Iterator[dict[str, Any]]:
    """Return the rows of the area ``server``."""
    yield from run(SECTIONS, only, share)


# ---------------------------------------------------------------- load


def _load(folder: Path, share: float) -> list[dict[str, Any]]:
    count, users_, questions = (max(int(n * share), 2) for n in (STUDIES, USERS, QUESTIONS))
    site = open_site(Settings(data=folder / "data", workers=0, port=free_port()))
    token = token_of(site)
    _fill(site, count)
    assessment = _assessed(site, folder)
    with Tree(site) as tree:
        base = tree.base
        headers = {"authorization": f"Bearer {token}"}
        pages = asyncio.run(_users(base, headers, users_))
        asked, compute = _what_if(base, headers, assessment, questions)
        memory = _memory_mb(tree.process)
    p95 = _quantile(pages, 0.95)
    return [
        row(f"worklist of {count} studies, {users_} users, one page or search a second each: p95", p95, "ms",
             f"<= {WORKLIST_MS:.0f}", p95 <= WORKLIST_MS, median_ms=round(_quantile(pages, 0.5), 1),
             requests=len(pages)),
        row(f"what-if with a scan of {compute} lesions: p95 of {questions}", _quantile(asked, 0.95), "ms",
             f"<= {WHAT_IF_MS:.0f}", _quantile(asked, 0.95) <= WHAT_IF_MS, median_ms=round(_quantile(asked, 0.5), 1)),
        row("memory of the web process after that", memory, "MB", None, None),
    ]  # fmt: skip


def _fill(site: Site, count: int) -> None:
    """Put many studies with names, dates and findings into the database."""
    draw = random.Random(1)
    head = {"en": "2 calcified lesions in the liver", "zh": "肝内2处钙化灶", "foci": 2, "flags": 1, "mass_mg": 12.3}
    for start in range(0, count, 5000):
        made, words = [], []
        for k in range(start, min(start + 5000, count)):
            study_id, name = new_id(), f"{draw.choice(FAMILY)}^ANN{k % 997}"
            day = f"20{draw.randrange(10, 26)}{draw.randrange(1, 13):02d}{draw.randrange(1, 29):02d}"
            made.append(
                {
                    "id": study_id, "uid": f"1.2.{k}", "team": "", "folder": study_id, "kind": "dicom",
                    "patient_name": name, "patient_id": f"P{k}", "study_date": day, "accession": f"A{k}",
                    "description": "CT ABDOMEN", "state": "assessed", "headline": head, "instance_count": 200,
                    "due": f"2027-{draw.randrange(1, 13):02d}-01" if k % 3 == 0 else "", "created": k, "updated": k,
                }
            )  # fmt: skip
            found = set().union(*(words_of(w) for w in (name, f"P{k}", f"A{k}", "CT ABDOMEN", day)))
            words += [{"study_id": study_id, "term": word} for word in sorted(found)]
        with writing(site.engine) as connection:
            connection.execute(insert(studies), made)
            connection.execute(insert(terms), words)


def _assessed(site: Site, folder: Path) -> str:
    import datetime
    from dataclasses import replace

    from hepacalc.consult import consult
    from hepacalc.knowledge import load_knowledge
    from hepacalc.patient.read import patient_from_data
    from hepacalc.report import write_outputs

    day = datetime.date(2026, 1, 5)
    made = make_example()
    person = patient_from_data({"schema_version": "1.0"}, today=day)
    made = replace(made, reasoning=consult(person, load_knowledge(), today=day, assessment=made))
    write_outputs(made, folder / "out")
    return add_result(site, add_study(site, team=""), folder / "out")


async def _users(base: str, headers: dict[str, str], count: int, seconds: float = 20.0) -> list[float]:
    """Let many users turn pages and search, each once a second; return the times in ms."""
    times: list[float] = []
    draw = random.Random(2)

    async def user(client: httpx.AsyncClient, k: int) -> None:
        await asyncio.sleep(k / count)
        end, after = time.perf_counter() + seconds, ""
        while (began := time.perf_counter()) < end:
            asked = draw.choice(({"after": after}, {"search": f"{draw.choice(FAMILY)[:4]} ann{draw.randrange(997)}"},
                                 {"state": "assessed"}, {"due_by": "2027-06-01"}, {}))  # fmt: skip
            answer = await client.get(f"{base}/api/studies", params={k: v for k, v in asked.items() if v})
            assert answer.status_code == 200, answer.text
            times.append((time.perf_counter() - began) * 1000)
            after = answer.json()["next"] if "after" in asked or not asked else ""
            await asyncio.sleep(max(1.0 - (time.perf_counter() - began), 0))

    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as client:
        await client.get(f"{base}/api/studies")
        await asyncio.gather(*(user(client, k) for k in range(count)))
    return times


def _what_if(base: str, headers: dict[str, str], assessment: str, count: int) -> tuple[list[float], int]:
    """Ask as a reader who ticks one thing after another; return the times in ms, and the lesions of the scan."""
    draw, times, lesions = random.Random(3), [], 0
    facts: dict[str, Any] = {"schema_version": "1.0", "exposures": {}, "conditions": {}, "laboratory": []}
    ticks = [("exposures", n) for n in ("pasture", "tuberculosis", "brucella", "schistosome_water", "cats_dogs")]
    ticks += [("conditions", n) for n in ("cirrhosis", "diabetes", "gallstones", "hiv")]
    with httpx.Client(headers=headers, timeout=60) as client:
        for k in range(count + 5):
            part, name = draw.choice(ticks)
            facts[part][name] = draw.choice(("yes", "no", "not_asked"))
            facts["age"] = draw.randrange(20, 90)
            began = time.perf_counter()
            answer = client.post(f"{base}/api/differential", json={"facts": facts, "assessment_id": assessment})
            assert answer.status_code == 200, answer.text
            if k >= 5:  # the page of the study asks before the reader does
                times.append((time.perf_counter() - began) * 1000)
            lesions = len(answer.json()["lesions"])
    return times, lesions


# ---------------------------------------------------------------- parts


def token_of(site: Site, scopes: tuple[str, ...] = ("assess",)) -> str:
    """Return an API token of the deployment's only person."""
    local_link(site.engine)
    with reading(site.engine) as connection:
        user_id = connection.execute(select(users.c.id)).scalars().first()
    return add_token(site.engine, str(user_id), "bench", scopes, now() + 3600 * 6)[1]


class Tree:
    """``hepacalc serve`` with all its processes.

    Args:
        site: the deployment; its port is the one that is listened on.
        more: further lines of ``server.toml``.
    """

    def __init__(self, site: Site, more: str = "") -> None:
        settings = site.settings
        self._command = [sys.executable, "-m", "hepacalc", "serve", "--data", str(settings.data)]
        self.base = f"http://127.0.0.1:{settings.port}"
        (settings.data / "server.toml").write_text(
            f"workers = {settings.workers}\nport = {settings.port}\nlease_s = {settings.lease_s}\n"
            f"quiet_s = {settings.quiet_s}\n[limits]\ntries = 50\n{more}", "utf-8",
        )  # fmt: skip
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_again(self) -> None:
        """Begin anew after the supervisor was killed; its port is free once its last process has left."""
        self.process.wait()
        for _ in range(60):
            self.process = self._started()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                return
        raise SystemExit("the server does not start again")

    def __enter__(self) -> Tree:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.base}/healthz", timeout=60).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.2)
        raise SystemExit("the server does not answer")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def _memory_mb(process: subprocess.Popen[bytes]) -> float | None:
    """Return the resident memory of the web process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if re.search(rf"^PPid:\s+{process.pid}$", text, re.MULTILINE) and (size := re.search(r"VmRSS:\s+(\d+)", text)):
            found.append(int(size[1]) / 1024)
    return round(max(found), 1) if found else None


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def row(name: str, value: Any, unit: str, target: str | None, ok: bool | None, **more: Any) -> dict[str, Any]:
    """Return a row of an area."""
    shown = round(value, 1) if isinstance(value, float) else value
    return {"name": name, "value": shown, "unit": unit, "target": target, "ok": ok, **more}


SECTIONS = {"load": _load}
