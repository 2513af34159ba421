"""The helper processes: a frame that kills one does no harm to the next."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hepacalc.study.helper import Helpers


def _rle(pixels: np.ndarray) -> bytes:
    planes = [plane.astype(np.uint8).tobytes() for plane in (pixels >> 8, pixels & 255)]
    packed = [
        b"".join(bytes([len(p[i : i + 128]) - 1]) + p[i : i + 128] for i in range(0, len(p), 128)) for p in planes
    ]
    return struct.pack("<16I", 2, 64, 64 + len(packed[0]), *[0] * 13) + b"".join(packed)


SIZE = {"rows": 8, "columns": 9, "precision": 16, "allocated": 16, "is_signed": False}
PIXELS = np.arange(72, dtype=np.uint16) * 700


def _good(helpers: Helpers) -> bool:
    raw = helpers.decode(_rle(PIXELS), "rle", **SIZE)
    return raw is not None and bool((np.frombuffer(raw, "<u2") == PIXELS).all())


def test_a_deadly_frame_is_survived() -> None:
    with Helpers() as helpers:
        assert _good(helpers)
        for rubbish in (
            b"",
            b"\xff" * 100,
            struct.pack("<16I", 2, 64, 2**31, *[0] * 13),
            b"\xff\xd8\xff\xc3" + b"\0" * 90,
        ):
            for kind in ("rle", "jpeg", "jpeg-ls", "jpeg-2000"):
                assert helpers.decode(rubbish, kind, **SIZE) is None
        assert _good(helpers)


def test_several_threads() -> None:
    with Helpers() as helpers, ThreadPoolExecutor(4) as threads:
        helpers.start()
        assert all(threads.map(lambda _: _good(helpers), range(30)))


def test_the_processes_end_with_the_block() -> None:
    with Helpers() as helpers:
        helpers.start()
        processes = list(helpers._idle.queue)
    assert all(process is not None and process.poll() is not None for process in processes)
