"""What the server keeps on disk, and how it gets there so that a crash at any instant leaves whole files or none.

::

    data/
      hepacalc.sqlite  server.toml
      incoming/<upload id>/000001 ...     as received, until filed
      studies/ab/<folder>/files/<digest>  received instances (or the NIfTI file)
      studies/ab/<folder>/results/<id>/   one assessment: the files of `hepacalc assess`
      cache/<id>.npy                      scans and masks ready for the viewer; may be deleted at any time
      registry/<digest>.sqlite            the registry of a team
      work/<random>/                      of a running job

No name that came from outside is ever part of a path: folders are digests of UIDs, files are digests or numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from hepacalc.errors import OutputError, TooLarge, Unavailable

__all__ = ["Store", "WholeFile", "commit_folder", "folder_name", "make_folder", "sync_folder", "write_whole"]


def folder_name(uid: str, team: str) -> str:
    """Return the folder of a study: a digest, whatever the UID holds."""
    return hashlib.sha256(f"{team}\0{uid}".encode()).hexdigest()[:40]


class Store:
    """Folders of a data folder.

    Args:
        data: the folder; what is below is made when first needed, readable for this user only.
    """

    def __init__(self, data: Path) -> None:
        self.data = data

    def study(self, folder: str) -> Path:
        """Return the folder of a study, by ``studies.folder``."""
        return self.data / "studies" / folder[:2] / folder

    def files(self, folder: str) -> Path:
        """Return the folder with a study's received files."""
        return self.study(folder) / "files"

    def incoming(self, upload_id: str) -> Path:
        """Return the folder of an upload."""
        return self.data / "incoming" / upload_id

    def cache(self, name: str) -> Path:
        """Return a file for the viewer; ``name`` is an id."""
        return self.data / "cache" / f"{name}.npy"

    def registry(self, team: str) -> Path:
        """Return the file of a team's registry."""
        return self.data / "registry" / f"{hashlib.sha256(team.encode()).hexdigest()[:40]}.sqlite"

    def new_work(self) -> Path:
        """Make an empty folder for a job."""
        path = self.data / "work" / secrets.token_hex(16)
        make_folder(path)
        return path

    def free_bytes(self) -> int:
        """Return what is free on the disk of the data folder."""
        return shutil.disk_usage(self.data).free


def make_folder(path: Path) -> None:
    """Make a folder with its parents, for this user only.

    Raises:
        Unavailable: the disk is full or may not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        raise _no_room(fault) from fault


class WholeFile:
    """A file that is there whole and on the disk after :meth:`close`, or not at all.

    Args:
        path: where; its folder is there. That the name is on disk is up to :func:`sync_folder`.
        most: bytes that are taken.

    Raises:
        Unavailable: the disk is full or may not be written to; so do its methods.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        self._digest = hashlib.sha256()
        self.size = 0
        try:
            self._file: IO[bytes] | None = self._part.open("xb")
        except OSError as fault:
            raise _no_room(fault) from fault

    def write(self, chunk: bytes) -> None:
        """Add to it.

        Raises:
            TooLarge: there is more than may be.
        """
        assert self._file is not None
        self.size += len(chunk)
        if self.size > self._most:
            raise TooLarge(f"more than {self._most} bytes were sent.", hint="Send less at once, or raise the limit.")
        self._digest.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as fault:
            raise _no_room(fault) from fault

    def close(self) -> str:
        """Bring it to the disk and give it its name; return its SHA-256."""
        assert self._file is not None
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        except OSError as fault:
            raise _no_room(fault) from fault
        self._file = None
        return self._digest.hexdigest()

    def abandon(self) -> None:
        """Remove it, unless it was closed."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written before
                self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None


def write_whole(path: Path, chunks: Iterable[bytes], *, most: int) -> tuple[int, str]:
    """Write a file so that it is there whole and on the disk, or not at all.

    Args:
        path: where; its folder is there.
        chunks: the content.
        most: bytes that are taken.

    Returns:
        Number of bytes and their SHA-256.

    Raises:
        TooLarge: there is more; nothing is left behind.
        Unavailable: the disk is full.
    """
    file = WholeFile(path, most)
    try:
        for chunk in chunks:
            file.write(chunk)
        digest = file.close()
        sync_folder(path.parent)
    finally:
        file.abandon()
    return file.size, digest


def commit_folder(made: Path, target: Path) -> bool:
    """Move a folder of finished files into place, all on disk first; True when it was there already.

    Raises:
        OutputError: it cannot be moved.
    """
    try:
        if target.exists():
            shutil.rmtree(made, ignore_errors=True)
            return True
        for folder, _, names in os.walk(made):
            for name in names:
                descriptor = os.open(Path(folder, name), os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            sync_folder(Path(folder))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made.rename(target)
        sync_folder(target.parent)
    except OSError as fault:
        raise OutputError(f"results cannot be stored: {fault.strerror}.", hint="Check the disk.") from fault
    return False


def sync_folder(path: Path) -> None:
    """Make sure that the names in a folder are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_room(fault: OSError) -> Unavailable:
    return Unavailable(f"the data folder cannot be written to: {fault.strerror}.", hint="Check the disk.")
