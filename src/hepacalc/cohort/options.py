"""How a cohort is assessed: what the command line says, kept in the ledger so that a later run can do the same."""

from __future__ import annotations

import hashlib
import json
import shlex
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from hepacalc.cohort.ledger import LEDGER, Ledger
from hepacalc.errors import UsageError

__all__ = ["Options", "as_run_before", "command_of", "hash_of", "told_by_ledger"]

_FLAGS = {"seconds": "--time-limit", "memory_mb": "--memory-limit"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a cohort is assessed.

    Args:
        engine: ``local`` or ``ray``.
        workers: studies at the same time; 0: as the cores allow.
        threads: of each worker; 0: cores divided by workers, 1 where these are not told either.
        address: of a Ray cluster.
        dicomweb: root of the DICOMweb server that holds the studies of the manifest.
        dicomweb_auth: file with what is needed to read from it; else the environment is asked.
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
    dicomweb: str | None = None
    dicomweb_auth: Path | None = None
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


def command_of(root: Path, out: Path, options: Options) -> str:
    """Return the command line that runs a cohort with these options, without ``--again``."""
    words = ["hepacalc", "cohort", "run", str(root), "-o", str(out)]
    for one in fields(options):
        value = getattr(options, one.name)
        if value == one.default or one.name == "again":
            continue
        words.append(_FLAGS.get(one.name, f"--{one.name.replace('_', '-')}"))
        if value is not True:
            words.append(f"{value:g}" if isinstance(value, float) else str(value))
    return shlex.join(words)


def told_by_ledger(folder: Path, name: str) -> str:
    """Return what the ledger of a cohort keeps as ``command`` or ``store``; empty where it does not tell."""
    try:
        held = sqlite3.connect(f"{(folder / LEDGER).absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return ""
    try:
        row = held.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
    except sqlite3.DatabaseError:
        return ""
    finally:
        held.close()
    return "" if row is None else str(row[0])


def as_run_before(ledger: Ledger, options: Options) -> Options:
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


def hash_of(path: Path | None) -> str | None:
    """Return a hash of a file, or of the files of a folder, that changes what results say."""
    if path is None:
        return None
    files: Iterable[Path] = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    try:
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]
    except OSError as fault:
        raise UsageError(f"{path.name} cannot be read.", hint="Check the path.") from fault
