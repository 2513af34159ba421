"""Units of measurement: the part of UCUM that laboratories use, and the spellings that they use beside it.

A unit is parsed to a scale and a dimension: ``umol/L`` is 1e-3 of mol m-3. Counted and arbitrary things keep their own
dimension, so that ``[IU]/mL`` never turns into ``U/L`` by itself; where an analyte knows a factor between two
dimensions (molar mass, copies in one IU) it stands with the analyte (``analytes.py``).

Reference: Schadow G, McDonald CJ, The Unified Code for Units of Measure, version 2.1. ``U`` is umol/min there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from hepacalc.errors import UsageError

__all__ = ["Dimension", "Unit", "parse_unit"]

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit.

    Args:
        scale: how many of the base units (mol, g, m, s, and counted or arbitrary things) one of it is.
        dimension: ``(base unit, exponent)`` pairs, sorted.
        log10: True when a value is the decimal logarithm of a number with this unit.
    """

    scale: float
    dimension: Dimension
    log10: bool = False


_ATOMS: dict[str, tuple[float, dict[str, int]]] = {
    "g": (1.0, {"g": 1}),
    "mol": (1.0, {"mol": 1}),
    "kat": (1.0, {"mol": 1, "s": -1}),
    "U": (1e-6 / 60, {"mol": 1, "s": -1}),
    "L": (1e-3, {"m": 3}),
    "l": (1e-3, {"m": 3}),
    "m": (1.0, {"m": 1}),
    "s": (1.0, {"s": 1}),
    "min": (60.0, {"s": 1}),
    "h": (3600.0, {"s": 1}),
    "d": (86400.0, {"s": 1}),
    "[IU]": (1.0, {"IU": 1}),
    "[iU]": (1.0, {"IU": 1}),
    "[arb'U]": (1.0, {"arb": 1}),
    "{copies}": (1.0, {"copies": 1}),
    "{COI}": (1.0, {"index": 1}),
    "%": (0.01, {}),
}
_METRIC = {"g", "mol", "kat", "U", "L", "l", "m", "s", "[IU]", "[iU]", "[arb'U]"}
_PREFIXES = {
    "k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "M": 1e6, "G": 1e9,
}  # fmt: skip
_TEN = re.compile(r"10[*^](-?\d{1,2})\Z")
_EXPONENT = re.compile(r"(.*[^\d*^])([23])\Z")
_COUNTED = {"{cells}", "{cell}", "{#}", "{count}"}
# spellings that laboratories print, and what UCUM has for them
_SPELLINGS = {
    "IU": "[IU]", "iu": "[IU]", "kIU": "k[IU]", "mIU": "m[IU]", "MIU": "M[IU]", "uIU": "u[IU]", "copies": "{copies}",
    "cp": "{copies}", "{copy}": "{copies}", "{cp}": "{copies}", "mcg": "ug", "mcL": "uL", "mmc": "mm3", "hr": "h",
    "AU": "[arb'U]", "kAU": "k[arb'U]", "{IU}": "[IU]", "{AU}": "[arb'U]", "COI": "{COI}",
    "cells": "{cells}",
}  # fmt: skip
_WHOLE = {
    "G/L": "10*9/L", "Giga/L": "10*9/L", "K/uL": "10*3/uL", "k/uL": "10*3/uL", "Th/uL": "10*3/uL", "mm": "mm",
    "mm/hr": "mm/h", "mm/1h": "mm/h", "mm/1hr": "mm/h",
}  # fmt: skip
_PER_SURFACE = re.compile(r"/\{?1\.73[ _]?m[2²]\}?\Z")
_LOG = re.compile(r"\{?[lL]og(?:10)?[ _]?\(?(IU|copies|cp|\[IU\])\)?\}?(?:/(mL|L))?\)?\Z")


@lru_cache(maxsize=512)
def parse_unit(text: str) -> Unit:
    """Return the unit that a UCUM string, or a usual spelling beside it, names.

    Case counts, as in UCUM. ``log10 IU/mL`` and ``{Log_IU}/mL`` are logarithms.

    Raises:
        UsageError: it is not known.
    """
    clean = text.strip().replace("μ", "u").replace("µ", "u").replace("×", "").replace("⁹", "9")
    clean = clean.removeprefix("x10").strip() if clean.startswith("x 10") else clean.removeprefix("x")
    log = _LOG.match(clean)
    if log:
        base = parse_unit(f"{log[1].strip('[]')}/{log[2] or 'mL'}")
        return Unit(base.scale, base.dimension, log10=True)
    clean = _WHOLE.get(clean.replace(" ", ""), clean.replace(" ", ""))
    clean = _PER_SURFACE.sub("", clean)
    clean = re.sub(r"/\(?24\.?h(?:rs?)?\)?\Z", "/d", clean)
    if not clean or len(clean) > 40:
        raise _unknown(text)
    scale = 1.0
    dimension: dict[str, int] = {}
    for k, part in enumerate(clean.split("/")):
        sign = -1 if k else 1
        if k == 0 and part in ("", "1"):
            continue
        for piece in part.split("."):
            factor, powers = _piece(piece, text)
            scale *= factor**sign
            for name, power in powers.items():
                dimension[name] = dimension.get(name, 0) + sign * power
    return Unit(scale, tuple(sorted((name, power) for name, power in dimension.items() if power)))


def _piece(piece: str, whole: str) -> tuple[float, dict[str, int]]:
    """One factor of a unit: ``10*9``, ``dL``, ``{copies}``, ``mm3``."""
    piece = _SPELLINGS.get(piece, piece)
    if piece in _COUNTED:
        return 1.0, {}
    if ten := _TEN.match(piece):
        return 10.0 ** int(ten[1]), {}
    if re.fullmatch(r"[1-9]\d{0,3}", piece):
        return float(piece), {}
    if power := _EXPONENT.match(piece):
        scale, dimension = _piece(power[1], whole)
        return scale ** int(power[2]), {name: n * int(power[2]) for name, n in dimension.items()}
    if piece in _ATOMS:
        scale, dimension = _ATOMS[piece]
        return scale, dict(dimension)
    prefix, atom = piece[:1], piece[1:]
    if prefix in _PREFIXES and atom in _METRIC:
        scale, dimension = _ATOMS[atom]
        return _PREFIXES[prefix] * scale, dict(dimension)
    raise _unknown(whole)


def _unknown(text: str) -> UsageError:
    shown = re.sub(r"[^\x21-\x7eµμ]", "", text)[:20]
    return UsageError(f"wanted a unit, found {shown!r}.", hint="Write it as UCUM does, e.g. U/L, umol/L, [IU]/mL.")
