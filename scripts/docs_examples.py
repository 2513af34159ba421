"""Run the examples of README.md and docs/: Python blocks, and ``hepacalc`` lines of shell blocks, as they follow.

    python scripts/docs_examples.py [PAGE ...]

Each page runs in a folder of its own that holds ``ct-folder`` (a digital patient), ``liver.nii.gz`` (his liver),
``out`` (his assessment) and ``patient.yaml`` (that of the tutorial). A block after ``<!-- file: NAME -->`` is written
there; one after ``<!-- not run: reason -->`` is passed over and counted. Python blocks share a process until a command
or a file comes between.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^(?:(?P<indent> *)<!-- (?P<mark>not run|file): (?P<about>[^>]+) -->\s*^)?"
    r" *```(?P<kind>[a-z]*)\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
SHELL = ("console", "bash", "sh")


class Step(NamedTuple):
    """One thing to do: run Python code, run the words of a command, or write a file."""

    line: int
    code: str
    kind: Literal["python", "command", "file"]
    name: str = ""


def steps(text: str) -> tuple[list[Step], list[str]]:
    """What a page has to run, and why the rest is passed over."""
    found: list[Step] = []
    passed: list[str] = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        code = textwrap.dedent(match["code"])
        if match["mark"] == "not run":
            passed.append(match["about"])
        elif match["mark"] == "file":
            found.append(Step(line, code, "file", match["about"]))
        elif match["kind"] == "python":
            found.append(Step(line, code, "python"))
        elif match["kind"] in SHELL:
            joined = code.replace("\\\n", " ")
            commands = [row.strip().removeprefix("$ ") for row in joined.splitlines()]
            found += [Step(line, c, "command") for c in commands if c.startswith("hepacalc ")]
    return found, passed


def prepare(folder: Path) -> None:
    """Write the patient, his liver, his assessment and what is known of somebody."""
    _hepacalc(f"phantom -o {folder / 'made'} --slice-mm 5 --pixel-mm 1.8 --seed 3", folder)
    (folder / "made" / "dicom").rename(folder / "ct-folder")
    (folder / "made" / "truth-liver.nii.gz").rename(folder / "liver.nii.gz")
    shutil.rmtree(folder / "made")
    shutil.copy(ROOT / "docs" / "tutorial" / "patient.yaml", folder)
    _hepacalc("assess ct-folder -o out", folder)


def _hepacalc(arguments: str, folder: Path) -> None:
    _run([sys.executable, "-m", "hepacalc", *shlex.split(arguments)], folder)


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {' '.join(command[1:4])[:200]}\n{done.stderr[-2000:]}")


def run_page(page: Path, prepared: Path) -> tuple[int, list[str]]:
    """Run the examples of a page, in their order; how many, and why others were passed over."""
    todo, passed = steps(page.read_text("utf-8"))
    if not todo:
        return 0, passed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "page")
        shutil.copytree(prepared, folder)
        for kind, group in itertools.groupby(todo, key=lambda step: step.kind):
            if kind == "python":
                _python(list(group), folder, Path(name, "example.py"))
                continue
            for step in group:
                if kind == "file":
                    Path(folder, step.name).write_text(step.code, "utf-8")
                else:
                    _hepacalc(step.code.removeprefix("hepacalc "), folder)
    return len(todo), passed


def _python(blocks: list[Step], folder: Path, script: Path) -> None:
    """Run blocks of Python as one script whose lines have the numbers that they have on the page."""
    code = ""
    for step in blocks:
        code += "\n" * max(step.line - code.count("\n") - 1, 0) + step.code
    script.write_text(code, "utf-8")
    _run([sys.executable, str(script)], folder)


def main() -> int:
    """Run all pages, or those named; the exit status is the number of pages that failed, at most 99."""
    named = [Path(name).resolve() for name in sys.argv[1:]]
    pages = named or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
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
