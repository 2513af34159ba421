"""Who a pseudonym of the registry is. The registry of a team holds pseudonyms only; numbers and names stay here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from hepacalc.server.database import new_id
from hepacalc.server.tables import pseudonyms, studies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hepacalc.registry.store import Registry
    from hepacalc.server.files import Store

__all__ = ["PROGRAM", "forget", "key_for", "key_held", "registry_of", "studies_of"]

PROGRAM = "hepacalc"
"""Who makes a change of the registry that nobody asked for."""
_ALONE = "study "


def _number(row: Any) -> str:
    return row["patient_id"] or f"{_ALONE}{row['id']}"


def key_held(connection: Connection, row: Any) -> str | None:
    """Return the pseudonym of the patient of a study; None where there is none yet."""
    held = select(pseudonyms.c.key).where(pseudonyms.c.team == row["team"], pseudonyms.c.number == _number(row))
    found = connection.execute(held).scalar()
    return None if found is None else str(found)


def key_for(connection: Connection, row: Any) -> str:
    """Return the pseudonym of the patient of a study, a new one where there is none; in a writing transaction."""
    held = key_held(connection, row)
    if held is None:
        held = new_id()
        connection.execute(insert(pseudonyms).values(key=held, team=row["team"], number=_number(row)))
    return held


def studies_of(connection: Connection, team: str, keys: Iterable[str]) -> dict[str, list[Any]]:
    """Return the studies of each pseudonym of a team, the latest first; a pseudonym that is nobody's is left out."""
    rows = connection.execute(
        select(pseudonyms.c.key, pseudonyms.c.number).where(
            pseudonyms.c.team == team, pseudonyms.c.key.in_(list(dict.fromkeys(keys)))
        )
    )
    numbers = {str(row.number): str(row.key) for row in rows}
    alone = [number.removeprefix(_ALONE) for number in numbers if number.startswith(_ALONE)]
    wanted = studies.c.patient_id.in_(numbers) | (studies.c.id.in_(alone) & (studies.c.patient_id == ""))
    found = select(studies).where(studies.c.team == team, wanted)
    out: dict[str, list[Any]] = {}
    for row in connection.execute(found.order_by(studies.c.study_date.desc(), studies.c.updated.desc())).mappings():
        if (key := numbers.get(_number(row))) is not None:
            out.setdefault(key, []).append(row)
    return out


def forget(connection: Connection, row: Any) -> str | None:
    """Forget who a pseudonym is once no study of the patient is left; return the pseudonym, None while there is one."""
    key = key_held(connection, row)
    if key is None or studies_of(connection, row["team"], [key]):
        return None
    connection.execute(delete(pseudonyms).where(pseudonyms.c.key == key))
    return key


@contextmanager
def registry_of(store: Store, team: str) -> Iterator[Registry]:
    """Give the registry of a team.

    Raises:
        RegistryError: nothing of the team was assessed yet, or it cannot be opened.
    """
    from hepacalc.registry.store import Registry

    path = store.registry(team)
    yield Registry(_opened(path))


@lru_cache(maxsize=64)
def _opened(path: Path) -> Any:
    from hepacalc.registry.database import open_database

    return open_database(path)
