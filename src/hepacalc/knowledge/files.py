"""The files of a knowledge base: where they are, what they hold, each against its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files as package_resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from hepacalc.errors import KnowledgeError
from hepacalc.knowledge.schema import CauseIn, CorrectionsIn, FindingsIn, SettingsIn, SourcesIn, ThresholdsIn
from hepacalc.knowledge.schema_base import Problem, parse
from hepacalc.knowledge.schema_rules import FactsIn, RulesIn, TestsIn
from hepacalc.knowledge.yaml_in import read_yaml

__all__ = ["REFERENCE_CASES", "RawKnowledge", "digest", "folder_files", "package_files", "parse_files"]

PARTS = ("findings.yaml", "settings.yaml", "sources.yaml", "thresholds.yaml", "corrections.yaml", "rules.yaml",
         "tests.yaml", "facts.yaml")  # fmt: skip
REFERENCE_CASES = "reference_cases.yaml"
MAX_BYTES = 4_000_000
"""No file of a knowledge base is larger."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class RawKnowledge:
    """Every file after its schema; ``causes`` by file name."""

    findings: FindingsIn
    causes: Mapping[str, CauseIn]
    settings: SettingsIn
    sources: SourcesIn
    thresholds: ThresholdsIn
    corrections: CorrectionsIn
    rules: RulesIn
    tests: TestsIn
    facts: FactsIn


def package_files() -> dict[str, str]:
    """Return name and text of every YAML file that comes with hepacalc, e.g. ``causes/ce.yaml``."""
    home = package_resources("hepacalc.knowledge")
    found = {item.name: item for item in home.iterdir() if item.name.endswith(".yaml")}
    found |= {f"causes/{item.name}": item for item in (home / "causes").iterdir() if item.name.endswith(".yaml")}
    return {name: found[name].read_text("utf-8") for name in sorted(found)}


def folder_files(folder: Path) -> dict[str, str]:
    """Return name and text of every YAML file of an edited knowledge base; it may hold only some of them.

    Raises:
        KnowledgeError: there is none, or one cannot be read.
    """
    paths = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("causes/*.yaml"))]
    known = {*PARTS, REFERENCE_CASES}
    for path in paths:
        if path.parent == folder and path.name not in known:
            raise KnowledgeError(
                f"{path.name} is no file of a knowledge base.",
                hint=f"A folder holds causes/ID.yaml and any of {', '.join(sorted(known))}.",
            )
    if not paths:
        raise KnowledgeError(f"no YAML file in {folder.name}.", hint="Lay the edited files there, as in the package.")
    return {path.relative_to(folder).as_posix(): read_text(path) for path in paths}


def read_text(path: Path) -> str:
    """Return the text of a file of the user's.

    Raises:
        KnowledgeError: it is missing, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise KnowledgeError(f"{path.name} is larger than {MAX_BYTES // 10**6} MB.", hint="Give the YAML file.")
        return path.read_text("utf-8")
    except OSError as fault:
        raise KnowledgeError(f"{path.name} cannot be read: {fault.strerror}.", hint="Check the path.") from fault
    except UnicodeDecodeError as fault:
        raise KnowledgeError(f"{path.name} is not UTF-8 text.", hint="Save it as UTF-8.") from fault


def digest(texts: Mapping[str, str]) -> str:
    """Return twelve hexadecimal digits that change with any file's name or text."""
    state = sha256()
    for name in sorted(texts):
        state.update(f"{name}\0{texts[name]}\0".encode())
    return state.hexdigest()[:12]


def parse_files(texts: Mapping[str, str]) -> tuple[RawKnowledge | None, list[Problem]]:
    """Return the files after their schemas, or every problem with file and field."""
    problems: list[Problem] = []

    def part(model: type[_Model], name: str, fallback: object = None) -> _Model | None:
        if name not in texts and fallback is None:
            problems.append(Problem(name, "", "this file is missing"))
            return None
        try:
            data = read_yaml(texts[name], name) if name in texts else fallback
        except KnowledgeError as fault:
            where, _, what = fault.message.rstrip(".").partition(": ")
            problems.append(Problem(where, "", what))
            return None
        found, faults = parse(model, data, name)
        problems.extend(faults)
        return found

    causes = {name: part(CauseIn, name) for name in texts if name.startswith("causes/")}
    findings, settings, sources = (
        part(FindingsIn, PARTS[0]),
        part(SettingsIn, PARTS[1]),
        part(SourcesIn, PARTS[2]),
    )
    thresholds, corrections = part(ThresholdsIn, PARTS[3]), part(CorrectionsIn, PARTS[4])
    rules, tests = part(RulesIn, PARTS[5], {}), part(TestsIn, PARTS[6], {})
    facts = part(FactsIn, PARTS[7], {})
    if (
        problems
        or not (findings and settings and sources and facts)
        or not (thresholds and corrections and rules and tests)
    ):
        return None, problems
    whole = {name: cause for name, cause in causes.items() if cause is not None}
    return RawKnowledge(findings, whole, settings, sources, thresholds, corrections, rules, tests, facts), []
