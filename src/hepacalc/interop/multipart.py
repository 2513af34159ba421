"""``multipart/related`` of DICOMweb (PS3.18 8.7.1): read part by part, and written."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from hepacalc.errors import InvalidRequest

__all__ = ["Part", "RelatedReader", "boundary_of", "new_boundary", "related"]

MOST_PART_HEADER = 4 * 1024
_BOUNDARY = re.compile(rb"[\x21-\x7e]([\x20-\x7e]{0,68}[\x21-\x7e])?")


class Part(Protocol):
    """Where one part is written to."""

    def write(self, chunk: bytes) -> None:
        """Add to it."""
        ...

    def close(self) -> None:
        """Keep it."""
        ...

    def abandon(self) -> None:
        """Remove it, unless it was closed."""
        ...


def boundary_of(content_type: str, wanted: str) -> bytes:
    """Return the boundary of a body.

    Args:
        content_type: its header.
        wanted: media type that the parts have to be of, e.g. ``application/dicom``.

    Raises:
        InvalidRequest: it is no such body.
    """
    kind, options = parse_options_header(content_type)
    inner = options.get(b"type", wanted.encode()).decode("latin-1").lower()
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/related" or inner != wanted or not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest(
            f'wanted multipart/related; type="{wanted}" with a boundary.', hint="See docs/reference/dicomweb.md."
        )
    return boundary


class RelatedReader:
    """Reads a body as it comes.

    Args:
        boundary: from :func:`boundary_of`.
        begin: called for each part; gives where it is written.

    Raises:
        InvalidRequest: from its methods, when the body is damaged.
    """

    def __init__(self, boundary: bytes, begin: Callable[[], Part]) -> None:
        self._begin, self._header_bytes, self._whole = begin, 0, False
        self._part: Part | None = None
        callbacks: Any = {
            "on_part_begin": self._on_begin, "on_header_field": self._on_header, "on_header_value": self._on_header,
            "on_part_data": self._on_data, "on_part_end": self._on_end, "on_end": self._on_whole,
        }  # fmt: skip
        self._parser = MultipartParser(boundary, callbacks)

    def write(self, chunk: bytes) -> None:
        """Read on."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as fault:
            raise InvalidRequest("the body is no multipart/related.", hint="Send it again.") from fault

    def close(self) -> None:
        """End the body; it has to be whole."""
        if not self._whole:
            raise InvalidRequest("the body ends early.", hint="Send it again.")

    def abandon(self) -> None:
        """Remove a part that was not read whole."""
        if self._part is not None:
            self._part.abandon()

    def _on_begin(self) -> None:
        self._header_bytes = 0
        self._part = self._begin()

    def _on_header(self, _data: bytes, start: int, end: int) -> None:
        self._header_bytes += end - start
        if self._header_bytes > MOST_PART_HEADER:
            raise InvalidRequest("a part has too large headers.", hint="Send Content-Type only.")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.write(data[start:end])

    def _on_end(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part = None

    def _on_whole(self) -> None:
        self._whole = True


def new_boundary() -> str:
    """Return a boundary that no content holds by accident."""
    return f"hepacalc-{secrets.token_hex(16)}"


def related(parts: Iterable[tuple[str, Iterable[bytes]]], boundary: str) -> Iterator[bytes]:
    """Return a body.

    Args:
        parts: headers of each part, as lines without the last end of line, and its content.
        boundary: from :func:`new_boundary`.
    """
    for headers, chunks in parts:
        yield f"--{boundary}\r\n{headers}\r\n\r\n".encode()
        yield from chunks
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
