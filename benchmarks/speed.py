"""Time of a start, time and memory of the whole walk, and of reading against SimpleITK.

The walk is the command itself in a process of its own: a DICOM folder of 512x512x300 in, the report out. Stage times
are those that the command writes into ``assessment.json``; peak memory is the operating system's figure for that
process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import reading
import speed_cost
from child import cost
from hepacalc.phantom import make_patient, random_specs, write_dicom_series
from matching import row

SLICES = 300


def rows() -> list[dict[str, Any]]:
    """Return the rows of the speed table."""
    return [*start_rows(), *walk_rows(), *reading.rows(), *speed_cost.rows()]


def start_rows() -> list[dict[str, Any]]:
    """CPU seconds of a warm start: the import, ``--help``, and the first use of a heavy name; the median of nine."""
    out = []
    for title, arguments, most in (
        ("import hepacalc, warm", ["-c", "import hepacalc"], 0.3),
        ("hepacalc --help, warm", ["-m", "hepacalc", "--help"], 0.4),
        ("import hepacalc and load all that assess needs, warm", ["-c", "import hepacalc; hepacalc.assess"], None),
    ):
        used = _cpu_seconds([sys.executable, *arguments])
        out.append(row(f"{title}: CPU time", used, "s", f"<= {most}" if most else "", used <= most if most else None))
    return out


def _cpu_seconds(command: list[str], runs: int = 9) -> float:
    """Return the median of user and system time of a command, after one run that warms the caches."""
    used = []
    for _ in range(runs + 1):
        before = os.times()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        used.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return sorted(used[1:])[runs // 2]


def walk_rows() -> list[dict[str, Any]]:
    """Folder to report for 512x512x300 on two cores: non-contrast and portal venous, ten foci each."""
    out: list[dict[str, Any]] = []
    for phase in ("non-contrast", "portal"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_study(folder / "study", phase)
            seconds, peak_gb = _run(folder / "study", folder / "out")
            assessment = json.loads((folder / "out" / "assessment.json").read_text("utf-8"))
        title = f"512x512x{SLICES}, {phase}, 2 cores"
        out.append(row(f"{title}: folder to report", seconds, "s", "<= 30", seconds <= 30))
        out.append(row(f"{title}: peak memory", peak_gb, "GB", "<= 2.5", peak_gb <= 2.5))
        stages = dict(assessment["run"]["seconds"])
        for stage, used in stages.items():
            is_foci = "foci" in stage
            target = "<= 2" if is_foci else ""
            out.append(row(f"{title}: {stage}", used, "s", target, used <= 2 if is_foci else None))
        out.append(row(f"{title}: import, writing and report", seconds - sum(stages.values()), "s", "", None))
        out.append(row(f"{title}: foci listed", len(assessment["foci"]), "foci", "", None))
    return out


def _write_study(folder: Path, phase: str) -> None:
    """Write a digital patient of 300 slices of 1 mm as DICOM."""
    import numpy as np

    specs = random_specs(np.random.default_rng(5), 10, diameter_mm=(3.0, 20.0), delta_hu=(250.0, 1100.0))
    patient = make_patient(
        77, phase=phase, foci=specs, spacing_mm=(1.0, 0.78, 0.78), matrix=512, noise_hu=14, z_range_mm=(-254.5, 45.0)
    )
    assert patient.volume.hu.shape == (SLICES, 512, 512), patient.volume.hu.shape
    write_dicom_series(patient, folder)
    # what the system still has to write to disk is no part of what is timed
    os.sync()


def _run(study: Path, out: Path) -> tuple[float, float]:
    """Run the command; return wall seconds and peak memory in GB."""
    command = [sys.executable, "-m", "hepacalc", "assess", str(study), "-o", str(out)]
    seconds, peak, _ = cost(command)
    return seconds, peak / 1e9


if __name__ == "__main__":
    for line in rows():
        sys.stdout.write(json.dumps(line) + "\n")
