"""The nouns of reading: one file's header, one slice, what a scan of a folder found."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Head", "Scan", "Slice", "floats", "integer", "number", "shown_code", "shown_uid", "text"]

Values = dict[str, Any]
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_CODE = re.compile(r"[A-Z0-9_]{1,8}")


def text(values: Values, name: str) -> str | None:
    """Return a stripped text value; None when it is absent or empty."""
    value = values.get(name)
    if value is None:
        return None
    stripped = "\\".join(part.strip(" \0") for part in str(value).split("\\"))
    return stripped if stripped.strip("\\") else None


def floats(values: Values, name: str, count: int) -> tuple[float, ...] | None:
    """Return exactly ``count`` finite numbers; None when they are absent, too few or not numbers."""
    raw = text(values, name)
    if raw is None:
        return None
    try:
        numbers = tuple(float(part) for part in raw.split("\\"))
    except ValueError:
        return None
    if len(numbers) != count or any(n != n or abs(n) > 1e9 for n in numbers):
        return None
    return numbers


def number(values: Values, name: str) -> float | None:
    """Return the first number of a value; None when there is none."""
    raw = text(values, name)
    if raw is None:
        return None
    first = floats({name: raw.split("\\")[0]}, name, 1)
    return None if first is None else first[0]


def integer(values: Values, name: str) -> int | None:
    """Return a whole number; None when there is none."""
    value = number(values, name)
    return None if value is None else int(value)


def shown_uid(value: str | None, otherwise: str = "without UID") -> str:
    """Return a UID for a message; a damaged length can pull a name into it, so anything else stays unsaid."""
    return value if value and _UID.fullmatch(value) else otherwise


def shown_code(value: str | None, otherwise: str = "unknown") -> str:
    """Return a coded word (modality, rescale type) for a message; anything else stays unsaid."""
    return value if value and _CODE.fullmatch(value) else otherwise


@dataclass(eq=False, slots=True)
class Head:
    """What one image file says for all of its frames; no identity of the patient.

    Args:
        path: the file.
        values: keyword -> text or number of :data:`hepacalc.study.tags.WANTED`.
        transfer_syntax: UID; None when the file does not say.
        frames: number of frames.
        rows: Rows.
        columns: Columns.
        bits_allocated: 8, 16 or 32.
        bits_stored: bits that count.
        high_bit: position of the highest of them.
        is_signed: PixelRepresentation 1.
        pixel_offset: where the pixel data begins (in the inflated data set when deflated); -1: ask pydicom.
        pixel_length: its length in bytes, or undefined.
        endian: byte order of native pixels, ``"<"`` or ``">"``.
        damage: what is wrong with the file, if anything.
    """

    path: Path
    values: Values
    transfer_syntax: str | None
    frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    pixel_offset: int
    pixel_length: int
    endian: str = "<"
    damage: str | None = None

    def text(self, name: str) -> str | None:
        """Return a stripped text value or None."""
        return text(self.values, name)

    def number(self, name: str) -> float | None:
        """Return the first number of a value or None."""
        return number(self.values, name)

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID, or nothing."""
        return self.text("StudyInstanceUID") or ""

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID, or nothing."""
        return self.text("SeriesInstanceUID") or ""

    @property
    def sop_uid(self) -> str:
        """SOPInstanceUID, or nothing."""
        return self.text("SOPInstanceUID") or ""

    @property
    def label(self) -> str:
        """The series UID for a message."""
        return shown_uid(self.series_uid)

    @property
    def image_type(self) -> tuple[str, ...]:
        """ImageType, upper case."""
        return tuple(part.strip().upper() for part in (self.text("ImageType") or "").split("\\") if part.strip())


@dataclass(eq=False, slots=True)
class Slice:
    """One plane of pixels and where it lies.

    Args:
        head: the file it is in.
        frame: its number in the file, from 0.
        values: what this frame says for itself, over what the file says.
        position: centre of its first pixel, LPS mm.
        orientation: direction of its rows (x index) and of its columns (y index).
        spacing: distance of rows (y), then of columns (x), in mm.
        slope: RescaleSlope; None when there is none.
        intercept: RescaleIntercept; None when there is none.
    """

    head: Head
    frame: int
    values: Values
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    slope: float | None
    intercept: float | None

    def text(self, name: str) -> str | None:
        """Return a text value of this frame, or of its file, or None."""
        return text(self.values, name) if name in self.values else self.head.text(name)

    def number(self, name: str) -> float | None:
        """Return a number of this frame, or of its file, or None."""
        return number(self.values, name) if name in self.values else self.head.number(name)

    @property
    def instance(self) -> int:
        """Number for messages: InstanceNumber, or the frame number from 1."""
        if self.head.frames > 1:
            return self.frame + 1
        return integer(self.head.values, "InstanceNumber") or 0


@dataclass(slots=True)
class Scan:
    """Everything that was found under a path.

    Args:
        slices: planes of CT images, in order of their file names.
        passed_over: reason -> number of files (not DICOM, localizer, MR image ...).
        damaged: heads of CT files that could not be read to the end.
        nifti: NIfTI files.
        other_modalities: modalities of images that are not CT.
    """

    slices: list[Slice] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    damaged: list[Head] = field(default_factory=list)
    nifti: list[Path] = field(default_factory=list)
    other_modalities: set[str] = field(default_factory=set)

    def skip(self, reason: str) -> None:
        """Count one file that is not used."""
        self.passed_over[reason] = self.passed_over.get(reason, 0) + 1
