"""Settings of the tests, for other processes too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hepacalc.server.settings import Limits, Settings


def small(data: Path, **more: Any) -> Settings:
    """Names and passwords, small limits, short waits."""
    limits = Limits(
        upload_bytes=4_000_000, upload_files=40, unpacked_bytes=8_000_000, pixels=2_000_000, request_bytes=100_000,
        job_s=120, tries=2, sign_in_tries=3,
    )  # fmt: skip
    return Settings(**{"data": data, "login": "users", "limits": limits, "quiet_s": 0.3, "lease_s": 2.0} | more)
