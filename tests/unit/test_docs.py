"""The pages say what the program does: links lead somewhere, tables match the code."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from hepacalc import errors, report
from hepacalc.errors import STATUS, HepacalcError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = [link.split("#")[0] for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing


def test_every_page_is_in_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link.split("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page != index and page.parent not in linked}
    assert not {shown(page) for page in pages - linked}, "link it in docs/index.md"


def test_cli_page_is_in_step():
    page = ROOT / "docs" / "reference" / "cli.md"
    made = runpy.run_path(str(ROOT / "scripts" / "cli_page.py"))["page"]()
    assert page.read_text("utf-8") == made, "run: python scripts/cli_page.py > docs/reference/cli.md"


def test_rest_page_is_in_step():
    pytest.importorskip("fastapi", reason="needs hepacalc[server]", exc_type=ImportError)
    page = ROOT / "docs" / "reference" / "rest.md"
    made = runpy.run_path(str(ROOT / "scripts" / "rest_page.py"))["page"]()
    assert page.read_text("utf-8") == made, "run: python scripts/rest_page.py > docs/reference/rest.md"


def test_tables_of_fields_and_columns_are_in_step():
    made = runpy.run_path(str(ROOT / "scripts" / "reference_tables.py"))["made"]()
    old = [name for name, text in made.items() if (ROOT / "docs" / "reference" / name).read_text("utf-8") != text]
    assert not old, "run: python scripts/reference_tables.py"


def test_error_table_is_in_step():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    rows = {cells[0]: cells[1:] for cells in _cells(page) if re.fullmatch(r"[A-Z]+-\d\d", cells[0])}
    classes = [getattr(errors, name) for name in errors.__all__ if name not in ("STATUS", "Status", "HepacalcError")]
    leaves = {c.code: c for c in classes if issubclass(c, HepacalcError) and not c.code.endswith("-00")}
    assert {code for code in rows if not code.startswith("GEN")} == set(leaves)
    for code, error in leaves.items():
        status = STATUS.get(code) or STATUS[code.split("-")[0]]
        told = [f"`{error.__name__}`", error.__doc__.splitlines()[0].rstrip("."), str(status.exit_status)]
        assert rows[code] == [*told, str(status.http), status.fhir]


def test_exit_status_page_is_in_step():
    page = (ROOT / "docs" / "howto" / "exit-status.md").read_text("utf-8")
    told = {int(n) for cells in _cells(page) for n in re.findall(r"\d+", cells[0])}
    assert told >= {status.exit_status for status in STATUS.values()} | {0, 70, 130, 141, 143}


def test_readme_names_all_outputs():
    page = (ROOT / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in report.OUTPUTS)


def _lines(*places: str) -> list[tuple[str, str]]:
    paths = [path for place in places for path in ([ROOT / place] if (ROOT / place).is_file() else _files(place))]
    return [(f"{shown(p)}:{n}", line) for p in paths for n, line in enumerate(p.read_text("utf-8").splitlines(), 1)]


def _files(folder: str) -> list[Path]:
    kinds = {".py", ".md", ".yaml", ".yml", ".css", ".j2", ""}
    found = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in kinds]
    return sorted(path for path in found if "__pycache__" not in path.parts and "egg-info" not in str(path))


def test_no_download_addresses_where_things_are_installed():
    lines = _lines("Makefile", "pyproject.toml", "constraints.txt", ".ci", "scripts")
    assert not [where for where, line in lines if re.search(r"https?://|index-url|find-links", line)]


def test_no_machine_paths():
    lines = _lines("README.md", "Makefile", "pyproject.toml", ".ci", "scripts", "src", "docs", "benchmarks")
    assert not [where for where, line in lines if re.search(r"(?:^|[\s\"'(=`])/(?:work|root|home|Users)/", line)]


def test_constraints_cover_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = (
        project["dependencies"] + extras["test"] + extras["bench"] + extras["dev"] + extras["docs"] + extras["release"]
    )
    names = {_plain(re.split(r"[<>=\[ ]", want)[0]) for want in wanted} - {"hepacalc"}
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert names <= {_plain(name) for name in pins}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cells(page: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("| ").split("|")] for line in page.splitlines() if line.startswith("|")]


def test_registry_page_is_in_step():
    from hepacalc.followup.schedule import RESULTS, Windows
    from hepacalc.registry.events import KINDS

    page = (ROOT / "docs" / "reference" / "registry.md").read_text("utf-8")
    assert all(f"| `{kind}` |" in page for kind in KINDS)
    guide = (ROOT / "docs" / "howto" / "registry.md").read_text("utf-8")
    assert all(f"| `{result}` |" in guide for result in RESULTS)
    assert f"`--lost` days ({Windows().lost_days})" in guide
    assert f"`--soon` days ({Windows().soon_days})" in guide
