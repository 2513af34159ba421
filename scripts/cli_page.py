"""Print ``docs/reference/cli.md``, made from the command line itself: ``python scripts/cli_page.py > PAGE``."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Iterator

import typer

from hepacalc import cli

USAGE = {
    "assess": "hepacalc assess STUDY -o OUT [options]",
    "phantom": "hepacalc phantom -o DIR [options]",
    "compare": "hepacalc compare PRIOR CURRENT -o OUT [options]",
    "export": "hepacalc export OUT --write FORMATS [options]",
    "explain": "hepacalc explain PATIENT [options]",
    "patient": "hepacalc patient PATIENT | --new | --fhir BUNDLE [options]",
    "evaluate": "hepacalc evaluate CASES [options]",
    "show": "hepacalc show FILE [options]",
    "read-report": "hepacalc read-report FILE [options]",
    "cohort list": "hepacalc cohort list URL -o FILE [options]",
    "cohort run": "hepacalc cohort run ROOT -o OUT [options]",
    "cohort recompute": "hepacalc cohort recompute OUT [options]",
    "cohort report": "hepacalc cohort report OUT [options]",
    "cohort agree": "hepacalc cohort agree A B [options]",
    "cohort sample": "hepacalc cohort sample OUT [options]",
    "cohort export": "hepacalc cohort export OUT -o FOLDER --deidentify [options]",
    "serve": "hepacalc serve [options]",
    "doctor": "hepacalc doctor [options]",
    "knowledge check": "hepacalc knowledge check [options]",
    "knowledge show": "hepacalc knowledge show CAUSE [options]",
    "knowledge diff": "hepacalc knowledge diff OVERLAY_OR_FOLDER [options]",
    "registry add": "hepacalc registry add OUT --patient KEY [options]",
    "registry list": "hepacalc registry list [options]",
    "registry show": "hepacalc registry show PATIENT [options]",
    "registry history": "hepacalc registry history PATIENT [options]",
    "registry due": "hepacalc registry due [options]",
    "registry done": "hepacalc registry done PATIENT --result RESULT [options]",
    "registry finish": "hepacalc registry finish PATIENT --reason REASON [options]",
    "registry export": "hepacalc registry export -o FILE [options]",
    "registry import": "hepacalc registry import FILE [options]",
    "registry backup": "hepacalc registry backup -o FILE [options]",
    "registry check": "hepacalc registry check [options]",
    "registry forget": "hepacalc registry forget PATIENT --identity FILE [options]",
}

HEAD = """# Command line

`hepacalc --help` and `hepacalc COMMAND --help` say the same. `python -m hepacalc` is the same program.

| option | meaning |
|---|---|
| `--version` | Print the version and leave. |
"""

TAIL = """Progress is drawn on standard error, and only on a terminal. Exit status: [errors](errors.md). The patient
that `phantom` makes: [the digital patient](../concepts/phantom.md), [truth.json](truth-json.md). The patient file:
[patient](patient.md). A site's own numbers: [lay them over the knowledge base](../howto/site-knowledge.md).
"""


def page() -> str:
    """The page as Markdown."""
    group = typer.main.get_command(cli.app)
    return HEAD + "".join(_section(name, command) for name, command in _commands("", group)) + "\n" + TAIL


def _commands(before: str, group: typing.Any) -> Iterator[tuple[str, typing.Any]]:
    """Every command with its full name, those of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(f"{before}{name} ", command)
        else:
            yield before + name, command


def _section(name: str, command: typing.Any) -> str:
    kinds = inspect.signature(inspect.unwrap(command.callback), eval_str=True).parameters
    lines = ["", f"## {USAGE[name]}", "", command.help, "", "| option | meaning | default |", "|---|---|---|"]
    for part in command.params:
        if part.name == "help":
            continue
        if part.param_type_name == "argument":
            names = f"`{part.metavar.strip('[]')}`"
        else:
            names = ", ".join(f"`{option}`" for option in part.opts)
        default = kinds[part.name].default
        if part.required:
            shown = "required"
        elif default is None or default is False:
            shown = ""
        else:
            shown = f"`{default.value if isinstance(default, enum.Enum) else default}`"
        lines.append(f"| {names} | {part.help}{_choices(kinds[part.name].annotation)} | {shown} |")
    return "\n".join([*lines, ""])


def _choices(annotation: typing.Any) -> str:
    kind = typing.get_args(annotation)[0] if typing.get_args(annotation) else annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " One of " + ", ".join(f"`{choice.value}`" for choice in kind) + "."
    return ""


if __name__ == "__main__":
    print(page(), end="")
