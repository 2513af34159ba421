"""Studies on a DICOMweb server: looked at and listed by QIDO-RS, fetched by WADO-RS into a folder that does not stay.

What names a study here is the list of its images: a SOP Instance UID never means other content (PS3.5 9), so a hash of
the UIDs tells whether a study is still the same without fetching it. That all of them came is checked after fetching.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from hepacalc.cohort.inputs import UID, Header, told_of
from hepacalc.errors import (
    NotThere,
    OutputError,
    PeerRefused,
    SeriesNotFound,
    StudyNotFound,
    TooLarge,
    Unavailable,
    UnsupportedModality,
    UsageError,
)
from hepacalc.interop.dicomweb_client import query, receive_parts

__all__ = [
    "AUTHORIZATION",
    "MOST_BYTES",
    "MOST_IMAGES",
    "Listed",
    "Looked",
    "Remote",
    "check",
    "fetched",
    "hash_of",
    "list_studies",
    "look",
    "remote_of",
]

AUTHORIZATION = "HEPACALC_DICOMWEB_AUTH"
"""Variable of the environment that holds ``user:password``, or a bearer token."""
MOST_BYTES = 16 * 2**30
MOST_IMAGES = 20_000
"""Of one study; more is not fetched."""
_STEP_SECONDS = 60.0
_PAGE = 1000
_FACTS = {
    "StudyDate": "00080020",
    "PatientAge": "00101010",
    "PatientBirthDate": "00100030",
    "PatientSex": "00100040",
}
_MODALITY, _STUDY, _SERIES, _IMAGE, _COUNT = "00080060", "0020000D", "0020000E", "00080018", "00201208"


@dataclass(frozen=True, slots=True)
class Remote:
    """A DICOMweb server, and where its credentials stand; never the credentials themselves.

    Args:
        url: the root below which ``/studies`` lies.
        auth_file: file with ``user:password`` or a bearer token; None: :data:`AUTHORIZATION` is asked.
    """

    url: str
    auth_file: str | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        return "the DICOMweb server"

    def authorization(self) -> str:
        """Return the header Authorization, read anew for each study, as tokens are renewed.

        Raises:
            Unavailable: the file cannot be read.
            PeerRefused: what it holds is no token.
        """
        if self.auth_file is None:
            text = os.environ.get(AUTHORIZATION, "")
        else:
            try:
                text = Path(self.auth_file).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as fault:
                raise Unavailable(
                    "the file with the credentials of the DICOMweb server cannot be read.", hint="Check its path."
                ) from fault
        told = (text.strip().splitlines() or [""])[0].strip()
        if ":" in told:
            return f"Basic {base64.b64encode(told.encode()).decode('ascii')}"
        if not told.isascii():
            raise PeerRefused("a token has characters that no header can carry.", hint="Look at where it stands.")
        return f"Bearer {told}" if told else ""


def remote_of(url: str, auth_file: str | Path | None = None) -> Remote:
    """Return the server at an address.

    Raises:
        UsageError: it is no such address, or holds credentials, or would carry scans through a network in the clear.
    """
    parts = urlsplit(url)
    is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            "wanted the root of a DICOMweb server, without user, password or query, e.g. https://pacs.example/dicom-web.",
            hint=f"Credentials stand in a file (--dicomweb-auth) or in {AUTHORIZATION}.",
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise UsageError(
            "the DICOMweb server must be reached by https, or be on this machine.",
            hint="Scans would go through the network in the clear; use https or a tunnel (ssh -L).",
        )
    return Remote(url.rstrip("/"), None if auth_file is None else str(auth_file))


def check(remote: Remote) -> None:
    """Make sure that a server answers and lets this program search, before a whole cohort fails.

    Raises:
        Unavailable: it is away.
        PeerRefused: it refuses.
        UsageError: nothing of DICOMweb is there.
    """
    try:
        query(remote, "/studies", {"limit": "1"}, timeout_s=_STEP_SECONDS)
    except NotThere as fault:
        raise UsageError(
            "the DICOMweb server knows no /studies below this address.", hint="Give its root, e.g. .../dicom-web."
        ) from fault


class Listed(NamedTuple):
    """A study that a server lists: its UID, and how many images it says that there are (None: it does not say)."""

    study_uid: str
    images: int | None


def list_studies(remote: Remote, *, modality: str, first: str, last: str) -> Iterator[Listed]:
    """Yield the studies that a server holds, by UID and number of images; nothing else is kept of them.

    Args:
        remote: the server.
        modality: that one of their series must have.
        first: earliest StudyDate, YYYYMMDD; empty: any.
        last: latest StudyDate; empty: any.

    Raises:
        Unavailable: the server is away.
        PeerRefused: it refuses.
    """
    wanted = {"ModalitiesInStudy": modality, "includefield": _COUNT}
    if first or last:
        wanted["StudyDate"] = f"{first}-{last}"
    for one in _paged(remote, "/studies", wanted, _STUDY):
        count = _text(one, _COUNT)
        yield Listed(_text(one, _STUDY), int(count) if count.isdigit() else None)


class Looked(NamedTuple):
    """What a server tells of a study: its CT images as ``(SeriesInstanceUID, SOPInstanceUID)``, age and sex."""

    images: list[tuple[str, str]]
    facts: Header


def look(remote: Remote, study_uid: str, series_uid: str | None = None) -> Looked:
    """Return what a server tells of a study, without fetching it.

    Args:
        remote: the server.
        study_uid: digits and dots only.
        series_uid: this series only; None: every CT series.

    Raises:
        StudyNotFound: the server does not hold it.
        SeriesNotFound: it holds the study, not the series.
        UnsupportedModality: there is no CT in it.
        TooLarge: it has more images than are taken.
        Unavailable: the server is away.
        PeerRefused: it refuses.
    """
    wanted = {"StudyInstanceUID": study_uid, "includefield": _FACTS["PatientAge"]}
    try:
        found = query(remote, "/studies", wanted, timeout_s=_STEP_SECONDS)
        about = next((one for one in found if _text(one, _STUDY) == study_uid), None)
        if about is None:
            raise _missing(study_uid)
        series = {_text(one, _SERIES): _text(one, _MODALITY)
                  for one in _paged(remote, f"/studies/{study_uid}/series", {}, _SERIES)}  # fmt: skip
        if series_uid is not None and series_uid not in series:
            raise SeriesNotFound(
                f"series {series_uid} is not in study {study_uid} on the DICOMweb server.", hint="Check the manifest."
            )
        # a series that does not say its modality may be CT
        taken = {uid for uid, kind in series.items() if kind in ("CT", "") and series_uid in (None, uid)}
        if not taken:
            raise UnsupportedModality(
                f"study {study_uid} has no CT series on the DICOMweb server.", hint="Take it out of the manifest."
            )
        listed = _paged(remote, f"/studies/{study_uid}/instances", {}, _IMAGE)
        images = sorted({(_text(one, _SERIES), _text(one, _IMAGE)) for one in listed if _text(one, _SERIES) in taken})
    except NotThere as fault:
        raise _missing(study_uid) from fault
    if len(images) > MOST_IMAGES:
        raise TooLarge(f"the study has {len(images)} images, more than {MOST_IMAGES}.", hint="Name one `series`.")
    told = {keyword: _text(about, tag) for keyword, tag in _FACTS.items()} | {"StudyInstanceUID": study_uid}
    facts = told_of(told)
    return Looked(images, {name: facts[name] for name in ("age_years", "sex")})


def hash_of(study_uid: str, images: list[tuple[str, str]], extra: Mapping[str, Any]) -> str:
    """Return the input hash of a study on a server.

    The first 40 hexadecimal digits of the SHA-256 of lines: ``dicomweb``, the StudyInstanceUID, each SOPInstanceUID in
    order; then what the manifest says of series and liver mask. The address of the server plays no part.
    """
    lines = ["dicomweb", study_uid, *sorted(image for _, image in images), repr(sorted(extra.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:40]


@contextmanager
def fetched(remote: Remote, study_uid: str, extra: Mapping[str, Any], key: str) -> Iterator[Path]:
    """Give a folder with the images of a study; it is removed at the end.

    Args:
        remote: the server.
        study_uid: digits and dots only.
        extra: what the manifest says; ``series``.
        key: hash of what was listed when the study was looked at.

    Raises:
        StudyNotFound: the server does not hold it.
        TooLarge: it is larger than is taken.
        Unavailable: the server is away, or does not send what it listed.
        PeerRefused: it refuses.
        OutputError: the disk of temporary files is full.
    """
    images = look(remote, study_uid, extra.get("series")).images
    with tempfile.TemporaryDirectory(prefix="hepacalc-") as name:
        taken = _Taken(Path(name))
        for series in dict.fromkeys(series for series, _ in images):
            try:
                receive_parts(remote, f"/studies/{study_uid}/series/{series}", taken.begin, timeout_s=_STEP_SECONDS)
            except NotThere as fault:
                raise _missing(study_uid) from fault
        came = [("", uid) for uid in taken.uids()]
        if hash_of(study_uid, came, extra) != key:
            raise Unavailable(
                f"the DICOMweb server sent {len(came)} images of study {study_uid}, and they are not the "
                f"{len(images)} that it listed.",
                hint="It may still be receiving the study, or has lost images; it is looked at again.",
            )
        yield Path(name)


class _Taken:
    """The images of one study as they come, within its limits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.bytes = 0

    def begin(self) -> _Image:
        if self._count >= MOST_IMAGES:
            raise TooLarge(f"the DICOMweb server sends more than {MOST_IMAGES} images.", hint="Name one `series`.")
        self._count += 1
        return _Image(self._folder / f"{self._count:06d}.dcm", self)

    def uids(self) -> list[str]:
        """Return the SOPInstanceUIDs that came; what cannot be read has none."""
        import pydicom

        from hepacalc.study.guard import PARSER_ERRORS, quiet

        found = []
        for path in sorted(self._folder.iterdir()):
            try:
                with quiet():
                    held = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                    found.append(str(held.get("SOPInstanceUID") or ""))
            except PARSER_ERRORS:
                found.append("")
        return found


class _Image:
    """One image on its way to a file."""

    def __init__(self, path: Path, taken: _Taken) -> None:
        self._taken = taken
        try:
            self._file: IO[bytes] = path.open("xb")
        except OSError as fault:
            raise _no_room() from fault

    def write(self, chunk: bytes) -> None:
        self._taken.bytes += len(chunk)
        if self._taken.bytes > MOST_BYTES:
            raise TooLarge(f"the study is larger than {MOST_BYTES // 2**30} GiB.", hint="Name one `series`.")
        try:
            self._file.write(chunk)
        except OSError as fault:
            raise _no_room() from fault

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as fault:
            raise _no_room() from fault

    def abandon(self) -> None:
        """What is not whole goes with the folder."""
        self._file.close()


def _no_room() -> OutputError:
    return OutputError(
        "a study from the DICOMweb server cannot be kept while it is assessed.",
        hint="Make room on the disk of temporary files, or choose another one with TMPDIR.",
    )


def _missing(study_uid: str) -> StudyNotFound:
    return StudyNotFound(
        f"the DICOMweb server does not hold study {study_uid}, or hides it.",
        hint="Check manifest and rights.",
    )


def _paged(remote: Remote, path: str, wanted: Mapping[str, str], tag: str) -> Iterator[dict[str, Any]]:
    """Yield all matches of a query, each once; a server may give fewer at a time than are asked for."""
    seen: set[str] = set()
    offset = 0
    while True:
        page = query(remote, path, {**wanted, "limit": str(_PAGE), "offset": str(offset)}, timeout_s=_STEP_SECONDS)
        new = [one for one in page if _text(one, tag) not in seen]
        for one in new:
            uid = _text(one, tag)
            if not UID.fullmatch(uid):
                raise PeerRefused("the DICOMweb server lists something without a UID.", hint="Ask who runs it.")
            seen.add(uid)
            yield one
        if not new:
            return
        offset += len(page)


def _text(one: Mapping[str, Any], tag: str) -> str:
    """Return a value of DICOM JSON as text; empty where there is none."""
    held = one.get(tag)
    values = held.get("Value") if isinstance(held, dict) else None
    return str(values[0]).strip() if isinstance(values, list) and values and values[0] is not None else ""
