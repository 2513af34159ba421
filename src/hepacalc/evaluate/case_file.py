"""A file of published cases: one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hepacalc.errors import InvalidPatient

__all__ = ["Case", "read_case_file", "read_cases"]

LARGEST_FILE = 50_000_000
_HINT = "One JSON object a line, with the fields of docs/reference/evaluate.md."
READ = ("age", "sex", "region_exposure", "clinical_context", "modality", "findings", "structured", "labs")
"""The fields that the reader of a case gets to see."""


class CaseIn(BaseModel):
    """One line. Unknown fields are left alone; those below must be of their kind."""

    model_config = ConfigDict(extra="allow")

    id: str | int
    tier: str = ""
    calcification_in_this_patient: str | bool | None = None
    final_diagnosis: str | list[str] | None = None
    age: float | str | None = None
    sex: str | None = None
    region_exposure: str | list[str] | None = None
    clinical_context: str | list[str] | None = None
    modality: str | list[str] | None = None
    findings: str | list[str] | None = None
    structured: dict[str, Any] | None = Field(default=None)
    labs: dict[str, Any] | None = Field(default=None)


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        id: of the case.
        tier: A (single patient, described), B (member of a series), C (report or text in part), or empty.
        calcified: whether calcification in this patient is certain.
        stated: the final diagnosis as it stands in the file; the reader of the case never sees it.
        text: the fields that are read.
    """

    id: str
    tier: str
    calcified: bool
    stated: str
    text: dict[str, Any]

    def causes(self, known: Collection[str]) -> tuple[str, ...]:
        """Return the cause ids of the diagnosis; empty when it is none.

        Several ids may be joined by ``; , / + |``; then any of them counts as right.
        """
        if self.stated in known:
            return (self.stated,)
        parts = [part.strip() for part in re.split(r"[;,/+|]", self.stated) if part.strip()]
        return tuple(parts) if parts and all(part in known for part in parts) else ()


def read_case_file(path: Path) -> list[Case]:
    """Return the cases of a file.

    Raises:
        InvalidPatient: it cannot be read, or a line is not a case; the message names the line and the field.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InvalidPatient(f"the case file is larger than {LARGEST_FILE} bytes.", hint="Split it.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise InvalidPatient(
            f"the case file cannot be read: {fault.strerror or 'unknown reason'}.", hint="Check the path."
        ) from None
    except UnicodeDecodeError:
        raise InvalidPatient("the case file is not UTF-8 text.", hint="Save it as UTF-8.") from None
    return read_cases(text)


def read_cases(text: str) -> list[Case]:
    """Return the cases of JSON lines; empty lines are passed over.

    Raises:
        InvalidPatient: a line is not a case, an id stands twice, or there is none.
    """
    found: list[Case] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.append(_case(line, number))
    if not found:
        raise InvalidPatient("wanted cases, found none in the file.", hint=_HINT)
    ids = [case.id for case in found]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise InvalidPatient(f"the id {twice[0]} stands twice in the case file.", hint="Give each case its own id.")
    return found


def _case(line: str, number: int) -> Case:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidPatient(f"line {number} of the case file is not JSON.", hint=_HINT) from None
    if not isinstance(data, dict):
        raise InvalidPatient(f"line {number} of the case file is not an object.", hint=_HINT)
    try:
        case = CaseIn.model_validate(data)
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:2])
        raise InvalidPatient(f"line {number} of the case file, field {where}: {first['msg']}.", hint=_HINT) from None
    stated = case.final_diagnosis
    sure = case.calcification_in_this_patient
    return Case(
        id=str(case.id),
        tier=case.tier.strip().upper(),
        calcified=sure is True or (isinstance(sure, str) and sure.strip().lower() == "yes"),
        stated="; ".join(stated) if isinstance(stated, list) else (stated or "").strip(),
        text={name: getattr(case, name) for name in READ},
    )
