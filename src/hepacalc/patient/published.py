"""The patient file as other programs see it: its JSON Schema, made from the models."""

from __future__ import annotations

from typing import Any

from hepacalc.patient.analytes import ANALYTES
from hepacalc.patient.schema import SCHEMA_VERSION, Patient
from hepacalc.patient.vocabulary import SEROLOGY

__all__ = ["patient_schema"]


def patient_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the patient file.

    It cannot say everything: which fields contradict each other, which units a value has and what is impossible is
    checked when the file is read.
    """
    schema = Patient.model_json_schema()
    laboratory = schema["$defs"]["Laboratory"]["properties"]
    laboratory["name"] = {
        "enum": [*ANALYTES, "liver_tests", "inflammation"],
        "description": laboratory["name"]["description"],
    }
    laboratory["value"] = {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*[<>]=?\s*[0-9.,]+\s*$"}, {"type": "null"}],
        "default": None,
        "description": laboratory["value"]["description"],
    }
    test = schema["$defs"]["Serology"]["properties"]
    test["test"] = {"enum": list(SEROLOGY), "description": test["test"]["description"]}
    _allow_empty(schema)
    for part in schema["$defs"].values():
        _allow_empty(part)
    fact = schema["$defs"].pop("Fact")
    _inline_facts(schema, {"anyOf": [{"enum": ["yes", "no", "not_asked", True, False, None]}, fact]})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"patient-{SCHEMA_VERSION}",
        **_untitled(schema),
        "title": "hepacalc patient file",
    }


def _allow_empty(part: dict[str, Any]) -> None:
    """A field without a value counts as left out."""
    for name, about in part.get("properties", {}).items():
        kinds = about.get("anyOf", [])
        if name in part.get("required", ()) or None in about.get("enum", ()) or {"type": "null"} in kinds:
            continue
        outside = {key: about.pop(key) for key in ("description", "default") if key in about}
        inner = dict(about)
        about.clear()
        either = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
        about["anyOf"] = [*either, {"type": "null"}]
        about |= outside


def _inline_facts(node: Any, fact: dict[str, Any]) -> None:
    """A fact may be given as one word: say so where each is used."""
    if isinstance(node, dict):
        if node.get("$ref") == "#/$defs/Fact":
            del node["$ref"]
            node.pop("default", None)
            node |= {"$ref": "#/$defs/answer"}
        for value in node.values():
            _inline_facts(value, fact)
        if "$defs" in node:
            node["$defs"]["answer"] = fact
    elif isinstance(node, list):
        for value in node:
            _inline_facts(value, fact)


def _untitled(node: Any) -> Any:
    """Drop pydantic's titles, which only repeat the names."""
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if k != "title" or not isinstance(v, str)}
        return {k: _untitled(v) for k, v in kept.items()}
    return [_untitled(v) for v in node] if isinstance(node, list) else node
