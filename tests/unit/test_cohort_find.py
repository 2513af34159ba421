"""Studies are found as an archive holds them; nothing is left out without a word."""

import zipfile
from pathlib import Path

import pytest
from tests.study_files import ct_slice

from hepacalc.cohort.find import SEVERAL, find_studies
from hepacalc.cohort.inputs import opened, probe
from hepacalc.errors import StudyNotFound, UsageError


def series(folder: Path, study: str, number: int = 1, slices: int = 3, **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(slices):
        image = ct_slice(k, StudyInstanceUID=study, SeriesInstanceUID=f"{study}.{number}", **more)
        image.save_as(folder / f"{number}-{k}", enforce_file_format=True)
    return folder


def found(root: Path, **more: Path) -> list[str]:
    return [one.path for one in find_studies(root, **more)]


def test_folders_zips_nifti_and_what_is_broken(tmp_path: Path):
    series(tmp_path / "p1" / "ct", "1.1")
    series(tmp_path / "p2" / "st" / "s1", "1.2", 1)
    series(tmp_path / "p2" / "st" / "s2", "1.2", 2)
    series(tmp_path / "p3" / "a", "1.3", 1)
    series(tmp_path / "p3" / "b", "1.4", 1)
    (tmp_path / "p4.zip").write_bytes(b"PK")
    (tmp_path / "p5.nii.gz").write_bytes(b"")
    (tmp_path / "p6").mkdir()
    (tmp_path / "p7").mkdir()
    (tmp_path / "p7" / "scan").write_bytes(b"rubbish")
    (tmp_path / "readme.txt").write_text("nothing")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "out" / "studies").mkdir(parents=True)
    names = ["p1/ct", "p2/st", "p3/a", "p3/b", "p4.zip", "p5.nii.gz", "p6", "p7"]
    assert found(tmp_path, but=tmp_path / "out") == names


def test_series_of_a_study_that_lie_apart_are_brought_together(tmp_path: Path):
    series(tmp_path / "x" / "1", "1.1", 1)
    series(tmp_path / "x" / "2", "1.2", 1)
    series(tmp_path / "y" / "3", "1.1", 2)
    assert found(tmp_path) == ["x/1\ny/3", "x/2"]
    with opened(tmp_path, "x/1\ny/3") as path:
        assert len(list(path.iterdir())) == 6


def test_a_folder_that_mixes_studies_is_told(tmp_path: Path):
    series(tmp_path / "mixed", "1.1", 1)
    series(tmp_path / "mixed", "1.2", 2)
    (one,) = find_studies(tmp_path)
    assert one.extra == {"problem": SEVERAL}


def test_signature_changes_with_the_files(tmp_path: Path):
    series(tmp_path / "a", "1.1")
    (before,) = find_studies(tmp_path)
    series(tmp_path / "a", "1.1", slices=4)
    (after,) = find_studies(tmp_path)
    assert before.signature != after.signature


def test_hash_is_of_the_content_and_not_of_names(tmp_path: Path):
    series(tmp_path / "a", "1.1", PatientAge="067Y", PatientSex="F")
    series(tmp_path / "b", "1.1", PatientAge="067Y", PatientSex="F")
    (tmp_path / "b" / "1-0").rename(tmp_path / "b" / "other")
    series(tmp_path / "c", "1.1", PatientAge="068Y", PatientSex="F")
    told = {name: probe({"root": str(tmp_path), "source": name}) for name in "abc"}
    assert told["a"] == told["b"]
    assert told["a"]["input_hash"] != told["c"]["input_hash"]
    assert (told["a"]["study_uid"], told["a"]["age_years"], told["a"]["sex"]) == ("1.1", 67.0, "female")
    extra = probe({"root": str(tmp_path), "source": "a", "extra": {"series": "1"}})
    assert extra["input_hash"] != told["a"]["input_hash"]
    assert "SECRET" not in str(told)


def test_ages_from_dates_and_no_older_than_ninety(tmp_path: Path):
    for name, more, age in (
        ("a", {"PatientAge": None, "PatientBirthDate": "19500615", "StudyDate": "20200614"}, 69.0),
        ("b", {"PatientAge": "095Y"}, 90.0),
        ("c", {"PatientAge": "006M"}, 0.5),
        ("d", {}, None),
    ):
        kept = {key: value for key, value in more.items() if value is not None}
        series(tmp_path / name, "1.1", **kept)
        assert probe({"root": str(tmp_path), "source": name})["age_years"] == age


def test_header_of_a_zip_and_of_a_damaged_one(tmp_path: Path):
    folder = series(tmp_path / "a", "1.7", PatientSex="M")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    told = probe({"root": str(tmp_path), "source": "a.zip"})
    assert (told["study_uid"], told["sex"]) == ("1.7", "male")
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:3000])
    assert probe({"root": str(tmp_path), "source": "b.zip"})["study_uid"] is None


def test_two_empty_folders_are_two_studies(tmp_path: Path):
    for name in "ab":
        (tmp_path / name).mkdir()
    told = [probe({"root": str(tmp_path), "source": name})["input_hash"] for name in "ab"]
    assert told[0] != told[1]


def test_a_manifest(tmp_path: Path):
    series(tmp_path / "a", "1.1")
    path = tmp_path / "list.csv"
    path.write_text("study,site,series\na,North,1.1.1\nmissing,,\n", "utf-8")
    one, two = find_studies(path)
    assert (one.path, one.site, one.extra) == ("a", "North", {"series": "1.1.1"})
    assert (two.path, two.site, two.extra) == ("missing", None, None)
    for text in ("place\na\n", "study\n../a\n", "study\n/etc\n", "study\na\na\n", 'study\n"a\nb"\n'):
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError):
            list(find_studies(path))
    path.write_bytes(b"study\n\xff\xfe\n")
    with pytest.raises(UsageError):
        list(find_studies(path))


def test_no_root(tmp_path: Path):
    with pytest.raises(StudyNotFound):
        list(find_studies(tmp_path / "nothing"))
