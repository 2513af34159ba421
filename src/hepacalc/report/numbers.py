"""Numbers as a reader sees them: as many digits as the interval allows, with a unit.

Files keep six significant digits (:func:`significant`); a page shows fewer (:func:`shown`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from hepacalc.records import Measured
from hepacalc.report.language import spoken

__all__ = ["MINUS", "Shown", "fixed", "percent", "shown", "significant", "unit_text"]

MINUS = "\N{MINUS SIGN}"
_NO_BREAK = "\N{NO-BREAK SPACE}"

_UNITS = {
    "1": "",
    "mm3": "mm³",
    "HU.mm3": "HU·mm³",
    "HU*mm3": "HU·mm³",
    "[hnsf'U]": "HU",
    "ml": "mL",
    "{parts}": "",
    "{count}": "",
}
_MOST_DECIMALS = {"mm": 1, "mm³": 1, "mg": 2, "": 2}
_WHOLE = ("HU", "mL", "HU·mm³")


class Shown(NamedTuple):
    """A measured number in words: ``12.3``, ``10.9``, ``13.8``, ``mg``; no interval when it has no width."""

    value: str
    low: str
    high: str
    unit: str


def significant(value: float, digits: int = 6) -> float:
    """Return ``value`` rounded to ``digits`` significant digits; never negative zero."""
    return float(f"{value:.{digits}g}") + 0.0


def unit_text(unit: str) -> str:
    """Return a unit as it is printed, e.g. ``mm3`` as ``mm³``; nothing for a ratio."""
    return _UNITS.get(unit, unit)


def fixed(value: float, decimals: int) -> str:
    """Return ``value`` rounded to ``decimals`` (may be negative: tens), with a true minus sign."""
    rounded = round(value, decimals) + 0.0
    text = f"{abs(rounded):.{max(decimals, 0)}f}"
    whole, dot, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", _NO_BREAK)
    return (MINUS if rounded < 0 else "") + whole + dot + rest


def percent(probability: float) -> str:
    """Return a probability as ``83 %``; never rounded up to 100 % or down to 0 %."""
    points = round(100 * probability)
    if spoken() == "zh":
        # GB 3101: no space before the sign
        return ">99%" if points >= 100 and probability < 1 else "<1%" if points <= 0 < probability else f"{points}%"
    if points >= 100 and probability < 1:
        return f">{_NO_BREAK}99{_NO_BREAK}%"
    if points <= 0 and probability > 0:
        return f"<{_NO_BREAK}1{_NO_BREAK}%"
    return f"{points}{_NO_BREAK}%"


def shown(number: Measured) -> Shown:
    """Return the digits of a measured number that its interval supports.

    The half-width of the interval keeps two digits when it begins with 1-3, else one; the unit sets an
    upper bound (whole HU, tenths of a millimetre; two digits of a small value in any case). The two ends are never
    the same digits, and a value beyond its half-width never becomes zero.
    """
    unit = unit_text(number.unit)
    # the digits that files keep, so that a stored assessment reads the same
    value, low_end, high_end = (significant(one) for one in (number.value, number.low, number.high))
    number = replace(number, value=value, low=low_end, high=high_end)
    half = (number.high - number.low) / 2
    most = max(_MOST_DECIMALS.get(unit, 2), 1 - _exponent(number.value)) if unit not in _WHOLE else 0
    if half > 0:
        exponent = math.floor(math.log10(half))
        decimals = min((1 if half / 10.0**exponent < 3.55 else 0) - exponent, most)
    elif number.value == round(number.value):
        decimals = 0
    else:
        decimals = min(2 - _exponent(number.value), most)
    if abs(number.value) > half:
        decimals = max(decimals, -_exponent(number.value))
    if half <= 0:
        return Shown(fixed(number.value, decimals), "", "", unit)
    low, high = fixed(number.low, decimals), fixed(number.high, decimals)
    while low == high and decimals < 6:
        decimals += 1
        low, high = fixed(number.low, decimals), fixed(number.high, decimals)
    return Shown(fixed(number.value, decimals), low, high, unit)


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0
