"""Real assessments of small phantoms: broken ones typed, stages done again only where they must be; the commands."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.cohort_studies import BROKEN, make_cohort

from hepacalc.cohort.inputs import probe
from hepacalc.cohort.store import STAMP, open_store
from hepacalc.cohort.tables import read_tables
from hepacalc.cohort.versions import stage_versions
from hepacalc.cohort.work import assess_one

ROOT = Path(__file__).resolve().parents[2]
KNOWN = {"age": 60, "sex": "female", "exposures": {"tuberculosis": "yes"}}


def hepacalc(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "hepacalc", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_command_line_over_nothing_that_can_be_used(tmp_path: Path):
    (tmp_path / "in" / "Mustermann^Max" / "a").mkdir(parents=True)
    (tmp_path / "in" / "b").mkdir()
    (tmp_path / "in" / "b" / "image").write_bytes(b"no image")
    done = hepacalc("cohort", "run", tmp_path / "in", "-o", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "0 assessed, 2 failed" in done.stdout
    assert "IN-02" in done.stdout
    assert done.stderr == "", "nothing is drawn where nobody watches"
    assert hepacalc("cohort", "report", tmp_path / "out").returncode == 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert str(tmp_path) not in page, "paths are relative to the root"
    again = hepacalc("cohort", "recompute", tmp_path / "out")
    assert "0 worked on" in again.stdout
    refused = hepacalc("cohort", "report", tmp_path / "in")
    assert (refused.returncode, "RUN-05" in refused.stderr) == (11, True)
    refused = hepacalc("cohort", "export", tmp_path / "out", "-o", tmp_path / "x")
    assert (refused.returncode, "--deidentify" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_good_and_broken_studies_of_the_benchmark(tmp_path: Path):
    expected = make_cohort(tmp_path / "in", 12, patients=2, broken=10)
    assert sorted(expected.values()) == sorted(code for _, code, _ in BROKEN)
    done = hepacalc("cohort", "run", tmp_path / "in", "-o", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    with read_tables(tmp_path / "out") as held:
        failed = dict(held.execute("SELECT source, code FROM failures").fetchall())
        rows = held.execute("SELECT calcifications, age_years, sex, year FROM studies ORDER BY source").fetchall()
        messages = str(held.execute("SELECT message, hint FROM failures").fetchall())
    assert failed == expected
    assert str(tmp_path) not in messages
    assert [row[1:] for row in rows] == [(20.0, "female", 2015), (21.0, "male", 2016)]
    assert all(row[0] > 0 for row in rows)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, object]]:
    """Assess one small phantom with some options, into a store."""
    folder = tmp_path_factory.mktemp("stages")
    make_cohort(folder / "in", 1, patients=1, broken=0)
    source = "site-0/study-00000"
    told = probe({"root": str(folder / "in"), "source": source})

    def assess(store: str, patient: dict[str, object] | None = None, **options: object) -> dict[str, object]:
        versions = stage_versions({"segmenter": "embedded", **options})
        argument = {
            "root": str(folder / "in"), "source": source, "extra": {}, "key": told["input_hash"], "store": store,
            "versions": tuple(versions), "options": options, "patient": patient, "threads": 1,
            "patient_hash": None if patient is None else json.dumps(patient), "today": "2026-01-01",
        }  # fmt: skip
        return assess_one(argument) | {"key": told["input_hash"]}

    return assess


@pytest.mark.slow
def test_only_what_changed_is_done_again(ask: Callable[..., dict[str, object]], tmp_path: Path):
    place = str(tmp_path / "store")
    first = ask(place)
    assert first["stages"] == "liver,foci,reason"
    assert ask(place)["stages"] == "", "it is there: nothing is done"
    assert ask(place)["rows"] == first["rows"]
    known = ask(place, KNOWN)
    assert known["stages"] == "reason"
    assert known["rows"]["differential"]  # type: ignore[index]
    assert known["rows"]["foci"] == first["rows"]["foci"]  # type: ignore[index]
    scored = ask(place, KNOWN, agatston=True)
    assert scored["stages"] == "foci,reason", "the liver is kept"
    beyond = "file://" if importlib.util.find_spec("fsspec") else ""  # through fsspec, as an object store
    fresh = ask(f"{beyond}{tmp_path}/fresh", KNOWN, agatston=True)
    assert fresh["stages"] == "liver,foci,reason"
    assert ask(f"{beyond}{tmp_path}/fresh", KNOWN, agatston=True)["stages"] == ""
    assert ask(f"{beyond}{tmp_path}/fresh", KNOWN)["stages"] == "foci,reason", "its liver comes out of the store"
    assert scored["rows"] == fresh["rows"], "and gives what a fresh assessment gives"
    assert ask(place, agatston=True)["stages"] == "reason"


@pytest.mark.slow
def test_a_result_without_its_stamp_is_none(ask: Callable[..., dict[str, object]], tmp_path: Path):
    place = str(tmp_path / "store")
    first = ask(place)
    (stamp,) = Path(place).rglob(STAMP)
    stamp.unlink()
    assert ask(place)["stages"] == first["stages"]


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_stores_hold_whole_results(kind: str, tmp_path: Path):
    if kind == "memory":
        pytest.importorskip("fsspec")
    store = open_store(f"memory://{tmp_path.name}" if kind == "memory" else str(tmp_path / "store"))
    key = "ab" * 20
    assert store.stamp(key) is None
    for number in (1, 2):
        with store.filled(key, {"liver": f"v{number}"}) as folder:
            (folder / "assessment.json").write_text(f"{number}")
            if number == 1:
                np.save(folder / "mask.npy", np.zeros(3))
    assert store.stamp(key) == {"liver": "v2"}
    with store.held(key) as folder:
        assert sorted(p.name for p in folder.iterdir()) == ["assessment.json", "mask.npy", STAMP]
        assert (folder / "assessment.json").read_text() == "2"

    def fail() -> None:
        with store.filled(key, {"liver": "v3"}) as folder:
            (folder / "assessment.json").write_text("3")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.stamp(key) == {"liver": "v2"}
