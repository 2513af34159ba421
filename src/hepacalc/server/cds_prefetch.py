"""What a record system sends along with a hook, or fails to: read into a patient file, and said when it is missing."""

from __future__ import annotations

import datetime
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import httpx

from hepacalc.errors import InvalidPatient
from hepacalc.patient.fhir_in import patient_from_fhir
from hepacalc.patient.schema import Patient
from hepacalc.server.cds_settings import Cds

__all__ = ["PREFETCH", "Told", "fetched", "merged", "read_prefetch"]

PREFETCH = {
    "patient": "Patient/{{context.patientId}}",
    "labs": "Observation?patient={{context.patientId}}&category=laboratory&_sort=-date&_count=200",
    "conditions": "Condition?patient={{context.patientId}}&_count=200",
    "reports": "DiagnosticReport?patient={{context.patientId}}&category=RAD&_sort=-date&_count=50",
}
"""What our services ask for (CDS Hooks 2.0, "Prefetch Template")."""
_MOST_RESPONSE = 4 * 2**20
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Told:
    """What is known from a record system.

    Args:
        person: the Patient resource, or None.
        patient: the patient file that all of it amounts to; None when it contradicts itself.
        problems: (key of :data:`PREFETCH`, what is wrong): ``missing``, ``failed``, ``partial`` or ``unreadable``.
        passed_over: how many entries were not used.
        report_days: days of imaging reports, latest first.
    """

    person: dict[str, Any] | None
    patient: Patient | None
    problems: tuple[tuple[str, str], ...]
    passed_over: int
    report_days: tuple[str, ...]


@dataclass
class _Reading:
    problems: list[tuple[str, str]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)


def read_prefetch(prefetch: dict[str, Any], patient_id: str, *, today: datetime.date) -> Told:
    """Return what a prefetch says; whatever is missing or fails is named, never taken for "there is none".

    Args:
        prefetch: key -> resource, bundle, OperationOutcome or null.
        patient_id: id of the FHIR patient; what is about another one is passed over.
        today: gives the age.
    """
    reading = _Reading()
    person = prefetch.get("patient")
    if not (isinstance(person, dict) and person.get("resourceType") == "Patient" and person.get("id") == patient_id):
        reading.problems.append(("patient", _state(person)))
        person = None
    for key in ("labs", "conditions", "reports"):
        _read_bundle(prefetch.get(key), key, reading)
    reports = [one for one in reading.resources if one.get("resourceType") == "DiagnosticReport"]
    others = [one for one in reading.resources if one.get("resourceType") != "DiagnosticReport"]
    entries = [{"resource": one} for one in ([person] if person else []) + others]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    patient, passed = None, 0
    try:
        found = patient_from_fhir(bundle, today=today)
        patient, passed = found.patient, len(found.passed_over)
    except InvalidPatient:
        reading.problems.append(("patient", "unreadable"))
    days = sorted({day for one in reports if (day := _day(one))}, reverse=True)
    return Told(person, patient, tuple(reading.problems), passed, tuple(days))


def _state(found: Any) -> str:
    if found is None:
        return "missing"
    return "failed" if isinstance(found, dict) and found.get("resourceType") == "OperationOutcome" else "unreadable"


def _read_bundle(found: Any, key: str, reading: _Reading) -> None:
    if not (isinstance(found, dict) and found.get("resourceType") == "Bundle"):
        reading.problems.append((key, _state(found)))
        return
    entries, links = found.get("entry", []), found.get("link", [])
    for one in entries if isinstance(entries, list) else []:
        resource = one.get("resource") if isinstance(one, dict) else None
        if not isinstance(resource, dict):
            continue
        if resource.get("resourceType") == "OperationOutcome":
            reading.problems.append((key, "partial"))
        elif resource.get("resourceType") != "Patient":
            reading.resources.append(resource)
    if isinstance(links, list) and any(isinstance(one, dict) and one.get("relation") == "next" for one in links):
        reading.problems.append((key, "partial"))


def _day(report: dict[str, Any]) -> str:
    period = report.get("effectivePeriod")
    begin = period.get("start") if isinstance(period, dict) else None
    for value in (report.get("effectiveDateTime"), begin, report.get("issued")):
        if isinstance(value, str) and _DAY.match(value):
            return value[:10]
    return ""


def merged(held: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return a patient file of two: what was typed in here wins, the record adds to it.

    Args:
        held: a patient file as it is stored here.
        told: one from the record.
    """
    out = dict(held)
    for name, value in told.items():
        mine = out.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            out[name] = merged(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            out[name] = mine + [one for one in value if one not in mine]
        elif mine is None:
            out[name] = value
    return out


def fetched(
    cds: Cds, prefetch: dict[str, Any], server: str | None, token: str | None, patient_id: str
) -> dict[str, Any]:
    """Return the prefetch with what is missing fetched, if the site lists the FHIR server; else as it is.

    An address in a request is compared with those that the site lists and never used itself. No redirect is followed.

    Args:
        cds: of the site.
        prefetch: as it was sent.
        server: ``fhirServer`` of the request.
        token: access token of ``fhirAuthorization``.
        patient_id: id of the patient; checked before it becomes part of an address.
    """
    listed = next((one for one in cds.fhir_servers if server is not None and one == server.rstrip("/")), None)
    missing = [key for key in PREFETCH if prefetch.get(key) is None]
    if listed is None or not missing or not _ID.fullmatch(patient_id):
        return prefetch
    headers = {"Accept": "application/fhir+json", **({"Authorization": f"Bearer {token}"} if token else {})}
    out, end = dict(prefetch), time.monotonic() + cds.fetch_s
    pool = ThreadPoolExecutor(len(missing))
    jobs = {
        key: pool.submit(_get, f"{listed}/{PREFETCH[key].replace('{{context.patientId}}', patient_id)}", headers, end)
        for key in missing
    }
    wait(jobs.values(), timeout=cds.fetch_s)
    for key, job in jobs.items():
        out[key] = job.result() if job.done() else {"resourceType": "OperationOutcome"}
    pool.shutdown(wait=False, cancel_futures=True)
    return out


def _get(url: str, headers: dict[str, str], end: float) -> dict[str, Any]:
    """Return a resource, or an OperationOutcome when it could not be had in time."""
    failed = {"resourceType": "OperationOutcome"}
    left = max(end - time.monotonic(), 0.01)
    try:
        with (
            httpx.Client(timeout=left, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MOST_RESPONSE or time.monotonic() > end:
                    return failed
            found = json.loads(body) if answer.status_code == 200 else failed
    except (httpx.HTTPError, ValueError, RecursionError):
        return failed
    return found if isinstance(found, dict) else failed
