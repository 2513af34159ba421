"""Whether the voxel values can be CT numbers at all: a label map, an MR or a windowed picture opens as NIfTI too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import InvalidPixelValues
from hepacalc.records import QualityFinding, Volume
from hepacalc.study.quality.view import PADDING_HU, View, ok, severe

__all__ = ["require_ct_numbers", "units"]

_FEWEST_VALUES = 40
_LOW_HU = -50.0
_LEAST_LOW = 0.001
_MOST_LOOKED_AT = 200_000


def units(view: View) -> QualityFinding:
    """Whether the numbers can be HU at all: air far below water, tissue near it."""
    doubt = _doubt(view)
    if doubt is not None:
        return severe("QC-UNIT", doubt[0], doubt[1])
    low, high = float(view.sample.min()), float(view.sample.max())
    span = f"values {low:.0f} to {high:.0f}"
    if low > -200:
        return severe(
            "QC-UNIT", f"{span}: no air below -200, the values were cut off or shifted", "Give the original series."
        )
    tissue = view.sample[(view.sample > -200) & (view.sample < 300)]
    if tissue.size < 0.02 * view.sample.size:
        return severe(
            "QC-UNIT", f"{span}: hardly any voxel lies between -200 and 300 HU", "Check rescale slope and intercept."
        )
    return ok("QC-UNIT", f"{span}: HU")


def require_ct_numbers(volume: Volume) -> None:
    """Refuse what cannot be a CT in HU, before anything is measured on it.

    Raises:
        InvalidPixelValues: few distinct values (a label map), a windowed picture, or neither air nor fat (MR, PET,
            CT without its rescale).
    """
    doubt = _doubt(View(volume, None, None))
    if doubt is not None:
        raise InvalidPixelValues(f"A CT in HU is wanted, but this does not look like CT numbers: {doubt[0]}.",
                                 hint=doubt[1])  # fmt: skip


def _doubt(view: View) -> tuple[str, str] | None:
    """Return why the values cannot be CT numbers, and what to do about it; None when they can."""
    values = _values(view)
    low, high = float(values.min()), float(values.max())
    span = f"values {low:.4g} to {high:.4g}"
    count = len(np.unique(values))
    if count <= _FEWEST_VALUES:
        return (
            f"{span}, only {count} different one{'s' * (count > 1)}, as in a label map or a mask",
            "Give the CT itself; a liver mask belongs to --liver-mask.",
        )
    if low >= 0 and high <= 255:
        return f"{span}: a windowed picture or a label map, not HU", "Give the original series."
    if np.count_nonzero(values < _LOW_HU) < _LEAST_LOW * values.size:
        return (
            f"{span}: neither air nor fat below {_LOW_HU:.0f}, as in an MR, a PET or a CT without its rescale to HU",
            "Give the CT with its rescale to HU.",
        )
    return None


def _values(view: View) -> NDArray[np.float32]:
    """Return a sample of the values without padding (all of them in a small scan)."""
    few = view.volume.hu.size <= _MOST_LOOKED_AT
    values = np.asarray(view.volume.hu if few else view.sample, np.float32).ravel()
    values = values[:: max(values.size // _MOST_LOOKED_AT, 1)]
    kept = values[values != PADDING_HU]
    return kept if kept.size else values
