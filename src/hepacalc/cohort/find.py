"""Find the studies under a root: folders of DICOM files, zips, NIfTI files, or the rows of a CSV manifest.

A folder that cannot be told to be a study is taken for one that is broken: it is assessed, and fails with its reason.
Nothing is left out without a word.
"""

from __future__ import annotations

import csv
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hepacalc.cohort.inputs import UID, read_header, signature_of
from hepacalc.cohort.ledger import Source
from hepacalc.errors import StudyNotFound, UsageError

__all__ = ["MANIFEST_COLUMNS", "find_studies", "root_of"]

MANIFEST_COLUMNS = ("study", "study_instance_uid", "site", "series", "liver_mask", "images")
"""What a manifest may hold; ``study`` (a path relative to its folder) or ``study_instance_uid`` must be there."""

_NIFTI = (".nii", ".nii.gz")
_NO_IMAGES = (
    ".csv", ".tsv", ".json", ".txt", ".md", ".html", ".htm", ".xml", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".exe",
    ".inf", ".ini", ".log", ".py", ".yaml", ".yml", ".xlsx", ".xls", ".docx", ".parquet", ".sqlite", ".db",
)  # fmt: skip
_LOOKED_AT = 3
_TRIED = 8
SEVERAL = "several studies"
"""Mark in ``extra`` of a folder that holds images of more than one study."""


def root_of(root: Path) -> Path:
    """Return the folder to which paths of studies are relative: that of a manifest, or the root itself."""
    return root.parent if root.is_file() else root


def find_studies(root: Path, *, but: Path | None = None, is_remote: bool = False) -> Iterator[Source]:
    """Yield the studies under ``root``, in order of their paths.

    Args:
        root: a folder; or a CSV file with a column ``study`` or ``study_instance_uid`` (:data:`MANIFEST_COLUMNS`).
        but: a folder to leave out (that of the results).
        is_remote: the studies lie on a DICOMweb server; the root is a CSV file with a column ``study_instance_uid``.

    Raises:
        StudyNotFound: the root is not there, or cannot be read.
        UsageError: the manifest is no such table.
    """
    if root.is_file():
        yield from _manifest(root, is_remote)
        return
    if is_remote:
        raise UsageError(
            "studies on a DICOMweb server are named by a CSV file, this root is none.",
            hint="Write one: hepacalc cohort list URL -o studies.csv. See docs/howto/cohort.md.",
        )
    if not root.is_dir():
        raise StudyNotFound("the root that was given is no folder and no file.", hint="Check how it is spelled.")
    with tempfile.TemporaryDirectory(prefix="hepacalc-find-") as name:
        # a million folders do not fit into memory; they do into a file
        held = sqlite3.connect(Path(name, "found.sqlite"), isolation_level=None)
        held.execute("PRAGMA synchronous=OFF")
        held.execute("CREATE TABLE found (path TEXT, uid TEXT, extra TEXT)")
        held.execute("BEGIN")
        for path, uid, extra in _walk(root, None if but is None else but.resolve()):
            held.execute("INSERT INTO found VALUES (?,?,?)", (path, uid, extra))
        held.execute("COMMIT")
        held.execute("CREATE INDEX by_uid ON found (uid, path)")
        held.execute("CREATE INDEX by_path ON found (path)")
        try:
            yield from _joined(held, root)
        finally:
            held.close()


def _joined(held: sqlite3.Connection, root: Path) -> Iterator[Source]:
    """Yield what was found, folders of the same study together."""
    first = held.execute(
        "SELECT min(path), uid, max(extra), count(*) FROM found GROUP BY coalesce(uid, path) ORDER BY 1"
    )
    for path, uid, extra, count in first:
        parts = [path]
        if count > 1:
            parts = [row[0] for row in held.execute("SELECT path FROM found WHERE uid=? ORDER BY path", (uid,))]
            above = os.path.commonpath(parts) or "."
            low, high = ("", "\U0010ffff") if above == "." else (f"{above}/", f"{above}0")
            own = held.execute("SELECT count(*) FROM found WHERE path>=? AND path<?", (low, high)).fetchone()[0]
            own += held.execute("SELECT count(*) FROM found WHERE path=?", (above,)).fetchone()[0] if low else 0
            if own == count and above != ".":
                parts = [above]
        signature = signature_of([root / part for part in parts])
        yield Source("\n".join(parts), signature, None, {"problem": extra} if extra else None)


def _walk(root: Path, but: Path | None) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield ``(relative path, StudyInstanceUID, problem)`` of every file or folder that is a study or a part of one."""
    if but is not None and root.resolve() == but:
        return

    def refuse(cause: OSError) -> None:
        raise StudyNotFound("a folder under the root may not be read.", hint="Check permissions.") from cause

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (but is None or Path(folder, name).resolve() != but)
        )
        place = PurePosixPath(Path(folder).relative_to(root).as_posix())
        images = []
        for name in sorted(names):
            lower = name.lower()
            if name.startswith(".") or lower == "dicomdir" or lower.endswith(_NO_IMAGES):
                continue
            if lower.endswith((*_NIFTI, ".zip")):
                yield str(place / name), None, None
            else:
                images.append(Path(folder, name))
        if images:
            uids = _uids(images)
            yield str(place), min(uids) if len(uids) == 1 else None, SEVERAL if len(uids) > 1 else None
        elif not folders and not names and str(place) != ".":
            yield str(place), None, None  # an empty folder where a study should be


def _uids(files: list[Path]) -> set[str]:
    """Return the StudyInstanceUIDs of the first, middle and last image of a folder."""
    found: set[str] = set()
    for start in (0, len(files) // 2, len(files) - 1)[:_LOOKED_AT]:
        for file in files[start : start + _TRIED]:
            try:
                with file.open("rb") as held:
                    uid = read_header(held).get("study_uid")
            except OSError:
                continue  # the worker tells
            if uid:
                found.add(uid)
                break
    return found


def _manifest(path: Path, is_remote: bool) -> Iterator[Source]:
    hint = f"Columns: {', '.join(MANIFEST_COLUMNS)}; one of the first two must be there. See docs/howto/cohort.md."
    root, seen = path.parent, set()
    wanted = "study_instance_uid" if is_remote else "study"
    try:
        with path.open(encoding="utf-8-sig", newline="") as held:
            table = csv.DictReader(held)
            columns = table.fieldnames or ()
            if wanted not in columns:
                if not is_remote and "study_instance_uid" in columns:
                    hint = "Name the DICOMweb server that holds these studies: --dicomweb URL."
                raise UsageError(f"wanted a manifest with a column `{wanted}`, found none.", hint=hint)
            for number, row in enumerate(table, 2):
                study = (row.get(wanted) or "").strip()
                if is_remote and not UID.fullmatch(study):
                    raise UsageError(f"line {number} of the manifest holds no StudyInstanceUID.", hint=hint)
                if not study or re.search(r"[\n\r\0]", study) or Path(study).is_absolute() or ".." in Path(study).parts:
                    raise UsageError(f"line {number} of the manifest names no path below its folder.", hint=hint)
                if study in seen:
                    raise UsageError(f"line {number} of the manifest names a study a second time.", hint=hint)
                seen.add(study)
                told = {name: (row.get(name) or "").strip() for name in ("series", "liver_mask")}
                extra = {name: cell for name, cell in told.items() if cell}
                if is_remote and not UID.fullmatch(extra.get("series", "1")):
                    raise UsageError(f"line {number} of the manifest: `series` is no SeriesInstanceUID.", hint=hint)
                images = (row.get("images") or "").strip()
                signature = f"images {images[:20]}" if is_remote else signature_of([root / study])
                yield Source(study, signature, (row.get("site") or "").strip() or None, extra or None)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise UsageError("the manifest cannot be read as a UTF-8 CSV table.", hint=hint) from fault
