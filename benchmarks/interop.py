"""What leaves the house: DICOM, FHIR, PDF and sheet; and what writing them costs beside the walk.

The rows of DICOM and of the words come from ``interop_dicom.py`` and ``interop_words.py``, those of FHIR from
``interop_fhir.py``. Cost is measured in a process of its own that has assessed the scan: seconds of each format, and
how far the memory rises above where the walk had left it (VmHWM, reset before the first byte is written).
"""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from hepacalc.assess import assess
from hepacalc.phantom import make_patient, random_specs, write_dicom_series
from hepacalc.report.writers import ExportContext, SourceStudy, get_writer, writer_names
from hepacalc.study.source import read_headers
from matching import row

SLICES, FOCI = 300, 30
MOST_SECONDS, MOST_MB = 4.0, 500.0
COUNTED = ("seg", "sr", "fhir", "pdf")
PARTS = ("interop_dicom", "interop_words", "interop_fhir")
RUNS = 3
HEADERS = "reading the headers again"

PERSON = """
age: 57
sex: male
exposures: {pasture: yes, others: no}
cancers: {had: no}
symptoms: {others: no}
virus: {hbsag: positive}
"""


def rows() -> list[dict[str, Any]]:
    """Return the rows of all parts, and those of the cost."""
    parts = [importlib.import_module(name).rows() for name in PARTS if find_spec(name) is not None]
    return [line for part in parts for line in part] + cost_rows()


def cost_rows() -> list[dict[str, Any]]:
    """Seconds and memory of writing for 512x512x300 with 30 foci."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_study(folder / "study")
        (folder / "patient.yaml").write_text(PERSON, "utf-8")
        command = [sys.executable, __file__, "--cost", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    title = f"writing for 512x512x{SLICES}, {told['foci']} foci"
    there = [name for name in COUNTED if name in told["seconds"]]
    words = " + ".join(name.upper() for name in there)
    is_whole = len(there) == len(COUNTED)
    total, cpu = (sum(told[clock][name] for name in (HEADERS, *there)) for clock in ("seconds", "cpu"))
    out = [
        row(
            f"{title}: {words}",
            round(total, 3),
            "s",
            f"<= {MOST_SECONDS:g}",
            total <= MOST_SECONDS if is_whole else None,
        ),
        row(f"{title}: {words}, CPU time", round(cpu, 3), "s", "", None),
        row(
            f"{title}: memory above the walk",
            told["mb"],
            "MB",
            f"<= {MOST_MB:g}",
            told["mb"] <= MOST_MB if is_whole else None,
        ),
    ]
    return out + [row(f"{title}: {name}", used, "s", "", None) for name, used in told["seconds"].items()]


def _write_study(folder: Path) -> None:
    specs = random_specs(np.random.default_rng(11), FOCI, diameter_mm=(4.0, 14.0), delta_hu=(300.0, 1100.0))
    patient = make_patient(
        78, foci=specs, spacing_mm=(1.0, 0.78, 0.78), matrix=512, noise_hu=12, z_range_mm=(-254.5, 45.0)
    )
    write_dicom_series(patient, folder)


def _cost(folder: Path) -> dict[str, Any]:
    """Assess the study, then write every format; return the best seconds of each and the rise of memory in MB."""
    found = assess(folder / "study", patient=folder / "patient.yaml", now=datetime(2026, 11, 26, 12, tzinfo=UTC))
    writers = [get_writer(name) for name in writer_names()]
    gc.collect()
    before = _memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    clocks = _Clocks()
    for k in range(RUNS):
        with clocks(HEADERS):
            context = ExportContext(source=SourceStudy(read_headers(folder / "study", found.volume)))
        for writer in writers:
            out = folder / f"{writer.name}-{k}"
            out.mkdir()
            with clocks(writer.name):
                writer.write(found, out, context)
    rise = _memory_mb("VmHWM") - before
    return {"foci": len(found.foci), "seconds": clocks.seconds, "cpu": clocks.cpu, "mb": round(rise, 1)}


class _Clocks:
    """Best wall and CPU seconds of each thing that is done several times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start, began = time.perf_counter(), time.process_time()
        yield
        for held, used in ((self.seconds, time.perf_counter() - start), (self.cpu, time.process_time() - began)):
            held[name] = round(min(used, held.get(name, used)), 3)


def _memory_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    raise SystemExit(f"{name} is not told by this system")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cost"]:
        sys.stdout.write(json.dumps(_cost(Path(sys.argv[2]))))
    else:
        for line in rows():
            sys.stdout.write(json.dumps(line) + "\n")
