"""A small cohort without any scan: results that look like real ones, written into a ledger and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hepacalc.cohort.executor import Fault
from hepacalc.cohort.ledger import LEDGER, Ledger, Source
from hepacalc.cohort.rows import rows_of
from hepacalc.cohort.tables import write_tables


def write_example(out: Path, docs: list[dict[str, Any]], *, order: int = 1) -> Path:
    """Write a cohort of these documents, one failed study and one copy; ``order`` -1 settles them backwards."""
    out.mkdir(parents=True)
    names = [f"study-{k}" for k in range(len(docs))]
    with Ledger(out / LEDGER) as ledger:
        ledger.find(Source(name, "s", "North" if k % 2 else None) for k, name in enumerate([*names, "bad", "twin"]))
        ledger.begin("v")
        for k, doc in list(enumerate(docs))[::order]:
            probe = {"input_hash": f"{k:040x}", "study_uid": f"1.2.{k}", "age_years": 30.0 + 7 * k,
                     "sex": ("female", "male", None)[k % 3], "files": 3, "bytes": 10}  # fmt: skip
            ledger.hashed(k + 1, probe)
            ledger.attempt(k + 1, "v", "done", "liver,foci,reason", None, (1.5 * order, 300.0), "here", "2026-01-01")
            ledger.done(k + 1, probe["input_hash"], "v", None, rows_of(doc))
        ledger.failed(len(docs) + 1, "v", Fault("RUN-01", "OutOfMemory", "more", "give more"))
        ledger.hashed(len(docs) + 2, {"input_hash": f"{0:040x}", "study_uid": "1.2.0", "age_years": None, "sex": None,
                                      "files": 3, "bytes": 10})  # fmt: skip
        ledger.duplicate(len(docs) + 2, "v")
        write_tables(ledger, out / "tables")
    return out
