"""Reference cases: textbook scenarios on which an edit of the knowledge base is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepacalc.knowledge.files import REFERENCE_CASES, folder_files, package_files
from hepacalc.knowledge.model import Block, Knowledge
from hepacalc.knowledge.schema_base import Problem, parse, raise_problems
from hepacalc.knowledge.schema_rules import ReferenceCasesIn
from hepacalc.knowledge.yaml_in import read_yaml

__all__ = ["ReferenceCase", "case_problems", "load_reference_cases", "read_cases"]

Weights = Mapping[str, float]


@dataclass(frozen=True)
class ReferenceCase:
    """One scenario.

    ``findings``: by block the weights of its states, or for a block with axes ``{axis: weights}``. ``setting`` is None
    where the default setting of the network applies.
    """

    id: str
    network: str
    setting: str | None
    cause: str
    findings: Mapping[str, Weights | Mapping[str, Weights]]
    note: str


def load_reference_cases(folder: Path | None = None) -> tuple[ReferenceCase, ...]:
    """Return the reference cases that come with hepacalc, or those of a folder of edited files where it has some.

    Raises:
        KnowledgeError: the file is damaged.
    """
    texts = package_files() | ({} if folder is None else folder_files(folder))
    return read_cases(texts[REFERENCE_CASES], REFERENCE_CASES) if REFERENCE_CASES in texts else ()


def read_cases(text: str, file: str) -> tuple[ReferenceCase, ...]:
    """Return the reference cases of one YAML document.

    Raises:
        KnowledgeError: it does not fit the schema.
    """
    found, problems = parse(ReferenceCasesIn, read_yaml(text, file), file)
    raise_problems(problems)
    return tuple(
        ReferenceCase(
            item.id,
            item.network,
            item.setting,
            item.cause,
            {k: _weights(v) for k, v in item.findings.items()},
            item.note,
        )
        for item in (found.cases if found else ())
    )


def _weights(seen: Any) -> Any:
    """A state, states, weights, or any of these by axis -> weights, by axis where there are axes."""
    if isinstance(seen, str):
        return {seen: 1.0}
    if isinstance(seen, list):
        return dict.fromkeys(seen, 1.0)
    if all(isinstance(value, int | float) for value in seen.values()):
        return {state: float(weight) for state, weight in seen.items()}
    return {axis: _weights(value) for axis, value in seen.items()}


def case_problems(cases: tuple[ReferenceCase, ...], knowledge: Knowledge, file: str) -> Iterator[Problem]:
    """Return what of the cases points nowhere, ids that stand twice, and causes without a case."""
    ids = [case.id for case in cases]
    for one in sorted({one for one in ids if ids.count(one) > 1}):
        yield Problem(file, one, "the id stands twice")
    for case in cases:
        if case.cause not in knowledge.causes or knowledge.causes[case.cause].network != case.network:
            yield Problem(file, f"{case.id}.cause", f"no such cause in the network {case.network}: {case.cause}")
        if case.setting is not None and case.setting not in knowledge.networks[case.network].prior:
            yield Problem(file, f"{case.id}.setting", f"no such setting of the network {case.network}: {case.setting}")
        for block_id, seen in case.findings.items():
            block = knowledge.blocks.get(block_id)
            if block is None or block.network != case.network:
                yield Problem(file, f"{case.id}.findings", f"no such block in the network {case.network}: {block_id}")
            else:
                for state in _unknown(block, seen):
                    yield Problem(file, f"{case.id}.findings.{block_id}", f"no such state: {state}")
    for cause in knowledge.causes:
        if cases and cause not in {case.cause for case in cases}:
            yield Problem(file, "cases", f"no case for the cause {cause}")


def _unknown(block: Block, seen: Mapping[str, Any]) -> Iterator[str]:
    if block.axes and set(seen) <= set(block.axes):
        for axis, weights in seen.items():
            yield from (state for state in weights if state not in block.axes[axis])
    else:
        yield from (state for state in seen if state not in block.states)
