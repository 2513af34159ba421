"""A site's own calibration: HU above background to mg of hydroxyapatite, one line a tube voltage.

Described for users in ``docs/reference/calibration.md``.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hepacalc.errors import InvalidCalibration
from hepacalc.records import Calibration

__all__ = ["CalibrationLine", "read_calibration"]

MATCH_KV = 0.5
"""A line belongs to a scan when their tube voltages differ by no more than this."""

_MAX_BYTES = 1_000_000
_EXAMPLE = 'A line looks like {"kvp": 120, "mg_per_ml_per_hu": 0.79, "sd": 0.02}; see docs/reference/calibration.md.'


class CalibrationLine(BaseModel):
    """One line of the file, as it comes in.

    Args:
        kvp: tube voltage in kV, 40 to 200.
        mg_per_ml_per_hu: slope in mg/mL per HU (the same number as mg/cm3 per HU), 0.2 to 2.0.
        sd: one standard deviation of the slope, in the unit of the slope.
        relative_sd: the same as a fraction of the slope; give one of the two.
        source: phantom, scanner, date; never a patient.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kvp: float = Field(ge=40, le=200)
    mg_per_ml_per_hu: float = Field(ge=0.2, le=2.0)
    sd: float | None = Field(default=None, ge=0)
    relative_sd: float | None = Field(default=None, ge=0, le=0.5)
    source: str = Field(default="", max_length=200)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("true and false are no numbers")
        return value

    @model_validator(mode="after")
    def _one_sd(self) -> CalibrationLine:
        if (self.sd is None) == (self.relative_sd is None):
            raise ValueError("give exactly one of sd and relative_sd")
        if self.fraction > 0.5:
            raise ValueError("sd is more than half of the slope")
        return self

    @property
    def fraction(self) -> float:
        """One standard deviation as a fraction of the slope."""
        return self.relative_sd if self.relative_sd is not None else (self.sd or 0.0) / self.mg_per_ml_per_hu


class _Raw(NamedTuple):
    """An unchecked line and how a message names it."""

    where: str
    fields: dict[str, Any]


def read_calibration(path: str | os.PathLike[str], kvp: float | None) -> Calibration:
    """Return the line of a site's calibration file that belongs to a tube voltage.

    Args:
        path: JSON (one object, or a list of them) or CSV with a header; fields as in :class:`CalibrationLine`.
        kvp: tube voltage of the scan in kV; None when the scan does not say. Then a file with a single line is
            used all the same, and ``source`` says so.

    Raises:
        InvalidCalibration: the file cannot be read, a field of a line is wrong, two lines share a tube voltage, or
            no line belongs to ``kvp``.
    """
    file = Path(path)
    lines = [_checked(file.name, raw) for raw in _raw_lines(file)]
    for k, line in enumerate(lines):
        twin = next((n for n, other in enumerate(lines[:k]) if abs(other.kvp - line.kvp) <= 2 * MATCH_KV), None)
        if twin is not None:
            raise InvalidCalibration(
                f"wanted one line a tube voltage, found {lines[twin].kvp:g} and {line.kvp:g} kV (lines {twin + 1} and "
                f"{k + 1}) in {file.name}.",
                hint="Keep the line that is right and delete the other.",
            )
    return _pick(file.name, lines, kvp)


def _pick(name: str, lines: list[CalibrationLine], kvp: float | None) -> Calibration:
    there = ", ".join(f"{line.kvp:g}" for line in sorted(lines, key=lambda line: line.kvp))
    if kvp is None and len(lines) > 1:
        raise InvalidCalibration(
            f"the scan does not say its tube voltage, and {name} has lines for {there} kV.",
            hint="Give a file with only the line that belongs to this scan.",
        )
    found = next((line for line in lines if kvp is None or abs(line.kvp - kvp) <= MATCH_KV), None)
    if found is None:
        raise InvalidCalibration(
            f"wanted a line for the scan's {kvp:g} kV, found lines for {there} kV in {name}.",
            hint="Add a line for this tube voltage, or leave --calibration out to use the built-in table.",
        )
    source = f"site file {name}, {found.kvp:g} kV" + (f": {found.source.strip()}" if found.source.strip() else "")
    if kvp is None:
        source += "; the scan does not say its tube voltage, the only line of the file was used"
    return Calibration(found.kvp, found.mg_per_ml_per_hu, found.fraction, source)


def _raw_lines(file: Path) -> list[_Raw]:
    text = _text(file)
    lines = _from_json(file.name, text) if text.lstrip()[:1] in ("{", "[") else _from_csv(file.name, text)
    if not lines:
        raise InvalidCalibration(f"wanted calibration lines, found none in {file.name}.", hint=_EXAMPLE)
    return lines


def _text(file: Path) -> str:
    try:
        with file.open("rb") as held:
            data = held.read(_MAX_BYTES + 1)
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else type(fault).__name__
        raise InvalidCalibration(
            f"the calibration file {file} cannot be read: {reason}.", hint="Check its path and permissions."
        ) from fault
    if len(data) > _MAX_BYTES:
        raise InvalidCalibration(f"wanted a small text file, {file.name} is larger than 1 MB.", hint=_EXAMPLE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InvalidCalibration(f"wanted UTF-8 text, found other bytes in {file.name}.", hint=_EXAMPLE) from fault


def _from_json(name: str, text: str) -> list[_Raw]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as fault:
        at = f" at line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise InvalidCalibration(f"{name} is no valid JSON{at}.", hint=_EXAMPLE) from fault
    items = found if isinstance(found, list) else [found]
    for k, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidCalibration(
                f"wanted an object as line {k + 1} of {name}, found {type(item).__name__}.", hint=_EXAMPLE
            )
    return [_Raw(f"line {k + 1}", item) for k, item in enumerate(items)]


def _from_csv(name: str, text: str) -> list[_Raw]:
    rows = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    lines: list[_Raw] = []
    header: list[str] = []
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = f"line {rows.line_num}"
            if not header:
                header = cells
                _no_twins(name, header)
                continue
            if len(cells) != len(header):
                raise InvalidCalibration(
                    f"wanted {len(header)} cells as in the header, found {len(cells)} at {where} of {name}.",
                    hint="Use one comma between cells and a point as the decimal mark.",
                )
            lines.append(_Raw(where, {key: cell for key, cell in zip(header, cells, strict=True) if cell}))
    except csv.Error as fault:
        raise InvalidCalibration(f"{name} is no valid CSV at line {rows.line_num}.", hint=_EXAMPLE) from fault
    return lines


def _no_twins(name: str, header: list[str]) -> None:
    twice = [cell for k, cell in enumerate(header) if cell in header[:k]]
    if twice:
        raise InvalidCalibration(f"the column {twice[0]!r:.60} stands twice in {name}.", hint=_EXAMPLE)


def _checked(name: str, raw: _Raw) -> CalibrationLine:
    try:
        return CalibrationLine.model_validate(raw.fields)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        about = f"field {field}: {said}" if field else said
        raise InvalidCalibration(
            f"{name}, {raw.where}: {about}{_found(first)}.", hint=_advice(field, first.get("input"))
        ) from fault


def _found(first: Any) -> str:
    given = first.get("input")
    return f", found {given!r:.60}" if isinstance(given, str | int | float) else ""


def _advice(field: str, given: Any) -> str:
    """Say what to do; a slope given the wrong way round is the usual slip."""
    if field != "mg_per_ml_per_hu":
        return _EXAMPLE
    try:
        value = float(given)
    except (TypeError, ValueError):
        return _EXAMPLE
    if 0 < value < 0.02:
        return f"Is this g/mL per HU? Multiply by 1000: {value * 1000:g} mg/mL per HU. Allowed is 0.2 to 2.0."
    if value > 2:
        return "The unit is mg/mL per HU (the same as mg/cm3 per HU), 0.2 to 2.0; about 0.8 at 120 kV."
    return _EXAMPLE
