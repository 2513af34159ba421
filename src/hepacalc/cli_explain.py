"""``hepacalc explain``: what it may be and what to do next, from what is typed in, without a scan."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hepacalc.cli_options import Debug, Language, SiteKnowledge
from hepacalc.days import today
from hepacalc.terminal import write_line

__all__ = ["explain"]


def explain(
    patient: Annotated[
        Path, typer.Argument(metavar="PATIENT", help="What is known of the patient: YAML or JSON.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT", help="Folder for explanation.html and explanation.json."),
    ] = None,
    knowledge: SiteKnowledge = None,
    language: Language = "en",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print explanation.json, or the error, on standard output.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Tell what it may be and what to do next without a scan: ultrasound, outside report, fetus."""
    from hepacalc.consult import consult
    from hepacalc.knowledge import load_knowledge
    from hepacalc.patient.read import read_patient_file
    from hepacalc.report import (
        EXPLANATION_OUTPUTS,
        check_writable,
        document_json,
        explanation_document,
        explanation_text,
        write_explanation,
    )

    if out is not None:
        check_writable(out, EXPLANATION_OUTPUTS)
    now = datetime.now(UTC)
    day = today(now)
    found = consult(read_patient_file(patient, today=day), load_knowledge(knowledge), today=day)
    paths = write_explanation(found, out, now=now, language=language) if out is not None else {}
    if as_json:
        sys.stdout.write(document_json(explanation_document(found, now=now)))
        return
    write_line(explanation_text(found, today=day.isoformat()))
    if paths:
        write_line(f"\nExplanation: {paths['explanation.html']}")
