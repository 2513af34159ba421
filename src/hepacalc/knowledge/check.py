"""Everything that can be wrong with a knowledge base, told by file and field: ``hepacalc knowledge check``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hepacalc.errors import InvalidOverlay, KnowledgeError
from hepacalc.knowledge.build import build_knowledge
from hepacalc.knowledge.cases import case_problems, read_cases
from hepacalc.knowledge.files import REFERENCE_CASES, RawKnowledge, folder_files, package_files, parse_files
from hepacalc.knowledge.ids import NETWORKS, in_order
from hepacalc.knowledge.load import load_knowledge
from hepacalc.knowledge.model import Count, Knowledge
from hepacalc.knowledge.references import pointed_sources, reference_problems
from hepacalc.knowledge.schema_base import TOLERANCE, Problem

__all__ = ["RANKS", "check_knowledge", "check_texts"]

RANKS = {"judgement": 0, "unchecked": 1, "recalled": 1, "ours": 0, "read": 2}
"""How much a status claims. A number may not claim more than its source."""


def check_knowledge(overlay: Path | None = None) -> list[Problem]:
    """Return every fault of the knowledge base, or of it with a site's file or an edited folder laid over it.

    Raises:
        KnowledgeError: a folder that holds nothing of a knowledge base, or ours does not load under a site's file.
    """
    texts = package_files()
    if overlay is not None and overlay.is_dir():
        texts |= folder_files(overlay)
    problems = check_texts(texts)
    if overlay is not None and not overlay.is_dir():
        try:
            load_knowledge(overlay)
        except InvalidOverlay as fault:
            problems.append(Problem(overlay.name, "", fault.message.removeprefix(f"{overlay.name}: ").rstrip(".")))
        except KnowledgeError:
            if not problems:  # else they say why already
                raise
    return problems


def check_texts(texts: dict[str, str]) -> list[Problem]:
    """Return every fault of a knowledge base given as file names and texts."""
    raw, problems = parse_files(texts)
    if raw is None:
        return problems
    problems = reference_problems(raw)
    problems += [*_reach(raw), *_claims(raw), *_counts(raw), *_shares(raw), *_citations(raw), *_tests(raw)]
    if problems:
        return problems
    knowledge = build_knowledge(raw, "check")
    problems = list(_cohorts(knowledge))
    if REFERENCE_CASES not in texts:
        return problems
    try:
        cases = read_cases(texts[REFERENCE_CASES], REFERENCE_CASES)
    except KnowledgeError as fault:
        text = fault.message.removeprefix(f"{REFERENCE_CASES}: ").rstrip(".")
        return [*problems, Problem(REFERENCE_CASES, "", text)]
    return [*problems, *case_problems(cases, knowledge, REFERENCE_CASES)]


def _reach(raw: RawKnowledge) -> Iterator[Problem]:
    """Every cause can be reached from every setting of its network."""
    for network in NETWORKS:
        causes = in_order(cause.id for cause in raw.causes.values() if cause.network == network)
        settings = {key: item for key, item in raw.settings.settings.items() if item.network == network}
        shares = {key: {cause for row in item.prior for cause in row.among} for key, item in settings.items()}
        for cause in causes:
            lacking = [key for key, found in shares.items() if cause not in found]
            if len(lacking) == len(settings):
                yield Problem(
                    "settings.yaml", cause, "cannot be reached: it has no share in any setting of its network"
                )
            elif lacking:
                yield Problem("settings.yaml", cause, f"no share in {', '.join(lacking)}")


def _claims(raw: RawKnowledge) -> Iterator[Problem]:
    """No number is said to be surer than its source: a working estimate is never shown as published."""
    status = {key: item.status for key, item in raw.sources.sources.items()}
    for file, field, source, claimed in pointed_sources(raw):
        if claimed is not None and source in status and RANKS[claimed] > RANKS[status[source]]:
            yield Problem(file, field, f"says {claimed}, its source {source} is {status[source]}")
    listed: list[tuple[str, str, str, list[str]]] = [
        (name, f"findings.{key}", finding.status, finding.source)
        for name, cause in raw.causes.items()
        for key, finding in cause.findings.items()
    ]
    listed += [("corrections.yaml", item.id, item.status, item.source) for item in raw.corrections.corrections]
    listed += [("rules.yaml", f"redflags.{item.id}", item.status, item.source) for item in raw.rules.redflags]
    listed += [("rules.yaml", f"rules.{item.id}", item.status, item.source) for item in raw.rules.rules]
    listed += [("tests.yaml", item.id, item.status, item.source) for item in raw.tests.tests]
    for file, field, said, sources in listed:
        best = max((RANKS[status[one]] for one in sources if one in status), default=2)
        if RANKS[said] > best:
            yield Problem(file, field, f"says {said}, no source of it is better than {' or '.join(sources)}")


def _counts(raw: RawKnowledge) -> Iterator[Problem]:
    """A count says what its source says."""
    for name, cause in raw.causes.items():
        for key, finding in cause.findings.items():
            for number, count in enumerate(finding.counts):
                source = raw.sources.sources.get(count.source)
                if source is None or source.n is None or source.N is None:
                    if source is not None and not count.note:
                        text = f"{count.source} gives no n of N: say in a note where {count.n} of {count.N} is from"
                        yield Problem(name, f"findings.{key}.counts.{number}", text)
                elif (source.n, source.N) not in ((count.n, count.N), (count.N - count.n, count.N)) and not count.note:
                    text = (
                        f"{count.n} of {count.N}, but {count.source} says {source.n} of {source.N}; a note must say why"
                    )
                    yield Problem(name, f"findings.{key}.counts.{number}", text)


def _cohorts(knowledge: Knowledge) -> Iterator[Problem]:
    """Counts of the same patients in states that exclude each other add up to no more than the patients."""
    for cause in knowledge.causes.values():
        for key, finding in cause.findings.items():
            cohorts: dict[tuple[str, int], list[Count]] = {}
            for count in finding.counts:
                cohorts.setdefault((knowledge.sources[count.source].work, count.N), []).append(count)
            for (work, size), group in cohorts.items():
                told = [state for count in group for state in count.states]
                total = sum(count.n for count in group)
                whole = len(told) == len(knowledge.blocks[key].states)
                if len(set(told)) == len(told) and (total > size or (whole and total < size)):
                    text = f"states that exclude each other have {total} of {size} patients of {work}"
                    yield Problem(f"causes/{cause.id}.yaml", f"findings.{key}.counts", text)


def _shares(raw: RawKnowledge) -> Iterator[Problem]:
    """A prior's row holds the share of its source, or says why not."""
    for key, setting in raw.settings.settings.items():
        for number, row in enumerate(setting.prior):
            source = raw.sources.sources.get(row.source)
            if source is None or source.value is None or row.note:
                continue
            if abs(source.value - row.share) > TOLERANCE:
                text = f"share {row.share:g}, but {row.source} says {source.value:g}; a note must say why"
                yield Problem("settings.yaml", f"settings.{key}.prior.{number}", text)


def _citations(raw: RawKnowledge) -> Iterator[Problem]:
    """Every citation stands once, and is used."""
    seen: dict[str, str] = {}
    for key, work in raw.sources.works.items():
        if work.citation in seen:
            yield Problem("sources.yaml", f"works.{key}", f"the same citation as {seen[work.citation]}")
        seen.setdefault(work.citation, key)
    used = {item.work for item in raw.sources.sources.values()}
    for key in raw.sources.works:
        if key not in used:
            yield Problem("sources.yaml", f"works.{key}", "nothing is taken from it")


def _tests(raw: RawKnowledge) -> Iterator[Problem]:
    """Tests that causes and rules name are there, and reveal blocks that are there."""
    tests = {item.id for item in raw.tests.tests}
    blocks = {**raw.findings.adult, **raw.findings.fetal}
    for item in raw.tests.tests:
        for what in item.reveals:
            block, _, named = what.partition(".")
            if block not in blocks and what != "cause":
                yield Problem("tests.yaml", f"{item.id}.reveals", f"no such block: {block}")
                continue
            known = getattr(blocks.get(block), "states", {})
            for state in named.split("+") if named else ():
                if state not in known:
                    yield Problem("tests.yaml", f"{item.id}.reveals", f"no such state of {block}: {state}")
    for rule in raw.rules.rules:
        for test in rule.modality.tests or ():
            if test not in tests:
                yield Problem("rules.yaml", f"rules.{rule.id}.modality", f"no such test: {test}")
    for name, cause in raw.causes.items():
        for test in cause.next_tests if tests else ():
            if test not in tests:
                yield Problem(name, "next_tests", f"no such test: {test}")
