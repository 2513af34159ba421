"""Bring into step what ``docs/reference/`` takes from the code: tables of fields and columns, published schemas.

    python scripts/reference_tables.py

The head of each page is written by hand and stays; its tables begin with the first heading that is made here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hepacalc.cohort import schema as cohort
from hepacalc.patient.analytes import ANALYTES, SOURCES, units_of
from hepacalc.patient.published import patient_schema
from hepacalc.patient.vocabulary import SEROLOGY
from hepacalc.registry.tables import ABOUT, DERIVED, event, wording
from hepacalc.report import load_reasoning_schema, load_schema
from hepacalc.report.comparison import load_comparison_schema

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
Schema = dict[str, Any]


def made() -> dict[str, str]:
    """Each file of ``docs/reference`` that is made here, by name, as it should be."""
    tables = {
        "assessment-json.md": schema_tables("assessment", load_schema()),
        "comparison-json.md": schema_tables("comparison.json", load_comparison_schema()),
        "cohort-tables.md": "\n".join(cohort_tables()),
        "patient.md": "\n".join(patient_tables()),
        "registry.md": "\n".join(registry_tables()),
    }
    pages = {name: below_head(REFERENCE / name, text) for name, text in tables.items()}
    return pages | {
        "patient.schema.json": json.dumps(patient_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n",
        "reasoning.schema.json": json.dumps(load_reasoning_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def below_head(page: Path, tables: str) -> str:
    """A page with its head, and ``tables`` in place of what follows their first heading."""
    head, found, _ = page.read_text("utf-8").partition(tables.partition("\n")[0] + "\n")
    if not found:
        raise ValueError(f"{page.name} has no heading {tables.partition(chr(10))[0]!r}")
    return head + tables


def schema_tables(name: str, schema: Schema) -> str:
    """A table for a JSON Schema and for each of its parts that has fields."""
    parts = [(name, schema), *((n, part) for n, part in schema["$defs"].items() if "properties" in part)]
    return "\n".join(fields(n, part, type_text) for n, part in parts)


def fields(name: str, part: Schema, type_of: Callable[[Schema], str], about: str = "") -> str:
    """The fields of one part; ``about`` stands in place of its description."""
    text = about or " ".join(part.get("description", "").split())
    lines = [f"## {name}", "", text, "", "| field | type | meaning |", "|---|---|---|"]
    for field, item in part["properties"].items():
        meaning = item.get("description", "").replace("|", "\\|")
        lines.append(f"| `{field}` | {type_of(item)} | {meaning} |")
    return "\n".join([*lines, ""])


def type_text(about: Schema) -> str:
    """The type of a field in words."""
    if "$ref" in about:
        return str(about["$ref"]).removeprefix("#/$defs/")
    if "anyOf" in about:
        return " or ".join(type_text(a) for a in about["anyOf"])
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        return ", ".join(f"`{v}`" for v in about["enum"])
    kind = about.get("type", "")
    if kind == "array" and "items" in about:
        return f"list of {type_text(about['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def patient_tables() -> Iterator[str]:
    """The fields of the patient file, its laboratory values and its tests for infections."""
    schema = patient_schema()
    yield fields("patient", schema, patient_type)
    yield from (fields(name, part, patient_type) for name, part in schema["$defs"].items() if "properties" in part)
    answer = next(one for one in schema["$defs"]["answer"]["anyOf"] if "properties" in one)
    yield fields("answer", answer, patient_type, about="`yes`, `no` or `not_asked` alone, or an object:")
    yield laboratory_values()
    yield infection_tests()


def patient_type(about: Schema) -> str:
    """The type of a field of the patient file in words; any of them may be left out, which is not said each time."""
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(patient_type(one) for one in about["anyOf"] if one.get("type") != "null"))
    if "$ref" in about or "const" in about:
        return type_text(about)
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"] if isinstance(value, str))
    if about.get("type") == "array":
        return f"list of {patient_type(about.get('items', {}))}"
    if about.get("type") == "object":
        return "`{state: ..}`"
    kind = about.get("type", "text")
    kind = kind if isinstance(kind, str) else kind[0]
    if "pattern" in about and kind == "string":
        return "text like `<20`" if "<" in about["pattern"] else "date" if "{4}" in about["pattern"] else "text"
    low, high = about.get("minimum", about.get("exclusiveMinimum")), about.get("maximum")
    span = f" {low:g}-{high:g}" if low is not None and high is not None else ""
    return {"string": "text", "integer": "whole number"}.get(kind, kind) + span


def laboratory_values() -> str:
    """What can be given of the laboratory, in which units, with which limits."""
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


def infection_tests() -> str:
    """Tests for infections, and what a negative one leaves."""
    lines = [
        "## Tests for infections", "",
        "`left` is the weight that a state keeps when the test is negative; these are judgements.",
        "", "| test | state of `serology` | left |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| `{name}` | {test.state} | {test.left:g} |" for name, test in SEROLOGY.items()]
    return "\n".join([*lines, ""])


def cohort_tables() -> Iterator[str]:
    """The columns of a cohort's tables."""
    for name, columns in cohort.TABLES.items():
        lines = [f"## {name}", "", cohort.ABOUT[name], "", "| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.about} |" for c in columns]
        yield "\n".join([*lines, ""])


def registry_tables() -> Iterator[str]:
    """The columns of the registry's tables."""
    for table in (event, wording, *DERIVED):
        keys = {column.name for column in table.primary_key}
        lines = [f"### {table.name}", "", table.info[ABOUT], "", "| column | type | meaning |", "|---|---|---|"]
        for column in table.columns:
            marks = ", key" if column.name in keys else ""
            leads = "".join(f"; leads to `{key.target_fullname}`" for key in column.foreign_keys)
            kind = str(column.type.compile()).lower()
            lines.append(f"| `{column.name}` | {kind}{marks} | {column.doc}{leads} |")
        yield "\n".join([*lines, ""])


def main() -> int:
    """Write the files that are old."""
    for name, text in made().items():
        if (REFERENCE / name).read_text("utf-8") != text:
            (REFERENCE / name).write_text(text, "utf-8", newline="\n")
            print(f"written: docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
