"""``exports.json``: which files beside the five of every assessment are ours, and of which assessment.

A name that it does not list, or a file that was changed since, belongs to somebody else and is left alone. Files of
another assessment are taken away with it, so that no object of an earlier patient stays beside a new report.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepacalc.errors import OutputError
from hepacalc.records import Assessment, Run
from hepacalc.report.schema import document, document_json

__all__ = ["MANIFEST", "Owned", "assessment_digest", "manifest_json", "owned_files"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")

MANIFEST = "exports.json"
"""Name of the list."""


@dataclass(frozen=True, slots=True)
class Owned:
    """What an earlier export left in a folder.

    Args:
        assessment: SHA-256 of the ``assessment.json`` that it was made of; empty when there was none.
        files: name -> SHA-256 of each file that was written.
    """

    assessment: str = ""
    files: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files, and of the list itself when there is one."""
        return (*(name for name, _ in self.files), *((MANIFEST,) if self.assessment else ()))


def owned_files(out: Path, wanted: Iterable[str]) -> Owned:
    """Return what an earlier export left in ``out``; make sure that nothing of somebody else is in the way.

    Args:
        out: folder; need not be there.
        wanted: names that are to be written.

    Raises:
        OutputError: one of ``wanted`` is there and not ours, or a file of ours was changed since.
    """
    owned = _read(out / MANIFEST)
    ours = set(owned.names)
    for name in wanted:
        path = out / name
        if name not in ours and (path.exists() or path.is_symlink()):
            raise OutputError(
                f"{out} holds {name}, which hepacalc did not write.",
                hint="Choose another folder with -o, or move this file away.",
            )
    for name, digest in owned.files:
        path = out / name
        if path.is_symlink() or (path.exists() and _digest(path) != digest):
            raise OutputError(
                f"{out} holds {name}, which was changed since hepacalc wrote it.",
                hint="Choose another folder with -o, or move this file away.",
            )
    return owned


def manifest_json(run: Run, digest: str, kept: dict[str, str], stage: Path, names: Sequence[str]) -> str:
    """Return the text of the list for files that were just written.

    Args:
        run: of the assessment that they were made of.
        digest: SHA-256 of its ``assessment.json``.
        kept: files of an earlier export that stay, as in :class:`Owned`.
        stage: folder that the new files are in.
        names: of the new files.
    """
    files = kept | {name: _digest(stage / name) for name in names}
    told = {"hepacalc_version": run.hepacalc_version, "created": run.created}
    return document_json({"run": told, "assessment_sha256": digest, "files": dict(sorted(files.items()))})


def assessment_digest(assessment: Assessment) -> str:
    """Return the SHA-256 of the ``assessment.json`` of an assessment."""
    return hashlib.sha256(document_json(document(assessment)).encode("utf-8")).hexdigest()


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Owned:
    """Return what a list says; nothing when it is not there or not ours."""
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return Owned()
    files = found.get("files") if isinstance(found, dict) else None
    digest = found.get("assessment_sha256") if isinstance(found, dict) else None
    if not isinstance(files, dict) or not isinstance(digest, str) or not digest:
        return Owned()
    # a list that was tampered with must not reach what lies outside the folder
    pairs = ((name, str(value)) for name, value in files.items())
    return Owned(digest, tuple((n, v) for n, v in pairs if _NAME.fullmatch(n) and _SHA256.fullmatch(v)))
