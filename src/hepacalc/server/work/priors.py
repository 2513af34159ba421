"""``priors`` and ``fetch``: earlier CT of the same patient, found at PACS or archive and brought here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.errors import HepacalcError
from hepacalc.server.database import reading, writing
from hepacalc.server.jobs import Job, Work, enqueue, finish
from hepacalc.server.node_settings import Peer, read_node
from hepacalc.server.outgoing import PRIORITY, fetch_key
from hepacalc.server.settings import Settings
from hepacalc.server.tables import studies
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.storing import study_row

__all__ = ["Fetch", "Priors", "priors_among"]

_UID = re.compile(r"[0-9.]{1,64}")
_DAY = re.compile(r"(19|20)\d{6}")


class Priors:
    """Ask ``payload["from"]`` for earlier studies of the patient of a study."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return whom to ask about whom."""
        with reading(site.engine) as connection:
            row = study_row(connection, job.study_id)
            held = connection.execute(
                select(studies.c.uid).where(studies.c.patient_id == row["patient_id"], studies.c.team == row["team"])
            ).scalars().all()  # fmt: skip
        wanted = ("patient_id", "birth_date", "study_date", "team")
        return {"node": dict(site.settings.node), "from": job.payload["from"], "held": list(held),
                **{name: row[name] for name in wanted}}  # fmt: skip

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Ask by C-FIND or QIDO-RS; errors as for :mod:`dimse_client` and :mod:`archives`."""
        from hepacalc.server.archives import search_studies
        from hepacalc.server.dimse_client import find_studies

        node = read_node(Settings(out, node=request["node"]))
        partner = node.partner(request["from"])
        tell(f"asking {request['from']} for priors", 0.0)
        if isinstance(partner, Peer):
            found = [
                {k: _text(one.get(k)) for k in ("StudyInstanceUID", "StudyDate", "ModalitiesInStudy",
                                                "PatientBirthDate", "PatientID")}
                for one in find_studies(node, partner, request["patient_id"])
            ]  # fmt: skip
        else:
            told = search_studies(partner, request["patient_id"], timeout_s=node.timeout_s)
            found = [
                {k: _json_text(one, tag) for k, tag in (
                    ("StudyInstanceUID", "0020000D"), ("StudyDate", "00080020"), ("ModalitiesInStudy", "00080061"),
                    ("PatientBirthDate", "00100030"), ("PatientID", "00100020"))}
                for one in told
            ]  # fmt: skip
        uids = priors_among(found, request, most=node.most_priors, years=node.prior_years)
        return {"uids": uids, "from": request["from"], "team": request["team"]}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Queue each prior: it comes, or fails, for itself."""
        with writing(site.engine) as connection:
            for uid in found["uids"]:
                payload = {"uid": uid, "from": found["from"], "team": found["team"]}
                key = fetch_key(uid, found["team"])
                enqueue(connection, Work("fetch", key, study_id=job.study_id, priority=PRIORITY, payload=payload))
            finish(connection, job, {"found": len(found["uids"])})

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Nothing but the priors is missing: the job itself tells."""


class Fetch:
    """Bring the study ``payload["uid"]`` here."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return what to fetch, and how much may come."""
        limits = site.settings.limits
        return {"node": dict(site.settings.node), **job.payload, "most_bytes": limits.upload_bytes,
                "most_files": limits.upload_files}  # fmt: skip

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Fetch by C-MOVE, to this node, or by WADO-RS; errors as for the clients."""
        from hepacalc.server.archives import fetch_study
        from hepacalc.server.dimse_client import move_study

        node = read_node(Settings(out, node=request["node"]))
        partner = node.partner(request["from"])
        tell(f"fetching a prior from {request['from']}", 0.0)
        if isinstance(partner, Peer):
            return {"count": move_study(node, partner, request["uid"]), "by": "move"}
        paths = fetch_study(
            partner, request["uid"], out / "prior", timeout_s=node.timeout_s, most_bytes=request["most_bytes"],
            most_files=request["most_files"], tell=lambda _n: tell(f"fetching a prior from {request['from']}", 0.5),
        )  # fmt: skip
        return {"count": len(paths), "by": "wado"}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Pass what was fetched on to be filed; what came by C-MOVE came through the node."""
        from hepacalc.server.receive import receive

        if found["by"] == "wado" and found["count"]:
            source = f"wado:{job.payload['from']}"
            with receive(site.engine, site.settings, source=source, user_id=None, team=job.payload["team"]) as upload:
                for path in sorted((made / "prior").iterdir()):
                    with path.open("rb") as file:
                        upload.add(iter(lambda: file.read(2**20), b""))
        with writing(site.engine) as connection:
            finish(connection, job, {"count": found["count"]})

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Nothing but a prior is missing: the job itself tells."""


def priors_among(found: list[dict[str, str]], study: Mapping[str, Any], *, most: int, years: int) -> list[str]:
    """Return the UIDs of the priors among what another system holds, latest first.

    Args:
        found: StudyInstanceUID, StudyDate, ModalitiesInStudy (divided by ``\\\\``), PatientBirthDate and PatientID.
        study: ``patient_id``, ``birth_date``, ``study_date`` of the study, and ``held``, UIDs that are here.
        most: so many at most.
        years: none is older than that.
    """
    day = study["study_date"] if _DAY.fullmatch(study["study_date"]) else "99999999"
    oldest = f"{int(day[:4]) - years:04d}{day[4:]}" if day != "99999999" else ""
    fit = []
    for one in found:
        uid, when = one["StudyInstanceUID"].strip(), one["StudyDate"].strip()
        born = one["PatientBirthDate"].strip()
        if not _UID.fullmatch(uid) or not _DAY.fullmatch(when) or uid in study["held"]:
            continue
        # one number may be another person's in another archive: what contradicts is not the same patient
        if one["PatientID"].strip() != study["patient_id"] or (born and study["birth_date"] not in ("", born)):
            continue
        kinds = one["ModalitiesInStudy"].split("\\")
        if oldest <= when <= day and ("CT" in kinds or kinds == [""]):
            fit.append((when, uid))
    return [uid for _, uid in sorted(set(fit), reverse=True)[:most]]


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(str(one) for one in value) if hasattr(value, "__iter__") else str(value)


def _json_text(told: Mapping[str, Any], tag: str) -> str:
    found = told.get(tag)
    values = found.get("Value") if isinstance(found, dict) else None
    return "\\".join(str(one) for one in values) if isinstance(values, list) else ""
