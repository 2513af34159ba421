"""Run the examples of README.md and docs/: Python blocks, and ``hepacalc`` lines of shell blocks.

Each page runs in a folder of its own that holds ``ct-folder`` (a digital patient), ``liver.nii.gz`` (his liver) and
``out`` (his assessment). A block after ``<!-- not run: reason -->`` is passed over and counted.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\s*)?^```(?P<kind>python|console|bash|sh)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Step(NamedTuple):
    """One thing to run: Python code, or the words of a command."""

    line: int
    code: str
    is_python: bool


def steps(text: str) -> tuple[list[Step], list[str]]:
    """What a page has to run, and why the rest is passed over."""
    found: list[Step] = []
    passed: list[str] = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        if match["why"]:
            passed.append(match["why"])
        elif match["kind"] == "python":
            found.append(Step(line, match["code"], True))
        else:
            joined = match["code"].replace("\\\n", " ")
            commands = [row.strip().removeprefix("$ ") for row in joined.splitlines()]
            found += [Step(line, c, False) for c in commands if c.startswith("hepacalc ")]
    return found, passed


def prepare(folder: Path) -> None:
    """Write the patient, his liver and his assessment."""
    _hepacalc(f"phantom -o {folder / 'made'} --slice-mm 5 --pixel-mm 1.8 --seed 3", folder)
    (folder / "made" / "dicom").rename(folder / "ct-folder")
    (folder / "made" / "truth-liver.nii.gz").rename(folder / "liver.nii.gz")
    shutil.rmtree(folder / "made")
    _hepacalc("assess ct-folder -o out", folder)


def _hepacalc(arguments: str, folder: Path) -> None:
    _run([sys.executable, "-m", "hepacalc", *shlex.split(arguments)], folder)


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {' '.join(command[1:4])[:200]}\n{done.stderr[-2000:]}")


def run_page(page: Path, prepared: Path) -> tuple[int, list[str]]:
    """Run the examples of a page; Python blocks share one process."""
    todo, passed = steps(page.read_text("utf-8"))
    if not todo:
        return 0, passed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "page")
        shutil.copytree(prepared, folder)
        python = ""
        for step in todo:
            if step.is_python:
                python += "\n" * max(step.line - python.count("\n") - 1, 0) + step.code
            else:
                _hepacalc(step.code.removeprefix("hepacalc "), folder)
        if python:
            script = Path(name, "example.py")
            script.write_text(python, "utf-8")
            _run([sys.executable, str(script)], folder)
    return len(todo), passed


def main() -> int:
    """Run all pages; the exit status is the number of pages that failed, at most 99."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for page in pages:
            start = time.perf_counter()
            shown = page.relative_to(ROOT)
            try:
                count, passed = run_page(page, Path(name))
            except RuntimeError as fault:
                failed += 1
                print(f"FAILED {shown}\n{fault}")
                continue
            notes = [f"not run: {why}" for why in passed]
            if count or notes:
                print(f"{shown}: " + "; ".join([f"{count} examples, {time.perf_counter() - start:.1f} s", *notes]))
    print(f"{failed} pages failed")
    return min(failed, 99)


if __name__ == "__main__":
    sys.exit(main())
