"""A cohort whose studies lie on a DICOMweb server: our own in this process, and Orthanc."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs fastapi (pip install 'hepacalc[server]')")

from benchmarks.cohort_studies import make_cohort
from pydicom.uid import generate_uid
from tests.e2e.test_orthanc import Server as Orthanc
from tests.e2e.test_orthanc import server as orthanc  # noqa: F401
from typer.testing import CliRunner

import node_scenes as scenes
from hepacalc.cli import app
from hepacalc.cohort import dicomweb, driver
from hepacalc.cohort.inputs import probe
from hepacalc.cohort.options import Options
from hepacalc.cohort.run import run_cohort
from hepacalc.cohort.tables import read_tables
from hepacalc.errors import (
    HepacalcError,
    PeerRefused,
    SeriesNotFound,
    StudyNotFound,
    TooLarge,
    Unavailable,
    UnsupportedModality,
    UsageError,
)
from hepacalc.interop.dicomweb_client import store_files
from hepacalc.server.jobs import claim
from hepacalc.server.receive import receive
from hepacalc.server.work import Site
from hepacalc.server.worker import open_site, run_job

MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True)
class World:
    site: Site
    url: str
    uids: dict[str, str]
    token: Path

    @property
    def remote(self) -> dicomweb.Remote:
        return dicomweb.remote_of(self.url, self.token)


def file_studies(site: Site, paths: list[Path]) -> None:
    with receive(site.engine, site.settings, source="api", user_id=None, team="") as upload:
        for path in paths:
            upload.add([path.read_bytes()])
    job = claim(site.engine, "file", lease_s=600, kinds=("intake",))
    assert job is not None
    run_job(site, job)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("archive")
    site = open_site(scenes.settings_of(folder / "data"))
    uids = {name: generate_uid() for name in ("one", "two", "mixed", "series", "mr")}
    mixed = {"StudyInstanceUID": uids["mixed"]}
    paths = [
        *scenes.study(folder / "one", 3, StudyInstanceUID=uids["one"], PatientAge="061Y"),
        *scenes.study(folder / "two", 5, StudyInstanceUID=uids["two"], StudyDate="20200101"),
        *scenes.study(folder / "ct", 2, **mixed, SeriesInstanceUID=uids["series"]),
        *scenes.study(folder / "other", 4, **mixed, Modality="MR", SOPClassUID=MR),
        *scenes.study(folder / "mr", 2, StudyInstanceUID=uids["mr"], Modality="MR", SOPClassUID=MR),
    ]
    file_studies(site, paths)
    token = folder / "token"
    token.write_text(scenes.token_of(site, "dicomweb") + "\n")
    with scenes.served(site) as url:
        yield World(site, f"{url}/dicomweb", uids, token)
    site.engine.dispose()


def test_a_look_tells_images_age_and_sex(world: World):
    argument = {"root": ".", "source": world.uids["one"], "extra": {}, "dicomweb": (world.url, str(world.token))}
    told = probe(argument)
    assert (told["files"], told["study_uid"], told["sex"]) == (3, world.uids["one"], "female")
    assert told["age_years"] in (57.0, 61.0), "from the age, where the server tells it, else from the dates"
    assert told["bytes"] is None
    assert probe(argument)["input_hash"] == told["input_hash"]
    assert probe(argument | {"extra": {"liver_mask": "m.nii"}})["input_hash"] != told["input_hash"]
    assert len(dicomweb.look(world.remote, world.uids["mixed"]).images) == 2, "CT only"
    assert len(dicomweb.look(world.remote, world.uids["mixed"], world.uids["series"]).images) == 2
    wanted: tuple[tuple[str, str | None, type[HepacalcError]], ...] = (
        ("1.2.3", None, StudyNotFound), (world.uids["mr"], None, UnsupportedModality),
        (world.uids["one"], "1.2.3", SeriesNotFound),
    )  # fmt: skip
    for uid, series_uid, error in wanted:
        with pytest.raises(error):
            dicomweb.look(world.remote, uid, series_uid)


def test_a_long_list_comes_in_pages(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dicomweb, "_PAGE", 2)
    assert len(dicomweb.look(world.remote, world.uids["two"]).images) == 5
    assert len(list(dicomweb.list_studies(world.remote, modality="CT", first="", last=""))) == 3


def test_what_is_fetched_is_what_was_listed_and_does_not_stay(world: World, monkeypatch: pytest.MonkeyPatch):
    uid = world.uids["mixed"]
    key = dicomweb.hash_of(uid, dicomweb.look(world.remote, uid).images, {})
    with dicomweb.fetched(world.remote, uid, {}, key) as folder:
        assert len(list(folder.iterdir())) == 2
    assert not folder.exists()
    with (
        pytest.raises(Unavailable, match="not the 2"),
        dicomweb.fetched(world.remote, uid, {}, "0" * 40),
    ):
        raise AssertionError("a study that changed is not assessed")
    monkeypatch.setattr(dicomweb, "MOST_BYTES", 1000)
    with pytest.raises(TooLarge), dicomweb.fetched(world.remote, uid, {}, key):
        raise AssertionError("a study without end is not taken")


def test_who_may_not_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    dicomweb.check(world.remote)
    (tmp_path / "wrong").write_text("nonsense")
    monkeypatch.delenv(dicomweb.AUTHORIZATION, raising=False)
    for file in (tmp_path / "wrong", None):
        with pytest.raises(PeerRefused):
            dicomweb.check(dicomweb.remote_of(world.url, file))
    monkeypatch.setenv(dicomweb.AUTHORIZATION, world.token.read_text())
    dicomweb.check(dicomweb.remote_of(world.url))
    monkeypatch.setenv(dicomweb.AUTHORIZATION, "anna:secret")
    assert dicomweb.remote_of(world.url).authorization() == "Basic YW5uYTpzZWNyZXQ="
    for url in (
        "https://anna:secret@pacs.example/x",
        "http://pacs.example/x",
        "pacs.example",
        "https://a.b/x?key=secret",
    ):
        with pytest.raises(UsageError) as refused:
            dicomweb.remote_of(url)
        assert "secret" not in str(refused.value)
    with pytest.raises(Unavailable):
        dicomweb.check(dicomweb.remote_of(f"http://127.0.0.1:{scenes.free_port()}"))


def test_a_manifest_from_the_server_is_run_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A worker dies with a study in its hands, one study is not there, one is no CT, one comes twice; then again."""
    monkeypatch.setattr(driver, "ASSESS", "tests.cohort_fakes:assess_fetched")
    monkeypatch.setattr(driver, "WARM", "tests.cohort_fakes:ready")
    listed = tmp_path / "studies.csv"
    command = ["cohort", "list", world.url, "-o", str(listed), "--dicomweb-auth", str(world.token)]
    assert CliRunner().invoke(app, [*command, "--to", "2021-12-31"]).output.endswith("(1 studies)\n")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(listed.read_text().splitlines()))
    assert {row["study_instance_uid"] for row in rows} == {world.uids[name] for name in ("one", "two", "mixed")}
    with listed.open("a") as more:
        more.write(f"1.2.3.4,\n{world.uids['mr']},2\n")
    (tmp_path / "die").touch()
    options = Options(workers=1, threads=1, memory_mb=4000, dicomweb=world.url, dicomweb_auth=world.token)
    out = tmp_path / "out"
    found = run_cohort(listed, out, options)
    assert found.counts == {"done": 3, "failed": 2}
    assert [row[0] for row in found.failures] == ["IN-01", "IN-03"]
    assert found.command == (f"hepacalc cohort run {listed} -o {out} --workers 1 --threads 1 --dicomweb {world.url} "
                             f"--dicomweb-auth {world.token} --memory-limit 4000")  # fmt: skip
    worked = (tmp_path / "worked.log").read_text().splitlines()
    assert len(worked) == 4, "the one that died was fetched again, the missing one never"
    assert not [line for line in worked if Path(line.split()[2]).parent.exists()], "nothing of a study is left behind"
    with read_tables(out) as held:
        counts = dict(held.execute("SELECT source, calcifications FROM studies").fetchall())
        messages = str(held.execute("SELECT message, hint FROM failures").fetchall())
    assert counts == {world.uids["one"]: 3, world.uids["two"]: 5, world.uids["mixed"]: 2}
    kept = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert world.token.read_text().strip().encode() not in kept
    assert "Planted" not in messages
    assert run_cohort(listed, out, options).attempted == 0, "what is done is not asked for again"
    with pytest.raises(UsageError, match="--dicomweb URL"):
        run_cohort(listed, out, Options(workers=1, threads=1))


def test_a_server_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(driver, "ASSESS", "tests.cohort_fakes:assess_fetched")
    monkeypatch.setattr(driver, "WARM", "tests.cohort_fakes:ready")
    monkeypatch.setattr(driver, "_FIRST_PAUSE", 0.05)
    (tmp_path / "studies.csv").write_text(f"study_instance_uid\n{world.uids['one']}\n")
    monkeypatch.setattr(dicomweb, "check", lambda _remote: None)  # away only after the run began
    token = tmp_path / "token"
    options = Options(workers=1, threads=1, memory_mb=4000, dicomweb=world.url, dicomweb_auth=token)
    found = run_cohort(tmp_path / "studies.csv", tmp_path / "out", options)
    assert found.failures == [("SRV-07", "Unavailable", 1)]
    assert found.attempted == 5
    os.link(world.token, token)
    again = run_cohort(tmp_path / "studies.csv", tmp_path / "out", Options(**_given(options), again=("SRV-07",)))
    assert again.counts == {"done": 1}


@pytest.mark.slow
def test_studies_on_orthanc_give_what_they_give_on_disk(orthanc: Orthanc, tmp_path: Path):  # noqa: F811
    make_cohort(tmp_path / "in", 1, patients=1, broken=0)
    (folder,) = (tmp_path / "in").glob("*/*")
    url = f"{orthanc.http}/dicom-web"
    remote = dicomweb.remote_of(url)
    store_files(remote, sorted(folder.iterdir()), timeout_s=60)
    (one,) = dicomweb.list_studies(remote, modality="CT", first="20150101", last="")
    (tmp_path / "studies.csv").write_text(f"study_instance_uid,images\n{one.study_uid},{one.images}\n1.2.3,\n")
    found = run_cohort(tmp_path / "studies.csv", tmp_path / "web", Options(workers=1, dicomweb=url))
    assert found.counts == {"done": 1, "failed": 1}
    assert found.failures == [("IN-01", "StudyNotFound", 1)]
    run_cohort(tmp_path / "in", tmp_path / "disk", Options(workers=1))
    query = "SELECT * EXCLUDE (study_key) FROM lesions ORDER BY lesion_id"
    with read_tables(tmp_path / "web") as web, read_tables(tmp_path / "disk") as disk:
        lesions = web.execute(query).fetchall()
        assert lesions
        assert lesions == disk.execute(query).fetchall()
        about = "SELECT study_uid, age_years, sex, year, calcifications FROM studies"
        assert web.execute(about).fetchall() == disk.execute(about).fetchall()


def _given(options: Options) -> dict[str, object]:
    return {name: getattr(options, name) for name in ("workers", "threads", "memory_mb", "dicomweb", "dicomweb_auth")}
