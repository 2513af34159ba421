"""Build the docs as a site and check it: ``scripts/docs [FOLDER]``, by default ``docs-out``.

``FOLDER/source`` is a copy of docs/ with the pages that are made from the package (knowledge base) and from the
repository (contributing, security, changes); ``FOLDER/html`` is the site. Sphinx stops at the first warning, which a
broken link between pages is. Afterwards every built page is read again: what it loads and links to inside the site
must exist, anchors included; it loads nothing from outside; addresses that it links to outside are well formed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import knowledge_pages
from sphinx.cmd.build import main as sphinx_build

from hepacalc.knowledge import load_knowledge

ROOT = Path(__file__).resolve().parents[1]
TOKENS = ROOT / "src" / "hepacalc" / "report" / "templates" / "tokens.css"
PROJECT = {
    "README.md": "about.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
    "LICENSE": "LICENSE",
    "CITATION.cff": "CITATION.cff",
}
"""Files of the repository that are in the site too, in ``project/``."""
SIDEBAR = {
    "Learn": ["tutorial/*"],
    "Do": ["howto/*"],
    "Understand": ["concepts/*"],
    "Look up": ["reference/*"],
    "Measurements": ["reference/measurements/*"],
    "Knowledge": ["knowledge/index"],
    "Project": ["project/*"],
}
"""Which pages stand under which heading of the sidebar; a new page of these folders needs no entry."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
FOR_EVERYONE = (
    ('role="heading"', 'role="heading" aria-level="2"'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Pages">'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
    ("<pre>", '<pre tabindex="0">'),
    ('<th class="head"><p></p></th>', "<td></td>"),
    ('<div id="search-results">', '<h1>Search</h1><div id="search-results">'),
)
"""What Sphinx and the theme leave without a name, a level or a way for the keyboard; ``scripts/axe`` looks for it."""
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("object", "data")}
IN_CSS = re.compile(r"@import\s+[\"']?([^\"';)]+)|url\(\s*[\"']?([^\"')]+)")


def stage(source: Path) -> None:
    """Write what Sphinx reads."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs", source)
    for page in source.rglob("*.md"):
        original = ROOT / "docs" / page.relative_to(source)
        page.write_text(relinked(page.read_text("utf-8"), original.parent, page.parent, source), "utf-8")
    with (source / "index.md").open("a", encoding="utf-8") as index:
        for caption, pages in SIDEBAR.items():
            listed = "\n".join(pages)
            index.write(f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n")
    (source / "project").mkdir(exist_ok=True)
    for name, target in PROJECT.items():
        text = (ROOT / name).read_text("utf-8")
        (source / "project" / target).write_text(relinked(text, ROOT, source / "project", source), "utf-8")
    shutil.copy(TOKENS, source / "_static" / "tokens.css")
    knowledge_pages.write_pages(load_knowledge(), source / "knowledge")


def relinked(text: str, home: Path, new_home: Path, source: Path) -> str:
    """``text`` of a page of folder ``home``, its links turned to where their targets stand in the copy."""

    def turned(match: re.Match[str]) -> str:
        target = (home / match[1]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            inside = source / target.relative_to(ROOT / "docs")
        elif target.parent == ROOT and target.name in PROJECT:
            inside = source / "project" / PROJECT[target.name]
        elif target.is_relative_to(ROOT / "src") and target.is_file():
            inside = source / "project" / target.name
            inside.parent.mkdir(exist_ok=True)
            shutil.copy(target, inside)
        else:
            return match[1]
        return Path(os.path.relpath(inside, new_home)).as_posix()

    return LINK.sub(turned, text)


class Page(HTMLParser):
    """What a page loads, where it links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) in LOADS:
                self.loads.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)
            elif name == "style":
                self.loads += [found for pair in IN_CSS.findall(value) for found in pair if found]


def faults(site: Path) -> list[str]:
    """What is wrong with a built site."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        shown = path.relative_to(site)
        found += [f"{shown} loads {address}" for address in page.loads if _outside(address)]
        for address in [*page.loads, *page.links]:
            fault = _fault(address, path, pages)
            if fault:
                found.append(f"{shown}: {address}: {fault}")
    for style in sorted(site.rglob("*.css")):
        loads = [found for pair in IN_CSS.findall(style.read_text("utf-8")) for found in pair if found]
        found += [f"{style.relative_to(site)} loads {address}" for address in loads if _outside(address)]
    return found


def _outside(address: str) -> bool:
    return urlsplit(address).scheme not in ("", "data") or address.startswith("//")


def _fault(address: str, path: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return "" if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?", parts.netloc, re.IGNORECASE) else "no host"
    if parts.scheme:
        return "" if parts.scheme in ("data", "mailto") else "an unusual kind of address"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "no such anchor"
    return ""


def main() -> int:
    """Build and check; the exit status is 1 when something is wrong."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs-out").resolve()
    stage(out / "source")
    shutil.rmtree(out / "html", ignore_errors=True)
    options = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(out / "doctrees")]
    if sphinx_build([*options, str(out / "source"), str(out / "html")]):
        return 1
    for page in (out / "html").rglob("*.html"):
        text = page.read_text("utf-8")
        for bare, better in FOR_EVERYONE:
            text = text.replace(bare, better)
        page.write_text(text, "utf-8")
    wrong = faults(out / "html")
    for line in wrong:
        print(line)
    pages = len(list((out / "html").rglob("*.html")))
    print(f"{pages} pages, {len(wrong)} faults: {out / 'html' / 'index.html'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
