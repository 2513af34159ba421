"""Every executor passes the contract; what is particular to one follows."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.executor_contract import check_outcomes, check_warmth, job, outcomes

from hepacalc.cohort.executor import make_executor
from hepacalc.errors import MissingDependency, UsageError

ROOT = Path(__file__).resolve().parents[2]


def test_local_executor():
    executor = make_executor("local", workers=2, threads=1, recycle=50)
    check_outcomes(executor)
    check_warmth(executor)
    executor.close()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
def test_ray_executor():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-m", "tests.executor_contract", "ray"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.stdout.endswith("passed\n"), done.stderr[-3000:]


def test_a_worker_is_replaced_after_its_share():
    executor = make_executor("local", workers=1, threads=1, recycle=2)
    found = outcomes(executor, [job(k, "whoami", None) for k in range(5)])
    executor.close()
    assert [len({found[k].value for k in pair}) for pair in ((0, 1), (2, 3), (1, 2))] == [1, 1, 2]


def test_workers_end_with_the_executor():
    executor = make_executor("local", workers=1, threads=1)
    executor.submit(job(1, "nap", 50.0))
    pids = [worker.process.pid for worker in executor._workers]  # type: ignore[attr-defined]
    executor.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_unknown_engines_are_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="nothing"):
        make_executor("nothing", workers=1, threads=1)
    with pytest.raises(UsageError, match="--address"):
        make_executor("local", workers=1, threads=1, address="somewhere:1")

    def gone(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("hepacalc.cohort.executor.import_module", gone)
    monkeypatch.setattr("hepacalc.cohort.executor.set_quiet", lambda: None)
    with pytest.raises(MissingDependency, match="ray") as caught:
        make_executor("ray", workers=1, threads=1)
    assert "hepacalc[ray]" in caught.value.hint
