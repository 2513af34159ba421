"""``hepacalc knowledge``: check the knowledge base, show a cause, tell what an edit does."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hepacalc.cli_options import AsJson, Debug, Language, SiteKnowledge
from hepacalc.errors import STATUS, KnowledgeError
from hepacalc.terminal import write_line

__all__ = ["knowledge"]

knowledge = typer.Typer(
    name="knowledge",
    help="Check and read what hepacalc knows, and try an edit of it.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@knowledge.callback()
def _root() -> None:
    pass


@knowledge.command()
def check(site: SiteKnowledge = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List every fault: a number without source, a cause out of reach, a pointer that leads nowhere."""
    from hepacalc.knowledge import load_knowledge
    from hepacalc.knowledge.check import check_knowledge

    problems = check_knowledge(site)
    if problems and as_json:
        sys.stdout.write(json.dumps({"faults": [problem._asdict() for problem in problems]}, ensure_ascii=False) + "\n")
        raise typer.Exit(STATUS["KNO"].exit_status)
    if problems:
        for problem in problems:
            write_line(str(problem))
        raise KnowledgeError(
            f"the knowledge base has {len(problems)} fault{'s' * (len(problems) > 1)}, the first: {problems[0]}.",
            hint="Correct the files and run it again.",
        )
    found = load_knowledge(site)
    told: dict[str, object] = {
        "version": found.version, "site": found.site, "faults": [], "causes": len(found.causes),
        "blocks": len(found.blocks), "settings": len(found.settings), "red flags": len(found.redflags),
        "rules": len(found.rules), "tests": len(found.tests), "sources": len(found.sources),
        "corrections": len(found.corrections),
    }  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        counts = ", ".join(f"{count} {name}" for name, count in list(told.items())[3:])
        write_line(f"No fault. Knowledge {found.version}: {counts}.")


@knowledge.command()
def show(
    cause: Annotated[str, typer.Argument(metavar="CAUSE", help="Id or name of a cause, e.g. ce.", show_default=False)],
    language: Language = "en",
    site: SiteKnowledge = None,
    debug: Debug = False,
) -> None:
    """Print all that is held of one cause, with counts and sources."""
    from hepacalc.knowledge import load_knowledge
    from hepacalc.knowledge.show import cause_text, find_cause
    from hepacalc.report.language import check_language, whole

    told = whole(check_language(language))
    found = load_knowledge(site)
    write_line(cause_text(found, find_cause(found, cause), told))


@knowledge.command()
def diff(
    edited: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Your site's own YAML file, or a folder of edited files of the knowledge base.",
            show_default=False,
        ),
    ],
    least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="List cases in which a probability moves by so much.")
    ] = 0.01,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell which numbers an edit changes, and what that does to the reference cases."""
    from hepacalc.knowledge import load_knowledge
    from hepacalc.knowledge.cases import load_reference_cases
    from hepacalc.knowledge.diff import changed_numbers, diff_text
    from hepacalc.reason.compare import case_evidence, compare

    before, after = load_knowledge(), load_knowledge(edited)
    if before.version == after.version:
        raise KnowledgeError(
            "the edited files are word by word those that hepacalc itself reads: there is nothing to compare.",
            hint="Edit copies in a folder of your own, try them there, then put them in place.",
        )
    numbers = changed_numbers(before, after)
    cases = load_reference_cases()
    moved = compare(case_evidence(cases, before), before, after, cases_after=case_evidence(cases, after))
    theirs = load_reference_cases(edited if edited.is_dir() else None)
    of_new_causes = case_evidence((case for case in theirs if case.cause not in before.causes), after)
    new = compare(of_new_causes, after, after)
    if as_json:
        told = {
            "before": before.version,
            "after": after.version,
            "changed": [dataclasses.asdict(item) for item in numbers],
            "cases": [dataclasses.asdict(item) for item in moved],
            "cases_of_new_causes": [dataclasses.asdict(item) for item in new],
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        write_line(diff_text(numbers, moved, new, least=least))
