"""The patient file as others see it: its JSON Schema and its page, both made from the models."""

from __future__ import annotations

import json
from typing import Any

from hepacalc.patient.analytes import ANALYTES, SOURCES, units_of
from hepacalc.patient.schema import SCHEMA_VERSION, Patient
from hepacalc.patient.vocabulary import SEROLOGY
from hepacalc.report.schema import schema_table

__all__ = ["patient_markdown", "patient_schema", "patient_schema_text"]


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


def patient_schema_text() -> str:
    """Return it as JSON text, as it is published."""
    return json.dumps(patient_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


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


def patient_markdown() -> str:
    """Return the tables of ``docs/reference/patient.md``."""
    schema = patient_schema()
    parts = [schema_table("patient", schema, type_of=_type)]
    parts += [schema_table(name, part, type_of=_type) for name, part in schema["$defs"].items() if "properties" in part]
    answer = next(one for one in schema["$defs"]["answer"]["anyOf"] if "properties" in one)
    parts.append(schema_table("answer", answer, about="`yes`, `no` or `not_asked` alone, or an object:", type_of=_type))
    parts += [_values(), _tests()]
    return "\n".join(parts)


def _type(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return str(about["$ref"]).removeprefix("#/$defs/")
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_type(one) for one in about["anyOf"] if one.get("type") != "null"))
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        words = [value for value in about["enum"] if isinstance(value, str)]
        return ", ".join(f"`{word}`" for word in words)
    if about.get("type") == "array":
        return f"list of {_type(about.get('items', {}))}"
    if about.get("type") == "object":
        return "`{state: ..}`"
    kind = about.get("type", "text")
    kind = kind if isinstance(kind, str) else kind[0]
    if "pattern" in about and kind == "string":
        return "text like `<20`" if "<" in about["pattern"] else "date" if "{4}" in about["pattern"] else "text"
    low, high = about.get("minimum", about.get("exclusiveMinimum")), about.get("maximum")
    span = f" {low:g}-{high:g}" if low is not None and high is not None else ""
    return {"string": "text", "integer": "whole number"}.get(kind, kind) + span


def _values() -> str:
    lines = [
        "## Laboratory values", "",
        "Default limits are used only where the laboratory gave none; children and pregnant women have fewer.",
        "", "| name | what | units | possible | default limits | source |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, about in ANALYTES.items():
        units = ", ".join(f"`{unit}`" for unit in units_of(name))
        low, high = about.possible
        limits, source = "none", ""
        if name == "esr":
            limits, source = "men age / 2, women (age + 10) / 2", "miller"
        if about.limits:
            limits = f"{about.limits.lower:g}-" if about.limits.lower is not None else ""
            limits += f"{about.limits.upper:g} {about.unit}"
            source = about.limits.source
            if about.limits_female:
                limits += f", women {about.limits_female.upper:g}"
        lines.append(f"| `{name}` | {about.text} | {units} | {low:g}-{high:g} {about.unit} | {limits} | {source} |")
    lines += ["| `liver_tests`, `inflammation` | several tests in one word | | `normal` or `raised` | | |", ""]
    lines += [f"* {key}: {text}." for key, text in SOURCES.items()]
    return "\n".join([*lines, ""])


def _tests() -> str:
    lines = [
        "## Tests for infections", "",
        "`left` is the weight that a state keeps when the test is negative; these are judgements.",
        "", "| test | state of `serology` | left |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| `{name}` | {test.state} | {test.left:g} |" for name, test in SEROLOGY.items()]
    return "\n".join([*lines, ""])
