"""The whole house in a real browser: a scan is sent, looked at, corrected; facts move causes; a plan is accepted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from browser import Browser, find_browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hepacalc.phantom import generate
    from server_help import zip_bytes

    folder = tmp_path_factory.mktemp("scan")
    generate(folder / "ph", seed=7, slice_mm=5.0, pixel_mm=2.0, mimics="none")
    files = {f"{k}.dcm": p.read_bytes() for k, p in enumerate(sorted((folder / "ph" / "dicom").rglob("*.dcm")))}
    assert len(files) > 20
    (folder / "scan.zip").write_bytes(zip_bytes(files))
    return folder / "scan.zip"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a one-time link of ``hepacalc serve``, the real process tree."""
    if find_spec("fastapi") is None:
        pytest.skip("needs hepacalc[server]")
    data = tmp_path_factory.mktemp("served") / "data"
    log = data.with_name("log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "hepacalc", "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
        log.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip("needs Chromium")
    with Browser(path, tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_a_reader_works_through_a_scan(served: str, scan: Path, browser: Browser, tmp_path: Path):
    b = browser
    base = re.match(r"http://127\.0\.0\.1:\d+", served)[0]
    pictures = Path(os.environ["HEPACALC_PICTURES"]) if "HEPACALC_PICTURES" in os.environ else tmp_path
    b.go(served)
    b.click("main button")
    b.wait("location.pathname === '/' && document.readyState === 'complete'", 60)  # the scripts listen by then
    # sent in, filed, assessed; the worklist moves by itself
    b.files("#files", [scan])
    b.wait("document.querySelector('#studies span.state.assessed') !== null", 500)
    b.picture(pictures / "worklist.png")
    b.go(b.run("document.querySelector('#studies a').href"))
    b.wait("document.getElementById('canvases').dataset.ready === 'yes'", 60)
    rows = b.run("document.querySelectorAll('tr[data-focus]').length")
    assert rows >= 1
    # the focus is in the picture: orange in the middle slice, none once foci are hidden
    orange = (
        "(() => { const c = document.querySelector('canvas.shown'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0; for (let k = 0; k < d.length; k += 4)"
        " if (d[k] > 230 && d[k + 1] > 130 && d[k + 1] < 180 && d[k + 2] < 40) n += 1; return n; })()"
    )
    b.wait(f"{orange} > 10", 30)
    b.run("document.querySelector('canvas.shown').focus()")
    first = b.run("document.getElementById('slice-number').textContent")
    b.key("ArrowUp", 38)
    b.wait(f"document.getElementById('slice-number').textContent !== '{first}'", 10)
    b.key("f", 70, "f")
    b.wait(f"{orange} === 0", 30)
    b.key("f", 70, "f")
    b.key("c", 67, "c")
    b.wait("document.querySelector('canvas.shown').dataset.canvas === 'coronal'", 10)
    b.key("n", 78, "n")
    b.picture(pictures / "study.png")

    # a focus is renamed, and all are measured again
    before = b.run("document.querySelector('tr[data-focus=\"1\"]').cells[1].textContent")
    b.run(
        "(() => { const s = document.querySelector('tr[data-focus=\"1\"] select'); s.value = 'vessel';"
        " s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    b.click("#measure")
    kinds = "[...document.querySelectorAll('tr[data-focus]')].map(r => r.cells[1].textContent).join()"
    b.wait(f"/vessel/i.test({kinds}) && document.querySelectorAll('ol.history li').length === 2", 400)
    assert "vessel" not in before.lower()

    # ticks move the causes at once
    b.wait("document.getElementById('canvases').dataset.ready === 'yes'", 60)
    causes = "document.getElementById('causes').textContent"
    old = b.run(causes)
    b.run("document.querySelector('[name=\"exposures.pasture\"][value=yes]').click()")
    b.wait(f"document.getElementById('facts').dataset.asked === '1' && {causes} !== {old!r}", 60)
    b.run(
        "(() => { const i = document.querySelector('[data-lab=alp] [data-part=value]'); i.value = '400';"
        " i.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    b.wait("document.getElementById('facts').dataset.asked === '2'", 60)
    assert b.run("document.getElementById('unsaved').hidden") is False
    b.picture(pictures / "what-if.png")
    b.click("#save-facts")
    b.wait("document.querySelectorAll('ol.history li').length === 3 && document.readyState === 'complete'", 400)
    assert b.run("JSON.parse(document.getElementById('facts').dataset.facts).exposures.pasture") == "yes"

    # the plan is accepted, another step changed with a reason
    b.click("tr[data-item] [data-verdict=accepted]")
    b.wait("document.querySelector('.verdict.accepted') !== null", 60)
    b.picture(pictures / "whole.png", whole=True)

    # downloads are what they say
    files = b.run("[...document.querySelectorAll('.files a')].map(a => a.href)")
    assert {Path(f.split("?")[0]).name for f in files} >= {"report.html", "foci.seg.dcm", "report.sr.dcm", "foci.csv"}
    answers = b.run(f"Promise.all({files!r}.map(async f => {{ const r = await fetch(f); return r.status; }}))")
    assert set(answers) == {200}
    b.call("Page.navigate", url=f"{base}/language/zh?to=/")
    b.wait("document.documentElement.lang === 'zh-Hans' && document.readyState === 'complete'", 60)
    b.picture(pictures / "worklist-zh.png")
    b.click(".corner form button")
    b.wait("location.pathname === '/sign-in'", 60)
    b.go(f"{base}/sign-in")
    assert b.run("fetch('/api/studies').then(r => r.status)") == 401
    assert [f for f in b.faults() if "401" not in f] == []


def test_the_tree_restarts_what_dies(served: str):
    """kill -9 of the web process: the next request is answered by a new one."""
    import httpx

    base = re.match(r"http://127\.0\.0\.1:\d+", served)[0]
    port = int(base.rsplit(":", 1)[1])
    web = [pid for pid in children_of_tests() if listens(pid, port)]
    assert web
    before = max(web)
    os.kill(before, signal.SIGKILL)
    end = time.monotonic() + 240
    while time.monotonic() < end:
        try:
            if httpx.get(f"{base}/healthz", timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("nobody answers any more")


def children_of_tests() -> list[int]:
    """Return processes of servers that this test started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"hepacalc.server.supervisor" in path.read_bytes() and is_ours(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def is_ours(pid: int) -> bool:
    """Whether a process descends from this one."""
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return False


def listens(pid: int, port: int) -> bool:
    """Whether a process holds the listening socket of a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port}
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)
