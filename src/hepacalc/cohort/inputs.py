"""What a study on disk is: which files, what is in them, and the little that its headers tell of who and when."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from hepacalc.errors import MissingDependency, StudyNotFound

__all__ = ["UID", "Header", "dicomweb", "files_of", "opened", "probe", "read_header", "signature_of", "told_of"]

_CHUNK = 2**20
_HEAD_BYTES = 2**17
_MOST_MEMBERS = 20
OLDEST = 90.0
"""Ages above are kept as this, as in de-identified data (45 CFR 164.514)."""

UID = re.compile(r"[0-9.]{1,64}")

Header = dict[str, Any]
"""``study_uid``, ``age_years``, ``sex``: what one image says; None where it says nothing."""


def files_of(path: Path) -> list[Path]:
    """Return the files of a study, sorted by their path; hidden ones are no part of it."""
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    return found


def signature_of(paths: list[Path]) -> str:
    """Return a short text that changes when a file of a study is changed, added or taken away."""
    digest = hashlib.sha256()
    for path in paths:
        for file in files_of(path):
            try:
                held = file.stat()
            except OSError:
                continue  # a link to nowhere; the worker tells
            digest.update(f"{file.name}\0{held.st_size}\0{held.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def probe(argument: dict[str, Any]) -> dict[str, Any]:
    """Look at one study: hash of its content, header facts, size. Work of an executor.

    Args:
        argument: ``root``, ``source`` (relative paths with line feeds between), ``extra``; with ``dicomweb`` (URL, file
            or None) the source is a StudyInstanceUID on a server.

    Raises:
        StudyNotFound: a file cannot be read, or the server does not hold the study.
        HepacalcError: as of :func:`hepacalc.cohort.dicomweb.look`.
    """
    if argument.get("dicomweb"):
        return _probe_remote(argument)
    root = Path(argument["root"])
    digests: list[bytes] = []
    header: Header = {}
    total = 0
    for part in argument["source"].split("\n"):
        for file in files_of(root / part):
            digest, size, told = _look(file, wants_header=not header)
            digests.append(digest)
            total += size
            header = header or told
    whole = hashlib.sha256(b"".join(sorted(digests)))  # names of files do not count
    whole.update(repr(sorted((argument.get("extra") or {}).items())).encode())
    if not digests:
        whole.update(argument["source"].encode())  # two empty folders are not the same study
    told = {"study_uid": None, "age_years": None, "sex": None} | header
    return {"input_hash": whole.hexdigest()[:40], "files": len(digests), "bytes": total} | told


def dicomweb() -> ModuleType:
    """Return the module that speaks with DICOMweb servers.

    Raises:
        MissingDependency: the extra ``server`` is not installed.
    """
    try:
        return import_module("hepacalc.cohort.dicomweb")
    except ModuleNotFoundError as missing:
        raise MissingDependency(
            f"Studies on a DICOMweb server need the package {missing.name}, which is not installed.",
            hint='Run: pip install "hepacalc[server]"',
        ) from missing


def _probe_remote(argument: dict[str, Any]) -> dict[str, Any]:
    web = dicomweb()
    extra = argument.get("extra") or {}
    found = web.look(web.remote_of(*argument["dicomweb"]), argument["source"], extra.get("series"))
    told: dict[str, Any] = {"input_hash": web.hash_of(argument["source"], found.images, extra)}
    told |= {"study_uid": argument["source"], "files": len(found.images), "bytes": None}
    return told | dict(found.facts)


def _look(file: Path, *, wants_header: bool) -> tuple[bytes, int, Header]:
    digest, size = hashlib.sha256(), 0
    header: Header = {}
    try:
        with file.open("rb") as held:
            first = held.read(_HEAD_BYTES)
            if wants_header and first[128:132] == b"DICM":
                header = read_header(io.BytesIO(first))
            chunk = first
            while chunk:
                digest.update(chunk)
                size += len(chunk)
                chunk = held.read(_CHUNK)
        if wants_header and first[:4] == b"PK\x03\x04":
            header = _packed_header(file)
    except OSError as fault:
        raise _unopened() from fault
    return digest.digest(), size, header


def _packed_header(file: Path) -> Header:
    """Return what the first image in a zip says; nothing when it cannot be read, which the reader tells in full."""
    from hepacalc.study.guard import PARSER_ERRORS

    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist()[:_MOST_MEMBERS]:
                if not info.is_dir():
                    with archive.open(info) as member:
                        data = member.read(_HEAD_BYTES)
                    if data[128:132] == b"DICM":
                        return read_header(io.BytesIO(data))
    except PARSER_ERRORS:
        return {}  # damaged or encrypted
    return {}


def read_header(file: IO[bytes]) -> Header:
    """Return what the header of an image says of study, age and sex; nothing when it cannot be read."""
    import pydicom

    from hepacalc.study.guard import PARSER_ERRORS, quiet

    names = ["StudyInstanceUID", "StudyDate", "PatientAge", "PatientBirthDate", "PatientSex"]
    try:
        with quiet():
            held = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(names))
            told = {name: str(held.get(name) or "") for name in names}
    except PARSER_ERRORS:
        return {}
    return told_of(told)


def told_of(told: dict[str, str]) -> Header:
    """Return what is kept of the values of a header, by keyword; missing ones are empty."""
    uid = told["StudyInstanceUID"]
    return {
        "study_uid": uid if UID.fullmatch(uid) else None,
        "age_years": _age(told["PatientAge"], told["PatientBirthDate"], told["StudyDate"]),
        "sex": {"F": "female", "M": "male", "O": "other"}.get(told["PatientSex"].strip().upper()),
    }


def _age(age: str, birth: str, study: str) -> float | None:
    """Return whole years (parts of one below a year) from an Age String, or from the two dates."""
    if found := re.fullmatch(r"(\d{3})([DWMY])", age.strip().upper()):
        number = int(found[1])
        years = number / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[found[2]]
        return min(round(years, 2) if years < 1 else float(int(years)), OLDEST)
    if re.fullmatch(r"\d{8}", birth) and re.fullmatch(r"\d{8}", study) and study >= birth:
        return min(float((int(study) - int(birth)) // 10000), OLDEST)
    return None


@contextmanager
def opened(root: Path, source: str) -> Iterator[Path]:
    """Give the path of a study; one whose series lie in several folders is brought together with links.

    Raises:
        StudyNotFound: the links cannot be made.
    """
    parts = source.split("\n")
    if len(parts) == 1:
        yield root / source
        return
    with tempfile.TemporaryDirectory(prefix="hepacalc-") as name:
        try:
            number = 0
            for part in parts:
                for file in files_of(root / part):
                    Path(name, f"{number:06d}{_ending(file)}").symlink_to(file.absolute())
                    number += 1
        except OSError as fault:
            raise _unopened() from fault
        yield Path(name)


def _unopened() -> StudyNotFound:
    return StudyNotFound("a file of the study cannot be read.", hint="Check permissions and the disk.")


def _ending(file: Path) -> str:
    return next((end for end in (".nii.gz", ".nii") if file.name.lower().endswith(end)), "")
