"""``hepacalc registry`` as a user runs it: from an assessed folder to who is due, and back from a mistake."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import warnings
from pathlib import Path

import pytest

from cli_runs import Done, command
from hepacalc.cli import main
from hepacalc.report.write import write_outputs
from reason_example import SIMPLE
from registry_scenes import exam

NAME, NUMBER = "Zzyzx Testperson", "4711-0815"


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders that ``hepacalc assess`` wrote: of two exams of one patient, and of one without a plan."""
    folder = tmp_path_factory.mktemp("outs")
    scans = {
        "first": exam(1),
        "second": exam(2, "20261120", text=SIMPLE),
        "bare": exam(3, "20261121", text=None),
    }
    for name, scan in scans.items():
        write_outputs(scan, folder / name)
    return {name: folder / name for name in scans}


def run(folder: Path, *arguments: object) -> Done:
    """Run the command line in this process: it is started some sixty times here."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        patch.setenv("HEPACALC_REGISTRY", str(folder / "registry.sqlite"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["registry", *(str(one) for one in arguments)])
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
    signal.signal(signal.SIGTERM, before)
    return Done(status, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(("zone", "hours"), [("LINE-14", 14), ("LINE+12", -12)])
def test_as_a_program_the_day_is_that_of_the_place(outs: dict[str, Path], tmp_path: Path, zone: str, hours: int):
    run(tmp_path, "add", outs["first"], "--patient", "P1")
    there = datetime.timezone(datetime.timedelta(hours=hours))
    environment = os.environ | {"HEPACALC_REGISTRY": str(tmp_path / "registry.sqlite"), "TZ": zone}
    before = datetime.datetime.now(there).date()
    done = subprocess.run(command("registry", "due"), capture_output=True, text=True, env=environment, check=True)
    after = datetime.datetime.now(there).date()
    assert done.stdout.startswith((f"On {before}:", f"On {after}:"))
    assert done.stderr == ""


def test_from_two_exams_to_the_end(outs: dict[str, Path], tmp_path: Path):
    nobody = run(tmp_path, "due")
    assert (nobody.status, nobody.err.split()[0]) == (10, "REG-01")
    assert run(tmp_path, "add", outs["first"]).err.startswith("USE-01")
    first = run(tmp_path, "add", outs["first"], "--patient", "P1", "--by", "dr")
    assert first.status == 0, first.err
    assert "Patient P1 (new)" in first.out
    assert "because:" in first.out
    again = run(tmp_path, "add", outs["first"])
    assert (again.status, "nothing was changed" in again.out) == (0, True)
    wrong = run(tmp_path, "add", outs["first"], "--patient", "P2", "--json")
    assert wrong.status == 3
    told = json.loads(wrong.out)["error"]
    assert told["code"] == "IN-12"
    assert {"P1", "P2"} <= set(re.findall(r"P\d", told["message"]))
    second = json.loads(run(tmp_path, "add", outs["second"], "--patient", "P1", "--json").out)
    assert {change["kind"] for change in second["changes"]} >= {"gone", "flag cleared"}
    listed = run(tmp_path, "due", "--today", "2027-06-01", "--lost", "30")
    assert "On 2027-06-01" in listed.out
    assert "lost" in listed.out
    rules = {step["rule"] for step in second["steps"]}
    assert all(rule in listed.out for rule in rules)
    for number, rule in enumerate(sorted(rules)):
        done = run(tmp_path, "done", "P1", "--rule", rule, "--result", "unchanged", "--on", "2026-11-25")
        assert done.status == 0, done.err
        assert ("Other steps of the plan are still open" in done.out) == (number < len(rules) - 1)
    ended = run(tmp_path, "finish", "P1", "--reason", "not-needed")
    assert "finished" in ended.out
    shown = run(tmp_path, "show", "P1").out
    assert "A doctor decided" in shown
    assert "90 % interval" in shown
    happened = run(tmp_path, "history", "P1").out
    assert happened.index("registered") < happened.index("no more asked for") < happened.index("ended: not-needed")
    assert "dr: registered" in happened
    assert json.loads(run(tmp_path, "list", "--json").out) == [
        {"key": "P1", "follow_up": "finished", "exams": 2, "last_exam": "2026-11-20", "open_steps": 0, "next_day": None}
    ]
    assert run(tmp_path, "check").out.startswith("No fault")


@pytest.mark.parametrize(("kind", "begins"), [("csv", "patient,state"), ("fhir", "{"), ("ics", "BEGIN:VCALENDAR")])
def test_files_of_who_is_due(outs: dict[str, Path], tmp_path: Path, kind: str, begins: str):
    run(tmp_path, "add", outs["first"], "--patient", "P1")
    plain = run(tmp_path, "due", "--format", kind, "--today", "2027-01-20")
    assert plain.status == 0
    assert plain.out.startswith(begins)
    assert "P1" in plain.out
    assert run(tmp_path, "due", "--format", kind, "--today", "2027-01-20", "-o", "due.out").out == ""
    assert (tmp_path / "due.out").read_text("utf-8").startswith(begins)
    assert run(tmp_path, "due", "--format", kind, "-o", "due.out").err.startswith("OUT-01")


def test_identity_lies_apart(outs: dict[str, Path], tmp_path: Path):
    identity = ("--identity", "who.sqlite")
    told = run(
        tmp_path, "add", outs["first"], *identity, "--patient-id", NUMBER, "--name", NAME, "--born", "1960-02-29"
    )
    assert told.status == 0, told.err
    (key,) = {line["key"] for line in json.loads(run(tmp_path, "list", "--json").out)}
    bare = run(tmp_path, "due", "--format", "csv", "--today", "2027-01-20")
    full = run(tmp_path, "due", "--format", "csv", "--today", "2027-01-20", *identity)
    assert NAME not in bare.out
    assert NUMBER not in bare.out
    assert NAME in full.out
    same = run(tmp_path, "add", outs["bare"], *identity, "--patient-id", NUMBER)
    assert f"Patient {key}:" in same.out
    other = run(tmp_path, "add", outs["first"], *identity, "--patient-id", "another")
    assert other.status == 3
    whole = b"".join(path.read_bytes() for path in tmp_path.glob("registry.sqlite*"))
    assert NAME.encode() not in whole
    assert NUMBER.encode() not in whole
    for done in (told, bare, same, other):
        assert NAME not in done.out + done.err
    assert run(tmp_path, "forget", key, *identity).status == 0
    assert NAME not in run(tmp_path, "due", "--format", "csv", "--today", "2027-01-20", *identity).out
    assert run(tmp_path, "forget", NAME, *identity).err.startswith("REG-04")
    for wrong in (("--name", NAME), ("--patient-id", NUMBER), (*identity, "--name", NAME),
                  (*identity, "--patient-id", NUMBER, "--patient", "P1")):  # fmt: skip
        refused = run(tmp_path, "add", outs["first"], *wrong)
        assert (refused.status, refused.err[:6]) == (2, "USE-01")
        assert NAME not in refused.err


def test_out_and_in_again(outs: dict[str, Path], tmp_path: Path):
    run(tmp_path, "add", outs["first"], "--patient", "P1")
    assert run(tmp_path, "export", "-o", "all.jsonl").status == 0
    assert run(tmp_path, "backup", "-o", "copy.sqlite").status == 0
    assert run(tmp_path, "backup", "-o", "copy.sqlite").err.startswith("OUT-01")
    there = json.loads(run(tmp_path, "check", "--json").out)
    assert json.loads(run(tmp_path, "check", "--json", "-r", "copy.sqlite").out) == there
    assert "2 events taken in" in run(tmp_path, "import", "all.jsonl", "-r", "new.sqlite").out
    assert json.loads(run(tmp_path, "check", "--json", "-r", "new.sqlite").out) == there


def test_a_changed_registry_is_told(outs: dict[str, Path], tmp_path: Path):
    run(tmp_path, "add", outs["first"], "--patient", "P1")
    file = sqlite3.connect(tmp_path / "registry.sqlite")
    file.execute("update step set last_day = '2099-01-01'")
    file.commit()
    file.close()
    for more in ((), ("--json",)):
        found = run(tmp_path, "check", *more)
        assert found.status == 10
        assert "REG-05" in found.err
        assert "last_day" in found.err
    assert run(tmp_path, "check", "--quick").status == 0, (
        "the quick check does not derive the tables again, and says so"
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "nobody"), "REG-04"), (("history", "nobody"), "REG-04"), (("due", "--patient", "nobody"), "REG-04"),
        (("done", "nobody", "--result", "unchanged"), "REG-04"), (("finish", "nobody", "--reason", "died"), "REG-04"),
        (("due", "--today", "2026-02-30"), "USE-01"), (("done", "P1", "--result", "fine"), "USE-01"),
        (("done", "P1", "--result", "unchanged", "--rule", "no_rule"), "REG-04"),
        (("done", "P1", "--result", "unchanged", "--on", "2999-01-01"), "USE-01"),
        (("import", "nothing.jsonl"), "REG-01"), (("add", "nothing", "--patient", "P1"), "IN-11"),
        (("list", "-r", "mysql://a/b"), "USE-01"), (("list", "-r", "garbage.bin"), "REG-05"),
        (("export", "-o", "no/folder/file"), "OUT-01"), (("due", "--identity", "none.sqlite"), "REG-01"),
        (("done", "P1", "--result", "unchanged", "--by", "a\nb"), "USE-01"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_changes_nothing(module_registry: Path, arguments: tuple[str, ...], code: str):
    before = head(module_registry)
    done = run(module_registry, *arguments)
    assert done.err.startswith(code), done.err
    assert done.status in (2, 3, 7, 10)
    assert head(module_registry) == before


def head(folder: Path) -> tuple[int, str]:
    """The last event."""
    file = sqlite3.connect(folder / "registry.sqlite")
    found = file.execute("select seq, hash from event order by seq desc limit 1").fetchone()
    file.close()
    return found


@pytest.fixture(scope="module")
def module_registry(outs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    assert run(folder, "add", outs["first"], "--patient", "P1").status == 0
    (folder / "garbage.bin").write_bytes(bytes(range(256)) * 40)
    return folder
