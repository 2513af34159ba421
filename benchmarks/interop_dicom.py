"""DICOM objects: valid by dciodvfy, read the same by dcmqi and highdicom, kept by Orthanc; time and memory of writing.

``rows()`` needs the test extra (dicom3tools, dcmqi, pynetdicom); what needs Orthanc or the real scans in ``../shared``
says so in its row where they are not there.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "contract")]

import highdicom as hd  # noqa: E402
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

import dicom_scenes as scenes  # noqa: E402
from hepacalc.interop.foci_file import read_foci_mask  # noqa: E402
from hepacalc.liver.mask_file import read_liver_mask  # noqa: E402
from hepacalc.report.write import prepared  # noqa: E402
from hepacalc.report.writers import ExportContext, SourceStudy, get_writers  # noqa: E402
from hepacalc.study import open_study  # noqa: E402
from hepacalc.study.source import read_headers  # noqa: E402
from matching import row  # noqa: E402
from report_example import make_example  # noqa: E402

SHARED = ROOT.parent / "shared" / "data" / "ct"
REAL = ("acrin-flt-001", "cptac-c3l-00189", "totalsegmentator/example_ct_dicom", "ircadb-01/dicom")
SLICES, FOCI = 300, 30
MOST_SECONDS, MOST_MB = 2.0, 250.0
KINDS = ("LABELMAP", "BINARY")


@dataclass
class _Count:
    """How many were tried, and how many passed."""

    tried: int = 0
    passed: int = 0

    def add(self, ok: bool) -> None:
        self.tried += 1
        self.passed += ok

    def row(self, name: str) -> dict[str, Any]:
        return row(f"{name} ({self.tried})", self.passed, "passed", f"{self.tried}", self.passed == self.tried)


def rows() -> list[dict[str, Any]]:
    """Return the rows of the table of DICOM objects."""
    valid, real, masks, exact, volumes = _Count(), _Count(), _Count(), _Count(), _Count()
    with tempfile.TemporaryDirectory() as name:
        for number, scene in enumerate(_scenes(Path(name))):
            for kind in KINDS:
                made = _written(scene, Path(name) / f"{number}-{kind}", kind)
                for path in made.values():
                    valid.add(_is_valid(path))
                _compare(scene, made, kind, Path(name) / f"q{number}-{kind}", (masks, exact, volumes))
        for folder in REAL if SHARED.is_dir() else ():
            scene = _real(SHARED / folder)
            for kind in KINDS:
                made = _written(scene, Path(name) / f"{folder.replace('/', '-')}-{kind}", kind)
                for path in made.values():
                    real.add(_is_valid(path))
                if scene.assessment.volume.source_geometry is None:
                    exact.add(_round_trip(scene, made))
    return [
        valid.row(
            "objects of 48 orientations, tilt, uneven and overlapping slices, multi-frame: dciodvfy exit status 0"
        ),
        real.row("objects of the real scans: dciodvfy exit status 0"),
        masks.row("masks read by dcmqi: the same voxels"),
        volumes.row("masks read by highdicom as volumes: the same voxels"),
        exact.row("masks read back: pixel-exact"),
        *_orthanc(),
        *_cost(),
    ]


def _scenes(folder: Path) -> Iterator[scenes.Scene]:
    from hepacalc.geometry import Geometry

    for k, (axes, signs) in enumerate(scenes.ORDERS):
        yield scenes.turned(folder / f"s{k}", axes, signs)
    affine = scenes.affine_of((2, 1, 0), (1, 1, 1))
    tilted = affine.copy()
    tilted[1, 0] = 3.0 * np.tan(np.deg2rad(-18.5))
    yield scenes.on_grid(folder / "tilt", Geometry(scenes.SHAPE, tilted))
    geometry = Geometry(scenes.SHAPE, affine)
    moved = np.random.default_rng(3).uniform(-0.1, 0.1, scenes.SHAPE[0])

    def each(k: int) -> dict[str, list[float]]:
        x, y, z = geometry.to_world((k, 0, 0))
        return {"ImagePositionPatient": [float(x), float(y), float(z + moved[k])]}

    yield scenes.upright(folder / "uneven", each=each)
    yield scenes.upright(folder / "overlap", SliceThickness=6.0, SpacingBetweenSlices=1.0)
    yield scenes.multiframe(folder / "mf")
    yield scenes.multiframe(folder / "fm", backwards=True)


def _real(folder: Path) -> scenes.Scene:
    volume, choice = open_study(folder, allow_gaps=True)
    made = make_example(geometry=volume.geometry)
    known = replace(
        made, volume=volume, acquisition=volume.acquisition, geometry=volume.geometry, series=choice,
        transforms=volume.transforms,
    )  # fmt: skip
    return scenes.Scene(known, read_headers(folder, volume), folder)


def _written(scene: scenes.Scene, folder: Path, kind: str) -> dict[str, Path]:
    folder.mkdir(parents=True)
    told = ExportContext(source=SourceStudy(scene.datasets), segmentation_type=kind)  # type: ignore[arg-type]
    assessment, context = prepared(scene.assessment, told)
    for writer in get_writers("seg,sr,ko"):
        writer.write(assessment, folder, context)
    return {path.name: path for path in sorted(folder.glob("*.dcm"))}


def _is_valid(path: Path) -> bool:
    try:
        return scenes.dciodvfy(path) == []
    except AssertionError:
        return False


def _compare(
    scene: scenes.Scene, made: dict[str, Path], kind: str, folder: Path, counts: tuple[_Count, _Count, _Count]
) -> None:
    """Compare the masks as dcmqi, highdicom and we read them with those that were written."""
    known, (masks, exact, volumes) = scene.assessment, counts
    if known.volume.source_geometry is not None:
        return
    read = scenes.dcmqi_labels(made["foci.seg.dcm"], folder)
    together = np.zeros(known.geometry.shape, np.uint16)
    uneven = scene.folder.name == "uneven"
    for number, (labels, affine) in read.items():
        if not uneven:
            laid = scenes.laid(labels, affine, known.geometry)
            together = np.maximum(together, laid if kind == "LABELMAP" else np.where(laid, number, 0))
    if not uneven:
        masks.add(bool((together == known.labels).all()))
        volume = hd.seg.segread(made["foci.seg.dcm"]).get_volume(combine_segments=True, allow_missing_positions=True)
        volumes.add(bool((scenes.laid(volume.array, volume.affine, known.geometry) == known.labels).all()))
    exact.add(_round_trip(scene, made))


def _round_trip(scene: scenes.Scene, made: dict[str, Path]) -> bool:
    known = scene.assessment
    liver = read_liver_mask(made["liver.seg.dcm"], known.volume).mask
    labels = read_foci_mask(made["foci.seg.dcm"], known.volume).drawn.labels
    return bool((liver == known.liver_mask.mask).all() and (labels == known.labels).all())


def _orthanc() -> list[dict[str, Any]]:
    """Send everything to Orthanc and ask it back."""
    import pytest

    name = "Orthanc: C-STORE, STOW-RS, WADO-RS give the same data set"
    with contextlib.redirect_stdout(sys.stderr):
        status = pytest.main(["-q", "--no-header", str(ROOT / "tests" / "e2e" / "test_orthanc.py")])
    skipped = status == 0 and not os.access("/usr/sbin/Orthanc", os.X_OK)
    return [row(name, "not installed" if skipped else status == 0, "yes/no", "yes", None if skipped else status == 0)]


def _cost() -> list[dict[str, Any]]:
    """Time and memory of writing SEG, SR and key images of 300 slices with 30 foci, in a process of its own."""
    out = []
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(read)
                os.write(write, " ".join(map(str, _measure(Path(name), kind))).encode())
                os._exit(0)
            os.close(write)
            with os.fdopen(read) as stream:
                seconds, mb, size = (float(word) for word in stream.read().split())
            os.waitpid(child, 0)
            title = f"512x512x{SLICES}, {FOCI} foci, SEG + SR + key images, {kind}"
            out += [
                row(f"{title}: processor time", seconds, "s", f"<= {MOST_SECONDS:g}", seconds <= MOST_SECONDS),
                row(f"{title}: memory above the assessment", mb, "MB", f"<= {MOST_MB:g}", mb <= MOST_MB),
                row(f"{title}: size of the files", size, "MB", "", None),
            ]
    return out


def _measure(folder: Path, kind: str) -> tuple[float, float, float]:
    rng = np.random.default_rng(9)
    balls = tuple(
        ((0.52 + 0.2 * rng.uniform(-1, 1), 0.45 + 0.1 * rng.uniform(-1, 1), 0.32 + 0.1 * rng.uniform(-1, 1)),
         rng.uniform(1.5, 8.0), rng.uniform(200, 900), "calcification")
        for _ in range(FOCI)
    )  # fmt: skip
    scene = _large(folder, balls)
    start, watch = time.process_time(), _Watch()
    datasets = read_headers(scene.folder, scene.assessment.volume)
    made = _written(replace(scene, datasets=datasets), folder / f"out-{kind}", kind)
    seconds = time.process_time() - start
    return seconds, watch.grown_mb(), sum(path.stat().st_size for path in made.values()) / 1e6


class _Watch:
    """Watches how far the resident memory grows."""

    def __init__(self) -> None:
        self._first = self._most = self._now()
        self._on = True
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    @staticmethod
    def _now() -> int:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()

    def _look(self) -> None:
        while self._on:
            self._most = max(self._most, self._now())
            time.sleep(0.005)

    def grown_mb(self) -> float:
        self._on = False
        self._thread.join()
        return (self._most - self._first) / 1e6


def _large(folder: Path, balls: Any) -> scenes.Scene:
    from hepacalc.geometry import Geometry
    from study_files import write_series

    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 0.78], [0, 0.78, 0], [1.0, 0, 0]]
    geometry = Geometry((SLICES, 512, 512), affine)
    made = make_example(geometry=geometry, balls=balls)
    if not (folder / "large").exists():
        root = "1.2.826.0.1.3680043.8.498.31"
        write_series(
            folder / "large", SLICES, PixelSpacing=[0.78, 0.78], PixelRepresentation=1, RescaleIntercept=0,
            StudyInstanceUID=f"{root}.1", SeriesInstanceUID=f"{root}.2", FrameOfReferenceUID=f"{root}.9",
            each=lambda k: {"hu": made.volume.hu[k], "SOPInstanceUID": f"{root}.2.{k + 1}",
                            "ImagePositionPatient": [0.0, 0.0, float(k)]},
        )  # fmt: skip
    volume, choice = open_study(folder / "large")
    known = replace(made, volume=volume, acquisition=volume.acquisition, geometry=volume.geometry, series=choice)
    return scenes.Scene(known, (), folder / "large")


if __name__ == "__main__":
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for line in rows():
        sys.stdout.write(f"{line}\n")
