"""Where results lie: one folder a study, in a folder of this machine, a shared one, or any store that fsspec knows.

A result appears whole or not at all: on a file system by renaming, in an object store because its last file, which
says what it is, is written last.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from hepacalc.errors import MissingDependency, OutputError
from hepacalc.folders import staged, told

__all__ = ["STAMP", "Store", "open_store"]

STAMP = "stages.json"
"""Last file of a result: by what it was made."""


class Store(Protocol):
    """Keeps folders by key."""

    def stamp(self, key: str) -> dict[str, Any] | None:
        """Return what a result says of how it was made; None when there is no whole one."""
        ...

    def held(self, key: str) -> Any:
        """Context manager: give a folder with the files of a result, which is there."""
        ...

    def filled(self, key: str, stamp: dict[str, Any]) -> Any:
        """Context manager: give an empty folder; what it holds at the end is the result."""
        ...


def open_store(address: str) -> Store:
    """Return the store at a folder, or at an address with ``://``.

    Raises:
        MissingDependency: fsspec, or what it needs for this kind of address, is not installed.
    """
    return _Remote(address) if "://" in address else _Folder(Path(address))


def _place(key: str) -> str:
    return f"{key[:2]}/{key[2:4]}/{key}"


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class _Folder:
    """A folder that every worker sees under the same path."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def stamp(self, key: str) -> dict[str, Any] | None:
        try:
            return _read((self._root / _place(key) / STAMP).read_bytes())
        except FileNotFoundError:
            return None

    @contextmanager
    def held(self, key: str) -> Iterator[Path]:
        yield self._root / _place(key)

    @contextmanager
    def filled(self, key: str, stamp: dict[str, Any]) -> Iterator[Path]:
        out = self._root / _place(key)

        def settle(stage: Path) -> None:
            # the stamp goes first and comes last, so that a result in between is none
            (out / STAMP).unlink(missing_ok=True)
            for file in sorted(stage.iterdir(), key=lambda one: one.name == STAMP):
                file.replace(out / file.name)

        with told(Path("OUT")), staged(out, settle) as stage:
            yield stage
            (stage / STAMP).write_text(json.dumps(stamp, sort_keys=True) + "\n", "utf-8", newline="\n")


class _Remote:
    """An address that fsspec knows: ``s3://``, ``gs://``, ``sftp://``, ``memory://`` ..."""

    def __init__(self, address: str) -> None:
        try:
            fsspec = import_module("fsspec")
            self._fs, self._root = fsspec.core.url_to_fs(address)
        except ImportError as missing:
            raise MissingDependency(
                f"Results at {address.partition('://')[0]}:// need a package that is not installed.",
                hint='Run: pip install "hepacalc[ray]", and the fsspec package of your store (s3fs, gcsfs ...).',
            ) from missing

    def stamp(self, key: str) -> dict[str, Any] | None:
        try:
            return _read(self._fs.cat_file(f"{self._root}/{_place(key)}/{STAMP}"))
        except FileNotFoundError:
            return None

    @contextmanager
    def held(self, key: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="hepacalc-") as name:
            self._fs.invalidate_cache()  # another process may have written since
            for path in self._fs.ls(f"{self._root}/{_place(key)}", detail=False):
                Path(name, path.rpartition("/")[2]).write_bytes(self._fs.cat_file(path))
            yield Path(name)

    @contextmanager
    def filled(self, key: str, stamp: dict[str, Any]) -> Iterator[Path]:
        stage = Path(tempfile.mkdtemp(prefix="hepacalc-"))
        place = f"{self._root}/{_place(key)}"
        try:
            yield stage
            if self._fs.exists(f"{place}/{STAMP}"):
                self._fs.rm_file(f"{place}/{STAMP}")
            self._fs.makedirs(place, exist_ok=True)
            for file in sorted(stage.iterdir()):
                self._fs.pipe_file(f"{place}/{file.name}", file.read_bytes())
            self._fs.pipe_file(f"{place}/{STAMP}", json.dumps(stamp, sort_keys=True).encode() + b"\n")
        except OSError as fault:
            raise OutputError("the store does not take the results.", hint="Check its address and rights.") from fault
        finally:
            shutil.rmtree(stage, ignore_errors=True)
