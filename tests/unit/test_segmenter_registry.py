"""Finding a segmenter by name, and TotalSegmentator without the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from hepacalc.errors import MissingDependency, NoUsableLiver, SegmenterUnavailable
from hepacalc.geometry import Geometry
from hepacalc.liver import get_segmenter, segmenter_names
from hepacalc.liver import segmenter as registry
from hepacalc.liver import totalsegmentator as ts
from hepacalc.records import LiverMask, Volume


class Third:
    name = "third"
    version = "1"

    def segment(self, volume: Volume, *, progress: object = None) -> LiverMask:
        return LiverMask(np.ones(volume.hu.shape, bool), volume.geometry, self.name, self.version, 1.0)


def entry(name: str, load: object) -> SimpleNamespace:
    return SimpleNamespace(name=name, value=f"pkg:{name}", load=load)


def points_with(found: list[SimpleNamespace]) -> object:
    return lambda *, group, name=None: [p for p in found if group == registry.GROUP and name in (None, p.name)]


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(SegmenterUnavailable, match="no segmenter called 'nnunet'") as raised:
        get_segmenter("nnunet")
    assert "embedded" in raised.value.hint
    assert "totalsegmentator" in raised.value.hint


def test_third_party_segmenter_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", points_with([entry("third", lambda: Third)]))
    assert "third" in segmenter_names()
    assert get_segmenter("third").name == "third"


def test_third_party_segmenter_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> object:
        raise ImportError("no module named torch")

    monkeypatch.setattr(registry, "entry_points", points_with([entry("third", broken)]))
    with pytest.raises(SegmenterUnavailable, match="no module named torch"):
        get_segmenter("third")


def test_third_party_class_that_is_no_segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", points_with([entry("third", lambda: dict)]))
    with pytest.raises(SegmenterUnavailable, match="lacks name"):
        get_segmenter("third")


# ---------------------------------------------------------------- TotalSegmentator

OBLIQUE = np.array([[0, 0.1, 2.0, -30], [0, 2.0, -0.1, 40], [-3.0, 0, 0, 12], [0, 0, 0, 1.0]])


@pytest.fixture
def volume() -> Volume:
    shape = (30, 50, 60)
    return Volume(np.zeros(shape, np.int16), Geometry(shape, OBLIQUE))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """A stand-in for the package that finds voxels above 50 HU, and weights in a folder."""
    api = ModuleType("totalsegmentator.python_api")
    api.seen = {}  # type: ignore[attr-defined]

    def download_pretrained_weights(task_id: int) -> None:
        raise AssertionError("it went to the network")

    def run(scan: Path, out: Path, **options: object) -> None:
        home = Path(os.environ["TOTALSEG_HOME_DIR"])
        api.seen = {**options, "settings": (home / "config.json").read_text()}  # type: ignore[attr-defined]
        for task in getattr(api, "tasks", (297, 298)):
            api.download_pretrained_weights(task)  # type: ignore[attr-defined]
        image = nib.load(scan)
        out.mkdir()
        found = (np.asarray(image.dataobj) > 50).astype(np.uint8)
        nib.save(nib.Nifti1Image(found, image.affine), out / "liver.nii.gz")
        print("Predicting ...")

    api.download_pretrained_weights = download_pretrained_weights  # type: ignore[attr-defined]
    api.totalsegmentator = run  # type: ignore[attr-defined]
    torch = ModuleType("torch")
    torch.cuda = SimpleNamespace(is_available=lambda: False)  # type: ignore[attr-defined]
    package = ModuleType("totalsegmentator")
    for name, module in (("totalsegmentator", package), ("totalsegmentator.python_api", api), ("torch", torch)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(ts, "find_spec", lambda name: object())
    monkeypatch.setattr(ts, "package_version", lambda name: "2.4.0")
    for task in (297, 298):
        (tmp_path / f"Dataset{task}_total").mkdir()
        (tmp_path / f"Dataset{task}_total" / "plans.json").write_text("{}")
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    monkeypatch.delenv("TOTALSEG_HOME_DIR", raising=False)
    return api


def test_missing_package_gives_the_pip_line(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as raised:
        ts.TotalSegmentatorSegmenter().segment(volume)
    assert "pip install 'hepacalc[totalsegmentator]'" in raised.value.hint


def test_missing_weights_give_the_command(
    fake: ModuleType, volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "none"))
    with pytest.raises(SegmenterUnavailable, match="297, 298") as raised:
        ts.TotalSegmentatorSegmenter().segment(volume)
    assert "totalseg_download_weights -t total_fast" in raised.value.hint
    with pytest.raises(SegmenterUnavailable) as raised:
        ts.TotalSegmentatorSegmenter(fast=False).segment(volume)
    assert raised.value.hint.endswith("-t total")


def test_mask_comes_back_voxel_for_voxel(fake: ModuleType, volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    volume.hu[5:20, 10:40, 3:30] = 60
    found = ts.TotalSegmentatorSegmenter().segment(volume)
    np.testing.assert_array_equal(found.mask, volume.hu > 50)
    assert found.version == "2.4.0 total fast"
    assert fake.seen["roi_subset"] == ["liver"]
    assert fake.seen["device"] == "cpu"
    assert '"send_usage_stats": false' in fake.seen["settings"]
    assert "TOTALSEG_HOME_DIR" not in os.environ
    assert capsys.readouterr().out == ""


def test_it_never_downloads(fake: ModuleType, volume: Volume) -> None:
    fake.tasks = (297, 300)
    with pytest.raises(SegmenterUnavailable, match="wanted to download data set 300"):
        ts.TotalSegmentatorSegmenter().segment(volume)


def test_no_liver_found(fake: ModuleType, volume: Volume) -> None:
    with pytest.raises(NoUsableLiver, match="0 mL"):
        ts.TotalSegmentatorSegmenter().segment(volume)


def test_failure_inside_becomes_our_error(fake: ModuleType, volume: Volume) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    fake.totalsegmentator = fails
    with pytest.raises(SegmenterUnavailable, match="RuntimeError: out of memory"):
        ts.TotalSegmentatorSegmenter().segment(volume)
