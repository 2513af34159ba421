"""Parts of the patient file: three answers, dates that may lack day or month, a fact with when and where."""

from __future__ import annotations

import calendar
import datetime
import re
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from hepacalc.knowledge.schema_base import Strict

__all__ = [
    "NOT_ASKED",
    "Fact",
    "FactOrWord",
    "Note",
    "Part",
    "Result",
    "Section",
    "Three",
    "Weighted",
    "When",
    "earliest",
    "latest",
]

_THREE = {True: "yes", False: "no", None: "not_asked"}
_DATE = r"^\d{4}(-\d{2}(-\d{2})?)?$"


def _three(value: Any) -> Any:
    return _THREE[value] if value is None or isinstance(value, bool) else value


def _date_text(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04d}"
    return value.isoformat() if isinstance(value, datetime.date) else value


def _real_date(value: str) -> str:
    earliest(value)
    return value


Three = Annotated[
    Literal["yes", "no", "not_asked"],
    BeforeValidator(_three),
    WithJsonSchema({"enum": ["yes", "no", "not_asked", True, False, None]}),
]
"""Yes, no, or not asked. A question that is left out was not asked."""

Others = Annotated[
    Literal["no", "not_asked"],
    BeforeValidator(_three),
    WithJsonSchema({"enum": ["no", "not_asked", False, None]}),
]
"""What holds for every question of a list that is not named: denied, or not asked."""

When = Annotated[
    str,
    Field(pattern=_DATE),
    AfterValidator(_real_date),
    BeforeValidator(_date_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DATE}, {"type": "integer", "minimum": 1850}]}),
]
"""``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``."""

Note = Annotated[str, Field(max_length=500)]
"""Free text. It is kept, not read; no names, please."""

Result = Literal["positive", "negative", "indeterminate", "not_done"]

Weight = Annotated[float, Field(ge=0, le=1)]


def _weighted(value: Any) -> Any:
    if isinstance(value, str):
        return {value: 1.0}
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return dict.fromkeys(value, 1.0)
    return value


def _some_weight(value: dict[str, float]) -> dict[str, float]:
    if not any(value.values()):
        raise ValueError("at least one weight must be above 0")
    return value


Weighted = Annotated[
    dict[str, Weight],
    Field(min_length=1),
    AfterValidator(_some_weight),
    BeforeValidator(_weighted),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}},
            ]
        }
    ),
]
"""One state, several that it may be, or ``{state: weight}`` for doubt."""


def earliest(when: str) -> datetime.date:
    """Return the first day that a date can mean. Raises ValueError for a day that does not exist."""
    year, month, day = _parts(when)
    return datetime.date(year, month or 1, day or 1)


def latest(when: str) -> datetime.date:
    """Return the last day that a date can mean."""
    year, month, day = _parts(when)
    return datetime.date(year, month or 12, day or calendar.monthrange(year, month or 12)[1])


@lru_cache(maxsize=4096)
def _parts(when: str) -> tuple[int, int, int]:
    if not re.match(_DATE, when):
        raise ValueError("a date is YYYY, YYYY-MM or YYYY-MM-DD")
    parts = [int(part) for part in when.split("-")]
    year, month, day = (*parts, 0, 0)[:3]
    if year < 1850 or (len(parts) > 1 and not 1 <= month <= 12) or (len(parts) > 2 and day == 0):
        raise ValueError("a date is YYYY, YYYY-MM or YYYY-MM-DD, from 1850 on")
    return year, month, day


class Part(Strict):
    """A part of the file in which a field without a value counts as left out."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class Fact(Part):
    """One question with its answer, and when and where it was."""

    had: Three = Field(default="not_asked", description="yes, no or not_asked")
    since: When | None = Field(default=None, description="first date of it")
    until: When | None = Field(default=None, description="last date of it")
    from_age: float | None = Field(default=None, ge=0, le=125, description="age in years at its start")
    to_age: float | None = Field(default=None, ge=0, le=125, description="age in years at its end")
    place: Note | None = Field(default=None, description="country or region")
    note: Note | None = Field(default=None, description="free text without names")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and earliest(self.since) > latest(self.until):
            raise ValueError("since lies after until")
        if self.from_age is not None and self.to_age is not None and self.from_age > self.to_age:
            raise ValueError("from_age lies above to_age")
        detail = (self.since, self.until, self.from_age, self.to_age)
        if self.had == "no" and any(item is not None for item in detail):
            raise ValueError("had is no, but a date or an age of it is given")
        return self

    @property
    def span(self) -> str:
        """When it was, in words; empty when not said."""
        years = "-".join(part for part in (self.since, self.until) if part)
        ages = "-".join(f"{part:g}" for part in (self.from_age, self.to_age) if part is not None)
        return ", ".join(part for part in (years, f"age {ages}" if ages else "") if part)


def _fact(value: Any) -> Any:
    return {"had": value} if value is None or isinstance(value, str | bool) else value


FactOrWord = Annotated[Fact, BeforeValidator(_fact)]
"""A fact, or its answer alone."""

NOT_ASKED = Fact()


class Section(Strict):
    """Questions of one kind. ``others`` speaks for every question of the section that is not named.

    A question that is named without an answer was not asked, also where the others were denied.
    """

    others: Others = Field(
        default="not_asked",
        description="no: all other questions of this section were asked and denied; else they were not asked",
    )

    def answers(self) -> dict[str, Fact]:
        """Return every question of the section with its answer, ``others`` applied."""
        named = self.model_fields_set
        rest = Fact(had="no") if self.others == "no" else NOT_ASKED
        found = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Fact):
                found[name] = value if name in named else rest
        return found
