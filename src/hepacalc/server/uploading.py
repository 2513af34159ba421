"""Bodies of uploads, written to disk as they come: a multipart form, or one file as it is."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from hepacalc.errors import InvalidRequest
from hepacalc.server.receive import FileInUpload, Upload

__all__ = ["take_body"]

MOST_PART_HEADER = 8 * 1024
_SUFFIX = {"application/zip": ".zip", "application/x-zip-compressed": ".zip", "application/gzip": ".nii.gz"}


async def take_body(request: Request, upload: Upload) -> None:
    """Write the body of a request into an upload.

    Args:
        request: ``multipart/form-data`` with any number of files, or one file (zip, DICOM, NIfTI).
        upload: from :func:`hepacalc.server.receive.receive`.

    Raises:
        InvalidRequest: the body is not what its Content-Type says.
        TooLarge: it is larger than this site takes.
        Unavailable: the disk is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"multipart/form-data":
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 200:
            raise InvalidRequest("the form has no boundary.", hint="Send multipart/form-data, or one file.")
        form = _Form(upload)
        parser = MultipartParser(boundary, form.callbacks())
        try:
            async for chunk in request.stream():
                await run_in_threadpool(parser.write, chunk)
            parser.finalize()
        except MultipartParseError as fault:
            raise InvalidRequest("the form is damaged.", hint="Send it again.") from fault
        finally:
            form.abandon()
        if not form.is_whole:
            raise InvalidRequest("the form ends early.", hint="Send it again.")
        return
    name = request.query_params.get("name", "") or _SUFFIX.get(kind.decode("latin-1"), "")
    file = await run_in_threadpool(upload.begin, name)
    try:
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(file.write, chunk)
        await run_in_threadpool(file.close)
    finally:
        file.abandon()


class _Form:
    """What the parser of a form calls; parts without a file name are passed over."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._file: FileInUpload | None = None
        self._name, self._value, self._header_bytes = b"", b"", 0
        self._disposition = b""
        self.is_whole = False

    def callbacks(self) -> Any:
        """Return the callbacks by the names that the parser knows."""
        return {
            "on_part_begin": self._begin, "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_finished,
            "on_part_data": self._data, "on_part_end": self._end, "on_end": self._whole,
        }  # fmt: skip

    def abandon(self) -> None:
        """Remove a file that was not received whole."""
        if self._file is not None:
            self._file.abandon()

    def _begin(self) -> None:
        self._name, self._value, self._disposition, self._header_bytes = b"", b"", b"", 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += self._counted(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._counted(data[start:end])

    def _counted(self, part: bytes) -> bytes:
        self._header_bytes += len(part)
        if self._header_bytes > MOST_PART_HEADER:
            raise InvalidRequest("a part of the form has too large headers.", hint="Send plain files.")
        return part

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        self._file = None if name is None else self._upload.begin(name.decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _whole(self) -> None:
        self.is_whole = True
