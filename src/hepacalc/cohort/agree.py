"""How well two runs, or two readers, agree: presence, number, mass, and the voxels of each lesion."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from hepacalc.cohort.options import told_by_ledger
from hepacalc.cohort.schema import TABLES
from hepacalc.cohort.statistics import Estimate, Limits, bland_altman, cohen_kappa, icc_agreement
from hepacalc.cohort.store import open_store
from hepacalc.cohort.tables import connect
from hepacalc.errors import InvalidAssessment, UsageError
from hepacalc.records import Assessment
from hepacalc.report.stored import read_stored

__all__ = ["Agreement", "agree", "as_json", "dice_of_lesions"]

COLUMNS = ("calcifications", "total_mass_mg")
_HINT = (
    "Give folders of `cohort run`, or CSV tables with a column `study_key`, `study_uid` or `source`, and "
    "`calcifications` and/or `total_mass_mg`."
)
_JOINS = ("study_key", "study_uid", "source")


class Agreement(NamedTuple):
    """How two agree.

    Args:
        joined_by: column by which studies were brought together.
        both: studies that both have.
        only_first: studies that only the first has.
        only_second: studies that only the second has.
        presence: kappa of "at least one calcification"; None when one does not say.
        number: weighted kappa of the number of calcifications (0, 1, 2, 3-5, more).
        number_icc: of the number.
        mass_icc: of the total mass.
        mass_limits: Bland-Altman of the total mass in mg, second less first.
        mass_studies: studies in which both measured a mass; the others are left out, not counted as 0.
        dice: of each lesion of the first with its partner of the second; empty without stored masks.
        unmatched_first: lesions of the first that overlap none of the second.
        unmatched_second: the other way round.
        compared_masks: studies whose masks were compared.
    """

    joined_by: str
    both: int
    only_first: int
    only_second: int
    presence: Estimate | None
    number: Estimate | None
    number_icc: Estimate | None
    mass_icc: Estimate | None
    mass_limits: Limits | None
    mass_studies: int
    dice: tuple[float, ...]
    unmatched_first: int
    unmatched_second: int
    compared_masks: int


def agree(
    first: Path, second: Path, *, stores: tuple[str | None, str | None] = (None, None), masks: bool = True
) -> Agreement:
    """Compare two cohorts, or two tables of readers.

    Args:
        first: folder of ``cohort run``, or a CSV table.
        second: the same.
        stores: where their results lie; None: as the run had it.
        masks: whether lesions are compared voxel by voxel, where both are folders.

    Raises:
        UsageError: they have no study in common, or are no such tables.
        InvalidAssessment: a stored result is damaged.
    """
    with connect() as held:
        columns = [_view(held, name, path) for name, path in (("a", first), ("b", second))]
        shared = set(columns[0]) & set(columns[1])
        by = next((name for name in _JOINS if name in shared), None)
        if by is None:
            raise UsageError("the two tables have no column in common by which to join them.", hint=_HINT)
        both, only_first, only_second = _one(
            held,
            f"SELECT count(*) FILTER (a.{by} IS NOT NULL AND b.{by} IS NOT NULL), count(*) FILTER (b.{by} IS NULL), "
            f"count(*) FILTER (a.{by} IS NULL) FROM (SELECT * FROM a WHERE {by} IS NOT NULL) a FULL JOIN "
            f"(SELECT * FROM b WHERE {by} IS NOT NULL) b ON a.{by} = b.{by}",
        )
        if not both:
            raise UsageError("the two have no study in common.", hint=_HINT)
        numbers = _pairs(held, by, "calcifications") if "calcifications" in shared else []
        masses = _pairs(held, by, "total_mass_mg") if "total_mass_mg" in shared else []
        keys = []
        if masks and first.is_dir() and second.is_dir():
            rows = held.execute("SELECT study_key FROM a SEMI JOIN b USING (study_key) ORDER BY 1").fetchall()
            keys = [str(row[0]) for row in rows]
    dice: list[float] = []
    lost = [0, 0]
    places = [
        store or told_by_ledger(folder, "store") or str(folder / "studies")
        for store, folder in zip(stores, (first, second), strict=True)
    ]
    compared = 0
    for pair in _stored(keys, places):
        compared += 1
        found, left, right = dice_of_lesions(*pair)
        dice += found
        lost[0] += left
        lost[1] += right
    one, two = [float(a) for a, _ in numbers], [float(b) for _, b in numbers]
    mass_one, mass_two = [float(a) for a, _ in masses], [float(b) for _, b in masses]
    return Agreement(
        joined_by=by,
        both=both,
        only_first=only_first,
        only_second=only_second,
        presence=cohen_kappa([a > 0 for a in one], [b > 0 for b in two]) if numbers else None,
        number=cohen_kappa([_class(a) for a in one], [_class(b) for b in two], ordered=True) if numbers else None,
        number_icc=icc_agreement(one, two) if numbers else None,
        mass_icc=icc_agreement(mass_one, mass_two) if masses else None,
        mass_limits=bland_altman(mass_one, mass_two) if masses else None,
        mass_studies=len(masses),
        dice=tuple(dice),
        unmatched_first=lost[0],
        unmatched_second=lost[1],
        compared_masks=compared,
    )


def dice_of_lesions(first: Assessment, second: Assessment) -> tuple[list[float], int, int]:
    """Return the Dice coefficient of each pair of lesions that belong together, and how many have no partner.

    Lesions are paired so that the sum of their Dice coefficients is greatest; a pair must share a voxel.

    Raises:
        InvalidAssessment: the two lie on different grids.
    """
    if not first.geometry.same_grid(second.geometry, tolerance_mm=0.05):
        raise InvalidAssessment(
            "two results of the same study lie on different grids.", hint="Compare runs over the same series."
        )
    a, b = _lesion_labels(first), _lesion_labels(second)
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a.ravel(), b.ravel()), 1)
    sizes_a, sizes_b = table.sum(1), table.sum(0)
    dice = 2 * table[1:, 1:] / np.maximum(np.add.outer(sizes_a, sizes_b)[1:, 1:], 1)
    rows, columns = linear_sum_assignment(-dice)
    found = [float(dice[r, c]) for r, c in zip(rows, columns, strict=True) if dice[r, c] > 0]
    count_a, count_b = (int(np.count_nonzero(sizes[1:])) for sizes in (sizes_a, sizes_b))
    return found, count_a - len(found), count_b - len(found)


def _lesion_labels(assessment: Assessment) -> NDArray[np.int64]:
    """Return the label map of lesions (not foci)."""
    most = max((focus.id for focus in assessment.foci), default=0)
    lesion_of = np.zeros(most + 1, np.int64)
    for focus in assessment.foci:
        lesion_of[focus.id] = focus.lesion or 0
    found: NDArray[np.int64] = lesion_of[assessment.labels]
    return found


def _stored(keys: list[str], places: list[str]) -> Iterator[tuple[Assessment, Assessment]]:
    one, two = (open_store(place) for place in places)
    for key in keys:
        if one.stamp(key) is not None and two.stamp(key) is not None:
            with one.held(key) as a, two.held(key) as b:
                yield read_stored(a), read_stored(b)


def _class(number: float) -> int:
    return int(number) if number <= 2 else 3 if number <= 5 else 4


def _view(held: duckdb.DuckDBPyConnection, name: str, path: Path) -> list[str]:
    """Make a cohort, or a CSV table, a view; return its columns."""
    place = path / "tables" / "studies.parquet" if (path / "tables").is_dir() else path / "studies.parquet"
    source = str(place if path.is_dir() else path).replace("'", "''")
    known = {c.name: c.type for c in TABLES["studies"]}
    try:
        if path.is_dir():
            held.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{source}')")
        else:
            header = held.execute(f"SELECT * FROM read_csv('{source}', all_varchar=true, header=true) LIMIT 0")
            kept = [c[0] for c in header.description or () if c[0] in (*_JOINS, *COLUMNS)]
            if not kept:
                raise UsageError("a table has none of the columns that can be compared.", hint=_HINT)
            cast = ", ".join(f"CAST({c} AS {known[c]}) AS {c}" for c in kept)
            held.execute(
                f"CREATE TABLE {name} AS SELECT {cast} FROM read_csv('{source}', all_varchar=true, header=true)"
            )
        described = held.execute(f"DESCRIBE {name}").fetchall()
    except duckdb.Error as fault:
        raise UsageError(f"{path.name} cannot be read as a table of studies.", hint=_HINT) from fault
    return [str(row[0]) for row in described]


def _pairs(held: duckdb.DuckDBPyConnection, by: str, column: str) -> list[tuple[float, float]]:
    """Return the values of studies in which both have one."""
    return held.execute(
        f"SELECT a.{column}, b.{column} FROM a JOIN b ON a.{by} = b.{by} "
        f"WHERE a.{column} IS NOT NULL AND b.{column} IS NOT NULL ORDER BY a.{by}"
    ).fetchall()


def _one(held: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = held.execute(query).fetchone()
    assert row is not None
    return tuple(int(v) for v in row)


def as_json(found: Agreement) -> str:
    """Return an agreement as JSON; what cannot be computed is null, numbers have six places."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return None if math.isnan(value) else round(value, 6)
        if hasattr(value, "_asdict"):
            return {name: plain(one) for name, one in value._asdict().items()}
        return [plain(one) for one in value] if isinstance(value, tuple) else value

    return json.dumps(plain(found), indent=1)
