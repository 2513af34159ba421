"""``assess``: the whole walk over one study."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from hepacalc.days import today
from hepacalc.errors import HepacalcError
from hepacalc.server.database import writing
from hepacalc.server.jobs import Job
from hepacalc.server.tables import studies
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.storing import keep_assessment, mark_failed, study_request

__all__ = ["Assess"]


class Assess:
    """Assess a study with what is known of the patient."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return folders and facts; the study shows that it is being assessed."""
        with writing(site.engine) as connection:
            connection.execute(update(studies).where(studies.c.id == job.study_id).values(state="assessing"))
        return study_request(site, job)

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Assess and write everything."""
        from hepacalc.assess import assess
        from hepacalc.server.work.output import knowledge_of, patient_of, write_arrays, write_result

        moment = datetime.now(UTC)
        files = Path(request["files"])
        found = assess(
            files,
            series=request["payload"].get("series"),
            allow_gaps=bool(request["payload"].get("allow_gaps")),
            patient=patient_of(request, today(moment)),
            knowledge=knowledge_of(request),
            now=moment,
            progress=tell,
        )
        write_arrays(found.volume, found.liver_mask, found.labels, out)
        return write_result(
            found, out, study=files if request["kind"] == "dicom" else None, seg_type=request["seg_type"], tell=tell
        )

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Keep the assessment."""
        keep_assessment(site, job, made, found)

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Show it in the worklist."""
        mark_failed(connection, job, error)
