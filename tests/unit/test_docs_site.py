"""The checks of the docs site, of the licences and of the release find what they are meant to find."""

import io
import json
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from hepacalc.knowledge import load_knowledge

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


def site(folder: Path, body: str) -> Path:
    (folder / "index.html").write_text(f'<html><body><a id="top"></a>{body}</body></html>', "utf-8")
    (folder / "other.html").write_text('<p id="here">x</p>', "utf-8")
    return folder


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#here">a</a><a href="#top">b</a><a href="https://example.org/x">c</a>', None),
        ('<a href="missing.html">a</a>', "no such file"),
        ('<a href="other.html#there">a</a>', "no such anchor"),
        ('<a href="#nowhere">a</a>', "no such anchor"),
        ('<a href="https://">a</a>', "no host"),
        ('<a href="javascript:alert(1)">a</a>', "an unusual kind of address"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
        ('<img src="//example.org/x.png">', "loads //example.org/x.png"),
        ('<p style="background: url(https://example.org/x.png)">a</p>', "loads https://example.org/x.png"),
    ],
)
def test_a_built_page_is_judged(tmp_path: Path, body: str, fault: str | None):
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    import docs_site

    found = docs_site.faults(site(tmp_path, body))
    assert (not found) if fault is None else any(fault in line for line in found)


def test_a_style_that_loads_from_outside_is_found(tmp_path: Path):
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    import docs_site

    (site(tmp_path, "") / "look.css").write_text('@import "https://example.org/font.css"; a { b: url(x.png) }', "utf-8")
    assert docs_site.faults(tmp_path) == ["look.css loads https://example.org/font.css"]


def test_every_cause_and_source_has_its_place(tmp_path: Path):
    import knowledge_pages

    knowledge = load_knowledge()
    assert knowledge_pages.write_pages(knowledge, tmp_path / "pages") == len(knowledge.causes) + 2
    index, sources = ((tmp_path / "pages" / name).read_text("utf-8") for name in ("index.md", "sources.md"))
    for cause in knowledge.causes.values():
        page = (tmp_path / "pages" / "causes" / f"{cause.id}.md").read_text("utf-8")
        assert f"causes/{cause.id}.md" in index
        assert all(text in page for text in (cause.name["en"], cause.name["zh"], cause.summary["en"], cause.icd10))
        for said in (*cause.traps, *cause.management):
            assert said.text["en"] in page
        for block in cause.findings:
            assert f"### {knowledge.blocks[block].name['en']}" in page
    assert all(f"{{#source-{key}}}" in sources for key in knowledge.sources)
    # a rule that names the cause through a term
    aneurysm = (tmp_path / "pages" / "causes" / "hepatic_artery_aneurysm.md").read_text("utf-8")
    assert "| this cause |" in aneurysm


def test_licences_are_judged():
    pytest.importorskip("packaging", reason="comes with the core's own packages")
    import licences

    def one(name: str, licence: str, *needed: str) -> licences.Package:
        return licences.Package(name, licence, (), set(needed))

    def told(package: licences.Package) -> list[str]:
        return licences.faults({package.name: package}, f"NiiVue {licences.niivue.VERSION} | {package.name} |")

    assert not told(one("a", "MIT", "core"))
    assert not told(one("a", "GNU Lesser General Public License v3", "pdf"))
    assert told(one("a", "LGPL-3.0", "core", "pdf"))
    assert told(one("a", "GPL-3.0-only", "pdf"))
    assert told(one("a", "GNU Affero General Public License v3", "ray"))
    assert told(one("a", "", "core"))
    assert licences.faults({"a": one("a", "MIT", "core")}, f"NiiVue {licences.niivue.VERSION} ")
    assert licences.faults({}, "NiiVue 0.1.0 ")


def test_the_wheel_is_judged(tmp_path: Path):
    import release_check

    def wheel(*names: str) -> Path:
        path = tmp_path / "hepacalc-0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "")
        return path

    there = {path.relative_to(ROOT / "src").as_posix() for path in release_check._files(ROOT / "src" / "hepacalc")}
    whole = sorted(there - release_check.NIIVUE_FILES)
    licence = "hepacalc-0.dist-info/licenses/LICENSE"
    assert f"{len(whole)} files, without NiiVue" in release_check.check_wheel(wheel(*whole, licence))
    bundle, (texts,) = release_check.NIIVUE, release_check.NIIVUE_FILES - {release_check.NIIVUE}
    for wrong in (
        [*whole[1:], licence], [*whole, "tests/test_x.py", licence], whole,
        [*whole, texts, licence], [*whole, bundle, texts, licence],
    ):  # fmt: skip
        with pytest.raises(release_check.Fault):
            release_check.check_wheel(wheel(*wrong))


def test_the_sdist_is_judged(tmp_path: Path):
    import release_check

    def sdist(*names: str) -> Path:
        path = tmp_path / "hepacalc-0.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(f"hepacalc-0/{name}"), io.BytesIO())
        return path

    whole = ("pyproject.toml", "LICENSE", "README.md", "CITATION.cff", "src/hepacalc/assess.py")
    assert "5 files" in release_check.check_sdist(sdist(*whole))
    for wrong in (whole[1:], (*whole, "tests/unit/test_x.py")):
        with pytest.raises(release_check.Fault):
            release_check.check_sdist(sdist(*wrong))


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_every_public_name_is_on_the_api_page():
    import hepacalc

    page = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
    assert [name for name in hepacalc.__all__ if f":: hepacalc.{name}\n" not in page] == ["HepacalcError"]
    assert ":: hepacalc.errors\n" in page


def test_what_axe_says_is_told():
    import axe

    node = {"rule": "label", "impact": "serious", "help": "", "nodes": ["input: no label", "select: no label"]}
    told = {"path": "/x/docs/a.html", "scheme": "dark", "violations": [node], "outside": ["https://example.org/a"]}
    found = axe.faults(json.dumps(told))
    assert len(found) == 3
    assert all(line.startswith("docs/a.html (dark)") for line in found)
    assert not axe.faults(json.dumps(told | {"violations": [], "outside": []}))
