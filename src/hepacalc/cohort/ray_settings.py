"""With what Ray is started: it reads these when it is imported, so they are set before that."""

from __future__ import annotations

import os

__all__ = ["QUIET", "set_quiet"]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Nothing is told to anyone, one try for each task, and patience with a busy machine."""


def set_quiet() -> None:
    """Set them, where the site has not set its own."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
