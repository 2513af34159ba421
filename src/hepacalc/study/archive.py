"""A zip of a study, unpacked to a temporary folder that always goes away."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath

from hepacalc.errors import DamagedFile, StudyNotFound, UnsafeArchive
from hepacalc.study.guard import parsing, quiet

__all__ = ["MAX_FILES", "MAX_RATIO", "MAX_TOTAL_BYTES", "is_zip", "opened", "unpacked"]

MAX_FILES = 100_000
"""Most members an archive may hold; a whole-body study has a few thousand."""
MAX_TOTAL_BYTES = 16 * 2**30
"""Most bytes an archive may expand to."""
MAX_RATIO = 200
"""Most an archive larger than :data:`_FREE_BYTES` may expand; CT packs 2-5 fold, masks 100 fold."""
_FREE_BYTES = 64 * 2**20
_CHUNK = 2**20
_NESTED = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".bz2", ".xz")
_HINT = "Unpack it yourself, look at what is in it, and give the folder."


def is_zip(path: Path) -> bool:
    """Whether the file starts like a zip archive (its name does not matter)."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


@contextmanager
def opened(path: Path | str) -> Iterator[Path]:
    """Yield where the files of a study lie: the path, or where a zip was unpacked; parsers are quiet meanwhile.

    Raises:
        StudyNotFound: the path cannot be opened.
        InputError: as :func:`unpacked`.
    """
    path = Path(path)
    with quiet():
        with parsing(StudyNotFound("The path cannot be opened.", hint="Check its spelling and permissions.")):
            packed = path.is_file() and is_zip(path)
        with unpacked(path) if packed else nullcontext(path) as folder:
            yield folder


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack the zip at ``path``; yield the folder, and remove it afterwards whatever happens.

    DICOM members get plain numbers for names (a name inside may carry a patient's name, or leave the folder);
    NIfTI members keep theirs, without folders.

    Raises:
        UnsafeArchive: encrypted, nested, too many or too large members, or a member that leaves its folder.
        DamagedFile: not a readable zip.
        StudyNotFound: no room to unpack it.
    """
    with tempfile.TemporaryDirectory(prefix="hepacalc-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        damaged = DamagedFile("The zip archive cannot be read.", hint="Copy or download it again.")
        with parsing(damaged), zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check(members, path.stat().st_size)
            if sum(info.file_size for info in members) > shutil.disk_usage(folder).free:
                raise StudyNotFound(
                    "There is no room on the temporary disk to unpack the archive.",
                    hint="Free some space or set TMPDIR, or unpack it yourself and give the folder.",
                )
            _extract(archive, members, folder)
        yield folder


def _check(members: list[zipfile.ZipInfo], packed: int) -> None:
    """Refuse an archive by its directory, before a byte is unpacked."""
    if len(members) > MAX_FILES:
        raise UnsafeArchive(f"The archive holds {len(members)} files; at most {MAX_FILES} are read.", hint=_HINT)
    total = sum(info.file_size for info in members)
    if total > MAX_TOTAL_BYTES or (total > _FREE_BYTES and total > MAX_RATIO * max(packed, 1)):
        raise UnsafeArchive(
            f"The archive of {packed / 2**20:.1f} MB would expand to {total / 2**20:.0f} MB, as a zip bomb does.",
            hint=_HINT,
        )
    for info in members:
        name = info.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
            raise UnsafeArchive("The archive holds a file that would be written outside its folder.", hint=_HINT)
        if info.flag_bits & 0x1:
            raise UnsafeArchive("The archive is encrypted.", hint="Unpack it with its password and give the folder.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnsafeArchive("The archive holds a link to another file.", hint=_HINT)
        if name.lower().endswith(_NESTED):
            raise UnsafeArchive("The archive holds another archive.", hint=_HINT)


def _extract(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
    for number, info in enumerate(members):
        base = PurePosixPath(info.filename.replace("\\", "/")).name
        lower = base.lower()
        target = folder / f"{number:06d}"
        if lower.endswith((".nii", ".nii.gz")):
            target.mkdir()
            target = target / base
        elif lower == "dicomdir":
            continue
        left = info.file_size
        with archive.open(info) as source, target.open("wb") as sink:
            first = True
            while chunk := source.read(_CHUNK):
                if first and chunk[:4] == b"PK\x03\x04":
                    raise UnsafeArchive("The archive holds another archive.", hint=_HINT)
                first = False
                left -= len(chunk)
                if left < 0:
                    raise UnsafeArchive("A file in the archive is larger than the archive says.", hint=_HINT)
                sink.write(chunk)
