"""A stage is done again when what it is made of changes, and only then."""

from pathlib import Path

import pytest

from hepacalc.cohort import versions
from hepacalc.cohort.versions import StageVersions, code_hash, stage_versions


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three rooms: a uses b (and its data), c stands apart."""
    for name, text in (
        ("a/__init__.py", "from hepacalc.b import x\n"),
        ("b/__init__.py", "def f():\n    from hepacalc.b.inner import y\n"),
        ("b/inner.py", "x = 1\n"),
        ("b/weights/w.bin", "1"),
        ("c/__init__.py", "z = 1\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.setattr(versions, "_PACKAGE", tmp_path)
    code_hash.cache_clear()
    yield tmp_path
    code_hash.cache_clear()


@pytest.mark.parametrize(
    ("file", "changes"),
    [("b/inner.py", True), ("b/weights/w.bin", True), ("a/__init__.py", True), ("c/__init__.py", False)],
)
def test_what_a_stage_reaches_counts(package: Path, file: str, changes: bool):
    before = code_hash("a")
    code_hash.cache_clear()
    (package / file).write_text("x = 2\n", "utf-8")
    assert (code_hash("a") != before) == changes


def test_what_is_left_out_does_not_count(package: Path):
    before = code_hash("a", but=("b",))
    code_hash.cache_clear()
    (package / "b" / "inner.py").write_text("x = 2\n", "utf-8")
    assert code_hash("a", but=("b",)) == before


@pytest.mark.parametrize(
    ("option", "same"),
    [
        ({"knowledge": "other"}, ("liver", "foci")),
        ({"today": "2026-01-02"}, ("liver", "foci")),
        ({"agatston": True}, ("liver",)),
        ({"calibration": "x"}, ("liver",)),
        ({"allow_gaps": True}, ()),
        ({"segmenter": "totalsegmentator"}, ()),
    ],
)
def test_an_option_changes_its_stage_and_those_after_it(option: dict[str, object], same: tuple[str, ...]):
    before, after = stage_versions({"segmenter": "embedded"}), stage_versions({"segmenter": "embedded"} | option)
    kept = tuple(name for name in StageVersions._fields if getattr(before, name) == getattr(after, name))
    assert kept == same
    assert before.all != after.all
