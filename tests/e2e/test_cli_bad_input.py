"""Bad input on the command line: one clear line, an exit status by the table, nothing left in OUT."""

import json
import os
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cli_runs import hepacalc
from hepacalc.cli import main
from hepacalc.errors import STATUS, MeasurementError
from hepacalc.phantom import Phantom, make_patient, write_dicom_series, write_nifti
from hepacalc.study import open_study, write_mask_nifti
from study_files import ct_slice, save, volume_of, write_series
from study_files import write_nifti as write_array

MR, US = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.fixture(scope="module")
def phantom():
    return make_patient(5, spacing_mm=(5.0, 2.0, 2.0), foci=[], mimics=())


@pytest.fixture(scope="module")
def scan(phantom, tmp_path_factory) -> Path:
    """A whole, good series."""
    folder = tmp_path_factory.mktemp("scan")
    write_dicom_series(phantom, folder)
    return folder


@pytest.fixture
def refused(tmp_path, capsys):
    """Run ``assess`` on a study that must be refused; give back the line on standard error."""

    def run(study: Path, *options: object, codes: tuple[str, ...], out: Path | None = None) -> str:
        out = out or tmp_path / "out"
        beside = sorted(tmp_path.iterdir())
        with pytest.raises(SystemExit) as leaving:
            main(["assess", str(study), "-o", str(out), *(str(o) for o in options)])
        printed, told = capsys.readouterr()
        code = told.split(" ")[0]
        assert code in codes, told
        assert leaving.value.code == STATUS[code.split("-")[0]].exit_status
        assert printed == ""
        assert told.count("\n") == 1
        assert "Traceback" not in told
        assert "Secret" not in told
        assert not os.path.isdir(out)  # noqa: PTH112 - the name may be too long
        assert sorted(tmp_path.iterdir()) == beside
        return told

    return run


def test_absent_empty_and_text(refused, tmp_path):
    refused(tmp_path / "absent", codes=("IN-01",))
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", codes=("IN-02",))
    (tmp_path / "a.txt").write_text("a letter, no CT " * 100)
    assert "not DICOM" in refused(tmp_path / "a.txt", codes=("IN-02",))


@pytest.mark.parametrize(("modality", "sop"), [("MR", MR), ("US", US)])
def test_another_modality(refused, tmp_path, modality, sop):
    write_series(tmp_path / "s", 8, Modality=modality, SOPClassUID=sop)
    assert modality in refused(tmp_path / "s", codes=("IN-03",))


def test_two_slices(refused, tmp_path):
    write_series(tmp_path / "s", 2)
    refused(tmp_path / "s", codes=("GEO-01",))


def test_chest_without_liver(refused, phantom, scan, tmp_path):
    top = int(np.flatnonzero(phantom.liver.any((1, 2))).max())
    (tmp_path / "chest").mkdir()
    files = sorted(scan.iterdir())[top + 2 :]
    assert len(files) >= 5
    for path in files:
        (tmp_path / "chest" / path.name).write_bytes(path.read_bytes())
    refused(tmp_path / "chest", codes=("LIV-01",))


def test_head(refused, tmp_path):
    write_array(tmp_path / "head.nii.gz", head(), np.diag([-2.0, -2.0, 4.0, 1.0]))
    refused(tmp_path / "head.nii.gz", codes=("LIV-01",))


def head() -> np.ndarray:
    """A head in HU, ``(z, y, x)`` at 4 x 2 x 2 mm: skin, skull, brain, eyes, sinuses, petrous bone, neck."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(np.arange(-90, 110, 4), np.arange(-128, 128, 2), np.arange(-128, 128, 2), indexing="ij")

    def inside(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((a - c) / r) ** 2 for a, c, r in zip((z, y, x), centre, radii, strict=True)) < 1

    hu = np.full(z.shape, -1000.0)
    for radii, value in (((100, 105, 85), 30), ((94, 99, 79), 1000), ((87, 92, 72), 28)):
        hu[inside((10, 0, 0), radii)] = value
    brain = inside((10, 0, 0), (84, 89, 69))
    texture = ndimage.gaussian_filter(rng.normal(size=z.shape), 3)
    hu[brain] = (33 + 4 * texture / texture.std())[brain]
    for side in (-1, 1):
        hu[inside((20, 0, 16 * side), (14, 38, 9))] = 6
        hu[inside((-35, -62, 28 * side), (14, 14, 14))] = 8
        hu[inside((-60, -50, 22 * side), (18, 18, 14))] = -980
        hu[inside((-45, 25, 52 * side), (14, 16, 14))] = 500
    hu[(np.abs(z + 40) < 6) & brain] = 600
    low = z < -60
    hu[(np.hypot(x, y - 20) < 50) & low] = 50
    hu[(np.hypot(x, y - 10) < 10) & low] = 900
    hu[(np.hypot(x, y + 25) < 9) & low] = -1000
    return (hu + rng.normal(0, 6, hu.shape)).astype(np.int16)


def test_nifti_with_nan(refused, tmp_path):
    hu = volume_of(8).astype(np.float64)
    hu[3, 4, 5] = np.nan
    refused(write_array(tmp_path / "a.nii.gz", hu), codes=("IN-08",))


def test_mask_of_another_size_empty_or_no_mask(refused, scan, phantom, tmp_path):
    grid = write_array(tmp_path / "small.nii.gz", np.ones((8, 16, 20), np.uint8))
    refused(scan, "--liver-mask", grid, codes=("GEO-04",))
    write_nifti(phantom, tmp_path / "scan.nii.gz")
    empty = tmp_path / "empty.nii.gz"
    image = nib.load(tmp_path / "scan.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), empty)
    refused(scan, "--liver-mask", empty, codes=("LIV-02",))
    (tmp_path / "mask.txt").write_text("no mask")
    told = refused(scan, "--liver-mask", tmp_path / "mask.txt", codes=("LIV-02",))
    assert "mask.txt" in told
    assert "neither NIfTI" in told
    (tmp_path / "mask.nii.gz").write_text("no mask")
    assert "liver mask 'mask.nii.gz'" in refused(scan, "--liver-mask", tmp_path / "mask.nii.gz", codes=("IN-06",))
    first = next(scan.iterdir())
    assert "liver mask" in refused(scan, "--liver-mask", first, codes=("LIV-02",))
    assert "liver mask" in refused(scan, "--liver-mask", scan, codes=("IN-01",))
    refused(scan, "--liver-mask", tmp_path / "absent.nii", codes=("IN-01",))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).astype(np.int16), image.affine), tmp_path / "ct.nii")
    assert "liver mask 'ct.nii'" in refused(scan, "--liver-mask", tmp_path / "ct.nii", codes=("LIV-02",))


GRID = np.diag([-2.0, -2.0, 5.0, 1.0])


def not_ct(what: str, phantom: Phantom) -> np.ndarray:
    """Something that NIfTI holds as readily as a CT, in the shape of the phantom."""
    hu = phantom.volume.hu.astype(np.float32)
    rng = np.random.default_rng(3)
    if what == "liver mask":
        return phantom.liver.astype(np.uint8)
    if what == "label map":
        return np.digitize(hu, np.linspace(-300, 300, 30)).astype(np.uint8)
    if what == "windowed picture":
        return np.clip((hu + 160) * 255 / 400, 0, 255).astype(np.uint8)
    if what == "CT without rescale":
        return (hu + 1024).astype(np.int16)
    if what == "CT as a share":
        return hu / 1000
    bright = np.where(hu < -300, 0, 300 + hu + 100 * (phantom.volume.hu > 200))
    bright = np.abs(bright + rng.normal(0, 12, hu.shape)).astype(np.float32)
    return (bright - bright.mean()) / bright.std() if what == "MR, standardised" else bright


@pytest.mark.parametrize(
    "what",
    ["liver mask", "label map", "windowed picture", "CT without rescale", "CT as a share", "MR", "MR, standardised"],
)
def test_nifti_that_is_no_ct(refused, phantom, tmp_path, what):
    path = write_array(tmp_path / "a.nii.gz", not_ct(what, phantom), GRID)
    told = refused(path, codes=("IN-08",))
    assert "does not look like CT numbers" in told
    # a mask of the liver makes it no CT either
    liver = write_array(tmp_path / "liver.nii.gz", phantom.liver.astype(np.uint8), GRID)
    refused(path, "--liver-mask", liver, codes=("IN-08",))


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.float32, np.int32, np.uint16])
def test_nifti_of_every_kind_of_number_is_the_same_scan(phantom, tmp_path, kind, capsys):
    hu = phantom.volume.hu.astype(kind) if kind is not np.uint16 else (phantom.volume.hu + 1024).astype(kind)
    image = nib.Nifti1Image(hu.transpose(2, 1, 0), GRID, dtype=kind)
    if kind is np.uint16:
        image.header.set_slope_inter(1, -1024)
        data = bytearray(image.to_bytes())
        data[352:] = hu.tobytes()
        (tmp_path / "a.nii").write_bytes(bytes(data))
    else:
        nib.save(image, tmp_path / "a.nii")
    volume, _ = open_study(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.hu, phantom.volume.hu)
    if kind is not np.float64:
        return
    main(["assess", str(tmp_path / "a.nii"), "-o", str(tmp_path / "out")])
    assert "Report:" in capsys.readouterr().out
    found = np.asarray(nib.load(tmp_path / "out" / "liver.nii.gz").dataobj).transpose(2, 1, 0) > 0
    assert 2 * (found & phantom.liver).sum() / (found.sum() + phantom.liver.sum()) > 0.9


def test_nifti_that_is_no_volume(refused, tmp_path):
    refused(write_array(tmp_path / "two.nii.gz", volume_of(2)), codes=("GEO-01",))
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 4), np.int16), GRID), tmp_path / "four.nii")
    refused(tmp_path / "four.nii", codes=("GEO-02",))
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.complex64), GRID), tmp_path / "complex.nii")
    refused(tmp_path / "complex.nii", codes=("IN-08",))
    whole = write_array(tmp_path / "a.nii", volume_of(8)).read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:-500])
    refused(tmp_path / "cut.nii", codes=("IN-06",))
    (tmp_path / "junk.nii.gz").write_bytes(b"\x1f\x8b" + b"junk" * 50)
    refused(tmp_path / "junk.nii.gz", codes=("IN-06",))


def test_legs(refused, tmp_path):
    rng = np.random.default_rng(2)
    z, y, x = np.meshgrid(np.arange(0, 300, 4), np.arange(-100, 100, 2), np.arange(-160, 160, 2), indexing="ij")
    hu = np.full(z.shape, -1000.0)
    for side in (-80, 80):
        away = np.hypot(y, x - side)
        for radius, value in ((65, -100), (55, 60), (15, 1100), (9, -40)):
            hu[away < radius + z / 30] = value
    hu += rng.normal(0, 8, hu.shape)
    refused(write_array(tmp_path / "legs.nii.gz", hu.astype(np.int16), np.diag([-2.0, -2, 4, 1])), codes=("LIV-01",))


def test_truncated_dicom(refused, scan, tmp_path):
    folder = _copy(scan, tmp_path / "s")
    file = sorted(folder.iterdir())[20]
    file.write_bytes(file.read_bytes()[:-999])
    refused(folder, codes=("IN-06", "GEO-03"))


def test_every_file_bit_flipped(refused, scan, tmp_path):
    folder = _copy(scan, tmp_path / "s")
    rng = np.random.default_rng(1)
    for file in folder.iterdir():
        data = np.frombuffer(file.read_bytes(), np.uint8).copy()
        places = rng.integers(132, 1200, 60)
        data[places] ^= (1 << rng.integers(0, 8, 60)).astype(np.uint8)
        file.write_bytes(data.tobytes())
    with pytest.raises(SystemExit) as leaving:
        main(["assess", str(folder), "-o", str(tmp_path / "out")])
    assert leaving.value.code in (3, 4)
    assert not (tmp_path / "out").exists()


def test_zip_bomb(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", b"\0" * (70 * 2**20))
    refused(tmp_path / "b.zip", codes=("IN-07",))


def test_zip_of_many_files_of_nothing_or_with_a_way_out(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for k in range(40):
            packed.writestr(f"{k}", b"\0" * (8 * 2**20))
    refused(tmp_path / "many.zip", codes=("IN-07",))
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as packed:
        packed.writestr("../../gone.dcm", b"x")
    refused(tmp_path / "out.zip", codes=("IN-07",))
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as packed:
        packed.writestr("a.txt", "a letter")
    refused(tmp_path / "text.zip", codes=("IN-02",))
    (tmp_path / "cut.zip").write_bytes((tmp_path / "many.zip").read_bytes()[:-30])
    refused(tmp_path / "cut.zip", codes=("IN-02", "IN-06", "IN-07"))


def test_names_with_spaces_and_chinese_characters(refused, tmp_path):
    folder = tmp_path / "肝脏 CT 研究" / "a b"
    folder.mkdir(parents=True)
    (folder / "说明 1.txt").write_text("没有图像", encoding="utf-8")
    refused(folder, codes=("IN-02",))
    refused(folder / "没有", codes=("IN-01",))
    (folder / "扫描 1.nii.gz").write_bytes(b"junk")
    refused(folder / "扫描 1.nii.gz", codes=("IN-06",), out=folder / "结果 1")


def test_error_as_json(tmp_path, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["assess", str(tmp_path), "-o", str(tmp_path / "out"), "--json"])
    assert leaving.value.code == 3
    printed = json.loads(capsys.readouterr().out)["error"]
    assert printed["code"] == "IN-02"
    assert printed["hint"]


def test_missing_slice_names_the_place(refused, scan, tmp_path):
    folder = _copy(scan, tmp_path / "s")
    sorted(folder.iterdir())[25].unlink()
    assert "--allow-gaps" in refused(folder, codes=("GEO-03",))


def test_out_that_cannot_be_written(refused, scan, tmp_path):
    (tmp_path / "file").write_text("x")
    refused(scan, codes=("OUT-01",), out=tmp_path / "file")
    refused(scan, codes=("OUT-01",), out=tmp_path / "file" / "deeper")
    refused(scan, codes=("OUT-01",), out=tmp_path / ("n" * 300))
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that nobody may write to")
def test_out_where_nobody_may_write(refused, scan):
    refused(scan, codes=("OUT-01",), out=Path("/proc/hepacalc/out"))
    with pytest.raises(SystemExit) as leaving:
        main(["phantom", "-o", "/proc/hepacalc"])
    assert leaving.value.code == 7


@pytest.mark.parametrize(
    ("stage", "status", "exists"),
    [
        ("find_foci", 6, False),
        ("assess_quality", 6, True),
        ("write_mask_nifti", 7, False),
        ("write_mask_nifti", 7, True),
    ],
)
def test_a_stage_that_fails_leaves_nothing_behind(scan, phantom, tmp_path, monkeypatch, capsys, stage, status, exists):
    def fail(*_args: object, **_options: object) -> None:
        raise MeasurementError("it went wrong.", hint="Nothing.") if status == 6 else OSError(28, "disk full")

    liver = tmp_path / "liver.nii.gz"
    write_mask_nifti(phantom.liver, phantom.volume, liver)
    home = import_module("hepacalc.report.write" if stage == "write_mask_nifti" else "hepacalc.assess")
    monkeypatch.setattr(home, stage, fail)
    out = tmp_path / "new" / "out"
    if exists:
        out.mkdir(parents=True)
        (out / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit) as leaving:
        main(["assess", str(scan), "-o", str(out), "--liver-mask", str(liver)])
    assert leaving.value.code == status
    assert capsys.readouterr().err.count("\n") == 1
    liver.unlink()
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == (["new", "new/out", "new/out/notes.txt"] if exists else [])


def test_unknown_series_segmenter_and_calibration(refused, scan, tmp_path):
    refused(scan, "--series", "9.9.9", codes=("IN-04",))
    refused(scan, "--segmenter", "magic", codes=("LIV-03",))
    (tmp_path / "c.json").write_text('{"kvp": 120, "mg_per_ml_per_hu": 800, "sd": 1}')
    refused(scan, "--calibration", tmp_path / "c.json", codes=("MEA-02",))


def test_optional_segmenter_that_is_not_installed(refused, scan):
    if find_spec("totalsegmentator"):
        pytest.skip("TotalSegmentator is installed here")
    assert "pip install" in refused(scan, "--segmenter", "totalsegmentator", codes=("DEP-01",))


def test_a_name_in_a_header_never_shows(refused, tmp_path):
    (tmp_path / "s").mkdir()
    for k in range(8):
        save(ct_slice(k, PatientName="Secret^Patient", RescaleSlope=0), tmp_path / "s" / f"{k}.dcm")
    refused(tmp_path / "s", codes=("IN-05", "IN-08"))


def test_as_a_process_of_its_own(tmp_path):
    done = hepacalc("assess", tmp_path, "-o", tmp_path / "out")
    assert done.status == 3
    assert done.out == ""
    assert done.err.startswith("IN-02 NotAStudy: ")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _copy(scan: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in scan.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
