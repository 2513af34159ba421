"""The liver by TotalSegmentator, when the package and its weights are on this machine.

Nothing is downloaded and no usage statistics are sent: the weights must already be there, the download
function is locked while it runs, and it is given a throw-away settings folder that forbids statistics.

Reference: Wasserthal et al. 2023, Radiology: Artificial Intelligence 5(5):e230024.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import nibabel
import numpy as np

from hepacalc.errors import MissingDependency, NoUsableLiver, SegmenterUnavailable
from hepacalc.geometry import Geometry
from hepacalc.liver.place import place_exactly
from hepacalc.liver.segmenter import Progress
from hepacalc.records import LiverMask, Volume

__all__ = ["TotalSegmentatorSegmenter", "missing_weights"]

_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FULL = (291, 292, 293, 294, 295, 298)
_FAST = (297, 298)
_SMALLEST_ML = 50.0


def missing_weights(*, fast: bool) -> tuple[int, ...]:
    """Return the ids of the TotalSegmentator data sets whose weights are not on this machine.

    Args:
        fast: of the 3 mm model (ids 297, 298) or of the 1.5 mm model (291-295, 298).
    """
    folder = _weights_folder()
    return tuple(i for i in (_FAST if fast else _FULL) if not any(folder.glob(f"Dataset{i:03d}_*/*")))


def _weights_folder() -> Path:
    if stated := os.environ.get("TOTALSEG_WEIGHTS_PATH"):
        return Path(stated)
    home = os.environ.get("TOTALSEG_HOME_DIR")
    return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"


class TotalSegmentatorSegmenter:
    """Task ``total`` with ``roi_subset=["liver"]``: 1.5 mm with a GPU, 3 mm (``fast``) without.

    Args:
        fast: choose the 3 mm model (True) or the 1.5 mm model (False) whatever the machine.
    """

    name = "totalsegmentator"

    def __init__(self, *, fast: bool | None = None) -> None:
        self._fast = fast

    @property
    def version(self) -> str:
        """Version of the installed package, ``"not installed"`` without it."""
        return package_version("TotalSegmentator") if find_spec("totalsegmentator") else "not installed"

    def segment(self, volume: Volume, *, progress: Progress | None = None) -> LiverMask:
        """Return the liver on ``volume.geometry``.

        Args:
            volume: a CT scan in HU, any axis order.
            progress: called with 0 and 1 only; the network does not tell.

        Raises:
            MissingDependency: the package is not installed.
            SegmenterUnavailable: its weights are not on this machine, or it failed.
            NoUsableLiver: it found less than 50 mL of liver.
        """
        if find_spec("totalsegmentator") is None:
            raise MissingDependency(
                "the segmenter 'totalsegmentator' needs the package TotalSegmentator, which is not installed.",
                hint="Run: pip install 'hepacalc[totalsegmentator]'",
            )
        has_gpu = bool(import_module("torch").cuda.is_available())
        fast = not has_gpu if self._fast is None else self._fast
        if missing := missing_weights(fast=fast):
            raise SegmenterUnavailable(
                f"the weights of TotalSegmentator are not on this machine (data sets {', '.join(map(str, missing))}).",
                hint=f"Run once, with a network: totalseg_download_weights -t {'total_fast' if fast else 'total'}",
            )
        if progress:
            progress("TotalSegmentator", 0.0)
        labels, geometry = _run(volume, fast=fast, device="gpu" if has_gpu else "cpu")
        placed = place_exactly(labels > 0, geometry, volume.geometry)
        if placed is None:
            raise SegmenterUnavailable(
                "TotalSegmentator returned a mask on another grid than the scan it was given.",
                hint="Report its version; use --segmenter embedded or --liver-mask meanwhile.",
            )
        volume_ml = float(placed.mask.sum()) * volume.geometry.voxel_mm3 / 1000
        if volume_ml < _SMALLEST_ML:
            raise NoUsableLiver(
                f"TotalSegmentator found {volume_ml:.0f} mL of liver; at least {_SMALLEST_ML:.0f} mL are needed.",
                hint="Give a scan of the upper abdomen, or a mask with --liver-mask.",
            )
        if progress:
            progress("TotalSegmentator", 1.0)
        version = f"{self.version} total{' fast' if fast else ''}"
        return LiverMask(placed.mask, volume.geometry, self.name, version, 0.9)


def _run(volume: Volume, *, fast: bool, device: str) -> tuple[Any, Geometry]:
    """Run TotalSegmentator through temporary files; labels ``(z, y, x)`` and their grid."""
    with tempfile.TemporaryDirectory(prefix="hepacalc-") as name:
        folder = Path(name)
        scan, out = folder / "scan.nii.gz", folder / "out"
        affine = _LPS_RAS @ volume.geometry.affine[:, [2, 1, 0, 3]]
        nibabel.save(nibabel.Nifti1Image(volume.hu.transpose(2, 1, 0), affine), scan)
        with _locked(folder / "home"), contextlib.redirect_stdout(io.StringIO()):
            try:
                api = import_module("totalsegmentator.python_api")
                with _no_download(api):
                    api.totalsegmentator(
                        scan, out, task="total", roi_subset=["liver"], fast=fast, device=device, quiet=True
                    )
            except (ImportError, OSError, RuntimeError, ValueError, SystemExit) as error:
                raise SegmenterUnavailable(
                    f"TotalSegmentator could not finish: {type(error).__name__}: {error}.",
                    hint="Check its installation with its own command line, or use --segmenter embedded.",
                ) from error
        found = nibabel.load(out / "liver.nii.gz")
        labels = np.asarray(found.dataobj).transpose(2, 1, 0)
        grid = (_LPS_RAS @ found.affine)[:, [2, 1, 0, 3]]
    return labels, Geometry((labels.shape[0], labels.shape[1], labels.shape[2]), grid)


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Give TotalSegmentator a settings folder of its own that forbids usage statistics."""
    home.mkdir()
    settings = {"totalseg_id": "totalseg_none", "send_usage_stats": False, "prediction_counter": 0}
    (home / "config.json").write_text(json.dumps({**settings, "statistics_disclaimer_shown": True}), encoding="utf-8")
    wanted = {"TOTALSEG_WEIGHTS_PATH": str(_weights_folder()), "TOTALSEG_HOME_DIR": str(home)}
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def _no_download(api: Any) -> Iterator[None]:
    """Let its download function return when the weights are there, and refuse otherwise."""
    original = getattr(api, "download_pretrained_weights", None)

    def refuse(task_id: int) -> None:
        if any(_weights_folder().glob(f"Dataset{int(task_id):03d}_*/*")):
            return
        _refuse_download(task_id)

    if original is None:
        yield
        return
    api.download_pretrained_weights = refuse
    try:
        yield
    finally:
        api.download_pretrained_weights = original


def _refuse_download(task_id: int) -> NoReturn:
    raise SegmenterUnavailable(
        f"TotalSegmentator wanted to download data set {task_id}; hepacalc does not download while it measures.",
        hint="Run once, with a network: totalseg_download_weights -t total",
    )
