"""A stratified sample of the studies, to be reviewed by hand."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from pathlib import Path

from hepacalc.cohort.schema import TABLES
from hepacalc.cohort.tables import read_tables
from hepacalc.errors import UsageError

__all__ = ["STRATA", "sample_csv", "sample_studies"]

STRATA: dict[str, str] = {
    "result": "CASE WHEN calcifications > 0 THEN 'calcification' WHEN indeterminate > 0 THEN 'indeterminate' "
    "ELSE 'none' END",
    "age": "CASE WHEN age_years IS NULL THEN 'not known' ELSE CAST(floor(age_years/10)*10 AS INTEGER)::VARCHAR END",
    "pattern": "coalesce((SELECT max_by(pattern, mass_mg) FROM lesions l WHERE l.study_key = s.study_key), 'none')",
}
"""Strata beside the columns of ``studies``."""


def sample_studies(folder: Path, *, by: tuple[str, ...], number: int, seed: int = 1) -> list[dict[str, object]]:
    """Return studies drawn at random within strata; the same seed gives the same ones.

    Each stratum gets its share of ``number``, at least one study; ``weight`` is how many studies of its stratum each
    one stands for, so that prevalences over the sample can be weighted back.

    Args:
        folder: of ``cohort run``.
        by: columns of ``studies``, or names of :data:`STRATA`.
        number: of studies.
        seed: of the draw.

    Raises:
        UsageError: there is no such column.
        LedgerError: the tables are not there.
    """
    columns = {c.name for c in TABLES["studies"]}
    for name in by:
        if name not in STRATA and name not in columns:
            raise UsageError(
                f"there is no stratum {name[:40]!r}.",
                hint=f"Choose from {', '.join([*STRATA, 'site', 'sex', 'year', 'phase', 'worst_quality'])}.",
            )
    parts = [f"coalesce(CAST({STRATA.get(name, name)} AS VARCHAR), 'not known')" for name in by]
    stratum = f"concat_ws(' / ', {', '.join(parts)})" if parts else "'all'"
    with tempfile.TemporaryDirectory(prefix="hepacalc-") as spill, read_tables(folder, temporary=Path(spill)) as held:
        rows = held.execute(
            f"""
            WITH placed AS (SELECT study_key, study_uid, source, {stratum} AS stratum FROM studies s),
            counted AS (SELECT stratum, count(*) AS n, greatest(1, CAST(round({int(number)} * count(*) /
                (SELECT count(*) FROM placed)) AS BIGINT)) AS wanted FROM placed GROUP BY 1),
            drawn AS (SELECT *, row_number() OVER (PARTITION BY stratum ORDER BY md5(study_key || '{int(seed)}')) AS k
                FROM placed)
            SELECT study_key, study_uid, source, stratum, n / least(n, wanted) AS weight
            FROM drawn JOIN counted USING (stratum) WHERE k <= wanted ORDER BY stratum, k
            """
        )
        names = [column[0] for column in rows.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def sample_csv(rows: list[dict[str, object]]) -> str:
    """Return a sample as CSV with empty columns for what a reader sees."""
    held = io.StringIO()
    names = ("study_key", "study_uid", "source", "stratum", "weight")
    out = csv.writer(held, lineterminator="\n")
    out.writerow([*names, "calcifications", "total_mass_mg", "note"])
    for row in rows:
        cells = ["" if row[name] is None else str(row[name]) for name in names]
        out.writerow([*(f"'{cell}" if re.match(r"[=+\-@\t\r]", cell) else cell for cell in cells), "", "", ""])
    return held.getvalue()
