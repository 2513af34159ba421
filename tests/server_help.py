"""What tests of the server share: clients, tiny DICOM files, results made without a scan."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PASSWORD = "correct horse battery"


def dicom_bytes(
    *, study: str = "1.2.3", series: str = "1.2.3.1", sop: str | None = None, number: int = 1, name: str = "DOE^JANE",
    side: int = 16, **more: Any,
) -> bytes:  # fmt: skip
    """Return one small CT image as a DICOM file."""
    data = Dataset()
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.SOPInstanceUID = sop or generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.Modality, data.PatientName, data.PatientID = "CT", name, "P-1"
    data.PatientSex, data.PatientBirthDate, data.StudyDate = "F", "19700203", "20260102"
    data.StudyDescription, data.InstanceNumber = "Abdomen", number
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, float(number)], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [1.0, 1.0], 1.0
    data.Rows = data.Columns = side
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleIntercept, data.RescaleSlope = 0, 1
    data.PixelData = np.full((side, side), 50, "<i2").tobytes()
    for key, value in more.items():
        setattr(data, key, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """Return a zip of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class Running:
    """A server that runs, and how tests talk to it."""

    def __init__(self, site: Any, app: Any, base: str) -> None:
        import httpx

        self.site, self.app, self.base, self._http = site, app, base, httpx
        self._clients: list[Any] = []

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self._http.get(f"{self.base}/healthz", timeout=5)
                return
            except self._http.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def client(self, name: str = "", **options: Any) -> Any:
        """Return a client; signed in as somebody when a name is given, with the session's secret in its headers."""
        client = self._http.Client(base_url=self.base, timeout=30, **options)
        self._clients.append(client)
        if name:
            answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
            client.headers["x-csrf-token"] = self.csrf(name)
        return client

    def csrf(self, name: str) -> str:
        """Return the secret of somebody's newest session."""
        from sqlalchemy import select

        from hepacalc.server.database import reading
        from hepacalc.server.tables import sessions, users

        with reading(self.site.engine) as connection:
            found = connection.execute(
                select(sessions.c.csrf).join(users, users.c.id == sessions.c.user_id).where(users.c.name == name)
                .order_by(sessions.c.created.desc())
            ).scalar()  # fmt: skip
        return str(found)

    def do_jobs(self, *kinds: str) -> list[str]:
        """Do the jobs that are due, here and now; return their kinds."""
        from hepacalc.server.jobs import claim
        from hepacalc.server.worker import run_job

        done = []
        while (job := claim(self.site.engine, "test", lease_s=30, kinds=kinds)) is not None:
            run_job(self.site, job)
            done.append(job.kind)
        return done

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()


def add_study(site: Any, team: str = "A", name: str = "DOE^JANE", **columns: Any) -> str:
    """Put a study into the database, without files."""
    from hepacalc.server.database import writing
    from hepacalc.server.filing import file_study

    found = {
        "uid": generate_uid(), "kind": "dicom", "patient_name": name, "patient_id": "P-1", "instances": [], **columns,
    }  # fmt: skip
    with writing(site.engine) as connection:
        return file_study(connection, found, team, user_id=None)


def add_result(site: Any, study_id: str, folder: Path) -> str:
    """Give a study the assessment in a folder that ``write_outputs`` wrote; return the assessment's id."""
    import shutil

    from sqlalchemy import insert, select, update

    from hepacalc.server.database import new_id, now, writing
    from hepacalc.server.tables import assessments, studies

    assessment_id = new_id()
    with writing(site.engine) as connection:
        row = connection.execute(select(studies).where(studies.c.id == study_id)).mappings().one()
        place = site.store.study(row["folder"]) / "results" / assessment_id
        shutil.copytree(folder, place)
        connection.execute(
            insert(assessments).values(
                id=assessment_id, study_id=study_id, revision=1, kind="assess", folder=f"results/{assessment_id}",
                headline={"en": "2 calcified lesions", "zh": "2处钙化灶", "foci": 2, "lesions": 2}, created=now(),
            )
        )  # fmt: skip
        connection.execute(
            update(studies).where(studies.c.id == study_id).values(assessment_id=assessment_id, state="assessed")
        )
    return assessment_id
