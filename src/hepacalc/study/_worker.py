"""Helper process that decodes compressed frames; run as a script, never imported by the package.

GDCM aborts the process it runs in on some damaged JPEG frames, prints to standard error, and holds Python's
lock. Here an abort ends only this process, what is printed goes nowhere, and two of these use two cores. It
imports nothing of hepacalc, no NumPy and, before a frame asks for it, not much else, so that it starts in a tenth
of a second. Its one argument is the search path for modules.

A request is ``kind, rows, columns, precision, bits allocated, is signed, length`` and the frame; the answer is
``status, length`` and the raw little-endian samples (status 0), or nothing (status 1: cannot be decoded).
"""

from __future__ import annotations

import os
import signal
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUEST = struct.Struct("<BIIBBBI")
ANSWER = struct.Struct("<BI")
JPEG, JPEG_LS, JPEG_2000, RLE = 1, 2, 3, 4
_SECONDS = 60
_MEMORY = 4 * 2**30


def _gdcm(kind: int, rows: int, columns: int, bits: int, signed: int, data: bytes) -> bytes | None:
    import ctypes

    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    source = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    source.SetValue(fragments.__ref__())
    codec = {JPEG: gdcm.JPEGCodec, JPEG_LS: gdcm.JPEGLSCodec, JPEG_2000: gdcm.JPEG2000Codec}[kind]()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((columns, rows, 1))
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    codec.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    size = 1 if bits <= 8 else 2
    codec.SetPixelFormat(gdcm.PixelFormat(1, 8 * size, bits, bits - 1, signed))
    target = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    if not codec.Decode(source, target):
        return None
    value = target.GetByteValue()
    wanted = rows * columns * size
    if value is None or int(str(value.GetLength())) < wanted:
        return None
    # copied at once: the buffer belongs to `target`
    return ctypes.string_at(int(value.GetVoidPointer()), wanted)


def _openjpeg(rows: int, columns: int, bits: int, data: bytes) -> bytes | None:
    """Decode what GDCM's older OpenJPEG cannot (high-throughput JPEG 2000)."""
    import io

    import _openjpeg as openjpeg  # type: ignore[import-not-found]

    code, samples = openjpeg.decode(io.BytesIO(data), 0 if data[:2] == b"\xff\x4f" else 2, as_array=False)
    raw = bytes(samples)
    return raw if code == 0 and len(raw) == rows * columns * (1 if bits <= 8 else 2) else None


def _rle(rows: int, columns: int, allocated: int, data: bytes, cache: list[Any]) -> bytes | None:
    if not cache:
        import importlib.util
        from pathlib import Path

        # the compiled module alone: its package would import NumPy
        package = importlib.util.find_spec("rle")
        assert package is not None
        for folder in package.submodule_search_locations or ():
            for file in sorted(Path(folder).glob("rle.*")):
                if file.suffix in (".so", ".pyd"):
                    spec = importlib.util.spec_from_file_location("rle.rle", file)
                    assert spec is not None
                    assert spec.loader is not None
                    module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
                    cache.append(module.decode_frame)
    return bytes(cache[0](data, rows * columns, allocated, "<"))


def _serve(source: Any, sink: Any) -> None:
    cache: list[Any] = []
    while True:
        head = source.read(REQUEST.size)
        if len(head) < REQUEST.size:
            return
        kind, rows, columns, bits, allocated, signed, length = REQUEST.unpack(head)
        data = source.read(length)
        if hasattr(signal, "alarm"):
            signal.alarm(_SECONDS)  # a decoder that loops for ever dies here
        # what a decoder raises ends this process too, and the caller starts another
        if kind == RLE:
            raw = _rle(rows, columns, allocated, data, cache)
        else:
            raw = _gdcm(kind, rows, columns, bits, signed, data)
            if raw is None and kind == JPEG_2000:
                raw = _openjpeg(rows, columns, bits, data)
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        sink.write(ANSWER.pack(0 if raw is not None else 1, len(raw or b"")))
        sink.write(raw or b"")
        sink.flush()


def main() -> None:
    """Serve frames from standard input until it ends."""
    sys.path[:] = sys.argv[1].split(os.pathsep)
    # decoders may print: keep the pipe for ourselves
    sink = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # not on this system
    with os.fdopen(0, "rb") as source, sink:
        _serve(source, sink)


if __name__ == "__main__":
    main()
