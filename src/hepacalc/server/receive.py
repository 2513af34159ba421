"""What comes in: first on disk, then in the job table, only then acknowledged.

Two ways. A whole upload (web, REST, STOW-RS)::

    with receive(engine, settings, source="api", user_id=..., team=...) as upload:
        upload.add(chunks, name="scan.zip")     # raises TooLarge; every file is fsynced
    upload.job_id                               # left without an error: it will be filed, whatever dies now

File by file, where nobody says which is the last (C-STORE): :func:`receive_instance`, one call an instance; the study
is filed after ``settings.quiet_s`` without a further one.

Nothing is parsed here: that is done in the process of an ``intake`` job, under limits.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from hepacalc.errors import InvalidRequest, TooLarge, Unavailable
from hepacalc.locks import hold
from hepacalc.server.database import new_id, now, reading, writing
from hepacalc.server.faults import Conflict
from hepacalc.server.files import Store, WholeFile, make_folder, sync_folder, write_whole
from hepacalc.server.jobs import Work, enqueue, postpone
from hepacalc.server.settings import Settings
from hepacalc.server.tables import jobs, uploads

__all__ = ["FileInUpload", "OpenUploads", "Upload", "earlier_upload", "receive", "receive_instance", "sweep"]

MOST_OPEN = 1000
_SUFFIXES = (".nii.gz", ".nii", ".zip")


class Upload:
    """Files that are being received; made by :func:`receive`."""

    def __init__(self, engine: Engine, settings: Settings, upload_id: str) -> None:
        self.id = upload_id
        self.job_id = ""
        self.files = 0
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._limits = settings.limits
        self.folder = Store(settings.data).incoming(upload_id)
        self._started = now()

    def add(self, chunks: Iterable[bytes], name: str = "") -> None:
        """Write one file to disk.

        Args:
            chunks: its content.
            name: as the sender calls it; only a known ending of it is kept.

        Raises:
            TooLarge: too many files, bytes or seconds.
            Unavailable: the disk is full.
        """
        file = self.begin(name)
        try:
            for chunk in chunks:
                file.write(chunk)
            file.close()
        finally:
            file.abandon()

    def begin(self, name: str = "") -> FileInUpload:
        """Return a file to write to; errors as for :meth:`add`."""
        if self.files >= self._limits.upload_files:
            raise TooLarge(f"more than {self._limits.upload_files} files were sent.", hint="Send one study at a time.")
        suffix = next((s for s in _SUFFIXES if name.lower().endswith(s)), "")
        path = self.folder / f"{self.files:06d}{suffix}"
        return FileInUpload(self, WholeFile(path, self._limits.upload_bytes - self.bytes))

    def keep(self, size: int, digest: str) -> None:
        """Count a file that was received whole."""
        self.files += 1
        self.bytes += size
        self._digest.update(digest.encode())

    def check_time(self) -> None:
        """Refuse to go on without end.

        Raises:
            TooLarge: the upload took too long.
        """
        if now() - self._started > self._limits.upload_s:
            raise TooLarge("the upload takes too long.", hint="Send it again over a faster line, or in parts.")

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of the files."""
        return self._digest.hexdigest()


class FileInUpload:
    """One file of an upload; see :class:`hepacalc.server.files.WholeFile`."""

    def __init__(self, upload: Upload, file: WholeFile) -> None:
        self._upload, self._file = upload, file

    def write(self, chunk: bytes) -> None:
        """Add to it."""
        self._upload.check_time()
        self._file.write(chunk)

    def close(self) -> None:
        """Keep it."""
        self._upload.keep(self._file.size, self._file.close())

    def abandon(self) -> None:
        """Remove it, unless it was closed."""
        self._file.abandon()


@contextmanager
def receive(
    engine: Engine, settings: Settings, *, source: str, user_id: str | None, team: str, key: str | None = None
) -> Iterator[Upload]:
    """Take an upload; at the end of the block it is in the job table, or gone after an error.

    Args:
        engine: the database.
        settings: of the deployment.
        source: who sends: ``web``, ``api``, ``stow``.
        user_id: who is signed in.
        team: whose studies these are.
        key: idempotency key of the request, see :func:`earlier_upload`.

    Raises:
        TooLarge: more than the site takes.
        InvalidRequest: nothing was sent.
        Conflict: the same key is being used by another request.
        Unavailable: disk or database fail.
    """
    upload = Upload(engine, settings, new_id())
    folder = Store(settings.data).incoming(upload.id)
    make_folder(folder)
    held = _held(folder)
    row = {"id": upload.id, "user_id": user_id, "team": team, "source": source, "idempotency_key": key,
           "state": "open", "created": now()}  # fmt: skip
    done = False
    try:
        try:
            with writing(engine) as connection:
                connection.execute(insert(uploads).values(**row))
        except IntegrityError:
            raise Conflict("another request with this Idempotency-Key is under way.", hint="Wait for it.") from None
        yield upload
        if not upload.files:
            raise InvalidRequest("no file was sent.", hint="Send a zip, DICOM files or NIfTI.")
        sync_folder(folder)
        with writing(engine) as connection:
            upload.job_id = enqueue(
                connection, Work("intake", f"intake:{upload.id}", upload_id=upload.id, user_id=user_id)
            )
            values = {"state": "received", "files": upload.files, "bytes": upload.bytes, "digest": upload.digest}
            connection.execute(update(uploads).where(uploads.c.id == upload.id).values(**values))
        done = True
    finally:
        if not done:
            shutil.rmtree(folder, ignore_errors=True)
            _forget(engine, upload.id)
        os.close(held)


def earlier_upload(engine: Engine, settings: Settings, user_id: str, key: str) -> tuple[str, str] | None:
    """Return id and state of what the same user sent with the same idempotency key.

    What a process that is gone was receiving is as if it had never been sent.
    """
    with reading(engine) as connection:
        row = connection.execute(
            select(uploads.c.id, uploads.c.state).where(uploads.c.user_id == user_id, uploads.c.idempotency_key == key)
        ).first()
    if row is None or (row.state == "open" and _remove_left(engine, settings, row.id)):
        return None
    return row.id, row.state


class OpenUploads:
    """Uploads that this process has just added to, so that the table need not be asked where the next file goes."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[str, float]] = {}

    def get(self, source: str, group: str, settings: Settings) -> str | None:
        """Return an upload that cannot have been begun since it was seen to wait."""
        upload_id, seen = self._held.get((source, group), ("", 0.0))
        return upload_id if now() - seen < settings.quiet_s / 4 else None

    def keep(self, source: str, group: str, upload_id: str) -> None:
        """Note an upload that waits now; those that were seen longest ago are forgotten."""
        self._held.pop((source, group), None)
        self._held[source, group] = (upload_id, now())
        if len(self._held) > MOST_OPEN:
            del self._held[next(iter(self._held))]


def receive_instance(
    engine: Engine, settings: Settings, *, source: str, team: str, study_uid: str, sop_uid: str, data: Iterable[bytes],
    known: OpenUploads | None = None,
) -> str:  # fmt: skip
    """Take one instance of a study that comes file by file; return the id of its upload once it is safe.

    Args:
        engine: the database.
        settings: of the deployment.
        source: who sends, e.g. ``dicom:CT01``.
        team: whose study it is.
        study_uid: StudyInstanceUID as the sender gives it; used as a key only.
        sop_uid: SOPInstanceUID as the sender gives it; the same one sent again replaces the first.
        data: a DICOM file, with preamble and file meta information.
        known: of the process that receives: then the table is asked once an instance, before it is acknowledged.

    Raises:
        TooLarge: one instance larger than an upload may be.
        Unavailable: disk or database fail; the sender has to try again.
    """
    store = Store(settings.data)
    group = hashlib.sha256(f"{team}\0{study_uid}".encode()).hexdigest()
    name = hashlib.sha256(sop_uid.encode()).hexdigest()[:40]
    held = None if known is None else known.get(source, group, settings)
    upload_id = held or _open_upload(engine, settings, source, team, group)
    folder = store.incoming(upload_id)
    make_folder(folder)
    write_whole(folder / name, data, most=settings.limits.upload_bytes)
    later = _open_upload(engine, settings, source, team, group)
    if later != upload_id:
        # the quiet time ended while this file came: it goes into an upload of its own
        make_folder(store.incoming(later))
        try:
            (folder / name).replace(store.incoming(later) / name)
        except FileNotFoundError as fault:
            # filed already, or removed with what was filed: only the sender can make sure
            raise Unavailable("the study was being filed.", hint="Send the instance again.") from fault
        sync_folder(store.incoming(later))
    if known is not None:
        known.keep(source, group, later)
    return later


_WAITING = (
    select(uploads.c.id, jobs.c.not_before)
    .join(jobs, jobs.c.upload_id == uploads.c.id)
    .where(uploads.c.source == bindparam("source"), uploads.c.digest == bindparam("digest"))
    .where(uploads.c.state == "received", jobs.c.kind == "intake", jobs.c.state == "queued", jobs.c.starts == 0)
    .order_by(uploads.c.created.desc())
)


def _open_upload(engine: Engine, settings: Settings, source: str, team: str, group: str) -> str:
    """Return the upload that still waits for files of this study, or a new one with its job."""
    wanted = {"source": source, "digest": group}
    with reading(engine) as connection:
        found = connection.execute(_WAITING, wanted).first()
    if found is not None and found.not_before > now() + settings.quiet_s / 2:
        return str(found.id)  # nobody may begin its job for a while: no need to write
    with writing(engine) as connection:
        found = connection.execute(_WAITING, wanted).first()
        if found is not None and postpone(connection, f"intake:{found.id}", now() + settings.quiet_s):
            return str(found.id)
        upload_id = new_id()
        row = {"id": upload_id, "team": team, "source": source, "digest": group, "state": "received", "created": now()}
        connection.execute(insert(uploads).values(**row))
        work = Work("intake", f"intake:{upload_id}", upload_id=upload_id, not_before=now() + settings.quiet_s)
        enqueue(connection, work)
    return upload_id


def sweep(engine: Engine, settings: Settings) -> int:
    """Remove what processes that are gone were receiving; return how many uploads. Call when one was found dead."""
    with reading(engine) as connection:
        found = connection.execute(select(uploads.c.id).where(uploads.c.state == "open")).scalars().all()
    return sum(_remove_left(engine, settings, upload_id) for upload_id in found)


def _remove_left(engine: Engine, settings: Settings, upload_id: str) -> bool:
    """Remove an open upload that nobody receives any more; False when somebody does, or it is no longer open."""
    folder = Store(settings.data).incoming(upload_id)
    held = None
    try:
        held = hold(folder)
    except FileNotFoundError:
        pass  # gone, but for its row
    except OSError:
        return False
    try:
        is_left = _forget(engine, upload_id)
        if is_left:
            shutil.rmtree(folder, ignore_errors=True)
        return is_left
    finally:
        if held is not None:
            os.close(held)


def _held(folder: Path) -> int:
    """Return a descriptor that says that somebody receives into a folder, for as long as it is open.

    Raises:
        Unavailable: it cannot be had.
    """
    try:
        return hold(folder)
    except OSError as fault:
        raise Unavailable(
            "the data folder cannot be locked.", hint="Put it on a disk that has locks, e.g. a local one."
        ) from fault


def _forget(engine: Engine, upload_id: str) -> bool:
    """Take an open upload out of the table; False when there is none."""
    with writing(engine) as connection:
        gone = connection.execute(uploads.delete().where(uploads.c.id == upload_id, uploads.c.state == "open"))
    return bool(gone.rowcount)
