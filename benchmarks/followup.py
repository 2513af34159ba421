"""Follow-up against known truth: digital patients seen twice, real scans bent by a known map, speed; the registry.

What counts as right for a lesion that was found:

* seen at both exams: its true status; or ``stable`` when the true change is below what the comparison itself says that
  this pair could have shown; or ``not comparable`` when it says that the true change could not have been shown;
* cut by the edge of a scan: ``not comparable`` too;
* at one exam only: ``new`` or ``gone``; or ``not comparable`` where its place lies outside the other exam, where it was
  not called calcification, or where contrast medium is in the other exam;
* merged, split: exactly that, unless the assessment counted both nodules as one lesion from the start.

The strict share (every true change must be called, whatever could be shown) stands beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np

from hepacalc.compare import open_assessment
from hepacalc.followup.compare import compare_exams
from hepacalc.followup.records import Comparison, Exam, LesionChange
from hepacalc.followup.register import register_livers
from hepacalc.followup.visible import in_view
from hepacalc.phantom import FocusTruth
from hepacalc.records import Measured
from matching import SHARED, row, walk
from pairs import SCANS, Pair, TrueLesion, phantom_pair, real_pair

CHANGED_SEEDS = tuple(range(101, 131))
SAME_SEEDS = tuple(range(201, 209))
PROCESSES = 2
REAL_SEEDS = (11, 12)
NEAR_MM = 4.0


@dataclass
class Tally:
    """What was counted over many pairs."""

    right: list[bool] = field(default_factory=list)
    strict: list[bool] = field(default_factory=list)
    matched: list[bool] = field(default_factory=list)
    errors_mm: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    extra: int = 0
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what was counted elsewhere."""
        for name in ("right", "strict", "matched", "errors_mm", "covered", "seconds", "faults"):
            getattr(self, name).extend(getattr(other, name))
        self.said.update(other.said)
        self.missed += other.missed
        self.extra += other.extra


def rows() -> list[dict[str, Any]]:
    """Return the rows of the follow-up table, and those of the registry where its benchmark is there."""
    jobs = [("", seed, True) for seed in CHANGED_SEEDS] + [("", seed, False) for seed in SAME_SEEDS]
    if SHARED.is_dir():
        jobs += [(name, seed, True) for name in SCANS for seed in REAL_SEEDS]
        jobs += [(name, REAL_SEEDS[0] + 50, False) for name in SCANS]
    changed, same, real, real_same = Tally(), Tally(), Tally(), Tally()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for (name, _, is_changed), part in zip(jobs, pool.map(counted, jobs), strict=True):
            tally = (real if is_changed else real_same) if name else (changed if is_changed else same)
            tally.add(part)
    out = _shares("phantom pairs (30 patients)", changed)
    out += _false("phantom pairs with no change", same)
    if real.right:
        out += _shares("real scans bent by a known map", real)
        out += _false("real scans with no change", real_same)
    else:
        out.append(row("real scans bent by a known map: status right", None, "share", ">= 0.95", False))
    for tally in (changed, same, real, real_same):
        sys.stderr.writelines(f"{fault}\n" for fault in tally.faults)
    out += speed_rows()
    if importlib.util.find_spec("benchmarks.registry"):
        out += importlib.import_module("benchmarks.registry").rows()
    return out


def counted(job: tuple[str, int, bool]) -> Tally:
    """Return what one pair counts to: ``(name of a real scan or empty, seed, whether foci changed)``."""
    name, seed, changed = job
    tally = Tally()
    count(real_pair(name, seed, changed=changed) if name else phantom_pair(seed, changed=changed), tally)
    return tally


def _shares(what: str, tally: Tally) -> list[dict[str, Any]]:
    right, matched = float(np.mean(tally.right)), float(np.mean(tally.matched))
    median, high = (float(np.percentile(tally.errors_mm, q)) for q in (50, 95))
    total = sum(tally.said.values())
    return [
        row(f"{what}: status right", right, "share", ">= 0.95", right >= 0.95),
        row(f"{what}: matches right", matched, "share", ">= 0.98", matched >= 0.98),
        row(f"{what}: centroid error in the liver, median", median, "mm", "<= 3", median <= 3),
        row(f"{what}: centroid error in the liver, 95th percentile", high, "mm", "<= 8", high <= 8),
        row(f"{what}: status right, every true change called", float(np.mean(tally.strict)), "share", "", None),
        row(f"{what}: 90 % intervals of the change hold the truth", float(np.mean(tally.covered)), "share", "", None),
        row(f"{what}: said not comparable", tally.said["not comparable"] / max(total, 1), "share", "", None),
        row(f"{what}: lesions", len(tally.right), "lesions", "", None),
        row(f"{what}: change told where nothing is", tally.extra, "lesions", "", None),
        row(f"{what}: left out, not found by an assessment", tally.missed, "lesions", "", None),
        row(f"{what}: CPU time of a comparison, mean", float(np.mean(tally.seconds)), "s", "", None),
    ]  # fmt: skip


def _false(what: str, tally: Tally) -> list[dict[str, Any]]:
    total = sum(tally.said.values())
    false = (tally.said["grew"] + tally.said["new"]) / max(total, 1)
    other = (total - tally.said["stable"] - tally.said["grew"] - tally.said["new"]) / max(total, 1)
    return [
        row(f"{what}: false grew or new", false, "share of lesions", "<= 0.02", false <= 0.02),
        row(f"{what}: neither stable, grew nor new", other, "share of lesions", "", None),
        row(f"{what}: lesions", total, "lesions", "", None),
    ]


def count(pair: Pair, tally: Tally) -> Comparison:
    """Assess both exams of a pair as a user would, compare them and add up."""
    opened = [open_assessment(walk(volume), "scan") for volume in (pair.prior, pair.current)]
    start = time.process_time()
    prior, current = opened[0].exam, opened[1].exam
    fit = register_livers(prior.view, current.view)
    found = compare_exams(prior, current, (opened[0].note, opened[1].note), registration=fit)
    tally.seconds.append(time.process_time() - start)
    places = np.array([f.centroid_mm for lesion in pair.lesions for f in lesion.prior])
    if len(places):
        truth = pair.forth(places)
        seen = np.array([in_view(p, current, margin_mm=0.0) for p in truth])
        tally.errors_mm += list(np.linalg.norm(fit.carry(places) - truth, axis=1)[seen])
    used: set[int] = set()
    for lesion in pair.lesions:
        used |= _judge(pair, lesion, found, prior, current, tally)
    tally.said.update(change.status for change in found.lesions)
    for change in found.lesions:
        if change.id not in used and change.status in ("new", "gone", "grew", "shrank"):
            tally.extra += 1
            tally.faults.append(f"{pair.name}: {change.status} where nothing is: {'; '.join(change.reasons)}")
    return found


def _near(exam: Exam, foci: Iterable[FocusTruth]) -> set[int]:
    """Return the lesions of an exam that lie at true foci."""
    out = set()
    for truth in foci:
        at = np.array(truth.centroid_mm)
        gaps = {s.id: float(np.linalg.norm(s.points_mm - at, axis=1).min()) for s in exam.lesions}
        out |= {k for k, gap in gaps.items() if gap <= max(NEAR_MM, truth.diameter_mm / 2 + 1)}
    return out


def _judge(pair: Pair, lesion: TrueLesion, found: Comparison, prior: Exam, current: Exam, tally: Tally) -> set[int]:
    """Judge what is said of one true lesion; return the ids of the changes that speak of it."""
    before, after = _near(prior, lesion.prior), _near(current, lesion.current)
    told = [c for c in found.lesions if before & set(c.prior) or after & set(c.current)]
    if not told:
        tally.missed += 1
        return set()
    both = bool(lesion.prior and lesion.current)
    if both and before and after:
        matched = any(before & set(c.prior) and after & set(c.current) for c in told)
        tally.matched.append(matched)
    right, strict = _right(pair, lesion, told, before, after, prior, current)
    tally.right.append(right)
    tally.strict.append(strict)
    if both and len(told) == 1 and isinstance(told[0].mass_change_percent, Measured):
        number = told[0].mass_change_percent
        tally.covered.append(number.low <= 100 * lesion.growth <= number.high)
    if not right:
        said = "; ".join(f"{c.status} ({', '.join(c.reasons)})" for c in told)
        growth = f" {100 * lesion.growth:+.0f} %" if both else ""
        tally.faults.append(f"{pair.name}: true {lesion.change}{growth}, said {said}")
    return {c.id for c in told}


def _right(
    pair: Pair,
    lesion: TrueLesion,
    told: list[LesionChange],
    before: set[int],
    after: set[int],
    prior: Exam,
    current: Exam,
) -> tuple[bool, bool]:
    """Return whether what is said is right, and whether it is the true status itself."""
    exact = len(told) == 1 and told[0].status == lesion.change
    if exact:
        return True, True
    if lesion.change in ("merged", "split"):
        two = before if lesion.change == "merged" else after
        if len(two) > 1:
            return False, False
    if not lesion.prior or not lesion.current:
        other = prior if not lesion.prior else current
        return all(c.status == "not comparable" for c in told) and _excused(
            pair, lesion, told, prior, current, other
        ), False
    if not (before and after):
        # at one exam it was not found: that is not told from gone or new unless the scan could not show it
        return all(c.status == "not comparable" for c in told), False
    if all(c.status == "not comparable" for c in told) and (
        _at_edge(lesion.prior, prior) or _at_edge(lesion.current, current)
    ):
        return True, False
    return all(_consistent(c, lesion.growth) for c in told if c.prior and c.current), False


def _at_edge(foci: Iterable[FocusTruth], exam: Exam) -> bool:
    """Whether a true focus is cut by the edge of an exam, or lies within a slice of it."""
    thickness = exam.slice_thickness_mm or 0.0
    return any(not in_view(np.array(f.centroid_mm), exam, margin_mm=f.diameter_mm / 2 + thickness) for f in foci)


def _consistent(change: LesionChange, growth: float) -> bool:
    """Whether a status fits a true change, by what the comparison says that it could have shown."""
    least = change.smallest_change_percent
    below = isinstance(least, Measured) and 100 * abs(growth) < least.value
    if change.status in ("stable", "not comparable"):
        return below
    return change.status == ("grew" if growth > 0 else "shrank")


def _excused(pair: Pair, lesion: TrueLesion, told: list[LesionChange], prior: Exam, current: Exam, other: Exam) -> bool:
    """Whether an exam could not have shown a lesion, by the truth."""
    foci = lesion.prior or lesion.current
    at = np.array([f.centroid_mm for f in foci])
    if lesion.prior and not in_view(pair.forth(at)[0], current, margin_mm=8.0):
        return True
    seen = [s for s in (prior if lesion.prior else current).lesions for c in told if s.id in (*c.prior, *c.current)]
    return bool(other.is_contrast) or any(s.kind != "calcification" for s in seen)


def speed_rows() -> list[dict[str, Any]]:
    """Return time and peak memory of comparing two studies of 300 slices, beyond the two assessments."""
    from hepacalc.phantom import make_patient

    made = make_patient(77, spacing_mm=(1.0, 0.75, 0.75), matrix=512)
    opened = open_assessment(walk(made.volume), "scan")
    before = _peak_gb()
    start, cpu = time.perf_counter(), time.process_time()
    compare_exams(opened.exam, opened.exam, (opened.note, opened.note))
    wall, spent = time.perf_counter() - start, time.process_time() - cpu
    peak = _peak_gb()
    slices = made.volume.hu.shape[0]
    return [
        row(f"comparing two studies of {slices} slices, beyond the assessments", wall, "s", "<= 30", wall <= 30),
        row(f"comparing two studies of {slices} slices: CPU time", spent, "s", "", None),
        row(f"comparing two studies of {slices} slices: peak memory, assessments included", peak, "GB", "<= 2.5",
            peak <= 2.5),
        row("of that before comparing", before, "GB", "", None),
    ]  # fmt: skip


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
