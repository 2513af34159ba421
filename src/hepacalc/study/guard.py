"""One place that knows what foreign parsers may raise, and that keeps them quiet."""

from __future__ import annotations

import logging
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from pydicom.errors import BytesLengthException, InvalidDicomError

from hepacalc.errors import HepacalcError

__all__ = ["PARSER_ERRORS", "parsing", "quiet"]

PARSER_ERRORS: tuple[type[BaseException], ...] = (
    # what pydicom, nibabel, zipfile and the decoders are known to raise on damaged bytes
    ArithmeticError,  # decimal and overflow in DS and IS values
    AttributeError,  # an element the parser took for granted
    BytesLengthException,
    EOFError,
    HeaderDataError,
    ImageFileError,
    InvalidDicomError,
    LookupError,  # KeyError, IndexError, unknown character sets
    MemoryError,  # a length read from damaged bytes
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,  # includes UnicodeError
    WrapStructError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exception families of third-party parsers on bytes they cannot read."""

_LOGGERS = ("pydicom", "highdicom.base", "highdicom.image", "nibabel.global", "openjpeg", "jpeg_ls", "_CharLS", "rle")


@contextmanager
def parsing(error: HepacalcError) -> Iterator[None]:
    """Run a foreign parser; raise ``error`` in place of whatever it raises on damaged bytes.

    Our own errors pass through unchanged.

    Raises:
        HepacalcError: ``error``, when the block fails with one of :data:`PARSER_ERRORS`.
    """
    try:
        yield
    except HepacalcError:
        raise
    except PARSER_ERRORS as cause:
        raise error from cause


def _drop(record: logging.LogRecord) -> bool:
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and log lines of the parsers; both may quote patient data."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.addFilter(_drop)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(_drop)
