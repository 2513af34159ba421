"""Pages of the server for ``scripts/axe.py``: one serves the digital patient's assessment, in each language."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlunsplit

__all__ = ["served_pages"]

PAGES = ("/", "/due", "/studies/{study}", "/form", "/form?kind=fetal", "/knowledge", "/account", "/admin")
LANGUAGES = ("en", "zh")
DAYS = ("20250105", "20260105")


@contextmanager
def served_pages(folder: Path) -> Iterator[list[str]]:
    """Give ``COOKIES URL`` of each page, while the server runs; none without the extra ``server``.

    Args:
        folder: holds ``en``, what ``hepacalc assess`` wrote, and takes the server's data.
    """
    if find_spec("fastapi") is None:
        yield []
        return
    import uvicorn
    from sqlalchemy import select

    from hepacalc.server.accounts import add_user, begin_session
    from hepacalc.server.app import make_app, server_config
    from hepacalc.server.database import reading
    from hepacalc.server.pages_space import has_niivue
    from hepacalc.server.settings import Settings
    from hepacalc.server.tables import studies
    from hepacalc.server.worker import open_site

    settings = Settings(folder / "data", login="users")
    site = open_site(settings)
    cookie = begin_session(site.engine, add_user(site.engine, "axe", "admin", password=secrets.token_hex(12)))
    study = [add_exam(site, folder / "en", day) for day in DAYS][-1]
    listener = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(server_config(make_app(site), settings, listener.fileno()))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    base = urlunsplit(("http", "{}:{}".format(*listener.getsockname()), "", "", ""))
    with reading(site.engine) as connection:
        shown = connection.execute(select(studies.c.assessment_id).where(studies.c.id == study)).scalar_one()
    pages = [*PAGES, *(["/assessments/{shown}/space"] if has_niivue() else [])]
    signed_in = [(page.format(study=study, shown=shown), f"hepacalc={cookie};") for page in pages]
    try:
        yield [
            f"{who}hepacalc-language={language} {base}{page}"
            for language in LANGUAGES
            for page, who in [("/sign-in", ""), *signed_in]
        ]
    finally:
        runner.should_exit = True
        thread.join(20)
        listener.close()
        site.engine.dispose()


def add_exam(site: Any, assessed: Path, day: str) -> str:
    """Put an assessment into the server as an exam of a day, with what follows from it; return the study's id."""
    from sqlalchemy import insert, select, update

    from hepacalc.report.stored import read_stored
    from hepacalc.server.database import new_id, now, writing
    from hepacalc.server.filing import file_study
    from hepacalc.server.follow_up import queue_follow_up
    from hepacalc.server.jobs import claim
    from hepacalc.server.tables import assessments, studies
    from hepacalc.server.work import kind_of
    from hepacalc.server.work.output import headline_of

    found = {"uid": f"2.25.{day}", "kind": "dicom", "patient_id": "P-1", "study_date": day, "instances": []}
    headline = headline_of(read_stored(assessed))
    with writing(site.engine) as connection:
        study, made = file_study(connection, {**found, "patient_name": "EXAMPLE^ANNA"}, "", user_id=None), new_id()
        place = connection.execute(select(studies.c.folder).where(studies.c.id == study)).scalar_one()
        target = site.store.study(place) / made
        shutil.copytree(assessed, target)
        document = target / "assessment.json"
        told = json.loads(document.read_text("utf-8"))
        told["acquisition"] |= {"study_date": day, "study_instance_uid": f"2.25.{day}"}
        document.write_text(json.dumps(told), "utf-8")
        row = {"id": made, "study_id": study, "revision": 1, "kind": "assess", "folder": made, "created": now()}
        connection.execute(insert(assessments).values(**row, headline=headline))
        values = {"assessment_id": made, "state": "assessed", "headline": headline}
        connection.execute(update(studies).where(studies.c.id == study).values(**values))
        queue_follow_up(connection, study)
    while (job := claim(site.engine, "axe", lease_s=300, kinds=("compare", "register"))) is not None:
        kind, out = kind_of(job.kind), site.store.new_work()
        kind.commit(site, job, out, kind.run(kind.request(site, job), out, lambda _stage, _share: None))
    return study
