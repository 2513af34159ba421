"""The page with three planes and a view in three dimensions, by NiiVue where the wheel was built with it."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from hepacalc.errors import NotThere
from hepacalc.report.language import speaking
from hepacalc.server.access import assessment_of, need, note, study_of
from hepacalc.server.accounts import Identity
from hepacalc.server.foci_view import foci_of
from hepacalc.server.middleware import PAGE_POLICY
from hepacalc.server.stored import record_of
from hepacalc.server.web import language_of, render
from hepacalc.server.worklist import shown

__all__ = ["SPACE_POLICY", "has_niivue", "router"]

router = APIRouter(include_in_schema=False)
Reader = Annotated[Identity, Depends(need("read"))]
SPACE_POLICY = PAGE_POLICY.replace("img-src 'self' blob:", "img-src 'self' data:")
"""Of this page: NiiVue holds the pictures of its letters and its light within itself. No WebAssembly, no worker."""
NIIVUE = "niivue/niivue.js"


def has_niivue() -> bool:
    """Whether this installation was built with NiiVue (``scripts/niivue.py``)."""
    return (resources.files("hepacalc.server") / "static" / NIIVUE).is_file()


@router.get("/assessments/{assessment_id}/space")
def space_page(request: Request, who: Reader, assessment_id: str) -> Response:
    """Scan, liver and foci of one assessment in three planes and in three dimensions."""
    row, _ = assessment_of(request, who, assessment_id)
    record = record_of(request, who, assessment_id)
    if record is None or not has_niivue():
        raise NotThere("there is no view in three dimensions.", hint="Use the viewer of the study's page.")
    study = study_of(request, who, row["study_id"])
    note(request, "study.view", row["study_id"])
    with speaking(language_of(request)):
        foci = foci_of(record)
    page = render(request, "space.html.j2", study=shown(study), assessment=row, foci=foci, niivue=NIIVUE)
    page.headers["content-security-policy"] = SPACE_POLICY
    return page
