"""``form``: an answer without a scan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepacalc.days import today
from hepacalc.server.jobs import Job
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.assessing import Assess
from hepacalc.server.work.storing import RESULTS, study_request

__all__ = ["Answer"]


class Answer(Assess):
    """Reason about a patient of whom there is no scan."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return the facts."""
        return study_request(site, job)

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Reason, and write the answer in both languages."""
        from hepacalc.consult import consult
        from hepacalc.report import render_explanation, write_explanation
        from hepacalc.server.work.output import answered, knowledge_of, patient_of

        moment = datetime.now(UTC)
        day = today(moment)
        tell("weighing the causes", 0.0)
        reasoning = consult(patient_of(request, day), knowledge_of(request), today=day)
        write_explanation(reasoning, out / RESULTS, now=moment)
        (out / RESULTS / "zh").mkdir()
        page = render_explanation(reasoning, now=moment, language="zh")
        (out / RESULTS / "zh" / "explanation.html").write_text(page, "utf-8")
        return {"headline": answered(reasoning), "objects": [], "series_uid": ""}
