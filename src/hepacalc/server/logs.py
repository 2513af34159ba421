"""Log lines as JSON, one a line, without a word from any study: ids, codes, numbers and routes only."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonLines", "set_up_logs"]

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats records of our own loggers.

    A foreign library's message may quote what it chokes on, so only its logger, level and, for an error, the type of
    the exception are kept.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        ours = record.name.startswith("hepacalc.")
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.msg if ours else "message of a library, not shown",
        }
        if ours:
            line |= {k: v for k, v in record.__dict__.items() if k not in _OWN and isinstance(v, str | int | float)}
        if record.exc_info and record.exc_info[0] is not None:
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else ""
            line["exception"] = record.exc_info[0].__name__ + where
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up_logs(level: str = "INFO") -> None:
    """Send every log line to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "pynetdicom", "sqlalchemy", "httpx", "authlib"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel("WARNING")
