"""What every executor does, as one function: ``python -m tests.executor_contract ENGINE`` checks one by itself.

Ray is checked in a process of its own, so that what it starts stays out of the tests'.
"""

from __future__ import annotations

import os
import sys
import time

from hepacalc.cohort.executor import Executor, Job, Outcome, make_executor

FAKES = "tests.cohort_fakes"


def job(number: int, work: str, argument: object, seconds: float = 60.0, memory_mb: float = 3000.0) -> Job:
    return Job(number, f"{FAKES}:{work}", argument, seconds, memory_mb)


def outcomes(executor: Executor, jobs: list[Job], within: float = 300.0) -> dict[int, Outcome]:
    todo, found, until = list(jobs), {}, time.monotonic() + within
    while len(found) < len(jobs):
        assert time.monotonic() < until, f"{len(found)} of {len(jobs)} after {within} s"
        while todo and executor.room:
            executor.submit(todo.pop(0))
        for outcome in executor.ended(0.5):
            assert outcome.job not in found, "one outcome a job"
            found[outcome.job] = outcome
    return found


def check_outcomes(executor: Executor) -> None:
    """Each job has one outcome, whatever becomes of the process that works on it."""
    assert isinstance(executor, Executor)
    assert executor.at_once == 2
    jobs = [job(k, "double", k) for k in range(20)]
    jobs += [
        job(20, "refuse", None),
        job(21, "stumble", None),
        job(22, "die", None),
        job(23, "nap", 60.0, seconds=1.0),
        job(24, "eat", 600, memory_mb=300.0),
        job(25, "eat_at_once", 9000, memory_mb=300.0),
        job(26, "double", 7),
    ]
    found = outcomes(executor, jobs)
    assert [found[k].value for k in range(20)] == [2 * k for k in range(20)]
    assert found[26].value == 14
    codes = {k: found[k].fault and found[k].fault.code for k in range(20, 26)}
    assert codes == {20: "LIV-01", 21: "RUN-04", 22: "RUN-03", 23: "RUN-02", 24: "RUN-01", 25: "RUN-01"}, codes
    assert found[20].fault is not None
    assert found[20].fault.message == "no liver in 1.2.3."
    assert found[21].fault is not None
    assert "Secret" not in " ".join(found[21].fault), "words of a foreign error may hold a name"
    assert all(one.value is None for one in found.values() if one.fault)
    assert executor.busy == 0
    assert all(found[k].seconds >= 0 and found[k].worker for k in found)


def check_warmth(executor: Executor) -> None:
    """Workers serve many jobs, and fewer at once when they are asked to."""
    found = outcomes(executor, [job(k, "whoami", None) for k in range(8)])
    assert len({one.value for one in found.values()}) <= 4
    assert os.getpid() not in {one.value for one in found.values()}
    executor.limit(1)
    assert executor.at_once == 1
    executor.submit(job(1, "nap", 0.2))
    assert executor.room == 0
    while executor.busy:
        executor.ended(0.5)
    executor.limit(2)
    assert executor.at_once == 2


if __name__ == "__main__":
    made = make_executor(sys.argv[1], workers=2, threads=1, recycle=50)
    check_outcomes(made)
    check_warmth(made)
    made.close()
    print("passed")
