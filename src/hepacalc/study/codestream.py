"""What a compressed frame says about itself, read before it is given to a decoder.

References: ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000); DICOM PS3.5 annex G (RLE).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

__all__ = ["Codestream", "read_codestream"]


@dataclass(frozen=True, slots=True)
class Codestream:
    """Format and size of a compressed frame.

    Args:
        kind: ``jpeg`` (any DCT or lossless JPEG), ``jpeg-ls``, ``jpeg-2000`` or ``rle``.
        rows: as the stream says; 0 for RLE, which does not say.
        columns: the same.
        precision: bits of a sample; 0 for RLE.
        components: samples per pixel; 1 for RLE.
        is_signed: JPEG 2000 streams may hold signed samples.
        is_lossless: whether the process is lossless (JPEG 2000: unknown, True).
    """

    kind: Literal["jpeg", "jpeg-ls", "jpeg-2000", "rle"]
    rows: int
    columns: int
    precision: int
    components: int
    is_signed: bool = False
    is_lossless: bool = True


def read_codestream(data: bytes) -> Codestream | None:
    """Return what the first bytes of a frame say; None when they are of no known format."""
    try:
        if data[:4] == b"\xff\x4f\xff\x51":
            return _jpeg_2000(data, 0)
        if data[:12] == b"\x00\x00\x00\x0c\x6a\x50\x20\x20\x0d\x0a\x87\x0a":
            start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
            return _jpeg_2000(data, start) if start >= 0 else None
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if len(data) >= 64 and 1 <= struct.unpack_from("<I", data)[0] <= 15 and data[4:8] == b"\x40\0\0\0":
            return Codestream("rle", 0, 0, 0, 1)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg_2000(data: bytes, start: int) -> Codestream:
    width, height, left, top = struct.unpack_from(">IIII", data, start + 8)
    components = struct.unpack_from(">H", data, start + 40)[0]
    depth = data[start + 42]
    return Codestream("jpeg-2000", height - top, width - left, (depth & 0x7F) + 1, components, bool(depth & 0x80))


def _jpeg(data: bytes) -> Codestream | None:
    pos = 2
    while pos + 4 <= len(data):
        if data[pos] != 0xFF:
            return None
        marker = data[pos + 1]
        if marker == 0xFF:
            pos += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, pos + 4)
            if marker == 0xF7:
                return Codestream("jpeg-ls", rows, columns, precision, components)
            return Codestream("jpeg", rows, columns, precision, components, is_lossless=marker in (0xC3, 0xC7, 0xCB))
        pos += 2 + struct.unpack_from(">H", data, pos + 2)[0]
    return None
