"""Files that are damaged, strange or newer; writers that are killed, without room, or two at once."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import postgres_server
import registry_crashes as crashes
from hepacalc.errors import (
    DamagedRegistry,
    MissingDependency,
    NewerRegistry,
    RegistryBusy,
    RegistryError,
    UsageError,
)
from hepacalc.registry import database as databases
from hepacalc.registry.check import check
from hepacalc.registry.database import VERSIONS, open_database
from hepacalc.registry.exchange import export_to, import_from
from hepacalc.registry.identity import Identity
from hepacalc.registry.store import Registry
from hepacalc.registry.tables import METADATA
from registry_scenes import NOW, exam

VERSION_OF = "select version_num from alembic_version"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "registry.sqlite")
    return postgres_server.empty_database(request.getfixturevalue("postgresql"), "hepacalc_safety")


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A registry with two patients, closed."""
    path = tmp_path / "held.sqlite"
    with Registry.open(path, create=True) as registry:
        for number in (1, 2):
            registry.add(exam(number), key=f"P{number}", now=NOW, by="tester")
    return path


def files(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.parent.iterdir()}


# ---------------------------------------------------------------- versions


def test_the_versions_are_those_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", "hepacalc.registry:migrations")
    script = ScriptDirectory.from_config(config)
    assert tuple(one.revision for one in reversed(list(script.walk_revisions()))) == VERSIONS


def test_migrations_make_the_tables_of_the_code(place: str):
    database = open_database(place, create=True)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    database.close()


def test_an_older_registry_is_brought_up_with_all_it_holds(place: str):
    with Registry.open(place, create=True) as registry:
        registry.add(exam(1), key="P1", now=NOW, by="tester")
        head = check(registry.database).head
        with registry.database.writing() as connection:
            connection.execute(text("drop table link"))
            connection.execute(text(f"update alembic_version set version_num = '{VERSIONS[0]}'"))
    with Registry.open(place) as registry:
        with registry.database.reading() as connection:
            assert connection.scalar(text(VERSION_OF)) == VERSIONS[-1]
        found = check(registry.database)
        assert (found.faults, found.head) == ((), head)


def test_a_registry_of_a_newer_version_is_refused_and_not_changed(place: str):
    with Registry.open(place, create=True) as registry, registry.database.writing() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    before = None if databases.is_url(place) else files(Path(place))
    with pytest.raises(NewerRegistry, match="9999"):
        Registry.open(place, create=True)
    if before is not None:
        assert files(Path(place)) == before


# ---------------------------------------------------------------- files that are none


@pytest.mark.parametrize("bytes_", [b"x", b"SQLite format 2\0" * 100, b"\0" * 5000, b"PK\x03\x04" + b"a" * 4000])
def test_a_file_of_something_else_is_refused_and_not_changed(folder: Path, bytes_: bytes):
    path = folder / "other"
    path.write_bytes(bytes_)
    with pytest.raises(DamagedRegistry):
        Registry.open(path, create=True)
    assert files(path) == {"other": bytes_}


def test_a_sqlite_file_of_another_program_is_refused(folder: Path):
    path = folder / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table photos (name text)")
    connection.commit()
    connection.close()
    before = files(path)
    with pytest.raises(RegistryError, match="something else"):
        Registry.open(path, create=True)
    assert files(path) == before


def test_a_missing_file_or_folder_makes_nothing(folder: Path):
    for path, create in ((folder / "none", False), (folder / "no" / "none", True)):
        with pytest.raises(RegistryError, match="no registry"):
            Registry.open(path, create=create)
    with pytest.raises(RegistryError):
        Registry.open(folder, create=True)
    assert list(folder.iterdir()) == []


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_told_never_crashes_and_is_never_called_sound(held: Path, data: st.DataObject):
    whole = held.read_bytes()
    copy = held.with_name("damaged.sqlite")
    shutil.rmtree(held.parent / "scratch", ignore_errors=True)
    if data.draw(st.booleans(), "cut"):
        damaged = whole[: data.draw(st.integers(1, len(whole) - 1))]
    else:
        page = data.draw(st.integers(0, len(whole) // 4096 - 1)) * 4096
        at = page + data.draw(st.integers(0, 4095))
        length = data.draw(st.integers(1, 64))
        damaged = whole[:at] + bytes((byte + 1) % 256 for byte in whole[at : at + length]) + whole[at + length :]
    for suffix in ("-wal", "-shm"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    copy.write_bytes(damaged)
    try:
        with Registry.open(copy) as registry:
            faults = check(registry.database).faults
    except RegistryError:
        return
    if not faults:
        # only a byte that holds nothing can be another one without being told
        with Registry.open(copy) as registry, Registry.open(held) as sound:
            assert check(registry.database) == check(sound.database)


def test_a_changed_row_is_found(place: str):
    changes = {
        "update step set last_day = '2030-01-01' where number = 1": "step",
        "update patient set follow_up = 'finished'": "patient",
        "delete from sighting where number = 1": "sighting",
    }
    with Registry.open(place, create=True) as registry:
        registry.add(exam(1), key="P1", now=NOW, by="tester")
        for change, table in changes.items():
            connection = registry.database.engine.connect()
            connection.execute(text(change))
            connection.commit()
            connection.close()
            found = check(registry.database).faults
            assert any(fault.startswith(table) for fault in found), found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update event set body = replace(body, 'P1', 'P9') where seq = 1", "event 1 was changed"),
        ("update event set by = 'somebody' where seq = 2", "event 2 was changed"),
        ("delete from event where seq = 3", "events are missing"),
        ("update wording set body = '{}' where digest = (select min(digest) from wording)", "wording"),
    ],
)
@pytest.mark.parametrize("quick", [True, False])
def test_a_changed_log_is_found(held: Path, change: str, said: str, quick: bool):
    connection = sqlite3.connect(held)
    for table in ("event", "wording"):
        for verb in ("update", "delete"):
            connection.execute(f"drop trigger keep_{table}_{verb}")
    connection.execute(change)
    connection.commit()
    connection.close()
    with Registry.open(held) as registry:
        found = check(registry.database, quick=quick).faults
    assert any(said in fault for fault in found), found


def test_a_pointer_that_leads_nowhere_is_found(held: Path):
    connection = sqlite3.connect(held)
    connection.execute("update sighting set lesion = 'nowhere' where number = 1")
    connection.commit()
    connection.close()
    with Registry.open(held) as registry:
        assert any("point to lesion" in fault for fault in check(registry.database, quick=True).faults)


# ---------------------------------------------------------------- exports that are none


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_export_takes_nothing_in(held: Path, data: st.DataObject):
    export = held.with_name("export")
    if not export.exists():
        with Registry.open(held) as registry:
            export_to(registry.database, export)
    whole = export.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 2))
    kind = data.draw(st.sampled_from(["cut", "byte", "line"]))
    if kind == "cut":
        damaged = whole[:at]
    elif kind == "byte":
        damaged = (
            whole[:at] + bytes([data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))]) + whole[at + 1 :]
        )
    else:
        lines = whole.splitlines(keepends=True)
        damaged = b"".join(lines[: at % len(lines)] + lines[at % len(lines) + 1 :])
    bad, target = held.with_name("bad"), held.with_name("target.sqlite")
    bad.write_bytes(damaged)
    with Registry.open(target, create=True) as registry:
        with pytest.raises(RegistryError):
            import_from(registry.database, bad)
        assert check(registry.database).events == 0


def test_an_export_of_a_newer_version_is_refused(held: Path):
    export = held.with_name("export")
    with Registry.open(held) as registry:
        export_to(registry.database, export)
        export.write_text(export.read_text("utf-8").replace('"version":1', '"version":2', 1), "utf-8")
        with pytest.raises(NewerRegistry):
            import_from(registry.database, export)
        with pytest.raises(RegistryError, match="cannot be read"):
            import_from(registry.database, held.with_name("none"))


# ---------------------------------------------------------------- locations


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgresql://", "http://x/y", "postgresql://user:secret@"])
def test_another_url_is_refused_without_its_password(url: str):
    with pytest.raises(UsageError) as refused:
        Registry.open(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_told_without_its_password():
    pytest.importorskip("pg8000", reason="needs pg8000 (pip install 'hepacalc[postgresql]')")
    with pytest.raises(RegistryError) as told:
        Registry.open("postgresql://user:secret@127.0.0.1:1/name")
    assert "secret" not in str(told.value)
    assert "127.0.0.1" in str(told.value)


def test_a_missing_package_is_named_with_the_line_to_run(monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'pg8000'", name="pg8000")

    monkeypatch.setattr(databases, "create_engine", missing)
    with pytest.raises(MissingDependency, match=r"hepacalc\[postgresql\]"):
        Registry.open("postgresql://user@127.0.0.1/name")


# ---------------------------------------------------------------- writers


def test_a_writer_waits_for_another_and_then_gives_up(place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(databases, "WAIT_SECONDS", 1)
    with Registry.open(place, create=True) as first, Registry.open(place) as second:
        with first.database.writing(), pytest.raises(RegistryBusy):
            second.add(exam(1), key="P1", now=NOW, by="tester")
        assert second.add(exam(1), key="P1", now=NOW, by="tester").is_new


def test_a_reader_sees_one_state_while_another_writes(place: str):
    with Registry.open(place, create=True) as first, Registry.open(place) as second:
        with first.database.reading() as connection:
            assert connection.scalar(text("select count(*) from event")) == 0
            second.add(exam(1), key="P1", now=NOW, by="tester")
            assert connection.scalar(text("select count(*) from event")) == 0
        with first.database.reading() as connection:
            assert connection.scalar(text("select count(*) from event")) == 2


def test_a_write_that_fails_half_way_leaves_nothing(place: str, monkeypatch: pytest.MonkeyPatch):
    import hepacalc.registry.log as log

    with Registry.open(place, create=True) as registry:
        registry.add(exam(1), key="P1", now=NOW, by="tester")
        head = check(registry.database).head
        real = log.apply_changes
        calls = iter((True, False))

        def fails(connection, changes):
            if next(calls):
                return real(connection, changes)
            real(connection, changes[:3])
            raise OSError("power")

        monkeypatch.setattr(log, "apply_changes", fails)
        with pytest.raises(OSError, match="power"):
            registry.add(exam(2), key="P2", now=NOW, by="tester")
        monkeypatch.undo()
        found = check(registry.database)
        assert (found.head, found.faults) == (head, ())


@pytest.mark.slow
def test_killed_writers_lose_nothing_that_came_back(place: str):
    told = crashes.killed(place, 40, seed=3)
    assert (told.status, told.err) == (0, "")
    assert told.lost == set()
    assert len(told.told) < 40
    assert told.faults == ()


@pytest.mark.slow
def test_two_writers_at_once_lose_nothing(place: str):
    told = crashes.two_at_once(place, 30)
    assert (told.status, told.err) == (0, "")
    assert told.held == told.told == set(range(1, 61))
    assert told.faults == ()


@pytest.mark.slow
def test_without_room_the_registry_is_as_it_was(tmp_path: Path):
    told = crashes.without_room(str(tmp_path / "registry.sqlite"), 1_000_000)
    assert told.status != 0
    assert "no room" in told.err
    assert told.told
    assert told.held == told.told
    assert told.faults == ()


# ---------------------------------------------------------------- identity


def test_identity_lies_apart_and_is_forgotten_for_good(tmp_path: Path):
    path = tmp_path / "identity.sqlite"
    with pytest.raises(RegistryError, match="no identity file"):
        Identity(path)
    with Identity(path, create=True) as people:
        key = people.key_of("urn:oid:1.2|4711", name="Zzyzx Testperson", born="1960-02-29")
        assert people.key_of("urn:oid:1.2|4711") == key != people.key_of("4711")
        assert people.people([key, "none"])[key] == (key, "urn:oid:1.2", "4711", "Zzyzx Testperson", "1960-02-29")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Identity(path) as people:
        people.forget(key)
        assert people.people([key]) == {}
        with pytest.raises(RegistryError):
            people.forget(key)
    assert b"Zzyzx" not in path.read_bytes()


def test_messages_of_identity_hold_no_name(tmp_path: Path):
    with Identity(tmp_path / "identity.sqlite", create=True) as people:
        for given, more in (("x|", {}), ("1", {"name": "Zzyzx", "born": "29.2.1960"}), ("Zzyzx| ", {})):
            with pytest.raises(UsageError) as told:
                people.key_of(given, **more)
            assert "Zzyzx" not in str(told.value)
            assert "1960" not in str(told.value)
    other = tmp_path / "other"
    other.write_bytes(b"no database, but long enough to be looked at" * 10)
    with pytest.raises(DamagedRegistry):
        Identity(other)
