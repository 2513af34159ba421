"""REST: the knowledge base, as it is used here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from hepacalc.errors import NotThere
from hepacalc.server.access import need
from hepacalc.server.accounts import Identity
from hepacalc.server.stored import knowledge_of

__all__ = ["router"]

router = APIRouter(prefix="/api/knowledge", tags=["knowledge"])
Reader = Annotated[Identity, Depends(need("read"))]


@router.get("")
def overview(request: Request, _who: Reader) -> dict[str, Any]:
    """Version, and the causes by id with their names."""
    base = knowledge_of(request)
    return {"version": base.version, "causes": {key: dict(cause.name) for key, cause in base.causes.items()}}


@router.get("/sources/{source_id}")
def source(request: Request, _who: Reader, source_id: str) -> dict[str, Any]:
    """One source: its citation and whether it was read."""
    found = knowledge_of(request).sources.get(source_id)
    if found is None:
        raise NotThere("there is no such source.", hint="Look at the knowledge pages.")
    return {"id": found.id, "citation": found.citation, "status": found.status}
