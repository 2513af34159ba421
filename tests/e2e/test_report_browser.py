"""The page in a real browser: it asks for nothing, and prints without cutting a picture in two."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hepacalc.report import render_html
from report_example import make_example

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--disable-extensions", "--disable-default-apps", "--no-pings",
         "--host-resolver-rules=MAP * ~NOTFOUND")  # fmt: skip

# asked of a copy of the page, laid out at the width of a printed A4 sheet
PROBE = """
<script>
addEventListener("load", () => {
  const broken = [...document.querySelectorAll("svg image")].filter(i => i.getBoundingClientRect().width < 20).length;
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const spill = [...document.querySelectorAll("main td, main dd, main h2, main li")]
    .filter(e => e.scrollWidth > e.clientWidth + 2).map(e => e.textContent.slice(0, 40));
  document.title = "PROBE" + JSON.stringify({
    pictures: document.querySelectorAll("svg[role=img]").length, broken, wide, spill,
    loaded: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).map(e => e.name)});
});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(make_example(contrast=True)), "utf-8")
    return path


def run(browser: str, folder: Path, *args: str) -> str:
    done = subprocess.run(
        [browser, *QUIET, f"--user-data-dir={folder / 'profile'}", *args],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_page_loads_from_a_file_and_asks_for_nothing(browser: str, page: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    run(browser, tmp_path, f"--log-net-log={log}", "--dump-dom", page.as_uri())
    events = json.loads(log.read_text("utf-8"))["events"]
    requests = [e["params"] for e in events if "initiator" in e.get("params", {}) and "url" in e["params"]]
    # the browser's own calls home have no origin; the page's would have file://
    asked = {r["url"] for r in requests if r["initiator"] != "not an origin"}
    assert {u for u in asked if not u.startswith(("data:", page.as_uri()))} == set()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 690, 400])
def test_the_page_is_laid_out_without_spilling(browser: str, page: Path, tmp_path: Path, width: int) -> None:
    probe = tmp_path / "probe.html"
    source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    probe.write_text(source.replace("</body>", PROBE + "</body>"), "utf-8")
    dom = run(
        browser, tmp_path, f"--window-size={width},900", "--virtual-time-budget=3000", "--dump-dom", probe.as_uri()
    )
    found = re.search(r"<title>PROBE(.*?)</title>", dom)
    assert found
    said = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    assert said["pictures"] == 2 + 6 * 4
    assert said["broken"] == 0
    assert said["loaded"] == []
    assert said["spill"] == []
    assert said["wide"] <= 0


@pytest.mark.slow
def test_it_prints_on_a4_without_cut_pictures(browser: str, page: Path, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext and pdfimages of poppler-utils")
    pdf = tmp_path / "report.pdf"
    run(browser, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri())
    info = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    size = re.search(r"Page size:\s+([\d.]+) x ([\d.]+)", info)
    assert size
    assert (round(float(size[1])), round(float(size[2]))) == (595, 842)
    pages = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    sheets = pages.split("\f")[:-1]
    assert "What limits this answer" in sheets[0]
    assert "Map of the liver" in sheets[0]
    for number in range(1, 5):
        starts = [s for s in sheets if f"Lesion L{number}:" in s]
        assert len(starts) == 1
        assert starts[0].lstrip().startswith(f"Lesion L{number}:"), "each lesion begins a page"
        assert "Soft window" in starts[0]
        assert "90 % interval" in starts[0], "its numbers stand on the same page"
    # a picture that is cut in two is drawn on two pages
    listed = subprocess.run(["pdfimages", "-list", str(pdf)], capture_output=True, text=True, check=True).stdout
    drawn = [tuple(line.split()[k] for k in (0, 10)) for line in listed.splitlines()[2:] if " image " in line]
    objects = [thing for _, thing in sorted(set(drawn))]
    assert len(objects) == len(set(objects)) == 2 + 6 * 4
