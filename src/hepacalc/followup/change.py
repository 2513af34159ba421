"""How much more or less: the change between two measured numbers, its interval, and the least that could be shown.

The errors of the two exams are taken as independent, but for the calibration line: what two exams of one scanner share
of it moves both masses alike and cancels in their ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepacalc.records import Calibration, Measured, Measurement, NotMeasured

__all__ = ["Change", "Shared", "change_of", "shared_calibration"]

Z90 = 1.645
Z_SHOWN = 2.58
"""A change is shown from 2.58 standard deviations on: 1 in 100 by chance."""
Z_POWER = 1.28
"""The smallest change that could have been shown is one that would be in 9 pairs of 10."""
LEAST_SHARE = 0.10
"""No change under a tenth is shown, however small the stated errors are."""
SMALLEST_NUMBER = 1e-9
LARGEST_RELATIVE_SD = 0.4


@dataclass(frozen=True, slots=True)
class Shared:
    """Relative errors that do not come from the lesion itself.

    Args:
        prior_sd: relative standard deviation of the earlier calibration line.
        current_sd: of the later one.
        correlation: of the two, 0-1.
        extra_sd: relative standard deviation on top, e.g. where the contrast phases differ.
    """

    prior_sd: float = 0.0
    current_sd: float = 0.0
    correlation: float = 0.0
    extra_sd: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one number.

    Args:
        amount: later minus earlier.
        percent: of the earlier number.
        smallest_percent: smallest change that would have been shown in 9 such pairs of 10, in percent of the earlier
            number.
        direction: 1 when it is shown to be more, -1 when less, 0 when no change is shown, None when it cannot be told.
    """

    amount: Measurement
    percent: Measurement
    smallest_percent: Measurement
    direction: int | None


def shared_calibration(prior: Calibration | None, current: Calibration | None, *, same_scanner: bool) -> Shared:
    """Return what two exams share of the error of their calibration lines.

    Args:
        prior: line of the earlier exam; None when it has none.
        current: line of the later exam.
        same_scanner: whether both exams come from one model of scanner.

    Returns:
        Full correlation for the same line on the same scanner; a half for one scanner at two tube voltages, whose
        lines err together in part; none between scanners. The half is a judgement.
    """
    if prior is None or current is None:
        return Shared()
    correlation = 0.0
    if same_scanner and prior.kvp is not None and current.kvp is not None:
        correlation = 1.0 if prior.kvp == current.kvp and prior.source == current.source else 0.5
    return Shared(prior.relative_sd, current.relative_sd, correlation)


def change_of(prior: Measurement, current: Measurement, shared: Shared, *, least_share: float = LEAST_SHARE) -> Change:
    """Return the change between two numbers of one unit.

    Args:
        prior: earlier.
        current: later.
        shared: errors that are not the lesion's own.
        least_share: a change under this share of the mean of both is never called one.

    Returns:
        The change with its 90 % interval; everything not measured, with the reason, where a number is missing.
    """
    if isinstance(prior, NotMeasured) or isinstance(current, NotMeasured):
        missing = [f"at the earlier exam: {prior.reason}"] if isinstance(prior, NotMeasured) else []
        missing += [f"at the later exam: {current.reason}"] if isinstance(current, NotMeasured) else []
        gone = NotMeasured("; ".join(missing))
        return Change(gone, gone, gone, None)
    a, b = prior.value, current.value
    own_a, own_b = _own_sd(prior, shared.prior_sd), _own_sd(current, shared.current_sd)
    sd = _sd(a, b, own_a, own_b, shared)
    amount = Measured(b - a, prior.unit, b - a - Z90 * sd, b - a + Z90 * sd, "later minus earlier")
    if a <= SMALLEST_NUMBER or own_a > LARGEST_RELATIVE_SD * a:
        why = NotMeasured("the earlier number is too uncertain for a share of it")
        return Change(amount, why, why, _direction(a, b, sd, least_share))
    floor = least_share * 100
    smallest = max(100 * (Z_SHOWN + Z_POWER) * _sd(a, a, own_a, own_b, shared) / a, floor)
    least = Measured(smallest, "%", smallest, smallest, "smallest change that this pair could have shown")
    return Change(amount, _percent(a, b, own_a, own_b, shared), least, _direction(a, b, sd, least_share))


def _direction(a: float, b: float, sd: float, least_share: float) -> int:
    """Return 1, 0 or -1; the same for both orders of the exams but for the sign."""
    shown = abs(b - a) >= Z_SHOWN * sd and abs(b - a) >= least_share * (abs(a) + abs(b)) / 2
    return int(np.sign(b - a)) if shown and b != a else 0


def _percent(a: float, b: float, own_a: float, own_b: float, shared: Shared) -> Measurement:
    """Return the change in percent; its interval is that of the ratio on a log scale."""
    if b <= SMALLEST_NUMBER or own_b > LARGEST_RELATIVE_SD * b:
        return NotMeasured("the later number is too uncertain for a ratio")
    sd = float(np.sqrt((own_a / a) ** 2 + (own_b / b) ** 2 + _common(1.0, 1.0, shared) + shared.extra_sd**2))
    low, high = (100 * (b / a * np.exp(k * Z90 * sd) - 1) for k in (-1, 1))
    return Measured(100 * (b / a - 1), "%", float(low), float(high), "later over earlier")


def _own_sd(number: Measured, calibration_sd: float) -> float:
    """Return the standard deviation of a number without its calibration."""
    total = (number.high - number.low) / 2 / Z90
    return float(np.sqrt(max(total**2 - (calibration_sd * number.value) ** 2, 0.0)))


def _common(a: float, b: float, shared: Shared) -> float:
    """Return the variance that the calibration lines add to a difference."""
    one, two = shared.prior_sd * a, shared.current_sd * b
    return one**2 + two**2 - 2 * shared.correlation * one * two


def _sd(a: float, b: float, own_a: float, own_b: float, shared: Shared) -> float:
    extra = shared.extra_sd * (abs(a) + abs(b)) / 2
    return float(np.sqrt(own_a**2 + own_b**2 + max(_common(a, b, shared), 0.0) + extra**2))
