"""``hepacalc registry``: what was assessed, and who is due."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepacalc.cli_options import AsJson, Debug, Language
from hepacalc.cli_registry_common import (
    DEFAULT,
    By,
    IdentityFile,
    Key,
    Today,
    Where,
    checked_or_today,
    day_of,
    now_here,
    opened,
    people_of,
    tell,
    who,
    write_file,
    write_json,
)
from hepacalc.cli_registry_files import backup, check, export, forget, import_file
from hepacalc.errors import UsageError
from hepacalc.terminal import write_line

if TYPE_CHECKING:
    from hepacalc.registry.identity import Person

__all__ = ["registry"]

registry = typer.Typer(
    name="registry",
    help="Keep what was assessed, and say who is due: a SQLite file, or PostgreSQL.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class DueFormat(StrEnum):
    """Formats of the list of who is due."""

    TABLE = "table"
    CSV = "csv"
    FHIR = "fhir"
    ICS = "ics"


class ResultChoice(StrEnum):
    """What came of a step."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNCLEAR = "unclear"
    DECLINED = "declined"


class ReasonChoice(StrEnum):
    """Why follow-up ends by a person's decision."""

    DIED = "died"
    MOVED = "moved"
    ELSEWHERE = "elsewhere"
    DECLINED = "declined"
    NOT_NEEDED = "not-needed"
    ERROR = "error"


class FollowUpChoice(StrEnum):
    """How follow-up stands."""

    NONE = "none"
    OPEN = "open"
    FINISHED = "finished"


@registry.callback()
def _root() -> None:
    pass


@registry.command()
def add(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that hepacalc assess wrote.", show_default=False)],
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="KEY", help="Pseudonym of the patient; not needed for a known study."),
    ] = None,
    patient_id: Annotated[
        str | None,
        typer.Option(
            "--patient-id", metavar="ID", help="With --identity: number of the patient, VALUE or SYSTEM|VALUE."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="With --identity: held there, nowhere else.")] = None,
    born: Annotated[str | None, typer.Option(metavar="DAY", help="With --identity: date of birth.")] = None,
    identity: IdentityFile = None,
    comparison: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="comparison.json of this exam with earlier ones."),
    ] = None,
    by: By = None,
    where: Where = DEFAULT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Take in an assessment: exam, lesions, plan. The same one again changes nothing; a registry is made if needed."""
    if identity is None and (patient_id is not None or name is not None or born is not None):
        raise UsageError(
            "--patient-id, --name and --born are held in an identity file only.", hint="Give --identity FILE."
        )
    if patient is not None and patient_id is not None:
        raise UsageError("--patient and --patient-id both say who it is.", hint="Give one of them.")
    if patient_id is None and (name is not None or born is not None):
        raise UsageError("--name and --born need --patient-id.", hint="Give it, or neither.")
    from hepacalc.registry.comparison import read_comparisons
    from hepacalc.registry.identity import Identity
    from hepacalc.registry.words import added_lines
    from hepacalc.report.stored import read_stored

    assessment = read_stored(out)
    comparisons = () if comparison is None else read_comparisons(comparison)
    key = patient
    if identity is not None and patient_id is not None:
        with Identity(identity, create=True) as people:
            key = people.key_of(patient_id, name=name, born=born)
    now = now_here()
    with opened(where, create=True) as held:
        added = held.add(assessment, key=key, now=now, by=who(by), comparisons=comparisons)
    tell(added_lines(added, day_of(now)), added, as_json)


@registry.command("list")
def list_patients(
    follow_up: Annotated[
        FollowUpChoice | None, typer.Option("--follow-up", help="Only those whose follow-up stands so.")
    ] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="So many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option("--after", metavar="KEY", help="Only those after this pseudonym: the next page.")
    ] = None,
    where: Where = DEFAULT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List patients by pseudonym: exams, follow-up, next step."""
    from hepacalc.registry.views import patient_lines

    with opened(where) as held, held.database.reading() as connection:
        chosen = None if follow_up is None else follow_up.value
        found = list(patient_lines(connection, follow_up=chosen, most=most, after=after))
    if as_json:
        write_json([one._asdict() for one in found])
        return
    for one in found:
        until = f", next by {one.next_day}" if one.next_day else ""
        write_line(
            f"{one.key}: {one.exams} exam{'s' if one.exams != 1 else ''}, last {one.last_exam or 'without date'}; "
            f"follow-up {one.follow_up}, {one.open_steps} open step{'s' if one.open_steps != 1 else ''}{until}"
        )
    write_line(
        "No patient." if not found else f"{len(found)} shown." + (" More: --after." if len(found) == most else "")
    )


@registry.command()
def show(
    patient: Key, today: Today = None, where: Where = DEFAULT, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Tell how one patient stands: exams, lesions over time, open steps with reason and source."""
    from hepacalc.registry.views import show as shown
    from hepacalc.registry.words import view_lines

    with opened(where) as held, held.database.reading() as connection:
        view = shown(connection, patient)
    tell(view_lines(view, checked_or_today(today)), view, as_json)


@registry.command()
def history(patient: Key, where: Where = DEFAULT, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell everything that happened to one patient, who recorded it, and what each new plan changed and why."""
    from hepacalc.registry.views import history as happened
    from hepacalc.registry.words import history_lines

    with opened(where) as held, held.database.reading() as connection:
        found = happened(connection, patient)
    tell(history_lines(found), found, as_json)


@registry.command()
def due(
    patient: Annotated[str | None, typer.Option("--patient", metavar="KEY", help="Of one patient alone.")] = None,
    file_format: Annotated[DueFormat, typer.Option("--format", help="What to write.")] = DueFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write; else standard output.")
    ] = None,
    soon: Annotated[int, typer.Option(min=0, max=3650, help="Due soon: so many days before the first day.")] = 30,
    lost: Annotated[int, typer.Option(min=1, max=36500, help="Lost: more than so many days after the last day.")] = 180,
    most: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many at most; 50 in the table, else all.")
    ] = None,
    identity: IdentityFile = None,
    language: Language = "en",
    today: Today = None,
    where: Where = DEFAULT,
    debug: Debug = False,
) -> None:
    """List what is lost, overdue, due, due soon or without a date; each with its reason and source."""
    from hepacalc import __version__
    from hepacalc.followup.schedule import Windows
    from hepacalc.registry.due_files import due_bundle, due_calendar, due_csv, due_items
    from hepacalc.registry.log import head
    from hepacalc.registry.queries import due_counts, due_rows
    from hepacalc.registry.words import due_head, due_lines
    from hepacalc.report.language import check_language

    day, windows, now, spoken = checked_or_today(today), Windows(soon, lost), now_here(), check_language(language)
    limit = 50 if most is None and file_format is DueFormat.TABLE else most
    with opened(where) as held, held.database.reading() as connection:
        people: dict[str, Person] = {}
        if identity is not None:
            people = people_of(
                identity, [row.key for row in due_rows(connection, day, windows, most=limit, key=patient)]
            )
        items = due_items(connection, day, windows, most=limit, key=patient, people=people)
        if file_format is DueFormat.CSV:
            text = due_csv(items, language=spoken, identity=identity is not None)
        elif file_format is DueFormat.FHIR:
            bundle = due_bundle(items, origin=head(connection)[1], now=now, language=spoken)
            text = json.dumps(bundle, ensure_ascii=False, indent=2) + "\n"
        elif file_format is DueFormat.ICS:
            text = due_calendar(items, now=now, version=__version__, language=spoken)
        else:
            from hepacalc.report.language import speaking

            with speaking(spoken):
                lines = [line for item in items for line in due_lines(item, day)]
            counts = due_counts(connection, day, windows) if patient is None else None
            head_line = [] if counts is None else [due_head(counts, day, windows)]
            more = "" if limit is None or counts is None else _more(counts, limit)
            text = "\n".join([*head_line, *lines, *([more] if more else [])]) + "\n"
    write_file(text, output)


@registry.command()
def done(
    patient: Key,
    result: Annotated[
        ResultChoice,
        typer.Option("--result", help="What it showed; or that it was decided not to do it.", show_default=False),
    ],
    on: Annotated[str | None, typer.Option("--on", metavar="DAY", help="Day it was done; today when left out.")] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="RULE", help="Which step, by its rule; again for several. Not needed for one."),
    ] = None,
    by: By = None,
    where: Where = DEFAULT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Close a step: what comes next follows, or that no more follow-up is needed."""
    from hepacalc.registry.words import closed_lines

    now = now_here()
    with opened(where) as held:
        told = held.done(
            patient, on=checked_or_today(on), result=result.value, now=now, by=who(by), rules=rules or ()
        )  # fmt: skip
    tell(closed_lines(told, day_of(now)), told, as_json)


@registry.command()
def finish(
    patient: Key,
    reason: Annotated[ReasonChoice, typer.Option("--reason", help="Why.", show_default=False)],
    by: By = None,
    where: Where = DEFAULT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """End the follow-up of a patient by a person's decision; a later assessment with a plan opens it again."""
    from hepacalc.registry.words import closed_lines

    now = now_here()
    with opened(where) as held:
        told = held.end(patient, reason=reason.value, now=now, by=who(by))
    tell(closed_lines(told, day_of(now)), told, as_json)


def _more(counts: dict[str, int], limit: int) -> str:
    listed = sum(count for name, count in counts.items() if name != "later")
    return f"... and {listed - limit} more: --limit, or --format csv for all." if listed > limit else ""


for command in (export, backup, check, forget):
    registry.command()(command)
registry.command("import")(import_file)
