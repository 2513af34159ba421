"""From the bytes of a file to the stored values of one frame.

Native pixels are read straight into the place where they are wanted. Compressed frames are decoded by GDCM and
pylibjpeg-rle in helper processes; each frame is asked first how large it is, so that a damaged header cannot make
a decoder write past its buffer.
"""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames

from hepacalc.errors import DamagedFile
from hepacalc.study.codestream import Codestream, read_codestream
from hepacalc.study.guard import PARSER_ERRORS
from hepacalc.study.helper import Helpers
from hepacalc.study.slices import Head, Slice, shown_uid
from hepacalc.study.tags import UNDEFINED

__all__ = ["LOSSY_SYNTAXES", "PixelReader", "damaged", "same_pixels"]

LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "53", "55", "81", "91", "93", "203")
)  # fmt: skip
"""Transfer syntaxes that usually lose information (.91 and .203 may hold lossless streams)."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_RLE_RATIO = 64

Stored = NDArray[Any]


def damaged(head: Head, what: str) -> DamagedFile:
    """Return the error for one image that cannot be read."""
    return DamagedFile(
        f"Image {shown_uid(head.sop_uid)} of series {head.label} cannot be read: {what}.",
        hint="Send this image again, or choose another series with --series.",
    )


class PixelReader:
    """Reads frame after frame, from several threads; a context manager.

    Keeps the bytes of one multi-frame file at a time, and helper processes for compressed frames.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._frames: list[bytes] = []
        self._data = b""
        self._helpers = Helpers()

    def __enter__(self) -> PixelReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helpers.__exit__(kind, error, trace)

    def start_helpers(self) -> None:
        """Start the helper processes before the first frame needs them."""
        self._helpers.start()

    def stored(self, one: Slice, out: NDArray[np.int16] | None = None) -> Stored:
        """Return the stored values ``(rows, columns)`` of a slice, before rescale.

        Args:
            one: the slice.
            out: int16 ``(rows, columns)``, contiguous; native 16-bit pixels are read into it without a copy.

        Raises:
            DamagedFile: too few bytes, or a frame that cannot be decoded.
        """
        head = one.head
        try:
            if head.pixel_offset < 0 or head.transfer_syntax == _DEFLATED:
                values = self._whole(one)
            elif head.pixel_length == UNDEFINED:
                values = self._decode(head, self.frame_bytes(one))
            else:
                values = _native(one, out)
            return _clean(values, head)
        except DamagedFile:
            raise
        except PARSER_ERRORS as cause:
            raise damaged(head, "its pixel data cannot be decoded") from cause

    def frame_bytes(self, one: Slice) -> bytes:
        """Return the compressed bytes of one frame."""
        head = one.head
        if head.frames == 1:
            return _only_frame(head, _bytes_of(head))
        with self._lock:
            if self._path != head.path:
                self._frames = list(generate_frames(_bytes_of(head), number_of_frames=head.frames))
                self._path = head.path
            frames = self._frames
        if one.frame >= len(frames):
            raise damaged(head, f"it holds {len(frames)} of {head.frames} frames")
        return frames[one.frame]

    def _whole(self, one: Slice) -> Stored:
        """Read a frame of a file that must be parsed or inflated as a whole."""
        head = one.head
        if head.pixel_offset < 0:
            element = pydicom.dcmread(head.path, force=True)["PixelData"]
            data, start = bytes(element.value), 0
            if head.pixel_length == UNDEFINED:
                frames = list(generate_frames(data, number_of_frames=head.frames))
                return self._decode(head, frames[one.frame])
            if head.transfer_syntax == _BIG_ENDIAN:
                head.endian = ">"
        else:
            wanted = head.frames * head.rows * head.columns * head.bits_allocated // 8
            with self._lock:
                if self._path != head.path:
                    self._data = _inflated(head.path, head.pixel_offset + wanted)
                    self._path = head.path
                data, start = self._data, head.pixel_offset
        dtype = _dtype(head)
        count = head.rows * head.columns
        start += one.frame * count * dtype.itemsize
        if len(data) < start + count * dtype.itemsize:
            raise damaged(head, "it ends early, inside its pixels")
        return np.frombuffer(data, dtype, count, start).reshape(head.rows, head.columns)

    def _decode(self, head: Head, data: bytes) -> Stored:
        """Decode one frame.

        Raises:
            DamagedFile: its format is unknown, or its size is not that of the header.
        """
        stream = read_codestream(data)
        if stream is None:
            syntax = shown_uid(head.transfer_syntax, "no transfer syntax")
            raise damaged(head, f"its pixels are compressed in an unknown way ({syntax})")
        _check_size(head, data, stream)
        is_rle = stream.kind == "rle"
        raw = self._helpers.decode(
            data,
            stream.kind,
            rows=head.rows,
            columns=head.columns,
            precision=stream.precision,
            allocated=head.bits_allocated,
            is_signed=stream.is_signed,
        )
        if is_rle:
            dtype = np.dtype(f"<{'i' if head.is_signed else 'u'}{head.bits_allocated // 8}")
        else:
            dtype = np.dtype(f"<{'i' if stream.is_signed else 'u'}{1 if stream.precision <= 8 else 2}")
        if raw is None or len(raw) != head.rows * head.columns * dtype.itemsize:
            raise damaged(head, "its compressed frame cannot be decoded")
        values = np.frombuffer(raw, dtype).reshape(head.rows, head.columns)
        return values if is_rle else _signed(values, head, stream)


def same_pixels(reader: PixelReader, one: Slice, other: Slice) -> bool:
    """Whether two slices hold the same stored values.

    An image that cannot be read is the same as no other.
    """
    a, b = one.head, other.head
    if (a.rows, a.columns) != (b.rows, b.columns):
        return False
    try:
        return bool(np.array_equal(reader.stored(one), reader.stored(other)))
    except DamagedFile:
        return False


def _dtype(head: Head) -> np.dtype[Any]:
    kind = {8: "1", 16: "2", 32: "4"}[head.bits_allocated]
    return np.dtype(f"{head.endian}{'i' if head.is_signed else 'u'}{kind}")


def _native(one: Slice, out: NDArray[np.int16] | None) -> Stored:
    head = one.head
    dtype = _dtype(head)
    count = head.rows * head.columns
    start = head.pixel_offset + one.frame * count * dtype.itemsize
    direct = out is not None and dtype.itemsize == 2 and head.endian == "<"
    values: Stored = out.view(dtype) if direct and out is not None else np.empty((head.rows, head.columns), dtype)
    with head.path.open("rb", buffering=0) as file:
        file.seek(start)
        have = _fill(file, values.view(np.uint8).reshape(-1).data)
    if have < values.nbytes:
        raise damaged(head, f"it ends early, with {have} of {values.nbytes} bytes of pixels")
    return values


def _fill(file: Any, view: memoryview) -> int:
    have = 0
    while have < len(view):
        got = file.readinto(view[have:])
        if not got:
            break
        have += got
    return have


def _inflated(path: Path, wanted: int) -> bytes:
    """Return the first ``wanted`` bytes of a deflated data set."""
    data = path.read_bytes()
    pos = 132 if data[128:132] == b"DICM" else 0
    while data[pos : pos + 2] == b"\x02\x00":
        if data[pos + 4 : pos + 6] in (b"OB", b"UN"):
            pos += 12 + struct.unpack_from("<I", data, pos + 8)[0]
        else:
            pos += 8 + struct.unpack_from("<H", data, pos + 6)[0]
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(memoryview(data)[pos:], wanted)


def _bytes_of(head: Head) -> bytes:
    with head.path.open("rb") as file:
        file.seek(head.pixel_offset)
        return file.read()


def _only_frame(head: Head, data: bytes) -> bytes:
    """Join the fragments of a single frame."""
    fragments: list[bytes] = []
    pos = 0
    number = 0
    while pos + 8 <= len(data):
        tag, length = data[pos : pos + 4], struct.unpack_from("<I", data, pos + 4)[0]
        if tag == b"\xfe\xff\xdd\xe0":
            break
        if tag != b"\xfe\xff\x00\xe0" or length == UNDEFINED:
            raise damaged(head, "its compressed pixel data is cut into pieces in an unknown way")
        if pos + 8 + length > len(data):
            raise damaged(head, "it ends early, inside its compressed pixel data")
        if number:  # item 0 is the offset table
            fragments.append(data[pos + 8 : pos + 8 + length])
        number += 1
        pos += 8 + length
    if not fragments:
        raise damaged(head, "its compressed pixel data is empty")
    return fragments[0] if len(fragments) == 1 else b"".join(fragments)


def _check_size(head: Head, data: bytes, stream: Codestream) -> None:
    """Refuse a frame whose own size is not that of the header, before a decoder sees it."""
    if stream.kind == "rle":
        if len(data) * _MAX_RLE_RATIO < head.rows * head.columns * head.bits_allocated // 8:
            raise damaged(head, "its compressed frame is too short")
        return
    if (stream.rows, stream.columns, stream.components) != (head.rows, head.columns, 1):
        raise damaged(
            head,
            f"its compressed frame has {stream.rows} x {stream.columns} pixels of {stream.components} samples, its "
            f"header {head.rows} x {head.columns}",
        )
    if not 2 <= stream.precision <= 16:
        raise damaged(head, f"its compressed frame has {stream.precision} bits")


def _signed(values: Stored, head: Head, stream: Codestream) -> Stored:
    """Give decoded values the sign the header promises; the stream has the last word when it is signed itself."""
    if stream.is_signed or not head.is_signed:
        return values
    bits = min(stream.precision, head.bits_stored)
    size = 8 * values.itemsize
    return (values << (size - bits)).view(f"<i{values.itemsize}") >> (size - bits)


def _clean(values: Stored, head: Head) -> Stored:
    """Bring the bits that count to the bottom and clear those that do not.

    Signed values whose unused bits repeat the sign, as most scanners write them, are left alone even where they
    exceed BitsStored (padding often does).
    """
    if head.high_bit != head.bits_stored - 1:
        values = values.view(f"{values.dtype.byteorder.replace('=', '<')}u{values.itemsize}")
        values = values >> (head.high_bit + 1 - head.bits_stored)
        if head.is_signed:
            values = values.view(f"i{values.itemsize}")
    bits = head.bits_stored
    if bits >= 8 * values.itemsize:
        return values
    if values.dtype.kind == "u":
        if int(values.max()) >= 1 << bits:
            values = values & ((1 << bits) - 1)
        return values
    if int(values.max()) >= 1 << (bits - 1):
        wrapped = (values >= 1 << (bits - 1)) & (values < 1 << bits)
        values = np.where(wrapped, values - (1 << bits), values).astype(values.dtype)
    return values
