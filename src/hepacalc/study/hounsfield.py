"""Stored values to HU, slice by slice, and what lies outside the reconstruction circle to -1024.

Reference: DICOM PS3.3 C.7.5.1.1.2 (pixel padding), C.11.1.1.2 (rescale).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.study.slices import Slice, integer

__all__ = ["AIR_HU", "Hu", "NeedsFloat", "is_integral", "outside_circle", "set_padding", "to_hu"]

AIR_HU = -1024
"""What padding becomes."""
_MIN_SHARE = 0.001
"""Share of a slice that one value below -1024 must fill to count as padding inside the circle too."""
_CORNER_SHARE = 0.9
"""Share of the corners that a padding value of -1000 HU or more must fill to be believed."""

Hu = NDArray[np.int16] | NDArray[np.float32]


class NeedsFloat(Exception):
    """A value does not fit into int16."""


def is_integral(slices: Sequence[Slice]) -> bool:
    """Whether every slope and intercept is a whole number, so that HU are whole numbers."""
    return all(
        float(one.slope or 1.0).is_integer()
        and float(one.intercept or 0.0).is_integer()
        and abs(one.intercept or 0.0) < 32768
        for one in slices
    )


def to_hu(stored: NDArray[Any], one: Slice, out: Hu) -> int:
    """Write the HU of one slice into ``out`` and set its padding to -1024.

    Args:
        stored: stored values ``(rows, columns)``; may share memory with ``out``.
        one: its slice, for rescale and padding tags.
        out: ``(rows, columns)``, int16 or float32.

    Returns:
        Number of padded voxels.

    Raises:
        NeedsFloat: ``out`` is int16 and a value other than padding is beyond 32767 HU.
    """
    slope, intercept = float(one.slope or 1.0), float(one.intercept or 0.0)
    if out.dtype == np.float32:
        values = stored.astype(np.float64) * slope + intercept
        values[values < -32768] = -32768.0
        out[...] = values
    elif slope == 1.0 and _fits(stored, int(intercept)):
        shared = np.shares_memory(stored, out)
        if not shared:
            out[...] = stored if stored.dtype.kind == "i" else stored.astype(np.int16, copy=False)
        if intercept:
            np.add(out, np.int16(intercept), out=out)
    else:
        wide = stored.astype(np.int64) * int(slope) + int(intercept)
        if int(wide.max()) > 32767:
            raise NeedsFloat
        np.maximum(wide, -32768, out=wide)
        out[...] = wide
    return set_padding(out, _tagged(one, slope, intercept))


def _fits(stored: NDArray[Any], intercept: int) -> bool:
    """Whether stored values plus intercept, and the stored values themselves, fit into int16."""
    low, high = int(stored.min()), int(stored.max())
    return low >= -32768 and high <= 32767 and low + intercept >= -32768 and high + intercept <= 32767


def _tagged(one: Slice, slope: float, intercept: float) -> tuple[float, float] | None:
    """Return the HU range that the padding tags name."""
    value = integer(one.head.values, "PixelPaddingValue")
    if value is None:
        return None
    limit = integer(one.head.values, "PixelPaddingRangeLimit")
    if one.head.is_signed and one.head.bits_allocated == 16:
        # some writers give these signed values as unsigned
        value, limit = (v if v is None or v < 32768 else v - 65536 for v in (value, limit))
        assert value is not None
    ends = sorted((value * slope + intercept, (value if limit is None else limit) * slope + intercept))
    return max(ends[0], -32768.0), ends[1]


@cache
def outside_circle(rows: int, columns: int) -> NDArray[np.bool_]:
    """Return the pixels ``(rows, columns)`` outside the circle that touches the edges of the image."""
    y = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    x = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    return np.asarray(y[:, None] ** 2 + x[None, :] ** 2 > 1.0)


def set_padding(hu: Hu, tagged: tuple[float, float] | None) -> int:
    """Set padding to -1024 HU in place; return how many pixels it was.

    Padding is: what the tags name, when that is no tissue value or fills the corners of the image; anything
    below -1024 HU outside the reconstruction circle; and one value below -1024 HU that fills a good part of
    the slice (several circles, table cut away). Noise below -1024 HU inside the circle is left alone.

    Args:
        hu: one slice ``(rows, columns)``.
        tagged: lowest and highest HU that the padding tags name; None when they are absent.
    """
    low = float(hu.min())
    count = 0
    padding: NDArray[np.bool_] | None = None
    if tagged is not None and (tagged[1] < -1000 or _fills_corners(hu, tagged)) and low <= tagged[1]:
        padding = (hu >= tagged[0]) & (hu <= tagged[1])
    if low < AIR_HU:
        below = hu < AIR_HU
        outside = below & outside_circle(*hu.shape)
        constant = hu == low
        if np.count_nonzero(constant) >= _MIN_SHARE * hu.size:
            outside |= constant
        padding = outside if padding is None else padding | outside
    if padding is not None:
        count = int(np.count_nonzero(padding))
        hu[padding] = AIR_HU
    return count


def _fills_corners(hu: Hu, tagged: tuple[float, float]) -> bool:
    corner = hu[outside_circle(*hu.shape)]
    if corner.size < 4:
        return False
    inside = np.count_nonzero((corner >= tagged[0]) & (corner <= tagged[1]))
    return bool(inside >= _CORNER_SHARE * corner.size)
