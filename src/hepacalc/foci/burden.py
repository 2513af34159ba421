"""The whole liver in a line: how many lesions of which kind, and how much calcium."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepacalc.records import Burden, Focus, Lesion, Measured, Measurement, NotMeasured

__all__ = ["add_up", "count_burden", "name_doubts"]


def add_up(numbers: Sequence[Measurement], unit: str, what: str, *, shared_sd: float = 0.0) -> Measurement:
    """Return the sum of measured numbers with its interval, which is about what is in the sum.

    Errors of single foci are taken as independent; an error that all share (the calibration line) adds up fully.

    Args:
        numbers: what to add; one that is not measured makes the sum not measured, with its reason.
        unit: of the sum.
        what: method, in words.
        shared_sd: relative standard deviation that all of them share.
    """
    if not numbers:
        return Measured(0.0, unit, 0.0, 0.0, what)
    known = [n for n in numbers if isinstance(n, Measured)]
    if len(known) < len(numbers):
        reasons = sorted({n.reason for n in numbers if isinstance(n, NotMeasured)})
        return NotMeasured(
            f"{len(numbers) - len(known)} of {len(numbers)} parts could not be measured: {'; '.join(reasons)}"
        )
    values = np.array([n.value for n in known])
    half = np.array([(n.high - n.low) / 2 for n in known])
    shared = 1.645 * shared_sd * np.abs(values)
    own = np.sqrt(np.clip(half**2 - shared**2, 0, None))
    total = float(values.sum())
    width = float(np.sqrt((own**2).sum() + shared.sum() ** 2))
    return Measured(total, unit, total - width, total + width, what)


def name_doubts(lesions: Sequence[Lesion], *, is_contrast: bool) -> tuple[str, ...]:
    """Return what the total mass may lack or hold wrongly, one sentence each.

    Its interval is about the lesions in it. What was left out, or is no calcium, does not widen it and is told.

    Args:
        lesions: all lesions.
        is_contrast: whether contrast medium is in the scan.
    """
    out: list[str] = []
    left_out = [n.mass_mg for n in lesions if n.kind == "indeterminate"]
    if left_out:
        together = add_up(left_out, "mg", "")
        if isinstance(together, Measured):
            out.append(
                f"Indeterminate lesions that are not in the total calcium mass: {len(left_out)}, "
                f"together {together.value:.0f} mg."
            )
        else:
            out.append(f"Indeterminate lesions that are not in the total calcium mass: {len(left_out)}.")
    if is_contrast:
        out.append(
            "The total calcium mass leaves out calcium that is no brighter than the blood of this scan: it was taken "
            "for vessels."
        )
        return tuple(out)
    unsure = [n for n in lesions if n.kind == "calcification" and n.certainty != "certain"]
    held = add_up([n.mass_mg for n in unsure], "mg", "")
    if unsure and isinstance(held, Measured):
        out.append(f"The total calcium mass holds {held.value:.0f} mg of lesions that are not certain to be calcium.")
    return tuple(out)


def count_burden(
    lesions: Sequence[Lesion], foci: Sequence[Focus], smallest: Measurement, calibration_sd: float
) -> Burden:
    """Return the burden of a liver.

    Args:
        lesions: all lesions.
        foci: all foci, mimics included.
        smallest: smallest focus that this scan would show.
        calibration_sd: relative standard deviation of the calibration line, shared by all masses.
    """
    calcified = [n for n in lesions if n.kind == "calcification"]
    return Burden(
        len(calcified),
        sum(n.certainty == "certain" for n in calcified),
        sum(n.kind == "indeterminate" for n in lesions),
        sum(f.lesion is None for f in foci),
        add_up([n.mass_mg for n in calcified], "mg", "sum over calcified lesions", shared_sd=calibration_sd),
        add_up([n.volume_mm3 for n in calcified], "mm3", "sum over calcified lesions"),
        smallest,
    )
