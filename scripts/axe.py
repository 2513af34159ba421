"""Look for barriers in the pages: axe-core in Chromium, in light and dark colours: ``scripts/axe [--all] [PAGE...]``.

axe-core and puppeteer-core come by npm into a cache outside of the repository. Without npm, node or Chromium the
check is skipped, and says so. Pages of the server are asked of one that serves the digital patient
(``axe_server.py``). A page that asks for anything outside of its own files is a fault too. Of the docs, where
``scripts/docs`` has built them in ``docs-out``, each folder's first and largest page are taken; ``--all`` takes all.
Exit status 1 on any fault.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from axe_server import served_pages

ROOT = Path(__file__).resolve().parents[1]
MODULES = {"axe-core": "4.14.1", "puppeteer-core": "24.43.1"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LANGUAGES = ("en", "zh")


def modules(npm: str) -> Path:
    """The folder with the npm packages, filled when it is not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hepacalc-axe"
    stamp = cache / "ready.json"
    if not stamp.is_file() or json.loads(stamp.read_text("utf-8")) != MODULES:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "package.json").write_text('{"private": true}', "utf-8")
        wanted = [f"{name}@{version}" for name, version in MODULES.items()]
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *wanted]
        subprocess.run(command, cwd=cache, check=True, timeout=300)
        stamp.write_text(json.dumps(MODULES), "utf-8")
    return cache


def made_pages(folder: Path) -> list[Path]:
    """Report, answer without a scan and sheet of a digital patient, in each language."""

    def hepacalc(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "hepacalc", *arguments], cwd=folder, check=True, capture_output=True)

    patient = str(ROOT / "docs" / "tutorial" / "patient.yaml")
    hepacalc("phantom", "-o", "made", "--slice-mm", "5", "--pixel-mm", "1.8", "--seed", "3")
    for lang in LANGUAGES:
        hepacalc("assess", "made/dicom", "-o", lang, "--patient", patient, "--lang", lang, "--write", "sheet")
        hepacalc("explain", patient, "-o", f"explain-{lang}", "--lang", lang)
    return sorted(page for page in folder.rglob("*.html") if "made" not in page.parts)


def docs_pages(every: bool) -> list[Path]:
    """Pages of the built docs: all, or the first and the largest of each folder."""
    pages = sorted((ROOT / "docs-out" / "html").rglob("*.html"))
    if every:
        return pages
    folders = {page.parent: [one for one in pages if one.parent == page.parent] for page in pages}
    chosen = {one for held in folders.values() for one in (held[0], max(held, key=lambda page: page.stat().st_size))}
    return sorted(chosen | {page for page in pages if page.name in ("index.html", "search.html", "style.html")})


def faults(line: str) -> list[str]:
    """What is wrong with one page, from a line of ``axe.mjs``."""
    told = json.loads(line)
    where = f"{Path(told['path']).parent.name}/{Path(told['path']).name} ({told['scheme']})"
    found = [f"{where} asks for {address}" for address in told["outside"]]
    for one in told["violations"]:
        found += [f"{where} {one['rule']} ({one['impact']}): {node[:300]}" for node in one["nodes"]]
    return found


def main(arguments: Sequence[str]) -> int:
    """Check the pages."""
    npm, node = shutil.which("npm"), shutil.which("node")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if npm is None or node is None or browser is None:
        absent = [name for name, path in (("npm", npm), ("node", node), ("chromium", browser)) if path is None]
        print(f"scripts/axe: skipped, {' and '.join(absent)} not installed")
        return 0
    try:
        cache = modules(npm)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
        print(f"FAILED: npm could not install {', '.join(MODULES)}: {fault}")
        return 1
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        pages = [Path(page).resolve() for page in arguments if page != "--all"]
        served: list[str] = []
        if not pages:
            pages = [*made_pages(Path(name)), *docs_pages("--all" in arguments)]
            served = stack.enter_context(served_pages(Path(name)))
        command = [node, str(ROOT / "scripts" / "axe.mjs"), str(cache), browser, *map(str, pages), *served]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"FAILED: axe did not run to its end:\n{done.stderr[-2000:]}")
        return 1
    lines = done.stdout.splitlines()
    wrong = [fault for line in lines for fault in faults(line)]
    print("\n".join(wrong))
    print(
        f"axe-core {MODULES['axe-core']}: {len(pages)} pages in light and dark colours, {len(served)} of the server, "
        f"{len(wrong)} faults"
    )
    return int(bool(wrong) or len(lines) != 2 * len(pages) + len(served))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
