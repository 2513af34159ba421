"""Parts that the commands of ``hepacalc registry`` share: options, opening, who and when, output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepacalc.days import today
from hepacalc.errors import OutputError, UsageError
from hepacalc.terminal import write_line

if TYPE_CHECKING:
    from datetime import datetime

    from hepacalc.registry.identity import Person
    from hepacalc.registry.store import Registry

__all__ = [
    "DEFAULT", "By", "IdentityFile", "Key", "Today", "Where", "checked_or_today", "day_of",
    "now_here", "opened", "people_of", "tell", "who", "write_file", "write_json",
]  # fmt: skip

DEFAULT = "hepacalc-registry.sqlite"
Where = Annotated[
    str,
    typer.Option(
        "--registry",
        "-r",
        envvar="HEPACALC_REGISTRY",
        show_envvar=False,
        metavar="LOCATION",
        help="SQLite file, or postgresql://USER@HOST/NAME (extra postgresql; password in PGPASSWORD); "
        "else HEPACALC_REGISTRY.",
    ),
]
By = Annotated[
    str | None, typer.Option("--by", metavar="WHO", help="Who makes the change; your login name when left out.")
]
Today = Annotated[str | None, typer.Option("--today", metavar="DAY", help="Day to reckon from; today when left out.")]
Key = Annotated[str, typer.Argument(metavar="PATIENT", help="Pseudonym of the patient.", show_default=False)]
IdentityFile = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="Identity file: who pseudonyms are. Kept apart.")
]


@contextmanager
def opened(where: str, *, create: bool = False) -> Iterator[Registry]:
    """Open a registry for the length of a block."""
    from hepacalc.registry.store import Registry

    with Registry.open(where, create=create) as held:
        yield held


def people_of(path: Path, keys: list[str]) -> dict[str, Person]:
    """Return who pseudonyms are, of those that an identity file holds."""
    from hepacalc.registry.identity import Identity

    with Identity(path) as held:
        return held.people(keys)


def now_here() -> datetime:
    """Return the time."""
    from datetime import UTC, datetime

    return datetime.now(tz=UTC)


def day_of(now: datetime) -> str:
    """Return the day in this place."""
    return today(now).isoformat()


def checked_or_today(day: str | None) -> str:
    """Return a day that was given, or today."""
    from hepacalc.reason.days import checked_day

    return day_of(now_here()) if day is None else checked_day(day)


def who(by: str | None) -> str:
    """Return who makes a change."""
    if by is not None:
        return by
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as fault:
        raise UsageError("this system does not say who you are.", hint="Give it with --by.") from fault


def tell(lines: Iterable[str], told: Any, as_json: bool) -> None:
    """Write lines, or one JSON document."""
    if as_json:
        write_json(told)
        return
    for line in lines:
        write_line(line)


def write_json(told: Any) -> None:
    """Write one JSON document on standard output."""
    from hepacalc.registry.plain import plain

    sys.stdout.write(json.dumps(plain(told), ensure_ascii=False) + "\n")


def write_file(text: str, output: Path | None) -> None:
    """Write a new file, or standard output."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as fault:
        raise OutputError(f"{output.name} is there already.", hint="Choose another name with -o.") from fault
    except OSError as fault:
        raise OutputError(
            f"{output.name} cannot be written: {fault.strerror}.", hint="Choose another place."
        ) from fault
