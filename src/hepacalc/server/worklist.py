"""The worklist: pages of studies, newest first, found by words, state and date due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_

from hepacalc.errors import InvalidRequest
from hepacalc.server.access import own
from hepacalc.server.accounts import Identity
from hepacalc.server.filing import words_of
from hepacalc.server.tables import jobs, studies, terms

__all__ = ["MOST", "STATES", "page_of", "progress_of", "shown", "waits_of", "words_of_wait"]

MOST = 200
"""Studies on one page."""
STATES = ("waiting", "assessing", "assessed", "failed")
SHOWN_KINDS = ("assess", "edit", "facts", "form")
PRIOR_KINDS = ("priors", "fetch")
WEIGHING_KINDS = ("compare", "weigh")
"""Jobs at whose end a study looks different: its page waits for them, and is loaded anew."""
RARE = 1000
"""A word of so many studies or fewer is looked up first."""
_MOST_WORDS = 6
_COLUMNS = (
    "id", "uid", "kind", "patient_name", "patient_id", "birth_date", "sex", "study_date", "accession", "description",
    "modalities", "instance_count", "bytes", "state", "assessment_id", "headline", "due", "error_code", "error",
    "created", "updated",
)  # fmt: skip


def page_of(
    connection: Connection, who: Identity, *, search: str = "", state: str = "", due_by: str = "", after: str = "",
    limit: int = 50,
) -> tuple[list[dict[str, Any]], str]:  # fmt: skip
    """Return one page of the studies that a user may see, and where the next one begins (empty at the end).

    Args:
        connection: for reading.
        who: asks.
        search: words, each the beginning of one in name, number, accession, description or date.
        state: one of :data:`STATES`, or empty.
        due_by: only studies with a step due on or before this day (``YYYY-MM-DD``), earliest first.
        after: where the page before ended.
        limit: studies on the page.

    Raises:
        InvalidRequest: a filter is none.
    """
    if state and state not in STATES:
        raise InvalidRequest("state is not known.", hint=f"Choose one of {', '.join(STATES)}.")
    limit = min(max(limit, 1), MOST)
    where: list[ColumnElement[bool]] = [own(who)]
    if state:
        where.append(studies.c.state == state)
    where += _found(connection, sorted(words_of(search))[:_MOST_WORDS])
    key = studies.c.due if due_by else studies.c.updated
    if due_by:
        where += [studies.c.due != "", studies.c.due <= due_by]
    if after:
        place = _place(after, is_date=bool(due_by))
        pair = tuple_(key, studies.c.id)
        where.append(pair > place if due_by else pair < place)
    order = (key, studies.c.id) if due_by else (key.desc(), studies.c.id.desc())
    wanted = select(*(studies.c[name] for name in _COLUMNS)).where(and_(*where)).order_by(*order).limit(limit + 1)
    rows = [dict(row) for row in connection.execute(wanted).mappings()]
    more = ""
    if len(rows) > limit:
        rows = rows[:limit]
        last = rows[-1]
        more = f"{last['due'] if due_by else repr(last['updated'])}~{last['id']}"
    return [shown(row) for row in rows], more


def _found(connection: Connection, words: list[str]) -> list[ColumnElement[bool]]:
    """Return the conditions of a search: by the rarest word, when it is rare; else along the list, in its order."""
    if not words:
        return []
    begins = {word: and_(terms.c.term >= word, terms.c.term < word + "\U0010ffff") for word in words}
    counts = {
        word: connection.execute(
            select(func.count()).select_from(select(terms.c.term).where(begin).limit(RARE + 1).subquery())
        ).scalar()
        or 0
        for word, begin in begins.items()
    }
    rarest = min(words, key=lambda word: counts[word])
    out: list[ColumnElement[bool]] = [
        select(terms.c.term).where(terms.c.study_id == studies.c.id, begin).exists()
        for word, begin in begins.items()
        if word != rarest or counts[word] > RARE
    ]
    if counts[rarest] <= RARE:
        out.append(studies.c.id.in_(select(terms.c.study_id).where(begins[rarest])))
    return out


def _place(after: str, *, is_date: bool) -> Any:
    key, _, study_id = after.partition("~")
    try:
        return (key if is_date else float(key), study_id)
    except ValueError:
        raise InvalidRequest("after is no place in the list.", hint="Take it from the page before.") from None


def shown(row: Any) -> dict[str, Any]:
    """Return a study as REST and pages show it."""
    return {name: row[name] for name in _COLUMNS}


def progress_of(
    connection: Connection, study_ids: list[str], kinds: tuple[str, ...] = SHOWN_KINDS
) -> dict[str, dict[str, Any]]:
    """Return for each study the job that is being done, or waits, of those that change what is shown of it."""
    rows = connection.execute(
        select(jobs.c.study_id, jobs.c.id, jobs.c.kind, jobs.c.state, jobs.c.stage, jobs.c.share, jobs.c.error_code)
        .where(jobs.c.study_id.in_(study_ids), jobs.c.state.in_(("running", "queued")), jobs.c.kind.in_(kinds))
        .order_by(jobs.c.created)
    ).mappings()
    return {str(row["study_id"]): dict(row) for row in rows}


def waits_of(connection: Connection, study_ids: list[str]) -> dict[str, list[dict[str, str]]]:
    """Return for each study what waits to be tried again by itself, with the code of why: a partner, disk or database
    that was away. ``send`` is the sending of results, ``priors`` and ``fetch`` are the search for earlier studies and
    their coming; these two are told of with ``failed`` when they were given up, too.
    """
    rows = connection.execute(
        select(jobs.c.study_id, jobs.c.kind, jobs.c.state, jobs.c.error_code).distinct()
        .where(jobs.c.study_id.in_(study_ids), jobs.c.error_code != "",
               or_(and_(jobs.c.state == "queued", jobs.c.kind.in_((*SHOWN_KINDS, "send", *PRIOR_KINDS))),
                   and_(jobs.c.state == "failed", jobs.c.kind.in_(PRIOR_KINDS))))
        .order_by(jobs.c.kind, jobs.c.error_code)
    )  # fmt: skip
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        told = {"kind": row.kind, "code": row.error_code, "state": row.state}
        found.setdefault(str(row.study_id), []).append(told)
    return found


def words_of_wait(wait: Mapping[str, str]) -> str:
    """Return the key of the phrase for what :func:`waits_of` tells."""
    if wait["kind"] in PRIOR_KINDS:
        return "lost.priors" if wait["state"] == "failed" else "waits.priors"
    return "waits.send" if wait["kind"] == "send" else "waits"


def count_of(connection: Connection, who: Identity) -> dict[str, int]:
    """Return how many studies of each state a user may see."""
    rows = connection.execute(select(studies.c.state, func.count()).where(own(who)).group_by(studies.c.state))
    return {str(state): int(count) for state, count in rows}
