"""What one file says of another: states, blocks, causes and sources that are pointed to must exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hepacalc.knowledge.fact_references import fact_problems
from hepacalc.knowledge.files import RawKnowledge
from hepacalc.knowledge.ids import CAUSE_IDS
from hepacalc.knowledge.schema import AxesBlockIn, BlockIn, CauseIn, FindingIn
from hepacalc.knowledge.schema_base import Problem
from hepacalc.knowledge.schema_rules import ConditionIn

__all__ = ["reference_problems"]

HARMS = {"benign", "watch", "dangerous", "malignant"}


def reference_problems(raw: RawKnowledge) -> list[Problem]:
    """Return every pointer that leads nowhere, over all files."""
    vocabulary = {network: getattr(raw.findings, network) for network in ("adult", "fetal")}
    return [
        *_vocabulary(raw),
        *(problem for name, cause in raw.causes.items() for problem in _cause(name, cause, vocabulary[cause.network])),
        *_settings(raw, vocabulary),
        *_sources(raw),
        *_conditions(raw),
        *_doubles(raw),
    ]


def _vocabulary(raw: RawKnowledge) -> Iterator[Problem]:
    for block in sorted(set(raw.findings.adult) & set(raw.findings.fetal)):
        yield Problem("findings.yaml", block, "stands in both networks")
    there = {cause.id for cause in raw.causes.values()}
    for cause in CAUSE_IDS:
        if cause not in there:
            yield Problem(f"causes/{cause}.yaml", "", "this cause is missing")


def _cause(name: str, cause: CauseIn, blocks: dict[str, BlockIn | AxesBlockIn]) -> Iterator[Problem]:
    if name != f"causes/{cause.id}.yaml":
        yield Problem(name, "id", f"{cause.id} belongs into causes/{cause.id}.yaml")
    if cause.id.startswith("fetal_") != (cause.network == "fetal"):
        yield Problem(name, "network", f"{cause.id} does not belong to the network {cause.network}")
    for block_id, finding in cause.findings.items():
        place = f"findings.{block_id}"
        if (block := blocks.get(block_id)) is None:
            yield Problem(name, place, f"no such block in the network {cause.network}")
        else:
            yield from _finding(name, place, finding, block)


def _finding(name: str, place: str, finding: FindingIn, block: BlockIn | AxesBlockIn) -> Iterator[Problem]:
    def unknown(field: str, given: object, known: object) -> Iterator[Problem]:
        for state in given:  # type: ignore[attr-defined]
            if state not in known:  # type: ignore[operator]
                yield Problem(name, f"{place}.{field}", f"no such state: {state}")

    if isinstance(block, BlockIn):
        if finding.pictures is not None:
            yield Problem(name, place, "only a block with axes has pictures")
        yield from unknown("p", finding.p or {}, block.states)
        for number, count in enumerate(finding.counts):
            if count.host or count.morphology:
                yield Problem(name, f"{place}.counts.{number}", "host and morphology belong to the lesion")
            yield from unknown(f"counts.{number}.states", count.states, block.states)
            if set(count.states) >= set(block.states) and count.n < count.N:
                yield Problem(name, f"{place}.counts.{number}", "names every state, yet n is below N")
        return
    if finding.p is not None:
        yield Problem(name, place, "a block with axes takes pictures, not p")
    (first, firsts), (second, seconds) = block.axes.items()
    for number, part in enumerate(finding.pictures or []):
        yield from unknown(f"pictures.{number}.host", part.host, block.axes.get("host", {}))
        yield from unknown(f"pictures.{number}.morphology", part.morphology, block.axes.get("morphology", {}))
    joint = {f"{one}/{two}" for one in firsts for two in seconds}
    for number, count in enumerate(finding.counts):
        yield from unknown(f"counts.{number}.states", count.states, joint)
        for axis, states in ((first, firsts), (second, seconds)):
            yield from unknown(f"counts.{number}.{axis}", getattr(count, axis, []), states)


def _settings(raw: RawKnowledge, vocabulary: dict[str, dict[str, BlockIn | AxesBlockIn]]) -> Iterator[Problem]:
    name, settings = "settings.yaml", raw.settings.settings
    network_of = {cause.id: cause.network for cause in raw.causes.values()}
    for setting_id, setting in settings.items():
        place = f"settings.{setting_id}"
        for number, row in enumerate(setting.prior):
            for cause in row.among:
                if cause not in network_of:
                    yield Problem(name, f"{place}.prior.{number}.among", f"no such cause: {cause}")
                elif network_of[cause] != setting.network:
                    yield Problem(name, f"{place}.prior.{number}.among", f"{cause} is of the other network")
        for block_id, states in setting.given.items():
            block = vocabulary[setting.network].get(block_id)
            if not isinstance(block, BlockIn):
                yield Problem(name, f"{place}.given", f"no plain block {block_id} in the network {setting.network}")
            elif odd := sorted(set(states) - set(block.states)):
                yield Problem(name, f"{place}.given.{block_id}", f"no such state: {', '.join(odd)}")
    for network in ("adult", "fetal"):
        last = [key for key, item in settings.items() if item.network == network and item.derived_from is None]
        if len(last) != 1:
            yield Problem(name, "settings", f"{network}: one setting has derived_from: null, found {len(last)}")


def pointed_sources(raw: RawKnowledge) -> Iterator[tuple[str, str, str, str | None]]:
    """Every pointer to a source: file, field, source id, and the status claimed for it (None: none is claimed)."""
    for network in ("adult", "fetal"):
        for key, block in getattr(raw.findings, network).items():
            yield from (("findings.yaml", f"{network}.{key}.source", one, None) for one in block.source)
    for name, cause in raw.causes.items():
        for key, finding in cause.findings.items():
            place = f"findings.{key}"
            # one source has to carry the status; the others may be weaker
            yield from ((name, f"{place}.source", one, None) for one in finding.source)
            for number, count in enumerate(finding.counts):
                yield name, f"{place}.counts.{number}", count.source, count.status
        for part in ("traps", "management"):
            for number, said in enumerate(getattr(cause, part)):
                yield from ((name, f"{part}.{number}.source", one, None) for one in said.source)
    for key, setting in raw.settings.settings.items():
        for number, row in enumerate(setting.prior):
            for one in (row.source, row.split):
                if one is not None:
                    yield "settings.yaml", f"settings.{key}.prior.{number}", one, None
    for key, threshold in raw.thresholds.thresholds.items():
        yield "thresholds.yaml", f"thresholds.{key}", threshold.source, threshold.status
    for key, guideline in raw.thresholds.guidelines.items():
        for choice, said in guideline.choices.items():
            yield "thresholds.yaml", f"guidelines.{key}.choices.{choice}", said.source, None
        yield "thresholds.yaml", f"guidelines.{key}.because", guideline.because, None
    for correction in raw.corrections.corrections:
        yield from (("corrections.yaml", correction.id, one, None) for one in correction.source)
    for flag in raw.rules.redflags:
        yield from (("rules.yaml", f"redflags.{flag.id}", one, None) for one in flag.source)
    for rule in raw.rules.rules:
        yield from (("rules.yaml", f"rules.{rule.id}", one, None) for one in rule.source)
    for test in raw.tests.tests:
        yield from (("tests.yaml", test.id, one, None) for one in test.source)


def _sources(raw: RawKnowledge) -> Iterator[Problem]:
    known = raw.sources.sources
    for key, source in known.items():
        if source.work not in raw.sources.works:
            yield Problem("sources.yaml", f"sources.{key}.work", f"no such work: {source.work}")
    for file, field, one, _ in pointed_sources(raw):
        if one not in known:
            yield Problem(file, field, f"no such source: {one}")


def _conditions(raw: RawKnowledge) -> Iterator[Problem]:
    for key, setting in raw.settings.settings.items():
        yield from _condition(raw, "settings.yaml", f"settings.{key}.derived_from", setting.derived_from)
    for number, term in enumerate(raw.rules.terms):
        above = {item.id for item in raw.rules.terms[:number]}
        yield from _condition(raw, "rules.yaml", f"terms.{term.id}.when", term.when, above)
    terms, flags = {item.id for item in raw.rules.terms}, {item.id for item in raw.rules.redflags} | {"any"}
    for flag in raw.rules.redflags:
        yield from _condition(raw, "rules.yaml", f"redflags.{flag.id}.when", flag.when, terms)
    for rule in raw.rules.rules:
        for field, node in (("when", rule.when), ("shown_if", rule.shown_if)):
            yield from _condition(raw, "rules.yaml", f"rules.{rule.id}.{field}", node, terms, flags)
    for test in raw.tests.tests:
        yield from _condition(raw, "tests.yaml", f"{test.id}.forbidden_if", test.forbidden_if, terms)
        for need in test.needs:
            if need not in raw.facts.facts and need not in raw.facts.labs:
                yield Problem("tests.yaml", f"{test.id}.needs", f"no such fact or laboratory value: {need}")


def _condition(
    raw: RawKnowledge,
    file: str,
    field: str,
    node: ConditionIn | None,
    terms: Collection[str] = (),
    flags: Collection[str] = (),
) -> Iterator[Problem]:
    """Check one condition; ``terms`` and ``flags`` are those that it may use."""
    if node is None:
        return
    for part in (*(node.all_ or ()), *(node.any_ or ()), node.not_, node.unless):
        yield from _condition(raw, file, field, part, terms, flags)
    if node.term is not None and node.term not in terms:
        yield Problem(file, field, f"no such term above it: {node.term}")
    if node.flag is not None and node.flag not in flags:
        yield Problem(file, field, f"no such red flag: {node.flag}")
    yield from fact_problems(raw, file, field, node)
    if node.block is not None:
        yield from _asked_block(raw, file, field, node)
    if node.cause is not None:
        known = {name for cause in raw.causes.values() for name in (cause.id, cause.group)}
        if node.cause not in {*known, *HARMS, "never"}:
            yield Problem(file, field, f"no such cause, harm or group: {node.cause}")
    if node.guideline is not None:
        guideline = raw.thresholds.guidelines.get(node.guideline)
        if guideline is None:
            yield Problem(file, field, f"no such guideline: {node.guideline}")
        elif odd := {node.is_} - set(guideline.choices) if isinstance(node.is_, str) else {"is"}:
            yield Problem(file, field, f"guideline {node.guideline} has no choice {', '.join(map(str, odd))}")
    for name in ("upper", "mean", "above", "below", "at_least", "at_most"):
        level = getattr(node, name)
        if isinstance(level, str) and level not in raw.thresholds.thresholds:
            yield Problem(file, field, f"no such threshold: {level}")


def _asked_block(raw: RawKnowledge, file: str, field: str, node: ConditionIn) -> Iterator[Problem]:
    block = raw.findings.adult.get(node.block or "") or raw.findings.fetal.get(node.block or "")
    if block is None:
        yield Problem(file, field, f"no such block: {node.block}")
        return
    axes = block.axes if isinstance(block, AxesBlockIn) else {}
    plain = set(block.states) if isinstance(block, BlockIn) else {f"{a}/{b}" for a, b in _pairs(axes)}
    for given, known in (
        (node.states, plain),
        (node.host, set(axes.get("host", {}))),
        (node.morphology, set(axes.get("morphology", {}))),
    ):
        if odd := sorted(set(given or ()) - known):
            yield Problem(file, field, f"block {node.block} has no state {', '.join(odd)}")


def _pairs(axes: object) -> Iterator[tuple[str, str]]:
    first, second = axes.values()  # type: ignore[attr-defined]
    return ((one, two) for one in first for two in second)


def _doubles(raw: RawKnowledge) -> Iterator[Problem]:
    lists = {
        ("rules.yaml", "terms"): [term.id for term in raw.rules.terms],
        ("rules.yaml", "redflags"): [flag.id for flag in raw.rules.redflags],
        ("rules.yaml", "rules"): [rule.id for rule in raw.rules.rules],
        ("tests.yaml", "tests"): [test.id for test in raw.tests.tests],
        ("corrections.yaml", "corrections"): [item.id for item in raw.corrections.corrections],
    }
    for (file, field), ids in lists.items():
        for one in sorted({one for one in ids if ids.count(one) > 1}):
            yield Problem(file, field, f"the id {one} stands twice")
