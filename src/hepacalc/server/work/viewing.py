"""``view``: scan and masks for the viewer, made again when the cache has lost them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hepacalc.errors import HepacalcError
from hepacalc.server.database import writing
from hepacalc.server.jobs import Job, finish
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.facts import stored_with_scan
from hepacalc.server.work.storing import place_arrays, scan_name, study_request

__all__ = ["View"]


class View:
    """Fill the cache for one assessment (``payload["parent"]``)."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return folders."""
        return study_request(site, job)

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Read the scan again."""
        from hepacalc.server.work.output import write_arrays

        found = stored_with_scan(request, tell)
        write_arrays(found.volume, found.liver_mask, found.labels, out)
        return {"series_uid": found.acquisition.series_instance_uid or ""}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Move the arrays into the cache."""
        place_arrays(site, made, scan_name(job.study_id or "", found["series_uid"]), str(job.payload["parent"]))
        with writing(site.engine) as connection:
            finish(connection, job, {})

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Nothing but the viewer is without it: the job itself tells."""
