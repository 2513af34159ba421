"""What was written is read back to the last digit; what does not hold together is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.errors import InvalidAssessment, OtherStudy, UsageError
from hepacalc.geometry import Geometry
from hepacalc.interop.uids import without_identity
from hepacalc.records import Assessment
from hepacalc.report import document, document_json, write_outputs
from hepacalc.report.stored import assessment_of, read_document, read_stored, with_scan
from reason_example import CYST, SIMPLE, assessed
from report_example import make_example
from report_strategies import SETTINGS, assessments


def back(scan: Assessment) -> tuple[Assessment, dict[str, Any]]:
    text = document_json(document(scan))
    doc = json.loads(text)
    stored = assessment_of(doc, scan.liver_mask.mask.astype(np.uint8), scan.labels, scan.geometry)
    assert document_json(document(stored)) == text
    return stored, doc


@SETTINGS
@given(assessments())
def test_any_assessment_comes_back(scan: Assessment) -> None:
    stored, _ = back(scan)
    assert np.array_equal(stored.labels, scan.labels)
    assert np.array_equal(stored.liver_mask.mask, scan.liver_mask.mask)
    assert [f.kind for f in stored.foci] == [f.kind for f in scan.foci]


@SETTINGS
@given(
    st.lists(st.floats(0.3, 5.0), min_size=3, max_size=3),
    st.lists(st.floats(-900, 900), min_size=3, max_size=3),
    st.floats(-0.4, 0.4),
    st.permutations(range(3)),
)
def test_any_grid_comes_back(spacing: list[float], corner: list[float], angle: float, order: list[int]) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = (turn * spacing)[:, order]
    affine[:3, 3] = corner
    scan = make_example(balls=())
    grid = Geometry(scan.geometry.shape, affine)
    back(replace(scan, geometry=grid))


@pytest.mark.parametrize(
    "scan", [assessed(), assessed(CYST), assessed(SIMPLE, lesions=0)], ids=["plan", "cyst", "stop"]
)
def test_the_reasoning_comes_back(scan: Assessment) -> None:
    stored, doc = back(scan)
    assert stored.reasoning is not None
    assert stored.reasoning.to_dict().keys() == doc["reasoning"].keys()
    assert [item.due for item in stored.reasoning.plan.items] == [item.due for item in scan.reasoning.plan.items]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stored") / "out"
    write_outputs(assessed(), out)
    return out


def test_a_folder_comes_back(folder: Path) -> None:
    stored = read_stored(folder)
    assert document_json(document(stored)) == (folder / "assessment.json").read_text("utf-8")
    with pytest.raises(UsageError, match="voxels"):
        _ = stored.volume.hu
    assert with_scan(stored, assessed().volume).volume.hu is assessed().volume.hu


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, one in inside for p in paths_of(one, (*path, key)))]


@SETTINGS
@given(data=st.data())
def test_a_changed_document_reads_as_changed_or_not_at_all(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scan = assessed(CYST)
    doc = json.loads(document_json(document(scan)))
    *way, last = data.draw(st.sampled_from(paths_of(doc)[1:]))
    holder = doc
    for key in way:
        holder = holder[key]
    junk = st.sampled_from([None, True, -1, 10**400, 1e308, "", "x" * 50, [], {}, {"reason": "x"}, [[1]], "2026-02-31"])
    holder[last] = data.draw(junk)
    path = tmp_path_factory.mktemp("changed") / "assessment.json"
    path.write_text(json.dumps(doc), "utf-8")
    try:
        read = read_document(path)
        stored = assessment_of(read, scan.liver_mask.mask.astype(np.uint8), scan.labels, scan.geometry)
    except InvalidAssessment:
        return
    assert document(stored) == doc


@SETTINGS
@given(junk=st.binary(max_size=60), at=st.integers(0, 4000))
def test_broken_bytes_are_refused(junk: bytes, at: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = document_json(document(make_example(balls=()))).encode("utf-8")
    path = tmp_path_factory.mktemp("broken") / "assessment.json"
    path.write_bytes(text[:at] + junk)
    with pytest.raises(InvalidAssessment, match=r"assessment\.json"):
        read_document(path)


@pytest.mark.parametrize("text", ["", "null", "[]", '{"a": NaN}', "[" * 10**6, '{"schema_version": "9.0"}', "\ufeff{}"])
def test_what_is_no_document(text: str, tmp_path: Path) -> None:
    (tmp_path / "assessment.json").write_text(text, "utf-8")
    with pytest.raises(InvalidAssessment):
        read_stored(tmp_path)


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidAssessment, match=r"assessment\.json"):
        read_stored(tmp_path)
    (tmp_path / "assessment.json").write_bytes((folder / "assessment.json").read_bytes())
    with pytest.raises(InvalidAssessment, match=r"liver\.nii\.gz"):
        read_stored(tmp_path)
    (tmp_path / "liver.nii.gz").write_bytes((folder / "liver.nii.gz").read_bytes())
    (tmp_path / "foci.nii.gz").write_bytes((folder / "foci.nii.gz").read_bytes()[:500])
    with pytest.raises(InvalidAssessment, match=r"foci\.nii\.gz"):
        read_stored(tmp_path)


def test_masks_that_do_not_fit() -> None:
    scan = make_example()
    doc, liver = document(scan), scan.liver_mask.mask.astype(np.uint8)
    moved = Geometry(scan.geometry.shape, scan.geometry.affine + np.eye(4)[:, [3, 3, 3, 0]] * 0.5)
    empty, swapped = np.zeros_like(scan.labels), scan.labels.copy()
    swapped[scan.labels == 1], swapped[scan.labels == 2] = 2, 1
    wrong = [
        (liver[:-1], scan.labels[:-1], Geometry((59, 160, 200), scan.geometry.affine)),
        (liver, scan.labels, moved),
        (liver, empty, scan.geometry),
        (liver, swapped, scan.geometry),
        (liver, np.roll(scan.labels, 4, axis=1), scan.geometry),
        (liver * 2, scan.labels, scan.geometry),
    ]
    for mask, labels, grid in wrong:
        with pytest.raises(InvalidAssessment, match="hold together"):
            assessment_of(doc, mask, labels, grid)


def test_another_scan_is_refused() -> None:
    stored, _ = back(make_example())
    volume = make_example().volume
    for name in ("study_instance_uid", "series_instance_uid"):
        other = replace(volume, acquisition=replace(volume.acquisition, **{name: "1.2.3.99"}))
        with pytest.raises(OtherStudy, match=r"1\.2\.826.*1\.2\.3\.99"):
            with_scan(stored, other)
        named = replace(volume, acquisition=replace(volume.acquisition, **{name: "Quixote^Alonso"}))
        with pytest.raises(OtherStudy) as caught:
            with_scan(stored, named)
        assert "Quixote" not in str(caught.value)
    shifted = replace(volume, geometry=Geometry(volume.geometry.shape, volume.geometry.affine + np.eye(4) * 0.1))
    with pytest.raises(OtherStudy, match="grid"):
        with_scan(stored, shifted)


def test_without_identity_it_is_still_known_again() -> None:
    scan = make_example()
    key = b"a key of some length for the tests"
    hidden = without_identity(scan, key)
    text = document_json(document(hidden))
    for secret in (scan.acquisition.study_instance_uid, "1.2.3.4", "20240517", "Abdomen native"):
        assert secret in document_json(document(scan))
        assert secret not in text
    stored, _ = back(hidden)
    assert without_identity(stored, key) is stored
    assert with_scan(stored, scan.volume, key).volume is scan.volume
    with pytest.raises(UsageError, match="without identity"):
        with_scan(stored, scan.volume)
    with pytest.raises(OtherStudy):
        with_scan(stored, scan.volume, b"another key, as long as the first one")
    other = replace(scan.volume, acquisition=replace(scan.acquisition, study_instance_uid="1.2.3.99"))
    with pytest.raises(OtherStudy):
        with_scan(stored, other, key)
