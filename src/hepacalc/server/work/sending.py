"""``send``: the SEG and SR of an assessment go back to PACS or archive; tried again for as long as that is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from hepacalc.errors import HepacalcError
from hepacalc.server.database import now, reading, writing
from hepacalc.server.follow_up import lineage
from hepacalc.server.jobs import Job, finish
from hepacalc.server.node_settings import read_node
from hepacalc.server.tables import instances, studies
from hepacalc.server.work import Site, Tell
from hepacalc.server.work.storing import study_row

__all__ = ["Send"]


class Send:
    """Send the objects of ``payload["assessment"]`` to ``payload["to"]``."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return the files, and the table ``[node]`` as it is now."""
        node = read_node(site.settings)
        with reading(site.engine) as connection:
            study = study_row(connection, job.study_id)
            is_current = job.payload["assessment"] in lineage(connection, study["assessment_id"], ("weigh",))
            rows = connection.execute(
                select(instances.c.path)
                .where(instances.c.study_id == job.study_id, instances.c.modality.in_(node.send))
                .where(instances.c.assessment_id == job.payload["assessment"])
                .order_by(instances.c.modality, instances.c.sop_uid)
            ).scalars().all()  # fmt: skip
        folder = site.store.study(study["folder"])
        paths = [str(folder / path) for path in rows] if is_current else []
        return {"node": dict(site.settings.node), "to": job.payload["to"], "paths": paths, "data": str(folder)}

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Send by C-STORE or STOW-RS, as the partner is.

        Raises:
            Unavailable: the partner is away: it is tried again.
            PeerRefused: it does not want them.
        """
        from hepacalc.interop.dicomweb_client import store_files
        from hepacalc.server.dimse_client import send_files
        from hepacalc.server.node_settings import Peer
        from hepacalc.server.settings import Settings

        paths = [Path(path) for path in request["paths"]]
        if not paths:
            return {"sent": 0, "superseded": True}
        node = read_node(Settings(out, node=request["node"]))
        partner = node.partner(request["to"])
        tell(f"sending to {request['to']}", 0.0)
        if isinstance(partner, Peer):
            sent = send_files(node, partner, paths)
        else:
            sent = store_files(partner, paths, timeout_s=node.timeout_s)
        return {"sent": sent, "superseded": False}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Note that they are there."""
        with writing(site.engine) as connection:
            finish(connection, job, {**found, "to": job.payload["to"]})

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Say it on the study; what was assessed stays."""
        told = f"The results did not get to {job.payload['to']}: {error.message} {error.hint}"
        connection.execute(
            update(studies).where(studies.c.id == job.study_id).values(error_code=error.code, error=told, updated=now())
        )
