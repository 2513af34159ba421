"""The same on PostgreSQL: queue, worklist, sign-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_settings import small
from sqlalchemy import Engine, func, inspect, select

from hepacalc.errors import Unavailable
from hepacalc.server import worker
from hepacalc.server.accounts import Identity, add_user, begin_session, of_session, sign_in
from hepacalc.server.database import open_database, reading, writing
from hepacalc.server.faults import Conflict, NotSignedIn
from hepacalc.server.jobs import Work, claim, enqueue, finish
from hepacalc.server.receive import receive_instance
from hepacalc.server.tables import SCHEMA_VERSION, jobs, metadata, schema, uploads
from hepacalc.server.worker import open_site
from hepacalc.server.worklist import count_of, page_of
from server_help import PASSWORD, add_study

postgres_server = pytest.importorskip("postgres_server", reason="needs tests/postgres_server.py", exc_type=ImportError)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if reason := postgres_server.missing():
        pytest.skip(reason)
    with postgres_server.server() as found:
        yield found


@pytest.fixture(scope="module")
def site(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    data: Path = tmp_path_factory.mktemp("pg") / "data"
    data.mkdir()
    opened = open_site(small(data, database=url))
    yield opened
    opened.engine.dispose()


def test_many_workers_never_share_a_job(site):
    with writing(site.engine) as connection:
        for k in range(30):
            enqueue(connection, Work("view", f"k{k}"))
            enqueue(connection, Work("view", f"k{k}"))
    taken: list[str] = []

    def take(name: str) -> None:
        while (job := claim(site.engine, name, lease_s=60)) is not None:
            taken.append(job.id)
            with writing(site.engine) as connection:
                finish(connection, job, {"by": name})

    threads = [threading.Thread(target=take, args=(f"w{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 30
    with reading(site.engine) as connection:
        assert connection.execute(select(func.count()).where(jobs.c.state == "done")).scalar() == 30


def test_the_worklist_pages_and_finds(site):
    for k in range(5):
        add_study(site, name=f"Müller^Ann{k}", accession=f"A{k}")
    add_study(site, name="王^小东")
    add_study(site, team="B", name="Müller^Other")
    who = Identity("u", "u", "read", "A")
    with reading(site.engine) as connection:
        first, after = page_of(connection, who, limit=4)
        second, end = page_of(connection, who, limit=4, after=after)
        assert len({row["id"] for row in first + second}) == 6
        assert end == ""
        assert len(page_of(connection, who, search="müll ann3")[0]) == 1
        assert len(page_of(connection, who, search="王")[0]) == 1
        assert count_of(connection, who) == {"waiting": 6}


def test_signing_in_and_a_name_that_is_taken(site):
    add_user(site.engine, "anna", "assess", password=PASSWORD)
    with pytest.raises(Conflict):
        add_user(site.engine, "anna", "read", password=PASSWORD)
    with pytest.raises(NotSignedIn):
        sign_in(site.engine, site.settings, "anna", "wrong wrong", "1")
    user = sign_in(site.engine, site.settings, "anna", PASSWORD, "1")
    found = of_session(site.engine, site.settings, begin_session(site.engine, user))
    assert found is not None
    assert found.name == "anna"


def test_instances_of_one_study_make_one_upload(site):
    ids = {
        receive_instance(site.engine, site.settings, source="dicom:X", team="A", study_uid="1.2", sop_uid=f"{k}",
                         data=[b"x"])
        for k in range(3)
    }  # fmt: skip
    assert len(ids) == 1
    with reading(site.engine) as connection:
        assert connection.execute(select(func.count()).select_from(uploads)).scalar() == 1


def test_a_database_of_the_version_before_is_brought_up_by_one_of_several_processes(url: str, tmp_path: Path):
    settings = small(tmp_path, database=postgres_server.empty_database(url, "before"))
    engine = open_database(settings)
    with writing(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN trace")
        connection.execute(schema.update().values(version=1))
    add_user(engine, "anna", "assess", password=PASSWORD)
    opened: list[Engine] = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(settings))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4, "nobody failed"
    with writing(opened[0]) as connection:
        assert connection.execute(select(schema.c.version)).scalars().all() == [SCHEMA_VERSION]
        enqueue(connection, Work("view", "k"))
    job = claim(opened[1], "w", lease_s=60)
    assert job is not None
    assert sign_in(opened[2], settings, "anna", PASSWORD, "1"), "what was held is there still"
    held = {table: {column["name"] for column in inspect(engine).get_columns(table)} for table in metadata.tables}
    assert held == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}
    for one in (engine, *opened):
        one.dispose()


def test_a_database_that_is_lost_is_waited_for(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site = open_site(small(tmp_path, database=postgres_server.empty_database(url, "lost")))
    done: list[str] = []

    def finished(site, job):
        with writing(site.engine) as connection:
            finish(connection, job, {})
        done.append(job.id)

    def queue(key: str) -> str:
        with writing(site.engine) as connection:
            return enqueue(connection, Work("view", key))

    def waits_for(job_id: str) -> bool:
        end = time.monotonic() + 30
        while job_id not in done and time.monotonic() < end:
            time.sleep(0.05)
        return job_id in done

    monkeypatch.setattr(worker, "run_job", finished)
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(site, "w"), kwargs={"stopped": stop.is_set}, daemon=True)
    thread.start()
    try:
        assert waits_for(queue("before"))
        with reading(site.engine) as kept:  # a connection in the midst of its work
            with postgres_server.away(url):
                with pytest.raises(Unavailable), reading(site.engine) as connection:
                    connection.execute(select(jobs.c.id))
                with pytest.raises(Unavailable):
                    queue("meanwhile")
                time.sleep(0.6)
            kept.invalidate()
        assert thread.is_alive(), "the worker waits"
        assert waits_for(queue("after"))
    finally:
        stop.set()
        thread.join(30)
        site.engine.dispose()
