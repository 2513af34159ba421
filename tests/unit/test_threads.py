"""One setting for the threads of a study; with one, nothing runs beside the thread that asks."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hepacalc.errors import UsageError
from hepacalc.liver.embedded import EmbeddedSegmenter
from hepacalc.threads import SETTING, thread_count, thread_pool

SOURCE = Path(__file__).resolve().parents[2] / "src" / "hepacalc"


def test_one_thread_works_where_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SETTING, "1")
    assert EmbeddedSegmenter().threads == thread_count() == 1
    done: list[int] = []
    with thread_pool(2) as pool:
        wanted = pool.submit(lambda: (done.append(1), threading.current_thread())[1])
        never = pool.submit(done.append, 2)
        assert done == []
        assert wanted.result() is wanted.result() is threading.current_thread()
        assert list(pool.map(lambda a, b: a + b, [1, 2], [3, 4])) == [4, 6]
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 // 0).result()
    assert done == [1]
    assert not never.done()


def test_more_threads_are_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(SETTING, raising=False)
    assert EmbeddedSegmenter().threads == thread_count() == 2
    with thread_pool(2) as pool:
        assert pool.submit(threading.current_thread).result() is not threading.current_thread()


@pytest.mark.parametrize("told", ["0", "-1", "two", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_a_setting_that_is_none_is_told(told: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SETTING, told)
    with pytest.raises(UsageError, match=f"{SETTING} must be a whole number"):
        thread_pool(1)


def test_stages_have_no_pools_of_their_own():
    rooms = [path for room in ("foci", "liver", "study", "interop", "report") for path in (SOURCE / room).rglob("*.py")]
    own = [path.name for path in (*rooms, SOURCE / "assess.py") if re.search(r"\bThreadPool", path.read_text("utf-8"))]
    assert own == []


def test_a_worker_starts_without_the_validator_of_stored_results():
    code = "import hepacalc.cohort.work, sys; sys.exit('jsonschema' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
