"""``compare``: what became of each lesion since earlier exams, from assessments that are held."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.errors import HepacalcError, NotThere
from hepacalc.server.database import reading, writing
from hepacalc.server.files import commit_folder
from hepacalc.server.follow_up import lineage, registration_work, weighing_work
from hepacalc.server.jobs import Job, enqueue, finish
from hepacalc.server.tables import assessments, studies
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.earlier import COMPARISON, kept, place_of, write_files
from hepacalc.server.work.storing import study_row

__all__ = ["Compare"]


class Compare:
    """Compare ``payload["assessment"]`` with ``payload["priors"]``."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return the folders of the assessments.

        Raises:
            NotThere: one of them was deleted meanwhile.
        """
        wanted = [job.payload["assessment"], *(one["assessment"] for one in job.payload["priors"])]
        with reading(site.engine) as connection:
            rows = connection.execute(
                select(assessments.c.id, assessments.c.folder, studies.c.folder.label("study"))
                .join(studies, studies.c.id == assessments.c.study_id).where(assessments.c.id.in_(wanted))
            ).all()  # fmt: skip
        places = {row.id: str(site.store.study(row.study) / row.folder) for row in rows}
        if not all(one in places for one in wanted):
            raise NotThere("an exam of the comparison was deleted.", hint="Compare with another one.")
        return {"current": places[wanted[0]], "priors": [places[one] for one in wanted[1:]]}

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Compare, and write the files in both languages; errors as for :func:`hepacalc.compare.compare`."""
        from hepacalc.compare import compare

        found = compare(request["priors"], Path(request["current"]), now=datetime.now(UTC), progress=tell)
        tell("writing the comparison", 0.9)
        write_files(found, out)
        return {"days": [comparison.prior.study_date for comparison in found.comparisons]}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Keep the comparison; then the registry can link the lesions, and the causes are weighed with it.

        Raises:
            NotThere: the study, or an earlier one, was deleted meanwhile.
            LostLease: another worker has the job.
        """
        with reading(site.engine) as connection:
            folder = study_row(connection, job.study_id)["folder"]
        commit_folder(made / COMPARISON, site.store.study(folder) / place_of(job))
        pairs = job.payload["priors"]
        with writing(site.engine) as connection:
            row = study_row(connection, job.study_id)
            assessment = job.payload["assessment"]
            if not kept(connection, job, assessment, pairs):
                raise NotThere("an exam of the comparison was deleted.", hint="Compare with another one.")
            enqueue(connection, registration_work({**row, "assessment_id": assessment}, job.id))
            if assessment in lineage(connection, row["assessment_id"]):
                enqueue(connection, weighing_work(row, job.id))
            finish(connection, job, {"comparison_id": job.id})

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Take the assessment into the registry all the same; the job itself tells what is missing."""
        row = connection.execute(select(studies).where(studies.c.id == job.study_id)).mappings().first()
        if row is not None:
            enqueue(connection, registration_work({**row, "assessment_id": job.payload["assessment"]}, ""))
