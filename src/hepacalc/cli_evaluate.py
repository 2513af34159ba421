"""``hepacalc evaluate``: measure the differential on published cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hepacalc.cli_options import Debug, SiteKnowledge
from hepacalc.terminal import write_line

__all__ = ["evaluate"]


def evaluate(
    cases: Annotated[Path, typer.Argument(metavar="CASES", help="Cases, one JSON object a line.", show_default=False)],
    knowledge: SiteKnowledge = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines; the last one holds the figures.")] = False,
    debug: Debug = False,
) -> None:
    """Measure the differential on published cases with known diagnosis, beside two baselines."""
    from hepacalc.evaluate.case_file import read_case_file
    from hepacalc.evaluate.run import evaluate_cases
    from hepacalc.evaluate.tell import json_lines, text_lines
    from hepacalc.knowledge import load_knowledge

    results = evaluate_cases(read_case_file(cases), load_knowledge(knowledge))
    for line in json_lines(results) if as_json else text_lines(results):
        write_line(line)
