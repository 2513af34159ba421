"""A run over many studies, on one page: find them, look at each, assess each, keep the result, write the tables."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

from hepacalc.cohort.driver import Driver, Progress
from hepacalc.cohort.find import find_studies, root_of
from hepacalc.cohort.inputs import dicomweb
from hepacalc.cohort.ledger import LEDGER, Ledger
from hepacalc.cohort.options import Options, as_run_before, command_of, hash_of
from hepacalc.cohort.patients import Patients
from hepacalc.cohort.tables import write_tables
from hepacalc.cohort.versions import StageVersions, stage_versions
from hepacalc.days import today
from hepacalc.errors import UsageError

__all__ = ["Options", "Progress", "Summary", "run_cohort"]

_BATCH = 1024


class Summary(NamedTuple):
    """How a run ended."""

    counts: dict[str, int]
    failures: list[tuple[str, str, int]]
    tables: dict[str, int]
    attempted: int
    seconds: float
    command: str
    """Command line that runs it again with the same options."""


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
        ServerError: the DICOMweb server is away, or refuses.
        MissingDependency: the extra ``ray`` or ``server`` is wanted and not installed.
    """
    start = time.monotonic()
    if options.dicomweb is not None:
        dicomweb().check(dicomweb().remote_of(options.dicomweb, options.dicomweb_auth))
    out.mkdir(parents=True, exist_ok=True)
    with Ledger(out / LEDGER, make=root is not None) as ledger, Patients(options.patients) as patients:
        day = _day(ledger, options)
        if as_before:
            options = as_run_before(ledger, options)
        plain = {
            "segmenter": options.segmenter, "allow_gaps": options.allow_gaps, "agatston": options.agatston,
            "calibration": hash_of(options.calibration), "knowledge": hash_of(options.knowledge),
            "today": day.isoformat() if patients.is_there else None,
        }  # fmt: skip
        versions = stage_versions(plain)
        if root is None:
            _need_no_scans(ledger, versions)
        ledger.set_meta("options", json.dumps(plain))
        if root is not None:
            ledger.set_meta("command", command_of(root, out, options))
            ledger.find(find_studies(root, but=out, is_remote=options.dicomweb is not None))
        ledger.begin(versions.all, again=options.again)
        if patients.is_there:
            _reopen_changed(ledger, patients)
        ledger.set_meta("store", options.store or "")
        place = options.store or str((out / "studies").absolute())
        driver = Driver(ledger, patients, options, versions, day, None if root is None else root_of(root), place)
        attempted = driver.run(progress or (lambda _done, _all, _failed: None))
        counts = write_tables(ledger, out / "tables")
        spent = time.monotonic() - start
        return Summary(ledger.counts(), ledger.failures(), counts, attempted, spent, ledger.meta("command") or "")


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
        (after, _BATCH),
    ).fetchall():
        with ledger.together():
            for study, source, uid, before in rows:
                row = patients.of(source, uid)
                if (None if row is None else row.hash) != before:
                    ledger.db.execute("UPDATE studies SET status='hashed', attempts=0, lane=0 WHERE id=?", (study,))
        after = rows[-1][0]


def _day(ledger: Ledger, options: Options) -> date:
    held = ledger.meta("today")
    day = options.today or (date.fromisoformat(held) if held else today())
    ledger.set_meta("today", day.isoformat())
    return day
