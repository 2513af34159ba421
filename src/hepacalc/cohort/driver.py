"""The loop of a run: gives work to an executor until there is none, and writes what comes of it into the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hepacalc.cohort.executor import Executor, Job, Outcome, make_executor
from hepacalc.cohort.ledger import Ledger, Study
from hepacalc.cohort.local import cores
from hepacalc.cohort.options import Options
from hepacalc.cohort.patients import Patients
from hepacalc.cohort.policy import decide
from hepacalc.cohort.versions import StageVersions

__all__ = ["Driver", "Progress"]

PROBE, ASSESS, WARM = (
    "hepacalc.cohort.inputs:probe",
    "hepacalc.cohort.work:assess_one",
    "hepacalc.cohort.work:warm",
)
_POLL_SECONDS = 0.5
_BATCH = 256
_FIRST_PAUSE, _LONGEST_PAUSE = 15.0, 300.0
"""Seconds without new work after a DICOMweb server was away; doubled each time."""

Progress = Callable[[int, int, int], None]
"""Told how many studies are settled, how many there are, and how many of the settled ones failed."""


@dataclass(eq=False)
class Driver:
    """Gives work to an executor until there is none, and writes what comes of it into the ledger."""

    ledger: Ledger
    patients: Patients
    options: Options
    versions: StageVersions
    today: date
    root: Path | None
    store: str
    working: dict[int, tuple[Study, str]] = field(default_factory=dict)
    attempted: int = 0
    pause: float = 0.0
    not_before: float = 0.0

    def run(self, progress: Progress) -> int:
        """Work until nothing waits; return how many attempts there were."""
        if self.ledger.lowest_lane() is None:
            return 0
        options = self.options
        threads = options.threads or _threads(options)
        executor = make_executor(
            options.engine, workers=options.workers, threads=threads, warm=WARM, address=options.address
        )
        try:
            most = executor.at_once
            here = most if options.engine == "local" else max(1, cores() // threads)
            memory_mb = options.memory_mb or 0.9 * _machine_mb() / here
            while (lane := self.ledger.lowest_lane()) is not None:
                executor.limit(max(1, most >> lane))
                self._lane(executor, lane, memory_mb * (most / executor.at_once), progress)
        finally:
            executor.close()
        return self.attempted

    def _lane(self, executor: Executor, lane: int, memory_mb: float, progress: Progress) -> None:
        """Work on everything in a lane: a first look at each study, then the study itself."""
        queue = _Queue(self.ledger, lane)
        counts = self.ledger.counts()
        total, settled, failed = sum(counts.values()) - counts.get("gone", 0), _settled(counts), counts.get("failed", 0)
        told = 0.0
        while True:
            if (left := self.not_before - time.monotonic()) <= 0:
                with self.ledger.together():
                    while executor.room and (study := queue.next()) is not None:
                        self._give(executor, study, memory_mb)
            elif not executor.busy:
                time.sleep(min(left, _POLL_SECONDS))
            for outcome in executor.ended(_POLL_SECONDS):
                with self.ledger.together():
                    status = self._settle(outcome, executor.at_once, queue)
                settled += status in ("done", "failed", "duplicate")
                failed += status == "failed"
            if time.monotonic() - told > _POLL_SECONDS or not executor.busy:
                progress(settled, total, failed)
                told = time.monotonic()
            if not executor.busy and queue.is_empty():
                return

    def _give(self, executor: Executor, study: Study, memory_mb: float) -> None:
        base: dict[str, Any] = {
            "root": str((self.root or Path()).absolute()),
            "source": study.source,
            "extra": study.extra,
        }
        if self.options.dicomweb is not None:
            auth = self.options.dicomweb_auth
            base["dicomweb"] = (self.options.dicomweb, None if auth is None else str(auth.absolute()))
        if study.input_hash is None:
            work, argument = PROBE, base
        else:
            if self.ledger.owner(study.input_hash, study.id) is not None:
                self.ledger.duplicate(study.id, self.versions.all)
                return
            row = self.patients.of(study.source, study.study_uid)
            work = ASSESS
            argument = base | {
                "key": study.input_hash,
                "store": self.store,
                "versions": tuple(self.versions),
                "options": self._options(),
                "patient": None if row is None else row.fields,
                "patient_hash": None if row is None else row.hash,
                "today": self.today.isoformat(),
            }
        self.ledger.running(study.id)
        self.working[study.id] = (study, work)
        executor.submit(Job(study.id, work, argument, self.options.seconds, memory_mb))

    def _options(self) -> dict[str, Any]:
        given = self.options
        return {
            "segmenter": given.segmenter,
            "allow_gaps": given.allow_gaps,
            "agatston": given.agatston,
            "calibration": None if given.calibration is None else str(given.calibration.absolute()),
            "knowledge": None if given.knowledge is None else str(given.knowledge.absolute()),
        }

    def _settle(self, outcome: Outcome, at_once: int, queue: _Queue) -> str:
        study, work = self.working.pop(outcome.job)
        ledger, version = self.ledger, self.versions.all
        if work == PROBE and outcome.fault is None:
            ledger.hashed(study.id, outcome.value)
            queue.looked(study._replace(input_hash=outcome.value["input_hash"], study_uid=outcome.value["study_uid"]))
            return "hashed"
        self.attempted += 1
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        status, stages, code = "done", "", None
        if outcome.fault is None:
            stages, self.pause = outcome.value["stages"], 0.0
        else:
            code = outcome.fault.code
            step = decide(outcome.fault, study.attempts + 1, at_once)
            status = "failed" if step == "fail" else "again"
            if step == "later" and time.monotonic() >= self.not_before:
                self.pause = min(max(_FIRST_PAUSE, 2 * self.pause), _LONGEST_PAUSE)
                self.not_before = time.monotonic() + self.pause
        spent = (outcome.seconds, outcome.peak_mb)
        ledger.attempt(study.id, version, status, stages, code, spent, outcome.worker, ended)
        if outcome.fault is None:
            row = self.patients.of(study.source, study.study_uid)
            _keep_facts(ledger, study.id, row.fields if row else {}, row.site if row else None)
            assert study.input_hash is not None
            ledger.done(study.id, study.input_hash, version, row.hash if row else None, outcome.value["rows"])
        elif status == "failed":
            ledger.failed(study.id, version, outcome.fault)
        elif step == "later":
            ledger.later(study.id)  # after all others
        else:
            lane = study.lane + (step == "fewer")
            ledger.again(study.id, lane, "hashed" if study.input_hash else "found")
            if lane == study.lane:
                queue.looked(study._replace(attempts=study.attempts + 1))
        return status


class _Queue:
    """What waits in a lane: studies that were looked at first, so that few are between the two steps."""

    def __init__(self, ledger: Ledger, lane: int) -> None:
        self._ledger, self._lane = ledger, lane
        self._ready: list[Study] = []
        self._after = {"hashed": 0, "found": 0}
        self._page: list[Study] = []

    def looked(self, study: Study) -> None:
        """Take in a study that can be assessed now, or tried again."""
        self._ready.append(study)

    def next(self) -> Study | None:
        """Return the next one."""
        if self._ready:
            return self._ready.pop(0)
        for status in ("hashed", "found"):
            if not self._page and self._after[status] >= 0:
                self._page = self._ledger.waiting(status, self._lane, self._after[status], _BATCH)
                self._after[status] = self._page[-1].id if self._page else -1
            if self._page:
                return self._page.pop(0)
        return None

    def is_empty(self) -> bool:
        """Whether nothing waits that this queue knows of."""
        return not self._ready and not self._page and max(self._after.values()) < 0


def _settled(counts: dict[str, int]) -> int:
    return sum(counts.get(name, 0) for name in ("done", "failed", "duplicate"))


def _keep_facts(ledger: Ledger, study: int, fields: dict[str, Any], site: str | None) -> None:
    """Keep age, sex and site of the patient table beside what the header said."""
    age = fields.get("age")
    ledger.db.execute(
        "UPDATE studies SET age_years=coalesce(?, age_years), sex=coalesce(?, sex), site=coalesce(?, site) WHERE id=?",
        (min(float(age), 90.0) if isinstance(age, int | float) else None, fields.get("sex"), site, study),
    )


def _threads(options: Options) -> int:
    if options.engine == "ray" or not options.workers:
        return 1
    return max(1, cores() // options.workers)


def _machine_mb() -> float:
    """Return the memory that is there, in MB; 4 GB where that is not told."""
    for path, scale in (("/sys/fs/cgroup/memory.max", 1 / 2**20), ("/proc/meminfo", 1 / 1024)):
        try:
            text = Path(path).read_text("ascii").split()
        except OSError:
            continue
        numbers = [word for word in text if word.isdigit()]
        if text[0] != "max" and numbers:
            return float(numbers[0]) * scale
    return 4096.0
