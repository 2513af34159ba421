"""``intake``: what was received is looked at, sorted into studies and filed."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from hepacalc.errors import DamagedFile, HepacalcError, NotAStudy, TooLarge
from hepacalc.server.database import now, reading, writing
from hepacalc.server.files import folder_name, make_folder, sync_folder
from hepacalc.server.filing import file_study
from hepacalc.server.jobs import Job, finish
from hepacalc.server.outgoing import queue_priors
from hepacalc.server.tables import uploads
from hepacalc.server.work import Site, Tell

__all__ = ["Intake"]

_FOUND = "found"


class Intake:
    """Sort an upload into studies."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return where the upload lies and what is taken."""
        limits = site.settings.limits
        return {
            "folder": str(site.store.incoming(job.upload_id or "")),
            "upload": job.upload_id,
            "unpacked_bytes": limits.unpacked_bytes,
            "upload_files": limits.upload_files,
            "pixels": limits.pixels,
        }

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Sort the files by study, under names that are digests; nothing is moved away from the upload.

        Raises:
            NotAStudy: there is nothing that can be filed.
            UnsafeArchive: a zip that is no honest archive.
            TooLarge: more than this site takes.
        """
        from hepacalc.server.headers import Header, read_header

        target = out / _FOUND
        target.mkdir()
        studies: dict[str, dict[str, Any]] = {}
        passed_over: dict[str, int] = {}
        with ExitStack() as stack:
            files = list(_files(Path(request["folder"]), request, stack))
            for number, path in enumerate(files):
                tell("reading headers", number / len(files))
                header = read_header(path, most_pixels=request["pixels"], fallback=request["upload"])
                if isinstance(header, Header):
                    _keep(header, path, target, studies)
                else:
                    passed_over[header] = passed_over.get(header, 0) + 1
        if not studies:
            reasons = ", ".join(f"{n} x {why}" for why, n in sorted(passed_over.items())) or "no files"
            raise NotAStudy(
                f"Nothing that was sent can be filed ({reasons}).", hint="Send DICOM files, a zip or NIfTI."
            )
        return {"studies": list(studies.values()), "passed_over": sum(passed_over.values())}

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """File the studies, and queue their assessment."""
        with reading(site.engine) as connection:
            team = connection.execute(select(uploads.c.team).where(uploads.c.id == job.upload_id)).scalar() or ""
        for study in found["studies"]:
            target = site.store.files(folder_name(study["uid"], team))
            make_folder(target)
            for instance in study["instances"]:
                source, place = made / _FOUND / study["group"] / instance["name"], target / instance["name"]
                # what is there already is never replaced: an instance does not change
                if not place.exists():
                    _sync(source)
                    source.replace(place)
            sync_folder(target)
        with writing(site.engine) as connection:
            ids = [file_study(connection, study, team, user_id=job.user_id) for study in found["studies"]]
            for study_id in ids:
                queue_priors(connection, site.settings, study_id)
            connection.execute(
                update(uploads)
                .where(uploads.c.id == job.upload_id)
                .values(state="filed", study_ids=ids, passed_over=found["passed_over"])
            )
            finish(connection, job, {"study_ids": ids, "passed_over": found["passed_over"]})
        shutil.rmtree(site.store.incoming(job.upload_id or ""), ignore_errors=True)

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Note it on the upload; what was received stays for a person to look at."""
        connection.execute(
            update(uploads)
            .where(uploads.c.id == job.upload_id)
            .values(state="failed", error_code=error.code, error=f"{error.message} {error.hint}", created=now())
        )


def _files(folder: Path, request: dict[str, Any], stack: ExitStack) -> Iterator[Path]:
    """Yield the received files, with zips unpacked."""
    from hepacalc.study.archive import is_zip, unpacked

    count = 0
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        if not is_zip(path):
            yield path
            continue
        _refuse_large(path, request)
        for inner, _, names in os.walk(stack.enter_context(unpacked(path))):
            for name in sorted(names):
                count += 1
                if count > request["upload_files"]:
                    raise TooLarge(f"more than {request['upload_files']} files were sent.", hint="Send one study.")
                yield Path(inner, name)


def _refuse_large(path: Path, request: dict[str, Any]) -> None:
    """Refuse a zip that says itself that it is larger than this site takes; that it lies is seen when unpacking."""
    from hepacalc.study.guard import parsing

    damaged = DamagedFile("The zip archive cannot be read.", hint="Copy or download it again.")
    with parsing(damaged), zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
    if total > request["unpacked_bytes"]:
        raise TooLarge(
            f"the archive holds {total} bytes; at most {request['unpacked_bytes']} are taken.", hint="Send one study."
        )


def _keep(header: Any, path: Path, target: Path, studies: dict[str, dict[str, Any]]) -> None:
    """Note an instance, and link its file into the folder of its study."""
    group = hashlib.sha256(header.study["uid"].encode()).hexdigest()[:40]
    study = studies.setdefault(group, {**header.study, "group": group, "instances": [], "bytes": 0})
    name = hashlib.sha256(header.instance["sop_uid"].encode()).hexdigest()[:40] + header.suffix
    folder = target / group
    folder.mkdir(exist_ok=True)
    if (folder / name).exists():
        return
    try:
        os.link(path, folder / name)
    except OSError:
        shutil.copyfile(path, folder / name)
    study["instances"].append({**header.instance, "name": name})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
