"""Further files beside an assessment: all or none, ours and not ours, never those of an earlier patient."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hepacalc.errors import OutputError, UsageError
from hepacalc.records import Assessment
from hepacalc.report import OUTPUTS, check_writable, write_outputs
from hepacalc.report.exports import MANIFEST
from hepacalc.report.write import write_exports
from hepacalc.report.writers import ExportContext
from report_example import BALLS, make_example

HERE = ExportContext()


class Note:
    """A format of one or two small files."""

    needs_source = False

    def __init__(self, *names: str, text: str = "x", error: Exception | None = None) -> None:
        self.name, self.names, self.text, self.error = "text", names, text, error

    def files(self, assessment: Assessment) -> tuple[str, ...]:
        return self.names

    def write(self, assessment: Assessment, folder: Path, context: ExportContext) -> None:
        for name in self.names:
            (folder / name).write_text(self.text)
        if self.error:
            raise self.error


@pytest.fixture(scope="module")
def scan() -> Assessment:
    return make_example(balls=BALLS[:1])


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_they_come_with_the_five_files(scan: Assessment, tmp_path: Path) -> None:
    paths = write_outputs(scan, tmp_path / "out", writers=[Note("a.txt", "b.txt"), Note("c.txt")], context=HERE)
    assert {*listing(tmp_path / "out")} == {*paths} == {*OUTPUTS, MANIFEST, "a.txt", "b.txt", "c.txt"}
    assert {*json.loads(paths[MANIFEST].read_text())["files"]} == {"a.txt", "b.txt", "c.txt"}


def test_without_further_formats_there_is_no_list(scan: Assessment, tmp_path: Path) -> None:
    write_outputs(scan, tmp_path, writers=[Note()], context=HERE)
    assert {*listing(tmp_path)} == {*OUTPUTS}


@pytest.mark.parametrize("error", [OSError(28, "full"), UsageError("a.", hint="b.")])
@pytest.mark.parametrize("earlier", [False, True])
def test_all_or_none(scan: Assessment, tmp_path: Path, error: Exception, earlier: bool) -> None:
    if earlier:
        write_outputs(scan, tmp_path / "out", writers=[Note("a.txt", text="old")])
    before = listing(tmp_path)
    with pytest.raises((OutputError, UsageError)):
        write_outputs(scan, tmp_path / "out", writers=[Note("a.txt"), Note("b.txt", error=error)])
    with pytest.raises((OutputError, UsageError)):
        write_exports(scan, tmp_path / "out", [Note("a.txt"), Note("b.txt", error=error)], HERE)
    assert listing(tmp_path) == before
    assert earlier or not (tmp_path / "out").exists()


def test_a_second_export_adds_to_the_first(scan: Assessment, tmp_path: Path) -> None:
    write_outputs(scan, tmp_path, writers=[Note("a.txt")])
    write_exports(scan, tmp_path, [Note("b.txt")], HERE)
    write_exports(scan, tmp_path, [Note("b.txt", text="new")], HERE)
    assert {*listing(tmp_path)} == {*OUTPUTS, MANIFEST, "a.txt", "b.txt"}
    assert (tmp_path / "b.txt").read_text() == "new"
    assert {*json.loads((tmp_path / MANIFEST).read_text())["files"]} == {"a.txt", "b.txt"}


def test_objects_of_an_earlier_patient_do_not_stay(scan: Assessment, tmp_path: Path) -> None:
    other = make_example(balls=BALLS[:2])
    write_outputs(scan, tmp_path / "a", writers=[Note("a.txt")])
    (tmp_path / "a" / "mine.txt").write_text("mine")
    write_outputs(other, tmp_path / "a")
    assert {*listing(tmp_path / "a")} == {*OUTPUTS, "mine.txt"}
    write_exports(scan, tmp_path / "b", [Note("a.txt")], HERE)
    write_exports(other, tmp_path / "b", [Note("b.txt")], HERE)
    assert {*listing(tmp_path / "b")} == {"b.txt", MANIFEST}


ACTIONS: list[Callable[[Assessment, Path], object]] = [
    lambda scan, out: write_outputs(scan, out, writers=[Note("a.txt")]),
    lambda scan, out: write_exports(scan, out, [Note("a.txt")], HERE),
]


@pytest.mark.parametrize("action", ACTIONS, ids=["assess", "export"])
@pytest.mark.parametrize("kind", ["file", "list", "link", "folder", "beside results"])
def test_a_file_of_somebody_else_stays(
    scan: Assessment, tmp_path: Path, action: Callable[[Assessment, Path], object], kind: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if kind == "beside results":
        write_outputs(scan, out)
    if kind == "link":
        (out / "a.txt").symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        (out / "a.txt").mkdir()
    else:
        (out / (MANIFEST if kind == "list" else "a.txt")).write_text("[1]")
    before = listing(out)
    with pytest.raises(OutputError, match="did not write"):
        action(scan, out)
    assert listing(out) == before


@pytest.mark.parametrize(
    "action", [*ACTIONS, lambda scan, out: write_outputs(scan, out), lambda _, out: check_writable(out)]
)
def test_a_file_that_was_changed_is_not_replaced(
    scan: Assessment, tmp_path: Path, action: Callable[[Assessment, Path], object]
) -> None:
    write_outputs(scan, tmp_path, writers=[Note("a.txt")])
    (tmp_path / "a.txt").write_text("signed by a doctor")
    before = listing(tmp_path)
    with pytest.raises(OutputError, match="changed since"):
        action(scan, tmp_path)
    assert listing(tmp_path) == before


def test_a_file_that_was_moved_away_is_written_again(scan: Assessment, tmp_path: Path) -> None:
    write_outputs(scan, tmp_path, writers=[Note("a.txt")])
    (tmp_path / "a.txt").unlink()
    write_exports(scan, tmp_path, [Note("a.txt")], HERE)
    assert (tmp_path / "a.txt").read_text() == "x"


def test_a_list_cannot_reach_out_of_its_folder(scan: Assessment, tmp_path: Path) -> None:
    (tmp_path / "victim.txt").write_text("")
    out = tmp_path / "out"
    write_outputs(scan, out, writers=[Note("a.txt")])
    told = json.loads((out / MANIFEST).read_text())
    told["files"] |= {
        "../victim.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "..": "",
        ".": "",
    }
    (out / MANIFEST).write_text(json.dumps(told))
    write_outputs(scan, out)
    assert {*listing(tmp_path)} == {"victim.txt", *(f"out/{name}" for name in OUTPUTS)}


def test_two_formats_of_one_name(scan: Assessment, tmp_path: Path) -> None:
    for names in (("a.txt", "a.txt"), ("report.html",), (MANIFEST,)):
        with pytest.raises(OutputError, match="two formats"):
            write_outputs(scan, tmp_path, writers=[Note(*names)])
