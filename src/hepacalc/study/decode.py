"""From the bytes of a file to the stored values of one frame.

Native pixels are read straight into the place where they are wanted. Compressed frames go to pyjpegls,
pylibjpeg-rle or GDCM; each frame is asked first how large it is, so that a damaged header cannot make a decoder
write past its buffer.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from pathlib import Path
from typing import Any

import gdcm
import jpeg_ls  # type: ignore[import-untyped]
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from rle.rle import decode_frame as decode_rle  # type: ignore[import-not-found]

from hepacalc.errors import DamagedFile
from hepacalc.study.codestream import Codestream, read_codestream
from hepacalc.study.guard import PARSER_ERRORS
from hepacalc.study.slices import Head, Slice
from hepacalc.study.tags import UNDEFINED

__all__ = ["LOSSY_SYNTAXES", "PixelReader", "damaged", "same_pixels"]

LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "53", "55", "81", "91", "93", "203")
)  # fmt: skip
"""Transfer syntaxes that usually lose information (.91 and .203 may hold lossless streams)."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_RLE_RATIO = 64

for _switch in (gdcm.Trace.SetWarning, gdcm.Trace.SetError, gdcm.Trace.SetDebug):
    _switch(False)  # GDCM would print to standard error

Stored = NDArray[Any]


def damaged(head: Head, what: str) -> DamagedFile:
    """Return the error for one image that cannot be read."""
    return DamagedFile(
        f"Image {head.sop_uid or 'without UID'} of series {head.series_uid or 'without UID'} cannot be read: {what}.",
        hint="Send this image again, or choose another series with --series.",
    )


class PixelReader:
    """Reads frame after frame; keeps the compressed bytes of one multi-frame file at a time."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: list[bytes] = []
        self._data = b""

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
                values = _decode(head, self._frame(one))
            else:
                values = _native(one, out)
            return _clean(values, head)
        except DamagedFile:
            raise
        except PARSER_ERRORS as cause:
            raise damaged(head, "its pixel data cannot be decoded") from cause

    def _frame(self, one: Slice) -> bytes:
        """Return the compressed bytes of one frame."""
        head = one.head
        if head.frames == 1:
            return _only_frame(head, _bytes_of(head))
        if self._path != head.path:
            self._frames = list(generate_frames(_bytes_of(head), number_of_frames=head.frames))
            self._path = head.path
        if one.frame >= len(self._frames):
            raise damaged(head, f"it holds {len(self._frames)} of {head.frames} frames")
        return self._frames[one.frame]

    def _whole(self, one: Slice) -> Stored:
        """Read a frame of a file that must be parsed or inflated as a whole."""
        head = one.head
        if head.pixel_offset < 0:
            element = pydicom.dcmread(head.path, force=True)["PixelData"]
            data, start = bytes(element.value), 0
            if element.is_undefined_length:
                frames = list(generate_frames(data, number_of_frames=head.frames))
                return _decode(head, frames[one.frame])
            if head.transfer_syntax == _BIG_ENDIAN:
                head.endian = ">"
        else:
            wanted = head.frames * head.rows * head.columns * head.bits_allocated // 8
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


def same_pixels(one: Slice, other: Slice) -> bool:
    """Whether two slices hold the same stored values.

    An image that cannot be read is the same as no other.
    """
    a, b = one.head, other.head
    if (a.rows, a.columns) != (b.rows, b.columns):
        return False
    try:
        return bool(np.array_equal(PixelReader().stored(one), PixelReader().stored(other)))
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


def _decode(head: Head, data: bytes) -> Stored:
    """Decode one frame.

    Raises:
        DamagedFile: its format is unknown, or its size is not that of the header.
    """
    stream = read_codestream(data)
    if stream is None:
        raise damaged(head, f"its pixels are compressed in an unknown way ({head.transfer_syntax or 'no syntax'})")
    if stream.kind == "rle":
        return _rle(head, data)
    if (stream.rows, stream.columns, stream.components) != (head.rows, head.columns, 1):
        raise damaged(
            head,
            f"its compressed frame has {stream.rows} x {stream.columns} pixels of {stream.components} samples, its "
            f"header {head.rows} x {head.columns}",
        )
    if not 2 <= stream.precision <= 16:
        raise damaged(head, f"its compressed frame has {stream.precision} bits")
    if stream.kind == "jpeg-ls":
        raw, _ = jpeg_ls.decode_pixel_data(data)
        values = np.frombuffer(raw, "u1" if stream.precision <= 8 else "<u2")
    else:
        values = _gdcm(head, data, stream)
    if values.size != head.rows * head.columns:
        raise damaged(head, "its compressed frame is incomplete")
    return _signed(values.reshape(head.rows, head.columns), head, stream)


def _rle(head: Head, data: bytes) -> Stored:
    if len(data) * _MAX_RLE_RATIO < head.rows * head.columns * head.bits_allocated // 8:
        raise damaged(head, "its compressed frame is too short")
    raw = decode_rle(data, head.rows * head.columns, head.bits_allocated, "<")
    dtype = np.dtype(f"<{'i' if head.is_signed else 'u'}{head.bits_allocated // 8}")
    return np.frombuffer(raw, dtype).reshape(head.rows, head.columns)


def _gdcm(head: Head, data: bytes, stream: Codestream) -> Stored:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    source = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    source.SetValue(fragments.__ref__())
    codec = gdcm.JPEG2000Codec() if stream.kind == "jpeg-2000" else gdcm.JPEGCodec()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((head.columns, head.rows, 1))
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    codec.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    bits = stream.precision
    size = 1 if bits <= 8 else 2
    codec.SetPixelFormat(gdcm.PixelFormat(1, 8 * size, bits, bits - 1, int(stream.is_signed)))
    target = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    if not codec.Decode(source, target):
        raise damaged(head, "its compressed frame cannot be decoded")
    value = target.GetByteValue()
    wanted = head.rows * head.columns * size
    if value is None or int(str(value.GetLength())) < wanted:
        raise damaged(head, "its compressed frame is incomplete")
    # the bytes are copied at once: the buffer belongs to `target`
    raw = ctypes.string_at(int(value.GetVoidPointer()), wanted)
    return np.frombuffer(raw, f"<{'i' if stream.is_signed else 'u'}{size}")


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
