"""Read a patient file: YAML or JSON in, a checked :class:`Patient` out, or one clear error that names the field."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hepacalc.errors import InvalidPatient, KnowledgeError
from hepacalc.knowledge.yaml_in import read_yaml
from hepacalc.patient.checks import check_patient
from hepacalc.patient.schema import Patient

__all__ = ["LARGEST_FILE", "load_json", "patient_from_data", "read_patient", "read_patient_file", "read_small_text"]

LARGEST_FILE = 5_000_000
"""Bytes; a patient file of this size is no patient file."""
DEEPEST = 40
"""Levels of nesting in JSON."""

_HINT = "See docs/reference/patient.md; `hepacalc patient --new` writes a file to fill in."


def read_patient_file(path: Path, *, today: datetime.date) -> Patient:
    """Return what one patient file says.

    Args:
        path: ``.yaml``, ``.yml`` or ``.json``.
        today: dates after it are refused.

    Raises:
        InvalidPatient: it cannot be read, or a field is wrong.
    """
    return read_patient(read_small_text(path, "the patient file", LARGEST_FILE), today=today)


def read_small_text(path: Path, what: str, largest: int) -> str:
    """Return the text of a UTF-8 file of at most ``largest`` bytes; ``what`` names it in errors, its content never.

    Raises:
        InvalidPatient: it cannot be read, is larger, or is no UTF-8 text.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= largest else b""
    except OSError as fault:
        raise InvalidPatient(
            f"{what} cannot be read: {fault.strerror or 'unknown reason'}.", hint="Check the path."
        ) from None
    if size > largest:
        raise InvalidPatient(f"{what} has {size} bytes.", hint=f"At most {largest} are read.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidPatient(f"{what} is not UTF-8 text.", hint="Save it as UTF-8.") from None


def read_patient(text: str, *, today: datetime.date) -> Patient:
    """Return what the text of a patient file says: JSON when it begins with a brace, else YAML.

    Raises:
        InvalidPatient: it is neither, or a field is wrong.
    """
    if len(text) > LARGEST_FILE:
        raise InvalidPatient(f"the patient file has {len(text)} characters.", hint=f"At most {LARGEST_FILE} are read.")
    if text.lstrip()[:1] == "{":
        data = load_json(text)
    else:
        try:
            data = read_yaml(text, "patient file")
        except (KnowledgeError, RecursionError) as fault:
            # the words of the reader, not of the file: a quoted word could be a name
            where = re.search(r"line (\d+)", fault.message) if isinstance(fault, KnowledgeError) else None
            line = f", line {where[1]}" if where else ""
            raise InvalidPatient(
                f"the patient file is not plain YAML{line}.",
                hint="Mappings, lists, text and numbers; each key once; no tags, anchors or aliases. " + _HINT,
            ) from None
    if not isinstance(data, dict):
        raise InvalidPatient("the patient file holds no fields.", hint=_HINT)
    if data.get("resourceType") is not None:
        raise InvalidPatient(
            "wanted a patient file, found a FHIR resource.", hint="Give it as a FHIR bundle (`--fhir`)."
        )
    return patient_from_data(data, today=today)


def patient_from_data(data: dict[str, Any], *, today: datetime.date) -> Patient:
    """Return the patient that plain data describe.

    Raises:
        InvalidPatient: a field is unknown, missing, impossible or contradicts another.
    """
    try:
        patient = Patient.model_validate(data)
    except ValidationError as fault:
        told = "; ".join(sorted({_told(error) for error in fault.errors()})[:3])
        raise InvalidPatient(f"{told}.", hint=_HINT) from None
    except RecursionError:
        raise InvalidPatient("the patient file is nested too deep.", hint=_HINT) from None
    check_patient(patient, today=today)
    return patient


def load_json(text: str) -> Any:
    """Return what JSON text holds; no NaN, no key twice, not nested without end.

    Raises:
        InvalidPatient: it is not JSON of this kind.
    """
    _refuse_depth(text)
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as fault:
        raise InvalidPatient(f"not JSON: {fault.msg}, line {fault.lineno}.", hint=_HINT) from None
    except ValueError:
        # a number of thousands of digits
        raise InvalidPatient("not JSON that can be read: a number has too many digits.", hint=_HINT) from None


def _refuse_depth(text: str) -> None:
    depth = deepest = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        deepest = max(deepest, depth)
        if deepest > DEEPEST:
            raise InvalidPatient(f"JSON nested deeper than {DEEPEST} levels.", hint=_HINT)


def _no_constant(name: str) -> Any:
    raise InvalidPatient(f"JSON holds {name}, which is no number.", hint=_HINT)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidPatient("a key of a JSON object stands twice.", hint=_HINT)
    return found


def _told(error: Any) -> str:
    """One fault with its field; numbers are shown, texts are not: they may be a name."""
    place = [str(part) for part in error["loc"] if not re.search(r"[(\[]|^function-|^literal|^constrained", str(part))]
    unknown = error["type"] == "extra_forbidden"
    if unknown and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,30}", place[-1]):
        place[-1] = "(a key)"
    field = ".".join(place) or "the file"
    if unknown:
        return f"{field}: unknown field"
    if error["type"] == "missing":
        return f"{field}: missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    found = error.get("input")
    shown = isinstance(found, int | float) and not isinstance(found, bool)
    return f"{field}: {said[:1].lower()}{said[1:]}" + (f", found {found:g}" if shown else "")
