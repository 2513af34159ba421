"""Everything that is measured about hepacalc, in one run: ``scripts/validate`` writes the page and its pictures.

Digital patients, phantoms, foci put into real scans, test bodies of the liver, published cases, and the knowledge base
without each of its sources. What needs the folder beside the checkout is left out where that is not there, and the page
says so.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import accuracy
import couinaud_rows
import plots
import reasoning
import segmentation
import validation_failures as failures
import validation_figures as figures
import validation_plots as drawn
from hepacalc.evaluate.run import CaseResult
from hepacalc.evaluate.without import MovedBy, moved_by_each
from hepacalc.knowledge import load_knowledge
from hepacalc.knowledge.cases import load_reference_cases
from hepacalc.reason.compare import case_evidence
from hepacalc.records import Focus
from liver_runs import Run, all_bodies, run_all
from matching import SHARED, Match
from validation_patients import (
    Number,
    Word,
    focus_numbers,
    matched,
    patient,
    patient_numbers,
    patient_words,
    pattern_words,
)

ROOT = Path(__file__).resolve().parents[1]
PATIENTS = 24
PROCESSES = 2
STORED = ROOT / "docs" / "reference" / "validation.json"
IMAGES = ROOT / "docs" / "img"
SETTINGS = {
    ("phantom", "non-contrast"): "phantoms, true liver",
    ("inserted", "non-contrast"): "real scans, non-contrast",
    ("inserted", "portal"): "real scans, portal",
}
MINE = "digital patients"


@dataclass
class Measured:
    """All that a run gives.

    Args:
        rows: of the benches.
        numbers: given and true.
        words: given and true.
        matches: true foci and what was made of them.
        extra: calcifications where none is, as (source, scan, focus).
        details: every focus as the plots want it, false calcifications included.
        bodies: runs of the liver.
        counted: published cases.
        moved: what moves without each source.
        patients: how many digital patients.
        commit: of the checkout when the run began.
        minutes: by part.
    """

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    numbers: list[Number] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    extra: list[tuple[str, str, Focus]] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[Run] = field(default_factory=list)
    counted: list[CaseResult] = field(default_factory=list)
    moved: list[tuple[str, MovedBy]] = field(default_factory=list)
    patients: int = 0
    commit: str = ""
    minutes: dict[str, float] = field(default_factory=dict)


# ------------------------------------------------------------------ measuring


def one_patient(number: int) -> tuple[list[Number], list[Word], list[Match], list[Focus]]:
    """Measure one digital patient."""
    seen = patient(number)
    pairs, extra = matched(seen, number)
    return patient_numbers(seen, pairs, MINE), patient_words(seen, pairs), pairs, extra


def known_foci() -> tuple[list[dict[str, Any]], list[Match], list[tuple[str, str, float, Focus]]]:
    """Run the accuracy bench: phantoms with their true liver, foci put into real scans."""
    found: list[Match] = []
    false: list[tuple[str, str, float, Focus]] = []
    return accuracy.rows(found, false), found, false


def without_sources() -> list[tuple[str, MovedBy]]:
    """Take each source away."""
    knowledge = load_knowledge()
    return moved_by_each(knowledge, case_evidence(load_reference_cases(), knowledge))


def measure(patients: int = PATIENTS, bodies: int | None = None) -> Measured:
    """Measure everything; two processes at a time.

    Args:
        patients: how many digital patients.
        bodies: how many test bodies of the liver; None: all.
    """
    out = Measured(patients=patients, commit=_commit())
    timed = partial(_timed, out.minutes)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        known, segments, moved = (pool.submit(part) for part in (known_foci, couinaud_rows.rows, without_sources))
        each = [pool.submit(one_patient, number) for number in range(patients)]
        with timed("foci, digital patients, segments, sources"):
            for number, job in enumerate(each):
                numbers, words, pairs, extra = job.result()
                out.numbers += numbers
                out.words += words
                out.matches += pairs
                out.details += [accuracy.detail(m) for m in pairs]
                out.extra += [("patient", pairs[0].scan, f) for f in extra] if pairs else []
                _say(f"patient {number + 1} of {patients}")
            out.rows["accuracy"], found, false = known.result()
            out.rows["segments"], out.moved = segments.result(), moved.result()
    for m in found:
        setting = SETTINGS[m.source, m.phase]
        out.numbers += focus_numbers(m, setting)
        out.words += pattern_words(m)
    out.matches += found
    out.extra += [("inserted", scan, focus) for scan, _, _, focus in false]
    out.details += [*map(accuracy.detail, found), *(accuracy.false_detail(*call) for call in false)]
    with timed("liver on test bodies"):
        jobs = all_bodies(segmentation.PHANTOM_SEEDS, segmentation.WARP_SEEDS)[:bodies]
        out.bodies = run_all(jobs, PROCESSES)
        out.rows["segmentation"] = [
            *segmentation.expert_rows(), *segmentation.left_out_rows(), *segmentation.body_rows(out.bodies)
        ]  # fmt: skip
    with timed("published cases"):
        knowledge = load_knowledge()
        out.counted = reasoning.published(knowledge)
        out.rows["reasoning"] = reasoning.answer_rows(knowledge, out.counted)
    return out


class _timed:  # noqa: N801 - used as a function
    def __init__(self, minutes: dict[str, float], name: str) -> None:
        self.minutes, self.name = minutes, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.minutes[self.name] = (time.perf_counter() - self.start) / 60
        _say(f"{self.name}: {self.minutes[self.name]:.1f} minutes")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


# ------------------------------------------------------------------ the page


def blocks(found: Measured) -> dict[str, figures.Table]:
    """Return every table of the page by the name of its mark."""
    foci, _ = plots.judged(found.details)
    rows = [row for area in found.rows.values() for row in area]
    mimics, called, unlisted = figures.mimics_called(found.words)
    false = [s for s, _, _ in found.extra]
    counts: list[list[Any]] = [
        ["digital patients", found.patients],
        ["true foci in them", sum(m.source == "patient" for m in found.matches)],
        ["true foci in phantoms with the true liver given", sum(m.source == "phantom" for m in found.matches)],
        ["true foci put into real scans", sum(m.source == "inserted" for m in found.matches)],
        ["calcifications called where none is, digital patients", false.count("patient")],
        ["calcifications called where none is, real scans", false.count("inserted") if SHARED.is_dir() else None],
        ["mimics in digital patients", mimics],
        ["mimics called calcification", called],
        ["mimics not listed", unlisted],
        ["test bodies of the liver", len(found.bodies)],
        ["published cases that count", len(found.counted) or None],
        ["works behind the knowledge base, taken away one by one", len(found.moved)],
    ]  # fmt: skip
    return {
        "validation-run": figures.table(["what", "value"], [*_run(found), *counts]),
        "validation-wanted": figures.wanted(rows),
        "validation-numbers": figures.quantities(found.numbers),
        "validation-words": figures.classes(found.words),
        "validation-calibration": figures.calibration(found.words, found.counted),
        "validation-rivals": figures.rivals(foci),
        "validation-methods": figures.methods(found.counted),
        "validation-sources": figures.sources(found.moved, load_knowledge()),
    }


def _run(found: Measured) -> list[list[Any]]:
    """Return which command on which commit made the figures, and with which data."""
    scans = "there" if SHARED.is_dir() else "not there: phantoms and digital patients alone"
    cases = "there" if reasoning.CASES.exists() else "not there"
    return [
        ["command", "`scripts/validate`"],
        ["commit", found.commit],
        ["minutes", round(sum(found.minutes.values()))],
        ["cores of the machine", os.cpu_count()],
        ["real scans beside the checkout", scans],
        ["published cases beside the checkout", cases],
    ]


def _commit() -> str:
    """Return the commit of this checkout, and whether it has changes."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "src", "benchmarks", "scripts")
    return (git("rev-parse", "--short=12", "HEAD") or "none") + (", with changes of its own" if changed else "")


def pictures(found: Measured, folder: Path) -> list[str]:
    """Draw every picture; return a line for each liver that is shown."""
    foci, _ = plots.judged(found.details)
    made = {
        "errors": drawn.errors(found.numbers),
        "coverage": drawn.coverage(found.numbers),
        "reliability": drawn.reliability(found.words, found.counted),
        "sources": drawn.sources(found.moved),
        "failures": failures.pictures(failures.worst(found.matches, found.extra)),
        "fixed-130": plots.threshold(foci, source="patient", where="digital patients"),
    }
    if found.counted:
        made |= {"methods": drawn.methods(found.counted), "cases": drawn.cases(found.counted)}
    for name, figure in made.items():
        if figure is not None:
            plots.save(figure, folder / f"validation-{name}.png", 256 if name == "failures" else 64)
    told = []
    for number, (run, image) in enumerate(failures.worst_livers(found.bodies), 1):
        image.save(folder / f"validation-liver-{number}.png", optimize=True)
        warned = "it said to check the contour" if run.is_flagged else "without a warning"
        source = "digital patient" if run.source == "phantom" else f"{run.source}, bent"
        told.append(f"{number}. {run.body} ({source}, seed {run.seed}): Dice {run.dice:.3f}, {warned}")
    return told


def write(found: Measured) -> None:
    """Write the pictures, the stored figures and the tables of the pages, those of the accuracy bench too."""
    told = pictures(found, IMAGES)
    made = blocks(found) | {"validation-livers": figures.table(["liver, worst first"], [[line] for line in told])}
    STORED.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    quote = runpy.run_path(str(ROOT / "scripts" / "quote"))
    for name, block in made.items():
        quote["fill_pages"](name, figures.markdown(block))
    known = [d for d in found.details if d["source"] != "patient"]
    foci, false = plots.judged(known)
    for name, figure in plots.draw(foci).items():
        plots.save(figure, IMAGES / f"accuracy-{name}.png")
    for name, rows in (
        ("accuracy", found.rows["accuracy"]),
        ("accuracy-groups", plots.group_rows(foci)),
        ("accuracy-failures", plots.failures(foci, false)),
    ):
        quote["fill_pages"](name, quote["table"](rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="scripts/validate",
        description="Measure everything; write docs/reference/validation.md (up to an hour).",
    )
    parser.parse_args(arguments)
    write(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
