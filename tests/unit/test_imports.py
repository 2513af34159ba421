"""The house: imports run one way, files stay small, nothing prints, nothing swallows every error."""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

SOURCE = Path(__file__).resolve().parents[2] / "src" / "hepacalc"
MODULES = sorted(SOURCE.rglob("*.py"))
LINES = 400

# a room may import from those before it; rows as scripts/house_picture draws them
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "geometry", "records", "days", "threads", "folders", "locks"),
    ("knowledge", "foci"),
    ("reason", "followup"),
    ("reports", "patient", "liver", "study", "phantom"),
    ("interop", "report"),
    ("evaluate", "consult", "registry", "terminal"),
    ("assess", "compare"),
    ("cohort", "server"),
    ("cli",),
)
ROOMS = [room for rooms in LEVELS for room in rooms]
RANK = {room: rank for rank, room in enumerate(ROOMS)}
# checks of the input look at the liver, masks are read as scans are; formats speak the report's words and are named by
# it; each of the two walks calls the other for an earlier exam
MUTUAL = ({"study", "liver"}, {"interop", "report"}, {"assess", "compare"})
# rooms of the pure core know nothing of the outside world
CORE = ("foci", "reason", "followup")
OUTSIDE = {"os", "pathlib", "io", "time", "datetime", "logging", "subprocess", "socket", "random", "tempfile", "shutil"}
TOP = ("__init__.py", "__main__.py")


def shown(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room_of(path: Path) -> str:
    return room_named(path.relative_to(SOURCE).parts[0].removesuffix(".py"))


def room_named(name: str) -> str:
    """Room of a package or module; ``cli_*`` are parts of the command line."""
    return "cli" if name.startswith("cli_") else name


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import of a file, wherever it stands."""
    package = ("hepacalc", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            home = ".".join(part for part in (base, node.module) if part)
            if home == "hepacalc":
                yield from ((node.lineno, f"hepacalc.{name.name}") for name in node.names)
            else:
                yield node.lineno, home
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def arrows(path: Path) -> list[str]:
    """Imports of a file that run the wrong way."""
    room, wrong = room_of(path), []
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] != "hepacalc" or parts[1:2] in ([room], ["__version__"]):
            continue
        if len(parts) == 1:
            # the package itself leads everywhere
            if room not in LEVELS[-1]:
                wrong.append(f"{shown(path)}:{line} imports all of hepacalc")
        elif room_named(parts[1]) not in RANK:
            wrong.append(f"{shown(path)}:{line} imports hepacalc.{parts[1]}, which is in no room")
        elif RANK[room_named(parts[1])] > RANK[room] and {room, parts[1]} not in MUTUAL:
            wrong.append(f"{shown(path)}:{line} {room} imports {parts[1]}, which lies above it")
    return wrong


def test_every_module_is_in_a_room():
    rooms = {room_of(path) for path in MODULES if path.name not in TOP or path.parent != SOURCE}
    assert len(ROOMS) == len(RANK)
    assert rooms == set(ROOMS), f"put {rooms - set(ROOMS)} into LEVELS, take {set(ROOMS) - rooms} out"


def test_every_room_stands_in_contributing_in_this_order():
    page = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.partition("| room |")[2].partition("\n\n")[0].splitlines()[2:]]
    told = [name.strip("/").removesuffix(".py") for row in rows for name in re.findall(r"`([a-z_./]+)`", row)]
    assert told == ROOMS


def test_the_picture_shows_the_imports_as_they_are():
    picture = SOURCE.parents[1] / "docs" / "img" / "house.png"
    drawn = runpy.run_path(str(SOURCE.parents[1] / "scripts" / "house_picture"))["drawn"]()
    with Image.open(picture) as opened:
        assert opened.info["Description"] == drawn, "run: python scripts/house_picture"


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != SOURCE or p.name not in TOP], ids=shown)
def test_imports_run_one_way(path: Path):
    assert not arrows(path)


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) in CORE], ids=shown)
def test_the_core_is_pure(path: Path):
    reached = {name.split(".")[0] for _, name in imported(path)} & OUTSIDE
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not reached, "paths, clocks and logs do not belong here"
    assert "open" not in called


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_file_is_small(path: Path):
    # records.py is the one list of nouns, errors.py the one tree of errors
    limit = 600 if shown(path) in ("records.py", "errors.py") else LINES
    assert len(path.read_text("utf-8").splitlines()) <= limit, "past 400 lines a file has two jobs"


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_nothing_prints_or_swallows(path: Path):
    faults = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "breakpoint"):
            faults.append(f"{node.lineno}: {node.func.id}()")
        elif isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {"a bare except" if c is None else getattr(c, "id", "") for c in caught}
            if blanket := names & {"a bare except", "Exception", "BaseException"}:
                faults.append(f"{node.lineno}: {', '.join(sorted(blanket))}")
        elif isinstance(node, ast.Raise):
            what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if getattr(what, "id", "") == "NotImplementedError":
                faults.append(f"{node.lineno}: NotImplementedError")
    assert not faults


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_nothing_is_left_undone(path: Path):
    marks = [line for line in path.read_text("utf-8").splitlines() if "TODO" in line or "FIXME" in line]
    assert not marks


def test_a_wrong_arrow_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    bad = tmp_path / "foci" / "bad.py"
    bad.parent.mkdir()
    bad.write_text(
        "from hepacalc import open_study, study\nfrom hepacalc.liver.phase import x\nfrom ..records import y\n"
        "def f():\n    import hepacalc.server\nimport hepacalc\n"
    )
    found = arrows(bad)
    assert len(found) == 5
    assert "hepacalc.open_study, which is in no room" in found[0]
    assert all(word in line for word, line in zip(("", "study", "liver", "all", "server"), found, strict=True))
