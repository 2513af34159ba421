"""The study through REST: facts, what-if, corrections, decisions, downloads, form without a scan, pages."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import select, update

from hepacalc.server.database import now, reading, writing
from hepacalc.server.jobs import Work, enqueue
from hepacalc.server.stored import warm
from hepacalc.server.tables import audit, jobs, studies
from server_help import Running, add_result, add_study

EMPTY = {"schema_version": "1.0"}


@pytest.fixture(scope="module")
def made(house: Running, result: Path) -> tuple[str, str]:
    study = add_study(house.site, sex="F", birth_date="19700203", study_date="20260102", study="x")
    return study, add_result(house.site, study, result)


def test_facts_begin_with_what_the_headers_say(house: Running, made):
    found = house.client("anna").get(f"/api/studies/{made[0]}/facts").json()
    assert found == {"version": 0, "facts": {**EMPTY, "sex": "female", "age": 55}}


def test_a_tick_moves_the_causes_and_nothing_is_kept(house: Running, made):
    client = house.client("anna")
    ask = {"facts": EMPTY, "assessment_id": made[1]}
    before = client.post("/api/differential", json=ask).json()
    pasture = {**EMPTY, "exposures": {"pasture": "yes"}, "serology": [{"test": "echinococcus", "result": "positive"}]}
    after = client.post("/api/differential", json={**ask, "facts": pasture}).json()

    def chance(found, cause: str) -> dict:
        return next(c for c in found["differential"]["causes"] if c["cause"] == cause)

    old, new = chance(before, "ce"), chance(after, "ce")
    assert new["probability"] > 2 * old["probability"]
    assert new["low"] <= new["probability"] <= new["high"]
    assert any(w["block"] == "serology" for e in after["explanations"] for w in e["weights"])
    assert client.get(f"/api/studies/{made[0]}/facts").json()["version"] == 0
    whole = client.post("/api/consultation", json={**ask, "facts": pasture}).json()
    assert whole["differential"] == after["differential"], "the quick answer is that of the whole one"
    assert whole["plan"]["items"]
    page = client.post("/api/differential/page", json={**ask, "facts": pasture}, headers={"accept-language": "zh"})
    assert "囊型包虫病" in page.text


def test_wrong_facts_are_told_by_field(house: Running, made):
    client = house.client("anna")
    answer = client.post("/api/differential", json={"facts": {**EMPTY, "age": 200}})
    assert (answer.status_code, answer.json()["code"]) == (422, "IN-09")
    assert "age" in answer.json()["detail"]


def test_facts_are_saved_once_each_and_a_later_writer_is_told(house: Running, result: Path):
    client = house.client("anna")
    study = add_study(house.site)
    assessment = add_result(house.site, study, result)
    told = client.put(f"/api/studies/{study}/facts", params={"version": 0}, json={**EMPTY, "age": 61}).json()
    assert told["version"] == 1
    assert client.put(f"/api/studies/{study}/facts", params={"version": 0}, json=EMPTY).status_code == 409
    found = client.get(f"/api/studies/{study}").json()
    assert (found["facts"]["age"], found["facts_version"]) == (61, 1)
    with reading(house.site.engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == told["job_id"])).mappings().one()
    assert (row["kind"], row["payload"]) == ("facts", {"parent": assessment})


def test_corrections_are_checked_and_queued_for_the_newest_state_only(house: Running, made):
    client = house.client("anna")
    address = f"/api/assessments/{made[1]}/foci"
    for wrong in (
        [], [{"op": "relabel", "focus": 1}], [{"op": "draw", "focus": 0}], [{"op": "confirm", "focus": 0}],
        [{"op": "threshold", "focus": 1, "seed": [1, 2, 3]}], [{"op": "explode", "focus": 1}],
        [{"op": "relabel", "focus": 1, "kind": "gold"}],
    ):  # fmt: skip
        assert client.post(address, json={"edits": wrong}).status_code == 422, wrong
    edits = [{"op": "relabel", "focus": 1, "kind": "vessel"}, {"op": "threshold", "focus": 0, "seed": [1, 2, 3],
             "hu": 130, "radius_mm": 9}]  # fmt: skip
    job = client.post(address, json={"edits": edits}).json()["job_id"]
    with reading(house.site.engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job)).mappings().one()
    assert row["payload"]["parent"] == made[1]
    assert [e["op"] for e in row["payload"]["edits"]] == ["relabel", "threshold"]
    with writing(house.site.engine) as connection:
        connection.execute(studies.update().where(studies.c.id == made[0]).values(assessment_id="f" * 32))
    assert client.post(address, json={"edits": edits}).status_code == 409
    with writing(house.site.engine) as connection:
        connection.execute(studies.update().where(studies.c.id == made[0]).values(assessment_id=made[1]))


def test_steps_of_the_plan_are_accepted_changed_and_closed(house: Running, result: Path):
    client = house.client("anna")
    study = add_study(house.site)
    add_result(house.site, study, result)
    plan = json.loads((result / "assessment.json").read_text())["reasoning"]["plan"]["items"]
    dated = [item for item in plan if item["due"]]
    first = min(dated, key=lambda item: item["due"][1])
    address = f"/api/studies/{study}/decisions"
    assert client.post(address, json={"item": "nothing", "verdict": "accepted"}).status_code == 422
    changed = {"item": first["rule"], "verdict": "changed", "due": "2026-01-01"}
    assert client.post(address, json=changed).status_code == 422, "a change wants its reason"
    assert client.post(address, json={**changed, "reason": "abroad"}).json()["due"] == "2026-01-01"
    assert client.get("/api/studies", params={"due_by": "2026-01-01"}).json()["studies"][0]["id"] == study
    for item in dated:
        left = client.post(address, json={"item": item["rule"], "verdict": "done"}).json()["due"]
    assert left == ""
    assert "abroad" in client.get(f"/api/studies/{study}").text
    assert house.client("reader").post(address, json=changed).status_code == 403


def test_downloads_name_their_kind_and_are_noted(house: Running, made):
    client = house.client("reader")
    names = client.get(f"/api/assessments/{made[1]}/files").json()["files"]
    assert {"assessment.json", "foci.csv", "report.html", "liver.nii.gz"} <= set(names)
    for name in names:
        answer = client.get(f"/api/assessments/{made[1]}/files/{name}")
        assert answer.status_code == 200
        assert "DOE" not in answer.headers["content-disposition"]
    with reading(house.site.engine) as connection:
        lines = connection.execute(select(audit).where(audit.c.object_id == made[0])).mappings().all()
    assert {"file.csv", "file.html"} <= {line["action"] for line in lines}
    assert "DOE" not in str([dict(line) for line in lines])


def test_the_worklist_pages_and_finds(house: Running):
    for k in range(7):
        add_study(house.site, team="pager", name=f"SMITH^ANN{k}", accession=f"ACC{k}")
    add_study(house.site, team="pager", name="王^小东")
    with reading(house.site.engine) as connection:
        from hepacalc.server.accounts import Identity
        from hepacalc.server.worklist import page_of

        who = Identity("u", "u", "read", "pager")
        seen, after = [], ""
        while True:
            rows, after = page_of(connection, who, after=after, limit=3)
            seen += [row["id"] for row in rows]
            if not after:
                break
        assert len(seen) == len(set(seen)) == 8
        for words, count in (("smith", 7), ("SMI ann3", 1), ("acc5", 1), ("王", 1), ("nobody", 0), ("smith nobody", 0)):
            assert len(page_of(connection, who, search=words)[0]) == count, words
        assert page_of(connection, Identity("u", "u", "admin", ""), search="acc5")[0]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", ["/", "/form", "/form?kind=fetal", "/knowledge", "/account", "/studies/{study}",
                                  "/knowledge/causes/granuloma_healed"])  # fmt: skip
def test_every_page_speaks_both_languages(house: Running, made, page: str, language: str):
    client = house.client("anna")
    client.cookies.set("hepacalc-language", language, domain="127.0.0.1")
    answer = client.get(page.format(study=made[0]))
    assert answer.status_code == 200
    assert f'<html lang="{"zh-Hans" if language == "zh" else "en"}">' in answer.text
    assert ("工作列表" in answer.text) == (language == "zh")


def test_an_answer_without_a_scan(house: Running):
    client = house.client("anna")
    facts = {**EMPTY, "age": 50, "examinations": [{"modality": "ultrasound", "lesions": [{"host": "cyst"}]}]}
    made = client.post("/api/studies", json={"name": "Ultra^Sound", "facts": facts}).json()
    with writing(house.site.engine) as connection:
        connection.execute(jobs.delete().where(jobs.c.id != made["job_id"], jobs.c.state == "queued"))
    assert house.do_jobs("form") == ["form"]
    found = client.get(f"/api/studies/{made['id']}").json()
    assert (found["state"], found["kind"]) == ("assessed", "form")
    assert found["headline"]["zh"]
    page = client.get(f"/studies/{made['id']}")
    assert "explanation.html" in page.text
    answer = client.get(f"/api/assessments/{found['assessment_id']}").json()
    assert answer["reasoning"]["differential"]["causes"]
    assert client.get(f"/api/assessments/{found['assessment_id']}/view").status_code == 404


def test_deleting_takes_everything_but_the_audit(house: Running, result: Path):
    client = house.client("anna")
    study = add_study(house.site)
    made = add_result(house.site, study, result)
    with reading(house.site.engine) as connection:
        folder = connection.execute(select(studies.c.folder).where(studies.c.id == study)).scalar()
    assert client.delete(f"/api/studies/{study}").status_code == 204
    assert client.get(f"/api/studies/{study}").status_code == 404
    assert client.get(f"/api/assessments/{made}").status_code == 404
    assert not house.site.store.study(folder).exists()
    with reading(house.site.engine) as connection:
        actions = connection.execute(select(audit.c.action).where(audit.c.object_id == study)).scalars().all()
    assert "study.delete" in actions


def test_the_same_request_sent_again_is_taken_once(house: Running):
    from server_help import dicom_bytes

    client = house.client("anna")
    headers = {"idempotency-key": "k-1", "content-type": "application/dicom"}
    body = dicom_bytes(study="1.2.99")
    first = client.post("/api/uploads", content=body, headers=headers)
    second = client.post("/api/uploads", content=body, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    other = house.client("bert").post("/api/uploads", content=body, headers=headers)
    assert other.json()["id"] != first.json()["id"], "a key is the user's own"


def test_health_and_metrics(house: Running):
    client = house.client()
    assert client.get("/healthz").json() == {"status": "ok", "database": "ok", "disk": "ok"}
    told = client.get("/metrics").text
    assert 'hepacalc_studies{state="' in told
    assert "hepacalc_http_seconds_bucket" in told
    assert client.get("/metrics", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 403


def test_progress_is_sent_as_it_changes(house: Running):
    client = house.client("anna")
    with writing(house.site.engine) as connection:
        from hepacalc.server.jobs import Work, enqueue

        study = add_study_in(connection)
        job = enqueue(connection, Work("view", "sse", study_id=study, payload={"parent": "x"}))
        connection.execute(jobs.update().where(jobs.c.id == job).values(state="failed", error_code="IN-02"))
    with client.stream("GET", f"/api/jobs/{job}/events") as answer:
        text = "".join(answer.iter_text())
    assert text.startswith("event: job\ndata: ")
    assert json.loads(text.split("data: ")[1])["error_code"] == "IN-02"


def add_study_in(connection) -> str:
    from pydicom.uid import generate_uid

    from hepacalc.server.filing import file_study

    found = {"uid": generate_uid(), "kind": "dicom", "instances": []}
    return file_study(connection, found, "A", user_id=None)


def test_no_log_line_holds_a_name(house: Running, result: Path, caplog: pytest.LogCaptureFixture):
    import logging

    from hepacalc.server.logs import JsonLines

    study = add_study(house.site, name="PLANTED^NAME", patient_id="PLANTED-ID")
    made = add_result(house.site, study, result)
    caplog.set_level(logging.DEBUG)
    client = house.client("anna")
    for path in ("/", f"/studies/{study}", "/api/studies?search=planted", f"/api/assessments/{made}/files/foci.csv"):
        client.get(path)
    client.get("/studies/PLANTED")
    form = JsonLines()
    lines = [form.format(record) for record in caplog.records]
    ours = [line for line in lines if '"hepacalc.' in line]
    assert len(ours) > 4
    assert not [line for line in lines if "planted" in line.lower()]
    try:
        raise ValueError("PLANTED^NAME")
    except ValueError:
        record = logging.LogRecord("uvicorn.error", 40, "x", 1, "fault PLANTED", (), __import__("sys").exc_info())
    told = json.loads(form.format(record))
    assert "PLANTED" not in str(told)
    assert told["exception"].startswith("ValueError at ")


def test_what_waits_for_a_pacs_or_a_disk_is_said_until_it_is_done(house: Running):
    client, site = house.client("anna"), house.site
    study, other, third = (add_study(site, name=f"WAIT^{k}") for k in range(3))
    with writing(site.engine) as connection:
        for kind, owner in (("send", study), ("assess", study), ("view", other), ("priors", third), ("fetch", third)):
            enqueue(connection, Work(kind, f"{kind}{owner}", study_id=owner, not_before=now() + 600))

    def waits() -> dict:
        listed = client.get("/api/studies", params={"search": "wait"}).json()["studies"]
        return {one["id"]: one["waits"] for one in listed}

    assert waits() == {study: [], other: [], third: []}, "what waits for its turn is nothing to tell"
    mine = jobs.c.study_id.in_((study, other, third))
    with writing(site.engine) as connection:
        connection.execute(update(jobs).where(mine, jobs.c.kind == "assess").values(error_code="OUT-01"))
        connection.execute(update(jobs).where(mine, jobs.c.kind != "assess").values(error_code="SRV-07"))
        connection.execute(update(jobs).where(mine, jobs.c.kind == "fetch").values(state="failed", error_code="SRV-10"))

    def told(kind: str, code: str, state: str = "queued") -> dict[str, str]:
        return {"kind": kind, "code": code, "state": state}

    assert waits() == {
        study: [told("assess", "OUT-01"), told("send", "SRV-07")], other: [],
        third: [told("fetch", "SRV-10", "failed"), told("priors", "SRV-07")],
    }  # fmt: skip
    for address in ("/", f"/studies/{study}"):
        page = client.get(address, headers={"accept-language": "zh"}).text
        assert "结果尚未送出" in page
        assert "OUT-01" in page
    for address in ("/", f"/studies/{third}"):
        page = client.get(address, headers={"accept-language": "zh"}).text
        assert "无法取得既往检查" in page
        assert "既往检查尚未取得" in page
    with writing(site.engine) as connection:
        connection.execute(update(jobs).where(mine).values(state="done"))
    assert waits() == {study: [], other: [], third: []}


def test_every_colour_that_a_page_uses_is_in_a_sheet_that_it_loads(house: Running, made):
    client = house.client("anna")
    for page in ("/", "/due", "/form", f"/studies/{made[0]}"):
        sheets = re.findall(r'href="(/static/[^"]+css[^"]*)"', client.get(page).text)
        text = "".join(client.get(sheet).text for sheet in sheets)
        assert set(re.findall(r"var\(--([a-z-]+)", text)) <= set(re.findall(r"--([a-z-]+):", text)), page


def test_what_if_shows_flags_and_the_next_step_before_saving(house: Running, made):
    client = house.client("anna")
    fever = {**EMPTY, "symptoms": {"fever": "yes", "jaundice": "yes"}}
    ask = {"facts": fever, "assessment_id": made[1]}
    plan = client.post("/api/differential", json=ask).json()["plan"]
    whole = client.post("/api/consultation", json=ask).json()["plan"]
    assert (plan["flags"], plan["items"]) == (whole["flags"], whole["items"])
    page = client.post("/api/differential/page", json=ask, headers={"accept-language": "zh"}).text
    assert "下一步" in page
    assert plan["items"][0]["action"]["zh"] in page
    assert plan["flags"]
    assert plan["flags"][0]["text"]["zh"] in page


def test_what_stays_is_not_looked_through_for_garbage(house: Running):
    usual = gc.get_threshold()
    try:
        warm(house.site)
        assert gc.get_freeze_count() > 100_000, "the knowledge base and its tables"
        gc.collect()
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
