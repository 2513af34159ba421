"""A ledger of a million rows, and the tables of a million studies with five million foci, made up by a seed."""

from __future__ import annotations

from pathlib import Path

from hepacalc.cohort.schema import TABLES, Column
from hepacalc.cohort.tables import connect

_NUMBERS: dict[str, str] = {
    "study_key": "md5(i::VARCHAR)",
    "study_uid": "concat('2.25.', i)",
    "source": "concat('site-', i % 40, '/study-', i)",
    "copies": "1",
    "site": "CASE WHEN i % 50 = 0 THEN NULL ELSE concat('site ', i % 40) END",
    "age_years": "CASE WHEN i % 97 = 0 THEN NULL ELSE least(90, floor(18 + 70 * random())) END",
    "sex": "CASE WHEN random() < 0.5 THEN 'female' ELSE 'male' END",
    "year": "2010 + (i % 15)",
    "kvp": "80 + 20 * (i % 4)",
    "slice_thickness_mm": "1 + (i % 5)",
    "phase": "CASE WHEN random() < 0.6 THEN 'non-contrast' ELSE 'portal venous' END",
    "is_contrast": "random() < 0.4",
    "liver_is_complete": "random() < 0.9",
    "calcifications": "CASE WHEN random() < 0.7 THEN 0 ELSE CAST(1 + floor(random() * random() * 20) AS INTEGER) END",
    "certain": "CASE WHEN random() < 0.8 THEN 0 ELSE 1 END",
    "indeterminate": "CAST(floor(random() * 1.2) AS INTEGER)",
    "worst_quality": "CASE WHEN random() < 0.5 THEN 'ok' ELSE 'warning' END",
    "quality_codes": "CASE WHEN random() < 0.5 THEN [] ELSE ['QC-THICK:warning', 'QC-NOISE:note'] END",
    "version": "'00000000-00000000-00000000'",
    "kind": "CASE WHEN random() < 0.6 THEN 'calcification' WHEN random() < 0.5 THEN 'vessel' ELSE 'noise' END",
    "pattern": "['punctate', 'nodular solid', 'septal', 'comma'][1 + CAST(floor(random() * 3.99) AS INTEGER)]",
    "segment": "['II', 'III', 'IVa', 'V', 'VI', 'VII', 'VIII'][1 + CAST(floor(random() * 6.99) AS INTEGER)]",
    "certainty": "CASE WHEN random() < 0.5 THEN 'certain' ELSE 'probable' END",
    "lesion_id": "1",
    "focus_id": "1",
    "foci": "1",
    "mass_mg": "exp(6 * random())",
    "extent_mm": "1 + 30 * random()",
    "code": "CASE WHEN random() < 0.5 THEN 'IN-02' ELSE 'RUN-01' END",
    "class": "'input cannot be used'",
    "name": "'NotAStudy'",
    "hint": "'Send one.'",
    "status": "'done'",
    "stages": "'liver,foci,reason'",
    "seconds": "10 * random()",
    "peak_mb": "500 * random()",
}
"""Columns that the report counts; every other number is drawn as well, so that the files have their size."""


def _made(column: Column, table: str) -> str:
    if column.name == "study_key" and table in ("foci", "lesions"):
        return "md5((i % 1000000)::VARCHAR) AS study_key"
    text = _NUMBERS.get(column.name, "random()" if column.type == "DOUBLE" else "NULL")
    return f'CAST({text} AS {column.type}) AS "{column.name}"'


def make_tables(folder: Path, studies: int, foci: int) -> Path:
    """Write tables of this size to ``folder``."""
    folder.mkdir(parents=True)
    rows = {"studies": studies, "foci": foci, "lesions": foci // 2, "failures": studies // 20, "runs": studies}
    with connect("1GB", temporary=folder.with_name("spill")) as held:
        held.execute("SET preserve_insertion_order=false")
        for table, columns in TABLES.items():
            if table == "flow":
                continue
            query = f"SELECT {', '.join(_made(c, table) for c in columns)} FROM range({rows.get(table, 0)}) t(i)"
            held.execute(f"COPY ({query}) TO '{folder / table}.parquet' (FORMAT parquet)")
        failed = studies // 20
        steps = f"(1, 'found', {studies + failed}), (2, 'gone', 0), (3, 'duplicate', 0), (4, 'waiting', 0)"
        held.execute(
            f"COPY (SELECT * FROM (VALUES {steps}, (5, 'failed', {failed}), (6, 'assessed', {studies})) "
            f"t(step, what, studies)) TO '{folder / 'flow'}.parquet' (FORMAT parquet)"
        )
    return folder
