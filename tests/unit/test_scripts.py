"""The scripts that a laptop and CI run."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


def load(name: str) -> dict:
    return runpy.run_path(str(SCRIPTS / name))


def test_bench_lists_its_areas_when_one_is_unknown():
    for arguments in ((), ("nothing",)):
        done = subprocess.run(
            [sys.executable, str(SCRIPTS / "bench.py"), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "reading" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_bench_prints_one_object_a_line(tmp_path, capsys, monkeypatch):
    bench = load("bench.py")
    (tmp_path / "benchmarks").mkdir()
    rows = [{"name": "a", "value": 1.23456, "unit": "s", "target": "<= 2", "ok": True, "more": 1}, {"name": "b"}]
    (tmp_path / "benchmarks" / "small.py").write_text(f"def rows():\n    return {rows!r}\n")
    (tmp_path / "benchmarks" / "helper.py").write_text("def other():\n    return 1\n")
    main = bench["main"]
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert bench["areas"]() == ["small"]
    monkeypatch.setattr(sys, "argv", ["bench", "small", "--json"])
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    assert main() == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == rows[0]
    assert lines[1] == {"name": "b", "value": None, "unit": None, "target": None, "ok": None}
    monkeypatch.setattr(sys, "argv", ["bench", "small"])
    assert main() == 0
    assert re.search(r"ok +a +1\.235 +s +<= 2\n", capsys.readouterr().out)
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    monkeypatch.delitem(sys.modules, "benchmarks.small", raising=False)


def test_bench_runs_one_section_at_a_share_of_its_size(tmp_path, capsys, monkeypatch):
    bench = load("bench.py")
    (tmp_path / "benchmarks").mkdir()
    text = (
        "from sections import run\n"
        "def row(name):\n"
        "    return lambda _folder, share: [{'name': name, 'value': 100 * share, 'ok': True}]\n"
        "SECTIONS = {name: row(name) for name in 'ab'}\n"
        "def rows(only=(), share=1.0):\n    return run(SECTIONS, only, share)\n"
    )
    (tmp_path / "benchmarks" / "large.py").write_text(text)
    (tmp_path / "benchmarks" / "sections.py").write_text((ROOT / "benchmarks" / "sections.py").read_text("utf-8"))
    main = bench["main"]
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    told = {}
    for more in ([], ["--section", "b", "--share", "0.5"], ["--section", "c"]):
        for name in ("benchmarks", "benchmarks.large", "sections"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "argv", ["bench", "large", "--json", *more])
        status = main()
        told[" ".join(more)] = status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["section"], row["value"], row["ok"]) for row in told[""][1]] == [("a", 100, True), ("b", 100, True)]
    (half,) = told["--section b --share 0.5"][1]
    assert (half["section"], half["value"], half["ok"]) == ("b", 50, None), "a try says nothing of the target"
    assert told["--section c"] == (2, [])
    for name in ("benchmarks", "benchmarks.large", "sections"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_quote_fills_only_its_own_mark():
    quote = load("quote")
    rows = [{"name": "found | all", "value": 0.953, "unit": "1", "target": ">= 0.95", "ok": True},
            {"name": "time", "value": None, "unit": "s", "target": None, "ok": False}]  # fmt: skip
    table = quote["table"](rows)
    assert "| found \\| all | 0.953 | >= 0.95 | reached |" in table
    assert "| time | - | - | **missed** |" in table
    assert [quote["shown"](value) for value in (999.6, 1234.5, 0.12345, 7)] == ["1000", "1230", "0.123", "7"]
    text = "a\n<!-- bench:x -->\nold\n<!-- end bench -->\nb\n<!-- bench:y -->\nkept\n<!-- end bench -->\n"
    once = quote["fill"](text, "x", table)
    assert once == text.replace("old", table)
    assert quote["fill"](once, "x", table) == once
    rows.append({"name": "foci", "value": 5, "unit": "foci", "target": "", "ok": None})
    assert quote["wanted"](rows) == rows[:2]


def test_readme_has_a_place_for_the_figures():
    readme = (ROOT / "README.md").read_text("utf-8")
    for area in ("accuracy", "speed"):
        assert re.search(rf"<!-- bench:{area} wanted -->\n.+?<!-- end bench -->", readme, re.DOTALL)


def test_examples_are_taken_apart():
    steps = load("docs_examples.py")["steps"]
    text = (
        "x\n```python\na = 1\n```\n```sh\nmake demo\nhepacalc assess a \\\n  -o b\n```\n"
        "<!-- not run: needs x -->\n```sh\nhepacalc assess c\n```\n```text\nhepacalc d\n```\n"
        "1. y\n\n   <!-- file: s.csv -->\n   ```text\n   a,b\n   ```\n\n   ```sh\n   hepacalc e\n   ```\n"
    )
    found, passed = steps(text)
    assert [(step.line, step.kind) for step in found] == [(3, "python"), (6, "command"), (21, "file"), (25, "command")]
    assert found[0].code == "a = 1\n"
    assert found[1].code.split() == ["hepacalc", "assess", "a", "-o", "b"]
    assert (found[2].name, found[2].code) == ("s.csv", "a,b\n")
    assert found[3].code == "hepacalc e"
    assert passed == ["needs x"]


@pytest.mark.skipif(os.name != "posix", reason="shell scripts")
@pytest.mark.parametrize("name", ["setup", "demo", "test", "check", "bench", "validate", "orthanc", "../.ci/run"])
def test_shell_scripts_are_runnable_and_parse(name):
    path = (SCRIPTS / name).resolve()
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text("utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="shell scripts")
def test_setup_refuses_what_it_does_not_know():
    for arguments, environment in ((["all"], {}), (["run"], {"VENV": "no-such-folder"})):
        done = subprocess.run(
            [str(SCRIPTS / "setup"), *arguments],
            capture_output=True,
            text=True,
            env=os.environ | environment,
            check=False,
        )
        assert done.returncode == 2
        assert "scripts/setup:" in done.stderr
