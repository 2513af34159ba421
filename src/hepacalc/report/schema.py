"""``assessment.json``: the document, its JSON text and its JSON Schema."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

from hepacalc.errors import OutputError
from hepacalc.records import MEASUREMENTS, Assessment
from hepacalc.report.numbers import significant

__all__ = [
    "SCHEMA_VERSION",
    "clean",
    "document",
    "document_json",
    "load_schema",
    "plain_text",
]

SCHEMA_VERSION = "1.1"
"""Version of ``assessment.json``: the first number changes when a field goes or changes its meaning."""

_EMPTY_OBJECTS = (("series", "passed_over"), ("run", "versions"), ("run", "settings"), ("run", "seconds"))
_UNSEEN = {*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {0x09, 0x0A}
_DROPPED = dict.fromkeys(_UNSEEN)


def document(assessment: Assessment) -> dict[str, Any]:
    """Return ``assessment.json`` as Python values, in a stable order of keys.

    Numbers are rounded to six significant digits (the grid keeps its own digits); control characters,
    direction overrides and broken surrogates are taken out of texts.

    Raises:
        OutputError: a number is NaN or infinite.
    """
    doc = assessment.to_dict()
    for first, second in _EMPTY_OBJECTS:
        doc[first][second] = doc[first][second] or {}
    for focus in doc["foci"]:
        held = focus["measurements"]
        order = [n for n in MEASUREMENTS if n in held] + sorted(set(held) - set(MEASUREMENTS))
        focus["measurements"] = {name: held[name] for name in order}
    return {key: clean(value, f"/{key}", exact=key == "geometry") for key, value in doc.items()}


def document_json(doc: dict[str, Any]) -> str:
    """Return a document as JSON text (UTF-8, two spaces, a line feed at the end)."""
    return json.dumps(doc, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@cache
def _schema_text() -> str:
    return (resources.files("hepacalc.report") / "assessment.schema.json").read_text("utf-8")


def load_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``assessment.json``."""
    schema: dict[str, Any] = json.loads(_schema_text())
    return schema


def plain_text(value: str) -> str:
    """Return a text that any page, file or terminal can hold: no control characters, valid Unicode."""
    if value.isprintable():
        return value  # neither a control character, nor a direction override, nor a surrogate is printable
    return value.translate(_DROPPED).encode("utf-8", "replace").decode("utf-8")


def clean(value: Any, path: str, *, exact: bool = False) -> Any:
    """Return plain values as our JSON holds them: six significant digits, texts that any file can hold.

    Args:
        value: dicts, lists, texts, numbers.
        path: JSON pointer of it, for the error.
        exact: keep all digits.

    Raises:
        OutputError: a number is NaN or infinite.
    """
    if isinstance(value, dict):
        return {plain_text(k): clean(v, f"{path}/{k}", exact=exact) for k, v in value.items()}
    if isinstance(value, list):
        return [clean(v, f"{path}/{k}", exact=exact) for k, v in enumerate(value)]
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OutputError(
                f"The result cannot hold {value} at {path}: every number must be finite.",
                hint="A number that could not be measured must be NotMeasured with its reason; please report this.",
            )
        return value + 0.0 if exact else significant(value)
    return value
