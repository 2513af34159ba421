"""PDF, text and sheet: time and memory for 30 lesions, reading grade of the sheet, what is not translated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from matching import row

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
LESIONS = 30

MEASURE = """
import json, resource, sys, time
sys.path[:0] = [{tests!r}]
from dataclasses import replace
import numpy as np
from hepacalc.consult import consult
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import read_patient
from hepacalc.report import {function}
from reason_example import PERSON, TODAY
from report_example import make_example

rng = np.random.default_rng(1)
places = rng.uniform((0.3, 0.25, 0.15), (0.7, 0.6, 0.55), ({lesions}, 3))
scan = make_example(balls=tuple((tuple(place), 3.0, 400.0, "calcification") for place in places))
found = consult(read_patient(PERSON, today=TODAY), load_knowledge(), today=TODAY, assessment=scan)
scan = replace(scan, reasoning=found)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
first = time.process_time()
data = {function}(scan, language={language!r})
again = time.process_time()
later = []
for _ in range({repeats}):
    start = time.process_time()
    {function}(scan, language={language!r})
    later.append(time.process_time() - start)
print(json.dumps({{
    "lesions": len(scan.lesions), "first": again - first, "later": min(later),
    "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before, "bytes": len(data),
}}))
"""


def rows() -> list[dict[str, Any]]:
    """Return the rows of the table; each program run is a process of its own."""
    out = []
    for language in ("en", "zh"):
        one = _measured("render_pdf", language)
        name = f"PDF of {one['lesions']} lesions, {language}"
        out += [
            row(f"{name}: CPU time, least of {REPEATS}", one["later"], "s", "<= 1.5", one["later"] <= 1.5),
            row(f"{name}: CPU time of the first, fonts and catalogs read", one["first"], "s", None, None),
            row(f"{name}: memory above what was there", one["mb"], "MB", "<= 200", one["mb"] <= 200),
            row(f"{name}: size", one["bytes"] / 1e6, "MB", None, None),
        ]
    text = _measured("report_text", "zh")
    out.append(row("text in Chinese: CPU time", 1000 * text["later"], "ms", None, None))
    return [*out, *_sheets(), *_translations()]


def _measured(function: str, language: str) -> dict[str, Any]:
    code = MEASURE.format(
        tests=str(ROOT / "tests"), function=function, language=language, lesions=LESIONS, repeats=REPEATS
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _sheets() -> list[dict[str, Any]]:
    """Reading grade over everything that the sheet tells apart, and pages."""
    sys.path.append(str(ROOT / "tests"))
    from hepacalc.report.patient import OUTCOMES, make_sheet, sheet_text
    from reading_level import grade
    from sheet_examples import told

    made = [make_sheet(one, made="2026-11-22") for one in told().values()]
    worst = max(grade(sheet_text(sheet)) for sheet in made)
    outcomes = len({sheet.outcome for sheet in made})
    return [
        row("sheet: Flesch-Kincaid grade, worst of all examples", worst, "grade", "<= 8", worst <= 8),
        row("sheet: outcomes among the examples", outcomes, "", f"{len(OUTCOMES)}", outcomes == len(OUTCOMES)),
        row("sheet: examples", len(made), "", None, None),
    ]


def _translations() -> list[dict[str, Any]]:
    """Messages, those without a translation, those that are stale, and characters without a glyph."""
    import runpy

    from hepacalc.report.language import catalog
    from hepacalc.report.pdf import missing_glyphs

    wanted = {(c or "", text) for c, text in runpy.run_path(str(ROOT / "scripts" / "catalogs.py"))["messages"]()}
    held = catalog("zh")
    missing, stale = len(wanted - set(held)), len(set(held) - wanted)
    glyphs = len(missing_glyphs("".join([*held.values(), *(text for _, text in held)])))
    return [
        row("messages", len(wanted), "", None, None),
        row("messages without a Chinese translation", missing, "", "0", missing == 0),
        row("stale translations", stale, "", "0", stale == 0),
        row("characters of all messages without a glyph in the PDF's font", glyphs, "", "0", glyphs == 0),
    ]
