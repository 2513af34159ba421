"""Studies of the archives that the site names: a patient's found by QIDO-RS, one brought here by WADO-RS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hepacalc.errors import PeerRefused
from hepacalc.interop.dicomweb_client import ASK, Partner, query, receive_parts
from hepacalc.interop.multipart import Part
from hepacalc.server.files import WholeFile, make_folder

__all__ = ["fetch_study", "search_studies"]


def search_studies(archive: Partner, patient_id: str, *, timeout_s: float) -> list[dict[str, Any]]:
    """Return the studies of a patient by QIDO-RS, as DICOM JSON; errors as of :func:`query`."""
    wanted = {"PatientID": patient_id, "includefield": "ModalitiesInStudy", "limit": "200"}
    return query(archive, "/studies", wanted, timeout_s=timeout_s)


def fetch_study(
    archive: Partner, study_uid: str, folder: Path, *, timeout_s: float, most_bytes: int, most_files: int,
    tell: Callable[[int], None] = lambda _count: None,
) -> list[Path]:  # fmt: skip
    """Fetch a study by WADO-RS into a folder; return its files, named by number.

    Args:
        archive: where from.
        study_uid: digits and dots only.
        folder: made when missing.
        timeout_s: how long one step may take.
        most_bytes: of the whole study.
        most_files: of the whole study.
        tell: told how many files have come.

    Raises:
        Unavailable: the archive cannot be reached or the answer ends early.
        NotThere: it does not hold the study.
        PeerRefused: it refuses, or sends something else.
        TooLarge: it sends more than is taken.
    """
    make_folder(folder)
    paths: list[Path] = []
    total = [0]

    def begin() -> Part:
        if len(paths) >= most_files:
            raise PeerRefused(f"{archive.name} sends more than {most_files} files.", hint=ASK)
        paths.append(folder / f"{len(paths):06d}")
        tell(len(paths))
        return _Counted(WholeFile(paths[-1], most_bytes - total[0]), total)

    receive_parts(archive, f"/studies/{study_uid}", begin, timeout_s=timeout_s)
    return paths


class _Counted:
    """A file whose bytes count towards those of the study."""

    def __init__(self, file: WholeFile, total: list[int]) -> None:
        self._file, self._total = file, total

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._total[0] += len(chunk)

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.abandon()
