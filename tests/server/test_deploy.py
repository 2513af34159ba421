"""The unit of deploy/: systemd's own check."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "hepacalc.service"


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    place = tmp_path / UNIT.name
    # user and program are not on this machine
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE)
    place.write_text(text.replace("User=hepacalc", "User=daemon"), "utf-8")
    done = subprocess.run([analyze, "verify", str(place)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", str(place)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout[-400:]
