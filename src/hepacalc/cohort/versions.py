"""By what a result was made: one short hash for each stage, from the code and data that the stage reaches.

A stage is done again when its hash changes, and only then: new rules or priors do not segment a liver again, a new
network does. The version number of the package plays no part, so a development checkout is told apart too.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["StageVersions", "code_hash", "stage_versions"]

_PACKAGE = Path(__file__).resolve().parents[1]
_REASONING = ("consult", "patient", "knowledge", "reason")
_TOLD = ("errors", "interop", "report")
"""How things are told; nothing that is measured."""
_PAGES = ("templates", "locale", "__pycache__")


class StageVersions(NamedTuple):
    """A hash for each stage; each holds those before it."""

    liver: str
    foci: str
    reason: str

    @property
    def all(self) -> str:
        """The version of a whole result."""
        return "-".join(self)


def stage_versions(options: Mapping[str, Any]) -> StageVersions:
    """Return what this installation would make a result with.

    Args:
        options: ``segmenter``, ``allow_gaps`` (what is read, where the liver is), ``calibration``, ``agatston`` (what
            is measured), ``knowledge`` (a site's own), ``today`` (day from which intervals run): texts and numbers,
            files by their hash.
    """
    network = "totalsegmentator" if options.get("segmenter") == "totalsegmentator" else "embedded"
    reading = code_hash("study", f"liver.{network}", "liver.mask_file", but=_TOLD)
    measuring = code_hash("assess", but=(*_REASONING, *_TOLD))
    reasoning = code_hash("consult", "patient.read", "cohort.rows", but=_TOLD)
    liver = _mixed(reading, _some(options, "segmenter", "allow_gaps"))
    foci = _mixed(liver, measuring, _some(options, "calibration", "agatston"))
    reason = _mixed(foci, reasoning, _some(options, "knowledge", "today"))
    return StageVersions(liver, foci, reason)


def _some(options: Mapping[str, Any], *names: str) -> str:
    return json.dumps({name: options.get(name) for name in names}, sort_keys=True)


def _mixed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


@cache
def code_hash(*modules: str, but: tuple[str, ...] = ()) -> str:
    """Return a hash of modules of hepacalc, of all of ours that they import, and of the data beside these.

    Args:
        modules: dotted, without ``hepacalc``.
        but: packages that are not followed.
    """
    seen: set[Path] = set()
    todo = [path for name in modules if (path := _file_of(name)) is not None]
    while todo:
        path = todo.pop()
        if path in seen or path.relative_to(_PACKAGE).parts[0].removesuffix(".py") in but:
            continue
        seen.add(path)
        todo += _imports(path)
    data = {one for folder in {path.parent for path in seen} - {_PACKAGE} for one in _data_of(folder)}
    digest = hashlib.sha256()
    for path in sorted(seen | data):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _file_of(name: str) -> Path | None:
    """Return the file of a dotted module, or of the module that holds a dotted name."""
    place = _PACKAGE.joinpath(*name.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return _file_of(name.rpartition(".")[0]) if "." in name else None


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Return the files of hepacalc that one of its files imports, wherever in it, or names as ``hepacalc.a.b``."""
    reached = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hepacalc."):
            names = [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("hepacalc."):
            names = [node.value.split(":")[0]]
        for name in names:
            found = _file_of(name.removeprefix("hepacalc.")) if name.startswith("hepacalc.") else None
            if found is not None:
                reached.add(found)
    return frozenset(reached)


def _data_of(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc") and not set(path.parts) & set(_PAGES):
            yield path
