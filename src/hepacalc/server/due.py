"""Who is due: the registry's list, with the studies that it is about and what a person decided meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import select

from hepacalc.errors import NotInRegistry
from hepacalc.followup.schedule import TIMINGS, Result, Step, Timing, Windows, timing
from hepacalc.registry.due_files import due_items
from hepacalc.server.accounts import Identity
from hepacalc.server.database import reading
from hepacalc.server.pseudonyms import key_held, registry_of, studies_of
from hepacalc.server.tables import decisions, pseudonyms
from hepacalc.server.work import Site

__all__ = ["WINDOWS", "DueLine", "close_in_registry", "counted", "due_lines", "teams_of"]

WINDOWS = Windows(30, 180)
"""Due soon: so many days before the first day; lost: more than so many after the last."""


@dataclass(frozen=True, slots=True)
class DueLine:
    """A step that is to be done, and of whom.

    Args:
        key: pseudonym.
        timing: how it stands on the day that was asked for.
        first: earliest day, ``YYYY-MM-DD``; None where it cannot be dated.
        last: latest day.
        days_overdue: since its last day; None when it is not overdue.
        step: what, why and from which source.
        study: row of the patient's latest study.
        accepted: whether a person accepted it.
        moved: whether a person changed its date.
    """

    key: str
    timing: Timing
    first: str | None
    last: str | None
    days_overdue: int | None
    step: Step
    study: Any
    accepted: bool = False
    moved: bool = False


def teams_of(site: Site, who: Identity) -> list[str]:
    """Return the teams whose registry a user may read: his own; all for administrators."""
    if not who.is_admin:
        return [who.team]
    with reading(site.engine) as connection:
        return sorted(connection.execute(select(pseudonyms.c.team).distinct()).scalars())


def due_lines(site: Site, teams: list[str], day: date, *, windows: Windows = WINDOWS, most: int = 200) -> list[DueLine]:
    """Return what is lost, overdue, due, due soon or cannot be dated, those longest overdue first.

    Args:
        site: the deployment.
        teams: whose.
        day: from which it is reckoned.
        windows: what is soon, what is lost.
        most: so many at most.

    Raises:
        RegistryError: a registry cannot be read.
    """
    found = [line for team in teams for line in _of_team(site, team, day, windows, most)]
    found.sort(key=lambda one: (one.last is None, one.last or "", one.first or "", one.key))
    return found[:most]


def _of_team(site: Site, team: str, day: date, windows: Windows, most: int) -> Iterator[DueLine]:
    if not site.store.registry(team).exists():
        return
    today = day.isoformat()
    with registry_of(site.store, team) as held, held.database.reading() as connection:
        items = list(due_items(connection, today, windows, most=most))
    with reading(site.engine) as connection:
        owned = studies_of(connection, team, [item.row.key for item in items])
        ids = [row["id"] for rows in owned.values() for row in rows]
        taken = connection.execute(
            select(decisions).where(decisions.c.study_id.in_(ids)).order_by(decisions.c.created)
        ).mappings().all()  # fmt: skip
    latest = {(one["study_id"], one["item"]): one for one in taken}
    for item in items:
        rows = owned.get(item.row.key)
        if not rows:
            continue  # the studies were deleted
        told = next((one for row in rows if (one := latest.get((row["id"], item.row.rule))) is not None), None)
        moved = told is not None and told["verdict"] == "changed"
        first, last = (told["due"], told["due"]) if told is not None and moved else (item.row.first, item.row.last)
        stands = timing(first, last, today, windows)
        if stands == "later":
            continue
        late = None if last is None or last >= today else (day - date.fromisoformat(last)).days
        accepted = told is not None and told["verdict"] == "accepted"
        yield DueLine(item.row.key, stands, first, last, late, item.step, rows[0], accepted, moved)


def counted(lines: list[DueLine]) -> dict[str, int]:
    """Return how many stand how, most pressing first."""
    return {name: count for name in TIMINGS if (count := sum(line.timing == name for line in lines))}


def close_in_registry(
    site: Site, row: Any, who: Identity, rule: str, verdict: Literal["declined", "done"], result: Result, day: date
) -> None:
    """Close in the registry what a person decided about a step of the plan; nothing when it is not open there.

    Args:
        site: the deployment.
        row: of the study.
        who: decides.
        rule: of the step.
        verdict: what was decided.
        result: what it showed, when it was done.
        day: on which.

    Raises:
        RegistryError: the registry cannot be written.
    """
    if not site.store.registry(row["team"]).exists():
        return
    with reading(site.engine) as connection:
        key = key_held(connection, row)
    if key is None:
        return
    told: Result = "declined" if verdict == "declined" else result
    with registry_of(site.store, row["team"]) as held:
        try:
            held.done(key, on=day.isoformat(), result=told, now=datetime.now(UTC), by=who.name, rules=(rule,))
        except NotInRegistry:
            return  # the plan is an older one
