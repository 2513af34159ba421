"""What leaves the house beside the five files of every assessment: one writer for each format, loaded when wanted.

``docs/howto/export.md`` tells a user about them; ``tests/contract/test_writer.py`` is what each must pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast

import pydicom

from hepacalc.errors import MissingDependency, UsageError
from hepacalc.records import Assessment

__all__ = [
    "FORMATS",
    "ExportContext",
    "Language",
    "SegmentationType",
    "SourceStudy",
    "Writer",
    "get_writer",
    "get_writers",
    "writer_names",
]

FORMATS = ("seg", "sr", "ko", "fhir", "pdf", "text", "sheet", "ics")
"""Names for ``--write``, in the order in which they are written."""

Language = str
"""One of :data:`hepacalc.report.language.LANGUAGES`."""
SegmentationType = Literal["LABELMAP", "BINARY"]

_WRITERS: dict[str, tuple[str, str]] = {
    "fhir": ("hepacalc.interop.fhir", "FhirWriter"),
    "seg": ("hepacalc.interop.dicom_writers", "SegWriter"),
    "sr": ("hepacalc.interop.dicom_writers", "ReportWriter"),
    "ko": ("hepacalc.interop.dicom_writers", "KeyObjectWriter"),
    "pdf": ("hepacalc.report.printed", "PdfWriter"),
    "text": ("hepacalc.report.printed", "TextWriter"),
    "sheet": ("hepacalc.report.printed", "SheetWriter"),
    "ics": ("hepacalc.interop.calendar", "CalendarWriter"),
}
"""Format -> module and name of a class that is made without arguments."""

_EXTRAS: dict[str, str] = {}
"""Package that a module asks for -> extra of hepacalc that brings it."""


@dataclass(frozen=True, eq=False, slots=True)
class SourceStudy:
    """What DICOM objects need of the scan that was measured.

    Args:
        datasets: headers of the source images without pixel data, one for each file, in slice order along the
            volume's slice axis; empty for NIfTI. They hold the identity of the patient.
    """

    datasets: tuple[pydicom.Dataset, ...]


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What a writer is told beside the assessment.

    Args:
        language: of texts for readers.
        source: headers of the scan; None for a stored assessment without the scan at hand.
        deidentify: nothing may say who it is. The assessment and ``source`` that a writer gets have had their identity
            taken out and their UIDs mapped already (:func:`hepacalc.report.write.prepared`); a writer only adds none.
        segmentation_type: SegmentationType of the DICOM SEG.
        patient_id: identifier of the patient for FHIR, ``value`` or ``system|value``; a pseudonym when None.
        deidentify_key: secret of the site by which UIDs are mapped; None: a random one for this run.
    """

    language: Language = "en"
    source: SourceStudy | None = None
    deidentify: bool = False
    segmentation_type: SegmentationType = "LABELMAP"
    patient_id: str | None = None
    deidentify_key: bytes | None = None


class Writer(Protocol):
    """One format."""

    @property
    def name(self) -> str:
        """One of :data:`FORMATS`."""
        ...

    @property
    def needs_source(self) -> bool:
        """Whether it needs the scan: DICOM headers or pixels. A stored assessment is then not enough."""
        ...

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        """Return the names of the files that it writes, without any identity in them."""
        ...

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        """Write its files into ``folder``, which is there; the same assessment gives the same bytes.

        Raises:
            HepacalcError: the assessment or the source cannot be written in this format.
        """
        ...


def writer_names() -> tuple[str, ...]:
    """Return the formats that can be written, in the order of :data:`FORMATS`."""
    return tuple(name for name in FORMATS if name in _WRITERS)


def get_writer(name: str) -> Writer:
    """Return the writer of a format.

    Raises:
        UsageError: there is no such format.
        MissingDependency: a package that it needs is not installed.
    """
    if name not in _WRITERS:
        raise UsageError(
            f"{name!r} is no format that can be written.", hint=f"Choose from {', '.join(writer_names())}."
        )
    module, attribute = _WRITERS[name]
    try:
        found = import_module(module)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").split(".")[0]
        if package in ("", "hepacalc"):
            raise
        extra = _EXTRAS.get(package)
        wanted = package if extra is None else f"hepacalc[{extra}]"
        raise MissingDependency(
            f"Writing {name} needs the package {package}, which is not installed.",
            hint=f'Run: pip install "{wanted}"',
        ) from missing
    return cast("Writer", getattr(found, attribute)())


def get_writers(names: str | Sequence[str]) -> tuple[Writer, ...]:
    """Return the writers of several formats, each once, in the order of :data:`FORMATS`.

    Args:
        names: formats, or one text of them with commas between.

    Raises:
        UsageError: one of them is no format, or none was named.
        MissingDependency: a package that one needs is not installed.
    """
    parts = names.split(",") if isinstance(names, str) else names
    wanted = {part.strip().lower() for part in parts} - {""}
    if not wanted:
        raise UsageError("no format was named.", hint=f"Choose from {', '.join(writer_names())}.")
    unknown = sorted(wanted - set(writer_names()))
    if unknown:
        get_writer(unknown[0])
    return tuple(get_writer(name) for name in writer_names() if name in wanted)
