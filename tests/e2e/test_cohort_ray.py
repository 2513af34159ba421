"""The same run on a Ray cluster: the same tables, and a node that is killed takes nothing with it."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hepacalc.cohort import driver
from hepacalc.cohort.run import Options, run_cohort
from hepacalc.cohort.schema import COMPARED

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray"),
]


def test_two_nodes_one_killed_and_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "in"
    root.mkdir()
    for kind, count in (("slow", 40), ("refuse", 3)):
        for k in range(count):
            (root / f"{kind}-{k:03d}.nii").write_bytes(f"{kind:<8}{k}".encode())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-m", "tests.cohort_ray_scene", str(root), str(tmp_path / "ray"), "10"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["counts"] == {"done": 40, "failed": 3}
    assert told["failures"] == [["LIV-01", "NoUsableLiver", 3]]
    assert told["killed"], "the node was killed"
    assert told["killed"][0] < 43, "in the middle"
    assert told["nodes"] == 1
    worked = Counter((tmp_path / "worked.log").read_text().splitlines())
    assert sum(worked.values()) <= 43 + 4, "only what was on the lost node is done again"
    monkeypatch.setattr(driver, "ASSESS", "tests.cohort_fakes:assess")
    monkeypatch.setattr(driver, "WARM", "tests.cohort_fakes:ready")
    run_cohort(root, tmp_path / "local", Options(workers=1, threads=1, memory_mb=4000))
    for name in COMPARED:
        one, two = (tmp_path / engine / "tables" / f"{name}.parquet" for engine in ("ray", "local"))
        assert one.read_bytes() == two.read_bytes(), name
