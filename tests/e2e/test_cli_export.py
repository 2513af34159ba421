"""``hepacalc assess --write`` and ``hepacalc export`` as a user runs them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_runs import hepacalc
from hepacalc.errors import MissingDependency
from hepacalc.report import OUTPUTS
from hepacalc.report.exports import MANIFEST
from hepacalc.report.writers import Writer, get_writer, writer_names
from reason_example import PERSON


def there() -> Iterator[Writer]:
    """Writers whose packages are installed."""
    for name in writer_names():
        try:
            yield get_writer(name)
        except MissingDependency:
            continue


ALL = [writer.name for writer in there()]
EASY = [writer.name for writer in there() if not writer.needs_source]
HARD = [writer.name for writer in there() if writer.needs_source]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digital patient made by the command line, with a patient file beside it."""
    folder = tmp_path_factory.mktemp("patient") / "made"
    done = hepacalc("phantom", "-o", folder, "--slice-mm", 5, "--pixel-mm", 1.8, "--seed", 3)
    assert done.status == 0, done.err
    (folder / "patient.yaml").write_text(PERSON, "utf-8")
    return folder


@pytest.fixture(scope="module")
def out(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patient, assessed, with every format."""
    out = tmp_path_factory.mktemp("all") / "out"
    person = ("--patient", study / "patient.yaml")
    done = hepacalc("assess", study / "dicom", "-o", out, *person, "--write", ",".join(ALL))
    assert (done.status, done.err) == (0, "")
    assert all(re.search(rf"^{name}: ", done.out, re.MULTILINE) for name in ALL)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_format_is_there(out: Path) -> None:
    listed = json.loads((out / MANIFEST).read_text("utf-8"))["files"]
    assert {*files(out)} == {*OUTPUTS, MANIFEST, *listed}
    assert len(listed) >= len(ALL)


def test_exported_later_it_is_the_same(out: Path, study: Path, tmp_path: Path) -> None:
    names = ",".join(ALL)
    done = hepacalc("export", out, "--write", names, "--study", study / "dicom", "-o", tmp_path / "again")
    assert (done.status, done.err) == (0, "")
    first, again = files(out), files(tmp_path / "again")
    assert again == {name: data for name, data in first.items() if name not in OUTPUTS}


def test_without_the_scan(out: Path, tmp_path: Path) -> None:
    done = hepacalc("export", out, "--write", ",".join(EASY), "-o", tmp_path / "easy")
    assert (done.status, done.err) == (0, "")
    assert all(data == files(out)[name] for name, data in files(tmp_path / "easy").items() if name != MANIFEST)
    for name in HARD:
        done = hepacalc("export", out, "--write", f"{name},ics", "-o", tmp_path / "hard")
        assert done.status == 2
        assert f"{name} cannot be written without the scan" in done.err
        assert not (tmp_path / "hard").exists()


def test_another_study_is_refused_with_both_uids(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done = hepacalc("phantom", "-o", other, "--slice-mm", 10, "--pixel-mm", 3, "--seed", 4, "--foci", 0)
    assert done.status == 0, done.err
    before = files(out)
    done = hepacalc("export", out, "--write", "ics", "--study", other / "dicom")
    assert done.status == 3
    uid = json.loads(before["assessment.json"])["acquisition"]["series_instance_uid"]
    assert uid in done.err
    assert len(set(re.findall(r"[0-9.]{20,}[0-9]", done.err))) == 2
    assert files(out) == before


def test_bad_requests(out: Path, tmp_path: Path) -> None:
    before = files(out)
    for status, *arguments in (
        (2, "export", out, "--write", "docx"),
        (2, "export", out),
        (2, "export", out, "--write", "ics", "--deidentify", "--patient-id", "7"),
        (3, "export", tmp_path, "--write", "ics"),
        (7, "export", out, "--write", "ics", "-o", out / "assessment.json"),
        (2, "assess", out, "-o", tmp_path / "x", "--write", "docx"),
    ):
        done = hepacalc(*arguments)
        assert done.status == status, (arguments, done.err)
        assert len(done.err.splitlines()) == 1
        assert done.out == ""
    assert files(out) == before


@pytest.mark.slow
def test_without_identity(out: Path, study: Path, tmp_path: Path) -> None:
    known = json.loads((out / "assessment.json").read_text("utf-8"))["acquisition"]
    person = ("--patient", study / "patient.yaml")
    hidden, key = tmp_path / "hidden", tmp_path / "key"
    key.write_bytes(bytes(range(65, 97)))
    secret_ = ("--deidentify-key", key)
    formats = ("--write", ",".join(ALL))
    done = hepacalc("assess", study / "dicom", "-o", hidden, *person, "--deidentify", *secret_, *formats)
    assert (done.status, done.err) == (0, "")
    again = ("export", hidden, *formats, "--study", study / "dicom", "-o", tmp_path / "again")
    done = hepacalc(*again)
    assert done.status == 2
    assert "--deidentify-key" in done.err
    done = hepacalc(*again, *secret_)
    assert (done.status, done.err) == (0, "")
    assert files(tmp_path / "again") == {n: d for n, d in files(hidden).items() if n not in OUTPUTS}
    done = hepacalc("export", out, "--write", ",".join(EASY), "--deidentify", "-o", tmp_path / "later")
    assert (done.status, done.err) == (0, "")
    for folder in (hidden, tmp_path / "again", tmp_path / "later"):
        for name, data in files(folder).items():
            for secret in (known["study_instance_uid"], known["series_instance_uid"]):
                assert secret.encode() not in data, (folder.name, name)
