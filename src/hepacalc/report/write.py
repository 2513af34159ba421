"""The files that come out: all of them, or none.

Everything is written into a hidden folder first and moved into place at the end. Files of somebody else
in the output folder are left alone.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hepacalc.errors import OutputError
from hepacalc.records import Assessment
from hepacalc.report.folders import staged, told
from hepacalc.report.html import render_html
from hepacalc.report.schema import document, document_json
from hepacalc.report.tables import foci_csv_of
from hepacalc.study import write_mask_nifti

__all__ = ["OUTPUTS", "check_writable", "write_files", "write_outputs"]

OUTPUTS = ("assessment.json", "foci.csv", "liver.nii.gz", "foci.nii.gz", "report.html")
"""Names of the files in the output folder."""


def check_writable(out_dir: str | os.PathLike[str], names: Sequence[str] = OUTPUTS) -> None:
    """Make sure that results can be written to ``out_dir``, before any work is done; leaves no trace.

    Args:
        out_dir: folder of the results.
        names: of the files that are to be written.

    Raises:
        OutputError: it is a file, cannot be made or written to, or holds files of somebody else under our
            names.
    """
    out = Path(out_dir).absolute()
    with told(out):
        _refuse_strangers(out, names)
        place = _nearest_folder(out)
        Path(tempfile.mkdtemp(prefix=".hepacalc-", dir=place)).rmdir()


def write_outputs(assessment: Assessment, out_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """Write all files of an assessment to ``out_dir`` and return their paths by name.

    Earlier results of ours in ``out_dir`` are replaced; other files stay. When anything fails, ``out_dir`` is
    as it was before.

    Args:
        assessment: what to write.
        out_dir: folder; made with its parents when it is not there.

    Raises:
        OutputError: it cannot be written, or a number is not finite.
    """
    return write_files(out_dir, OUTPUTS, lambda stage: _write_files(assessment, stage))


def write_files(
    out_dir: str | os.PathLike[str], names: Sequence[str], write: Callable[[Path], None]
) -> dict[str, Path]:
    """Let ``write`` fill a hidden folder with the files ``names``, then move them all into ``out_dir``, or none.

    Args:
        out_dir: folder; made with its parents when it is not there.
        names: of the files; the first is a JSON document with our ``run``, by which earlier results are known.
        write: gets the hidden folder.

    Raises:
        OutputError: ``out_dir`` cannot be written to, or holds files of somebody else under these names.
    """
    out = Path(out_dir).absolute()
    with told(out):
        _refuse_strangers(out, names)
        with staged(out, lambda stage: _replace_files(stage, out, names)) as stage:
            write(stage)
    return {name: out / name for name in names}


def _write_files(assessment: Assessment, stage: Path) -> None:
    doc = document(assessment)
    (stage / "assessment.json").write_text(document_json(doc), "utf-8", newline="\n")
    (stage / "foci.csv").write_text(foci_csv_of(doc), "utf-8", newline="\n")
    write_mask_nifti(assessment.liver_mask.mask, assessment.volume, stage / "liver.nii.gz")
    labels = assessment.labels.astype(np.uint16, copy=False)
    write_mask_nifti(labels, assessment.volume, stage / "foci.nii.gz")
    (stage / "report.html").write_text(render_html(assessment), "utf-8", newline="\n")


def _replace_files(stage: Path, out: Path, names: Sequence[str]) -> None:
    """Move the staged files over the old ones; put the old ones back when one cannot be moved."""
    old = stage / "old"
    old.mkdir()
    moved: list[str] = []
    try:
        for name in names:
            if (out / name).exists():
                (out / name).rename(old / name)
            moved.append(name)
            (stage / name).rename(out / name)
    except OSError:
        for name in moved:
            if (old / name).exists():
                (old / name).replace(out / name)
            else:
                (out / name).unlink(missing_ok=True)
        raise


def _refuse_strangers(out: Path, names: Sequence[str]) -> None:
    """Refuse a file in the folder's place, and files under our names that are not ours."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"The output must be a folder, but {out} is a file.", hint="Name another folder with -o.")
    found = [name for name in names if (out / name).exists() or (out / name).is_symlink()]
    if found and not _is_ours(out / names[0]):
        raise OutputError(
            f"{out} holds {', '.join(found)}, which hepacalc did not write.",
            hint="Choose another folder with -o, or move these files away.",
        )
    blocked = [name for name in found if not (out / name).is_file()]
    if blocked:
        raise OutputError(f"{out / blocked[0]} is not a file.", hint="Choose another folder with -o.")


def _is_ours(path: Path) -> bool:
    """Whether a file is a JSON document of any version of hepacalc."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(found, dict) and isinstance(found.get("run"), dict) and "hepacalc_version" in found["run"]


def _nearest_folder(path: Path) -> Path:
    """Return ``path`` or the nearest of its parents that is there."""
    for folder in (path, *path.parents):
        if folder.is_dir():
            return folder
        if folder.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return Path(path.anchor)
