"""Where the time goes, against the budget of the whole; and what more slices and more foci cost.

Each walk is folder to report in a process of its own, as the command does it, with the stages timed: loading, those of
the assessment, writing the report with its pictures. ``benchmarks/speed_plots.py`` draws the rows.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from child import cost
from hepacalc.geometry import Geometry
from hepacalc.phantom import Phantom, make_patient, random_specs, write_dicom_series
from matching import row

WALK = Path(__file__).resolve().with_name("speed_walk.py")
SLICES = (50, 150, 300, 600, 1500)
FOCI = (0, 250, 500, 1000, 2000)
WHOLE = 300
BUDGET = {"finding the liver": 3.0, "finding and measuring foci": 1.5, "report with pictures": 2.0}
"""Seconds on two cores for 512x512x300; reading and the start have rows of their own in ``speed`` and ``reading``."""
FOLDER_TO_REPORT, PEAK_GB = 10.0, 1.5
GROWTH = 1.25
"""By how much a further slice or focus may cost more in the upper half than in the lower one: noise of the clock."""
CELL_MM, BALL_MM, BALL_HU = 8.0, 1.6, 500


@dataclass(frozen=True)
class Walk:
    """One walk: seconds from start to end and by stage, peak memory, lesions and mimics listed."""

    seconds: float
    peak_gb: float
    stages: dict[str, float]
    listed: int


def rows(slices: Sequence[int] = SLICES, foci: Sequence[int] = FOCI, runs: int = 3) -> list[dict[str, Any]]:
    """Return the rows of budget and cost.

    Args:
        slices: how many, of the same body.
        foci: how many, on :data:`WHOLE` slices.
        runs: of each walk; the fastest counts.
    """
    out: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for phase in ("non-contrast", "portal"):
            made = body(phase)
            out += _budget(phase, _measured(made, Path(name), runs))
            if phase == "non-contrast":
                by_slices = {n: _measured(resliced(made, n), Path(name), runs) for n in slices}
        empty = body("non-contrast", foci=0)
        by_foci = {n: _measured(with_balls(empty, n), Path(name), runs) for n in foci}
    return [*out, *_cost("slices", by_slices), *_cost("foci", by_foci)]


def _budget(phase: str, walk: Walk) -> list[dict[str, Any]]:
    """One row for the whole, one for the memory, one a stage; those with a budget have it as target."""
    title = f"budget, 512x512x{WHOLE}, {phase}"
    out = [
        row(f"{title}: folder to report", walk.seconds, "s", f"<= {FOLDER_TO_REPORT:g}",
            walk.seconds <= FOLDER_TO_REPORT) | {"stages": walk.stages, "phase": phase},
        row(f"{title}: peak memory", walk.peak_gb, "GB", f"<= {PEAK_GB:g}", walk.peak_gb <= PEAK_GB),
    ]  # fmt: skip
    for stage, used in walk.stages.items():
        most = BUDGET.get(stage)
        out.append(row(f"{title}: {stage}", used, "s", f"<= {most:g}" if most else "", used <= most if most else None))
    return out


def _cost(what: str, walks: dict[int, Walk]) -> list[dict[str, Any]]:
    """One row a number, and how the cost of one more grows from the lower half to the upper one."""
    out = [
        row(f"cost, {n} {what}: folder to report", walk.seconds, "s", "", None)
        | {what: n, "stages": walk.stages, "peak_gb": round(walk.peak_gb, 3), "listed": walk.listed}
        for n, walk in walks.items()
    ]
    grown = growth([(n, walk.seconds) for n, walk in walks.items()])
    return [*out, row(f"cost of one more of the {what}, upper over lower half", grown, "1", f"<= {GROWTH:g}",
                      None if grown is None else grown <= GROWTH)]  # fmt: skip


def growth(points: Sequence[tuple[int, float]]) -> float | None:
    """Return the slope of the upper half of the range over that of the lower half; None with fewer than 3 points.

    1 is linear, less is better than linear. Slopes are of least squares; the halves meet in the point that is nearest
    to the middle of the range.
    """
    if len(points) < 3:
        return None
    ordered = sorted(points)
    middle = (ordered[0][0] + ordered[-1][0]) / 2
    meet = min(range(1, len(ordered) - 1), key=lambda k: abs(ordered[k][0] - middle))
    lower, upper = (np.polyfit(*zip(*part, strict=True), 1)[0] for part in (ordered[: meet + 1], ordered[meet:]))
    return float(upper / lower) if lower > 0 else None


# ------------------------------------------------------------------ what is walked


def body(phase: str, foci: int = 10) -> Phantom:
    """Return a digital patient of :data:`WHOLE` slices of 1 mm."""
    specs = random_specs(np.random.default_rng(5), foci, diameter_mm=(3.0, 20.0), delta_hu=(250.0, 1100.0))
    return make_patient(
        77, phase=phase, foci=specs, spacing_mm=(1.0, 0.78, 0.78), matrix=512, noise_hu=14, z_range_mm=(-254.5, 45.0)
    )


def resliced(made: Phantom, count: int) -> Phantom:
    """Return the same body in another number of slices: the nearest of the slices there are."""
    volume = made.volume
    whole = len(volume.hu)
    affine = volume.geometry.affine.copy()
    affine[:3, 0] *= whole / count
    hu = volume.hu[np.arange(count) * whole // count]
    acquisition = replace(volume.acquisition, slice_thickness_mm=whole / count)
    uids = tuple(f"{volume.sop_instance_uids[0][:50]}.{count}.{k}" for k in range(count))
    geometry = Geometry(hu.shape, affine)
    return replace(
        made, volume=replace(volume, hu=hu, geometry=geometry, acquisition=acquisition, sop_instance_uids=uids)
    )


def with_balls(made: Phantom, count: int) -> Phantom:
    """Return the same scan with so many bright balls on a lattice in the liver.

    Raises:
        ValueError: the liver holds fewer places.
    """
    step = np.array(made.volume.geometry.spacing_mm)
    cells = np.round(CELL_MM / step).astype(int)
    reach = np.ceil(BALL_MM / step).astype(int)
    places = np.argwhere(made.liver[tuple(slice(None, None, c) for c in cells)]) * cells
    places = places[((places >= reach) & (places + reach < made.liver.shape)).all(axis=1)]
    if len(places) < count:
        raise ValueError(f"wanted {count} places for balls in the liver, found {len(places)}")
    hu = made.volume.hu.copy()
    z, y, x = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    ball = np.sqrt((z * step[0]) ** 2 + (y * step[1]) ** 2 + (x * step[2]) ** 2) <= BALL_MM
    bright = (BALL_HU * ball).astype(hu.dtype)
    for place in places[np.random.default_rng(9).permutation(len(places))[:count]]:
        hu[tuple(slice(a, a + n) for a, n in zip(place - reach, ball.shape, strict=True))] += bright
    return replace(made, volume=replace(made.volume, hu=hu))


# ------------------------------------------------------------------ walking


def _measured(made: Phantom, folder: Path, runs: int) -> Walk:
    """Write the study, walk it some times, return the fastest walk."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        study = Path(name) / "study"
        write_dicom_series(made, study)
        return min((_walked(study, Path(name) / "out") for _ in range(runs)), key=lambda walk: walk.seconds)


def _walked(study: Path, out: Path) -> Walk:
    """Walk in a process of its own."""
    seconds, peak, told = cost([sys.executable, str(WALK), str(study), str(out)])
    found = json.loads(told)
    stages = {name: round(used, 3) for name, used in found["stages"].items()}
    stages["start and end of the process"] = round(seconds - sum(stages.values()), 3)
    return Walk(seconds, peak / 1e9, stages, found["listed"])
