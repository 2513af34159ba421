"""Reading the DICOM files that are held, in processes of their own: a file that is no honest one ends one of those.

Functions here are called through :class:`Readers` and take and give plain values.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian

from hepacalc.errors import DamagedFile, HepacalcError, NotThere
from hepacalc.server.faults import UnfinishedJob
from hepacalc.server.headers import refuse_bomb
from hepacalc.server.worker import error_of
from hepacalc.study.guard import parsing, quiet

__all__ = ["Readers", "bulk_of", "explicit_of", "frames_of", "identity_of", "metadata_of", "rendered_of"]

READERS, MOST_S, MOST_BYTES = 2, 60.0, 4 * 2**30
INLINE_BYTES = 1024
"""Binary values up to this size stand in metadata themselves (PS3.18 F.2.2)."""
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
_PIXEL_TAGS = ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "NumberOfFrames")


class Readers:
    """A few processes that read; a process that dies or takes too long is replaced, and the request fails.

    Args:
        most_bytes: of address space of each.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = min(most_bytes, MOST_BYTES)
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function of this module gives.

        Raises:
            HepacalcError: of the function.
            UnfinishedJob: the process died or took too long.
        """
        # a process may have ended by another request's file: then this one is asked for once more
        for again in (True, False):
            pool = self._ready()
            try:
                found, error = pool.submit(_told, function, arguments).result(MOST_S)
                break
            except (BrokenProcessPool, CancelledError, TimeoutError) as fault:
                self._replace(pool)
                if isinstance(fault, TimeoutError) or not again:
                    raise UnfinishedJob(
                        "a file could not be read in time and memory.", hint="Look at the file."
                    ) from fault
        if error is not None:
            raise error_of(**error)
        return found

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._replace(self._pool)

    def _ready(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(READERS, context, _begin, (self._most,))
            return self._pool

    def _replace(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


def _told(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, dict[str, str] | None]:
    """Return what a function gives, or our error in plain words: errors themselves do not travel between processes."""
    try:
        return function(*arguments), None
    except HepacalcError as error:
        return None, {"code": error.code, "message": error.message, "hint": error.hint}


def _begin(most_bytes: int) -> None:
    """Limit this process, and end it with its parent."""
    for what, most in ((resource.RLIMIT_AS, most_bytes), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(3)


def _damaged() -> DamagedFile:
    return DamagedFile("a stored file cannot be read.", hint="Send it again.")


def identity_of(path: str) -> dict[str, str]:
    """Return SOP class, SOP instance and study of a received file, as it says itself; empty where it does not."""
    wanted = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(wanted))
        return {name: str(data.get(name) or "") for name in wanted}


def metadata_of(paths: Sequence[tuple[str, str]]) -> str:
    """Return DICOM JSON of instances, divided by commas (PS3.18 F).

    Args:
        paths: file and URL of each instance.
    """
    return ",".join(_metadata(path, url) for path, url in paths)


def _metadata(path: str, url: str) -> str:
    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        data = pydicom.dcmread(path, stop_before_pixels=True)
        found = _json(data, lambda number: f"{url}/bulkdata/{number}")
        found["00083002"] = {"vr": "UI", "Value": [str(data.file_meta.TransferSyntaxUID)]}
        if "Rows" in data:
            found["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{url}/bulkdata/pixels"}
        return json.dumps(_finite(found), allow_nan=False)


def _json(data: Dataset, link: Callable[[int], str]) -> dict[str, Any]:
    count = [0]

    def handler(_element: Any) -> str:
        count[0] += 1
        return link(count[0])

    found: dict[str, Any] = data.to_json_dict(INLINE_BYTES, handler, suppress_invalid_tags=True)
    return found


def _finite(value: Any) -> Any:
    """Return a value as JSON can hold it: a number that is none becomes null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bulk_of(path: str, number: str) -> bytes:
    """Return the value that metadata named by a number, in the order of the data set; ``pixels`` is PixelData.

    Raises:
        NotThere: there is no such value.
    """
    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        data = pydicom.dcmread(path, stop_before_pixels=number != "pixels")
        if number == "pixels":
            if "PixelData" in data:
                return bytes(data.PixelData)
            raise _missing()
        found: list[bytes] = []

        def handler(element: Any) -> str:
            found.append(bytes(element.value) if isinstance(element.value, bytes) else b"")
            return str(len(found))

        data.to_json_dict(INLINE_BYTES, handler, suppress_invalid_tags=True)
        if not number.isdecimal() or not 0 < int(number) <= len(found):
            raise _missing()
        return found[int(number) - 1]


def _missing() -> NotThere:
    return NotThere("the instance has no such value or frame.", hint="Take the address from its metadata.")


def explicit_of(path: str) -> bytes:
    """Return a file in Explicit VR Little Endian, decompressed: what a client gets that asks for nothing else."""
    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        data = pydicom.dcmread(path)
        if data.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in data:
            data.decompress(generate_instance_uid=False)
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        out = BytesIO()
        data.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
        return out.getvalue()


def frames_of(path: str, numbers: Sequence[int], as_stored: bool) -> list[bytes]:
    """Return frames, counted from 1.

    Args:
        path: a file.
        numbers: of the frames.
        as_stored: compressed as they are, or as plain little endian pixels.

    Raises:
        NotThere: a frame is not there.
    """
    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        with Path(path).open("rb") as file:
            data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_PIXEL_TAGS))
            syntax, start = str(data.file_meta.TransferSyntaxUID), file.tell()
            count = int(data.get("NumberOfFrames") or 1)
            if any(not 1 <= number <= count for number in numbers) or "Rows" not in data:
                raise _missing()
            if syntax in NATIVE and data.BitsAllocated % 8 == 0:
                size = int(data.Rows) * int(data.Columns) * int(data.SamplesPerPixel) * int(data.BitsAllocated) // 8
                file.seek(start + (8 if syntax == "1.2.840.10008.1.2" else 12))
                return [_slice(file, start=file.tell(), size=size, number=number) for number in numbers]
        if as_stored and syntax not in NATIVE and data.file_meta.TransferSyntaxUID.is_encapsulated:
            whole = pydicom.dcmread(path)
            return [get_frame(whole.PixelData, n - 1, number_of_frames=count) for n in numbers]
        return [_plain(path, number - 1, int(data.BitsAllocated)) for number in numbers]


def _slice(file: Any, *, start: int, size: int, number: int) -> bytes:
    """Return one frame of native pixels, without reading the others."""
    base = file.tell()
    file.seek(start + (number - 1) * size)
    found: bytes = file.read(size)
    file.seek(base)
    if len(found) != size:
        raise _damaged()
    return found


def _plain(path: str, index: int, bits: int) -> bytes:
    array = pydicom.pixels.pixel_array(path, index=index, raw=True)
    if bits == 1:
        return bytes(np.packbits(array.ravel().astype(np.uint8), bitorder="little"))
    return bytes(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())


def rendered_of(path: str, number: int, window: tuple[float, float] | None, size: int, kind: str) -> bytes:
    """Return a frame as a picture to look at.

    Args:
        path: a file.
        number: of the frame, counted from 1.
        window: centre and width; the file's own when None, 40 and 400 HU for CT without any.
        size: longest side in pixels; 0 leaves it as it is.
        kind: ``JPEG`` or ``PNG``.
    """
    from PIL import Image
    from pydicom.pixels import apply_modality_lut

    with quiet(), parsing(_damaged()):
        refuse_bomb(Path(path))
        data = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" not in data or not 1 <= number <= int(data.get("NumberOfFrames") or 1):
            raise _missing()
        array = pydicom.pixels.pixel_array(path, index=number - 1)
        if array.ndim == 2:
            values = np.asarray(apply_modality_lut(array, data), dtype=np.float64)
            low, high = _limits(data, values, window)
            shown = np.clip((values - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
            if data.get("PhotometricInterpretation") == "MONOCHROME1":
                shown = 255 - shown
        else:
            shown = array.astype(np.uint8)
        picture = Image.fromarray(shown)
        if size:
            picture.thumbnail((size, size))
        out = BytesIO()
        picture.save(out, kind)
        return out.getvalue()


def _limits(data: Dataset, values: Any, window: tuple[float, float] | None) -> tuple[float, float]:
    if window is None and "WindowCenter" in data and "WindowWidth" in data:
        first = [v[0] if hasattr(v, "__iter__") else v for v in (data.WindowCenter, data.WindowWidth)]
        window = (float(first[0]), float(first[1]))
    if window is None and data.get("Modality") == "CT":
        window = (40.0, 400.0)
    if window is None:
        return float(values.min()), float(values.max())
    return window[0] - window[1] / 2, window[0] + window[1] / 2
