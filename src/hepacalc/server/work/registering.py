"""``register``: an assessment is taken into the registry of its team; the same one again changes nothing there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.errors import HepacalcError, NotInRegistry, NotThere
from hepacalc.server.database import writing
from hepacalc.server.files import make_folder
from hepacalc.server.jobs import Job, finish
from hepacalc.server.pseudonyms import PROGRAM, key_for
from hepacalc.server.tables import assessments, comparisons, users
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.storing import study_row

__all__ = ["Register"]


class Register:
    """Take ``payload["assessment"]`` in, with its ``payload["comparison"]`` where there is one."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return files, pseudonym and who made the assessment.

        Raises:
            NotThere: study or assessment was deleted meanwhile.
        """
        with writing(site.engine) as connection:
            row = study_row(connection, job.study_id)
            made = connection.execute(
                select(assessments.c.folder, users.c.name).outerjoin(users, users.c.id == assessments.c.user_id)
                .where(assessments.c.id == job.payload["assessment"])
            ).first()  # fmt: skip
            if made is None:
                raise NotThere("the assessment was deleted.", hint="Nothing has to be done.")
            key = key_for(connection, row)
            held = select(comparisons.c.folder).where(comparisons.c.id == job.payload["comparison"])
            compared = connection.execute(held).scalar()
        folder = site.store.study(row["folder"])
        path = site.store.registry(row["team"])
        make_folder(path.parent)
        return {
            "registry": str(path), "key": key, "by": made.name or PROGRAM, "assessment": str(folder / made.folder),
            "comparison": str(folder / compared / "comparison.json") if compared else None,
        }  # fmt: skip

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Add it; errors as for :meth:`hepacalc.registry.store.Registry.add`."""
        from hepacalc.registry.comparison import read_comparisons, resolved
        from hepacalc.registry.intake import intake
        from hepacalc.registry.store import Registry
        from hepacalc.report.stored import read_stored

        tell("adding to the registry", 0.0)
        told, moment = read_stored(Path(request["assessment"])), datetime.now(UTC)
        compared = read_comparisons(Path(request["comparison"])) if request["comparison"] else ()
        who = {"now": moment, "by": request["by"]}
        with Registry.open(request["registry"], create=True) as held:
            try:
                added = held.add(told, key=request["key"], comparisons=compared, **who)
            except NotInRegistry:
                # an earlier exam that the registry does not know yet links nothing
                compared = ()
                added = held.add(told, key=request["key"], **who)
            if compared and not added.is_new:
                with held.database.reading() as connection:
                    links = resolved(connection, compared, intake(told).study, intake(told).lesions)
                held.link(request["key"], links, **who)
        return {"event": added.event}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Finish: what counts is in the registry."""
        with writing(site.engine) as connection:
            finish(connection, job, found)

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Nothing but the registry is without it: the job itself tells."""
