"""Load the knowledge base: the one door through which the rest of hepacalc comes to it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hepacalc.knowledge.build import build_knowledge
from hepacalc.knowledge.files import digest, folder_files, package_files, parse_files
from hepacalc.knowledge.model import Knowledge
from hepacalc.knowledge.overlay import lay_over, read_overlay
from hepacalc.knowledge.references import reference_problems
from hepacalc.knowledge.schema_base import raise_problems

__all__ = ["DATA_VERSION", "load_knowledge"]

DATA_VERSION = "0.1"
"""Version of the data: goes up with every change of a number or a rule."""


def load_knowledge(overlay: Path | None = None) -> Knowledge:
    """Return the knowledge base, as it comes with hepacalc or with changes laid over it.

    The result is cached and must not be changed; its arrays are read-only.

    Args:
        overlay: a site's own YAML file (priors, thresholds, guidelines), or a folder with edited files of the
            knowledge base, which replace ours of the same name.

    Raises:
        KnowledgeError: a file is damaged, a field is wrong, or a pointer leads nowhere.
        InvalidOverlay: the same of the site's file.
    """
    if overlay is None:
        return _ours()
    path = Path(overlay)
    if path.is_dir():
        return _from(package_files() | folder_files(path))
    return _laid(path.name, read_overlay(path))


@lru_cache(maxsize=1)
def _ours() -> Knowledge:
    return _from(package_files())


@lru_cache(maxsize=4)
def _laid(name: str, text: str) -> Knowledge:
    ours = _ours()
    laid = lay_over(ours, text, name)
    return replace(laid, version=f"{ours.version}+{digest({'overlay': text})}")


def _from(texts: dict[str, str]) -> Knowledge:
    raw, problems = parse_files(texts)
    if raw is not None:
        problems = reference_problems(raw)
    raise_problems(problems)
    assert raw is not None  # no problem, so there is something
    return build_knowledge(raw, f"{DATA_VERSION}+{digest(texts)}")
