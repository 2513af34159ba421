"""The files that come out: all or none, and nothing of anybody else is touched."""

import errno
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hepacalc.errors import OutputError
from hepacalc.records import Assessment
from hepacalc.report import OUTPUTS, check_writable, write, write_outputs
from report_example import BALLS, make_example


@pytest.fixture(scope="module")
def scan() -> Assessment:
    return make_example(balls=BALLS[:2] + BALLS[4:5])


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def test_all_files_come_out(scan: Assessment, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "结果"
    paths = write_outputs(scan, out)
    assert set(paths) == set(OUTPUTS)
    assert listing(tmp_path) == {"new folder", "new folder/结果"} | {f"new folder/结果/{n}" for n in OUTPUTS}
    assert json.loads(paths["assessment.json"].read_text("utf-8"))["schema_version"] == "1.1"
    assert paths["report.html"].read_text("utf-8").startswith("<!doctype html>")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~umask


def test_masks_lie_on_the_scan(scan: Assessment, tmp_path: Path) -> None:
    paths = write_outputs(scan, tmp_path / "out")
    foci, liver = nib.load(paths["foci.nii.gz"]), nib.load(paths["liver.nii.gz"])
    assert foci.get_data_dtype() == np.uint16
    assert set(np.unique(np.asarray(foci.dataobj))) == {0, *(f.id for f in scan.foci)}
    assert int(np.asarray(liver.dataobj).sum()) == int(scan.liver_mask.mask.sum())
    focus = scan.foci[0]
    where = np.argwhere(np.asarray(foci.dataobj) == focus.id).mean(axis=0)
    ras = foci.affine @ [*where, 1]
    assert np.allclose(ras[:3] * [-1, -1, 1], focus.centroid_mm, atol=1.6)


def test_the_same_assessment_gives_the_same_bytes(scan: Assessment, tmp_path: Path) -> None:
    first = {n: p.read_bytes() for n, p in write_outputs(scan, tmp_path / "a").items()}
    again = {n: p.read_bytes() for n, p in write_outputs(scan, tmp_path / "b").items()}
    assert first == again


def test_earlier_results_are_replaced_and_other_files_stay(scan: Assessment, tmp_path: Path) -> None:
    write_outputs(scan, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x").write_text("mine too")
    write_outputs(make_example(balls=()), tmp_path)
    assert listing(tmp_path) == {*OUTPUTS, "notes.txt", "deep", "deep/x"}
    assert json.loads((tmp_path / "assessment.json").read_text("utf-8"))["foci"] == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_of_somebody_else_is_not_replaced(scan: Assessment, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    for action in (lambda: write_outputs(scan, tmp_path), lambda: check_writable(tmp_path)):
        with pytest.raises(OutputError, match="did not write"):
            action()
    assert listing(tmp_path) == {name}
    assert (tmp_path / name).read_bytes() == b"{}"


def test_the_output_cannot_be_a_file(scan: Assessment, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("x")
    for action in (
        lambda: write_outputs(scan, out),
        lambda: check_writable(out),
        lambda: check_writable(out / "deeper"),
    ):
        with pytest.raises(OutputError) as caught:
            action()
        assert "-o" in caught.value.hint
    assert out.read_text() == "x"


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "a" / "b")
    assert listing(tmp_path) == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(scan: Assessment, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for action in (lambda: check_writable(tmp_path / "o"), lambda: write_outputs(scan, tmp_path / "o")):
            with pytest.raises(OutputError):
                action()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("exists", [False, True])
def test_a_failing_disk_leaves_the_folder_as_it_was(
    scan: Assessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, exists: bool
) -> None:
    out = tmp_path / "deep" / "out"
    if exists:
        write_outputs(scan, out)
    before = {p: (tmp_path / p).read_bytes() for p in listing(tmp_path) if (tmp_path / p).is_file()}
    paths = listing(tmp_path)

    def full(labels: object, volume: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(write, "write_mask_nifti", full)
    with pytest.raises(OutputError) as caught:
        write_outputs(make_example(balls=()), out)
    assert os.strerror(number) in str(caught.value)
    assert caught.value.hint
    assert listing(tmp_path) == paths
    assert {p: (tmp_path / p).read_bytes() for p in before} == before


@pytest.mark.parametrize("fails_at", range(5))
def test_a_fault_while_moving_puts_the_old_files_back(
    scan: Assessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    write_outputs(scan, tmp_path)
    before = {n: (tmp_path / n).read_bytes() for n in OUTPUTS}
    rename, left = Path.rename, [2 * fails_at + 1]

    def failing(self: Path, target: Path) -> Path:
        if left[0] == 0:
            left[0] = -1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError):
        write_outputs(make_example(balls=()), tmp_path)
    assert {n: (tmp_path / n).read_bytes() for n in OUTPUTS} == before
    assert listing(tmp_path) == set(OUTPUTS)


def test_a_number_that_is_not_finite_leaves_nothing(scan: Assessment, tmp_path: Path) -> None:
    bad = replace(scan, calibration=replace(scan.calibration, relative_sd=float("nan")))
    with pytest.raises(OutputError, match="/calibration/relative_sd"):
        write_outputs(bad, tmp_path / "a" / "out")
    assert listing(tmp_path) == set()


def test_stopping_it_leaves_nothing(scan: Assessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(assessment: Assessment, language: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "render_html", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(scan, tmp_path / "out")
    assert listing(tmp_path) == set()


def test_errors_hold_no_text_of_the_scan(tmp_path: Path) -> None:
    scan = make_example(balls=(), text="DOE^JANE")
    (tmp_path / "report.html").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_outputs(scan, tmp_path)
    assert "DOE" not in str(caught.value)
