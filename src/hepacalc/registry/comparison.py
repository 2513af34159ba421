"""``comparison.json`` as the registry reads it: which lesion of the later exam is which of the earlier one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hepacalc.errors import InvalidAssessment
from hepacalc.registry.intake import LesionLink

__all__ = ["links_of", "read_links"]

LARGEST = 64 * 2**20
_AGAIN = "Compare the exams again."


def read_links(path: Path) -> tuple[LesionLink, ...]:
    """Read what a comparison says of each lesion.

    Raises:
        InvalidAssessment: the file cannot be read, or is no comparison.
    """
    try:
        text = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as fault:
        raise InvalidAssessment(
            f"the comparison {path.name} cannot be read: {os.strerror(fault.errno or 0)}.", hint=_AGAIN
        ) from fault
    try:
        return links_of(json.loads(text))
    except (ValueError, RecursionError) as fault:
        raise InvalidAssessment(f"{path.name} is no JSON document.", hint=_AGAIN) from fault


def links_of(document: Any) -> tuple[LesionLink, ...]:
    """Return the links of a document: ``{"links": [{"prior": UID or null, "current": UID or null, "status": ...}]}``.

    Raises:
        InvalidAssessment: it is none.
    """
    links = document.get("links") if isinstance(document, dict) else None
    if not isinstance(links, list):
        raise InvalidAssessment("the comparison names no links of lesions.", hint=_AGAIN)
    return tuple(_link(one) for one in links)


def _link(told: Any) -> LesionLink:
    if isinstance(told, dict):
        prior, current, status = (told.get(name) for name in ("prior", "current", "status"))
        if isinstance(status, str) and isinstance(prior, str | None) and isinstance(current, str | None):
            return LesionLink(prior, current, status)
    raise InvalidAssessment("a link of the comparison has no status, or a UID that is none.", hint=_AGAIN)
