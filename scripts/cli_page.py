"""Print ``docs/reference/cli.md``, made from the command line itself: ``python scripts/cli_page.py > PAGE``."""

from __future__ import annotations

import enum
import inspect
import typing

import typer

from hepacalc import cli

USAGE = {"assess": "hepacalc assess STUDY -o OUT [options]", "phantom": "hepacalc phantom -o DIR [options]"}

HEAD = """# Command line

`hepacalc --help` and `hepacalc COMMAND --help` say the same. `python -m hepacalc` is the same program.

| option | meaning |
|---|---|
| `--version` | Print the version and leave. |
"""

TAIL = """Progress is drawn on standard error, and only on a terminal. Exit status: [errors](errors.md). The patient
that `phantom` makes: [the digital patient](../concepts/phantom.md), [truth.json](truth-json.md).
"""


def page() -> str:
    """The page as Markdown."""
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    return HEAD + "".join(_section(name, command) for name, command in commands.items()) + "\n" + TAIL


def _section(name: str, command: typing.Any) -> str:
    kinds = inspect.signature(getattr(cli, name), eval_str=True).parameters
    lines = ["", f"## {USAGE[name]}", "", command.help, "", "| option | meaning | default |", "|---|---|---|"]
    for part in command.params:
        if part.name == "help":
            continue
        if part.param_type_name == "argument":
            names = "`STUDY`"
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
