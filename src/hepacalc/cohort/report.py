"""The report of a cohort: counted by DuckDB out of the tables, told on one page that needs nothing from outside."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from hepacalc.cohort.policy import REPEATABLE, class_key
from hepacalc.cohort.statistics import Estimate, wilson
from hepacalc.cohort.tables import read_tables
from hepacalc.folders import told
from hepacalc.records import Measured
from hepacalc.report import words
from hepacalc.report.cohort_phrases import CHECK_NAMES, COHORT_WORDS, FAILURE_ADVICE, FAILURE_CLASSES
from hepacalc.report.html import HTML_LANG, page_environment, style
from hepacalc.report.language import phrase, speaking, spoken
from hepacalc.report.numbers import shown
from hepacalc.report.sentences import say

__all__ = ["Group", "Share", "cohort_numbers", "render_cohort", "write_cohort_report"]

MEMORY = "1200MB"
MOST_SITES = 30
MOST_FAILURES = 200
UNKNOWN = "not known"


class Group(NamedTuple):
    """Prevalence in one group of studies."""

    name: str
    studies: int
    positive: Estimate
    certain: Estimate


class Share(NamedTuple):
    """One part of a whole: how many studies (or lesions) it has."""

    name: str
    number: int
    share: float


_AGES = (
    "CASE WHEN age_years IS NULL THEN NULL WHEN age_years < 18 THEN '0-17' WHEN age_years >= 80 THEN '80 and over' "
    "ELSE CASE WHEN age_years < 30 THEN '18-29' ELSE "
    "concat(CAST(floor(age_years/10)*10 AS INTEGER), '-', CAST(floor(age_years/10)*10+9 AS INTEGER)) END END"
)
_GROUPINGS: tuple[tuple[str, str], ...] = (
    ("Age in years", _AGES),
    ("Sex", "sex"),
    ("Year of the scan", "CAST(year AS VARCHAR)"),
    ("Site", "site"),
    ("Contrast phase", "phase"),
)
_NUMBER = (
    "CASE WHEN calcifications = 0 THEN '0' WHEN calcifications = 1 THEN '1' WHEN calcifications = 2 THEN '2' "
    "WHEN calcifications <= 5 THEN '3-5' WHEN calcifications <= 10 THEN '6-10' ELSE 'more than 10' END"
)
_MASS = (
    "CASE WHEN mass_mg IS NULL THEN 'not measured' WHEN mass_mg < 1 THEN 'less than 1 mg' WHEN mass_mg < 10 THEN "
    "'1-10 mg' WHEN mass_mg < 100 THEN '10-100 mg' WHEN mass_mg < 1000 THEN '0.1-1 g' ELSE '1 g and more' END"
)
_SIZE = (
    "CASE WHEN extent_mm IS NULL THEN 'not measured' WHEN extent_mm < 5 THEN 'less than 5 mm' WHEN extent_mm < 10 "
    "THEN '5-10 mm' WHEN extent_mm < 20 THEN '10-20 mm' ELSE '20 mm and more' END"
)
_THICKNESS = (
    "CASE WHEN slice_thickness_mm IS NULL THEN NULL WHEN slice_thickness_mm <= 1.5 THEN 'up to 1.5 mm' WHEN "
    "slice_thickness_mm <= 3 THEN '1.5-3 mm' WHEN slice_thickness_mm <= 5 THEN '3-5 mm' ELSE 'more than 5 mm' END"
)
_TOTAL = _MASS.replace("mass_mg", "total_mass_mg")
_CALCIFIED = "lesions WHERE kind = 'calcification'"
_OF_STUDY = "Total mass of a study with calcification"
_POSITIVE = "studies WHERE calcifications > 0"


def write_cohort_report(folder: Path, path: Path, *, command: str = "", language: str = "en") -> None:
    """Write the report of the tables in ``folder`` to ``path``.

    Args:
        folder: that of ``cohort run``, or of the Parquet files.
        path: of the HTML file.
        command: that ran the cohort; shown with ``--again`` and the codes that may end differently.
        language: ``en`` or ``zh``.

    Raises:
        UsageError: another language.
        LedgerError: the tables are not there.
        OutputError: the report cannot be written.
    """
    with (
        tempfile.TemporaryDirectory(prefix="hepacalc-report-") as name,
        read_tables(folder, memory=MEMORY, temporary=Path(name)) as held,
    ):
        page = render_cohort(cohort_numbers(held), command=command, language=language)
    with told(Path(path.name)):
        path.write_text(page, "utf-8", newline="\n")


def render_cohort(numbers: dict[str, Any], *, command: str = "", language: str = "en") -> str:
    """Return the page of what :func:`cohort_numbers` counted.

    Raises:
        UsageError: another language.
    """
    with speaking(language):
        template = page_environment().get_template("cohort.html.j2")
        return template.render(
            c=numbers, command=command and f"{command} --again {','.join(numbers['repeatable_codes'])}",
            css=style("tokens.css", "report.css", "cohort.css"), unknown=UNKNOWN, named=_named, check_name=_check_name,
            class_name=_class_name, todo=_todo, figure=_figure, scale=_scale(numbers),
            lang=HTML_LANG.get(spoken(), spoken()),
        )  # fmt: skip


_VALUES: dict[str, Callable[[Any], str]] = {
    "Sex": say,
    "Contrast phase": words.phase_text,
    "Pattern of calcified lesions": say,
    "Certainty of calcified lesions": words.certainty_text,
    "What candidates were taken for": words.kind_text,
    "Worst check of the input": words.level_text,
}
"""How values of a table are said, by the title under which they stand."""


def _named(name: str, title: str = "") -> str:
    """Return a title, or a group below a title, in the language that is spoken; names of sites stay as they are."""
    if name in COHORT_WORDS:
        return phrase(f"cohort-word.{name}", COHORT_WORDS[name])
    if found := re.fullmatch(r"(\d+) others", name):
        return words.text("cohort.others", count=found[1])
    return _VALUES[title](name) if title in _VALUES else name


def _check_name(code: str) -> str:
    return phrase(f"check-name.{code}", CHECK_NAMES[code]) if code in CHECK_NAMES else ""


def _class_name(code: str) -> str:
    key = class_key(code)
    return phrase(f"failure-class.{key}", FAILURE_CLASSES[key])


def _todo(code: str, hint: str | None) -> str:
    """Return what to do about an error: the words for its code, else what one of the studies was told."""
    return phrase(f"failure-todo.{code}", FAILURE_ADVICE[code]) if code in FAILURE_ADVICE else say(hint or "")


def _figure(value: float, unit: str) -> str:
    """Return a number that has no interval of its own with as many digits as any measurement."""
    return shown(Measured(value, unit, value, value, "counted")).value


def _scale(numbers: dict[str, Any]) -> int:
    """Return the end of the axis of the prevalences in %: the first that holds every interval of 20 studies."""
    groups = [group for _, found in numbers["prevalence"] for group in found if group.studies >= 20]
    highs = [100 * group.positive.high for group in groups]
    return next((end for end in (5, 10, 25, 50, 75) if highs and max(highs) <= end), 100)


def cohort_numbers(held: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Count everything that the page tells; each number is one query over the tables."""
    flow = dict(held.execute("SELECT what, studies FROM flow ORDER BY step").fetchall())
    assessed, positive, certain, unclear, contrast, complete, versions = _row(
        held,
        "SELECT count(*), count(*) FILTER (calcifications > 0), count(*) FILTER (certain > 0), "
        "count(*) FILTER (calcifications = 0 AND indeterminate > 0), count(*) FILTER (is_contrast), "
        "count(*) FILTER (liver_is_complete), list(DISTINCT version ORDER BY version) FROM studies",
    )
    foci, lesions = _row(held, "SELECT (SELECT count(*) FROM foci), (SELECT count(*) FROM lesions)")
    return {
        "flow": flow,
        "assessed": assessed,
        "positive": wilson(positive, assessed),
        "positive_count": positive,
        "certain": wilson(certain, assessed),
        "certain_count": certain,
        "unclear": unclear,
        "nothing": assessed - positive - unclear,
        "contrast": contrast,
        "complete": complete,
        "versions": versions or [],
        "foci": foci,
        "lesions": lesions,
        "prevalence": [(title, _groups(held, what)) for title, what in _GROUPINGS],
        "distributions": [
            ("Calcified lesions per study", _shares(held, _NUMBER, "studies", "min(calcifications)")),
            (
                _OF_STUDY,
                _shares(held, _TOTAL, _POSITIVE, "min(total_mass_mg) NULLS LAST"),
            ),
            ("Mass of a calcified lesion", _shares(held, _MASS, _CALCIFIED, "min(mass_mg) NULLS LAST")),
            ("Largest extent of a calcified lesion", _shares(held, _SIZE, _CALCIFIED, "min(extent_mm) NULLS LAST")),
            ("Pattern of calcified lesions", _shares(held, "pattern", _CALCIFIED, "count(*) DESC, 1")),
            ("Couinaud segment of calcified lesions", _shares(held, "segment", _CALCIFIED, "1")),
            ("Certainty of calcified lesions", _shares(held, "certainty", _CALCIFIED, "count(*) DESC, 1")),
            ("What candidates were taken for", _shares(held, "kind", "foci", "count(*) DESC, 1")),
        ],
        "middles": {
            _OF_STUDY: (*_middle(held, "total_mass_mg", _POSITIVE), "mg"),
            "Mass of a calcified lesion": (*_middle(held, "mass_mg", _CALCIFIED), "mg"),
            "Largest extent of a calcified lesion": (*_middle(held, "extent_mm", _CALCIFIED), "mm"),
        },
        "input": [
            ("Contrast phase", _shares(held, "phase", "studies", "count(*) DESC, 1")),
            ("Tube voltage", _shares(held, "printf('%g kV', kvp)", "studies", "min(kvp)")),
            ("Slice thickness", _shares(held, _THICKNESS, "studies", "min(slice_thickness_mm) NULLS LAST")),
            ("Worst check of the input", _shares(held, "worst_quality", "studies", "count(*) DESC, 1")),
        ],
        "checks": held.execute(
            "SELECT split_part(code, ':', 1), count(*) FILTER (split_part(code, ':', 2) = 'note'), "
            "count(*) FILTER (split_part(code, ':', 2) = 'warning'), "
            "count(*) FILTER (split_part(code, ':', 2) = 'severe') "
            "FROM (SELECT unnest(quality_codes) AS code FROM studies) GROUP BY 1 ORDER BY 4 DESC, 3 DESC, 1"
        ).fetchall(),
        "smallest": _row(
            held,
            "SELECT quantile_cont(smallest_trusted_mm, 0.05), median(smallest_trusted_mm), "
            "quantile_cont(smallest_trusted_mm, 0.95) FROM studies",
        ),
        "classes": held.execute(
            'SELECT "class", code, max(name), count(*), min(hint) FROM failures GROUP BY 1, 2 ORDER BY 2'
        ).fetchall(),
        "failed": held.execute(
            f"SELECT source, code FROM failures ORDER BY code, source LIMIT {MOST_FAILURES}"
        ).fetchall(),
        "failed_total": _row(held, "SELECT count(*) FROM failures")[0],
        "repeatable": _row(held, f"SELECT count(*) FROM failures WHERE code IN {REPEATABLE}")[0],
        "repeatable_codes": [
            row[0]
            for row in held.execute(
                f"SELECT DISTINCT code FROM failures WHERE code IN {REPEATABLE} ORDER BY 1"
            ).fetchall()
        ],
        "spent": _row(
            held,
            "SELECT count(*), median(seconds), quantile_cont(seconds, 0.95), max(peak_mb), sum(seconds)/3600 FROM runs "
            "WHERE status = 'done' AND stages <> ''",
        ),
    }


def _middle(held: duckdb.DuckDBPyConnection, column: str, source: str) -> tuple[Any, ...]:
    """Return median, quartiles, how many are measured and how many are not."""
    return _row(
        held,
        f"SELECT median({column}), quantile_cont({column}, 0.25), quantile_cont({column}, 0.75), count({column}), "
        f"count(*) - count({column}) FROM {source}",
    )


def _row(held: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = held.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def _groups(held: duckdb.DuckDBPyConnection, what: str) -> list[Group]:
    """Return the prevalence by group; what is not known is a group of its own, the last one."""
    rows = held.execute(
        f"SELECT {what} AS name, count(*), count(*) FILTER (calcifications > 0), count(*) FILTER (certain > 0), "
        "min(age_years) FROM studies GROUP BY 1"
    ).fetchall()
    numbered = what == _AGES
    rows.sort(key=lambda row: (row[0] is None, (row[4] or 0) if numbered else 0, _natural(str(row[0]))))
    if len(rows) > MOST_SITES + 1:
        rows.sort(key=lambda row: (row[0] is None, -row[1], _natural(str(row[0]))))
        known = [row for row in rows if row[0] is not None]
        rest = known[MOST_SITES:]
        other = (f"{len(rest)} others", *(sum(row[k] for row in rest) for k in (1, 2, 3)))
        rows = [*known[:MOST_SITES], other, *(row for row in rows if row[0] is None)]
    return [
        Group(UNKNOWN if row[0] is None else str(row[0]), row[1], wilson(row[2], row[1]), wilson(row[3], row[1]))
        for row in rows
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which site 2 comes before site 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _shares(held: duckdb.DuckDBPyConnection, what: str, source: str, order: str) -> list[Share]:
    rows = held.execute(f"SELECT {what} AS name, count(*) FROM {source} GROUP BY 1 ORDER BY {order}").fetchall()
    total = sum(count for _, count in rows)
    known = [Share(str(name), count, count / total) for name, count in rows if name is not None]
    return known + [Share(UNKNOWN, count, count / total) for name, count in rows if name is None]
