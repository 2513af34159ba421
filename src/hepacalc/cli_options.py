"""Options that several commands have: each has one name and one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Debug", "Language", "SiteKnowledge"]

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Language = Annotated[str, typer.Option("--lang", metavar="LANG", help="Language of texts for readers: en or zh.")]
SiteKnowledge = Annotated[
    Path | None,
    typer.Option(
        "--knowledge",
        metavar="PATH",
        help="Your site's own numbers: a YAML file, or a folder of edited files of the knowledge base.",
    ),
]
