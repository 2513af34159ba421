"""Work that survives whoever does it, and counts once."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sleepy_kind
from small_settings import small
from sqlalchemy import func, select

from hepacalc.errors import OutputError, TooLarge
from hepacalc.server import worker
from hepacalc.server.database import now, open_database, reading, writing
from hepacalc.server.faults import Conflict, UnfinishedJob
from hepacalc.server.files import Store, commit_folder
from hepacalc.server.jobs import Work, claim, enqueue, finish, heartbeat, put_back, release, set_aside
from hepacalc.server.receive import earlier_upload, receive, receive_instance, sweep
from hepacalc.server.settings import Settings
from hepacalc.server.tables import instances, jobs, studies, uploads
from hepacalc.server.worker import open_site, run_job
from server_help import dicom_bytes


@pytest.fixture
def site(tmp_path: Path):
    opened = open_site(small(tmp_path / "data"))
    yield opened
    opened.engine.dispose()


def queue_one(site, kind: str = "intake", **more) -> str:
    with writing(site.engine) as connection:
        return enqueue(connection, Work(kind, more.pop("key", "k"), **more))


def state(site, job_id: str):
    with reading(site.engine) as connection:
        return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one()


def test_the_same_work_is_queued_once(site):
    assert queue_one(site) == queue_one(site)
    assert queue_one(site, key="other") != queue_one(site)


def test_a_job_belongs_to_one_worker_until_its_lease_ends(site):
    job_id = queue_one(site)
    first = claim(site.engine, "one", lease_s=0.2)
    assert first is not None
    assert claim(site.engine, "two", lease_s=30) is None
    heartbeat(site.engine, first, lease_s=0.2, stage="reading", share=0.5)
    assert (state(site, job_id)["stage"], state(site, job_id)["share"]) == ("reading", 0.5)
    time.sleep(0.3)
    second = claim(site.engine, "two", lease_s=30)
    assert second is not None
    assert second.starts == 2
    with pytest.raises(Conflict):
        heartbeat(site.engine, first, lease_s=30)
    with pytest.raises(Conflict), writing(site.engine) as connection:
        finish(connection, first, {})
    with writing(site.engine) as connection:
        finish(connection, second, {"a": 1})
    assert state(site, job_id)["result"] == {"a": 1}
    assert claim(site.engine, "one", lease_s=30) is None


def test_many_workers_never_share_a_job(site):
    for k in range(40):
        queue_one(site, key=f"k{k}")
    taken: list[str] = []

    def take(name: str) -> None:
        while (job := claim(site.engine, name, lease_s=60)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(f"w{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40


def test_priority_goes_first_and_waiting_work_waits(site):
    queue_one(site, key="low")
    high = queue_one(site, key="high", priority=5)
    queue_one(site, key="later", priority=9, not_before=now() + 60)
    found = claim(site.engine, "w", lease_s=60)
    assert found is not None
    assert found.id == high


def test_jobs_of_a_dead_worker_are_given_back(site):
    job_id = queue_one(site)
    assert claim(site.engine, "w_1", lease_s=600)
    assert release(site.engine, "w%1") == 0, "no pattern"
    assert release(site.engine, "w_1") == 1
    assert state(site, job_id)["state"] == "queued"


# ---------------------------------------------------------------- the process of a job


@pytest.fixture
def sleepy(monkeypatch: pytest.MonkeyPatch):
    """A kind of job that does as it is told: sleeps, dies, takes memory, fails."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(worker, "COMMAND", sleepy_kind.COMMAND)


def do(site, **payload):
    job_id = queue_one(site, "sleepy", key=repr(sorted(payload.items())), payload=payload)
    for _ in range(5):
        job = claim(site.engine, "w", lease_s=30)
        if job is None:
            break
        run_job(site, job)
        with writing(site.engine) as connection:
            connection.execute(jobs.update().values(not_before=0.0))
    return state(site, job_id)


def test_a_job_that_kills_its_process_is_set_aside_after_its_tries(site, sleepy):
    found = do(site, act="die")
    assert (found["state"], found["error_code"], found["starts"]) == ("failed", "SRV-08", 2)
    assert "SIGSEGV" in found["error"]


def test_a_job_that_takes_too_much_memory(site, sleepy):
    found = do(site, act="eat")
    assert (found["state"], found["error_code"]) == ("failed", "SRV-08")
    assert "memory" in found["error"]


def test_a_job_that_takes_too_long(site, sleepy):
    limits = dataclasses.replace(site.settings.limits, job_s=2, tries=1)
    short = dataclasses.replace(site, settings=dataclasses.replace(site.settings, limits=limits))
    found = do(short, act="sleep")
    assert (found["state"], found["error_code"]) == ("failed", "SRV-08")
    assert "longer" in found["error"]


def test_an_error_of_ours_is_not_tried_again_and_a_fault_names_no_text(site, sleepy):
    found = do(site, act="refuse")
    assert (found["state"], found["error_code"], found["starts"]) == ("failed", "IN-02", 1)
    found = do(site, act="fault")
    assert (found["state"], found["starts"]) == ("failed", 2)
    assert "KeyError" in found["error"]
    assert "DOE" not in found["error"]


def test_a_full_disk_is_waited_for_and_not_counted(site, sleepy):
    job_id = queue_one(site, "sleepy", payload={"act": "full"})
    for _ in range(3):
        job = claim(site.engine, "w", lease_s=30)
        assert job is not None
        run_job(site, job)
        found = state(site, job_id)
        assert (found["state"], found["tries"], found["error_code"]) == ("queued", 0, "OUT-01")
        assert found["not_before"] > now()
        with writing(site.engine) as connection:
            connection.execute(jobs.update().values(not_before=0.0))


def test_a_poison_job_does_not_block_the_next_one(site, sleepy):
    queue_one(site, "sleepy", key="bad", payload={"act": "die"}, priority=9)
    good = queue_one(site, "sleepy", key="good", payload={"act": "work"})
    for _ in range(2):
        job = claim(site.engine, "w", lease_s=30)
        assert job is not None
        run_job(site, job)
    assert state(site, good)["state"] == "done", "while the bad one waits for its next try"


# ---------------------------------------------------------------- what comes in


def test_what_is_acknowledged_is_on_disk_and_queued(site):
    with receive(site.engine, site.settings, source="api", user_id="u", team="A") as upload:
        upload.add([b"abc", b"def"], "x.nii.gz")
    assert (site.store.incoming(upload.id) / "000000.nii.gz").read_bytes() == b"abcdef"
    assert state(site, upload.job_id)["state"] == "queued"


def test_an_upload_that_breaks_leaves_nothing(site):
    def send() -> None:
        with receive(site.engine, site.settings, source="api", user_id="u", team="A") as upload:
            upload.add([b"a" * 3_000_000])
            upload.add([b"a" * 3_000_000])

    with pytest.raises(TooLarge):
        send()
    assert list((site.settings.data / "incoming").iterdir()) == []
    with reading(site.engine) as connection:
        assert connection.execute(select(func.count()).select_from(uploads)).scalar() == 0


KILLED = """
import os, sys
from pathlib import Path
from hepacalc.server.receive import receive
from hepacalc.server.settings import Settings
from hepacalc.server.worker import open_site
site = open_site(Settings(data=Path(sys.argv[1])))
with receive(site.engine, site.settings, source="api", user_id="u", team="A", key="K") as upload:
    upload.add([b"a"])
    print("there", flush=True)
    sys.stdin.read(1)
"""


def test_what_a_killed_process_was_receiving_is_forgotten_at_once(site):
    def send() -> None:
        with receive(site.engine, site.settings, source="api", user_id="u", team="A", key="K") as upload:
            upload.add([b"a"])

    command = [sys.executable, "-c", KILLED, str(site.settings.data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"there\n"
        assert sweep(site.engine, site.settings) == 0, "it lives, and is still sending"
        assert earlier_upload(site.engine, site.settings, "u", "K") is not None
        with pytest.raises(Conflict):
            send()
        other.kill()
        other.wait()
    assert earlier_upload(site.engine, site.settings, "u", "K") is None, "the same key may be used again"
    assert list((site.settings.data / "incoming").iterdir()) == []
    send()
    assert sweep(site.engine, site.settings) == 0
    found = earlier_upload(site.engine, site.settings, "u", "K")
    assert found is not None
    assert found[1] == "received"


def test_instances_that_come_one_by_one_are_filed_together_and_once(site):
    for k in (1, 2, 3, 3):
        data = dicom_bytes(study="1.2.5", sop=f"1.2.5.{k}", number=k)
        receive_instance(site.engine, site.settings, source="dicom:CT", team="A", study_uid="1.2.5", sop_uid=f"s{k}",
                         data=[data])  # fmt: skip
    assert claim(site.engine, "w", lease_s=30) is None, "the study is not quiet yet"
    time.sleep(0.4)
    job = claim(site.engine, "w", lease_s=30)
    assert job is not None
    late = dicom_bytes(study="1.2.5", sop="1.2.5.9", number=9)
    receive_instance(site.engine, site.settings, source="dicom:CT", team="A", study_uid="1.2.5", sop_uid="s9",
                     data=[late])  # fmt: skip
    run_job(site, job)
    assert count(site, instances) == 3
    time.sleep(0.4)
    job = claim(site.engine, "w", lease_s=30, kinds=("intake",))
    assert job is not None
    run_job(site, job)
    assert (count(site, instances), count(site, studies)) == (4, 1)
    with reading(site.engine) as connection:
        kinds = connection.execute(select(jobs.c.kind)).scalars().all()
    assert sorted(kinds) == ["assess", "assess", "intake", "intake"], "the study grew: it is assessed as it is now"


def count(site, table) -> int:
    with reading(site.engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar() or 0


def test_an_intake_that_is_done_twice_files_once(site):
    with receive(site.engine, site.settings, source="api", user_id="u", team="A") as upload:
        upload.add([dicom_bytes()], "a.dcm")
    job = claim(site.engine, "w", lease_s=30)
    assert job is not None
    kept = site.store.incoming(upload.id)
    copy = [(p.name, p.read_bytes()) for p in kept.iterdir()]
    run_job(site, job)
    # as if the worker had been killed before the last transaction
    kept.mkdir()
    for name, data in copy:
        (kept / name).write_bytes(data)
    with writing(site.engine) as connection:
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(state="queued", lease_until=None))
    again = claim(site.engine, "w", lease_s=30, kinds=("intake",))
    assert again is not None
    run_job(site, again)
    assert (count(site, studies), count(site, instances), count(site, jobs)) == (1, 1, 2)


def test_a_folder_of_results_is_there_whole_and_once(tmp_path: Path):
    for text in ("first", "second"):
        made = tmp_path / "made"
        made.mkdir()
        (made / "a").write_text(text)
        there = commit_folder(made, tmp_path / "results" / "x")
        assert there == (text == "second")
    assert (tmp_path / "results" / "x" / "a").read_text() == "first"
    assert not made.exists()


def test_a_file_is_written_whole_or_not(tmp_path: Path):
    store = Store(tmp_path)
    (tmp_path / "incoming" / "u").mkdir(parents=True)
    from hepacalc.server.files import write_whole

    def broken():
        yield b"abc"
        raise OSError("line")

    with pytest.raises(OSError, match="line"):
        write_whole(store.incoming("u") / "f", broken(), most=10)
    assert list(store.incoming("u").iterdir()) == []


def test_two_databases_of_other_versions_are_refused(tmp_path: Path):
    from hepacalc.errors import UsageError
    from hepacalc.server.tables import schema

    settings = Settings(data=tmp_path)
    engine = open_database(settings)
    with writing(engine) as connection:
        connection.execute(schema.update().values(version=99))
    engine.dispose()
    with pytest.raises(UsageError, match="version"):
        open_database(settings)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_resumed(site, sleepy, tmp_path: Path):
    """kill -9 of a worker and of the process of its job, at moments through the work: each job counts once."""
    log = tmp_path / "log"
    for k in range(6):
        queue_one(site, "sleepy", key=f"k{k}", payload={"act": "write", "log": str(log), "n": k})
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import sleepy_kind;"
        "from hepacalc.server import worker; worker.COMMAND = sleepy_kind.COMMAND;"
        "from small_settings import small; from hepacalc.server.worker import open_site, work;"
        "work(open_site(small(Path(sys.argv[1]), lease_s=1.0)), sys.argv[3], stopped=lambda: False)"
    )
    place = [str(site.settings.data), str(Path(__file__).parent)]
    for round_ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, *place, f"w{round_}"], stderr=subprocess.DEVNULL)
        try:
            if round_ < 3:
                until(
                    site, lambda row, mine=f"w{round_}/": row["state"] == "running" and row["worker"].startswith(mine)
                )
                time.sleep(0.3 * round_)
            else:
                until(site, lambda row: row["state"] == "done", count=6)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert sorted(log.read_text().split()) == ["0", "1", "2", "3", "4", "5"], "committed once each"
    with reading(site.engine) as connection:
        assert connection.execute(select(func.sum(jobs.c.starts))).scalar() > 6, "some were begun again"


def until(site, is_so, count: int = 1) -> None:
    """Wait until so many jobs are as wanted."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with reading(site.engine) as connection:
            if sum(is_so(row) for row in connection.execute(select(jobs)).mappings()) >= count:
                return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_put_back_and_set_aside_need_the_claim(site):
    queue_one(site)
    job = claim(site.engine, "w", lease_s=0.0)
    assert job is not None
    time.sleep(0.05)
    assert claim(site.engine, "v", lease_s=60) is not None
    with pytest.raises(Conflict):
        put_back(site.engine, job, OutputError("x", hint="y"), after_s=0, counts=False)
    with pytest.raises(Conflict), writing(site.engine) as connection:
        set_aside(connection, job, UnfinishedJob("x", hint="y"))


def test_a_database_of_the_version_before_is_brought_up_and_keeps_what_it_holds(tmp_path: Path):
    from sqlalchemy import inspect

    settings = small(tmp_path / "data")
    engine = open_database(settings)
    with writing(engine) as connection:
        job = enqueue(connection, Work("view", "of old"))
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN trace")
        connection.exec_driver_sql("UPDATE server_schema SET version = 1")
    engine.dispose()
    engine = open_database(settings)
    assert "trace" in {column["name"] for column in inspect(engine).get_columns("jobs")}
    found = claim(engine, "test", lease_s=30)
    assert found is not None
    assert (found.id, found.trace) == (job, None)
    engine.dispose()
    open_database(settings).dispose()
