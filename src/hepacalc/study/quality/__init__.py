"""The battery of input checks: one small function a question, each with one finding as its answer.

A check that cannot be run says so as a warning; it never passes silently and the battery never raises.
The codes are listed in ``docs/reference/quality-checks.md``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hepacalc.errors import HepacalcError
from hepacalc.records import LiverMask, Phase, QualityFinding, Volume
from hepacalc.study.quality import liver, pixels, tags
from hepacalc.study.quality.resolution import smallest_trusted_mm
from hepacalc.study.quality.units import require_ct_numbers, units
from hepacalc.study.quality.view import CannotJudge, View

__all__ = ["BATTERY", "assess_quality", "require_ct_numbers", "smallest_trusted_mm"]

BATTERY: tuple[tuple[str, Callable[[View], QualityFinding]], ...] = (
    ("QC-MOD", tags.modality),
    ("QC-UNIT", units),
    ("QC-COV", liver.coverage),
    ("QC-PHASE", liver.phase),
    ("QC-CTAG", tags.contrast_tag),
    ("QC-THICK", liver.thickness),
    ("QC-GAP", tags.slice_gaps),
    ("QC-KVP", tags.kvp),
    ("QC-KERN", liver.kernel),
    ("QC-NOISE", liver.noise),
    ("QC-CLIP", pixels.clipping),
    ("QC-METAL", pixels.metal),
    ("QC-MOVE", pixels.motion),
    ("QC-CAL", pixels.calibration),
    ("QC-TILT", tags.resampled),
    ("QC-BODY", tags.body_part),
    ("QC-LOSS", tags.compression),
    ("QC-PAD", tags.padding),
)
"""Code and check, in the order in which they are reported."""

_ODD_INPUT = (
    ArithmeticError,
    AttributeError,
    HepacalcError,
    IndexError,
    MemoryError,
    TypeError,
    ValueError,
    np.linalg.LinAlgError,
)


def assess_quality(
    volume: Volume, liver_mask: LiverMask | None = None, phase: Phase | None = None
) -> tuple[QualityFinding, ...]:
    """Return one finding a check, in the order of :data:`BATTERY`.

    Args:
        volume: the scan.
        liver_mask: the liver on its grid, or None: then the checks that need it say so.
        phase: the contrast phase, or None.
    """
    view = View(volume, liver_mask, phase)
    return tuple(_answer(view, code, check) for code, check in BATTERY)


def _answer(view: View, code: str, check: Callable[[View], QualityFinding]) -> QualityFinding:
    try:
        return check(view)
    except CannotJudge as reason:
        return QualityFinding(code, "warning", f"could not be judged: {reason}", "Look at it by eye.")
    except _ODD_INPUT as error:
        return QualityFinding(
            code, "warning", f"could not be judged: the scan is too odd ({type(error).__name__})", "Look at it by eye."
        )
