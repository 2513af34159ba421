"""A deployment that is fit, and ones that are not, each with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hepacalc.cli import main
from hepacalc.server.database import now, open_database, writing
from hepacalc.server.doctor import check_deployment
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.settings import Settings
from hepacalc.server.tables import jobs


def levels(data: Path) -> dict[str, str]:
    return {check.name: check.level for check in check_deployment(data)}


def test_a_fit_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    open_database(Settings(data=data)).dispose()
    (data / "server.toml").write_text("port = 18042\n")
    (data / "server.toml").chmod(0o600)
    found = levels(data)
    assert (found["data folder"], found["database"], found["settings"]) == ("ok", "ok", "ok")
    main(["doctor", "--data", str(data), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {check["name"] for check in told["checks"]} >= {"settings", "database", "disk", "port"}


def test_unfit_ones_say_what_to_do(tmp_path: Path):
    assert levels(tmp_path / "nowhere")["data folder"] == "fail"
    data = tmp_path / "data"
    engine = open_database(Settings(data=data))
    data.chmod(0o755)
    (data / "server.toml").write_text('login = "users"\nhost = "0.0.0.0"\nport = 18042\n')
    (data / "server.toml").chmod(0o644)
    with writing(engine) as connection:
        enqueue(connection, Work("view", "a"))
        failed = enqueue(connection, Work("view", "b"))
        connection.execute(jobs.update().where(jobs.c.id == failed).values(state="failed"))
        connection.execute(
            jobs.update().where(jobs.c.id != failed).values(not_before=now() - 7200, created=now() - 7200)
        )
    engine.dispose()
    checks = check_deployment(data)
    told = {(check.name, check.level) for check in checks}
    assert {("data folder", "warn"), ("settings file", "warn"), ("users", "fail"), ("TLS", "fail"), ("jobs", "fail"),
            ("jobs", "warn")} <= told  # fmt: skip
    assert all(check.fix for check in checks if check.level != "ok")
    (data / "server.toml").write_text('host = "0.0.0.0"\n')
    assert levels(data) == {"settings": "fail"}
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--data", str(data)])
    assert left.value.code == 1
