"""A small, fast reader of the few DICOM elements that decide where a slice belongs.

pydicom parses a header in about 1.1 ms, this in about 0.1 ms, and it notes where the pixel data begins so that
the file need not be parsed again. It gives up (:class:`Irregular`) on anything out of the ordinary, and the
caller asks pydicom instead.

Reference: DICOM PS3.5 section 7 (data element structure), PS3.10 section 7 (file meta information).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from pydicom.charset import convert_encodings, decode_bytes

__all__ = ["UNDEFINED", "WANTED", "Irregular", "NeedMore", "RawHeader", "looks_like_dicom", "read_tags"]

UNDEFINED = 0xFFFFFFFF
_PIXEL = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"))
_SHORT = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # fmt: skip
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH = 16
_TEXT_DELIMITERS = {"\r", "\n", "\t", "\f"}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"

WANTED: dict[int, str] = {
    0x00080005: "SpecificCharacterSet", 0x00080008: "ImageType", 0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID", 0x00080020: "StudyDate", 0x00080022: "AcquisitionDate",
    0x0008002A: "AcquisitionDateTime", 0x00080032: "AcquisitionTime", 0x00080033: "ContentTime",
    0x00080060: "Modality", 0x00080070: "Manufacturer", 0x00081030: "StudyDescription",
    0x0008103E: "SeriesDescription", 0x00081090: "ManufacturerModelName", 0x00180010: "ContrastBolusAgent",
    0x00180015: "BodyPartExamined", 0x00180050: "SliceThickness", 0x00180060: "KVP", 0x00181030: "ProtocolName",
    0x00181120: "GantryDetectorTilt", 0x00181210: "ConvolutionKernel", 0x00185100: "PatientPosition",
    0x0020000D: "StudyInstanceUID", 0x0020000E: "SeriesInstanceUID", 0x00200011: "SeriesNumber",
    0x00200012: "AcquisitionNumber", 0x00200013: "InstanceNumber", 0x00200032: "ImagePositionPatient",
    0x00200037: "ImageOrientationPatient", 0x00200052: "FrameOfReferenceUID",
    0x00200100: "TemporalPositionIdentifier", 0x00280002: "SamplesPerPixel", 0x00280008: "NumberOfFrames",
    0x00280010: "Rows", 0x00280011: "Columns", 0x00280030: "PixelSpacing", 0x00280100: "BitsAllocated",
    0x00280101: "BitsStored", 0x00280102: "HighBit", 0x00280103: "PixelRepresentation",
    0x00280120: "PixelPaddingValue", 0x00280121: "PixelPaddingRangeLimit", 0x00281052: "RescaleIntercept",
    0x00281053: "RescaleSlope", 0x00281054: "RescaleType", 0x00282110: "LossyImageCompression",
}  # fmt: skip
"""The elements that are read, by tag."""

_US = frozenset((0x00280002, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103))
_US_OR_SS = frozenset((0x00280120, 0x00280121))


class Irregular(Exception):
    """Not laid out as this reader expects; ask pydicom."""


class NeedMore(Exception):
    """The bytes end before the pixel data; read more of the file."""


@dataclass(slots=True)
class RawHeader:
    """What :func:`read_tags` found.

    Args:
        values: keyword -> raw text (multiple values joined by a backslash) or integer.
        transfer_syntax: its UID; None when there is no file meta information.
        pixel_offset: where the value of Pixel Data begins, in the file (in the inflated data set when deflated);
            -1 when there is none.
        pixel_length: its length in bytes, or :data:`UNDEFINED`.
        is_explicit: whether elements carry their VR.
        endian: ``"<"`` or ``">"``.
        is_float: whether the pixels are Float or Double Float Pixel Data.
    """

    values: dict[str, str | int] = field(default_factory=dict)
    transfer_syntax: str | None = None
    pixel_offset: int = -1
    pixel_length: int = 0
    is_explicit: bool = True
    endian: str = "<"
    is_float: bool = False


def looks_like_dicom(head: bytes) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without preamble and file meta information."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 16:
        return False
    group, element = struct.unpack_from("<HH", head)
    if group not in (0x0002, 0x0008) or element > 0x0100:
        return False
    if head[4:6] in _SHORT or head[4:6] in _LONG:
        return True
    return int(struct.unpack_from("<I", head, 4)[0]) <= 256  # implicit VR: the first element is a short one


def read_tags(data: bytes, *, is_whole: bool) -> RawHeader:
    """Read the wanted elements up to the pixel data.

    Args:
        data: the first bytes of the file.
        is_whole: whether ``data`` is all of it.

    Raises:
        NeedMore: the header goes on after ``data``.
        Irregular: the layout is unusual or damaged.
    """
    header = RawHeader()
    start = 132 if data[128:132] == b"DICM" else 0
    try:
        start = _file_meta(data, start, header)
        if header.transfer_syntax == _DEFLATED:
            data = _inflate(data[start:])
            start = 0
        if header.transfer_syntax is None:
            header.is_explicit = data[start + 4 : start + 6] in _SHORT or data[start + 4 : start + 6] in _LONG
        else:
            header.is_explicit = header.transfer_syntax != _IMPLICIT
            header.endian = ">" if header.transfer_syntax == _BIG_ENDIAN else "<"
        _walk(data, start, header, is_whole)
    except (struct.error, IndexError) as cause:
        if is_whole:
            raise Irregular from cause
        raise NeedMore from cause
    return header


def _file_meta(data: bytes, pos: int, header: RawHeader) -> int:
    """Read group 0002; return where the data set begins."""
    while data[pos : pos + 2] == b"\x02\x00":
        tag, head, length = _element(data, pos, "<", True)
        if length == UNDEFINED:
            raise Irregular
        if tag == 0x00020010:
            header.transfer_syntax = data[pos + head : pos + head + length].decode("ascii", "replace").strip(" \0")
        pos += head + length
        if pos + 2 > len(data):
            raise IndexError
    return pos


def _inflate(data: bytes) -> bytes:
    try:
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        return engine.decompress(data, 2**20)
    except zlib.error as cause:
        raise Irregular from cause


def _element(data: bytes, pos: int, endian: str, explicit: bool) -> tuple[int, int, int]:
    """Return tag, size of the element's head and length of its value."""
    group, element = struct.unpack_from(endian + "HH", data, pos)
    tag = group << 16 | element
    if not explicit or group == 0xFFFE:
        return tag, 8, struct.unpack_from(endian + "I", data, pos + 4)[0]
    vr = data[pos + 4 : pos + 6]
    if vr in _SHORT:
        return tag, 8, struct.unpack_from(endian + "H", data, pos + 6)[0]
    if vr in _LONG:
        return tag, 12, struct.unpack_from(endian + "I", data, pos + 8)[0]
    if len(vr) < 2:
        raise IndexError
    raise Irregular


def _walk(data: bytes, pos: int, header: RawHeader, is_whole: bool) -> None:
    endian, explicit = header.endian, header.is_explicit
    size = len(data)
    while True:
        if pos == size and is_whole:
            return  # an object without pixels
        if pos >= size:
            raise IndexError
        tag, head, length = _element(data, pos, endian, explicit)
        if tag in _PIXEL:
            header.pixel_offset, header.pixel_length = pos + head, length
            header.is_float = tag != 0x7FE00010
            return
        if tag > 0x7FE00010:
            raise Irregular
        if length == UNDEFINED:
            if explicit and data[pos + 4 : pos + 6] == b"UN":
                pos = _skip_items(data, pos + head, endian, False, 0)
            else:
                pos = _skip_items(data, pos + head, endian, explicit, 0)
            continue
        name = WANTED.get(tag)
        if name is not None:
            if pos + head + length > size:
                raise IndexError
            header.values[name] = _value(tag, data[pos + head : pos + head + length], header)
        pos += head + length


def _value(tag: int, raw: bytes, header: RawHeader) -> str | int:
    if tag in _US and len(raw) == 2:
        return int(struct.unpack(header.endian + "H", raw)[0])
    if tag in _US_OR_SS and len(raw) == 2:
        signed = header.values.get("PixelRepresentation") == 1
        return int(struct.unpack(header.endian + ("h" if signed else "H"), raw)[0])
    if tag in _US or tag in _US_OR_SS:
        raise Irregular
    text = raw.strip(b" \0")
    if text.isascii():
        return text.decode("ascii")
    character_sets = str(header.values.get("SpecificCharacterSet", "")).split("\\")
    try:
        return str(decode_bytes(text, convert_encodings(character_sets), _TEXT_DELIMITERS))
    except (LookupError, ValueError):
        return text.decode("latin-1")


def _skip_items(data: bytes, pos: int, endian: str, explicit: bool, depth: int) -> int:
    """Skip a sequence of undefined length; return where the next element begins."""
    if depth > _MAX_DEPTH:
        raise Irregular
    while True:
        tag, head, length = _element(data, pos, endian, explicit)
        pos += head
        if tag == _SEQUENCE_END:
            return pos
        if tag != _ITEM:
            raise Irregular
        if length != UNDEFINED:
            pos += length
            continue
        while True:
            tag, head, length = _element(data, pos, endian, explicit)
            if tag == _ITEM_END:
                pos += head
                break
            if length == UNDEFINED:
                pos = _skip_items(data, pos + head, endian, explicit, depth + 1)
            else:
                pos += head + length
