"""Who saw or did what, when: ids only, no names of patients."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

from sqlalchemy import Connection, Engine, insert

from hepacalc.server.database import now, writing
from hepacalc.server.tables import audit

__all__ = ["SEEN_S", "Seen", "note"]

SEEN_S = 300.0
"""So long one line says that somebody looks at a study: not one for each of a thousand slices."""
_MOST_SEEN = 10_000
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


class Seen:
    """Looks at studies that were noted lately. Of one process: after a restart a look is noted once more.

    Args:
        clock: seconds, of any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last, self._lock = clock, dict[tuple[str, ...], float](), threading.Lock()

    def is_new(self, *look: str) -> bool:
        """Whether a look (who, from where, how, at what) is to be noted: the first, and one in :data:`SEEN_S`."""
        moment = self._clock()
        with self._lock:
            if moment - self._last.get(look, -SEEN_S) < SEEN_S:
                return False
            if len(self._last) >= _MOST_SEEN:
                self._last.clear()
            self._last[look] = moment
            return True
