"""A second exam of a patient: compared by itself, taken into the team's registry, due, done, forgotten."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from browser import Browser, find_browser
from hepacalc.consult import consult
from hepacalc.interop.identity import focus_tracking
from hepacalc.knowledge import load_knowledge
from hepacalc.patient.read import patient_from_data
from hepacalc.report import write_outputs
from hepacalc.report.stored import read_stored, record_from
from hepacalc.server.database import reading, writing
from hepacalc.server.follow_up import queue_follow_up
from hepacalc.server.jobs import claim
from hepacalc.server.tables import assessments, audit, jobs, studies
from hepacalc.server.work import editing, facts, kind_of
from hepacalc.server.work.earlier import COMPARISON, comparing_with
from hepacalc.server.work.output import view_of, write_arrays
from hepacalc.server.work.storing import scan_name
from report_example import make_example
from server_help import Running, add_result, add_study

DAYS = ("20250105", "20260105")


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two assessments, a year apart, as ``hepacalc assess`` writes them."""
    made, day = make_example(), datetime.date(2025, 1, 5)
    told = replace(made.acquisition, study_date=DAYS[0], study_instance_uid=f"2.25.{DAYS[0]}")
    told = replace(told, series_instance_uid=f"2.25.{DAYS[0]}.1")
    made = replace(made, acquisition=told)
    patient = patient_from_data({"schema_version": "1.0"}, today=day)
    made = replace(made, reasoning=consult(patient, load_knowledge(), today=day, assessment=made))
    first, second = (tmp_path_factory.mktemp("exam") / "out" for _ in DAYS)
    write_outputs(made, first)
    shutil.copytree(first, second)
    text = (second / "assessment.json").read_text("utf-8")
    (second / "assessment.json").write_text(text.replace(DAYS[0], DAYS[1]).replace("2025-", "2026-"), "utf-8")
    return [first, second]


def do_here(site, *kinds: str) -> list[str]:
    """Do what is queued in this process, which has everything imported already."""
    done = []
    while (job := claim(site.engine, "test", lease_s=60, kinds=kinds or ("compare", "register"))) is not None:
        kind, out = kind_of(job.kind), site.store.new_work()
        kind.commit(site, job, out, kind.run(kind.request(site, job), out, lambda _stage, _share: None))
        done.append(job.kind)
    return done


@pytest.fixture(scope="module")
def followed(house: Running, exams: list[Path]) -> list[str]:
    """Both studies, assessed one after the other, with all that follows by itself."""
    ids = []
    for day, folder in zip(DAYS, exams, strict=True):
        ids.append(add_study(house.site, study_date=day, birth_date="19700203"))
        add_result(house.site, ids[-1], folder)
        with writing(house.site.engine) as connection:
            queue_follow_up(connection, ids[-1])
    assert do_here(house.site) == ["register", "compare", "register"]
    with reading(house.site.engine) as connection:
        left = connection.execute(select(jobs.c.kind).where(jobs.c.kind != "assess", jobs.c.state != "done")).scalars()
        assert list(left) == ["weigh"], "what the comparison says of the causes"
    return ids


def test_the_later_exam_is_compared_by_itself(house: Running, followed: list[str]):
    client = house.client("reader")
    assert client.get(f"/api/studies/{followed[0]}/comparisons").json() == {"comparisons": []}
    page = client.get(f"/studies/{followed[1]}", headers={"accept-language": "zh"}).text
    assert page.count("data-prior-places=") == 4
    assert "data-plot=" in page
    assert "钙质量" in page
    (one,) = client.get(f"/api/studies/{followed[1]}/comparisons").json()["comparisons"]
    assert [pair["study_id"] for pair in one["priors"]] == [followed[0]]
    told = client.get(f"/api/comparisons/{one['id']}").json()
    assert told["comparisons"][0]["interval_days"] == 365
    assert {change["status"] for change in told["comparisons"][0]["lesions"]} == {"stable"}
    assert all(len(line["points"]) == 2 for line in told["timelines"])
    page = client.get(f"/api/comparisons/{one['id']}/files/comparison.html", params={"language": "zh"})
    assert "zh" in page.text[:200]
    assert "sandbox" in page.headers["content-security-policy"]
    assert client.get(f"/api/comparisons/{one['id']}/files/link.json").status_code == 404
    stranger = house.client("bert")
    assert stranger.get(f"/api/comparisons/{one['id']}").status_code == 404
    assert stranger.get(f"/api/studies/{followed[1]}/comparisons").status_code == 404


def test_a_comparison_is_asked_for_once_by_key_and_only_with_earlier_exams(house: Running, followed: list[str]):
    client, address = house.client("anna"), f"/api/studies/{followed[1]}/comparisons"
    ask = {"json": {"priors": [followed[0]]}, "headers": {"idempotency-key": "k1"}}
    first, again = client.post(address, **ask), client.post(address, **ask)
    assert (first.status_code, first.json()) == (202, again.json())
    assert client.post(address, json={}, headers={"idempotency-key": "k1"}).status_code == 409
    job = client.get(f"/api/jobs/{first.json()['job_id']}").json()
    assert (job["kind"], job["state"], job["study_id"]) == ("compare", "queued", followed[1])
    assert client.get(f"/api/studies/{followed[1]}").json()["job"] is None, "a page is not loaded anew for it"
    assert client.post(f"/api/studies/{followed[0]}/comparisons", json={}).status_code == 422
    assert client.post(f"/api/studies/{followed[0]}/comparisons", json={"priors": [followed[1]]}).status_code == 422
    other = add_study(house.site, patient_id="P-2", study_date=DAYS[0])
    assert client.post(address, json={"priors": [other]}).status_code == 422
    assert client.post(address, json={"priors": ["0" * 32]}).status_code == 404
    assert house.client("reader").post(address, json={}).status_code == 403


def test_the_registry_tells_who_is_due_without_names(house: Running, followed: list[str]):
    client = house.client("anna")
    (patient,) = client.get("/api/registry/patients").json()["patients"]
    assert (patient["exams"], set(patient["studies"])) == (2, set(followed))
    key = patient["key"]
    shown = client.get(f"/api/registry/patients/{key}").json()
    assert len({line["lesion"] for line in shown["lesions"]}) * 2 == len(shown["lesions"]), "linked over both exams"
    kinds = [event["kind"] for event in client.get(f"/api/registry/patients/{key}/history").json()["events"]]
    assert kinds == ["registered", "assessed", "assessed"]

    answer = client.get("/api/registry/due", params={"soon_days": 3650})
    lines = answer.json()["due"]
    assert {line["key"] for line in lines} == {key}
    assert lines[0]["study_id"] == followed[1]
    assert lines[0]["step"]["action"]["zh"]
    assert sum(answer.json()["counts"].values()) == len(lines)
    assert "DOE" not in answer.text
    for name, begin in (("csv", "patient,state"), ("fhir", '{"resourceType'), ("ics", "BEGIN:VCALENDAR")):
        assert client.get("/api/registry/due", params={"format": name}).text.startswith(begin)

    # a date that a person set counts; what is declined is due no more
    rules = [line["step"]["rule"] for line in lines]
    moved = {"item": rules[0], "verdict": "changed", "due": "2026-03-01", "reason": "holiday"}
    assert client.post(f"/api/studies/{followed[1]}/decisions", json=moved).status_code == 201
    found = client.get("/api/registry/due", params={"soon_days": 3650}).json()["due"]
    first = next(line for line in found if line["step"]["rule"] == rules[0])
    assert (first["last"], first["moved"]) == ("2026-03-01", True)
    declined = {"item": rules[0], "verdict": "declined", "reason": "too ill"}
    assert client.post(f"/api/studies/{followed[1]}/decisions", json=declined).status_code == 201
    found = client.get("/api/registry/due", params={"soon_days": 3650}).json()["due"]
    assert rules[0] not in {line["step"]["rule"] for line in found}
    events = client.get(f"/api/registry/patients/{key}/history").json()["events"]
    assert (events[-1]["kind"], events[-1]["by"]) == ("done", "anna")


def test_rights_in_the_registry(house: Running, followed: list[str]):
    reader, stranger, boss = (house.client(name) for name in ("reader", "bert", "boss"))
    (patient,) = reader.get("/api/registry/patients").json()["patients"]
    address = f"/api/registry/patients/{patient['key']}"
    assert reader.post(f"{address}/finish", json={"reason": "moved"}).status_code == 403
    assert stranger.get("/api/registry/patients").json() == {"patients": [], "next": ""}
    assert stranger.get("/api/registry/due").json() == {"due": [], "counts": {}}
    assert stranger.get(address).status_code == 404
    assert stranger.get("/api/registry/due", params={"team": "A"}).status_code == 403
    assert boss.get(address, params={"team": "A"}).status_code == 200
    assert boss.get("/api/registry/due", params={"soon_days": 3650}).json()["due"]
    assert reader.get("/api/registry/patients/..%2F..%2Fx").status_code == 404
    with reading(house.site.engine) as connection:
        noted = set(connection.execute(select(audit.c.action, audit.c.object_id)).all())
    assert {("registry.view", patient["key"]), ("registry.due", ""), ("comparison.missing", "")} - {
        (action, "" if action != "registry.view" else found) for action, found in noted
    } == set()


def test_an_earlier_exam_is_looked_at_beside_the_current_one(
    house: Running, followed: list[str], exams: list[Path], tmp_path: Path
):
    path = find_browser()
    if path is None:
        pytest.skip("needs Chromium")
    made = make_example()
    write_arrays(made.volume, made.liver_mask, made.labels, tmp_path)
    with reading(house.site.engine) as connection:
        rows = connection.execute(
            select(assessments.c.id, assessments.c.folder, studies.c.id.label("study"), studies.c.folder.label("of"))
            .join(studies, studies.c.id == assessments.c.study_id).where(studies.c.id.in_(followed))
        ).all()  # fmt: skip
    for row in rows:
        for name, target in (("scan.npy", scan_name(row.study, "")), ("labels.npy", row.id)):
            house.site.store.cache(target).parent.mkdir(exist_ok=True)
            shutil.copyfile(tmp_path / name, house.site.store.cache(target))
        (house.site.store.study(row.of) / row.folder / "view.json").write_text(json.dumps(view_of(made.volume)))
    client = house.client("anna")
    labels = "[...document.querySelectorAll('canvas.shown')].map(c => c.getAttribute('aria-label')).join()"
    with Browser(path, tmp_path / "profile") as b:
        for name, value in client.cookies.items():
            b.call("Network.setCookie", name=name, value=value, url=house.base)
        b.go(f"{house.base}/studies/{followed[1]}")
        b.wait("document.getElementById('canvases').dataset.ready === 'yes'")
        change = "s.dispatchEvent(new Event('change'))"
        b.run(f"(() => {{ const s = document.getElementById('beside'); s.selectedIndex = 1; {change}; }})()")
        b.click("[data-prior-table] [data-change]")
        before = b.wait(f"{labels}.includes('2025-01-05, axial') && {labels}")
        now, then = (int(n) for n in re.findall(r"axial, (\d+) /", before))
        assert abs(now - then) <= 1, "the same place of the liver in both"
        b.run("document.querySelector('canvas.shown').focus()")
        b.key("ArrowUp", 38)
        b.wait(f"{labels}.includes('axial, {now + 1} /') && {labels}.includes('-05, axial, {then + 1} /')")
        pixel = (
            "[...document.querySelectorAll('canvas.shown')].map(c => c.getContext('2d')"
            ".getImageData(c.width / 2, c.height / 2, 1, 1).data[0])"
        )
        grey = b.run(pixel)
        b.run(f"(() => {{ const s = document.getElementById('window'); s.selectedIndex = 2; {change}; }})()")
        b.wait(f"{pixel}.every((v, k) => v !== {grey}[k])")
        b.click("#linked")
        b.run("document.querySelector('canvas.prior').focus()")
        b.key("ArrowUp", 38)
        b.wait(f"{labels}.includes('axial, {now + 1} /') && {labels}.includes('-05, axial, {then + 2} /')")
        assert b.faults() == []


def test_a_step_is_done_and_the_next_follows_then_all_is_forgotten(house: Running, followed: list[str]):
    client = house.client("anna")
    (patient,) = client.get("/api/registry/patients").json()["patients"]
    address = f"/api/registry/patients/{patient['key']}"
    rule = next(iter(client.get(address).json()["open_steps"].values()))["rule"]
    closed = client.post(f"{address}/done", json={"result": "changed", "rules": [rule]}).json()
    assert (closed["rules"], closed["follow_up"]) == ([rule], "open")
    assert [step["rule"] for step in closed["next_steps"]] == ["assess_new_exam"]
    assert client.post(f"{address}/done", json={"result": "changed", "rules": ["no such"]}).status_code == 404
    # the earlier exam takes the comparison with it; the last one the patient
    comparison = client.get(f"/api/studies/{followed[1]}/comparisons").json()["comparisons"][0]["id"]
    assert client.delete(f"/api/studies/{followed[0]}").status_code == 204
    assert client.get(f"/api/comparisons/{comparison}").status_code == 404
    assert client.delete(f"/api/studies/{followed[1]}").status_code == 204
    assert client.get("/api/registry/due", params={"soon_days": 3650}).json()["due"] == []
    assert client.get(address).json()["follow_up"] == "finished"


def test_both_exams_are_laid_on_each_other_for_the_eye():
    from followup_scenes import NOTE, ball, exam
    from hepacalc.followup.compare import compare_exams

    shift = (12.0, -7.0, 20.0)
    first, second = exam((ball(1, (0, 0, 0)),)), exam((ball(1, shift),), shift_mm=shift, day=400)
    back = np.array(compare_exams(first, second, (NOTE, NOTE)).back)
    assert np.allclose(back @ [*shift, 1.0], 0, atol=3)


def test_what_became_of_a_lesion_moves_its_causes(house: Running, exams: list[Path], monkeypatch: pytest.MonkeyPatch):
    site, client = house.site, house.client("bert")
    volume = make_example().volume

    def with_scan(request, _tell):
        stored = read_stored(request["parent"])
        return replace(stored, volume=replace(volume, acquisition=stored.acquisition))

    monkeypatch.setattr(facts, "stored_with_scan", with_scan)
    do_here(site, "weigh", "compare", "register")  # what other tests left
    ids = []
    for day, folder in zip(DAYS, exams, strict=True):
        ids.append(add_study(site, "B", study_date=day))
        add_result(site, ids[-1], folder)
        with writing(site.engine) as connection:
            queue_follow_up(connection, ids[-1])
    do_here(site)
    first = client.get(f"/api/studies/{ids[1]}").json()
    assert first["weighing"]["kind"] == "weigh"
    assert 'id="weighing"' in client.get(f"/studies/{ids[1]}").text
    (one,) = client.get(f"/api/studies/{ids[1]}/comparisons").json()["comparisons"]
    (place,) = site.settings.data.rglob(f"comparisons/{one['id']}")
    told = json.loads((place / "comparison.json").read_text("utf-8"))
    changed = told["comparisons"][0]["lesions"]
    changed[0]["status"] = "grew"
    grown, others = changed[0]["current"], {k for change in changed[1:] for k in change["current"]}
    (place / "comparison.json").write_text(json.dumps(told), "utf-8")

    assert do_here(site, "weigh", "compare", "register") == ["weigh", "register"], "and nothing is compared again"
    now = client.get(f"/api/studies/{ids[1]}").json()
    assert [row["kind"] for row in now["assessments"]] == ["assess", "weigh"]
    assert now["weighing"] is None
    address = f"/api/assessments/{now['assessment_id']}"
    was = client.get(f"/api/studies/{ids[0]}").json()["assessment_id"]
    same = tracking_of(client, now["assessment_id"]).items() & tracking_of(client, was).items()
    assert {focus for focus, _ in same} == {1, 2, 3, 4}, "all but mimics, in the DICOM objects too"
    found = client.get(address).json()["reasoning"]
    said = {f["lesion"]: f["text"] for f in found["findings"] if f["block"] == "course"}
    assert {said.pop(lesion) for lesion in grown} == {"against the earlier scan: grown"}
    assert {said[lesion] for lesion in others} == {"against the earlier scan: unchanged for 12 months"}
    before = client.get(f"/api/assessments/{first['assessment_id']}").json()["reasoning"]
    # a question of the kind "what if" takes it in too; the page of the new assessment shows the comparison
    ask = {"facts": {"schema_version": "1.0"}, "assessment_id": now["assessment_id"]}
    tried = client.post("/api/differential", json=ask).json()["differential"]

    def shares(told):
        return {cause["cause"]: round(cause["probability"], 4) for cause in told["causes"]}

    assert shares(tried) == shares(found["differential"]) != shares(before["differential"])
    assert "data-prior-places=" in client.get(f"/studies/{ids[1]}").text
    # whoever corrects foci on the page as it was before is not turned away: they are the same foci
    edit = {"edits": [{"op": "relabel", "focus": 1, "kind": "vessel"}]}
    assert client.post(f"/api/assessments/{first['assessment_id']}/foci", json=edit).status_code == 202
    # and what is corrected is compared and weighed in the same go: one new state, not two
    monkeypatch.setattr(editing, "stored_with_scan", with_scan)
    assert do_here(site, "edit", "weigh", "compare", "register") == ["edit", "register"]
    then = client.get(f"/api/studies/{ids[1]}").json()
    assert [row["kind"] for row in then["assessments"]] == ["assess", "weigh", "edit"]
    newest, one = client.get(f"/api/studies/{ids[1]}/comparisons").json()["comparisons"]
    assert (newest["assessment_id"], newest["priors"]) == (then["assessment_id"], one["priors"])
    assert client.get(f"/api/comparisons/{newest['id']}").json()["comparisons"][0]["interval_days"] == 365
    found = client.get(f"/api/assessments/{then['assessment_id']}").json()["reasoning"]
    course = [f["text"] for f in found["findings"] if f["block"] == "course"]
    assert [text.partition(":")[0] for text in course] == ["against the earlier scan"] * 3, "all but the vessel"
    assert set(tracking_of(client, then["assessment_id"]).values()) >= {uid for _, uid in same}
    assert "data-prior-places=" in client.get(f"/studies/{ids[1]}").text


def test_what_is_corrected_is_kept_when_it_cannot_be_compared(exams: list[Path], tmp_path: Path):
    current = make_example()
    broken = tmp_path / "prior"
    shutil.copytree(exams[0], broken)
    (broken / "liver.nii.gz").unlink()
    exam = {"study": "1", "assessment": "2", "folder": str(broken)}
    assert comparing_with([exam], broken, tmp_path, datetime.datetime.now(datetime.UTC))(current) is current
    assert not (tmp_path / COMPARISON).exists()


def tracking_of(client, assessment_id: str) -> dict[int, str]:
    """Focus -> Tracking UID, as the DICOM objects of an assessment have it."""
    made = record_from(client.get(f"/api/assessments/{assessment_id}").json())
    return {focus.id: focus_tracking(made, focus).uid for focus in made.foci}
