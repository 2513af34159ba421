"""Tables, their page, the report, samples, exports and agreement, over a cohort of made-up results."""

import re
import shlex
import shutil
from dataclasses import Field, fields
from pathlib import Path

import duckdb
import pytest
from tests.cohort_example import write_example
from tests.reason_example import assessed
from tests.report_example import BALLS, make_example
from typer.main import get_command

from hepacalc.cli_cohort import cohort
from hepacalc.cohort.agree import agree, as_json, dice_of_lesions
from hepacalc.cohort.export import LEFT_OUT, export_tables
from hepacalc.cohort.ledger import LEDGER, Ledger
from hepacalc.cohort.options import Options, command_of, told_by_ledger
from hepacalc.cohort.patients import Patients
from hepacalc.cohort.report import _figure, _groups, _named, _todo, cohort_numbers, render_cohort, write_cohort_report
from hepacalc.cohort.rows import rows_of
from hepacalc.cohort.sample import sample_csv, sample_studies
from hepacalc.cohort.schema import COMPARED, TABLES
from hepacalc.cohort.store import open_store
from hepacalc.cohort.tables import read_tables
from hepacalc.cohort.work import _write as write_result
from hepacalc.errors import HepacalcError, LedgerError, UsageError
from hepacalc.report.cohort_phrases import FAILURE_ADVICE
from hepacalc.report.language import speaking
from hepacalc.report.schema import document

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "reference" / "cohort-tables.md"


@pytest.fixture(scope="module")
def docs() -> list[dict[str, object]]:
    return [
        document(assessed()),
        document(make_example()),
        document(make_example(balls=())),
        document(assessed(lesions=2)),
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, docs: list[dict[str, object]]) -> Path:
    return write_example(tmp_path_factory.mktemp("cohort") / "out", docs)


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    with read_tables(folder) as held:
        return held.execute(query).fetchall()


def test_every_column_is_documented_and_filled(out: Path, docs: list[dict[str, object]]):
    known = {name: {c.name for c in columns} for name, columns in TABLES.items()}
    for name, rows in rows_of(docs[0]).items():
        assert all(set(row) <= known[name] for row in rows), name
    for name, columns in TABLES.items():
        described = dict(row[:2] for row in ask(out, f"DESCRIBE {name}"))
        assert described == {c.name: c.type for c in columns}


def test_rows_say_what_the_document_says(out: Path, docs: list[dict[str, object]]):
    rows = ask(out, "SELECT focus_id, mass_mg, mass_mg_low, kind FROM foci WHERE study_key LIKE '%1' ORDER BY 1")
    for (number, mass, low, kind), focus in zip(rows, docs[1]["foci"], strict=True):  # type: ignore[arg-type]
        measured = focus["measurements"]["mass_mg"]
        assert (number, kind) == (focus["id"], focus["kind"])
        assert (mass, low) == (measured.get("value"), measured.get("low"))


def test_missing_is_null_with_its_reason_and_never_zero(out: Path):
    rows = ask(out, "SELECT vessel_distance_mm, agatston, not_measured FROM foci")
    for vessel, agatston, reasons in rows:
        for name, value in (("vessel_distance_mm", vessel), ("agatston", agatston)):
            assert (value is None) == (name in (reasons or ""))
    assert any(reasons for *_, reasons in rows)


def test_the_order_of_work_leaves_no_trace(out: Path, tmp_path: Path, docs: list[dict[str, object]]):
    other = write_example(tmp_path / "out", docs, order=-1)
    for name in COMPARED:
        assert (out / "tables" / f"{name}.parquet").read_bytes() == (other / "tables" / f"{name}.parquet").read_bytes()
    one, two = ((folder / "tables" / "runs.parquet").read_bytes() for folder in (out, other))
    assert one != two, "clocks are in runs only"


def test_queries_of_the_docs_run(out: Path):
    queries = re.findall(r"```sql\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert len(queries) >= 6
    with duckdb.connect() as held:
        for query in queries:
            answered = held.execute(query.replace("'tables/", f"'{out}/tables/")).fetchall()
            for name in ("failures", "runs", "FILTER (calcifications"):
                assert answered or name not in query, query


def test_report_counts_what_is_there(out: Path, tmp_path: Path):
    with read_tables(out) as held:
        numbers = cohort_numbers(held)
    calcified = [row[0] for row in ask(out, "SELECT calcifications FROM studies")]
    assert numbers["assessed"] == len(calcified) == 4
    assert numbers["positive_count"] == sum(count > 0 for count in calcified) == 3
    assert numbers["positive"].value == 0.75
    assert numbers["positive_count"] + numbers["unclear"] + numbers["nothing"] == 4
    assert numbers["flow"] == {"found": 6, "gone": 0, "duplicate": 1, "waiting": 0, "failed": 1, "assessed": 4}
    for title, groups in numbers["prevalence"]:
        assert sum(group.studies for group in groups) == 4, title
    ages = [group.name for group in dict(numbers["prevalence"])["Age in years"]]
    assert ages == ["30-39", "40-49", "50-59"]
    assert dict(numbers["prevalence"])["Site"][-1].name == "not known"
    write_cohort_report(out, tmp_path / "r.html", command="hepacalc cohort run ROOT -o OUT")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "75.0 %" in page
    assert "cohort run ROOT -o OUT --again RUN-01" in page
    assert not re.search(r"https?://|<script|src=", page), "nothing from outside"


def test_report_in_chinese_has_no_english_but_names(out: Path, tmp_path: Path):
    with read_tables(out) as held:
        numbers = cohort_numbers(held)
    page = render_cohort(numbers, command="hepacalc cohort run ROOT -o OUT", language="zh")
    assert '<html lang="zh-Hans">' in page
    assert "75.0 %" in page
    text = re.sub(r"<style>.*?</style>|<code.*?</code>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert "［英文原文］" not in page, "shown in English"
    assert "用--memory-limit增加内存" in page
    text = re.sub(r"--[a-z-]+|QC-[A-Z]+|(RUN|IN)-\d\d|OutOfMemory|docs/reference/\S+\.md|North", " ", text)
    same = {"hepacalc", "Couinaud", "Parquet", "Wilson", "CI", "HU", "MB", "mg", "mm", "kV", "IVa", "IVb", "bad", "IV"}
    assert set(re.findall(r"[A-Za-z]{2,}", text)) - same - {"II", "III", "VI", "VII", "VIII"} == set()
    assert re.findall(r">([^<]*)</h2>", page)[1:3] == ["从找到到计入", "患病率"]
    with pytest.raises(UsageError, match="languages"):
        render_cohort(numbers, language="de")


def test_every_error_of_a_study_has_words_for_what_to_do():
    raised = {code for code in codes_of(HepacalcError) if code[:3] in ("IN-", "GEO", "LIV", "MEA", "RUN")}
    elsewhere = {"IN-10", "IN-11", "IN-12", "IN-16", "GEO-05", "RUN-05"}
    assert {code for code in raised if not code.endswith("-00")} - elsewhere <= FAILURE_ADVICE.keys()
    assert _todo("XYZ-01", "Ask.") == "Ask."


def codes_of(kind: type[HepacalcError]) -> set[str]:
    return {kind.code}.union(*(codes_of(one) for one in kind.__subclasses__()))


def test_figures_have_the_digits_of_measurements():
    assert [_figure(value, "mg") for value in (1757.2, 12.34, 0.0412)] == ["1760", "12.3", "0.041"]


def test_sites_are_sorted_as_people_do_and_the_rest_is_told(tmp_path: Path):
    (tmp_path / "t").mkdir()
    with duckdb.connect() as held:
        held.execute(
            "CREATE TABLE studies AS SELECT concat('site ', i) AS site, 1 AS calcifications, 0 AS certain, "
            "50.0 AS age_years FROM range(12) t(i)"
        )
        assert [group.name for group in _groups(held, "site")][:3] == ["site 0", "site 1", "site 2"]
    with speaking("zh"):
        assert _named("10 others", "Site") == "其他10个"


def test_the_command_to_repeat_has_every_option(out: Path, tmp_path: Path):
    options = Options(workers=2, patients=Path("a b.csv"), allow_gaps=True, seconds=60.5, again=("RUN-01",))
    wanted = "hepacalc cohort run in -o out --workers 2 --patients 'a b.csv' --time-limit 60.5 --allow-gaps"
    assert command_of(Path("in"), Path("out"), options) == wanted
    flags = {word for word in wanted.split() if word.startswith("--")}
    given = click_options("run")
    assert flags <= given
    every = Options(**{f.name: _other(f) for f in fields(Options)})
    assert {w for w in shlex.split(command_of(Path("in"), Path("out"), every)) if w.startswith("--")} <= given
    assert told_by_ledger(tmp_path, "command") == ""
    with Ledger(out / LEDGER) as ledger:
        ledger.set_meta("command", wanted)
    assert told_by_ledger(out, "command") == wanted


def _other(one: Field[object]) -> object:
    kinds = {"int": 7, "float": 7.5, "bool": True}
    return kinds.get(str(one.type), ("RUN-01",) if one.name == "again" else Path("x"))


def click_options(command: str) -> set[str]:
    found = get_command(cohort).commands[command]  # type: ignore[attr-defined]
    return {name for one in found.params for name in one.opts}


def test_report_of_nothing(tmp_path: Path):
    write_example(tmp_path / "out", [])
    write_cohort_report(tmp_path / "out", tmp_path / "r.html")
    assert "No study was assessed" in (tmp_path / "r.html").read_text("utf-8")
    with pytest.raises(LedgerError, match="not in this folder"):
        write_cohort_report(tmp_path, tmp_path / "r.html")


def test_sample_is_stratified_and_repeatable(out: Path):
    one = sample_studies(out, by=("result",), number=2, seed=3)
    assert one == sample_studies(out, by=("result",), number=2, seed=3)
    assert {row["stratum"] for row in one} == {"calcification", "none"}
    assert sum(float(str(row["weight"])) for row in one) == 4, "weights add up to the cohort"
    assert sample_csv(one).splitlines()[0].startswith("study_key,study_uid,source,stratum,weight,calcifications")
    assert len(sample_studies(out, by=("pattern", "age", "site"), number=100)) == 4
    with pytest.raises(UsageError, match="stratum"):
        sample_studies(out, by=("1; DROP TABLE studies",), number=1)


def test_export_holds_no_identity(out: Path, tmp_path: Path):
    counts = export_tables(out, tmp_path / "given", key=b"k" * 32)
    assert counts["studies"] == 4
    with duckdb.connect() as held:
        for name in TABLES:
            path = tmp_path / "given" / f"{name}.parquet"
            rows = held.execute(f"SELECT * FROM read_parquet('{path}')")
            columns = {c[0] for c in rows.description or ()}
            assert not columns & set(LEFT_OUT.get(name, ()))
            text = str(rows.fetchall())
            assert not re.search(r"1\.2\.\d|study-\d|North|0{20}", text), name
        keys = held.execute(
            f"SELECT count(*) FROM '{tmp_path}/given/foci.parquet' f SEMI JOIN '{tmp_path}/given/studies.parquet' s "
            "USING (study_key)"
        ).fetchall()
    assert keys == ask(out, "SELECT count(*) FROM foci"), "tables still join"
    export_tables(out, tmp_path / "again", key=b"k" * 32)
    assert (tmp_path / "again/foci.parquet").read_bytes() == (tmp_path / "given/foci.parquet").read_bytes()
    with pytest.raises(UsageError, match="empty folder"):
        export_tables(out, tmp_path / "again")


def test_runs_and_readers_agree(out: Path, tmp_path: Path, docs: list[dict[str, object]]):
    same = agree(out, out, masks=False)
    assert same.both == 4
    assert same.presence is not None
    assert same.presence.value == 1
    assert same.mass_limits is not None
    assert same.mass_limits.bias.value == 0
    assert '"value": 1.0' in as_json(same)
    reader = tmp_path / "reader.csv"
    reader.write_text("study_uid,calcifications\n1.2.0,0\n1.2.1,2\n1.2.2,0\n1.2.9,1\n", "utf-8")
    read = agree(out, reader)
    assert (read.joined_by, read.both, read.only_first, read.only_second) == ("study_uid", 3, 1, 1)
    assert read.mass_icc is None
    for text in ("who\nme\n", "study_uid,calcifications\n9.9,1\n", "study_uid,calcifications\n1.2.0,many\n"):
        reader.write_text(text, "utf-8")
        with pytest.raises(UsageError):
            agree(out, reader)


def test_masks_are_compared_where_the_run_kept_them(out: Path, tmp_path: Path):
    pytest.importorskip("fsspec")
    copy = shutil.copytree(out, tmp_path / "out")
    place = f"memory://{tmp_path.name}"
    with Ledger(copy / LEDGER) as ledger:
        ledger.set_meta("store", place)
    write_result(make_example(), open_store(place), f"{1:040x}", {"liver": "v"}, masks=True)
    found = agree(copy, copy)
    assert (found.compared_masks, set(found.dice)) == (1, {1.0})
    assert agree(out, out).compared_masks == 0, "nothing is stored there"


def test_dice_of_lesions():
    one, two = make_example(), make_example(balls=BALLS[:1])
    found, only_one, only_two = dice_of_lesions(one, one)
    assert found
    assert set(found) == {1.0}
    assert (only_one, only_two) == (0, 0)
    found, only_one, only_two = dice_of_lesions(one, two)
    assert len(found) + only_one == len(one.lesions)
    assert len(found) + only_two == len(two.lesions)


def test_patient_table_in_the_docs_is_one(tmp_path: Path):
    from datetime import date

    from hepacalc.patient.read import patient_from_data

    page = (ROOT / "docs" / "howto" / "cohort.md").read_text("utf-8")
    table = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert table is not None
    path = tmp_path / "p.csv"
    path.write_text(table[1], "utf-8")
    with Patients(path) as patients:
        row = patients.of("2019/p0001", None)
    assert row is not None
    assert row.site == "North"
    patient = patient_from_data(row.fields, today=date(2026, 1, 1))
    assert (patient.age, patient.sex) == (61, "male")
