"""An answer without a scan: ``explanation.json`` and ``explanation.html``, made of the same parts as the report."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hepacalc.reason.reasoning import Reasoning
from hepacalc.records import Run
from hepacalc.report import words
from hepacalc.report.html import HTML_LANG, page_environment, style
from hepacalc.report.language import speaking
from hepacalc.report.localise import localised
from hepacalc.report.reason_views import reason_view
from hepacalc.report.reason_words import headline
from hepacalc.report.schema import SCHEMA_VERSION, clean, document_json, load_schema
from hepacalc.report.write import write_files

__all__ = [
    "EXPLANATION_OUTPUTS",
    "explanation_document",
    "load_reasoning_schema",
    "render_explanation",
    "write_explanation",
]

EXPLANATION_OUTPUTS = ("explanation.json", "explanation.html")
"""Names of the files in the output folder."""


def explanation_document(reasoning: Reasoning, *, now: datetime | None = None) -> dict[str, Any]:
    """Return ``explanation.json`` as Python values: version, run, and the reasoning as in ``assessment.json``.

    Args:
        reasoning: the answer about one patient (:func:`hepacalc.consult.consult`).
        now: time stamp; the clock when None.

    Raises:
        OutputError: a number is NaN or infinite.
    """
    run = _run(reasoning, now)
    told = {
        "hepacalc_version": run.hepacalc_version,
        "created": run.created,
        "versions": dict(run.versions),
        "settings": {},
        "seconds": {},
    }
    document: dict[str, Any] = clean(
        {"schema_version": SCHEMA_VERSION, "run": told, "reasoning": reasoning.to_dict()}, ""
    )
    return document


def load_reasoning_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``explanation.json``: the part of that of ``assessment.json``."""
    whole = load_schema()
    names = ["schema_version", "run", "reasoning"]
    needed = _needed({name: whole["properties"][name] for name in names}, whole["$defs"])
    return {
        "$schema": whole["$schema"],
        "$id": f"urn:hepacalc:explanation:{SCHEMA_VERSION}",
        "title": f"hepacalc explanation {SCHEMA_VERSION}",
        "description": "What calcification in the liver may be and what to do next, without a scan.",
        "type": "object",
        "properties": {name: whole["properties"][name] for name in names},
        "required": names,
        "additionalProperties": False,
        "$defs": {name: part for name, part in whole["$defs"].items() if name in needed},
    }


def render_explanation(reasoning: Reasoning, *, now: datetime | None = None, language: str = "en") -> str:
    """Return the answer as one self-contained HTML page (UTF-8); the same answer and time give the same text."""
    run = _run(reasoning, now)
    with speaking(language):
        told = localised(reasoning)
        return (
            page_environment()
            .get_template("explain.html.j2")
            .render(
                run=run,
                reason=reason_view(told, run.created[:10]),
                headline=headline(told),
                schema=SCHEMA_VERSION,
                css=style("tokens.css", "report.css", "reason.css"),
                title=words.text("explain.title"),
                lang=HTML_LANG.get(language, language),
            )
        )


def write_explanation(
    reasoning: Reasoning, out_dir: str | os.PathLike[str], *, now: datetime | None = None, language: str = "en"
) -> dict[str, Path]:
    """Write ``explanation.json`` and ``explanation.html`` to ``out_dir``, both or none; return their paths by name.

    Args:
        reasoning: the answer about one patient.
        out_dir: folder.
        now: time stamp; the clock when None.
        language: of the page; the JSON is always in English.

    Raises:
        OutputError: the folder cannot be written to, or holds files of somebody else under these names.
    """
    now = now or datetime.now(UTC)

    def write(stage: Path) -> None:
        (stage / "explanation.json").write_text(
            document_json(explanation_document(reasoning, now=now)), "utf-8", newline="\n"
        )
        (stage / "explanation.html").write_text(
            render_explanation(reasoning, now=now, language=language), "utf-8", newline="\n"
        )

    return write_files(out_dir, EXPLANATION_OUTPUTS, write)


def _run(reasoning: Reasoning, now: datetime | None) -> Run:
    """Return what made the answer; the stamp is in local time, as the dates of the plan are."""
    made = (now or datetime.now(UTC)).astimezone()
    versions = tuple((name, version(name)) for name in ("numpy", "pydantic"))
    return Run(
        version("hepacalc"),
        made.isoformat(timespec="seconds"),
        (("python", platform.python_version()), *versions, ("knowledge", reasoning.knowledge_version)),
        (),
        (),
    )


def _needed(part: Any, defs: dict[str, Any]) -> set[str]:
    """Return the names of the definitions that a part points to, however deep."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            name = str(here.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in found:
                found.add(name)
                waiting.append(defs[name])
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
    return found
