"""Print ``docs/reference/licences.md`` from installed metadata: ``python scripts/licences.py > PAGE``.

``--check`` prints nothing but what is wrong: a package under the GPL or AGPL, one under the LGPL that every
installation needs, one that states no licence, one that the page does not have.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import niivue
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
EXTRAS = ("pdf", "postgresql", "ray", "server", "telemetry", "totalsegmentator")
"""Extras that a user installs; those of developers (test, bench, docs, release, train) ship nothing."""
GNU_TEXT = re.compile(r"GNU (AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE\s+Version \d", re.IGNORECASE)
LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice", re.IGNORECASE)
HEAD = """# Licences

hepacalc is Apache-2.0. Its wheel holds only what is ours: code, templates, catalogs of words, the knowledge base
(facts, each with its citation) and the weights of the liver network, trained on scans that the
[model card](../concepts/model-card.md) names. Of others it holds one file: NiiVue VERSION (BSD-2-Clause), the server's
view in three dimensions, which the build takes from npm where npm is (`scripts/niivue.py`), with what its makers
bundled into it: array-equal, fflate, gl-matrix, nifti-reader-js, numcodecs, @lukeed/uuid, zarrita (MIT),
@ungap/structured-clone (ISC), Blosc, LZ4, Zstandard (BSD), a picture of Roboto's letters (Apache-2.0). Their texts lie
beside it, `server/static/niivue/niivue-licences.txt`. What pip installs beside the wheel, as
the packages' own metadata say, is below; made by `scripts/licences.py`, with `--check` in `scripts/check`: nothing
under the GPL or AGPL anywhere, under the LGPL only in an extra.

"GNU texts" are licences that a wheel carries beside its own, for libraries that it bundles, such as the runtime of a
compiler; read them before you pass such a wheel on. A bill of materials of an installation (CycloneDX) is made by
`scripts/release_check`.

"""


@dataclass
class Package:
    """An installed package: its licence, who needs it."""

    name: str
    licence: str
    gnu_texts: tuple[str, ...]
    needed_by: set[str] = field(default_factory=set)


def packages(extras: Iterable[str] = EXTRAS) -> tuple[dict[str, Package], dict[str, list[str]]]:
    """All that the core and each extra install, and for each extra what of it is not installed here."""
    found: dict[str, Package] = {}
    absent: dict[str, list[str]] = {}
    for part in ("core", *extras):
        own = map(Requirement, metadata.requires("hepacalc") or ())
        todo = [wanted for wanted in own if _applies(wanted, "" if part == "core" else part)]
        seen: set[tuple[str, frozenset[str]]] = set()
        while todo:
            wanted = todo.pop()
            key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
            if key in seen:
                continue
            seen.add(key)
            try:
                further = metadata.requires(wanted.name) or []
            except metadata.PackageNotFoundError:
                absent.setdefault(part, []).append(key[0])
                continue
            package = found.setdefault(key[0], _package(key[0]))
            package.needed_by.add(part)
            for extra in ("", *wanted.extras):
                todo += [one for one in map(Requirement, further) if _applies(one, extra)]
    return found, absent


def _applies(wanted: Requirement, extra: str) -> bool:
    """Whether a requirement belongs to ``extra`` (or to no extra), on this Python and system."""
    of_extra = wanted.marker is not None and "extra ==" in str(wanted.marker)
    return of_extra == bool(extra) and (wanted.marker is None or wanted.marker.evaluate({"extra": extra}))


def _package(name: str) -> Package:
    distribution = metadata.distribution(name)
    told = distribution.metadata
    classifiers = [c.split("::")[-1].strip() for c in told.get_all("Classifier") or () if c.startswith("License ::")]
    spoken = (told.get("License") or "").strip().split("\n")[0].strip()
    licence = told.get("License-Expression") or " and ".join(classifiers) or spoken
    texts = set()
    for file in distribution.files or ():
        if LICENCE_FILE.search(file.name) and file.suffix not in (".py", ".pyc", ".so"):
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                kinds = GNU_TEXT.findall(path.read_text("utf-8", "replace"))
                texts |= {{"": "GPL", "AFFERO ": "AGPL"}.get(kind.upper(), "LGPL") for kind in kinds}
    return Package(name, licence.replace("|", "/"), tuple(sorted(texts)))


def faults(found: dict[str, Package], page: str) -> list[str]:
    """What is wrong with the licences."""
    wrong = [] if f"NiiVue {niivue.VERSION} " in page else [f"NiiVue {niivue.VERSION} is not on {PAGE.name}"]
    for package in found.values():
        words = re.sub(r"LGPL|Lesser General Public|Library General Public", "lesser", package.licence)
        if not package.licence:
            wrong.append(f"{package.name} states no licence")
        elif re.search(r"GPL|General Public", words):
            wrong.append(f"{package.name} is under {package.licence}")
        elif "lesser" in words and "core" in package.needed_by:
            wrong.append(f"{package.name}, which every installation needs, is under {package.licence}")
        if f"| {package.name} |" not in page:
            wrong.append(f"{package.name} is not on {PAGE.name}: python scripts/licences.py > {PAGE.relative_to(ROOT)}")
    return wrong


def page(found: dict[str, Package], absent: dict[str, list[str]]) -> str:
    """The page as Markdown."""
    rows = ["| package | licence | needed by | GNU texts |\n|---|---|---|---|\n"]
    for package in sorted(found.values(), key=lambda one: ("core" not in one.needed_by, one.name)):
        by = "core" if "core" in package.needed_by else ", ".join(sorted(package.needed_by))
        rows.append(f"| {package.name} | {package.licence} | {by} | {', '.join(package.gnu_texts)} |\n")
    tail = [
        f"\nNot installed where this page was made, so not listed: {', '.join(sorted(set(names)))} (extra `{part}`) "
        "and what they need.\n"
        for part, names in sorted(absent.items())
    ]
    return HEAD.replace("VERSION", niivue.VERSION) + "".join([*rows, *tail])


def main() -> int:
    """Print the page, or with ``--check`` what is wrong."""
    found, absent = packages()
    if sys.argv[1:] == ["--check"]:
        wrong = faults(found, PAGE.read_text("utf-8"))
        print("\n".join(wrong) or f"{len(found)} packages, no fault")
        return int(bool(wrong))
    sys.stdout.write(page(found, absent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
