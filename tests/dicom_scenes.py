"""Small scans on disk in any orientation, an assessment on their grid, and programs of others that check objects."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hepacalc.geometry import Geometry
from hepacalc.interop.source import Source, source_of
from hepacalc.records import Assessment
from hepacalc.study import open_study
from hepacalc.study.source import read_headers
from report_example import make_example
from study_files import enhanced, save, write_series

ORDERS = [(axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
SPACING = np.array([3.0, 0.75, 0.5])
ORIGIN = np.array([-31.0, 17.0, 203.0])
SHAPE = (9, 14, 16)
BALLS = (
    ((0.55, 0.45, 0.32), 1.4, 620.0, "calcification"),
    ((0.40, 0.55, 0.50), 1.0, 480.0, "calcification"),
    ((0.70, 0.30, 0.40), 0.9, 190.0, "vessel"),
    ((0.20, 0.60, 0.30), 0.8, 2400.0, "metal"),
)


@dataclass(frozen=True)
class Scene:
    """A scan that was read from files, and an assessment of it."""

    assessment: Assessment
    datasets: tuple[Dataset, ...]
    folder: Path

    @property
    def source(self) -> Source:
        return source_of(self.assessment, self.datasets)


def affine_of(axes: tuple[int, ...], signs: tuple[int, ...]) -> NDArray[np.float64]:
    """Affine ``(z, y, x) -> LPS`` whose array axis ``n`` runs along world axis ``axes[n]``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for n, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, n] = sign * SPACING[n]
    affine[:3, 3] = ORIGIN
    return affine


def turned(folder: Path, axes: tuple[int, ...], signs: tuple[int, ...], **more: Any) -> Scene:
    """A scan whose slices were taken along any axis, with rows and columns along any others."""
    return on_grid(folder, Geometry(SHAPE, affine_of(axes, signs)), **more)


def upright(folder: Path, **more: Any) -> Scene:
    return turned(folder, (2, 1, 0), (1, 1, 1), **more)


def on_grid(
    folder: Path,
    geometry: Geometry,
    *,
    each: Callable[[int], dict[str, Any]] | None = None,
    balls: Any = BALLS,
    per_lesion: int = 1,
    **changes: Any,
) -> Scene:
    """A scan on a grid; ``each(k)`` and ``changes`` change the headers."""
    hu = make_example(geometry=geometry, balls=balls).volume.hu
    unit = geometry.affine[:3, :3] / np.linalg.norm(geometry.affine[:3, :3], axis=0)
    _, dy, dx = geometry.spacing_mm
    told = {
        "ImageOrientationPatient": [float(v) for v in (*unit[:, 2], *unit[:, 1])],
        "PixelSpacing": [dy, dx],
        "SliceThickness": 3.0,
        "PixelRepresentation": 1,
        "RescaleIntercept": 0,
        "StudyDate": "20240517",
        "StudyTime": "101500",
        "PatientBirthDate": "19470917",
        "PatientSex": "M",
        "AccessionNumber": "ACC-7",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.7.1",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.7.2",
        "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.7.9",
    }
    write_series(
        folder,
        geometry.shape[0],
        each=lambda k: (
            {"hu": hu[k], "SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.7.2.{k + 1}",
             "ImagePositionPatient": [float(v) for v in geometry.to_world((k, 0, 0))]} | (each(k) if each else {})
        ),
        **(told | changes),
    )  # fmt: skip
    return assessed(folder, balls=balls, per_lesion=per_lesion)


def assessed(folder: Path, *, balls: Any = BALLS, per_lesion: int = 1) -> Scene:
    """Read a scan, and lay the example's liver and foci on its grid."""
    volume, choice = open_study(folder)
    made = make_example(geometry=volume.geometry, balls=balls, per_lesion=per_lesion)
    assessment = replace(
        made, volume=volume, acquisition=volume.acquisition, geometry=volume.geometry, series=choice,
        transforms=volume.transforms,
    )  # fmt: skip
    return Scene(assessment, read_headers(folder, volume), folder)


def multiframe(folder: Path, *, backwards: bool = False) -> Scene:
    """An enhanced multi-frame scan, its frames stored in one order or the other."""
    folder.mkdir(parents=True)
    dataset = enhanced(9)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        "1.2.826.0.1.3680043.8.498.8.1",
        "1.2.826.0.1.3680043.8.498.8.2",
    )
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.8.9"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.8.2.1"
    if backwards:
        dataset.PerFrameFunctionalGroupsSequence = list(reversed(list(dataset.PerFrameFunctionalGroupsSequence)))
        frame = int(dataset.Rows) * int(dataset.Columns) * 2
        data = bytes(dataset.PixelData)
        dataset.PixelData = b"".join(data[k : k + frame] for k in range(len(data) - frame, -1, -frame))
    save(dataset, folder / "mf.dcm")
    return assessed(folder, balls=tuple((place, 2 * size, hu, kind) for place, size, hu, kind in BALLS))


def tool(name: str) -> str:
    """Path of a program of the test extra; the test skips where it is not installed."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (pip install 'hepacalc[test]'), which is not installed")
    return found


LABELMAP_UNKNOWN = "Error - Shall not be present for Referenced SOP Class that is not segmentation"
"""dciodvfy takes Label Map Segmentation for no segmentation; its exit status does not count it."""


def dciodvfy(path: Path) -> list[str]:
    """Errors that dciodvfy finds; fails when its exit status is not 0."""
    done = subprocess.run([tool("dciodvfy"), str(path)], capture_output=True, text=True, check=False, timeout=60)
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    assert done.returncode == 0, errors
    return [line for line in errors if not line.startswith(LABELMAP_UNKNOWN)]


def dcmqi_labels(path: Path, folder: Path) -> dict[int, tuple[NDArray[np.uint16], NDArray[np.float64]]]:
    """What dcmqi reads: for each image it writes, labels ``(z, y, x)`` and their affine to LPS."""
    import nibabel as nib

    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [tool("segimage2itkimage"), "--inputDICOM", str(path), "--outputDirectory", str(folder), "--outputType", "nii",
         "--prefix", "read"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = {}
    for file in sorted(folder.glob("read-*.nii.gz")):
        image = nib.load(file)
        affine = (np.diag([-1.0, -1, 1, 1]) @ image.affine)[:, [2, 1, 0, 3]]
        out[int(file.name.split("-")[1].split(".")[0])] = (np.asarray(image.dataobj).transpose(2, 1, 0), affine)
    return out


def laid(labels: NDArray[Any], affine: NDArray[np.float64], geometry: Geometry) -> NDArray[np.uint16]:
    """Labels of another grid on ``geometry``, voxel by voxel through the patient's space."""
    out = np.zeros(geometry.shape, np.uint16)
    index = np.argwhere(labels)
    at = geometry.to_index(index @ affine[:3, :3].T + affine[:3, 3])
    near = np.rint(at).astype(int)
    assert np.abs(at - near).max(initial=0) < 0.05, "voxels lie between those of the scan"
    out[tuple(near.T)] = labels[tuple(index.T)]
    return out
