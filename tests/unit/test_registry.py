"""The registry on both databases: what goes in, what follows, and that nothing is overwritten."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

import postgres_server
from hepacalc.errors import InvalidAssessment, NotInRegistry, OtherStudy, OutputError, RegistryError, UsageError
from hepacalc.followup.schedule import ASSESS, REPLAN, Windows
from hepacalc.interop.identity import lesion_tracking
from hepacalc.registry import tables as t
from hepacalc.registry.check import check
from hepacalc.registry.comparison import comparisons_of
from hepacalc.registry.due_files import due_bundle, due_calendar, due_csv, due_items
from hepacalc.registry.exchange import backup, export_to, import_from
from hepacalc.registry.intake import LesionLink
from hepacalc.registry.queries import due_counts, due_rows
from hepacalc.registry.store import Registry
from hepacalc.registry.views import history, patient_lines, show
from reason_example import SIMPLE
from registry_scenes import NOW, STUDY, exam

Opener = Callable[[], str]
WINDOWS = Windows()


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Gives the location of a new empty database at each call."""
    count = iter(range(100))
    if request.param == "sqlite":
        with tempfile.TemporaryDirectory(dir=postgres_server.quick_folder()) as folder:
            yield lambda: str(Path(folder) / f"registry-{next(count)}.sqlite")
    else:
        server = request.getfixturevalue("postgresql")
        yield lambda: postgres_server.empty_database(server, f"hepacalc_{next(count)}")


@pytest.fixture
def registry(location: Opener) -> Iterator[Registry]:
    with Registry.open(location(), create=True) as held:
        yield held
        assert check(held.database).faults == (), "after every test the registry holds together"
        assert check(held.database, quick=True).faults == ()


def add(registry: Registry, number: int, key: str | None = "P1", links: tuple[LesionLink, ...] = (), **more):
    return registry.add(exam(number, **more), key=key, now=NOW, by="tester", links=links)


def finish(registry: Registry, key: str, rule: str, result: str = "unchanged", on: str = "2026-11-25"):
    return registry.done(key, on=on, result=result, now=NOW, by="tester", rules=[rule])


def states(registry: Registry) -> dict[tuple[int, str], str]:
    with registry.database.reading() as connection:
        return {(row.plan, row.rule): row.state for row in connection.execute(select(t.step))}


def rows(registry: Registry, today: str = "2026-11-26", **more) -> list:
    with registry.database.reading() as connection:
        return list(due_rows(connection, today, WINDOWS, **more))


def test_an_assessment_brings_patient_exam_lesions_and_plan(registry: Registry):
    scan = exam(1)
    added = registry.add(scan, key="P1", now=NOW, by="tester")
    assert (added.is_new, added.patient_is_new, added.follow_up, added.is_current) == (True, True, "open", True)
    with registry.database.reading() as connection:
        view = show(connection, "P1")
        made = connection.execute(select(t.assessment)).one()
    (held,) = view.exams
    assert (held.day, held.study, held.modality) == ("2026-11-01", STUDY.format(1), "CT")
    assert held.mass == pytest.approx(
        tuple(getattr(scan.burden.total_mass_mg, name) for name in ("value", "low", "high")), rel=1e-5
    )
    assert (made.hepacalc, made.knowledge) == (scan.run.hepacalc_version, scan.reasoning.knowledge_version)
    assert json.loads(made.versions) == dict(scan.run.versions)
    assert {seen.lesion for seen in view.lesions} == {lesion_tracking(scan, one).uid for one in scan.lesions}
    asked = [item for item in scan.reasoning.plan.items if item.due is not None]
    assert [(s.rule, s.first, s.last, s.because, s.sources, s.status) for s in view.open_steps.values()] == [
        (i.rule, *i.due, i.because, i.sources, i.status) for i in asked
    ]


def test_the_same_assessment_again_changes_nothing(registry: Registry):
    first = add(registry, 1)
    with registry.database.reading() as connection:
        before = check(registry.database).head
        assert connection.execute(select(t.exam)).all()
    again = add(registry, 1, None)
    assert (again.is_new, again.event, again.key) == (False, first.event, "P1")
    assert check(registry.database).head == before


def test_what_was_not_measured_stays_so(registry: Registry):
    from hepacalc.records import NotMeasured

    scan = exam(1)
    burden = replace(scan.burden, total_mass_mg=NotMeasured("no background to compare with"))
    registry.add(replace(scan, burden=burden), key="P1", now=NOW, by="tester")
    with registry.database.reading() as connection:
        row = connection.execute(select(t.assessment)).one()
        assert (row.mass_mg, row.mass_low_mg, row.mass_high_mg) == (None, None, None)
        assert row.mass_why == "no background to compare with"
        assert show(connection, "P1").exams[0].mass == "no background to compare with"


def test_a_study_of_another_patient_is_refused_with_both(registry: Registry):
    add(registry, 1)
    head = check(registry.database).head
    with pytest.raises(OtherStudy, match=r"P1.*P2"):
        add(registry, 1, "P2", text=SIMPLE)
    with pytest.raises(OtherStudy, match=r"P1.*P2"):
        add(registry, 1, "P2")
    assert check(registry.database).head == head


def test_a_lesion_of_another_patient_is_refused(registry: Registry):
    add(registry, 1)
    scan = exam(2)
    taken = exam(1).foci[0]
    uid = lesion_tracking(exam(1), next(one for one in exam(1).lesions if one.focus_ids == (taken.id,))).uid
    foci = tuple(replace(one, tracking_uid=uid if one.id == taken.id else None) for one in scan.foci)
    with pytest.raises(OtherStudy, match=r"P1.*P2"):
        registry.add(replace(scan, foci=foci), key="P2", now=NOW, by="tester")
    assert registry.add(replace(scan, foci=foci), key="P1", now=NOW, by="tester").is_new, "the same patient's is fine"
    with registry.database.reading() as connection:
        assert [seen.exam for seen in show(connection, "P1").lesions if seen.lesion == uid] == [2, 3]


@pytest.mark.parametrize("key", ["", "Jane Doe", "a" * 65, "x\ny", "-x", "é"])
def test_a_pseudonym_that_is_none_is_refused_and_not_shown(registry: Registry, key: str):
    with pytest.raises(UsageError) as refused:
        add(registry, 1, key)
    assert "Jane" not in str(refused.value)
    with pytest.raises(UsageError):
        add(registry, 1, None)


def test_a_text_that_is_too_long_is_refused(registry: Registry):
    scan = exam(1)
    with pytest.raises(InvalidAssessment, match="study_uid"):
        registry.add(
            replace(scan, acquisition=replace(scan.acquisition, study_instance_uid="1." * 60 + "1")),
            key="P1", now=NOW, by="tester",
        )  # fmt: skip


def test_a_later_plan_takes_the_place_of_the_earlier(registry: Registry):
    first = add(registry, 1, day="20261101")
    then = add(registry, 2, day="20261120", text=SIMPLE)
    assert then.changes
    assert {change.kind for change in then.changes} >= {"flag cleared", "gone"}
    assert all(change.why for change in then.changes if change.kind in ("gone", "new"))
    found = states(registry)
    assert {state for (plan, _), state in found.items() if plan == first.event} == {"superseded"}
    assert {rule for (plan, rule), state in found.items() if plan == then.event and state == "open"} == {
        step.rule for step in then.steps
    }


def test_what_was_done_is_no_change_of_the_next_plan(registry: Registry):
    add(registry, 1, rules=["ce_stage", "ce_serology"])
    finish(registry, "P1", "ce_stage")
    then = add(registry, 2, day="20261120", rules=["tb_chest"])
    with registry.database.reading() as connection:
        told = history(connection, "P1")[-1].changes
    for changes in (then.changes, told):
        assert {(one.kind, one.id) for one in changes} == {("new", "tb_chest"), ("gone", "ce_serology")}


def test_an_older_exam_that_comes_later_changes_no_step(registry: Registry):
    add(registry, 1, day="20261101")
    before = states(registry)
    old = add(registry, 2, day="20200101", text=SIMPLE)
    assert not old.is_current
    assert {k: v for k, v in states(registry).items() if k in before} == before
    assert {state for (plan, _), state in states(registry).items() if plan == old.event} == {"superseded"}


def test_what_is_overdue_is_still_overdue_in_the_next_plan(registry: Registry):
    add(registry, 1, day="20260101", rules=["ce_stage"], due=("2026-01-01", "2026-02-12"))
    then = add(registry, 2, day="20261101", rules=["ce_stage"], due=("2026-11-22", "2027-01-03"))
    (step,) = then.steps
    assert (step.first, step.last) == ("2026-01-01", "2026-02-12")
    assert [row.timing for row in rows(registry)] == ["lost"]
    (change,) = [one for one in then.changes if one.id == "ce_stage"]
    assert "earlier window stays" in dict(change.why[0])["en"]


def test_an_exam_without_a_plan_closes_nothing_and_says_what_it_may_answer(registry: Registry):
    scan = exam(1, day="20260101", rules=["ce_stage"], due=("2026-01-01", "2026-02-12"))
    items = tuple(replace(item, tests=("noncontrast_ct",)) for item in scan.reasoning.plan.items)
    reasoning = replace(scan.reasoning, plan=replace(scan.reasoning.plan, items=items))
    registry.add(replace(scan, reasoning=reasoning), key="P1", now=NOW, by="tester")
    before = states(registry)
    added = add(registry, 2, text=None)
    assert added.may_answer == ("ce_stage",)
    assert states(registry) == before
    then = add(registry, 3, day="20261105", rules=["ce_serology"])
    assert states(registry)[2, "ce_stage"] == "done", "an exam with its plan answers it"
    assert [step.rule for step in then.steps] == ["ce_serology"]


def test_closing_the_loop_to_the_end(registry: Registry):
    add(registry, 1, rules=["ce_stage", "ce_serology"], stop=True)
    with pytest.raises(UsageError, match=r"ce_stage.*ce_serology|ce_serology.*ce_stage"):
        registry.done("P1", on="2026-11-25", result="unchanged", now=NOW, by="tester")
    first = finish(registry, "P1", "ce_stage")
    assert (first.follow_up, [s.rule for s in first.still_open]) == ("open", ["ce_serology"])
    last = registry.done("P1", on="2026-11-25", result="unchanged", now=NOW, by="tester")
    assert last.follow_up == "finished"
    assert "Then stop." in dict(last.why[-1])["en"]
    assert rows(registry) == []
    with pytest.raises(NotInRegistry):
        registry.done("P1", on="2026-11-25", result="unchanged", now=NOW, by="tester")


def test_a_change_leads_to_a_new_step_that_only_a_newer_exam_answers(registry: Registry):
    add(registry, 1, rules=["ce_stage"], stop=True)
    told = finish(registry, "P1", "ce_stage", "changed")
    assert (told.follow_up, [s.rule for s in told.next_steps]) == ("open", [ASSESS])
    same = add(registry, 1, rules=["ce_serology"], made="2026-11-26T08:00:00+00:00")
    assert [s.rule for s in same.steps] == [ASSESS, "ce_serology"]
    newer = add(registry, 2, day="20261126", rules=["ce_serology"], made="2026-11-26T09:00:00+00:00")
    assert [s.rule for s in newer.steps] == ["ce_serology"]


def test_without_a_place_to_stop_the_plan_is_made_again(registry: Registry):
    add(registry, 1, rules=["ce_stage"], stop=False)
    told = finish(registry, "P1", "ce_stage")
    assert [s.rule for s in told.next_steps] == [REPLAN]
    again = add(registry, 1, rules=[], stop=True, made="2026-11-26T08:00:00+00:00")
    assert (again.follow_up, again.steps) == ("finished", ())
    assert {state for (_, rule), state in states(registry).items() if rule == REPLAN} == {"done"}


def test_several_steps_at_once(registry: Registry):
    scan = exam(1, rules=["ce_stage", "ce_serology"], stop=True)
    one, two = scan.reasoning.plan.items
    plan = replace(
        scan.reasoning.plan, items=(one, replace(two, interval=(("en", "every 6 months"), ("zh", "每6个月"))))
    )
    registry.add(replace(scan, reasoning=replace(scan.reasoning, plan=plan)), key="P1", now=NOW, by="tester")
    rules = [one.rule, two.rule]
    told = registry.done("P1", on="2026-11-25", result="unchanged", now=NOW, by="tester", rules=rules)
    assert [(s.rule, s.first) for s in told.still_open] == [(two.rule, "2027-05-25")]
    assert (told.follow_up, set(told.rules)) == ("open", set(rules))
    assert not any("the plan ends here" in dict(words)["en"] for words in told.why)


def test_a_day_in_the_future_is_refused(registry: Registry):
    add(registry, 1, rules=["ce_stage"])
    with pytest.raises(UsageError, match="future"):
        finish(registry, "P1", "ce_stage", on="2026-12-24")


def test_a_person_ends_follow_up_and_an_assessment_opens_it_again(registry: Registry):
    add(registry, 1)
    told = registry.end("P1", reason="moved", now=NOW, by="tester")
    assert told.follow_up == "finished"
    assert set(states(registry).values()) == {"ended"}
    assert rows(registry) == []
    with pytest.raises(UsageError):
        registry.end("P1", reason="bored", now=NOW, by="tester")
    assert add(registry, 2, day="20261124").follow_up == "open"


def test_due_lists_every_kind_most_pressing_first(registry: Registry):
    windows = {
        "lost": ("2025-01-01", "2025-03-01"), "overdue": ("2026-09-01", "2026-11-25"),
        "due": ("2026-11-26", "2027-02-01"), "soon": ("2026-12-26", "2027-03-01"),
        "later": ("2026-12-27", "2027-03-01"),
    }  # fmt: skip
    for number, (name, window) in enumerate(windows.items(), 1):
        add(registry, number, f"P-{name}", rules=["ce_stage"], due=window)
    scan = exam(9, rules=["ce_stage"])
    undated = tuple(replace(item, due=None) for item in scan.reasoning.plan.items)
    reasoning = replace(scan.reasoning, plan=replace(scan.reasoning.plan, items=undated))
    registry.add(replace(scan, reasoning=reasoning), key="P-undated", now=NOW, by="tester")
    found = rows(registry)
    assert [row.timing for row in found] == ["lost", "overdue", "due", "soon", "undated"]
    assert all(row.key == f"P-{row.timing}" for row in found)
    with registry.database.reading() as connection:
        assert due_counts(connection, "2026-11-26", WINDOWS) == dict.fromkeys([*windows, "undated"], 1)
        assert [row.timing for row in due_rows(connection, "2026-11-26", Windows(0, 10000))] == [
            "overdue", "overdue", "due", "undated",
        ]  # fmt: skip
    assert [row.key for row in rows(registry, most=2)] == ["P-lost", "P-overdue"]
    assert [row.key for row in rows(registry, key="P-soon")] == ["P-soon"]


def test_files_of_who_is_due_carry_reason_and_source(registry: Registry):
    icalendar = pytest.importorskip("icalendar")
    fhirkit = pytest.importorskip("fhirkit")
    scan = exam(1)
    registry.add(scan, key="P1", now=NOW, by="tester")
    with registry.database.reading() as connection:
        items = list(due_items(connection, "2026-12-10", WINDOWS))
    table = list(csv.DictReader(io.StringIO(due_csv(items))))
    assert len(table) == len(items) > 3
    assert all(row["reasons"] and row["sources"] and row["status"] for row in table)
    assert {row["state"] for row in table} == {"overdue", "due"}
    assert table[0]["days_overdue"] == "4"
    cited = {note.id: note.citation for note in scan.reasoning.sources}
    assert all(
        cited[source] in row["sources"] for row, i in zip(table, items, strict=True) for source in i.step.sources
    )
    bundle = json.loads(json.dumps(due_bundle(items, origin="x", now=NOW)))
    assert not fhirkit.validate(bundle)
    requests = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "ServiceRequest"]
    assert [one["occurrencePeriod"] for one in requests] == [{"start": i.row.first, "end": i.row.last} for i in items]
    assert all(one["reasonCode"] and one["status"] == "draft" for one in requests)
    events = icalendar.Calendar.from_ical(due_calendar(items, now=NOW, version="1")).walk("VEVENT")
    assert [event.decoded("dtstart").isoformat() for event in events] == [item.row.first for item in items]
    assert all(str(event["summary"]).startswith("P1: ") for event in events)
    assert "超声" in due_csv(items, language="zh")


def test_no_spreadsheet_takes_a_text_for_a_formula(registry: Registry):
    scan = exam(1, rules=["ce_stage"])
    items = tuple(replace(item, action=(("en", "=HYPERLINK(1)"), ("zh", "@x"))) for item in scan.reasoning.plan.items)
    reasoning = replace(scan.reasoning, plan=replace(scan.reasoning.plan, items=items))
    registry.add(replace(scan, reasoning=reasoning), key="P1", now=NOW, by="tester")
    with registry.database.reading() as connection:
        assert "'=HYPERLINK(1)" in due_csv(due_items(connection, "2026-12-10", WINDOWS))


def test_a_comparison_links_lesions_over_time(registry: Registry):
    add(registry, 1)
    old = [lesion_tracking(exam(1), one).uid for one in exam(1).lesions]
    new = [lesion_tracking(exam(2), one).uid for one in exam(2).lesions]
    links = (LesionLink(old[0], new[0], "grew"), LesionLink(None, new[1], "new"), LesionLink(old[2], None, "gone"))
    with pytest.raises(NotInRegistry):
        add(registry, 2, links=(LesionLink("2.25.1", new[0], "grew"),), day="20261120")
    add(registry, 2, links=links, day="20261120")
    add(registry, 3, day="20261125")
    third = [lesion_tracking(exam(3), one).uid for one in exam(3).lesions]
    registry.link("P1", [LesionLink(new[0], third[0], "stable")], now=NOW, by="tester")
    with registry.database.reading() as connection:
        seen = [one for one in show(connection, "P1").lesions if one.lesion == old[0]]
    assert [(one.day, one.statuses) for one in seen] == [
        ("2026-11-01", ()), ("2026-11-20", ("grew",)), ("2026-11-25", ("stable",)),
    ]  # fmt: skip
    with pytest.raises(OtherStudy):
        add(registry, 4, "P2", links=(LesionLink(old[0], None, "gone"),))


def compared(prior: str | None, current: str | None, *lesions: tuple[list[int], list[int], str]) -> dict[str, object]:
    told = [{"prior": first, "current": then, "status": status} for first, then, status in lesions]
    one = {"prior": {"study_instance_uid": prior}, "lesions": told}
    return {"schema_version": "1.0", "current": {"study_instance_uid": current}, "comparisons": [one]}


def test_a_comparison_file_links_lesions_by_study_and_number(registry: Registry):
    add(registry, 1)
    studies = STUDY.format(1), STUDY.format(2)
    document = compared(*studies, ([1], [2], "stable"), ([2, 3], [1], "merged"), ([], [4], "new"), ([4], [], "gone"))
    scan = exam(2, "20261120")
    registry.add(scan, key="P1", now=NOW, by="tester", comparisons=comparisons_of(document))
    first, second = ({lesion.id: lesion_tracking(one, lesion).uid for lesion in one.lesions} for one in (exam(1), scan))
    with registry.database.reading() as connection:
        held = connection.execute(select(t.link.c.prior, t.link.c.current, t.link.c.status)).all()
        same = dict(connection.execute(select(t.lesion.c.uid, t.lesion.c.same_as)).all())
    assert set(held) == {
        (first[1], second[2], "stable"), (first[2], second[1], "merged"), (first[3], second[1], "merged"),
        (None, second[4], "new"), (first[4], None, "gone"),
    }  # fmt: skip
    assert {uid: root for uid, root in same.items() if root} == {second[2]: first[1]}
    for wrong, error in (
        (compared(STUDY.format(8), STUDY.format(3)), NotInRegistry),
        (compared(STUDY.format(1), STUDY.format(2)), OtherStudy),
        (compared(STUDY.format(1), STUDY.format(3), ([9], [1], "grew")), InvalidAssessment),
    ):
        with pytest.raises(error):
            registry.add(exam(3), key="P1", now=NOW, by="tester", comparisons=comparisons_of(wrong))


@pytest.mark.parametrize(
    "document",
    [
        [], {}, {"schema_version": "2.0"}, {"schema_version": "1.0"}, compared(None, "1.2"), compared("1.2", None),
        compared("1.2", "1.3", ([1], ["x"], "new")), compared("1.2", "1.3", (1, [2], "new")),
        compared("1.2", "1.3", ([1], [2], None)),
    ],
)  # fmt: skip
def test_a_comparison_that_is_none_is_refused(document: object):
    with pytest.raises(InvalidAssessment):
        comparisons_of(document)


def test_history_tells_everything_in_order(registry: Registry):
    add(registry, 1)
    add(registry, 2, day="20261120", text=SIMPLE)
    registry.end("P1", reason="elsewhere", now=NOW, by="dr")
    with registry.database.reading() as connection:
        told = history(connection, "P1")
        with pytest.raises(NotInRegistry):
            history(connection, "P9")
    assert [one.kind for one in told] == ["registered", "assessed", "assessed", "ended"]
    assert [one.by for one in told] == ["tester", "tester", "tester", "dr"]
    assert told[0].at == "2026-11-26T12:00:00.000Z"
    assert {change.kind for change in told[2].changes} >= {"gone"}


def test_list_pages_by_pseudonym(registry: Registry):
    for number, key in enumerate(("B", "A", "C"), 1):
        add(registry, number, key, text=None if key == "C" else SIMPLE)
    with registry.database.reading() as connection:
        lines = list(patient_lines(connection))
        assert [one.key for one in lines] == ["A", "B", "C"]
        assert [one.key for one in patient_lines(connection, most=1, after="A")] == ["B"]
        assert [one.key for one in patient_lines(connection, follow_up="none")] == ["C"]
    assert (lines[2].exams, lines[2].last_exam, lines[2].open_steps, lines[2].next_day) == (1, "2026-11-01", 0, None)


def test_the_database_itself_refuses_to_change_the_log(registry: Registry):
    add(registry, 1)
    for statement in (
        "update event set by = 'x'",
        "delete from event",
        "update wording set body = ''",
        "delete from wording",
    ):
        with registry.database.engine.connect() as connection, pytest.raises(DBAPIError, match="only grows"):
            connection.execute(text(statement))


def test_export_and_import_give_the_same_registry(registry: Registry, location: Opener, tmp_path: Path):
    add(registry, 1, rules=["ce_stage"])
    add(registry, 2, "P2", text=None)
    half, whole, again = (tmp_path / name for name in ("half", "whole", "again"))
    export_to(registry.database, half)
    finish(registry, "P1", "ce_stage")
    export_to(registry.database, whole)
    with pytest.raises(OutputError):
        export_to(registry.database, whole)
    with Registry.open(location(), create=True) as other:
        assert import_from(other.database, half) == (0, 4)
        assert import_from(other.database, whole) == (4, 1)
        assert import_from(other.database, whole) == (5, 0)
        assert check(other.database).faults == ()
        export_to(other.database, again)
        with pytest.raises(RegistryError, match="older"):
            import_from(other.database, half)
    assert again.read_bytes() == whole.read_bytes()
    with Registry.open(location(), create=True) as third:
        add(third, 7, "Q")
        with pytest.raises(RegistryError, match="not the beginning"):
            import_from(third.database, whole)
        assert check(third.database).events == 2


def test_a_backup_is_a_registry(registry: Registry, location: Opener, tmp_path: Path):
    add(registry, 1)
    copy = tmp_path / "copy"
    backup(registry.database, copy)
    if registry.database.is_sqlite:
        with Registry.open(copy) as held:
            assert check(held.database) == check(registry.database)
    else:
        with Registry.open(location(), create=True) as held:
            import_from(held.database, copy)
            assert check(held.database) == check(registry.database)
    with pytest.raises(OutputError):
        backup(registry.database, copy)


def test_opening_needs_a_registry_that_is_there(location: Opener):
    with pytest.raises(RegistryError, match="no registry"):
        Registry.open(location())
