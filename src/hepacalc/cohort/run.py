"""A run over many studies, on one page: find them, look at each, assess each, keep the result, write the tables."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hepacalc.cohort.executor import Executor, Job, Outcome, make_executor
from hepacalc.cohort.find import find_studies, root_of
from hepacalc.cohort.ledger import LEDGER, Ledger, Study
from hepacalc.cohort.local import cores
from hepacalc.cohort.patients import Patients
from hepacalc.cohort.policy import decide
from hepacalc.cohort.tables import write_tables
from hepacalc.cohort.versions import StageVersions, stage_versions
from hepacalc.errors import UsageError

__all__ = ["Options", "Progress", "Summary", "run_cohort"]

PROBE, ASSESS, WARM = (
    "hepacalc.cohort.inputs:probe",
    "hepacalc.cohort.work:assess_one",
    "hepacalc.cohort.work:warm",
)
_POLL_SECONDS = 0.5
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Options:
    """How a cohort is assessed.

    Args:
        engine: ``local`` or ``ray``.
        workers: studies at the same time; 0: as the cores allow.
        threads: of each worker; 0: cores divided by workers.
        address: of a Ray cluster.
        patients: CSV table of what is known of the patients.
        store: folder or fsspec address of the results; None: ``studies`` in the output folder.
        seconds: one study may take.
        memory_mb: one worker may hold; 0: nine tenths of the machine, divided by the workers.
        segmenter: what finds the liver.
        calibration: the site's own file.
        knowledge: the site's own file.
        agatston: whether to compute an Agatston-like score.
        allow_gaps: whether to measure the largest block of a series with missing slices.
        today: day from which intervals run; None: the day on which the cohort was begun.
        again: error codes whose studies are tried again.
    """

    engine: str = "local"
    workers: int = 0
    threads: int = 0
    address: str | None = None
    patients: Path | None = None
    store: str | None = None
    seconds: float = 1800.0
    memory_mb: float = 0.0
    segmenter: str = "embedded"
    calibration: Path | None = None
    knowledge: Path | None = None
    agatston: bool = False
    allow_gaps: bool = False
    today: date | None = None
    again: tuple[str, ...] = ()


class Summary(NamedTuple):
    """How a run ended."""

    counts: dict[str, int]
    failures: list[tuple[str, str, int]]
    tables: dict[str, int]
    attempted: int
    seconds: float


Progress = Callable[[int, int, int], None]
"""Told how many studies are settled, how many there are, and how many of the settled ones failed."""


def run_cohort(
    root: Path | None, out: Path, options: Options, *, as_before: bool = False, progress: Progress | None = None
) -> Summary:
    """Assess every study under ``root`` that is not done yet with these versions, and write the tables.

    Args:
        root: folder, or CSV manifest; None: nothing is searched, what the ledger knows is brought up to date (scans are
            then not there, so only stages that do not need them can be done again).
        out: folder of ledger, tables and (without ``options.store``) results.
        options: how.
        as_before: take segmenter, gaps and Agatston score as the cohort was run; insist on the same tables and files.
        progress: told after every step.

    Raises:
        LedgerError: the ledger cannot be used.
        StudyNotFound: the root is not there.
        UsageError: arguments or tables that cannot be.
    """
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    with Ledger(out / LEDGER, make=root is not None) as ledger, Patients(options.patients) as patients:
        today = _today(ledger, options)
        if as_before:
            options = _as_before(ledger, options)
        plain = {
            "segmenter": options.segmenter, "allow_gaps": options.allow_gaps, "agatston": options.agatston,
            "calibration": _hash(options.calibration), "knowledge": _hash(options.knowledge),
            "today": today.isoformat() if patients.is_there else None,
        }  # fmt: skip
        versions = stage_versions(plain)
        if root is None:
            _need_no_scans(ledger, versions)
        ledger.set_meta("options", json.dumps(plain))
        if root is not None:
            ledger.find(find_studies(root, but=out))
        ledger.begin(versions.all, again=options.again)
        if patients.is_there:
            _reopen_changed(ledger, patients)
        place = options.store or str((out / "studies").absolute())
        driver = _Driver(ledger, patients, options, versions, today, None if root is None else root_of(root), place)
        attempted = driver.run(progress or (lambda _done, _all, _failed: None))
        counts = write_tables(ledger, out / "tables")
        return Summary(ledger.counts(), ledger.failures(), counts, attempted, time.monotonic() - start)


@dataclass(eq=False)
class _Driver:
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
                self._lane(executor, lane, threads, memory_mb * (most / executor.at_once), progress)
        finally:
            executor.close()
        return self.attempted

    def _lane(self, executor: Executor, lane: int, threads: int, memory_mb: float, progress: Progress) -> None:
        """Work on everything in a lane: a first look at each study, then the study itself."""
        queue = _Queue(self.ledger, lane)
        counts = self.ledger.counts()
        total, settled, failed = sum(counts.values()) - counts.get("gone", 0), _settled(counts), counts.get("failed", 0)
        told = 0.0
        while True:
            with self.ledger.together():
                while executor.room and (study := queue.next()) is not None:
                    self._give(executor, study, threads, memory_mb)
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

    def _give(self, executor: Executor, study: Study, threads: int, memory_mb: float) -> None:
        base: dict[str, Any] = {
            "root": str((self.root or Path()).absolute()),
            "source": study.source,
            "extra": study.extra,
        }
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
                "threads": threads,
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
            stages = outcome.value["stages"]
        else:
            code = outcome.fault.code
            step = decide(outcome.fault, study.attempts + 1, at_once)
            status = "failed" if step == "fail" else "again"
        spent = (outcome.seconds, outcome.peak_mb)
        ledger.attempt(study.id, version, status, stages, code, spent, outcome.worker, ended)
        if outcome.fault is None:
            row = self.patients.of(study.source, study.study_uid)
            _keep_facts(ledger, study.id, row.fields if row else {}, row.site if row else None)
            assert study.input_hash is not None
            ledger.done(study.id, study.input_hash, version, row.hash if row else None, outcome.value["rows"])
        elif status == "failed":
            ledger.failed(study.id, version, outcome.fault)
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


def _as_before(ledger: Ledger, options: Options) -> Options:
    """Return options as the cohort was run with.

    Raises:
        UsageError: it was run with a table or a file that is not given now.
    """
    before: dict[str, Any] = json.loads(ledger.meta("options") or "{}")
    given = {"today": options.patients, "knowledge": options.knowledge, "calibration": options.calibration}
    names = {"today": "--patients", "knowledge": "--knowledge", "calibration": "--calibration"}
    missing = [names[name] for name, value in given.items() if before.get(name) and value is None]
    if missing:
        raise UsageError(
            f"the cohort was run with {', '.join(missing)}.", hint="Give it again; or use cohort run to change that."
        )
    return replace(
        options,
        segmenter=before.get("segmenter", options.segmenter),
        allow_gaps=before.get("allow_gaps", options.allow_gaps),
        agatston=before.get("agatston", options.agatston),
    )


def _need_no_scans(ledger: Ledger, versions: StageVersions) -> None:
    """Make sure that what is to be done again needs only what is stored.

    Raises:
        UsageError: the measuring itself changed, or a study was never assessed.
    """
    row = ledger.db.execute(
        "SELECT count(*) FROM studies WHERE status NOT IN ('gone', 'failed') "
        "AND (version IS NULL OR version NOT LIKE ?)",
        (f"{versions.liver}-{versions.foci}-%",),
    ).fetchone()
    if row[0]:
        raise UsageError(
            f"{row[0]} studies must be measured again, and for that the scans are needed.", hint="Give --root ROOT."
        )


def _reopen_changed(ledger: Ledger, patients: Patients) -> None:
    """Open studies again of which the table says something else than when they were done."""
    after = 0
    while rows := ledger.db.execute(
        "SELECT id, source, study_uid, patient_hash FROM studies WHERE status='done' AND id>? ORDER BY id LIMIT ?",
        (after, 4 * _BATCH),
    ).fetchall():
        with ledger.together():
            for study, source, uid, before in rows:
                row = patients.of(source, uid)
                if (None if row is None else row.hash) != before:
                    ledger.db.execute("UPDATE studies SET status='hashed', attempts=0, lane=0 WHERE id=?", (study,))
        after = rows[-1][0]


def _today(ledger: Ledger, options: Options) -> date:
    held = ledger.meta("today")
    today = options.today or (date.fromisoformat(held) if held else datetime.now(UTC).astimezone().date())
    ledger.set_meta("today", today.isoformat())
    return today


def _hash(path: Path | None) -> str | None:
    """Return a hash of a file, or of the files of a folder, that changes what results say."""
    if path is None:
        return None
    files: Iterable[Path] = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    try:
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]
    except OSError as fault:
        raise UsageError(f"{path.name} cannot be read.", hint="Check the path.") from fault


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
