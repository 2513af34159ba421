"""Driver and workers killed in the middle: the same command goes on, nothing twice, nothing lost."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from hepacalc.cohort import driver
from hepacalc.cohort.executor import Job, make_executor
from hepacalc.cohort.ledger import LEDGER, Ledger
from hepacalc.cohort.run import Options, run_cohort
from hepacalc.cohort.schema import COMPARED
from hepacalc.cohort.scratch import PREFIX, sweep
from hepacalc.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ASSESS", "tests.cohort_fakes:assess")
    monkeypatch.setattr(driver, "WARM", "tests.cohort_fakes:ready")


def studies(root: Path, **kinds: int) -> Path:
    """Stand-ins for studies: files that say what is to happen."""
    root.mkdir()
    for kind, count in kinds.items():
        for k in range(count):
            (root / f"{kind}-{k:03d}.nii").write_bytes(f"{kind:<8}{k}".encode())
    return root


def table(out: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as held:
        for name in (*COMPARED, "runs"):
            held.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{out / 'tables' / name}.parquet')")
        return held.execute(query).fetchall()


def worked(root: Path) -> Counter[str]:
    return Counter((root.parent / "worked.log").read_text().splitlines())


def options(**more: object) -> Options:
    return Options(workers=2, threads=1, memory_mb=4000, **more)  # type: ignore[arg-type]


def test_deadly_studies_are_listed_and_take_nobody_with_them(tmp_path: Path, fakes: None):
    root = studies(tmp_path / "in", good=12, dead=1, once=1, refuse=2)
    (root / "copy.nii").write_bytes((root / "good-003.nii").read_bytes())
    found = run_cohort(root, tmp_path / "out", options())
    assert found.counts == {"done": 13, "duplicate": 1, "failed": 3}
    assert found.failures == [("LIV-01", "NoUsableLiver", 2), ("RUN-03", "WorkerLost", 1)]
    counts = worked(root)
    assert counts["dead-000.nii"] == 4, "a lost worker is tried again, but not for ever"
    assert counts["once-000.nii"] == 2
    assert counts["refuse-000.nii"] == 1, "a bad input is not"
    assert sum(counts[name] for name in ("good-003.nii", "copy.nii")) == 1, "the same content is done once"
    again = run_cohort(root, tmp_path / "out", options())
    assert (again.attempted, again.counts) == (0, found.counts)
    assert worked(root) == counts
    repeated = run_cohort(root, tmp_path / "out", options(again=("RUN-03",)))
    assert repeated.attempted == 4
    rows = table(tmp_path / "out", "SELECT what, studies FROM flow ORDER BY step")
    assert dict(rows) == {"found": 17, "gone": 0, "duplicate": 1, "waiting": 0, "failed": 3, "assessed": 13}
    assert table(tmp_path / "out", "SELECT copies FROM studies WHERE source='copy.nii'") == [(2,)]


def test_driver_killed_in_the_middle(tmp_path: Path, fakes: None):
    root = studies(tmp_path / "in", slow=24, refuse=2)
    command = [sys.executable, "-m", "tests.cohort_fakes", str(root), str(tmp_path / "out"), "local", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    driver = subprocess.Popen(command, cwd=ROOT, env=environment)
    log = root.parent / "worked.log"
    until = time.monotonic() + 120
    while (not log.exists() or len(log.read_text().splitlines()) < 8) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    with Ledger(tmp_path / "out" / LEDGER) as ledger:
        before = ledger.counts()
        done = {row[0] for row in ledger.db.execute("SELECT source FROM studies WHERE status='done'")}
    assert 0 < before.get("done", 0) < 24
    first = worked(root)
    found = run_cohort(root, tmp_path / "out", options())
    assert found.counts == {"done": 24, "failed": 2}
    twice = {name for name, count in (worked(root) - first).items() if count and name in done}
    assert not twice, "what was done stays done"
    rows = table(tmp_path / "out", "SELECT source, count(*) FROM runs WHERE status='done' GROUP BY 1")
    assert sorted(count for _, count in rows) == [1] * 24


def test_what_a_killed_machine_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, other = tmp_path / f"{PREFIX}left", tmp_path / "other"
    for folder in (left, other):
        folder.mkdir()
        (folder / "000001.dcm").write_bytes(b"a scan")
    executor = make_executor("local", workers=1, threads=1)
    assert (left.exists(), other.exists()) == (False, True)
    executor.submit(Job(1, "tests.cohort_fakes:nap", 60.0, 200.0, 4000.0))
    used = set(tmp_path.iterdir()) - {other}
    assert len(used) == 1
    sweep()
    assert set(tmp_path.iterdir()) - {other} == used, "a worker that lives keeps its own"
    executor.close()
    assert list(tmp_path.iterdir()) == [other]


def test_workers_end_when_the_driver_is_killed(tmp_path: Path):
    code = (
        "import time, sys; from hepacalc.cohort.executor import *; e = make_executor('local', workers=1, threads=1);"
        "e.submit(Job(1, 'tests.cohort_fakes:nap', 100.0, 200, 4000)); print(e._workers[0].process.pid, flush=True);"
        "e.ended(100)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "TMPDIR": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=environment)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    time.sleep(1.0)
    assert len(list(tmp_path.iterdir())) == 1, "its folder for temporary files"
    driver.kill()
    driver.wait()
    driver.stdout.close()
    until = time.monotonic() + 60
    while Path(f"/proc/{worker}/stat").exists() and time.monotonic() < until:
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
            break  # gone, and nobody has asked for its status
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{worker}").exists()
    assert list(tmp_path.iterdir()) == [], "nothing of a study is left behind"


def test_new_and_changed_studies_only(tmp_path: Path, fakes: None):
    root = studies(tmp_path / "in", good=4)
    run_cohort(root, tmp_path / "out", options())
    (root / "new.nii").write_bytes(b"good new")
    (root / "good-001.nii").write_bytes(b"good otherwise")
    (root / "good-002.nii").unlink()
    found = run_cohort(root, tmp_path / "out", options())
    assert found.attempted == 2
    assert found.counts == {"done": 4, "gone": 1}


def test_patient_table_and_its_change(tmp_path: Path, fakes: None):
    root = studies(tmp_path / "in", good=3)
    people = tmp_path / "people.csv"
    people.write_text("study,age,sex,site\ngood-000.nii,61,male,North\ngood-001.nii,50,female,\n", "utf-8")
    run_cohort(root, tmp_path / "out", options(patients=people))
    rows = table(tmp_path / "out", "SELECT source, age_years, sex, site FROM studies ORDER BY 1")
    assert rows == [
        ("good-000.nii", 61.0, "male", "North"),
        ("good-001.nii", 50.0, "female", None),
        ("good-002.nii", None, None, None),
    ]
    people.write_text(people.read_text("utf-8").replace("61", "62"), "utf-8")
    found = run_cohort(root, tmp_path / "out", options(patients=people))
    assert found.attempted == 1
    with pytest.raises(UsageError, match="--patients"):
        run_cohort(None, tmp_path / "out", options(), as_before=True)
    people.write_text("name\nx\n", "utf-8")
    with pytest.raises(UsageError, match="study"):
        run_cohort(root, tmp_path / "out", options(patients=people))
