"""The ledger: what is written is there, whatever happens; what is done is not done again."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepacalc.cohort.executor import Fault
from hepacalc.cohort.ledger import LEDGER, Ledger, Source, packed, unpacked
from hepacalc.cohort.policy import REPEATABLE, class_of, decide
from hepacalc.errors import STATUS, LedgerError
from hepacalc.report.cohort_phrases import FAILURE_CLASSES

FAULT = Fault("IN-02", "NotAStudy", "nothing", "send one")
PROBE = {"study_uid": "1.2", "age_years": 50.0, "sex": "female", "files": 3, "bytes": 10}


def sources(*names: str, signature: str = "s") -> list[Source]:
    return [Source(name, signature) for name in names]


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / LEDGER) as made:
        yield made


def looked(ledger: Ledger, study: int, content: str) -> None:
    ledger.hashed(study, PROBE | {"input_hash": content})


def test_a_study_goes_through(ledger: Ledger):
    assert ledger.find(sources("a", "b")) == 2
    ledger.begin("v1")
    first, second = ledger.waiting("found", 0, 0, 10)
    assert (first.source, second.source) == ("a", "b")
    looked(ledger, first.id, "x")
    ledger.running(first.id)
    ledger.done(first.id, "x", "v1", None, {"studies": [{"n": 1}]})
    ledger.failed(second.id, "v1", FAULT)
    assert ledger.counts() == {"done": 1, "failed": 1}
    assert ledger.failures() == [("IN-02", "NotAStudy", 1)]
    assert ledger.lowest_lane() is None


def test_done_and_bad_are_not_open_again_for_the_same_version(ledger: Ledger):
    test_a_study_goes_through(ledger)
    ledger.find(sources("a", "b"))
    ledger.begin("v1")
    assert ledger.lowest_lane() is None
    ledger.begin("v1", again=["IN-02"])
    assert [one.source for one in ledger.waiting("found", 0, 0, 9)] == ["b"]
    ledger.begin("v2")
    assert [one.source for one in ledger.waiting("hashed", 0, 0, 9)] == ["a"]


def test_changed_files_are_looked_at_again_and_gone_ones_kept(ledger: Ledger):
    test_a_study_goes_through(ledger)
    ledger.find(sources("a", signature="other"))
    assert ledger.counts() == {"found": 1, "gone": 1}
    ledger.find(sources("a", "b", signature="other"))
    assert ledger.counts() == {"found": 2}


def test_what_was_running_when_the_driver_died_is_open(ledger: Ledger):
    ledger.find(sources("a", "b"))
    looked(ledger, 1, "x")
    ledger.running(1)
    ledger.running(2)
    ledger.begin("v1")
    assert ledger.counts() == {"found": 1, "hashed": 1}


def test_the_same_content_is_done_once(ledger: Ledger):
    ledger.find(sources("a", "b", "c"))
    for study in (1, 2, 3):
        looked(ledger, study, "x" if study < 3 else "y")
    assert ledger.owner("x", 1) is None, "the first one is the one"
    assert ledger.owner("x", 2) == 1
    assert ledger.owner("y", 3) is None
    ledger.running(2)
    assert ledger.owner("x", 1) == 2, "unless another one is being worked on"


def test_a_transaction_is_whole_or_nothing(ledger: Ledger):
    ledger.find(sources("a"))

    def fail() -> None:
        with ledger.together():
            ledger.running(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ledger.counts() == {"found": 1}


def test_two_drivers_are_refused(tmp_path: Path, ledger: Ledger):
    code = f"from hepacalc.cohort.ledger import Ledger; from pathlib import Path; Ledger(Path({str(ledger.path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another run works on this folder" in done.stderr


def test_damaged_and_foreign_ledgers_are_refused(tmp_path: Path):
    path = tmp_path / "l.sqlite"
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger(path, make=False)
    path.write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(LedgerError, match="version 2"):
        Ledger(path)


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.floats(allow_nan=False) | st.text() | st.none(), max_size=4)))
def test_rows_come_back_as_they_were(rows: dict[str, list[object]]):
    found: dict[str, list[object]] = {name: [] for name in rows}
    for name, row in unpacked(packed(rows)):
        found[name].append(json.loads(row))
    assert found == rows


def test_what_comes_later_is_looked_at_anew(ledger: Ledger):
    ledger.find(sources("a", "b"))
    looked(ledger, 1, "x")
    ledger.running(1)
    ledger.later(1)
    (first, _) = ledger.waiting("found", 0, 0, 9)
    assert (first.source, first.input_hash, first.attempts) == ("a", None, 1)


def test_every_code_has_a_class_and_bad_input_is_never_tried_again():
    assert {"IN", "GEO", "LIV", "MEA", "KNO", "OUT", "DEP", "USE"} <= set(FAILURE_CLASSES) & set(STATUS)
    assert class_of("REG-01") == "other", "what no study raises"
    assert class_of("GEO-03") == "geometry cannot be trusted"
    assert class_of("RUN-01") == "out of memory"
    for code in ("IN-02", "GEO-01", "LIV-01", "MEA-01", "USE-01", "RUN-04"):
        assert decide(Fault(code, "", "", ""), 1, 8) == "fail"
    assert not {code for code in REPEATABLE if code[:2] in ("IN", "GE", "LI")}


def test_memory_is_tried_with_fewer_and_lost_workers_a_few_times():
    memory, lost = Fault("RUN-01", "", "", ""), Fault("RUN-03", "", "", "")
    assert decide(memory, 1, 4) == "fewer"
    assert decide(memory, 5, 1) == "fail"
    away, refused = Fault("SRV-07", "", "", ""), Fault("SRV-10", "", "", "")
    assert [decide(away, k, 4) for k in (1, 4, 5)] == ["later", "later", "fail"]
    assert decide(refused, 1, 4) == "fail"
    assert [decide(lost, k, 4) for k in (1, 2, 3, 4)] == ["again", "again", "again", "fail"]
