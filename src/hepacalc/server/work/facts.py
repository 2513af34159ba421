"""``facts`` and ``weigh``: what is known of the patient, or of earlier exams, changed; the same measurements are
weighed again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hepacalc.days import today
from hepacalc.errors import HepacalcError, InvalidAssessment
from hepacalc.server.jobs import Job
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.assessing import Assess
from hepacalc.server.work.storing import study_request

__all__ = ["Facts", "Weigh", "stored_with_scan"]


def stored_with_scan(request: dict[str, Any], tell: Tell) -> Any:
    """Return the assessment that a job begins from, with its scan read again.

    Raises:
        InvalidAssessment: there is none.
        OtherStudy: the files are not those that were assessed.
    """
    from hepacalc.report.stored import read_stored, with_scan
    from hepacalc.study import open_study

    if request["parent"] is None:
        raise InvalidAssessment("the study has not been assessed yet.", hint="Wait for its assessment.")
    stored = read_stored(Path(request["parent"]))
    tell("reading the study", 0.0)
    series = stored.series.chosen.series_instance_uid if stored.acquisition.series_instance_uid else None
    volume, _ = open_study(request["files"], series=series, allow_gaps=True, progress=tell)
    return with_scan(stored, volume)


class Facts(Assess):
    """Weigh the causes again with new facts, and with the earlier exams; nothing is measured anew."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return folders and facts."""
        return study_request(site, job)

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Reason again and write everything."""
        from hepacalc.compare import tracked
        from hepacalc.report.stored import comparisons_from
        from hepacalc.server.work.output import reason_about, write_arrays, write_result

        found = stored_with_scan(request, tell)
        were = [focus.tracking_uid for focus in found.foci]
        if request["compared"]:
            compared = comparisons_from(json.loads(Path(request["compared"]).read_text("utf-8")))
            found = replace(tracked(found, compared), followup=compared)
        moment = datetime.now(UTC)
        tell("weighing the causes", 0.0)
        reasoning = reason_about(found, request, today(moment))
        run = replace(found.run, created=moment.isoformat(timespec="seconds"))
        found = replace(found, reasoning=reasoning, run=run)
        write_arrays(found.volume, found.liver_mask, found.labels, out)
        study = Path(request["files"]) if request["kind"] == "dicom" else None
        told = write_result(found, out, study=study, seg_type=request["seg_type"], tell=tell)
        is_tracked = [focus.tracking_uid for focus in found.foci] != were
        return {**told, "comparison": request["comparison"], "is_tracked": is_tracked}


class Weigh(Facts):
    """Weigh the causes again, since earlier exams were compared."""

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """What was assessed stays as it is: the job itself tells."""
