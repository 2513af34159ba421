"""Traces: off by default; a span for each request and each stage of a job, and nobody's name in any."""

from __future__ import annotations

import json
import sys

import pytest

from hepacalc.server import telemetry
from server_help import Running

NAME = "ZZYZX"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch):
    for name in telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", exc_type=ImportError)
    kept = export.InMemorySpanExporter()
    assert telemetry.start_traces("web", kept)
    yield kept
    telemetry.end_traces()


def test_off_unless_the_site_says_where(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    for name in telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert not telemetry.start_traces("web")
    with telemetry.begin("x") as span:
        span.tell(hepacalc__code="X")
        span.begin("y").end()
    monkeypatch.setenv(telemetry.ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert not telemetry.start_traces("web")
    assert "hepacalc[telemetry]" in caplog.text


def test_telemetry_of_the_framework_stays_off(house: Running):
    assert not any(getattr(house.app, "_telemetry", {}).get(name) for name in ("tracing", "metrics", "logs"))
    assert not getattr(house.app, "_telemetry", {}).get("auto_configure")


def test_requests_and_stages_are_told_without_names(house: Running, spans):
    client = house.client("anna")
    client.get("/api/studies", params={"search": NAME})
    client.get(f"/api/studies/{NAME}")
    form = {"name": NAME, "number": NAME, "facts": {"schema_version": "1.0", "age": 61}}
    made = client.post("/api/studies", json=form).json()
    assert house.do_jobs("form") == ["form"]
    found = {span.name: span for span in spans.get_finished_spans()}
    assert {"GET /api/studies", "GET /api/studies/{study_id}", "POST /api/studies", "job form", "commit"} <= set(found)
    job = found["job form"]
    assert job.attributes["hepacalc.job.id"] == made["job_id"]
    asked = found["POST /api/studies"]
    assert (job.context.trace_id, job.parent.span_id) == (asked.context.trace_id, asked.context.span_id)
    assert found["GET /api/studies"].context.trace_id != asked.context.trace_id
    stages = [span.name for span in found.values() if span.parent and span.parent.span_id == job.context.span_id]
    assert set(stages) >= {"weighing the causes", "commit"}
    assert found["GET /api/studies/{study_id}"].attributes["http.response.status_code"] == 404
    bad = client.post("/api/studies", json={**form, "facts": {"age": NAME}})
    assert bad.status_code == 422
    told = json.dumps([json.loads(span.to_json()) for span in spans.get_finished_spans()])
    assert NAME not in told
    assert "battery" not in told, "the password"
