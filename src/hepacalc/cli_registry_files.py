"""``hepacalc registry export, import, backup, check, forget``: whole registries, and whether they hold together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hepacalc.cli_options import AsJson, Debug
from hepacalc.cli_registry_common import DEFAULT, Key, Where, opened, write_json
from hepacalc.errors import DamagedRegistry
from hepacalc.terminal import write_line

__all__ = ["backup", "check", "export", "forget", "import_file"]


def export(
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="New file.", show_default=False)],
    where: Where = DEFAULT,
    debug: Debug = False,
) -> None:
    """Write the whole registry as JSON Lines; import takes it back, into either kind of database."""
    from hepacalc.registry.exchange import export_to

    with opened(where) as held:
        write_line(f"{export_to(held.database, output)} events written to {output}")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.", show_default=False)],
    where: Where = DEFAULT,
    debug: Debug = False,
) -> None:
    """Take in an export: into a new registry, or one whose log is the beginning of it."""
    from hepacalc.registry.exchange import import_from

    with opened(where, create=True) as held:
        told = import_from(held.database, file)
    write_line(f"{told.added} events taken in; {told.known} were there.")


def backup(
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="New file.", show_default=False)],
    where: Where = DEFAULT,
    debug: Debug = False,
) -> None:
    """Make a consistent copy while others go on writing: a SQLite file, or an export of a PostgreSQL registry."""
    from hepacalc.registry.exchange import backup as copied

    with opened(where) as held:
        write_line(f"{output}: {copied(held.database, output)}")


def check(
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not derive the tables again; chain, pointers, texts and counts only.")
    ] = False,
    where: Where = DEFAULT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check that nothing was changed or lost: the log's chain, every pointer, and every table against the log."""
    from hepacalc.registry.check import check as checked

    with opened(where) as held:
        found = checked(held.database, quick=quick)
    if as_json and not found.faults:
        write_json(found._asdict())
        return
    for fault in found.faults:
        sys.stderr.write(f"{fault}\n")
    if found.faults:
        raise DamagedRegistry(
            f"the registry has {len(found.faults)} faults, the first: {found.faults[0]}.",
            hint="Restore a backup; what was recorded since can be exported and compared.",
        )
    write_line(f"No fault: {found.events} events, {found.rows['patient']} patients, {found.rows['exam']} exams.")
    write_line(f"Last event: {found.head}")


def forget(
    patient: Key,
    identity: Annotated[Path, typer.Option("--identity", metavar="FILE", help="Identity file.", show_default=False)],
    debug: Debug = False,
) -> None:
    """Take away who a pseudonym is, for good, from the identity file; the registry keeps the pseudonym."""
    from hepacalc.registry.identity import Identity

    with Identity(identity) as people:
        people.forget(patient)
    write_line(f"{patient} is a pseudonym of nobody now.")
