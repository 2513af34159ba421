"""Who saw or did what, when: ids only, no names of patients."""

from __future__ import annotations

import logging
from contextlib import nullcontext

from sqlalchemy import Connection, Engine, insert

from hepacalc.server.database import now, writing
from hepacalc.server.tables import audit

__all__ = ["note"]

_LOG = logging.getLogger("hepacalc.server.audit")


def note(
    engine: Engine, action: str, *, user_id: str | None, object_id: str = "", outcome: str = "ok", address: str = "",
    request_id: str = "", within: Connection | None = None,
) -> None:  # fmt: skip
    """Write one line of the audit log, in the database and in the log.

    Args:
        engine: the database.
        action: e.g. ``study.view``, ``sign-in``.
        user_id: who; None when nobody is signed in.
        object_id: of what: our own random id.
        outcome: ``ok`` or ``refused``.
        address: from where.
        request_id: of the request.
        within: a transaction that it is written in; else it is one of its own.
    """
    line = {"action": action[:40], "user_id": user_id, "object_id": object_id[:64], "outcome": outcome,
            "address": address[:64], "request_id": request_id[:32]}  # fmt: skip
    with writing(engine) if within is None else nullcontext(within) as connection:
        connection.execute(insert(audit).values(at=now(), **line))
    _LOG.info("audit", extra={name: value for name, value in line.items() if value})
