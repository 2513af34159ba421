"""One look: colours and type stand in one file, text can be read, colours can be told apart without red or green."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "src" / "hepacalc" / "report" / "templates"
STYLE = runpy.run_path(str(ROOT / "scripts" / "style_page.py"))
TOKENS = STYLE["tokens"]()
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?)\(")
PAIRS = [(a, b) for names, _ in STYLE["APART"] for k, a in enumerate(names) for b in names[k + 1 :]]


def test_style_page_is_in_step():
    page = ROOT / "docs" / "reference" / "style.md"
    assert page.read_text("utf-8") == STYLE["page"](), "run: python scripts/style_page.py > docs/reference/style.md"


def test_every_colour_has_a_use():
    assert set(STYLE["USES"]) == {name for name, value in TOKENS.items() if value.startswith("#")}


OTHERS = sorted({*TEMPLATES.glob("*.css"), *TEMPLATES.glob("*.j2")} - {STYLE["TOKENS"]})


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_no_template_has_a_colour_of_its_own(path: Path):
    for line in path.read_text("utf-8").splitlines():
        # margin boxes of a printed page cannot use custom properties; they repeat a token's value
        allowed = set(TOKENS.values()) if line.lstrip().startswith("@page") else set()
        assert set(COLOUR.findall(line)) <= allowed, line[:120]


def test_every_page_begins_with_the_tokens():
    source = ROOT / "src" / "hepacalc"
    first = {
        path.name: re.findall(r"\bstyle\(\s*\"([^\"]+)\"", path.read_text("utf-8")) for path in source.rglob("*.py")
    }
    assert first["report.py"], "the cohort page has a style"
    base = (source / "server" / "templates" / "base.html.j2").read_text("utf-8")
    assert re.findall(r'static\("(\w+\.css)"\)', base)[0] == "tokens.css"
    assert {name: sheets for name, sheets in first.items() if set(sheets) - {"tokens.css", "pdf.css"}} == {}


def test_used_tokens_exist():
    used = {
        name for path in TEMPLATES.glob("*.css") for name in re.findall(r"var\(--([a-z-]+)\)", path.read_text("utf-8"))
    }
    assert used <= set(TOKENS)


@pytest.mark.parametrize("pair", STYLE["TEXTS"], ids="-on-".join)
def test_text_can_be_read(pair: tuple[str, str]):
    assert STYLE["contrast"](*(TOKENS[name] for name in pair)) >= STYLE["CONTRAST"]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_colours_can_be_told_apart(pair: tuple[str, str]):
    assert min(STYLE["distances"](*(TOKENS[name] for name in pair)).values()) >= STYLE["DISTANCE"]


def test_contrast_and_distance_are_those_of_the_standards():
    assert STYLE["contrast"]("#000", "#fff") == pytest.approx(21.0, abs=0.01)
    assert STYLE["contrast"]("#777777", "#fff") == pytest.approx(4.48, abs=0.01)
    # white against black is 100 of lightness; grey looks the same to everyone
    assert STYLE["distances"]("#000", "#fff")["usual"] == pytest.approx(100, abs=0.1)
    far = STYLE["distances"]("#000", "#808080")
    assert max(far.values()) - min(far.values()) < 0.5
    # a pure red and a green of like lightness run together for deuteranopes
    red_green = STYLE["distances"]("#c00000", "#4f6f00")
    assert red_green["deuteranopia"] < red_green["usual"] / 2
