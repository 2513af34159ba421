"""The files that come out: all of them, or none.

Everything is written into a hidden folder first and moved into place at the end. Files of somebody else
in the output folder are left alone; files beside the five of every assessment are told apart by ``exports.json``.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hepacalc.errors import OutputError
from hepacalc.folders import staged, told
from hepacalc.interop.uids import headers_without_identity, without_identity
from hepacalc.records import Assessment
from hepacalc.report.exports import MANIFEST, assessment_digest, manifest_json, owned_files
from hepacalc.report.html import render_html
from hepacalc.report.schema import document, document_json
from hepacalc.report.tables import foci_csv_of
from hepacalc.report.writers import ExportContext, SourceStudy, Writer
from hepacalc.study import write_mask_nifti

__all__ = ["OUTPUTS", "check_writable", "prepared", "write_exports", "write_files", "write_outputs"]

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
        owned_files(out, ())
        place = _nearest_folder(out)
        Path(tempfile.mkdtemp(prefix=".hepacalc-", dir=place)).rmdir()


def write_outputs(
    assessment: Assessment,
    out_dir: str | os.PathLike[str],
    *,
    writers: Sequence[Writer] = (),
    context: ExportContext | None = None,
) -> dict[str, Path]:
    """Write all files of an assessment to ``out_dir`` and return their paths by name.

    Earlier results of ours in ``out_dir`` are replaced, and what was exported beside them is taken away; other files
    stay. When anything fails, ``out_dir`` is as it was before.

    Args:
        assessment: what to write.
        out_dir: folder; made with its parents when it is not there.
        writers: further formats, from :func:`hepacalc.report.writers.get_writers`.
        context: language, headers of the scan, and whether identity is left out.

    Raises:
        OutputError: it cannot be written, or a number is not finite.
        HepacalcError: what a writer raises.
    """
    shown, context = prepared(assessment, context or ExportContext())

    def write(stage: Path) -> None:
        _write_files(shown, stage, context.language)
        _write_formats(shown, stage, writers, context)

    return _write_all(shown, shown, Path(out_dir).absolute(), OUTPUTS, writers, write)


def write_exports(
    assessment: Assessment, out_dir: str | os.PathLike[str], writers: Sequence[Writer], context: ExportContext
) -> dict[str, Path]:
    """Write further formats of an assessment to ``out_dir`` and return their paths by name; as :func:`write_outputs`.

    Files that an earlier export of the same assessment left there stay; those of another one are taken away.

    Raises:
        OutputError: it cannot be written, or the folder holds files of somebody else under these names.
        HepacalcError: what a writer raises.
    """
    shown, context = prepared(assessment, context)
    out = Path(out_dir).absolute()
    return _write_all(assessment, shown, out, (), writers, lambda stage: _write_formats(shown, stage, writers, context))


def prepared(assessment: Assessment, context: ExportContext) -> tuple[Assessment, ExportContext]:
    """Return what a writer gets: without identity where that was asked for, else as it is."""
    if not context.deidentify:
        return assessment, context
    key = context.deidentify_key or secrets.token_bytes(32)
    source = context.source and SourceStudy(headers_without_identity(context.source.datasets, key))
    return without_identity(assessment, key), replace(context, source=source, deidentify_key=key)


def _write_all(
    stored: Assessment,
    shown: Assessment,
    out: Path,
    base: Sequence[str],
    writers: Sequence[Writer],
    write: Callable[[Path], None],
) -> dict[str, Path]:
    """Let ``write`` fill a hidden folder with the files ``base`` and those of ``writers``; move them in, or none.

    ``stored`` is what ``assessment.json`` holds, ``shown`` what the writers get.
    """
    extra = [name for writer in writers for name in writer.files(shown)]
    clash = {name for name in extra if extra.count(name) > 1 or name in (*OUTPUTS, MANIFEST)}
    if clash:
        raise OutputError(f"two formats write {', '.join(sorted(clash))}.", hint="Please report this.")
    with told(out):
        _refuse_strangers(out, base)
        earlier = owned_files(out, [*extra, MANIFEST] if extra else [])
        digest = assessment_digest(stored)
        kept = dict(earlier.files) if earlier.assessment == digest and not base else {}
        stale = [name for name in earlier.names if name not in kept]
        names = [*base, *extra, *([MANIFEST] if extra else [])]
        with staged(out, lambda stage: _replace_files(stage, out, names, stale)) as stage:
            write(stage)
            if extra:
                text = manifest_json(stored.run, digest, kept, stage, extra)
                (stage / MANIFEST).write_text(text, "utf-8", newline="\n")
    return {name: out / name for name in names}


def _write_formats(assessment: Assessment, stage: Path, writers: Sequence[Writer], context: ExportContext) -> None:
    for writer in writers:
        writer.write(assessment, stage, context)


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
        with staged(out, lambda stage: _replace_files(stage, out, names, ())) as stage:
            write(stage)
    return {name: out / name for name in names}


def _write_files(assessment: Assessment, stage: Path, language: str) -> None:
    doc = document(assessment)
    (stage / "assessment.json").write_text(document_json(doc), "utf-8", newline="\n")
    (stage / "foci.csv").write_text(foci_csv_of(doc), "utf-8", newline="\n")
    write_mask_nifti(assessment.liver_mask.mask, assessment.volume, stage / "liver.nii.gz")
    labels = assessment.labels.astype(np.uint16, copy=False)
    write_mask_nifti(labels, assessment.volume, stage / "foci.nii.gz")
    (stage / "report.html").write_text(render_html(assessment, language=language), "utf-8", newline="\n")


def _replace_files(stage: Path, out: Path, names: Sequence[str], stale: Sequence[str]) -> None:
    """Move the staged files over the old ones, take stale ones away; put the old back when one cannot be moved."""
    old = stage / "old"
    old.mkdir()
    moved: list[str] = []
    try:
        for name in (*names, *(name for name in stale if name not in names)):
            if (out / name).exists():
                (out / name).rename(old / name)
            moved.append(name)
            if name in names:
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
